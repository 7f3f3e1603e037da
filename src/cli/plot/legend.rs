//! Colours of curves, and the column of names right of a panel.

use super::canvas::{Anchor, Canvas, Color, INK};

/// Colours of the curves, in turn.
const COLORS: [Color; 10] = [
    [37, 99, 175],
    [222, 110, 32],
    [44, 140, 80],
    [190, 50, 60],
    [125, 80, 170],
    [130, 90, 70],
    [210, 100, 170],
    [95, 105, 115],
    [150, 150, 40],
    [30, 160, 180],
];

/// The colour of curve `i`: behind the last one they come again, darker.
pub fn color(i: usize) -> Color {
    let c = COLORS[i % COLORS.len()];
    if i < COLORS.len() { c } else { c.map(|v| v / 2) }
}

/// Room right of the panel, for the legend.
pub const LEGEND: f64 = 440.0;

/// The name of curve `i`.
pub fn entry(canvas: &mut Canvas, i: usize, name: &str) {
    let at = [canvas.size().0 - LEGEND + 40.0, 100.0 + 44.0 * i as f64];
    canvas.line(&[at, [at[0] + 36.0, at[1]]], 5.0, color(i), 1.0);
    canvas.text([at[0] + 52.0, at[1] + 7.0], 14.0, Anchor::Left, INK, name);
}
