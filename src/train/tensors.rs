//! Named arrays in one safetensors file: what checkpoints and reference files are made of.

use super::{DataMoments, Reference, sealed};
use crate::data::{Encoder, EncoderLook, NetworkEncoder, Pca, read_regular, write_whole};
use crate::mixture::{Covariances, Mixture};
use crate::nn::Autoencoder;
use crate::sample::{Gaussian, Moments};
use crate::sde::{NoiseScale, Whitening};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayBase, ArrayD, Data, Dimension, IxDyn};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// Largest file that is read: weights, averages and moments of 2^30 parameters would not fit a small machine's memory.
const MAX_BYTES: u64 = 1 << 36;
/// The layout that this version writes and reads.
const FORMAT: &str = "ndsm 2";

/// Arrays as bytes, and facts about them.
#[derive(Default)]
pub struct Tensors {
    all: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
    facts: BTreeMap<String, String>,
}

fn dtype<R: Real>() -> Dtype {
    if R::BYTES == 4 { Dtype::F32 } else { Dtype::F64 }
}

impl Tensors {
    /// Numbers of any precision.
    pub fn put<R: Real>(&mut self, name: String, shape: &[usize], values: impl IntoIterator<Item = R>) {
        let mut bytes = Vec::new();
        values.into_iter().for_each(|v| v.put_le(&mut bytes));
        self.all.push((name, dtype::<R>(), shape.to_vec(), bytes));
    }

    /// An array of f64.
    pub fn array<S: Data<Elem = f64>, D: Dimension>(&mut self, name: &str, a: &ArrayBase<S, D>) {
        self.put(name.to_owned(), a.shape(), a.iter().copied());
    }

    /// A fact for the metadata.
    pub fn fact(&mut self, name: &str, value: impl ToString) {
        self.facts.insert(name.to_owned(), value.to_string());
    }

    /// `mixture.*`; the shapes and the fact `covariance` tell the kind of the covariances.
    pub fn mixture(&mut self, mixture: &Mixture) {
        self.array("mixture.weights", &mixture.weights());
        self.array("mixture.means", &mixture.means());
        match mixture.covariances() {
            Covariances::Spherical(v) => self.array("mixture.covariances", v),
            Covariances::Diagonal(v) => self.array("mixture.covariances", v),
            Covariances::Full(c) => self.array("mixture.covariances", c),
            Covariances::Tied(c) => self.array("mixture.covariances", c),
            Covariances::LowRank { loadings, noise } => {
                self.array("mixture.covariances", noise);
                self.array("mixture.loadings", loadings);
            }
        }
        self.fact("covariance", mixture.kind().name());
    }

    /// `mixture.*`, in whitened coordinates, and `whitening.*`.
    pub fn reference(&mut self, reference: &Reference) {
        self.mixture(&reference.mixture);
        self.array("whitening.mean", &reference.whitening.mean());
        self.array("whitening.factor", &reference.whitening.factor());
        self.array("whitening.inverse", &reference.whitening.inverse());
        if let Some([h, w, c]) = reference.image {
            self.fact("image", format!("{h}x{w}x{c}"));
        }
    }

    /// `pca.*` or `encoder.*`, where the latent space has it.
    pub fn encoder(&mut self, encoder: &Encoder) {
        match encoder {
            Encoder::Identity => {}
            Encoder::Pca(pca) => {
                self.array("pca.mean", &pca.mean);
                self.array("pca.components", &pca.components);
                self.array("pca.variance", &pca.variance);
                self.put("pca.total".to_owned(), &[1], [pca.total_variance]);
            }
            Encoder::Network(network) => {
                let (net, (mean, scale)) = (network.net(), network.standard());
                for p in net.parameters() {
                    self.put(format!("encoder.{}", p.name), &p.shape, network.params()[p.range()].iter().copied());
                }
                self.array("encoder.mean", mean);
                self.put("encoder.scale".to_owned(), &[1], [scale]);
                let looks = network.looks.iter().flat_map(|look| [look.step as f64, look.loss, look.lost]);
                self.put("encoder.lost".to_owned(), &[1], [network.lost]);
                self.put("encoder.looks".to_owned(), &[network.looks.len(), 3], looks);
                let [h, w, c] = net.image();
                self.fact("encoder", if net.is_variational() { "vae" } else { "autoencoder" });
                self.fact("encoder.image", format!("{h}x{w}x{c}"));
                self.fact("encoder.channels", net.width());
                self.fact("encoder.latent", net.latent());
                if let Some(seed) = network.draws {
                    self.fact("encoder.draws", seed);
                }
            }
        }
    }

