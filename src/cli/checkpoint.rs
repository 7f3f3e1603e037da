//! Checkpoints: everything a run needs to go on, or to generate, in one safetensors file.
//!
//! | tensors | what |
//! |---|---|
//! | `model.*`, `ema.*` | parameters of the network, and their average |
//! | `adam.m.*`, `adam.v.*` | Adam's moments |
//! | `control.params`, `.m`, `.v`; `control.bins` | parameters of a learning control variate and Adam's moments of them; moments by time bin |
//! | `weights` | what a weighting that learns has seen, by time bin |
//! | `control.prices` | what `objective.control = "auto"` measured |
//! | `mixture.weights`, `.means`, `.covariances` | the reference in whitened coordinates; the shape of the covariances tells their kind |
//! | `whitening.mean`, `.factor`, `.inverse` | whitened coordinates: x = mean + factor u |
//! | `pca.mean`, `.components`, `.variance`, `.total` | the latent space, where there is one |
//!
//! Metadata: `format`, `step`, `seed`, `covariance`, `data` (a hash of the data). Random numbers need none: they are named by the step.

use super::run_dir::write_whole;
use crate::control::Running;
use crate::data::Pca;
use crate::mixture::{CovarianceKind, Covariances, Mixture};
use crate::nn::ScoreNet;
use crate::objective::{Learned, Seen};
use crate::optim;
use crate::sde::Whitening;
use crate::train::{Prices, Reference, State};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayBase, ArrayD, Data, Dimension, IxDyn};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// The layout that this version writes and reads.
const FORMAT: &str = "ndsm 1";

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

/// Tensors as bytes.
#[derive(Default)]
struct Tensors(Vec<(String, Dtype, Vec<usize>, Vec<u8>)>);

fn dtype<R: Real>() -> Dtype {
    if R::BYTES == 4 { Dtype::F32 } else { Dtype::F64 }
}

impl Tensors {
    fn put<R: Real>(&mut self, name: String, shape: &[usize], values: impl IntoIterator<Item = R>) {
        let mut bytes = Vec::new();
        values.into_iter().for_each(|v| v.put_le(&mut bytes));
        self.0.push((name, dtype::<R>(), shape.to_vec(), bytes));
    }

