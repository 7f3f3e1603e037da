//! Samples beside the data, in the plane.

use super::axes::{Axes, padded};
use super::canvas::{BLUE, Canvas, Color, ORANGE};
use ndarray::ArrayView2;

/// Side of a square panel.
pub(super) const SIDE: f64 = 640.0;
/// Room left of, above, right of and below a panel.
pub(super) const ROOM: [f64; 4] = [88.0, 64.0, 24.0, 56.0];
/// Most points drawn in a panel.
const MOST: usize = 10_000;

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

/// `columns` square panels side by side with the same window: the image and the axes of each.
pub(super) fn panels<const COLUMNS: usize>([x, y]: [[f64; 2]; 2]) -> (Canvas, [Axes; COLUMNS]) {
    let [left, top, right, bottom] = ROOM;
    let step = left + SIDE + right;
    let canvas = Canvas::new((step * COLUMNS as f64) as usize, (top + SIDE + bottom) as usize);
    let axes = std::array::from_fn(|i| {
        let low = [step * i as f64 + left, top];
        Axes { low, high: [low[0] + SIDE, low[1] + SIDE], x, y, log_x: false, log_y: false }
    });
    (canvas, axes)
}

/// Draws the first two coordinates of `points` and returns how many lie outside of the panel.
fn scatter(canvas: &mut Canvas, axes: &Axes, points: ArrayView2<f64>, color: Color) -> usize {
    // Many points are drawn fainter, so that density still shows.
    let alpha = (1.0 - 0.2 * (points.nrows().clamp(1, MOST) as f64 / 100.0).ln().max(0.0)).clamp(0.25, 0.9);
    let mut outside = 0;
    for (i, p) in points.rows().into_iter().enumerate() {
        let (x, y) = (p[0], p[1]);
        if !axes.holds(x, y) {
            outside += 1;
        } else if i < MOST {
            canvas.disc(axes.at(x, y), 2.4, color, alpha);
        }
    }
    outside
}

/// Data and samples, `[n, d]` with d >= 2 (the first two coordinates are shown), in two panels with the same
/// axes.
pub fn samples_beside_data(data: ArrayView2<f64>, samples: ArrayView2<f64>) -> Canvas {
    let (mut canvas, [left, right]) = panels::<2>(window(data));
    for (axes, points, color, name) in [(left, data, BLUE, "data"), (right, samples, ORANGE, "samples")] {
        axes.frame(&mut canvas);
        let outside = scatter(&mut canvas, &axes, points, color);
        let note = if outside > 0 { format!(", {outside} outside") } else { String::new() };
        axes.title(&mut canvas, &format!("{name}: {} points{note}", points.nrows()));
    }
    canvas
}
