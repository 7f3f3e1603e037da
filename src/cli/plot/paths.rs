//! Paths of the noising and of the denoising process, in the plane.

use super::canvas::{BLUE, Canvas, MUTED, ORANGE};
use super::scatter::{panels, window};
use ndarray::{Array2, ArrayView1, ArrayView3, Axis};

/// Forward paths from data to noise and backward paths from noise to samples, both `[steps, n, d]`, d >= 2
/// (the first two coordinates are shown), in two panels with the same axes. Data and samples are coloured,
/// noise is grey.
pub fn trajectories(forward: ArrayView3<f64>, backward: ArrayView3<f64>) -> Canvas {
    // The window shows every point of both.
    let coordinates: Vec<f64> =
        [forward, backward].iter().flat_map(|p| p.lanes(Axis(2))).flat_map(|p: ArrayView1<f64>| [p[0], p[1]]).collect();
    let all = Array2::from_shape_vec((coordinates.len() / 2, 2), coordinates).unwrap_or_default();
    let (mut canvas, [left, right]) = panels::<2>(window(all.view()));
    for (axes, paths, colors, title) in [
        (left, forward, [BLUE, MUTED], "noising: data to reference"),
        (right, backward, [MUTED, ORANGE], "denoising: reference to samples"),
    ] {
        axes.frame(&mut canvas);
        axes.title(&mut canvas, title);
        for path in paths.axis_iter(Axis(1)) {
            let points: Vec<[f64; 2]> = path.rows().into_iter().map(|p| axes.at(p[0], p[1])).collect();
            let [first, .., last] = points[..] else { continue };
            canvas.line(&points, 1.6, MUTED, 0.35);
            canvas.disc(first, 4.5, colors[0], 0.9);
            canvas.disc(last, 4.5, colors[1], 0.9);
        }
    }
    canvas
}
