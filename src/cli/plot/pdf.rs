//! A figure as PDF 1.4 (ISO 32000): one page of vector shapes, text in Helvetica, which every reader has.

use super::figure::{Anchor, Color, Figure, Shape};
use super::raster::packed;
use std::fmt::Write;

/// Points of a PDF (1/72 inch) in a pixel of a page (1/96 inch).
const POINT: f64 = 0.75;

/// Widths of the letters of Helvetica from the blank on, in thousandths of its height (Adobe Font Metrics).
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278,
    278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722,
    667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556,
    556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// The file.
pub fn document(figure: &Figure) -> Vec<u8> {
    let (width, height) = figure.size();
    let mut page = Page { content: format!("{POINT} 0 0 {POINT} 0 0 cm\n1 J 1 j\n"), height, alphas: Vec::new(), images: Vec::new() };
    let mut left = 0.0;
    for panel in &figure.panels {
        panel.shapes.iter().for_each(|shape| page.draw(shape, left));
        left += panel.width;
    }
    // Objects 1 to 5, then two for each image: its colours and its alpha.
    let mut objects: Vec<Vec<u8>> =
        vec![b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(), b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec()];
    let states: String = page.alphas.iter().enumerate().map(|(i, a)| format!("/A{i} << /CA {a} /ca {a} >> ")).collect();
    let images: String = (0..page.images.len()).map(|i| format!("/I{i} {} 0 R ", 6 + 2 * i)).collect();
    objects.push(
        format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {:.2} {:.2}] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> \
             /ExtGState << {states}>> /XObject << {images}>> >> >>",
            POINT * width,
            POINT * height
        )
        .into_bytes(),
    );
    objects.push(stream("", page.content.as_bytes()));
    objects.push(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec());
    for (i, ([columns, rows], rgba)) in page.images.iter().enumerate() {
        let [colours, alpha] =
            [&[0, 1, 2][..], &[3]].map(|c| rgba.chunks_exact(4).flat_map(|p| c.iter().map(|k| p[*k])).collect::<Vec<u8>>());
        let image = |space: &str| {
            format!("/Type /XObject /Subtype /Image /Width {columns} /Height {rows} /BitsPerComponent 8 /ColorSpace /{space} ")
        };
        objects.push(stream(&format!("{}/SMask {} 0 R ", image("DeviceRGB"), 7 + 2 * i), &colours));
        objects.push(stream(&image("DeviceGray"), &alpha));
    }
    whole(&objects)
}

/// A compressed stream.
fn stream(entries: &str, bytes: &[u8]) -> Vec<u8> {
    let data = packed(bytes);
    let mut out = format!("<< {entries}/Filter /FlateDecode /Length {} >>\nstream\n", data.len()).into_bytes();
    out.extend(data);
    out.extend(b"\nendstream");
    out
}

/// The objects, numbered from 1 on, with the table of their places.
fn whole(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut places = String::new();
    for (i, object) in objects.iter().enumerate() {
        places += &format!("{:010} 00000 n \n", out.len());
        out.extend(format!("{} 0 obj\n", i + 1).bytes());
        out.extend(object);
        out.extend(b"\nendobj\n");
    }
    let (table, count) = (out.len(), objects.len() + 1);
    out.extend(
        format!("xref\n0 {count}\n0000000000 65535 f \n{places}trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n")
            .bytes(),
    );
    out
}

/// The content of the page.
struct Page {
    content: String,
    height: f64,
    alphas: Vec<f64>,
    images: Vec<([usize; 2], Vec<u8>)>,
}