    /// `moments.*`, where samplers keep them.
    pub fn moments(&mut self, moments: Option<&DataMoments>) {
        let Some(moments) = moments else { return };
        let times = moments.noised.times();
        self.put("moments.times".to_owned(), &[times.len()], times.iter().copied());
        self.array("moments.means", &moments.noised.means());
        self.array("moments.covariances", &moments.noised.covariances());
        self.put("moments.points".to_owned(), &[1], [moments.points as f64]);
        for (k, own) in moments.components.iter().enumerate() {
            self.array(&format!("moments.component.{k}.means"), &own.means());
            self.array(&format!("moments.component.{k}.covariances"), &own.covariances());
        }
        if let Some(held_out) = &moments.held_out {
            self.array("moments.held_out.mean", &held_out.mean);
            self.array("moments.held_out.covariance", &held_out.covariance);
        }
    }

    /// The file, sealed.
    /// # Errors
    /// Two tensors of one name.
    pub fn bytes(mut self) -> std::io::Result<Vec<u8>> {
        self.fact("format", FORMAT);
        let views = self.all.iter().map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view)).map_err(std::io::Error::other)
        });
        sealed::seal(views.collect::<std::io::Result<Vec<_>>>()?, &self.facts)
    }

    /// Writes the file, whole or not at all.
    /// # Errors
    /// `File` where writing fails.
    pub fn write(self, path: &Path) -> Result<()> {
        self.bytes().and_then(|bytes| write_whole(path, &bytes)).map_err(|e| Error::io(path, "cannot be written", &e))
    }
}

/// The bytes of the regular file at `path`.
/// # Errors
/// `File` (exit code 2).
pub fn bytes(path: &Path) -> Result<Vec<u8>> {
    read_regular(path, MAX_BYTES)
}

/// A file of tensors, read.
pub struct Reader<'a> {
    bytes: &'a [u8],
    tensors: SafeTensors<'a>,
    /// The names that were asked for.
    read: RefCell<BTreeSet<String>>,
    facts: HashMap<String, String>,
    what: &'static str,
    path: &'a Path,
}

impl<'a> Reader<'a> {
    /// The file with these bytes; `what` names its kind in errors. Every error of a reader is `File` (exit
    /// code 2).
    /// # Errors
    /// What is no safetensors file.
    pub fn new(bytes: &'a [u8], path: &'a Path, what: &'static str) -> Result<Self> {
        let bad = |e: safetensors::SafeTensorError| Error::bad_file(path, format!("is not a whole {what}: {e}"));
        let tensors = SafeTensors::deserialize(bytes).map_err(bad)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(bad)?;
        let facts = header.metadata().clone().unwrap_or_default();
        Ok(Reader { bytes, tensors, read: RefCell::default(), facts, what, path })
    }

    /// An error about this file.
    pub fn bad(&self, problem: impl ToString) -> Error {
        Error::bad_file(self.path, problem.to_string())
    }

    /// A fact of the metadata.
    pub fn fact(&self, name: &str) -> Result<String> {
        self.facts.get(name).cloned().ok_or_else(|| self.bad(format!("is not a {}: its metadata lack `{name}`", self.what)))
    }

    /// A whole number of the metadata.
    pub fn number(&self, name: &str) -> Result<u64> {
        self.fact(name)?.parse::<u64>().map_err(|_| self.bad(format!("its metadata hold no number `{name}`")))
    }

    /// That this version wrote the file, or one that writes as it does, and that it is as it was written.
    pub fn check_whole(&self) -> Result<()> {
        let format = self.fact("format")?;
        if format != FORMAT {
            return Err(self.bad(format!("must have the format \"{FORMAT}\", got \"{format}\"")));
        }
        sealed::check(self.bytes).map_err(|problem| self.bad(problem))
    }

    /// That every tensor has been read: one that nothing asks for is a misnomer.
    pub fn check_all_read(&self) -> Result<()> {
        let (names, read) = (self.tensors.names(), self.read.borrow());
        match names.into_iter().filter(|name| !read.contains(*name)).min() {
            Some(name) => Err(self.bad(format!("holds the tensor `{name}`, which is none of this configuration's"))),
            None => Ok(()),
        }
    }

