//! A panel with axes: ranges, round tick marks, frame, title.

use super::canvas::{Anchor, Canvas, FAINT, INK, MUTED};

/// Height of capitals of a title.
const TITLE: f64 = 17.0;
/// Height of capitals of tick labels.
const LABEL: f64 = 13.0;

/// A rectangle of the image and the ranges that it shows.
#[derive(Debug, Clone, Copy)]
pub struct Axes {
    /// Left and upper edge, in pixels.
    pub low: [f64; 2],
    /// Right and lower edge, in pixels.
    pub high: [f64; 2],
    /// Values at the left and right edge.
    pub x: [f64; 2],
    /// Values at the lower and upper edge.
    pub y: [f64; 2],
    /// Whether x is shown by its logarithm; its range is then positive.
    pub log_x: bool,
    /// Whether y is.
    pub log_y: bool,
}

impl Axes {
    /// The pixel of a point.
    pub fn at(&self, x: f64, y: f64) -> [f64; 2] {
        // The share of the range that lies before v.
        let share = |v: f64, [a, b]: [f64; 2], log: bool| if log { (v / a).ln() / (b / a).ln() } else { (v - a) / (b - a) };
        [
            self.low[0] + share(x, self.x, self.log_x) * (self.high[0] - self.low[0]),
            self.high[1] - share(y, self.y, self.log_y) * (self.high[1] - self.low[1]),
        ]
    }

    /// Whether a point lies in the ranges.
    pub fn holds(&self, x: f64, y: f64) -> bool {
        (self.x[0]..=self.x[1]).contains(&x) && (self.y[0]..=self.y[1]).contains(&y)
    }

    /// Grid lines and their numbers.
    pub fn frame(&self, canvas: &mut Canvas) {
        for x in if self.log_x { log_ticks(self.x) } else { ticks(self.x) } {
            let p = self.at(x, self.y[0]);
            canvas.line(&[[p[0], self.low[1]], [p[0], self.high[1]]], 1.5, FAINT, 1.0);
            canvas.text([p[0], self.high[1] + 2.1 * LABEL], LABEL, Anchor::Middle, MUTED, &number(x));
        }
        for y in if self.log_y { log_ticks(self.y) } else { ticks(self.y) } {
            let p = self.at(self.x[0], y);
            canvas.line(&[[self.low[0], p[1]], [self.high[0], p[1]]], 1.5, FAINT, 1.0);
            canvas.text([self.low[0] - 0.9 * LABEL, p[1] + 0.5 * LABEL], LABEL, Anchor::Right, MUTED, &number(y));
        }
    }

    /// A line of text above the panel.
    pub fn title(&self, canvas: &mut Canvas, text: &str) {
        canvas.text([self.low[0], self.low[1] - 1.1 * TITLE], TITLE, Anchor::Left, INK, text);
    }
}

/// A range with some room around it; never empty.
pub fn padded([a, b]: [f64; 2], share: f64) -> [f64; 2] {
    let room = if b > a { share * (b - a) } else { 0.5 * a.abs().max(1.0) };
    [a - room, b + room]
}

/// Four to seven round numbers in a range: multiples of 1, 2 or 5 times a power of ten.
fn ticks([a, b]: [f64; 2]) -> Vec<f64> {
    let raw = (b - a) / 7.0;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw).unwrap_or(raw);
    let first = (a / step).ceil();
    (0..20).map(|i| (first + f64::from(i)) * step).take_while(|t| *t <= b + 1e-9 * step).collect()
}

/// Powers of ten, with 2 and 5 between them where there are few.
fn log_ticks([a, b]: [f64; 2]) -> Vec<f64> {
    let (low, high) = (a.log10().floor() as i32, b.log10().ceil() as i32);
    let every = ((high - low) / 6).max(1) as usize;
    let parts: &[f64] = if (b / a).log10() < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let all = (low..=high).step_by(every).flat_map(|e| parts.iter().map(move |p| p * 10f64.powi(e)));
    all.filter(|t| (a..=b).contains(t)).collect()
}

/// A tick's number, short.
fn number(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e5).contains(&x.abs()) {
        return format!("{x:e}");
    }
    let text = format!("{x:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let shown = |r: [f64; 2]| ticks(r).into_iter().map(number).collect::<Vec<_>>().join(" ");
        assert_eq!(shown([-1.1, 1.1]), "-1 -0.5 0 0.5 1");
        assert_eq!(shown([0.0, 2000.0]), "0 500 1000 1500 2000");
        assert_eq!(shown([3e5, 3.1e6]), "5e5 1e6 1.5e6 2e6 2.5e6 3e6");
        assert_eq!(log_ticks([0.3, 30.0]), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
        assert!(ticks(padded([2.0, 2.0], 0.1)).len() >= 2);
    }
}
