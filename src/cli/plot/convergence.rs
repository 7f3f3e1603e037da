//! Errors over step sizes.

use super::axes::Chart;
use super::figure::{Anchor, Figure, MUTED};
use super::legend::{color, legend};

/// The errors of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct Errors {
    /// What stands in the legend.
    pub name: String,
    /// The order whose slope is drawn beside it.
    pub order: f64,
    /// (step size, error).
    pub points: Vec<[f64; 2]>,
}

/// A line for each method in a panel with logarithmic axes of these names, and a grey line with the slope of each order that
/// is claimed, above the errors of that order. Errors that are not positive, or are rounding (below 1e-13),
/// have no place there and are left out; a method without any other stands as exact in the legend.
pub fn convergence(title: &str, [x, y]: [&str; 2], methods: &[Errors]) -> Figure {
    let shown = |e: &Errors| -> Vec<[f64; 2]> {
        e.points.iter().copied().filter(|[h, e]| *h > 0.0 && h.is_finite() && *e > 1e-13 && e.is_finite()).collect()
    };
    let all: Vec<[f64; 2]> = methods.iter().flat_map(shown).collect();
    let range = |axis: usize, room: f64| {
        let [a, b] = all.iter().fold([f64::INFINITY, 0.0f64], |[a, b], p| [a.min(p[axis]), b.max(p[axis])]);
        if a <= b { [a / room, b * room] } else { [1e-3, 1.0] }
    };
    let chart = Chart { title, x, y, height: 380.0 };
    let (mut panel, axes) = chart.panel(range(0, 1.35), range(1, 3.0), [true; 2]);
    for (slope, from, to) in references(&all, methods, shown) {
        axes.curve(&mut panel, &[from, to], (1.0, MUTED, 0.8), None);
        // Beside the finest step, or the coarsest where the line has left the panel before.
        let (end, away, anchor) = if axes.holds(from[0], from[1]) { (from, -5.0, Anchor::Right) } else { (to, 5.0, Anchor::Left) };
        let [x, y] = axes.at(end[0], end[1]);
        panel.text([x + away, y + 4.0], 12.0, anchor, MUTED, &slope.to_string());
    }
    let mut names = Vec::new();
    for (i, method) in methods.iter().enumerate() {
        let points = shown(method);
        axes.curve(&mut panel, &points, (2.0, color(i), 0.85), Some(&method.name));
        panel.discs(points.iter().map(|p| axes.at(p[0], p[1])).collect(), 3.2, color(i), 1.0);
        names.push(format!("{}{}", method.name, if points.is_empty() { ": exact" } else { "" }));
    }
    Figure::new(vec![panel, legend(&names, axes.low[1])])
}

/// For each order the ends of a line of that slope over the range of step sizes: twice the largest error of
/// the methods of that order at the coarsest step, followed down.
fn references(all: &[[f64; 2]], methods: &[Errors], shown: impl Fn(&Errors) -> Vec<[f64; 2]>) -> Vec<(f64, [f64; 2], [f64; 2])> {
    let [fine, coarse] = all.iter().fold([f64::INFINITY, 0.0f64], |[a, b], p| [a.min(p[0]), b.max(p[0])]);
    let mut orders: Vec<f64> = methods.iter().map(|m| m.order).filter(|p| p.is_finite()).collect();
    orders.sort_by(f64::total_cmp);
    orders.dedup();
    let line = |p: f64| {
        let points = methods.iter().filter(|m| m.order == p).flat_map(&shown);
        let level = points.map(|[h, e]| e * (coarse / h).powf(p)).fold(0.0, f64::max) * 2.0;
        (level > 0.0).then(|| (p, [fine, level * (fine / coarse).powf(p)], [coarse, level]))
    };
    orders.into_iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::figure::BLUE;
    use super::super::tests::count;
    use super::*;

    #[test]
    fn lines_of_known_order_are_parallel_to_their_reference() {
        let h: [f64; 3] = [0.125, 0.25, 0.5];
        let curve = |name: &str, p: f64| Errors { name: name.into(), order: p, points: h.iter().map(|h| [*h, 0.1 * h.powf(p)]).collect() };
        let methods = [curve("a", 1.0), curve("b", 2.0)];
        for (p, from, to) in references(&[[0.125, 1.0], [0.5, 1.0]], &methods, |e| e.points.clone()) {
            assert!((to[1] - 0.2 * 0.5f64.powf(p)).abs() <= 1e-12 && (from[1] - 0.2 * 0.125f64.powf(p)).abs() <= 1e-12);
        }
        let draw = |methods: &[Errors]| convergence("t", ["x", "y"], methods);
        assert!(count(&draw(&methods), BLUE) > 300);
        // Nothing to show: still a picture.
        for points in [vec![], vec![[0.1, 0.0]], vec![[0.1, f64::NAN]], vec![[0.1, 1e-3]]] {
            let one = [Errors { name: "c".into(), order: f64::INFINITY, points }];
            assert_eq!(draw(&one).size().1, 380.0);
        }
        assert_eq!(draw(&[]).size().1, 380.0);
    }
}