impl Page {
    fn draw(&mut self, shape: &Shape, left: f64) {
        let height = self.height;
        let place = |p: &[f64; 2]| format!("{:.2} {:.2}", p[0] + left, height - p[1]);
        // Writing to a string does not fail.
        let _ = match shape {
            Shape::Discs { at, radius, color, alpha } => {
                self.pen(*color, 2.0 * radius, *alpha);
                // A line of no length with round ends.
                at.iter().for_each(|p| self.content += &format!("{0} m {0} l S\n", place(p)));
                Ok(())
            }
            Shape::Line { points, width, color, alpha, .. } => {
                self.pen(*color, *width, *alpha);
                let line: Vec<String> = points.iter().filter(|p| p[0].is_finite() && p[1].is_finite()).map(place).collect();
                match &line[..] {
                    [] => Ok(()),
                    [one] => writeln!(self.content, "{one} m {one} l S"),
                    _ => writeln!(self.content, "{} l S", line.join(" l ").replacen(" l ", " m ", 1)),
                }
            }
            Shape::Rect { low, high, color } => {
                self.alpha(1.0);
                let corner = place(&[low[0], high[1]]);
                writeln!(self.content, "{} rg {corner} {:.2} {:.2} re f", rgb(*color), high[0] - low[0], high[1] - low[1])
            }
            Shape::Text { at, size, anchor, color, text, upright } => {
                self.alpha(1.0);
                let share = match anchor {
                    Anchor::Left => 0.0,
                    Anchor::Middle => 0.5,
                    Anchor::Right => 1.0,
                };
                let back = share * width(text) * size;
                let (x, y) = (at[0] + left, height - at[1]);
                let matrix = if *upright { format!("0 1 -1 0 {x:.2} {:.2}", y - back) } else { format!("1 0 0 1 {:.2} {y:.2}", x - back) };
                writeln!(self.content, "BT {} rg /F {size} Tf {matrix} Tm ({}) Tj ET", rgb(*color), letters(text))
            }
            Shape::Image { low, high, size, rgba } => {
                self.alpha(1.0);
                let corner = place(&[low[0], high[1]]);
                let i = self.images.len();
                self.images.push((*size, rgba.clone()));
                writeln!(self.content, "q {:.2} 0 0 {:.2} {corner} cm /I{i} Do Q", high[0] - low[0], high[1] - low[1])
            }
        };
    }

    fn pen(&mut self, color: Color, width: f64, alpha: f64) {
        self.alpha(alpha);
        let _ = writeln!(self.content, "{} RG {width:.2} w", rgb(color));
    }

    fn alpha(&mut self, alpha: f64) {
        let i = self.alphas.iter().position(|a| *a == alpha).unwrap_or(self.alphas.len());
        if i == self.alphas.len() {
            self.alphas.push(alpha);
        }
        let _ = writeln!(self.content, "/A{i} gs");
    }
}

fn rgb(color: Color) -> String {
    color.map(|c| format!("{:.3}", f64::from(c) / 255.0)).join(" ")
}

/// Width of a text in units of the font's height; a letter that the table lacks counts as a digit.
pub fn width(text: &str) -> f64 {
    let one = |c: char| (c as usize).checked_sub(32).and_then(|i| WIDTHS.get(i)).map_or(0.556, |w| f64::from(*w) / 1000.0);
    text.chars().map(one).sum()
}

/// A text as the bytes of a string: what is not ASCII by its number in Latin 1, a question mark beyond.
fn letters(text: &str) -> String {
    let one = |c: char| match c {
        '(' | ')' | '\\' => format!("\\{c}"),
        ' '..='~' => c.to_string(),
        '\u{a0}'..='\u{ff}' => format!("\\{:03o}", c as u32),
        _ => "?".to_owned(),
    };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::figure::{INK, Panel};
    use super::*;

    #[test]
    fn the_table_points_at_the_objects() {
        let mut panel = Panel::new(100.0, 80.0);
        panel.line(&[[0.0, 0.0], [10.0, 5.0], [20.0, 5.0]], 2.0, INK, 0.5);
        panel.text([5.0, 5.0], 13.0, Anchor::Right, INK, "a (b) \u{b1} \u{2013}");
        panel.shapes.push(Shape::Image { low: [0.0; 2], high: [8.0; 2], size: [1, 1], rgba: vec![1, 2, 3, 4] });
        let file = document(&Figure::new(vec![panel]));
        let text = String::from_utf8_lossy(&file).into_owned();
        let find = |what: &str| file.windows(what.len()).rposition(|w| w == what.as_bytes()).unwrap();
        let at: usize = text.split("startxref\n").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        assert_eq!(at, find("xref\n0 "));
        let table: Vec<usize> =
            text[text.find("xref\n0 ").unwrap()..].lines().filter(|l| l.ends_with(" n ")).map(|l| l[..10].parse().unwrap()).collect();
        assert_eq!(table.len(), 7);
        for (i, place) in table.iter().enumerate() {
            assert!(file[*place..].starts_with(format!("{} 0 obj", i + 1).as_bytes()), "{i}");
        }
        let mut content = String::new();
        let from = file.windows(7).position(|w| w == b"stream\n").unwrap() + 7;
        std::io::Read::read_to_string(&mut flate2::read::ZlibDecoder::new(&file[from..]), &mut content).unwrap();
        assert!(content.contains("0.00 80.00 m 10.00 75.00 l 20.00 75.00 l S") && content.contains("(a \\(b\\) \\261 ?) Tj"), "{content}");
    }

    #[test]
    fn widths_are_those_of_helvetica() {
        assert!((width("Hi") - 0.944).abs() < 1e-12 && (width("~") - 0.584).abs() < 1e-12);
    }
}
