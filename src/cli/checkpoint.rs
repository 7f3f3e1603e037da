//! Checkpoints: everything a run needs to go on, or to generate, in one safetensors file.
//!
//! | tensors | what |
//! |---|---|
//! | `model.*`, `ema.*` | parameters of the network, and their average |
//! | `adam.m.*`, `adam.v.*` | Adam's moments |
//! | `control.params`, `.m`, `.v`; `control.bins` | parameters of a learning control variate and Adam's moments of them; moments by time bin |
//! | `weights` | what a weighting that learns has seen, by time bin |
//! | `control.prices` | what `objective.control = "auto"` measured |
//! | `mixture.weights`, `.means`, `.covariances`, `.loadings` | the reference in whitened coordinates; loadings of a low rank, whose noise is then `.covariances` |
//! | `whitening.mean`, `.factor`, `.inverse` | whitened coordinates: x = mean + factor u |
//! | `pca.mean`, `.components`, `.variance`, `.total` | the latent space, where there is one |
//!
//! Metadata: `format`, `step`, `seed`, `covariance`, `data` (a hash of the data). Random numbers need none: they are named by the step.

use super::tensors::{Reader, Tensors, bytes};
use crate::control::Running;
use crate::data::Pca;
use crate::nn::ScoreNet;
use crate::objective::{ControlState, Seen};
use crate::optim;
use crate::train::{Prices, Reference, State};
use crate::{Error, Real, Result};
use ndarray::Array2;
use std::path::Path;

/// What a checkpoint holds.
pub struct Checkpoint<R> {
    /// Parameters and optimiser.
    pub state: State<R>,
    /// The fitted reference.
    pub reference: Reference,
    /// The latent space.
    pub pca: Option<Pca>,
    /// Hash of the data that it was trained on.
    pub data: u64,
}

impl<R: Real> Checkpoint<R> {
    /// Writes the file, whole or not at all.
    /// # Errors
    /// `File` where writing fails.
    pub fn write(&self, path: &Path, net: &ScoreNet, seed: u64) -> Result<()> {
        let mut t = Tensors::default();
        let o = &self.state.optimiser;
        for (group, values) in [("model", &self.state.params), ("ema", &o.ema), ("adam.m", &o.m), ("adam.v", &o.v)] {
            for p in net.parameters().iter().filter(|_| !values.is_empty()) {
                t.put(format!("{group}.{}", p.name), &p.shape, values[p.range()].iter().copied());
            }
        }
        match &self.state.control {
            ControlState::Nothing => {}
            ControlState::Network { params, optimiser } => {
                for (name, values) in [("params", params), ("m", &optimiser.m), ("v", &optimiser.v)] {
                    t.put(format!("control.{name}"), &[values.len()], values.iter().copied());
                }
            }
            ControlState::Regression(bins) => {
                let rows: Vec<Vec<f64>> = bins.iter().map(Running::numbers).collect();
                t.put("control.bins".to_owned(), &[rows.len(), rows.first().map_or(0, Vec::len)], rows.concat());
            }
        }
        let weights = self.state.weights.numbers();
        if !weights.is_empty() {
            t.put("weights".to_owned(), &[weights.len(), 3], weights.concat());
        }
        if let Some(Prices(prices)) = &self.state.prices {
            t.put("control.prices".to_owned(), &[prices.len()], prices.iter().copied());
        }
        t.reference(&self.reference);
        self.pca.iter().for_each(|pca| t.pca(pca));
        t.fact("step", o.step);
        t.fact("seed", seed);
        t.fact("data", self.data);
        t.write(path)
    }

    /// Reads the file of a network `network(d)`, d the dimension of the reference.
    /// # Errors
    /// `File` (exit code 2) for a file that is not a whole checkpoint of this network and precision.
    pub fn read(path: &Path, network: impl FnOnce(usize) -> Result<ScoreNet>) -> Result<Self> {
        let bytes = bytes(path)?;
        let file = Reader::new(&bytes, path, "checkpoint")?;
        file.check_format()?;
        let reference = file.reference()?;
        let net = network(reference.whitening.dim())?;
        let params = parameters(&file, "model", &net)?;
        let ema = if file.has("ema.layers.0.weight") { parameters(&file, "ema", &net)? } else { Vec::new() };
        let (m, v) = (parameters(&file, "adam.m", &net)?, parameters(&file, "adam.v", &net)?);
        let optimiser = optim::State { step: file.number("step")?, m, v, ema };
        let control = control(&file, optimiser.step)?;
        let prices = if file.has("control.prices") { Some(prices(&file)?) } else { None };
        let weights = if file.has("weights") { weights(&file)? } else { Seen::default() };
        let state = State { params, optimiser, control, weights, prices };
        Ok(Checkpoint { state, reference, pca: file.pca()?, data: file.number("data")? })
    }
}

fn parameters<R: Real>(file: &Reader, group: &str, net: &ScoreNet) -> Result<Vec<R>> {
    let mut all = Vec::with_capacity(net.parameter_count());
    for p in net.parameters() {
        let name = format!("{group}.{}", p.name);
        let (values, shape) = file.values::<R>(&name)?;
        if shape != p.shape {
            return Err(file.bad(format!("`{name}` must have the shape {:?} of this configuration, got {shape:?}", p.shape)));
        }
        all.extend(values);
    }
    Ok(all)
}

/// What a control variate has learned; it takes a step with each of the optimiser's.
fn control<R: Real>(file: &Reader, step: u64) -> Result<ControlState<R>> {
    if file.has("control.bins") {
        let rows: Array2<f64> = file.of("control.bins")?;
        let bins = rows.rows().into_iter().map(|row| Running::from_numbers(&row.to_vec())).collect::<Result<_>>();
        return Ok(ControlState::Regression(bins.map_err(|e| file.bad(format!("`control.bins`: {e}")))?));
    }
    if !file.has("control.params") {
        return Ok(ControlState::Nothing);
    }
    let numbers = |name: &str| Ok(file.values::<R>(&format!("control.{name}"))?.0);
    let optimiser = optim::State { step, m: numbers("m")?, v: numbers("v")?, ema: Vec::new() };
    Ok(ControlState::Network { params: numbers("params")?, optimiser })
}

fn weights(file: &Reader) -> Result<Seen> {
    let (values, shape) = file.values::<f64>("weights")?;
    if shape.len() != 2 || shape[1] != 3 {
        return Err(file.bad(format!("`weights` has the unexpected shape {shape:?}")));
    }
    let rows = values.chunks_exact(3).map(|row| [row[0], row[1], row[2]]).collect();
    Seen::from_numbers(rows).map_err(|e: Error| file.bad(format!("`weights`: {e}")))
}

fn prices(file: &Reader) -> Result<Prices> {
    let (values, shape) = file.values::<f64>("control.prices")?;
    let bad = |_| file.bad(format!("`control.prices` has the unexpected shape {shape:?}"));
    values.try_into().map(Prices).map_err(bad)
}