    fn array<S: Data<Elem = f64>, D: Dimension>(&mut self, name: &str, a: &ArrayBase<S, D>) {
        self.put(name.to_owned(), a.shape(), a.iter().copied());
    }
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
            Learned::Nothing => {}
            Learned::Network { params, optimiser } => {
                for (name, values) in [("params", params), ("m", &optimiser.m), ("v", &optimiser.v)] {
                    t.put(format!("control.{name}"), &[values.len()], values.iter().copied());
                }
            }
            Learned::Regression(bins) => {
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
        let (mixture, whitening) = (&self.reference.mixture, &self.reference.whitening);
        t.array("mixture.weights", &mixture.weights());
        t.array("mixture.means", &mixture.means());
        match mixture.covariances() {
            Covariances::Spherical(v) => t.array("mixture.covariances", v),
            Covariances::Diagonal(v) => t.array("mixture.covariances", v),
            Covariances::Full(c) => t.array("mixture.covariances", c),
            Covariances::Tied(c) => t.array("mixture.covariances", c),
        }
        t.array("whitening.mean", &whitening.mean());
        t.array("whitening.factor", &whitening.factor());
        t.array("whitening.inverse", &whitening.inverse());
        if let Some(pca) = &self.pca {
            t.array("pca.mean", &pca.mean);
            t.array("pca.components", &pca.components);
            t.array("pca.variance", &pca.variance);
            t.put("pca.total".to_owned(), &[1], [pca.total_variance]);
        }
        let metadata = HashMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("step".to_owned(), o.step.to_string()),
            ("seed".to_owned(), seed.to_string()),
            ("covariance".to_owned(), mixture.kind().name().to_owned()),
            ("data".to_owned(), self.data.to_string()),
        ]);
        let failed = |e: &dyn std::fmt::Display| Error::io(path, "cannot be written", &std::io::Error::other(e.to_string()));
        let views = t.0.iter().map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view)).map_err(|e| failed(&e))
        });
        let views = views.collect::<Result<Vec<_>>>()?;
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| failed(&e))?;
        write_whole(path, &bytes).map_err(|e| Error::io(path, "cannot be written", &e))
    }

    /// Reads the file of a network `network(d)`, d the dimension of the reference.
    /// # Errors
    /// `File` (exit code 2) for a file that is not a whole checkpoint of this network and precision.
    pub fn read(path: &Path, network: impl FnOnce(usize) -> Result<ScoreNet>) -> Result<Self> {
        let bad = |problem: String| Error::bad_file(path, problem);
        let bytes = std::fs::read(path).map_err(|e| bad(format!("cannot be read: {e}")))?;
        let file = Reader { tensors: SafeTensors::deserialize(&bytes).map_err(|e| bad(format!("is not a whole checkpoint: {e}")))?, path };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(format!("is not a whole checkpoint: {e}")))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let fact = |name: &str| metadata.get(name).cloned().ok_or_else(|| bad(format!("is not a checkpoint: its metadata lack `{name}`")));
        let number = |name: &str| fact(name)?.parse::<u64>().map_err(|_| bad(format!("its metadata hold no number `{name}`")));
        if fact("format")? != FORMAT {
            return Err(bad(format!("must have the format \"{FORMAT}\", got \"{}\"", fact("format")?)));
        }
        let reference = file.reference(&fact("covariance")?)?;
        let net = network(reference.whitening.dim())?;
        let params = file.parameters("model", &net)?;
        let ema = if file.has("ema.layers.0.weight") { file.parameters("ema", &net)? } else { Vec::new() };
        let optimiser =
            optim::State { step: number("step")?, m: file.parameters("adam.m", &net)?, v: file.parameters("adam.v", &net)?, ema };
        let pca = if file.has("pca.mean") { Some(file.pca()?) } else { None };
        let control = file.control(optimiser.step)?;
        let prices = if file.has("control.prices") { Some(file.prices()?) } else { None };
        let weights = if file.has("weights") { file.weights()? } else { Seen::default() };
        Ok(Checkpoint { state: State { params, optimiser, control, weights, prices }, reference, pca, data: number("data")? })
    }
}

struct Reader<'a> {
    tensors: SafeTensors<'a>,
    path: &'a Path,
}

