//! A grid of images, each beside its nearest training image.

use super::canvas::{Anchor, Canvas, FAINT, INK};
use crate::data::ImageShape;
use ndarray::{ArrayView1, ArrayView2};

/// Side of a tile.
const TILE: usize = 96;
/// Between the two images of a pair.
const NEAR: usize = 4;
/// Between pairs, and around them.
const APART: usize = 28;
/// Height of the line of text above.
const HEAD: usize = 64;

/// Pairs of a sample and, to its right on grey, its nearest training image; `columns` pairs a row. `samples`
/// and `nearest`: `[n, height * width * channels]`, row-major images; of `nearest` there may be fewer rows, or
/// none.
pub fn image_grid(samples: ArrayView2<f64>, nearest: ArrayView2<f64>, shape: ImageShape, columns: usize) -> Canvas {
    let n = samples.nrows();
    let columns = columns.clamp(1, n.max(1));
    let rows = n.div_ceil(columns);
    // A whole number of screen pixels for each image pixel keeps the tiles crisp.
    let scale = (TILE / shape.height.max(shape.width).max(1)).max(1);
    let (w, h) = (scale * shape.width, scale * shape.height);
    let paired = nearest.nrows() > 0;
    let pair = if paired { 2 * w + NEAR } else { w };
    let mut canvas = Canvas::new((APART + columns * (pair + APART)).max(640), HEAD + rows * (h + APART));
    let title = match (paired, shape.channels) {
        (false, _) => "samples",
        (true, 3) => "samples, each beside its nearest training image (right)",
        (true, _) => "samples, each beside its nearest training image (grey)",
    };
    canvas.text([APART as f64, 40.0], 17.0, Anchor::Left, INK, title);
    for i in 0..n {
        let (x, y) = (APART + i % columns * (pair + APART), HEAD + i / columns * (h + APART));
        canvas.paste(&tile(samples.row(i), shape, scale, [255.0; 3]), x, y);
        frame(&mut canvas, x, y, w, h);
        if i < nearest.nrows() {
            canvas.paste(&tile(nearest.row(i), shape, scale, GREY_PAPER), x + w + NEAR, y);
        }
    }
    canvas
}

/// Red, green and blue of ink.
const INK_VALUE: f64 = 24.0;
/// Paper of the training images.
const GREY_PAPER: [f64; 3] = [229.0, 232.0, 237.0];

fn frame(canvas: &mut Canvas, x: usize, y: usize, w: usize, h: usize) {
    let [x, y, w, h] = [x, y, w, h].map(|v| v as f64);
    for (low, high) in [
        ([x - 2.0, y - 2.0], [x + w + 2.0, y]),
        ([x - 2.0, y + h], [x + w + 2.0, y + h + 2.0]),
        ([x - 2.0, y], [x, y + h]),
        ([x + w, y], [x + w + 2.0, y + h]),
    ] {
        canvas.rect(low, high, FAINT, 1.0);
    }
}

/// One image, each pixel a square: three channels are red, green and blue, of any other number the first is
/// ink on `paper`. Values beyond the range are cut, what is not finite is shown as its beginning.
fn tile(image: ArrayView1<f64>, shape: ImageShape, scale: usize, paper: [f64; 3]) -> Canvas {
    let mut canvas = Canvas::new(scale * shape.width, scale * shape.height);
    let share = |v: f64| {
        let share = (v - shape.range[0]) / (shape.range[1] - shape.range[0]);
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    };
    let image = image.to_vec();
    for (i, pixel) in image.chunks_exact(shape.channels.max(1)).enumerate().take(shape.width * shape.height) {
        let color = match *pixel {
            [r, g, b] => [r, g, b].map(|v| (255.0 * share(v)).round() as u8),
            _ => paper.map(|p| (p + share(pixel[0]) * (INK_VALUE - p)).round() as u8),
        };
        let low = [(i % shape.width * scale) as f64, (i / shape.width * scale) as f64];
        canvas.rect(low, low.map(|v| v + scale as f64), color, 1.0);
    }
    canvas
}
