//! Score matching losses as rows of one quadratic form.
//!
//! Every objective and every control here is a sum over evaluations e of the network in a draw,
//!
//! w_e ( a_e |s(x_e)|^2 - 2 b_e s(x_e) . y_e ),
//!
//! where y_e is the target: a conditional score, or a flow. The weight lambda = sbar^2 is taken inside, so
//! that S = sbar s and Y = sbar y are of order one at every time; a velocity is as it is, S = v. The estimators differ in the table
//! [`TERMS`](super::TERMS) of these evaluations and in nothing else; what the factors of the controls that
//! learn are, and how they learn, stands in `variate.rs`.
//!
//! Where the network has dropout, the evaluations of a draw share its mask: they are of one network, whose
//! errors cancel in the difference that a control takes, as they would without.

use super::estimator::{DrawPoint, LossTerm, TargetPart, terms};
use super::variate::{ControlState, Variate};
use super::{Batch, Out, Regression, ScoreModel};
use crate::config::Control;
use crate::par;
use crate::tape::{Blocks, Program, Recorder, Var, Workspace};
use crate::transition::Draws;
use crate::{Error, Real, Result};

/// How many replays of the tape share `rows` rows. A replay has at most 256 rows: enough to keep the matrix
/// products busy, few enough to stay in cache. There are two at least as soon as half of the rows is worth a
/// thread.
pub(super) fn replays(rows: usize) -> usize {
    rows.div_ceil(256).max(if rows < 128 { 1 } else { 2 })
}

/// An objective on batches of a fixed number of draws: recorded once, replayed every step.
pub struct Loss<R: Real> {
    regression: Regression,
    /// The evaluations of a draw.
    terms: Vec<LossTerm>,
    draws: usize,
    points: Points<R>,
    program: Program<R>,
    vars: Vars,
    blocks: Blocks<R>,
    variate: Option<Variate<R>>,
    /// For a control that learns: the factor of each A_j, or psi_j, in the loss, [n, d].
    parts: Vec<R>,
    /// The adjoint of a block's values: 1/draws each.
    seed: Vec<R>,
}

/// The points of a batch, draw by draw and term by term: times [n], coordinates and the guide's score [n, d].
struct Points<R> {
    times: Vec<f64>,
    x: Vec<R>,
    guide: Vec<R>,
    /// Of a blend alone, [n, d]: mu - L z, and the odd part of the guide's score in z.
    minus: Vec<R>,
    odd: Vec<R>,
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
    /// An objective on batches of `draws` draws. [`Control::Auto`] has none of its own: the choice is made
    /// before.
    ///
    /// # Errors
    /// No draw, no control; sizes for which memory does not suffice.
    pub fn new(model: &ScoreModel<R>, regression: Regression, control: Control, draws: usize) -> Result<Self> {
        if control == Control::Auto {
            return Err(Error::refused("loss: control", "\"auto\" stands for another one, and which is not known here"));
        }
        let terms: Vec<LossTerm> = terms(control).collect();
        let rows = draws.checked_mul(terms.len()).filter(|n| *n > 0).ok_or_else(|| Error::invalid("loss: draws", "> 0", draws))?;
        let count = replays(rows);
        let block = rows.div_ceil(count).next_multiple_of(terms.len());
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
        let blended = vec![R::zero(); if terms.iter().any(|t| t.target == TargetPart::Blend) { draws * d } else { 0 }];
        let points = Points { times: vec![0.0; rows], x: zero.clone(), guide: zero, minus: blended.clone(), odd: blended };
        let seed = vec![R::of(1.0 / draws as f64); block];
        Ok(Loss { regression, terms, draws, points, program, vars, blocks, variate, parts, seed })
    }

    /// The recorded program of one block of rows: for audits and pictures.
    pub fn program(&self) -> &Program<R> {
        &self.program
    }

