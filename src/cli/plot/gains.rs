//! Held-out gains over the steps of a run, with the line of "no network".

use super::axes::{Axes, padded};
use super::canvas::{Anchor, Canvas, INK, MUTED};
use super::legend::{LEGEND, color, entry};

/// The gains of one set of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Gains {
    /// What stands in the legend.
    pub name: String,
    /// (step, gain, standard error).
    pub points: Vec<[f64; 3]>,
}

/// A line for each set, with bars of two standard errors either way, and a dark line at 0. The panel reaches
/// as far up as it reaches down, at least: what a network spoils without bound is cut off.
pub fn gains(title: &str, curves: &[Gains]) -> Canvas {
    let (width, height) = (1480.0, 640.0);
    let mut canvas = Canvas::new(width as usize, height as usize);
    let shown = |c: &Gains| -> Vec<[f64; 3]> { c.points.iter().copied().filter(|p| p.iter().all(|v| v.is_finite())).collect() };
    let all: Vec<[f64; 3]> = curves.iter().flat_map(shown).collect();
    let least = all.iter().map(|p| p[1] - 2.0 * p[2]).fold(0.0, f64::min);
    let most = all.iter().map(|p| p[1] + 2.0 * p[2]).fold(0.0, f64::max);
    let last = all.iter().map(|p| p[0]).fold(1.0, f64::max);
    let y = padded([least, most.min((-1.5 * least).max(0.1))], 0.05);
    let axes = Axes { low: [120.0, 64.0], high: [width - LEGEND, height - 96.0], x: [0.0, last], y, log_x: false, log_y: false };
    axes.frame(&mut canvas);
    axes.title(&mut canvas, title);
    canvas.text([0.5 * (axes.low[0] + axes.high[0]), height - 26.0], 14.0, Anchor::Middle, MUTED, "steps");
    canvas.line(&[axes.at(0.0, 0.0), axes.at(last, 0.0)], 3.0, INK, 0.9);
    for (i, curve) in curves.iter().enumerate() {
        let inside = |v: f64| v.clamp(y[0], y[1]);
        let points = shown(curve);
        for [step, gain, error] in &points {
            canvas.line(&[axes.at(*step, inside(gain - 2.0 * error)), axes.at(*step, inside(gain + 2.0 * error))], 2.0, color(i), 0.5);
        }
        let line: Vec<[f64; 2]> = points.iter().map(|p| axes.at(p[0], inside(p[1]))).collect();
        canvas.line(&line, 3.5, color(i), 1.0);
        entry(&mut canvas, i, &curve.name);
    }
    canvas
}

#[cfg(test)]
mod tests {
    use super::super::canvas::BLUE;
    use super::*;

    #[test]
    fn gains_are_drawn_and_nothing_is_a_picture_too() {
        let curve = |points: Vec<[f64; 3]>| Gains { name: "a".into(), points };
        let canvas = gains("t", &[curve(vec![[50.0, -0.2, 0.1], [100.0, 40.0, 0.1], [150.0, f64::NAN, 0.0]])]);
        let blue = (0..1480).flat_map(|x| (0..640).map(move |y| (x, y))).filter(|(x, y)| canvas.pixel(*x, *y) == BLUE).count();
        assert!(blue > 300);
        assert_eq!(gains("t", &[curve(vec![])]).size(), (1480.0, 640.0));
    }
}
