//! A picture's pixels, with anti-aliased shapes: a pixel takes as much of the colour as the shape covers of it,
//! taken from its centre's distance to the shape. And its PNG.

use super::figure::{Anchor, Color, Shape};
use super::font;
use flate2::{Compression, Crc, write::ZlibEncoder};
use std::io::Write;

/// An image; (0, 0) is the upper left corner, units are pixels, pixel (i, j) has its centre at (i + 1/2, j +
/// 1/2).
#[derive(Debug, Clone, PartialEq)]
pub struct Raster {
    width: usize,
    height: usize,
    rgb: Vec<f32>,
}

impl Raster {
    /// White paper.
    pub fn new(width: usize, height: usize) -> Self {
        Raster { width, height, rgb: vec![255.0; 3 * width * height] }
    }

    /// (width, height).
    #[cfg(test)]
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Draws a shape of a panel whose left edge is at `left`, with `scale` pixels for each unit.
    pub fn draw(&mut self, shape: &Shape, scale: f64, left: f64) {
        let place = |p: &[f64; 2]| [scale * (p[0] + left), scale * p[1]];
        match shape {
            Shape::Discs { at, radius, color, alpha } => at.iter().for_each(|p| self.disc(place(p), scale * radius, *color, *alpha)),
            Shape::Line { points, width, color, alpha, .. } => {
                self.line(&points.iter().map(place).collect::<Vec<_>>(), scale * width, *color, *alpha);
            }
            Shape::Rect { low, high, color } => self.rect(place(low), place(high), *color, 1.0),
            Shape::Text { at, size, anchor, color, text, upright } => {
                self.text(place(at), scale * CAPITALS * size, (*anchor, *upright), *color, text);
            }
            Shape::Image { low, high, size, rgba } => self.image([place(low), place(high)], *size, rgba),
        }
    }

    /// The colour of a pixel; white outside.
    #[cfg(test)]
    pub fn pixel(&self, x: usize, y: usize) -> Color {
        if x >= self.width || y >= self.height {
            return [255; 3];
        }
        std::array::from_fn(|c| self.rgb[3 * (y * self.width + x) + c].round() as u8)
    }

    fn blend(&mut self, x: usize, y: usize, color: Color, alpha: f64) {
        let pixel = &mut self.rgb[3 * (y * self.width + x)..][..3];
        for (p, c) in pixel.iter_mut().zip(color) {
            *p += alpha as f32 * (f32::from(c) - *p);
        }
    }

    /// The pixels whose centres may lie in a box, cut to the image.
    fn pixels(&self, low: [f64; 2], high: [f64; 2]) -> [std::ops::Range<usize>; 2] {
        let cut = |a: f64, b: f64, n: usize| (a.floor().clamp(0.0, n as f64) as usize)..(b.ceil().clamp(0.0, n as f64) as usize);
        [cut(low[0], high[0], self.width), cut(low[1], high[1], self.height)]
    }

    /// A filled circle.
    fn disc(&mut self, at: [f64; 2], radius: f64, color: Color, alpha: f64) {
        let reach = radius + 1.0;
        let [xs, ys] = self.pixels([at[0] - reach, at[1] - reach], [at[0] + reach, at[1] + reach]);
        for y in ys {
            for x in xs.clone() {
                let distance = (x as f64 + 0.5 - at[0]).hypot(y as f64 + 0.5 - at[1]);
                let cover = (radius + 0.5 - distance).clamp(0.0, 1.0);
                if cover > 0.0 {
                    self.blend(x, y, color, alpha * cover);
                }
            }
        }
    }

