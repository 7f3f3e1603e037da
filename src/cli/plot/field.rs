//! The score field over the density of samples.

use super::axes::Axes;
use super::figure::{BLUE, Figure, INK, Panel, Shape};
use super::scatter::square;
use ndarray::ArrayView2;

/// Cells of the density along a side.
const CELLS: usize = 160;

/// Arrows of the score at `at`, `[m, 2]`, over the density of `points`, `[n, d]` (first two coordinates),
/// inside `window`. Lengths are compressed, |s|^(1/2), so that the weak field near the modes is seen beside
/// the strong one far away.
pub fn score_field(window: [[f64; 2]; 2], points: ArrayView2<f64>, at: ArrayView2<f64>, score: ArrayView2<f64>, title: &str) -> Figure {
    let (mut panel, axes) = square(window, title);
    density(&mut panel, &axes, points);
    let length = |s: [f64; 2]| s[0].hypot(s[1]).sqrt();
    let vectors: Vec<[f64; 2]> = score.rows().into_iter().map(|s| [s[0], s[1]]).collect();
    let longest = vectors.iter().map(|s| length(*s)).filter(|l| l.is_finite()).fold(1e-300, f64::max);
    let room = (axes.high[0] - axes.low[0]) / (at.nrows() as f64).sqrt().max(1.0);
    for (p, s) in at.rows().into_iter().zip(vectors) {
        let (x, y) = (p[0], p[1]);
        let norm = s[0].hypot(s[1]);
        if !(norm > 0.0 && norm.is_finite() && axes.holds(x, y)) {
            continue;
        }
        let reach = 0.95 * room * length(s) / longest;
        // The picture's y points downwards. An arrow is centred on its point.
        let d = [s[0] / norm, -s[1] / norm];
        let centre = axes.at(x, y);
        let along = |t: f64, side: f64| [centre[0] + t * d[0] - side * d[1], centre[1] + t * d[1] + side * d[0]];
        let (tip, head) = (reach / 2.0, (0.36 * reach).min(4.5));
        panel.line(&[along(-tip, 0.0), along(tip, 0.0)], 1.0, INK, 0.85);
        panel.line(&[along(tip - head, 0.6 * head), along(tip, 0.0), along(tip - head, -0.6 * head)], 1.0, INK, 0.85);
    }
    Figure::new(vec![panel])
}

/// Histogram of the points, smoothed three times by (1 2 1)/4 both ways, as shades of blue.
fn density(panel: &mut Panel, axes: &Axes, points: ArrayView2<f64>) {
    let mut cells = vec![0f64; CELLS * CELLS];
    let index = |v: f64, [a, b]: [f64; 2]| ((v - a) / (b - a) * CELLS as f64).floor().min((CELLS - 1) as f64) as usize;
    for p in points.rows() {
        let (x, y) = (p[0], p[1]);
        if axes.holds(x, y) {
            cells[index(y, axes.y) * CELLS + index(x, axes.x)] += 1.0;
        }
    }
    for stride in [1, CELLS, 1, CELLS, 1, CELLS] {
        let old = cells.clone();
        for (i, c) in cells.iter_mut().enumerate() {
            let along = if stride == 1 { i % CELLS } else { i / CELLS };
            let before = if along > 0 { old[i - stride] } else { 0.0 };
            let after = if along + 1 < CELLS { old[i + stride] } else { 0.0 };
            *c = 0.25 * before + 0.5 * old[i] + 0.25 * after;
        }
    }
    let most = cells.iter().copied().fold(1e-300, f64::max);
    // The rows of an image go downwards.
    let upside = cells.chunks(CELLS).rev().flatten();
    let rgba = upside.flat_map(|c| [BLUE[0], BLUE[1], BLUE[2], (255.0 * 0.75 * (c / most).sqrt()) as u8]).collect();
    panel.shapes.push(Shape::Image { low: axes.low, high: axes.high, size: [CELLS; 2], rgba });
}
