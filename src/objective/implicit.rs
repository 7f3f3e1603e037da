//! Score matching without a target (Hyvarinen 2005): of any law of X_t, by partial integration,
//!
//! E lambda |s - grad log p_t|^2 = E lambda ( |s|^2 + 2 div s ) + a constant.
//!
//! It needs the points alone, and pays for that with derivatives of the network: with v uniform on {-1, 1}^d,
//! E v . (ds/dx) v = div s.
//!
//! | [`Divergence`] | value, over lambda | probes |
//! |---|---|---|
//! | exact | \|s\|^2 + 2 sum_j e_j . (ds/dx) e_j | d |
//! | Hutchinson (1989) | \|s\|^2 + 2 v . (ds/dx) v | 1 |
//! | sliced (Song, Garg, Shi and Ermon 2019) | (s . v)^2 + 2 v . (ds/dx) v | 1 |
//!
//! The derivatives of the derivatives come from one pass on dual numbers. With the input moving along v, let
//! q = |S|^2 and l = S . v, S = sbar s: their adjoints are the dual numbers (0, w) and (2 w sbar, 0), and the
//! tangent of the parameters' adjoint is then the gradient of w q + 2 w sbar dl/dv.

use super::loss::replays;
use super::{Batch, Label, Out, Regression, ScoreModel};
use crate::real::Dual;
use crate::tape::{Blocks, Program, Recorder, Var, Workspace};
use crate::transition::Draws;
use crate::{Error, Real, Result};

/// The largest dimension for which each coordinate has a probe of its own.
const MOST: usize = 64;
/// Draws whose probes come from one stream.
const CHUNK: usize = 256;

/// How the divergence is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Divergence {
    /// By a probe for each coordinate.
    Exact,
    /// By a random probe.
    Hutchinson,
    /// By a random probe, on which the score is projected too.
    Sliced,
}

/// The objective on batches of a fixed number of draws: recorded once, replayed every step.
pub struct Implicit<R: Real> {
    divergence: Divergence,
    draws: usize,
    /// Probes per draw.
    probes: usize,
    program: Program<Dual<R>>,
    vars: Vars,
    blocks: Blocks<Dual<R>>,
    params: Vec<Dual<R>>,
    grad: Vec<Dual<R>>,
    points: Vec<R>,
    guide: Vec<R>,
    /// Random probes, [n, d].
    v: Vec<R>,
    /// The adjoints of a block's q and l: (0, 1/n) and (1/n, 0).
    seeds: [Vec<Dual<R>>; 2],
}

#[derive(Clone, Copy)]
struct Vars {
    input: Var,
    /// Factor p and offset G of S = p net + G.
    factor: Var,
    offset: Var,
    probe: Var,
    /// The weights w and 2 w sbar.
    square: Var,
    linear: Var,
    q: Var,
    l: Var,
}

impl<R: Real> Implicit<R> {
    /// An objective on `draws` draws a batch.
    ///
    /// # Errors
    /// No draw; too many dimensions for the exact divergence; a velocity, which is no score; sizes
    /// for which memory does not suffice.
    pub fn new(model: &ScoreModel<R>, regression: Regression, divergence: Divergence, draws: usize) -> Result<Self> {
        let d = model.dim();
        if regression != Regression::Score {
            return Err(Error::refused("implicit score matching", "a velocity is not a score"));
        }
        if divergence == Divergence::Exact && d > MOST {
            let sentence = format!(
                "the exact divergence takes a pass for each of {d} dimensions, and at most {MOST}: use \"hutchinson\" or \"sliced\""
            );
            return Err(Error::refused("implicit score matching", sentence));
        }
        let probes = if divergence == Divergence::Exact { d } else { 1 };
        let rows = draws.checked_mul(probes).filter(|n| *n > 0).ok_or_else(|| Error::invalid("loss: draws", "> 0", draws))?;
        let count = replays(rows);
        let block = rows.div_ceil(count);
        let mut r = Recorder::<Dual<R>>::new();
        let input = r.input("input", &[block, model.net.inputs()])?;
        let factor = r.input("factor", &[block, 1])?;
        let (offset, probe) = (r.input("offset", &[block, d])?, r.input("probe", &[block, d])?);
        let (square, linear) = (r.input("square", &[block])?, r.input("linear", &[block])?);
        let net = model.net.record(&mut r, input)?;
        let scaled = r.mul(net, factor)?;
        let s = r.add(scaled, offset)?;
        let along = r.row_dot(s, probe)?;
        let squared = if divergence == Divergence::Sliced { r.mul(along, along)? } else { r.row_dot(s, s)? };
        let (q, l) = (r.mul(squared, square)?, r.mul(along, linear)?);
        r.keep(q)?;
        r.keep(l)?;
        let program = r.finish();
        let blocks = Blocks::new(&program, count)?;
        let zero = vec![Dual::default(); program.parameter_count()];
        let one = R::of(1.0 / draws as f64);
        let seeds = [vec![Dual::new(R::zero(), one); block], vec![Dual::constant(one); block]];
        let (points, guide, v) = (vec![R::zero(); draws * d], vec![R::zero(); draws * d], vec![R::zero(); draws * d]);
        let vars = Vars { input, factor, offset, probe, square, linear, q, l };
        let (params, grad) = (zero.clone(), zero);
        Ok(Implicit { divergence, draws, probes, program, vars, blocks, params, grad, points, guide, v, seeds })
    }

