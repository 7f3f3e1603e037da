//! Colours of curves, and the panel with their names.

use super::axes::LABEL;
use super::figure::{Anchor, BLUE, Color, INK, ORANGE, Panel};
use super::{pdf, raster};

/// Colours of the curves, in turn, told apart by the colour-blind, too: those of Okabe and Ito (2008), grey and
/// wine (Tol 2021).
const COLORS: [Color; 8] = [BLUE, ORANGE, [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233], [120, 120, 120], [136, 34, 85]];

/// The colour of curve `i`: behind the last one they come again, darker.
pub fn color(i: usize) -> Color {
    let round = (i / COLORS.len()).min(200) as u8;
    COLORS[i % COLORS.len()].map(|v| v / (1 + round))
}

/// Distance of the names.
const ROW: f64 = 21.0;
/// What stands left of a name.
const LEFT: f64 = 40.0;

/// A panel of names, in the order of the curves; `top` is where the axes beside it begin.
pub fn legend(names: &[String], top: f64) -> Panel {
    // The wider of the two fonts; that of a page may be a little wider than Helvetica.
    let width = |name: &String| LABEL * (1.1 * pdf::width(name)).max(raster::width(name));
    let widest = names.iter().map(width).fold(0.0, f64::max);
    let mut panel = Panel::new((LEFT + widest + 12.0).ceil(), top + ROW * names.len() as f64 + 8.0);
    for (i, name) in names.iter().enumerate() {
        let y = top + ROW * (i as f64 + 0.5);
        panel.line(&[[8.0, y], [30.0, y]], 3.0, color(i), 1.0);
        panel.text([LEFT, y + 0.36 * LABEL], LABEL, Anchor::Left, INK, name);
    }
    panel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_rounds_of_curves_have_their_own_colours() {
        let mut all: Vec<Color> = (0..32).map(color).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 32);
        assert!(color(40 * 8 + 3).iter().all(|v| *v < 10));
    }
}