    /// A line through points, with round ends and joints, evenly coloured where it meets itself. One point is
    /// a dot.
    fn line(&mut self, points: &[[f64; 2]], width: f64, color: Color, alpha: f64) {
        let reach = width / 2.0 + 1.0;
        let bound = |pick: fn(f64, f64) -> f64, from: f64| {
            points.iter().filter(|p| p[0].is_finite() && p[1].is_finite()).fold([from; 2], |b, p| [pick(b[0], p[0]), pick(b[1], p[1])])
        };
        let (low, high) = (bound(f64::min, f64::INFINITY), bound(f64::max, f64::NEG_INFINITY));
        if low[0] > high[0] {
            return;
        }
        let [xs, ys] = self.pixels([low[0] - reach, low[1] - reach], [high[0] + reach, high[1] + reach]);
        let mut mask = vec![0f64; xs.len() * ys.len()];
        let single = [[points[0], points[0]]];
        let segments = points.windows(2).map(|w| [w[0], w[1]]);
        for [a, b] in segments.chain(single.into_iter().filter(|_| points.len() == 1)) {
            let (d, low) = ([b[0] - a[0], b[1] - a[1]], [a[0].min(b[0]) - reach, a[1].min(b[1]) - reach]);
            if !(d[0].is_finite() && d[1].is_finite()) {
                continue;
            }
            let length2 = (d[0] * d[0] + d[1] * d[1]).max(1e-12);
            let [sx, sy] = self.pixels(low, [a[0].max(b[0]) + reach, a[1].max(b[1]) + reach]);
            for y in sy {
                for x in sx.clone() {
                    let p = [x as f64 + 0.5 - a[0], y as f64 + 0.5 - a[1]];
                    let t = ((p[0] * d[0] + p[1] * d[1]) / length2).clamp(0.0, 1.0);
                    let cover = (width / 2.0 + 0.5 - (p[0] - t * d[0]).hypot(p[1] - t * d[1])).clamp(0.0, 1.0).min(width);
                    let m = &mut mask[(y - ys.start) * xs.len() + (x - xs.start)];
                    *m = m.max(cover);
                }
            }
        }
        for (i, cover) in mask.into_iter().enumerate().filter(|(_, c)| *c > 0.0) {
            self.blend(xs.start + i % xs.len(), ys.start + i / xs.len(), color, alpha * cover);
        }
    }

    /// A filled rectangle, to the nearest pixel edges.
    fn rect(&mut self, low: [f64; 2], high: [f64; 2], color: Color, alpha: f64) {
        let [xs, ys] = self.pixels([low[0].round(), low[1].round()], [high[0].round(), high[1].round()]);
        for y in ys {
            for x in xs.clone() {
                self.blend(x, y, color, alpha);
            }
        }
    }

    /// A text whose baseline goes through `at`, running upwards where the second of `how` says so; `cap` is the
    /// height of its capitals.
    fn text(&mut self, at: [f64; 2], cap: f64, (anchor, upright): (Anchor, bool), color: Color, text: &str) {
        let unit = cap / font::CAP;
        let (strokes, width) = font::strokes(text);
        let begins = match anchor {
            Anchor::Left => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::Right => -width,
        };
        for stroke in strokes {
            let points = stroke.iter().map(|p| [unit * (p[0] + begins), unit * p[1]]);
            let points: Vec<[f64; 2]> =
                points.map(|[x, y]| if upright { [at[0] - y, at[1] - x] } else { [at[0] + x, at[1] - y] }).collect();
            self.line(&points, (0.15 * cap).max(1.0), color, 1.0);
        }
    }

    /// An image between two corners, each of its pixels a rectangle.
    fn image(&mut self, [low, high]: [[f64; 2]; 2], [columns, rows]: [usize; 2], rgba: &[u8]) {
        let [xs, ys] = self.pixels(low.map(f64::round), high.map(f64::round));
        let index = |v: usize, axis: usize, n: usize| {
            let share = (v as f64 + 0.5 - low[axis].round()) / (high[axis].round() - low[axis].round());
            ((share * n as f64) as usize).min(n.saturating_sub(1))
        };
        for y in ys {
            for x in xs.clone() {
                if let Some([r, g, b, a]) =
                    rgba.get(4 * (index(y, 1, rows) * columns + index(x, 0, columns))..).and_then(|p| p.first_chunk())
                {
                    self.blend(x, y, [*r, *g, *b], f64::from(*a) / 255.0);
                }
            }
        }
    }

    /// As a PNG file.
    pub fn png(&self) -> Vec<u8> {
        let bytes: Vec<u8> = self.rgb.iter().map(|v| v.round() as u8).collect();
        png([self.width, self.height], 3, &bytes)
    }
}

