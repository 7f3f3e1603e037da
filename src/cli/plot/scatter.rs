//! Samples beside the data, in the plane.

use super::axes::{Axes, padded};
use super::figure::{BLUE, Color, Figure, ORANGE, Panel};
use ndarray::ArrayView2;

/// Side of the square that a panel shows.
const SIDE: f64 = 310.0;
/// Room left of, above, right of and below it.
const ROOM: [f64; 4] = [46.0, 34.0, 12.0, 28.0];
/// Most points drawn in a panel.
const MOST: usize = 5000;

/// A square window around the first two coordinates of `points`, `[n, d]`, d >= 2: what pictures in the plane
/// show. Values that are not finite are left out.
pub fn window(points: ArrayView2<f64>) -> [[f64; 2]; 2] {
    let range = |axis: usize| {
        let finite = points.column(axis).into_iter().copied().filter(|v| v.is_finite());
        let [a, b] = finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], v| [a.min(v), b.max(v)]);
        if a <= b { padded([a, b], 0.12) } else { [-1.0, 1.0] }
    };
    let (x, y) = (range(0), range(1));
    let half = (x[1] - x[0]).max(y[1] - y[0]) / 2.0;
    [x, y].map(|[a, b]| [(a + b) / 2.0 - half, (a + b) / 2.0 + half])
}

/// A square panel that shows `window`.
pub(super) fn square([x, y]: [[f64; 2]; 2], title: &str) -> (Panel, Axes) {
    let [left, top, right, bottom] = ROOM;
    let mut panel = Panel::new(left + SIDE + right, top + SIDE + bottom);
    let axes = Axes { low: [left, top], high: [left + SIDE, top + SIDE], x, y, log_x: false, log_y: false };
    axes.frame(&mut panel);
    axes.title(&mut panel, title);
    (panel, axes)
}

/// Draws the first two coordinates of `points` and returns how many lie outside of the panel.
fn scatter(panel: &mut Panel, axes: &Axes, points: ArrayView2<f64>, color: Color) -> usize {
    // Many points are drawn fainter, so that density shows all the same.
    let alpha = (1.0 - 0.2 * (points.nrows().clamp(1, MOST) as f64 / 100.0).ln().max(0.0)).clamp(0.25, 0.9);
    let inside: Vec<[f64; 2]> = points.rows().into_iter().filter(|p| axes.holds(p[0], p[1])).map(|p| axes.at(p[0], p[1])).collect();
    let outside = points.nrows() - inside.len();
    panel.discs(inside.into_iter().take(MOST).collect(), 1.2, color, alpha);
    outside
}

/// Data and samples, `[n, d]` with d >= 2 (the first two coordinates are shown), in two panels with the same
/// axes.
pub fn samples_beside_data(data: ArrayView2<f64>, samples: ArrayView2<f64>) -> Figure {
    side_by_side(&[("Data", data), ("Samples", samples)])
}

/// Sets of points, `[n, d]` with d >= 2 (the first two coordinates are shown), in panels with the axes of the first;
/// the first is of another colour than the others.
pub fn side_by_side(sets: &[(&str, ArrayView2<f64>)]) -> Figure {
    let window = sets.first().map_or([[-1.0, 1.0]; 2], |(_, points)| window(*points));
    let panel = |(i, (name, points)): (usize, &(&str, ArrayView2<f64>))| {
        let (mut panel, axes) = square(window, "");
        let outside = scatter(&mut panel, &axes, *points, if i == 0 { BLUE } else { ORANGE });
        let note = if outside > 0 { format!(", {outside} outside") } else { String::new() };
        axes.title(&mut panel, &format!("{name}: {} points{note}", points.nrows()));
        panel
    };
    Figure::new(sets.iter().enumerate().map(panel).collect())
}
