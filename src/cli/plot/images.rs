//! A grid of images, each beside its nearest training image.

use super::figure::{Anchor, FAINT, Figure, INK, Panel, Shape};
use crate::data::ImageShape;
use ndarray::{ArrayView1, ArrayView2};

/// Side of a tile.
const TILE: f64 = 48.0;
/// Between the two images of a pair.
const NEAR: f64 = 2.0;
/// Between pairs, and around them.
const APART: f64 = 14.0;
/// Height of the line of text above.
const HEAD: f64 = 32.0;
/// Room for that line.
const LEAST: f64 = 400.0;

/// Pairs of a sample and, to its right on grey, its nearest training image; `columns` pairs a row. `samples`
/// and `nearest`: `[n, height * width * channels]`, row-major images; of `nearest` there may be fewer rows, or
/// none.
pub fn image_grid(samples: ArrayView2<f64>, nearest: ArrayView2<f64>, shape: ImageShape, columns: usize) -> Figure {
    let n = samples.nrows();
    let columns = columns.clamp(1, n.max(1));
    let rows = n.div_ceil(columns);
    // Half of a whole number for each image pixel: a whole number of the screen's keeps the tiles crisp.
    let scale = (2.0 * TILE / shape.height.max(shape.width).max(1) as f64).floor().max(1.0) / 2.0;
    let [w, h] = [shape.width, shape.height].map(|v| scale * v as f64);
    let paired = nearest.nrows() > 0;
    let pair = if paired { 2.0 * w + NEAR } else { w };
    let mut panel = Panel::new((APART + columns as f64 * (pair + APART)).max(LEAST), HEAD + rows as f64 * (h + APART));
    let title = match (paired, shape.channels) {
        (false, _) => "Samples",
        (true, 3) => "Samples, each beside its nearest training image (right)",
        (true, _) => "Samples, each beside its nearest training image (grey)",
    };
    panel.text([APART, 20.0], 15.0, Anchor::Left, INK, title);
    let place = |i: usize| [APART + (i % columns) as f64 * (pair + APART), HEAD + (i / columns) as f64 * (h + APART)];
    let mut tile = |[x, y]: [f64; 2], image: ArrayView1<f64>, paper| {
        panel.rect([x - 1.0, y - 1.0], [x + w + 1.0, y + h + 1.0], FAINT);
        let rgba = pixels(image, shape, paper);
        panel.shapes.push(Shape::Image { low: [x, y], high: [x + w, y + h], size: [shape.width, shape.height], rgba });
    };
    for i in 0..n {
        let [x, y] = place(i);
        tile([x, y], samples.row(i), WHITE_PAPER);
        if i < nearest.nrows() {
            tile([x + w + NEAR, y], nearest.row(i), GREY_PAPER);
        }
    }
    Figure::new(vec![panel])
}

/// Red, green and blue of ink.
const INK_VALUE: f64 = 24.0;
/// Paper of the samples.
const WHITE_PAPER: [f64; 3] = [255.0; 3];
/// Paper of the training images.
const GREY_PAPER: [f64; 3] = [229.0, 232.0, 237.0];

/// Red, green, blue and alpha of an image: three channels are the first three, of any other number the first is
/// ink on `paper`. Values beyond the range are cut, what is not finite is shown as its beginning.
fn pixels(image: ArrayView1<f64>, shape: ImageShape, paper: [f64; 3]) -> Vec<u8> {
    let share = |v: f64| {
        let share = (v - shape.range[0]) / (shape.range[1] - shape.range[0]);
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    };
    let color = |pixel: &[f64]| match *pixel {
        [r, g, b] => [r, g, b].map(|v| 255.0 * share(v)),
        _ => paper.map(|p| p + share(pixel[0]) * (INK_VALUE - p)),
    };
    let opaque = |[r, g, b]: [f64; 3]| [r.round() as u8, g.round() as u8, b.round() as u8, 255];
    image.to_vec().chunks_exact(shape.channels.max(1)).take(shape.width * shape.height).flat_map(|p| opaque(color(p))).collect()
}