    /// Whether a tensor's name begins so.
    pub fn has_any(&self, start: &str) -> bool {
        self.tensors.names().iter().any(|name| name.starts_with(start))
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    /// The numbers of a tensor, all finite, and its shape.
    pub fn values<R: Real>(&self, name: &str) -> Result<(Vec<R>, Vec<usize>)> {
        let t = self.tensors.tensor(name).map_err(|_| self.bad(format!("lacks the tensor `{name}`")))?;
        self.read.borrow_mut().insert(name.to_owned());
        if t.dtype() != dtype::<R>() {
            return Err(self.bad(format!("`{name}` must be {}, got {:?}; train.precision must be that of the run", R::NAME, t.dtype())));
        }
        let values: Vec<R> = t.data().chunks_exact(R::BYTES).map(R::take_le).collect();
        if values.iter().any(|v| !v.is_finite()) {
            return Err(self.bad(format!("`{name}` holds NaN or infinity")));
        }
        Ok((values, t.shape().to_vec()))
    }

    /// A tensor of f64, or of f32, as an array of so many dimensions.
    pub fn of<D: Dimension>(&self, name: &str) -> Result<ndarray::Array<f64, D>> {
        let single = self.tensors.tensor(name).is_ok_and(|t| t.dtype() == Dtype::F32);
        let (values, shape) = match single {
            true => self.values::<f32>(name).map(|(values, shape)| (values.into_iter().map(f64::from).collect(), shape))?,
            false => self.values(name)?,
        };
        let a = ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|e| self.bad(format!("`{name}`: {e}")))?;
        a.into_dimensionality::<D>().map_err(|_| self.bad(format!("`{name}` has the unexpected shape {shape:?}")))
    }

    /// What [`Tensors::mixture`] wrote.
    pub fn mixture(&self) -> Result<Mixture> {
        let covariances = match self.fact("covariance")?.as_str() {
            "spherical" => Covariances::Spherical(self.of("mixture.covariances")?),
            "diagonal" => Covariances::Diagonal(self.of("mixture.covariances")?),
            "full" => Covariances::Full(self.of("mixture.covariances")?),
            "tied" => Covariances::Tied(self.of("mixture.covariances")?),
            "low-rank" => Covariances::LowRank { loadings: self.of("mixture.loadings")?, noise: self.of("mixture.covariances")? },
            other => {
                let expected = "`covariance` in the metadata must be spherical, diagonal, full, tied or low-rank";
                return Err(self.bad(format!("{expected}, got \"{other}\"")));
            }
        };
        Mixture::new(self.of("mixture.weights")?, self.of("mixture.means")?, covariances).map_err(|e| self.bad(e))
    }

    /// What [`Tensors::reference`] wrote.
    pub fn reference(&self) -> Result<Reference> {
        let mixture = self.mixture()?;
        let parts: (Array1<f64>, Array2<f64>, Array2<f64>) =
            (self.of("whitening.mean")?, self.of("whitening.factor")?, self.of("whitening.inverse")?);
        let whitening = Whitening::from_parts(parts.0, parts.1, parts.2).map_err(|e| self.bad(e))?;
        let reference = Reference::from_parts(whitening, mixture).map_err(|e| self.bad(e))?;
        Ok(Reference { image: self.sides("image", reference.whitening.dim())?, ..reference })
    }

    /// The same where the file has it, else the law that it holds in the units of the data; with the floor `rho` and of
    /// the mobility that goes so far to the identity, where they are not 0.
    pub fn reference_or_law(&self, rho: f64, isotropy: f64) -> Result<Reference> {
        let changed = |law: Mixture| match isotropy {
            0.0 => Reference::from_mixture(&law, rho),
            _ => Reference::with_mobility(&law, rho, isotropy),
        };
        if !self.has_any("whitening.") {
            return changed(self.mixture()?);
        }
        self.check_whole()?;
        let whole = self.reference()?;
        if rho > 0.0 || isotropy > 0.0 { changed(whole.in_data_units()?) } else { Ok(whole) }
    }

    /// The fact `name`: height, width and channels of images of `d` numbers.
    fn sides(&self, name: &str, d: usize) -> Result<Option<[usize; 3]>> {
        let Some(fact) = self.facts.get(name) else { return Ok(None) };
        let sides: Vec<usize> = fact.split('x').filter_map(|n| n.parse().ok()).collect();
        match sides[..] {
            [h, w, c] if h.checked_mul(w).and_then(|n| n.checked_mul(c)) == Some(d) => Ok(Some([h, w, c])),
            _ => Err(self.bad(format!("`{name}` in the metadata must be HEIGHTxWIDTHxCHANNELS of {d} numbers, got \"{fact}\""))),
        }
    }