impl Reader<'_> {
    fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    fn values<R: Real>(&self, name: &str) -> Result<(Vec<R>, Vec<usize>)> {
        let bad = |problem: String| Error::bad_file(self.path, problem);
        let t = self.tensors.tensor(name).map_err(|_| bad(format!("lacks the tensor `{name}`")))?;
        if t.dtype() != dtype::<R>() {
            return Err(bad(format!("`{name}` must be {}, got {:?}; train.precision must be that of the run", R::NAME, t.dtype())));
        }
        let values: Vec<R> = t.data().chunks_exact(R::BYTES).map(R::take_le).collect();
        if values.iter().any(|v| !v.is_finite()) {
            return Err(bad(format!("`{name}` holds NaN or infinity")));
        }
        Ok((values, t.shape().to_vec()))
    }

    fn parameters<R: Real>(&self, group: &str, net: &ScoreNet) -> Result<Vec<R>> {
        let mut all = Vec::with_capacity(net.parameter_count());
        for p in net.parameters() {
            let name = format!("{group}.{}", p.name);
            let (values, shape) = self.values::<R>(&name)?;
            if shape != p.shape {
                return Err(Error::bad_file(
                    self.path,
                    format!("`{name}` must have the shape {:?} of this configuration, got {shape:?}", p.shape),
                ));
            }
            all.extend(values);
        }
        Ok(all)
    }

    /// What a control variate has learned; it takes a step with each of the optimiser's.
    fn control<R: Real>(&self, step: u64) -> Result<Learned<R>> {
        if self.has("control.bins") {
            let rows: Array2<f64> = self.of("control.bins")?;
            let bins = rows.rows().into_iter().map(|row| Running::from_numbers(&row.to_vec())).collect::<Result<_>>();
            return Ok(Learned::Regression(bins.map_err(|e| Error::bad_file(self.path, format!("`control.bins`: {e}")))?));
        }
        if !self.has("control.params") {
            return Ok(Learned::Nothing);
        }
        let numbers = |name: &str| Ok(self.values::<R>(&format!("control.{name}"))?.0);
        let optimiser = optim::State { step, m: numbers("m")?, v: numbers("v")?, ema: Vec::new() };
        Ok(Learned::Network { params: numbers("params")?, optimiser })
    }

    fn weights(&self) -> Result<Seen> {
        let (values, shape) = self.values::<f64>("weights")?;
        if shape.len() != 2 || shape[1] != 3 {
            return Err(Error::bad_file(self.path, format!("`weights` has the unexpected shape {shape:?}")));
        }
        let rows = values.chunks_exact(3).map(|row| [row[0], row[1], row[2]]).collect();
        Seen::from_numbers(rows).map_err(|e| Error::bad_file(self.path, format!("`weights`: {e}")))
    }

    fn prices(&self) -> Result<Prices> {
        let (values, shape) = self.values::<f64>("control.prices")?;
        let bad = |_| Error::bad_file(self.path, format!("`control.prices` has the unexpected shape {shape:?}"));
        values.try_into().map(Prices).map_err(bad)
    }

    fn array(&self, name: &str) -> Result<ArrayD<f64>> {
        let (values, shape) = self.values(name)?;
        ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|e| Error::bad_file(self.path, format!("`{name}`: {e}")))
    }

    fn of<D: Dimension>(&self, name: &str) -> Result<ndarray::Array<f64, D>> {
        let a = self.array(name)?;
        let got = a.shape().to_vec();
        a.into_dimensionality::<D>().map_err(|_| Error::bad_file(self.path, format!("`{name}` has the unexpected shape {got:?}")))
    }

    fn reference(&self, kind: &str) -> Result<Reference> {
        let covariances = match CovarianceKind::parse(kind).map_err(|e| Error::bad_file(self.path, e.to_string()))? {
            CovarianceKind::Spherical => Covariances::Spherical(self.of("mixture.covariances")?),
            CovarianceKind::Diagonal => Covariances::Diagonal(self.of("mixture.covariances")?),
            CovarianceKind::Full => Covariances::Full(self.of("mixture.covariances")?),
            CovarianceKind::Tied => Covariances::Tied(self.of("mixture.covariances")?),
        };
        let bad = |e: Error| Error::bad_file(self.path, e.to_string());
        let mixture = Mixture::new(self.of("mixture.weights")?, self.of("mixture.means")?, covariances).map_err(bad)?;
        let parts: (Array1<f64>, Array2<f64>, Array2<f64>) =
            (self.of("whitening.mean")?, self.of("whitening.factor")?, self.of("whitening.inverse")?);
        let whitening = Whitening::from_parts(parts.0, parts.1, parts.2).map_err(bad)?;
        if whitening.dim() != mixture.dim() {
            return Err(Error::bad_file(self.path, "reference and whitening differ in their dimension"));
        }
        let std = mixture.total_covariance().diag().mapv(f64::sqrt);
        Ok(Reference { whitening, mixture, std, tried: Vec::new(), notes: Vec::new() })
    }

    fn pca(&self) -> Result<Pca> {
        let (mean, components, variance): (Array1<f64>, Array2<f64>, Array1<f64>) =
            (self.of("pca.mean")?, self.of("pca.components")?, self.of("pca.variance")?);
        let total: Array1<f64> = self.of("pca.total")?;
        if components.dim() != (variance.len(), mean.len()) || total.len() != 1 {
            return Err(Error::bad_file(self.path, "the shapes of the `pca.*` tensors do not fit each other"));
        }
        Ok(Pca { mean, components, variance, total_variance: total[0] })
    }
}
