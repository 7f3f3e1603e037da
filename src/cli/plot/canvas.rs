//! An image to draw on, with anti-aliased shapes: a pixel takes as much of the colour as the shape covers of
//! it, taken from its centre's distance to the shape. And its PNG.

use super::font;
use crate::{Error, Result};
use flate2::{Compression, Crc, write::ZlibEncoder};
use std::io::Write;
use std::path::Path;

/// Red, green, blue.
pub type Color = [u8; 3];

/// Text and axes.
pub const INK: Color = [38, 44, 54];
/// Secondary text.
pub const MUTED: Color = [112, 120, 132];
/// Grid lines and frames.
pub const FAINT: Color = [226, 229, 234];
/// The data.
pub const BLUE: Color = [37, 99, 175];
/// The samples.
pub const ORANGE: Color = [222, 110, 32];

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Left,
    /// Its middle is there.
    Middle,
    /// It ends there.
    Right,
}

/// An image; (0, 0) is the upper left corner, units are pixels, pixel (i, j) has its centre at (i + 1/2, j +
/// 1/2).
#[derive(Debug, Clone, PartialEq)]
pub struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<f32>,
}

impl Canvas {
    /// White paper.
    pub fn new(width: usize, height: usize) -> Self {
        Canvas { width, height, rgb: vec![255.0; 3 * width * height] }
    }

    /// (width, height).
    pub fn size(&self) -> (f64, f64) {
        (self.width as f64, self.height as f64)
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
    pub fn disc(&mut self, at: [f64; 2], radius: f64, color: Color, alpha: f64) {
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
    pub fn line(&mut self, points: &[[f64; 2]], width: f64, color: Color, alpha: f64) {
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
    pub fn rect(&mut self, low: [f64; 2], high: [f64; 2], color: Color, alpha: f64) {
        let [xs, ys] = self.pixels([low[0].round(), low[1].round()], [high[0].round(), high[1].round()]);
        for y in ys {
            for x in xs.clone() {
                self.blend(x, y, color, alpha);
            }
        }
    }

    /// A text whose baseline goes through `at`; `cap` is the height of its capitals.
    pub fn text(&mut self, at: [f64; 2], cap: f64, anchor: Anchor, color: Color, text: &str) {
        let unit = cap / font::CAP;
        let (strokes, width) = font::strokes(text);
        let left = at[0]
            - unit
                * match anchor {
                    Anchor::Left => 0.0,
                    Anchor::Middle => width / 2.0,
                    Anchor::Right => width,
                };
        for stroke in strokes {
            let points: Vec<[f64; 2]> = stroke.iter().map(|p| [left + unit * p[0], at[1] - unit * p[1]]).collect();
            self.line(&points, (0.15 * cap).max(1.0), color, 1.0);
        }
    }

    /// Draws `part` with its upper left corner at (x, y), cut to the image.
    pub fn paste(&mut self, part: &Canvas, x: usize, y: usize) {
        let columns = part.width.min(self.width.saturating_sub(x));
        for row in 0..part.height.min(self.height.saturating_sub(y)) {
            let from = &part.rgb[3 * row * part.width..][..3 * columns];
            self.rgb[3 * ((y + row) * self.width + x)..][..3 * columns].copy_from_slice(from);
        }
    }

    /// The image as a PNG file (ISO/IEC 15948): signature, header, one compressed chunk of rows, end.
    pub fn png(&self) -> Vec<u8> {
        let mut rows = Vec::with_capacity(self.height * (1 + 3 * self.width));
        for row in self.rgb.chunks_exact(3 * self.width.max(1)) {
            // Filter 1: each byte is stored as its difference from the same colour of the pixel to the left.
            rows.push(1);
            let bytes: Vec<u8> = row.iter().map(|v| v.round() as u8).collect();
            rows.extend((0..bytes.len()).map(|i| bytes[i].wrapping_sub(if i < 3 { 0 } else { bytes[i - 3] })));
        }
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail.
        let packed = packed.write_all(&rows).and_then(|()| packed.finish()).unwrap_or_default();
        let mut header = Vec::new();
        header.extend((self.width as u32).to_be_bytes());
        header.extend((self.height as u32).to_be_bytes());
        header.extend([8, 2, 0, 0, 0]); // eight bits, RGB, deflate, no interlace
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        for (name, data) in [(b"IHDR", &header), (b"IDAT", &packed), (b"IEND", &Vec::new())] {
            let mut crc = Crc::new();
            crc.update(name);
            crc.update(data);
            png.extend((data.len() as u32).to_be_bytes());
            png.extend(name);
            png.extend(data);
            png.extend(crc.sum().to_be_bytes());
        }
        png
    }

    /// Writes the PNG.
    /// # Errors
    /// `File` where writing fails.
    pub fn save(&self, path: &Path) -> Result<()> {
        crate::data::write_whole(path, &self.png()).map_err(|e| Error::io(path, "the picture cannot be written", &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_cover_their_area() {
        let mut c = Canvas::new(100, 100);
        let ink = |c: &Canvas| c.rgb.iter().map(|v| f64::from(255.0 - v)).sum::<f64>() / 765.0;
        c.disc([50.3, 49.6], 20.0, [0; 3], 1.0);
        assert!((ink(&c) / (std::f64::consts::PI * 400.0) - 1.0).abs() < 0.01);
        let mut c = Canvas::new(100, 100);
        c.line(&[[20.0, 20.0], [80.0, 60.0], [20.0, 20.0]], 4.0, [0; 3], 1.0);
        let expected = 4.0 * 60f64.hypot(40.0) + std::f64::consts::PI * 4.0;
        assert!((ink(&c) / expected - 1.0).abs() < 0.02, "{} {expected}", ink(&c));
        let mut c = Canvas::new(10, 10);
        c.rect([2.0, 3.0], [5.0, 20.0], BLUE, 1.0);
        assert_eq!((c.pixel(2, 3), c.pixel(4, 9), c.pixel(5, 5), c.pixel(2, 2)), (BLUE, BLUE, [255; 3], [255; 3]));
        // Outside of the image, and at no place at all.
        c.disc([1e300, -5.0], 3.0, BLUE, 1.0);
        c.line(&[[f64::NAN, 0.0], [f64::INFINITY, 3.0]], 1.0, BLUE, 1.0);
        c.line(&[], 1.0, BLUE, 1.0);
    }

    #[test]
    fn the_png_holds_the_pixels() {
        let mut c = Canvas::new(5, 3);
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