    /// What [`Tensors::encoder`] wrote.
    pub fn encoder(&self) -> Result<Encoder> {
        if self.has("encoder.mean") {
            return Ok(Encoder::Network(Box::new(self.network_encoder()?)));
        }
        if !self.has("pca.mean") {
            return Ok(Encoder::Identity);
        }
        let (mean, components, variance): (Array1<f64>, Array2<f64>, Array1<f64>) =
            (self.of("pca.mean")?, self.of("pca.components")?, self.of("pca.variance")?);
        let total: Array1<f64> = self.of("pca.total")?;
        if components.dim() != (variance.len(), mean.len()) || total.len() != 1 {
            return Err(self.bad("the shapes of the `pca.*` tensors do not fit each other"));
        }
        Ok(Encoder::Pca(Pca { mean, components, variance, total_variance: total[0] }))
    }

    /// The `encoder.*` of [`Tensors::encoder`].
    fn network_encoder(&self) -> Result<NetworkEncoder> {
        let (mean, scale): (Array1<f64>, Array1<f64>) = (self.of("encoder.mean")?, self.of("encoder.scale")?);
        let image = self.sides("encoder.image", mean.len())?.ok_or_else(|| self.bad("its metadata lack `encoder.image`"))?;
        let variational = match self.fact("encoder")?.as_str() {
            "vae" => true,
            "autoencoder" => false,
            other => return Err(self.bad(format!("`encoder` in the metadata must be autoencoder or vae, got \"{other}\""))),
        };
        let [width, latent] = [self.number("encoder.channels")?, self.number("encoder.latent")?].map(|n| n as usize);
        let net = Autoencoder::of(image, width, latent, variational).map_err(|e| self.bad(e))?;
        let mut params = vec![0f32; net.parameter_count()];
        for p in net.parameters() {
            let name = format!("encoder.{}", p.name);
            let (values, shape) = self.values::<f32>(&name)?;
            if shape != p.shape {
                return Err(self.bad(format!("`{name}` must have the shape {:?}, got {shape:?}", p.shape)));
            }
            params[p.range()].copy_from_slice(&values);
        }
        let looks: Array2<f64> = self.of("encoder.looks")?;
        if scale.len() != 1 || looks.ncols() != 3 {
            return Err(self.bad("the shapes of the `encoder.*` tensors do not fit each other"));
        }
        let mut encoder = NetworkEncoder::from_parts(net, params, mean, scale[0]).map_err(|e| self.bad(e))?;
        let look = |row: ndarray::ArrayView1<'_, f64>| EncoderLook { step: row[0] as usize, loss: row[1], lost: row[2] };
        encoder.looks = looks.outer_iter().map(look).collect();
        encoder.draws = self.fact("encoder.draws").ok().map(|_| self.number("encoder.draws")).transpose()?;
        // Earlier versions did not write it.
        encoder.lost = encoder.looks.iter().map(|look| look.lost).fold(f64::INFINITY, f64::min);
        if self.has("encoder.lost") {
            let lost: Array1<f64> = self.of("encoder.lost")?;
            encoder.lost = lost.first().copied().unwrap_or(f64::NAN);
        }
        Ok(encoder)
    }

    /// What [`Tensors::moments`] wrote, of a process with the noise level `scale` in `d` dimensions.
    pub fn moments(&self, scale: NoiseScale, d: usize) -> Result<DataMoments> {
        let (times, points): (Array1<f64>, Array1<f64>) = (self.of("moments.times")?, self.of("moments.points")?);
        let table = |name: &str| {
            let (means, covariances) = (self.of(&format!("{name}.means"))?, self.of(&format!("{name}.covariances"))?);
            Moments::new(scale, times.to_vec(), means, covariances).map_err(|e| self.bad(e))
        };
        let noised = table("moments")?;
        let named = (0..).map(|k| format!("moments.component.{k}")).take_while(|name| self.has(&format!("{name}.means")));
        let components = named.map(|name| table(&name)).collect::<Result<Vec<_>>>()?;
        let held_out = match self.has("moments.held_out.mean") {
            true => Some(Gaussian { mean: self.of("moments.held_out.mean")?, covariance: self.of("moments.held_out.covariance")? }),
            false => None,
        };
        if points.len() != 1
            || components.iter().chain([&noised]).any(|table| table.means().ncols() != d)
            || held_out.as_ref().is_some_and(|g| g.mean.len() != d || g.covariance.dim() != (d, d))
        {
            return Err(self.bad("the shapes of the `moments.*` tensors do not fit each other"));
        }
        Ok(DataMoments { noised, components, held_out, points: points[0] as usize })
    }
}
