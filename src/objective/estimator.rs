//! The estimators, as data: which points of a draw the network is evaluated at, and what each of them adds to
//! the loss.

use crate::Real;
use crate::config::Control;
use crate::transition::Draw;

/// A point of a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrawPoint {
    /// mu + L z, where the step ends.
    Plus,
    /// mu.
    Mean,
    /// mu - L z.
    Minus,
}

/// What of a draw's target a point is multiplied with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetPart {
    /// y(z), the target at mu + L z.
    Plus,
    /// y(-z), the target at mu - L z.
    Minus,
    /// The odd part (y(z) - y(-z)) / 2, for a score all of y(z), times the control's factor A.
    Odd,
    /// The odd part of y(z) - g(mu + L z), g the guide's score.
    Blend,
}

/// A point's part of the loss: w (a |s(x)|^2 - 2 b s(x) . y).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossTerm {
    /// The control whose estimator it belongs to.
    pub control: Control,
    /// x.
    pub point: DrawPoint,
    /// w.
    pub w: f64,
    /// a.
    pub a: f64,
    /// b.
    pub b: f64,
    /// y.
    pub target: TargetPart,
}

const fn term(control: Control, point: DrawPoint, w: f64, [a, b]: [f64; 2], target: TargetPart) -> LossTerm {
    LossTerm { control, point, w, a, b, target }
}

/// The table of estimators (method.md, eq. 7 and 9 to 12): a row for each control and point of a draw.
///
/// | control | x | w | a | b | y |
/// |---|---|---|---|---|---|
/// | none | mu + L z | 1 | 1 | 1 | y(z) |
/// | antithetic | mu + L z | 0.5 | 1 | 1 | y(z) |
/// | antithetic | mu - L z | 0.5 | 1 | 1 | y(-z) |
/// | self | mu + L z | 1 | 1 | 1 | y(z) |
/// | self | mu | 1 | 0 | -1 | A (y(z) - y(-z)) / 2 |
/// | gated | mu + L z | 1 | 1 | 1 | y(z) |
/// | gated | mu | 1 | 0 | -1 | A (y(z) - y(-z)) / 2 |
/// | regression | mu + L z | 1 | 1 | 1 | y(z) |
/// | regression | mu | 1 | 0 | -1 | A (y(z) - y(-z)) / 2 |
/// | network | mu + L z | 1 | 1 | 1 | y(z) |
/// | blend | mu + L z | 1 | 1 | 1 | y(z) |
/// | blend | mu | 1 | 0 | -1 | (y(z) - y(-z)) / 2 - (g(mu + L z) - g(mu - L z)) / 2 |
///
/// The factor A is 1 for `self`, the gate's A_j(mu, t) for coordinate j, the coefficient of the time's bin
/// for `regression`; g is the guide's score, 0 for the component flow. To the value of `network` the term
/// 2 w psi . y is added, which has no part in the gradient. [`Control::Auto`] stands for another one.
pub const TERMS: &[LossTerm] = &[
    term(Control::None, DrawPoint::Plus, 1.0, [1.0, 1.0], TargetPart::Plus),
    term(Control::Antithetic, DrawPoint::Plus, 0.5, [1.0, 1.0], TargetPart::Plus),
    term(Control::Antithetic, DrawPoint::Minus, 0.5, [1.0, 1.0], TargetPart::Minus),
    term(Control::SelfControl, DrawPoint::Plus, 1.0, [1.0, 1.0], TargetPart::Plus),
    term(Control::SelfControl, DrawPoint::Mean, 1.0, [0.0, -1.0], TargetPart::Odd),
    term(Control::Gated, DrawPoint::Plus, 1.0, [1.0, 1.0], TargetPart::Plus),
    term(Control::Gated, DrawPoint::Mean, 1.0, [0.0, -1.0], TargetPart::Odd),
    term(Control::Regression, DrawPoint::Plus, 1.0, [1.0, 1.0], TargetPart::Plus),
    term(Control::Regression, DrawPoint::Mean, 1.0, [0.0, -1.0], TargetPart::Odd),
    term(Control::Network, DrawPoint::Plus, 1.0, [1.0, 1.0], TargetPart::Plus),
    term(Control::Blend, DrawPoint::Plus, 1.0, [1.0, 1.0], TargetPart::Plus),
    term(Control::Blend, DrawPoint::Mean, 1.0, [0.0, -1.0], TargetPart::Blend),
];

