//! Held-out gains over the steps of a run, with the line of "no network".

use super::axes::{Chart, padded};
use super::figure::{Figure, INK};
use super::legend::{color, legend};

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
pub fn gains(title: &str, curves: &[Gains]) -> Figure {
    let shown = |c: &Gains| -> Vec<[f64; 3]> { c.points.iter().copied().filter(|p| p.iter().all(|v| v.is_finite())).collect() };
    let all: Vec<[f64; 3]> = curves.iter().flat_map(shown).collect();
    let least = all.iter().map(|p| p[1] - 2.0 * p[2]).fold(0.0, f64::min);
    let most = all.iter().map(|p| p[1] + 2.0 * p[2]).fold(0.0, f64::max);
    let last = all.iter().map(|p| p[0]).fold(1.0, f64::max);
    let y = padded([least, most.min((-1.5 * least).max(0.1))], 0.05);
    let chart = Chart { title, x: "optimiser steps", y: "gain (19); 0: no network", height: 340.0 };
    let (mut panel, axes) = chart.panel([0.0, last], y, [false; 2]);
    axes.curve(&mut panel, &[[0.0, 0.0], [last, 0.0]], (1.6, INK, 0.9), None);
    for (i, curve) in curves.iter().enumerate() {
        let points = shown(curve);
        for [step, gain, error] in &points {
            let bar = [[*step, gain - 2.0 * error], [*step, gain + 2.0 * error]];
            axes.curve(&mut panel, &bar, (1.2, color(i), 0.5), None);
        }
        let line: Vec<[f64; 2]> = points.iter().map(|p| [p[0], p[1]]).collect();
        axes.curve(&mut panel, &line, (2.0, color(i), 1.0), Some(&curve.name));
    }
    let names: Vec<String> = curves.iter().map(|c| c.name.clone()).collect();
    Figure::new(vec![panel, legend(&names, axes.low[1])])
}

#[cfg(test)]
mod tests {
    use super::super::figure::BLUE;
    use super::super::tests::count;
    use super::*;

    #[test]
    fn gains_are_drawn_and_nothing_is_a_picture_too() {
        let curve = |points: Vec<[f64; 3]>| Gains { name: "a".into(), points };
        let figure = gains("t", &[curve(vec![[50.0, -0.2, 0.1], [100.0, 40.0, 0.1], [150.0, f64::NAN, 0.0]])]);
        assert!(count(&figure, BLUE) > 300);
        assert_eq!(gains("t", &[curve(vec![])]).size().1, 340.0);
    }
}
