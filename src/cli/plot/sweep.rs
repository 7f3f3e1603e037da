//! Figures over what was varied, with their intervals.

use super::axes::Chart;
use super::figure::Figure;
use super::legend::{color, legend};

/// Room beyond the ends of a logarithmic axis.
const ROOM: f64 = 1.15;

/// The figures of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What stands in the legend.
    pub name: String,
    /// (what was varied, lower end of the interval, median, upper end).
    pub points: Vec<[f64; 4]>,
}

/// A line for each method through its medians, with bars for the intervals, in a panel with logarithmic axes
/// of these names; the upright one is linear where a median is not positive. What has no place there is left out.
pub fn sweep(title: &str, [x, y]: [&str; 2], curves: &[Curve]) -> Figure {
    let positive = |v: f64| v > 0.0 && v.is_finite();
    let log_y = curves.iter().flat_map(|c| &c.points).all(|p| p[2] > 0.0 || !p[2].is_finite());
    let ok = |v: f64| v.is_finite() && (v > 0.0 || !log_y);
    let shown = |c: &Curve| -> Vec<[f64; 4]> { c.points.iter().copied().filter(|p| positive(p[0]) && ok(p[2])).collect() };
    let all: Vec<[f64; 4]> = curves.iter().flat_map(shown).collect();
    let range = |values: Vec<f64>, log: bool| {
        let [a, b] = values.into_iter().filter(|v| ok(*v)).fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], v| [a.min(v), b.max(v)]);
        match (a <= b, log) {
            (false, _) => [0.1, 1.0],
            (true, true) => [a / ROOM, b * ROOM],
            (true, false) => [a - 0.05 * (b - a) - 1e-9, b + 0.05 * (b - a) + 1e-9],
        }
    };
    let chart = Chart { title, x, y, height: 380.0 };
    let (x, y) = (all.iter().map(|p| p[0]).collect(), all.iter().flat_map(|p| [p[1], p[2], p[3]]).collect());
    let (mut panel, axes) = chart.panel(range(x, true), range(y, log_y), [true, log_y]);
    for (i, curve) in curves.iter().enumerate() {
        // A little apart, so that bars at one place can be told from each other.
        let place = |x: f64| x * (1.0 + 0.012 * (i as f64 - 0.5 * curves.len() as f64));
        let points = shown(curve);
        for [x, low, median, high] in &points {
            let end = |v: f64| if ok(v) { v } else { *median };
            axes.curve(&mut panel, &[[place(*x), end(*low)], [place(*x), end(*high)]], (1.2, color(i), 0.6), None);
        }
        let line: Vec<[f64; 2]> = points.iter().map(|p| [place(p[0]), p[2]]).collect();
        axes.curve(&mut panel, &line, (2.0, color(i), 0.85), Some(&curve.name));
        panel.discs(line.iter().map(|p| axes.at(p[0], p[1])).collect(), 3.2, color(i), 1.0);
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
    fn curves_are_drawn_and_nothing_is_a_picture_too() {
        let curve = |points: Vec<[f64; 4]>| Curve { name: "a".into(), points };
        let draw = |points: Vec<[f64; 4]>| sweep("t", ["steps", "y"], &[curve(points)]);
        assert!(count(&draw(vec![[10.0, 0.1, 0.2, 0.3], [100.0, 0.05, 0.1, 0.2]]), BLUE) > 300);
        // With a median below 0 the axis is linear, and the line is there all the same.
        assert!(count(&draw(vec![[10.0, -0.3, -0.2, 0.3], [100.0, 0.05, 0.1, 0.2]]), BLUE) > 300);
        for points in
            [vec![], vec![[0.0, 1.0, 1.0, 1.0]], vec![[1.0, f64::NAN, f64::NAN, f64::INFINITY]], vec![[1.0, 0.0, 1.0, f64::INFINITY]]]
        {
            assert_eq!(draw(points).size().1, 380.0);
        }
    }
}