/// The terms of `control`: its rows of [`TERMS`].
pub fn terms(control: Control) -> impl Iterator<Item = LossTerm> {
    TERMS.iter().copied().filter(move |term| term.control == control)
}

/// Network evaluations per draw; of [`Control::Auto`], at most.
pub fn points_per_draw(control: Control) -> usize {
    let stands_for: &[Control] = if control == Control::Auto { Control::ALL } else { &[control] };
    stands_for.iter().map(|control| terms(*control).count()).max().unwrap_or(0)
}

impl DrawPoint {
    /// Its coordinates in `draw`.
    #[inline]
    pub(crate) fn of<'a, R>(self, draw: &Draw<'a, R>) -> &'a [R] {
        match self {
            DrawPoint::Plus => draw.plus,
            DrawPoint::Mean => draw.mean,
            DrawPoint::Minus => draw.minus,
        }
    }
}

impl TargetPart {
    /// Coordinate `j` of the target times `scale`. `factor`: A_j; `guide`: the odd part of g_j.
    #[inline]
    pub(crate) fn scaled<R: Real>(
        self,
        draw: &Draw<'_, R>,
        j: usize,
        scale: R,
        factor: impl Fn(usize) -> R,
        guide: impl Fn(usize) -> R,
    ) -> R {
        match self {
            TargetPart::Plus => scale * draw.target_plus[j],
            TargetPart::Minus => scale * draw.target_minus[j],
            TargetPart::Odd => scale * draw.odd(j) * factor(j),
            TargetPart::Blend => scale * (draw.odd(j) - guide(j)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documentation's table is the data.
    #[test]
    fn the_table_is_documented_as_it_is() {
        let point = |p| match p {
            DrawPoint::Plus => "mu + L z",
            DrawPoint::Mean => "mu",
            DrawPoint::Minus => "mu - L z",
        };
        let part = |p| match p {
            TargetPart::Plus => "y(z)",
            TargetPart::Minus => "y(-z)",
            TargetPart::Odd => "A (y(z) - y(-z)) / 2",
            TargetPart::Blend => "(y(z) - y(-z)) / 2 - (g(mu + L z) - g(mu - L z)) / 2",
        };
        let row = |t: &LossTerm| {
            let [x, y] = [point(t.point), part(t.target)];
            format!("/// | {} | {x} | {} | {} | {} | {y} |\n", t.control.name(), t.w, t.a, t.b)
        };
        let table = format!("/// |---|---|---|---|---|---|\n{}///\n", TERMS.iter().map(row).collect::<String>());
        assert!(include_str!("estimator.rs").contains(&table), "the table of estimators is to be documented as\n{table}");
    }

    /// Weights of one, and every control has its estimator: with the network's score for the target the loss
    /// of (7) is left.
    #[test]
    fn every_control_weighs_the_loss_once() {
        for control in Control::ALL.iter().copied().filter(|c| *c != Control::Auto) {
            let [squares, products]: [f64; 2] = [
                |t: LossTerm| t.w * t.a,
                |t: LossTerm| if matches!(t.target, TargetPart::Odd | TargetPart::Blend) { 0.0 } else { t.w * t.b },
            ]
            .map(|part| terms(control).map(part).sum());
            assert_eq!([squares, products], [1.0, 1.0], "{control:?}");
        }
        assert_eq!(points_per_draw(Control::Auto), 2);
    }
}