    /// What the control has learned before the first step.
    ///
    /// # Errors
    /// None that was ever seen.
    pub fn start(&self, seed: u64) -> Result<ControlState<R>> {
        self.variate.as_ref().map_or(Ok(ControlState::Nothing), |v| v.start(seed))
    }

    /// The value of each draw of `batch`, and the gradient of their mean.
    ///
    /// # Errors
    /// Shapes that do not fit the ones given at the start; what was learned by another control.
    pub fn run(
        &mut self,
        model: &ScoreModel<R>,
        params: &[R],
        learned: &ControlState<R>,
        batch: &Batch<'_, R>,
        out: Out<'_, R>,
    ) -> Result<()> {
        let (draws, weights, n, d) = (batch.draws, batch.weights, self.draws, model.dim());
        if [draws.len(), weights.len(), out.values.len()] != [n; 3] || draws.dim() != d || ![0, n].contains(&batch.labels.len()) {
            return Err(Error::shape(
                "loss",
                format!("{n} draws in {d} dimensions, their weights and values"),
                &[&[draws.len(), draws.dim()], &[weights.len()], &[out.values.len()]],
            ));
        }
        self.fill_points(draws);
        if let Some(variate) = &mut self.variate {
            variate.evaluate(model, learned, draws)?;
        }
        let guided = self.regression.is_guided(model.parametrisation);
        if self.regression != Regression::Residual {
            model.guide(&self.points.times, &self.points.x, &mut self.points.guide)?;
            self.fill_odd(model, draws)?;
        }
        let inputs = Inputs {
            model,
            regression: self.regression,
            batch,
            terms: &self.terms,
            points: &self.points,
            guided,
            variate: self.variate.as_ref(),
            vars: self.vars,
        };
        let (program, value, seed) = (&self.program, self.vars.value, &self.seed[..]);
        let block = seed.len();
        self.blocks.run(params, out.grad, |index, params, ws, grad| {
            let first = index * block;
            for row in 0..block {
                inputs.row(first + row, row, ws)?;
            }
            ws.set_noise(batch.dropout(first, inputs.terms.len()))?;
            program.forward(params, ws)?;
            program.backward(params, ws, &[(value, seed)], grad)
        })?;
        let points = self.terms.len();
        for (values, ws) in out.values.chunks_mut(block / points).zip(self.blocks.workspaces()) {
            for (value, rows) in values.iter_mut().zip(ws.value(value)?.chunks_exact(points)) {
                *value = rows.iter().copied().sum();
            }
        }
        if self.variate.is_some() { self.control_values(model, batch, out.values) } else { Ok(()) }
    }

