//! A panel with axes: ranges, round tick marks, frame, names, title; and curves that stay inside.

use super::figure::{Anchor, Color, FAINT, INK, MUTED, Panel, Shape};

/// Height of a title's font.
const TITLE: f64 = 15.0;
/// Height of the font of ticks and names.
pub const LABEL: f64 = 13.0;
/// Length of a tick mark.
const TICK: f64 = 4.0;
/// Width of a chart; its height is [`Chart::height`].
const WIDTH: f64 = 520.0;
/// Room left of, above, right of and below the axes of a chart.
const ROOM: [f64; 4] = [68.0, 34.0, 24.0, 52.0];

/// A rectangle of the panel and the ranges that it shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axes {
    /// Left and upper edge.
    pub low: [f64; 2],
    /// Right and lower edge.
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

/// What stands around the curves of a chart.
#[derive(Debug, Clone, Copy)]
pub struct Chart<'a> {
    /// Above it.
    pub title: &'a str,
    /// Quantity of the x axis, with its unit.
    pub x: &'a str,
    /// Quantity of the y axis, with its unit.
    pub y: &'a str,
    /// Height of the panel.
    pub height: f64,
}

impl Chart<'_> {
    /// A panel with its frame, over the ranges `x` and `y`; each is shown by its logarithm where `log` says so.
    pub fn panel(&self, x: [f64; 2], y: [f64; 2], [log_x, log_y]: [bool; 2]) -> (Panel, Axes) {
        let [left, top, right, bottom] = ROOM;
        let axes = Axes { low: [left, top], high: [WIDTH - right, self.height - bottom], x, y, log_x, log_y };
        let mut panel = Panel::new(WIDTH, self.height);
        axes.frame(&mut panel);
        axes.title(&mut panel, self.title);
        let middle = |axis: usize| 0.5 * (axes.low[axis] + axes.high[axis]);
        panel.text([middle(0), self.height - 10.0], LABEL, Anchor::Middle, INK, self.x);
        panel.upright([LABEL + 2.0, middle(1)], LABEL, INK, self.y);
        panel.axes = Some(axes);
        (panel, axes)
    }
}

impl Axes {
    /// The place of a point in the panel.
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

    /// Grid lines, tick marks and their numbers.
    pub fn frame(&self, panel: &mut Panel) {
        for x in if self.log_x { log_ticks(self.x) } else { ticks(self.x) } {
            let [x, bottom, text] = [self.at(x, self.y[0])[0], self.high[1], x];
            panel.line(&[[x, self.low[1]], [x, bottom]], 1.0, FAINT, 1.0);
            panel.line(&[[x, bottom], [x, bottom + TICK]], 1.0, MUTED, 1.0);
            panel.text([x, bottom + TICK + LABEL], LABEL, Anchor::Middle, MUTED, &number(text));
        }
        for y in if self.log_y { log_ticks(self.y) } else { ticks(self.y) } {
            let [y, left, text] = [self.at(self.x[0], y)[1], self.low[0], y];
            panel.line(&[[left, y], [self.high[0], y]], 1.0, FAINT, 1.0);
            panel.line(&[[left - TICK, y], [left, y]], 1.0, MUTED, 1.0);
            panel.text([left - TICK - 3.0, y + 0.36 * LABEL], LABEL, Anchor::Right, MUTED, &number(text));
        }
        panel.line(&[self.low, [self.low[0], self.high[1]], self.high], 1.0, MUTED, 1.0);
    }

    /// A line of text above the axes.
    pub fn title(&self, panel: &mut Panel, text: &str) {
        panel.text([self.low[0], self.low[1] - 12.0], TITLE, Anchor::Left, INK, text);
    }

    /// A curve through points given by their values; what lies outside of the ranges is cut off. A page tells the
    /// values of one with a name.
    pub fn curve(&self, panel: &mut Panel, points: &[[f64; 2]], (width, color, alpha): (f64, Color, f64), name: Option<&str>) {
        let placed: Vec<[f64; 2]> = points.iter().map(|p| self.at(p[0], p[1])).collect();
        for points in inside(&placed, self.low, self.high) {
            panel.shapes.push(Shape::Line { points, width, color, alpha, name: name.map(str::to_owned) });
        }
    }
}

/// The pieces of a line that lie in a rectangle (Liang and Barsky 1984); what is not finite breaks it.
fn inside(points: &[[f64; 2]], low: [f64; 2], high: [f64; 2]) -> Vec<Vec<[f64; 2]>> {
    let mut pieces: Vec<Vec<[f64; 2]>> = Vec::new();
    // Whether the last piece ends where the next segment begins.
    let mut open = false;
    for pair in points.windows(2) {
        let [a, b] = [pair[0], pair[1]];
        let (mut from, mut to) = (0.0f64, 1.0f64);
        for axis in 0..2 {
            let step = b[axis] - a[axis];
            let ends = [(low[axis] - a[axis]) / step, (high[axis] - a[axis]) / step];
            if step == 0.0 {
                to = if (low[axis]..=high[axis]).contains(&a[axis]) { to } else { -1.0 };
            } else {
                from = from.max(ends[0].min(ends[1]));
                to = to.min(ends[0].max(ends[1]));
            }
        }
        let finite = a.iter().chain(&b).all(|v| v.is_finite());
        if !finite || from > to {
            open = false;
            continue;
        }
        let at = |t: f64| [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])];
        match pieces.last_mut() {
            Some(piece) if open && from == 0.0 => piece.push(at(to)),
            _ => pieces.push(vec![at(from), at(to)]),
        }
        open = to == 1.0;
    }
    pieces
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

    #[test]
    fn what_is_outside_is_cut_off() {
        let cut = |points: &[[f64; 2]]| inside(points, [0.0, 0.0], [10.0, 10.0]);
        assert_eq!(cut(&[[1.0, 1.0], [2.0, 5.0], [3.0, 1.0]]), [vec![[1.0, 1.0], [2.0, 5.0], [3.0, 1.0]]]);
        // Out through the top and in again: two pieces.
        assert_eq!(cut(&[[0.0, 5.0], [4.0, 15.0], [8.0, 5.0]]), [vec![[0.0, 5.0], [2.0, 10.0]], vec![[6.0, 10.0], [8.0, 5.0]]]);
        assert_eq!(cut(&[[-5.0, 5.0], [15.0, 5.0]]), [vec![[0.0, 5.0], [10.0, 5.0]]]);
        assert!(cut(&[[-5.0, 1.0], [-1.0, 2.0], [-1.0, 30.0]]).is_empty());
        assert_eq!(cut(&[[1.0, 1.0], [2.0, f64::NAN], [3.0, 3.0], [4.0, 3.0]]), [vec![[3.0, 3.0], [4.0, 3.0]]]);
        // A standing line on the edge belongs to it.
        assert_eq!(cut(&[[10.0, 3.0], [10.0, 12.0]]), [vec![[10.0, 3.0], [10.0, 10.0]]]);
    }
}
