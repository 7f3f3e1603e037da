//! Paths of the noising and of the denoising process, in the plane.

use super::figure::{BLUE, Figure, MUTED, ORANGE};
use super::scatter::{square, window};
use ndarray::{Array2, ArrayView1, ArrayView3, Axis};

/// Forward paths from data to noise and backward paths from noise to samples, both `[steps, n, d]`, d >= 2
/// (the first two coordinates are shown), in two panels with the same axes. Data and samples are coloured,
/// noise is grey.
pub fn trajectories(forward: ArrayView3<f64>, backward: ArrayView3<f64>) -> Figure {
    // The window shows every point of both.
    let coordinates: Vec<f64> =
        [forward, backward].iter().flat_map(|p| p.lanes(Axis(2))).flat_map(|p: ArrayView1<f64>| [p[0], p[1]]).collect();
    let all = Array2::from_shape_vec((coordinates.len() / 2, 2), coordinates).unwrap_or_default();
    let window = window(all.view());
    let mut panels = Vec::new();
    for (paths, colors, title) in
        [(forward, [BLUE, MUTED], "Noising: data to reference"), (backward, [MUTED, ORANGE], "Denoising: reference to samples")]
    {
        let (mut panel, axes) = square(window, title);
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for path in paths.axis_iter(Axis(1)) {
            let points: Vec<[f64; 2]> = path.rows().into_iter().map(|p| axes.at(p[0], p[1])).collect();
            let [start, .., end] = points[..] else { continue };
            panel.line(&points, 0.8, MUTED, 0.35);
            first.push(start);
            last.push(end);
        }
        panel.discs(first, 2.3, colors[0], 0.9);
        panel.discs(last, 2.3, colors[1], 0.9);
        panels.push(panel);
    }
    Figure::new(panels)
}
