//! Control variates that learn: a gate, a network of their own, or running regression coefficients
//! (method.md, eq. 10 and 12).
//!
//! Let l be a draw's loss without control. The control variate q = 2 lambda s(mu) . y has mean 0 given X_n
//! for every s, because y = -L^-T z is odd in z and mu is a function of X_n (and of the component drawn
//! there). For the same reason these have mean 0:
//!
//! * sum_j A_j 2 lambda s_j(mu) y_j for every factor A(mu, t), a gate or a coefficient;
//! * 2 lambda psi(mu, t) . y for every psi, here net/sbar.
//!
//! The loss with control is l plus one of them. It is unbiased: A and psi depend on (mu, t) alone, and
//! coefficients on earlier batches.

use super::ScoreModel;
use super::loss::replays;
use super::weights::{bin, bins};
use crate::config::Control;
use crate::control::Running;
use crate::nn::ScoreNet;
use crate::optim::{self, Adam, Decay, Schedule};
use crate::tape::{Blocks, Program, Recorder, Var};
use crate::transition::Draws;
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2};

/// Units and layers of the network behind a control: small beside the score's.
const WIDTH: usize = 32;
const DEPTH: usize = 2;
/// Its learning rate, constant.
const RATE: f64 = 3e-3;
/// Factor by which a batch's weight falls with each later batch.
const FADE: f64 = 0.99;
const RIDGE: f64 = 1e-3;

/// What a control variate has learned: part of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum ControlState<R> {
    /// Nothing: the control has no parameters.
    Nothing,
    /// phi of a gate A or of a network psi.
    Network {
        /// The parameters, flat.
        params: Vec<R>,
        /// Adam's state.
        optimiser: optim::State<R>,
    },
    /// Moments that give the coefficients, for each bin of ell = ln(sbar^2 / alpha^2).
    Regression(Vec<Running>),
}

impl<R> ControlState<R> {
    /// Whether this is a state of the same control as `other`, of the same sizes.
    pub fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (ControlState::Nothing, ControlState::Nothing) => true,
            (ControlState::Network { params, optimiser }, ControlState::Network { params: p, .. }) => {
                [params.len(), optimiser.m.len(), optimiser.v.len()].iter().all(|n| *n == p.len())
            }
            (ControlState::Regression(a), ControlState::Regression(b)) => a.len() == b.len(),
            _ => false,
        }
    }
}

/// The learning part of a control on batches of a fixed number of draws.
pub(super) struct Variate<R: Real> {
    gate: bool,
    /// A - 1, or sbar psi: [n, d].
    out: Vec<R>,
    /// The coefficient of each draw: regression.
    coefficients: Vec<R>,
    network: Option<Companion<R>>,
}

struct Companion<R: Real> {
    net: ScoreNet,
    program: Program<R>,
    blocks: Blocks<R>,
    vars: (Var, Var),
    adam: Adam,
    /// Derivatives of the second moment by `out`.
    seeds: Vec<R>,
    grad: Vec<R>,
    block: usize,
}

impl<R: Real> Variate<R> {
    /// The learning part of `control` for batches of `draws` draws; none if it does not learn.
    ///
    /// # Errors
    /// Memory that does not suffice.
    pub fn new(control: Control, model: &ScoreModel<R>, draws: usize) -> Result<Option<Self>> {
        let (network, d) = (matches!(control, Control::Gated | Control::Network), model.dim());
        if !network && control != Control::Regression {
            return Ok(None);
        }
        let network = if network { Some(Companion::new(model, draws)?) } else { None };
        let numbers = |there: bool, n: usize| vec![R::zero(); if there { n } else { 0 }];
        let (out, coefficients) = (numbers(network.is_some(), draws * d), numbers(network.is_none(), draws));
        Ok(Some(Variate { gate: control == Control::Gated, out, coefficients, network }))
    }

    /// Its state before the first step.
    ///
    /// # Errors
    /// None that was ever seen.
    pub fn start(&self, seed: u64) -> Result<ControlState<R>> {
        let Some(network) = &self.network else {
            return Ok(ControlState::Regression((0..bins()).map(|_| Running::new(1, RIDGE, FADE)).collect::<Result<_>>()?));
        };
        // Not the score network's initial weights.
        let params = network.net.init(seed ^ 0x9e37_79b9_7f4a_7c15);
        let optimiser = network.adam.start(&params)?;
        Ok(ControlState::Network { params, optimiser })
    }

    /// Evaluates it at the means of `draws`.
    ///
    /// # Errors
    /// What was learned by another control.
    pub fn evaluate(&mut self, model: &ScoreModel<R>, learned: &ControlState<R>, draws: &Draws<R>) -> Result<()> {
        match (learned, &mut self.network) {
            (ControlState::Network { params, .. }, Some(network)) => network.forward(model, params, draws, &mut self.out),
            (ControlState::Regression(running), None) => {
                let b = running.iter().map(|r| Ok(r.coefficients()?[0])).collect::<Result<Vec<f64>>>()?;
                for (c, t) in self.coefficients.iter_mut().zip(draws.times()) {
                    *c = R::of(b[bin(model.scale, *t)]);
                }
                Ok(())
            }
            _ => Err(Error::refused("control variate", "the state is that of another control")),
        }
    }