    /// Sets `parts` for a control that learns, and adds the term of a control that is a network to the
    /// values.
    fn control_values(&mut self, model: &ScoreModel<R>, batch: &Batch<'_, R>, values: &mut [R]) -> Result<()> {
        let (draws, d, points) = (batch.draws, model.dim(), self.terms.len());
        let per_block = self.seed.len() / points;
        // Where s(mu) stands, unless psi stands for it.
        let mean = self.terms.iter().position(|term| term.point == DrawPoint::Mean).unwrap_or(0);
        for (block, ws) in self.blocks.workspaces().enumerate() {
            let s = ws.value(self.vars.score)?;
            for at in 0..per_block.min(draws.len() - (block * per_block).min(draws.len())) {
                let i = block * per_block + at;
                let unit = self.regression.unit(model.scale, draws.times()[i]);
                let at_mean = &s[(at * points + mean) * d..][..d];
                let scale = R::of(2.0 * batch.weights[i] * unit);
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
    pub fn learn(&mut self, model: &ScoreModel<R>, learned: &mut ControlState<R>, draws: &Draws<R>, values: &[R]) -> Result<()> {
        match &mut self.variate {
            Some(variate) => variate.learn(model, learned, draws, values, &self.parts),
            None => Ok(()),
        }
    }

    /// Points and times of all rows.
    fn fill_points(&mut self, draws: &Draws<R>) {
        let (d, terms, points) = (draws.dim(), &self.terms, &mut self.points);
        let rows = (par::chunks_mut(&mut points.x, terms.len() * d), par::chunks_mut(&mut points.times, terms.len()));
        par::each(rows, |i, (rows, times)| {
            let draw = draws.draw(i);
            times.fill(draws.times()[i]);
            for (row, term) in rows.chunks_exact_mut(d).zip(terms) {
                row.copy_from_slice(term.point.of(&draw));
            }
        });
    }

    /// (g(mu + L z) - g(mu - L z)) / 2 for a blend, g the guide's score.
    fn fill_odd(&mut self, model: &ScoreModel<R>, draws: &Draws<R>) -> Result<()> {
        let (d, terms, points) = (draws.dim(), self.terms.len(), &mut self.points);
        if points.odd.is_empty() {
            return Ok(());
        }
        points.minus.chunks_exact_mut(d).enumerate().for_each(|(i, row)| row.copy_from_slice(draws.draw(i).minus));
        model.guide(draws.times(), &points.minus, &mut points.odd)?;
        let plus = self.terms.iter().position(|term| term.point == DrawPoint::Plus).unwrap_or(0);
        for (odd, rows) in points.odd.chunks_exact_mut(d).zip(points.guide.chunks_exact(terms * d)) {
            odd.iter_mut().zip(&rows[plus * d..]).for_each(|(odd, plus)| *odd = R::of(0.5) * (*plus - *odd));
        }
        Ok(())
    }
}

/// What the tape's inputs are made from.
struct Inputs<'a, R: Real> {
    model: &'a ScoreModel<R>,
    regression: Regression,
    batch: &'a Batch<'a, R>,
    terms: &'a [LossTerm],
    points: &'a Points<R>,
    /// Whether the network's output is what is missing in the guide.
    guided: bool,
    variate: Option<&'a Variate<R>>,
    vars: Vars,
}

impl<R: Real> Inputs<'_, R> {
    /// Row `index` of the batch into row `at` of a workspace. Rows beyond the batch get the weight zero.
    fn row(&self, index: usize, at: usize, ws: &mut Workspace<R>) -> Result<()> {
        let (model, d, inputs, v) = (self.model, self.model.dim(), self.model.net.inputs(), self.vars);
        let Some(t) = self.points.times.get(index).copied() else {
            ws.input_mut(v.square)?[at] = R::zero();
            ws.input_mut(v.linear)?[at] = R::zero();
            return Ok(());
        };
        let (i, term) = (index / self.terms.len(), self.terms[index % self.terms.len()]);
        let (draw, w) = (self.batch.draws.draw(i), term.w * self.batch.weights[i]);
        let (s, share) = (R::of(self.regression.unit(model.scale, t)), R::of(self.regression.share(model.scale, t)));
        let label = self.batch.label(i);
        model.labelled_input(t, label, &self.points.x[index * d..][..d], &mut ws.input_mut(v.input)?[at * inputs..][..inputs])?;
        ws.input_mut(v.factor)?[at] = R::of(model.factor(self.regression, t));
        let offset = &mut ws.input_mut(v.offset)?[at * d..][..d];
        if self.guided {
            offset.iter_mut().zip(&self.points.guide[index * d..]).for_each(|(o, g)| *o = s * share * *g);
        } else {
            offset.fill(R::zero());
        }
        let factor = |j: usize| self.variate.map_or(R::one(), |v| v.factor(i, j, d));
        let guide = |j: usize| share * self.points.odd[i * d + j];
        let target = &mut ws.input_mut(v.target)?[at * d..][..d];
        target.iter_mut().enumerate().for_each(|(j, y)| *y = term.target.scaled(&draw, j, s, factor, guide));
        ws.input_mut(v.square)?[at] = R::of(w * term.a);
        ws.input_mut(v.linear)?[at] = R::of(2.0 * w * term.b);
        Ok(())
    }
}