/// Height of capitals in units of a font's height.
const CAPITALS: f64 = 0.72;

/// Width of a text in units of the font's height.
pub fn width(text: &str) -> f64 {
    CAPITALS / font::CAP * font::strokes(text).1
}

/// Pixels as a PNG file (ISO/IEC 15948): signature, header, one compressed chunk of rows, end. `channels` is 3, or
/// 4 with alpha.
pub fn png([width, height]: [usize; 2], channels: usize, pixels: &[u8]) -> Vec<u8> {
    let mut rows = Vec::with_capacity(height * (1 + channels * width));
    for row in pixels.chunks_exact((channels * width).max(1)) {
        // Filter 1: each byte is stored as its difference from the same colour of the pixel to the left.
        rows.push(1);
        rows.extend((0..row.len()).map(|i| row[i].wrapping_sub(if i < channels { 0 } else { row[i - channels] })));
    }
    let mut header = Vec::new();
    header.extend((width as u32).to_be_bytes());
    header.extend((height as u32).to_be_bytes());
    header.extend([8, if channels == 4 { 6 } else { 2 }, 0, 0, 0]); // eight bits, RGB or RGBA, deflate, no interlace
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [(b"IHDR", header), (b"IDAT", packed(&rows)), (b"IEND", Vec::new())] {
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(&data);
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(name);
        png.extend(data);
        png.extend(crc.sum().to_be_bytes());
    }
    png
}

/// Bytes compressed (zlib, RFC 1950).
pub fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    packed.write_all(bytes).and_then(|()| packed.finish()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::figure::{BLUE, ORANGE};
    use super::*;

    #[test]
    fn shapes_cover_their_area() {
        let mut c = Raster::new(100, 100);
        let ink = |c: &Raster| c.rgb.iter().map(|v| f64::from(255.0 - v)).sum::<f64>() / 765.0;
        c.disc([50.3, 49.6], 20.0, [0; 3], 1.0);
        assert!((ink(&c) / (std::f64::consts::PI * 400.0) - 1.0).abs() < 0.01);
        let mut c = Raster::new(100, 100);
        c.line(&[[20.0, 20.0], [80.0, 60.0], [20.0, 20.0]], 4.0, [0; 3], 1.0);
        let expected = 4.0 * 60f64.hypot(40.0) + std::f64::consts::PI * 4.0;
        assert!((ink(&c) / expected - 1.0).abs() < 0.02, "{} {expected}", ink(&c));
        let mut c = Raster::new(10, 10);
        c.rect([2.0, 3.0], [5.0, 20.0], BLUE, 1.0);
        assert_eq!((c.pixel(2, 3), c.pixel(4, 9), c.pixel(5, 5), c.pixel(2, 2)), (BLUE, BLUE, [255; 3], [255; 3]));
        // Outside of the image, and at no place at all.
        c.disc([1e300, -5.0], 3.0, BLUE, 1.0);
        c.line(&[[f64::NAN, 0.0], [f64::INFINITY, 3.0]], 1.0, BLUE, 1.0);
        c.line(&[], 1.0, BLUE, 1.0);
    }

    #[test]
    fn the_png_holds_the_pixels() {
        let mut c = Raster::new(5, 3);
        c.rect([1.0, 1.0], [3.0, 3.0], ORANGE, 1.0);
        let png = c.png();
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        let at = png.windows(4).position(|w| w == b"IDAT").unwrap();
        let size = u32::from_be_bytes(png[at - 4..at].try_into().unwrap()) as usize;
        let mut rows = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(&png[at + 4..at + 4 + size]), &mut rows).unwrap();
        for (y, row) in rows.chunks(16).enumerate() {
            let mut value = [0u8; 3];
            for x in 0..5 {
                value = std::array::from_fn(|k| value[k].wrapping_add(row[1 + 3 * x + k]));
                assert_eq!(value, c.pixel(x, y));
            }
        }
        // The checksum of an empty IEND chunk is known.
        assert_eq!(&png[png.len() - 4..], &0xAE42_6082u32.to_be_bytes());
    }
}
