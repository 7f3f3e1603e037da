//! Score matching losses as rows of one quadratic form.
//!
//! Every objective and control here is a sum over network evaluations e of a draw of
//!
//! w_e ( a_e |s(x_e)|^2 - 2 b_e s(x_e) . y_e ),
//!
//! with y the conditional score (or flow) target. With the weight lambda = sbar^2 taken inside, S = sbar s and Y = sbar y stay of order
//! one at every time. The table of points is the whole difference between the estimators (method.md, eq. 7, 9, 11):
//!
//! | control | points x_e | w | a | b |
//! |---|---|---|---|---|
//! | none | X_{n+1} | 1 | 1 | 1 |
//! | self | X_{n+1}; mu_n | 1; 1 | 1; 0 | 1; -1 (with the odd part of the target at X_{n+1}, which for a score is all of it) |
//! | antithetic | mu_n + L z; mu_n - L z | 1/2; 1/2 | 1; 1 | 1; 1 |
//! | gated, regression | as self | 1; 1 | 1; 0 | 1; -A_j for coordinate j, or -b |
//! | network | as none, and the value moves by 2 w psi . y | 1 | 1 | 1 |
//!
//! What A, b and psi are and how they learn is in `variate.rs`.

use super::ScoreModel;
use super::variate::{Learned, Variate};
use crate::config::{Control, Parametrisation};
use crate::par;
use crate::tape::{Blocks, Program, Recorder, Var, Workspace};
use crate::transition::Draws;
use crate::{Error, Real, Result};

/// Replays of the tape that `rows` rows are shared out to: of at most 256 rows, enough to keep the matrix products busy, few enough to stay in cache; two
/// at least, as soon as a half is worth a thread.
pub(super) fn replays(rows: usize) -> usize {
    rows.div_ceil(256).max(if rows < 128 { 1 } else { 2 })
}

/// What is regressed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Regression {
    /// The score s itself.
    Score,
    /// The residual net / sbar alone: the component flow (18).
    Residual,
}

/// One objective on batches of a fixed number of draws: recorded once, replayed every step.
pub struct Loss<R: Real> {
    regression: Regression,
    control: Control,
    draws: usize,
    rows: Rows<R>,
    program: Program<R>,
    vars: Vars,
    blocks: Blocks<R>,
    variate: Option<Variate<R>>,
    /// For a control that learns, what its factors are multiplied with in the loss, [n, d].
    parts: Vec<R>,
    /// The adjoint of a block's values: 1/draws each.
    seed: Vec<R>,
}

/// What a row of the tape's inputs holds.
struct Rows<R> {
    times: Vec<f64>,
    points: Vec<R>,
    guide: Vec<R>,
}

#[derive(Clone, Copy)]
struct Vars {
    input: Var,
    /// Factor p and offset G of S = p net + G.
    factor: Var,
    offset: Var,
    /// Y, and the weights w a and 2 w b.
    target: Var,
    square: Var,
    linear: Var,
    /// S.
    score: Var,
    value: Var,
}

impl<R: Real> Loss<R> {
    /// An objective on `draws` draws a batch. [`Control::Auto`] is none itself: who trains must have chosen.
    ///
    /// # Errors
    /// No draw, no control; sizes for which memory does not suffice.
    pub fn new(model: &ScoreModel<R>, regression: Regression, control: Control, draws: usize) -> Result<Self> {
        if control == Control::Auto {
            return Err(Error::refused("loss: control", "\"auto\" stands for another one, and which is not known here"));
        }
        let points = points_per_draw(control);
        let rows = draws.checked_mul(points).filter(|n| *n > 0).ok_or_else(|| Error::invalid("loss: draws", "> 0", draws))?;
        let count = replays(rows);
        let block = rows.div_ceil(count).next_multiple_of(points);
        let (d, mut r) = (model.dim(), Recorder::<R>::new());
        let input = r.input("input", &[block, model.net.inputs()])?;
        let factor = r.input("factor", &[block, 1])?;
        let offset = r.input("offset", &[block, d])?;
        let target = r.input("target", &[block, d])?;
        let (square, linear) = (r.input("square", &[block])?, r.input("linear", &[block])?);
        let net = model.net.record(&mut r, input)?;
        let scaled = r.mul(net, factor)?;
        let s = r.add(scaled, offset)?;
        let variate = Variate::new(control, model, draws)?;
        if variate.is_some() {
            r.keep(s)?;
        }
        let (ss, sy) = (r.row_dot(s, s)?, r.row_dot(s, target)?);
        let (first, second) = (r.mul(ss, square)?, r.mul(sy, linear)?);
        let value = r.sub(first, second)?;
        let program = r.finish();
        let blocks = Blocks::new(&program, count)?;
        let vars = Vars { input, factor, offset, target, square, linear, score: s, value };
        let parts = vec![R::zero(); if variate.is_some() { draws * d } else { 0 }];
        let zero = vec![R::zero(); rows * d];
        let rows = Rows { times: vec![0.0; rows], points: zero.clone(), guide: zero };
        let seed = vec![R::of(1.0 / draws as f64); block];
        Ok(Loss { regression, control, draws, rows, program, vars, blocks, variate, parts, seed })
    }