    /// The value of each draw of `batch` (without the guide's divergence, which no parameter moves), and the
    /// gradient of their mean.
    ///
    /// # Errors
    /// Shapes that do not fit the ones given at the start.
    pub fn run(&mut self, model: &ScoreModel<R>, params: &[R], batch: &Batch<'_, R>, out: Out<'_, R>) -> Result<()> {
        let (Batch { draws, weights, labels, noise }, Out { values, grad }) = (*batch, out);
        let (n, d, probes) = (self.draws, model.dim(), self.probes);
        if [draws.len(), weights.len(), values.len()] != [n; 3] || draws.dim() != d || [params.len(), grad.len()] != [self.params.len(); 2]
        {
            let expected = format!("{n} draws in {d} dimensions, {} parameters", self.params.len());
            return Err(Error::shape(
                "implicit score matching",
                expected,
                &[&[draws.len(), draws.dim()], &[values.len()], &[params.len()]],
            ));
        }
        for (i, point) in self.points.chunks_exact_mut(d).enumerate() {
            point.copy_from_slice(draws.draw(i).plus);
        }
        let residual = model.parametrisation.adds_to_guide();
        if residual {
            model.guide(draws.times(), &self.points, &mut self.guide)?;
        }
        if self.divergence != Divergence::Exact {
            let half = R::of(0.5);
            for (chunk, v) in self.v.chunks_mut(CHUNK * d).enumerate() {
                noise.stream(chunk).fill_uniform(v);
                v.iter_mut().for_each(|v| *v = if *v < half { -R::one() } else { R::one() });
            }
        }
        self.params.iter_mut().zip(params).for_each(|(to, p)| *to = Dual::constant(*p));
        let inputs = DualInputs {
            model,
            draws,
            points: &self.points,
            guide: &self.guide,
            v: &self.v,
            probes,
            residual,
            divergence: self.divergence,
            weights,
            labels,
        };
        let (program, vars, [q, l]) = (&self.program, self.vars, &self.seeds);
        let block = q.len();
        self.blocks.run(&self.params, &mut self.grad, |index, params, ws, grad| {
            for row in 0..block {
                inputs.row(vars, index * block + row, row, ws)?;
            }
            ws.set_noise(batch.dropout(index * block, probes))?;
            program.forward(params, ws)?;
            program.backward(params, ws, &[(vars.q, q), (vars.l, l)], grad)
        })?;
        grad.iter_mut().zip(&self.grad).for_each(|(to, g)| *to = g.tangent);
        values.fill(R::zero());
        for (index, ws) in self.blocks.workspaces().enumerate() {
            let rows = ws.value(vars.q)?.iter().zip(ws.value(vars.l)?);
            for (row, (q, l)) in rows.enumerate().take((n * probes).saturating_sub(index * block)) {
                values[(index * block + row) / probes] += q.value + l.tangent;
            }
        }
        Ok(())
    }
}

/// What the tape's inputs are made from.
struct DualInputs<'a, R: Real> {
    model: &'a ScoreModel<R>,
    draws: &'a Draws<R>,
    points: &'a [R],
    guide: &'a [R],
    v: &'a [R],
    probes: usize,
    residual: bool,
    divergence: Divergence,
    weights: &'a [f64],
    labels: &'a [Label],
}

impl<R: Real> DualInputs<'_, R> {
    /// Row `index` of the batch into row `at` of a workspace. Rows beyond the batch get the weight zero.
    fn row(&self, vars: Vars, index: usize, at: usize, ws: &mut Workspace<Dual<R>>) -> Result<()> {
        let (d, inputs) = (self.model.dim(), self.model.net.inputs());
        let (i, j) = (index / self.probes, index % self.probes);
        let Some(t) = self.draws.times().get(i).copied() else {
            ws.input_mut(vars.square)?[at] = Dual::default();
            ws.input_mut(vars.linear)?[at] = Dual::default();
            return Ok(());
        };
        let probe = |k: usize| match self.divergence {
            Divergence::Exact if k == j => R::one(),
            Divergence::Exact => R::zero(),
            Divergence::Hutchinson | Divergence::Sliced => self.v[i * d + k],
        };
        let sbar = self.model.scale.sbar(t);
        let constant = |x: f64| Dual::constant(R::of(x));
        let row = &mut ws.input_mut(vars.input)?[at * inputs..][..inputs];
        row.iter_mut().zip(&self.points[i * d..]).take(d).enumerate().for_each(|(k, (row, x))| *row = Dual::new(*x, probe(k)));
        self.model.scale_input(t, self.labels.get(i).copied().flatten(), row)?;
        ws.input_mut(vars.factor)?[at] = constant(self.model.factor(Regression::Score, t));
        let offset = &mut ws.input_mut(vars.offset)?[at * d..][..d];
        offset.fill(Dual::default());
        if self.residual {
            offset.iter_mut().zip(&self.guide[i * d..]).for_each(|(o, g)| *o = Dual::constant(R::of(sbar) * *g));
        }
        ws.input_mut(vars.probe)?[at * d..][..d].iter_mut().enumerate().for_each(|(k, to)| *to = Dual::constant(probe(k)));
        let w = self.weights[i];
        // |s|^2 stands once, with the first of the exact probes.
        ws.input_mut(vars.square)?[at] = constant(if j == 0 { w } else { 0.0 });
        ws.input_mut(vars.linear)?[at] = constant(2.0 * w * sbar);
        Ok(())
    }
}
