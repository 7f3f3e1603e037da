//! What a picture shows, as shapes in panels: drawn once, written as PNG, SVG or PDF.

use super::axes::Axes;
use super::{pdf, raster::Raster, svg};
use crate::data::write_whole;
use crate::{Error, Result};
use std::path::Path;

/// Red, green, blue.
pub type Color = [u8; 3];

/// Text and axes.
pub const INK: Color = [38, 44, 54];
/// Secondary text.
pub const MUTED: Color = [95, 102, 114];
/// Grid lines and frames.
pub const FAINT: Color = [226, 229, 234];
/// The data.
pub const BLUE: Color = [0, 114, 178];
/// The samples.
pub const ORANGE: Color = [213, 94, 0];

/// Pixels of the PNG for each unit of a panel.
const SCALE: f64 = 2.0;

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

/// One thing to see. Units are those of the panel: a pixel of the page.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Filled circles.
    Discs {
        /// Their centres.
        at: Vec<[f64; 2]>,
        /// Their radius.
        radius: f64,
        /// Their colour.
        color: Color,
        /// 1: covers what lies below it.
        alpha: f64,
    },
    /// A line through points, with round ends and joints.
    Line {
        /// The points.
        points: Vec<[f64; 2]>,
        /// Its width.
        width: f64,
        /// Its colour.
        color: Color,
        /// 1: covers what lies below it.
        alpha: f64,
        /// Of a curve whose values a page tells under the pointer: its name.
        name: Option<String>,
    },
    /// A filled rectangle.
    Rect {
        /// Upper left corner.
        low: [f64; 2],
        /// Lower right corner.
        high: [f64; 2],
        /// Its colour.
        color: Color,
    },
    /// A line of text.
    Text {
        /// A point of its baseline.
        at: [f64; 2],
        /// Height of the font.
        size: f64,
        /// How it stands to the point.
        anchor: Anchor,
        /// Its colour.
        color: Color,
        /// What it says.
        text: String,
        /// Whether it is turned to run upwards.
        upright: bool,
    },
    /// An image, each of its pixels a rectangle.
    Image {
        /// Upper left corner.
        low: [f64; 2],
        /// Lower right corner.
        high: [f64; 2],
        /// Columns and rows.
        size: [usize; 2],
        /// Red, green, blue and alpha of the pixels, row by row.
        rgba: Vec<u8>,
    },
}

/// A rectangle of paper with shapes; (0, 0) is its upper left corner.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
    /// What is on it, from below.
    pub shapes: Vec<Shape>,
    /// The axes of its curves.
    pub axes: Option<Axes>,
}

impl Panel {
    /// White paper.
    pub fn new(width: f64, height: f64) -> Self {
        Panel { width, height, shapes: Vec::new(), axes: None }
    }

    /// Filled circles.
    pub fn discs(&mut self, at: Vec<[f64; 2]>, radius: f64, color: Color, alpha: f64) {
        self.shapes.push(Shape::Discs { at, radius, color, alpha });
    }

    /// A line through points.
    pub fn line(&mut self, points: &[[f64; 2]], width: f64, color: Color, alpha: f64) {
        self.shapes.push(Shape::Line { points: points.to_vec(), width, color, alpha, name: None });
    }

    /// A filled rectangle.
    pub fn rect(&mut self, low: [f64; 2], high: [f64; 2], color: Color) {
        self.shapes.push(Shape::Rect { low, high, color });
    }

    /// A text whose baseline goes through `at`.
    pub fn text(&mut self, at: [f64; 2], size: f64, anchor: Anchor, color: Color, text: &str) {
        self.shapes.push(Shape::Text { at, size, anchor, color, text: text.to_owned(), upright: false });
    }

    /// A text that runs upwards, with its middle at `at`.
    pub fn upright(&mut self, at: [f64; 2], size: f64, color: Color, text: &str) {
        self.shapes.push(Shape::Text { at, size, anchor: Anchor::Middle, color, text: text.to_owned(), upright: true });
    }
}

/// Panels that belong together: side by side in a file, and on a page where there is room for that.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figure {
    /// The panels.
    pub panels: Vec<Panel>,
}

impl Figure {
    /// A figure of these panels.
    pub fn new(panels: Vec<Panel>) -> Self {
        Figure { panels }
    }

    /// (width, height).
    pub fn size(&self) -> (f64, f64) {
        (self.panels.iter().map(|p| p.width).sum(), self.panels.iter().map(|p| p.height).fold(0.0, f64::max))
    }

    /// Its pixels.
    pub fn raster(&self) -> Raster {
        let (width, height) = self.size();
        let mut all = Raster::new((SCALE * width) as usize, (SCALE * height) as usize);
        let mut left = 0.0;
        for panel in &self.panels {
            panel.shapes.iter().for_each(|shape| all.draw(shape, SCALE, left));
            left += panel.width;
        }
        all
    }

    /// As a PNG file.
    pub fn png(&self) -> Vec<u8> {
        self.raster().png()
    }

    /// Its panels as elements for a page.
    pub fn html(&self) -> String {
        self.panels.iter().map(|p| svg::panel(p, 0.0)).collect()
    }

    /// Writes the picture: as SVG or PDF where the name ends so, as PNG otherwise.
    /// # Errors
    /// `File` where writing fails.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes = match path.extension().and_then(|e| e.to_str()) {
            Some("svg") => svg::document(self).into_bytes(),
            Some("pdf") => pdf::document(self),
            _ => self.png(),
        };
        write_whole(path, &bytes).map_err(|e| Error::io(path, "the picture cannot be written", &e))
    }

    /// Writes the picture as PNG, SVG and PDF; `path` names the first.
    /// # Errors
    /// `File` where writing fails.
    pub fn save_all(&self, path: &Path) -> Result<()> {
        ["png", "svg", "pdf"].iter().try_for_each(|kind| self.save(&path.with_extension(kind)))
    }
}