    /// The recorded program of one block of rows: for audits and pictures.
    pub fn program(&self) -> &Program<R> {
        &self.program
    }

    /// What the control has learned before the first step.
    ///
    /// # Errors
    /// None that was ever seen.
    pub fn start(&self, seed: u64) -> Result<Learned<R>> {
        self.variate.as_ref().map_or(Ok(Learned::Nothing), |v| v.start(seed))
    }

    /// With `weights` `[n]`, lambda/sbar^2 of each draw ([`Weights`](super::Weights)): the value of each draw, into `values`, and the gradient of their mean, into `grad`.
    ///
    /// # Errors
    /// Shapes that do not fit the ones given at the start; what was learned by another control.
    pub fn run(
        &mut self,
        model: &ScoreModel<R>,
        params: &[R],
        learned: &Learned<R>,
        draws: &Draws<R>,
        weights: &[f64],
        values: &mut [R],
        grad: &mut [R],
    ) -> Result<()> {
        let (n, d, points) = (self.draws, model.dim(), points_per_draw(self.control));
        if [draws.len(), weights.len(), values.len()] != [n; 3] || draws.dim() != d {
            return Err(Error::shape(
                "loss",
                format!("{n} draws in {d} dimensions, their weights and values"),
                &[&[draws.len(), draws.dim()], &[weights.len()], &[values.len()]],
            ));
        }
        self.fill_points(draws, points);
        if let Some(variate) = &mut self.variate {
            variate.evaluate(model, learned, draws)?;
        }
        if self.regression == Regression::Score {
            model.guide(&self.rows.times, &self.rows.points, &mut self.rows.guide)?;
        }
        let (rows, program, vars, control, regression, variate) =
            (&self.rows, &self.program, self.vars, self.control, self.regression, self.variate.as_ref());
        let seed = &self.seed[..];
        let block = seed.len();
        self.blocks.run(params, grad, |index, params, ws, grad| {
            let first = index * block;
            let fill = Fill { model, draws, rows, weights, control, regression, variate, vars };
            for row in 0..block {
                fill.row(first + row, row, ws)?;
            }
            program.forward(params, ws)?;
            program.backward(params, ws, &[(vars.value, seed)], grad)
        })?;
        for (values, ws) in values.chunks_mut(block / points).zip(self.blocks.workspaces()) {
            for (value, rows) in values.iter_mut().zip(ws.value(self.vars.value)?.chunks_exact(points)) {
                *value = rows.iter().copied().sum();
            }
        }
        if self.variate.is_some() { self.control_values(model, draws, weights, values) } else { Ok(()) }
    }

    /// The parts of a control that learns, and the values of one that is a network of its own.
    fn control_values(&mut self, model: &ScoreModel<R>, draws: &Draws<R>, weights: &[f64], values: &mut [R]) -> Result<()> {
        let (d, points, per_block) = (model.dim(), points_per_draw(self.control), self.seed.len() / points_per_draw(self.control));
        for (block, ws) in self.blocks.workspaces().enumerate() {
            let s = ws.value(self.vars.score)?;
            for at in 0..per_block.min(draws.len() - (block * per_block).min(draws.len())) {
                let i = block * per_block + at;
                let sbar = model.scale.sbar(draws.times()[i]);
                // The second point of a draw is mu.
                let at_mean = &s[(at * points + points - 1) * d..][..d];
                let scale = R::of(2.0 * weights[i] * sbar);
                let psi = self.variate.as_ref().and_then(|v| v.psi(i, d));
                let draw = draws.draw(i);
                for j in 0..d {
                    let part = scale * draw.odd(j) * if psi.is_some() { R::one() } else { at_mean[j] };
                    self.parts[i * d + j] = part;
                    values[i] += psi.map_or(R::zero(), |psi| part * psi[j]);
                }
            }
        }
        Ok(())
    }