    /// The factor of s_j(mu) in draw `i`: A_j, or the coefficient b.
    #[inline]
    pub fn factor(&self, i: usize, j: usize, d: usize) -> R {
        if self.gate { R::one() + self.out[i * d + j] } else { self.coefficients[i] }
    }

    /// sbar psi(mu) of draw `i`, for a control that is a network of its own.
    pub fn psi(&self, i: usize, d: usize) -> Option<&[R]> {
        (self.network.is_some() && !self.gate).then(|| &self.out[i * d..][..d])
    }

    /// Learns from a batch. `values`: the losses with control; `parts` [n, d]: the factor of A_j, or of
    /// psi_j, in them.
    ///
    /// A network descends E (l - m)^2, the second moment of the losses about their mean m over the batch. Its
    /// gradient is that of E l^2, because E l does not depend on phi. Coefficients take the batch into their
    /// moments.
    ///
    /// # Errors
    /// `NonFinite` if the network's gradient is.
    pub fn learn(
        &mut self,
        model: &ScoreModel<R>,
        learned: &mut ControlState<R>,
        draws: &Draws<R>,
        values: &[R],
        parts: &[R],
    ) -> Result<()> {
        let (n, d) = (values.len(), model.dim());
        match (learned, &mut self.network) {
            (ControlState::Network { params, optimiser }, Some(network)) => {
                let mean: R = values.iter().copied().sum::<R>() / R::of(n as f64);
                let scale = R::of(2.0 / n as f64);
                for ((seeds, parts), value) in network.seeds.chunks_exact_mut(d).zip(parts.chunks_exact(d)).zip(values) {
                    let push = scale * (*value - mean);
                    seeds.iter_mut().zip(parts).for_each(|(s, p)| *s = push * *p);
                }
                network.step(params, optimiser)
            }
            (ControlState::Regression(running), None) => {
                let mut rows: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); running.len()];
                for (i, t) in draws.times().iter().enumerate() {
                    let q: R = parts[i * d..][..d].iter().copied().sum();
                    let (y, c) = &mut rows[bin(model.scale, *t)];
                    y.push((values[i] - self.coefficients[i] * q).f64());
                    // y - b c with c = -q.
                    c.push(-q.f64());
                }
                for (running, (y, c)) in running.iter_mut().zip(rows).filter(|(_, (y, _))| y.len() > 1) {
                    let shape = (c.len(), 1);
                    let c = Array2::from_shape_vec(shape, c).map_err(|e| Error::refused("control variate", e.to_string()))?;
                    let _ = running.batch(Array1::from(y).view(), c.view())?;
                }
                Ok(())
            }
            _ => Err(Error::refused("control variate", "the state is that of another control")),
        }
    }
}

impl<R: Real> Companion<R> {
    fn new(model: &ScoreModel<R>, draws: usize) -> Result<Self> {
        let d = model.dim();
        let net = ScoreNet::new(d, WIDTH, DEPTH, model.net.frequencies())?;
        let count = replays(draws);
        let block = draws.div_ceil(count);
        let mut r = Recorder::<R>::new();
        let x = r.input("input", &[block, net.inputs()])?;
        let y = net.record(&mut r, x)?;
        r.keep(y)?;
        let program = r.finish();
        let blocks = Blocks::new(&program, count)?;
        let schedule = Schedule::new(RATE, 0, u64::MAX, Decay::Constant)?;
        let grad = vec![R::zero(); net.parameter_count()];
        let seeds = vec![R::zero(); count * block * d];
        Ok(Companion { net, program, blocks, vars: (x, y), adam: Adam::new(schedule), seeds, grad, block })
    }

    fn forward(&mut self, model: &ScoreModel<R>, params: &[R], draws: &Draws<R>, out: &mut [R]) -> Result<()> {
        let (block, inputs, d, (x, y)) = (self.block, self.net.inputs(), model.dim(), self.vars);
        let program = &self.program;
        self.blocks.run(params, &mut self.grad, |index, params, ws, _| {
            for (at, row) in ws.input_mut(x)?.chunks_exact_mut(inputs).enumerate() {
                // Rows behind the last draw repeat it.
                let i = (index * block + at).min(draws.len() - 1);
                model.input(draws.times()[i], draws.draw(i).mean, row)?;
            }
            program.forward(params, ws)
        })?;
        for (out, ws) in out.chunks_mut(block * d).zip(self.blocks.workspaces()) {
            out.copy_from_slice(&ws.value(y)?[..out.len()]);
        }
        Ok(())
    }

    /// One step of Adam, after [`Companion::forward`] and with `seeds` set.
    fn step(&mut self, params: &mut [R], optimiser: &mut optim::State<R>) -> Result<()> {
        let (size, y, program, seeds) = (self.block * self.net.dim(), self.vars.1, &self.program, &self.seeds);
        self.blocks.run(params, &mut self.grad, |index, params, ws, grad| {
            program.backward(params, ws, &[(y, &seeds[index * size..][..size])], grad)
        })?;
        let report = self.adam.step(params, &self.grad, optimiser)?;
        if report.norm.is_finite() {
            return Ok(());
        }
        let remedy = "choose another objective.control; its parameters are those before this step".into();
        Err(Error::NonFinite { place: "the gradient of the control variate".into(), step: optimiser.step as usize + 1, remedy })
    }
}
