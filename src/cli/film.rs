//! Frames of noising and denoising: points of the plane, or images, for the slider of a page.

use super::encode::{base64, escape, unbase64};
use crate::data::{ImageShape, write_whole};
use crate::{Error, Result};
use ndarray::ArrayView3;
use serde_json::{Value, json};
use std::path::Path;

/// Images beside each other.
const COLUMNS: usize = 4;
/// Side of the picture of points, in pixels of the screen.
const SIDE: usize = 480;

/// What a frame shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// x and y of each point, in 255ths of the window.
    Points,
    /// Images one after another, row by row: ink from 0 to 255, or red, green and blue.
    Images { width: usize, height: usize, channels: usize },
}

/// The frames, one after another.
#[derive(Debug, Clone, PartialEq)]
pub struct Film {
    kind: Kind,
    labels: Vec<String>,
    bytes: Vec<u8>,
}

impl Film {
    /// Of points, `[frames, n, d]` with d >= 2, the first two coordinates inside of `window`; a label for each
    /// frame.
    pub fn points(labels: Vec<String>, frames: ArrayView3<f64>, window: [[f64; 2]; 2]) -> Self {
        let byte = |v: f64, [a, b]: [f64; 2]| (255.0 * (v - a) / (b - a)).round() as u8;
        let bytes = frames.rows().into_iter().flat_map(|p| [byte(p[0], window[0]), byte(p[1], window[1])]).collect();
        Film { kind: Kind::Points, labels, bytes }
    }

    /// Of images, `[frames, n, height * width * channels]`; values beyond their range are cut.
    pub fn images(labels: Vec<String>, frames: ArrayView3<f64>, shape: ImageShape) -> Self {
        let [low, high] = shape.range;
        let bytes = frames.iter().map(|v| (255.0 * (v - low) / (high - low)).round() as u8).collect();
        let ImageShape { height, width, channels, .. } = shape;
        Film { kind: Kind::Images { width, height, channels }, labels, bytes }
    }

    /// Writes the file.
    /// # Errors
    /// `File` where writing fails.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_whole(path, format!("{}\n", self.json()).as_bytes()).map_err(|e| Error::io(path, "cannot be written", &e))
    }

    /// Reads what [`Film::write`] writes; nothing where that is not there, or is something else.
    pub fn read(path: &Path) -> Option<Film> {
        let all: Value = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
        let count =
            |key: &str| all.get(key).and_then(Value::as_u64).and_then(|v| usize::try_from(v).ok()).filter(|v| *v > 0 && *v < 1 << 16);
        let kind = match all.get("kind")?.as_str()? {
            "points" => Kind::Points,
            "images" => Kind::Images { width: count("width")?, height: count("height")?, channels: count("channels")? },
            _ => return None,
        };
        let labels: Vec<String> = all.get("labels")?.as_array()?.iter().map(|l| l.as_str().map(str::to_owned)).collect::<Option<_>>()?;
        let bytes = unbase64(all.get("bytes")?.as_str()?)?;
        let film = Film { kind, labels, bytes };
        (!film.labels.is_empty() && film.bytes.len().is_multiple_of(film.labels.len() * film.unit())).then_some(film)
    }

    /// Bytes of a point, or of an image.
    fn unit(&self) -> usize {
        match self.kind {
            Kind::Points => 2,
            Kind::Images { width, height, channels } => width * height * channels,
        }
    }

    /// Width and height of the picture, in pixels of its own.
    fn size(&self) -> [usize; 2] {
        match self.kind {
            Kind::Points => [SIDE; 2],
            Kind::Images { width, height, .. } => {
                let n = self.bytes.len() / self.unit() / self.labels.len();
                // A pixel apart.
                [(width + 1) * COLUMNS.min(n) - 1, (height + 1) * n.div_ceil(COLUMNS) - 1]
            }
        }
    }

    fn json(&self) -> Value {
        let bytes = base64(&self.bytes);
        match self.kind {
            Kind::Points => json!({"kind": "points", "labels": self.labels, "bytes": bytes}),
            Kind::Images { width, height, channels } => {
                json!({"kind": "images", "labels": self.labels, "width": width, "height": height, "channels": channels, "columns": COLUMNS, "bytes": bytes})
            }
        }
    }

    /// The slider, which is there only with script.
    pub fn html(&self, caption: &str) -> String {
        // Nothing in it ends the element.
        let data = self.json().to_string().replace('<', "\\u003c");
        let ([width, height], last) = (self.size(), self.labels.len() - 1);
        format!(
            "<figure class=\"frames\" hidden><canvas width=\"{width}\" height=\"{height}\"></canvas>\n\
             <label><input type=\"range\" min=\"0\" max=\"{last}\" value=\"0\" aria-label=\"frame\"> <output></output></label>\n\
             <script type=\"application/json\">{data}</script>\n<figcaption>{}</figcaption></figure>\n",
            escape(caption)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, array};

    #[test]
    fn a_film_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("film.json");
        let labels = vec!["noising, t = 0".to_owned(), "</script><b>".to_owned()];
        let points =
            Film::points(labels.clone(), array![[[0.0, 1.0], [5.0, f64::NAN]], [[-1.0, 0.5], [0.25, 0.0]]].view(), [[0.0, 1.0]; 2]);
        assert_eq!(points.bytes, [0, 255, 255, 0, 0, 128, 64, 0]);
        let shape = ImageShape { height: 2, width: 3, channels: 1, range: [0.0, 16.0], levels: None };
        let images = Film::images(labels, Array3::from_shape_fn((2, 5, 6), |(i, j, k)| (i + j + k) as f64).view(), shape);
        assert_eq!(images.size(), [15, 5]);
        for film in [points, images] {
            film.write(&path).unwrap();
            assert_eq!(Film::read(&path).unwrap(), film);
            assert!(film.html("a < b").matches("</script>").count() == 1);
        }
        for wrong in
            ["", "{}", "{\"kind\":\"points\",\"labels\":[],\"bytes\":\"\"}", "{\"kind\":\"points\",\"labels\":[\"a\"],\"bytes\":\"AAAA\"}"]
        {
            std::fs::write(&path, wrong).unwrap();
            assert_eq!(Film::read(&path), None, "{wrong}");
        }
    }
}