    /// Lets the control learn from the batch of the last [`Loss::run`], whose `values` those are.
    ///
    /// # Errors
    /// `NonFinite` if its gradient is; what was learned by another control.
    pub fn learn(&mut self, model: &ScoreModel<R>, learned: &mut Learned<R>, draws: &Draws<R>, values: &[R]) -> Result<()> {
        match &mut self.variate {
            Some(variate) => variate.learn(model, learned, draws, values, &self.parts),
            None => Ok(()),
        }
    }

    /// Points and times of all rows, draw by draw.
    fn fill_points(&mut self, draws: &Draws<R>, points: usize) {
        let (d, control) = (draws.dim(), self.control);
        let rows = (par::chunks_mut(&mut self.rows.points, points * d), par::chunks_mut(&mut self.rows.times, points));
        par::each(rows, |i, (rows, times)| {
            let draw = draws.draw(i);
            times.fill(draws.times()[i]);
            rows[..d].copy_from_slice(draw.plus);
            match control {
                Control::None | Control::Network | Control::Auto => {}
                Control::SelfControl | Control::Gated | Control::Regression => rows[d..].copy_from_slice(draw.mean),
                Control::Antithetic => rows[d..].copy_from_slice(draw.minus),
            }
        });
    }
}

/// Network evaluations per draw; of [`Control::Auto`], at most.
pub fn points_per_draw(control: Control) -> usize {
    match control {
        Control::None | Control::Network => 1,
        Control::SelfControl | Control::Gated | Control::Regression | Control::Antithetic | Control::Auto => 2,
    }
}

/// Everything a row is made from.
struct Fill<'a, R: Real> {
    model: &'a ScoreModel<R>,
    draws: &'a Draws<R>,
    rows: &'a Rows<R>,
    weights: &'a [f64],
    control: Control,
    regression: Regression,
    variate: Option<&'a Variate<R>>,
    vars: Vars,
}

impl<R: Real> Fill<'_, R> {
    /// Row `index` of the batch into row `at` of a workspace. Rows beyond the batch get the weight zero.
    fn row(&self, index: usize, at: usize, ws: &mut Workspace<R>) -> Result<()> {
        let (model, d, inputs, v) = (self.model, self.model.dim(), self.model.net.inputs(), self.vars);
        let Some(t) = self.rows.times.get(index).copied() else {
            ws.input_mut(v.square)?[at] = R::zero();
            ws.input_mut(v.linear)?[at] = R::zero();
            return Ok(());
        };
        let points = points_per_draw(self.control);
        let (draw, second) = (self.draws.draw(index / points), index % points == 1);
        // (w, a, b) and the target y of the module's table.
        let (w, a, b, y) = match (self.control, second) {
            (Control::SelfControl | Control::Gated | Control::Regression, true) => (1.0, 0.0, -1.0, draw.target_plus), // its odd part, below
            (Control::Antithetic, true) => (0.5, 1.0, 1.0, draw.target_minus),
            (Control::Antithetic, false) => (0.5, 1.0, 1.0, draw.target_plus),
            _ => (1.0, 1.0, 1.0, draw.target_plus),
        };
        let sbar = model.scale.sbar(t);
        let w = w * self.weights[index / points];
        let s = R::of(sbar);
        let residual = self.regression == Regression::Score && model.parametrisation == Parametrisation::Residual;
        model.input(t, &self.rows.points[index * d..][..d], &mut ws.input_mut(v.input)?[at * inputs..][..inputs])?;
        ws.input_mut(v.factor)?[at] = if model.parametrisation == Parametrisation::Plain { s } else { R::one() };
        let offset = &mut ws.input_mut(v.offset)?[at * d..][..d];
        if residual {
            offset.iter_mut().zip(&self.rows.guide[index * d..]).for_each(|(o, g)| *o = s * *g);
        } else {
            offset.fill(R::zero());
        }
        let target = &mut ws.input_mut(v.target)?[at * d..][..d];
        target.iter_mut().zip(y).for_each(|(t, y)| *t = s * *y);
        if second && self.control != Control::Antithetic {
            for (j, t) in target.iter_mut().enumerate() {
                *t = s * draw.odd(j) * self.variate.map_or(R::one(), |v| v.factor(index / points, j, d));
            }
        }
        ws.input_mut(v.square)?[at] = R::of(w * a);
        ws.input_mut(v.linear)?[at] = R::of(2.0 * w * b);
        Ok(())
    }
}
