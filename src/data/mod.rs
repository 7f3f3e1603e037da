//! Data: toy laws with exact densities, the embedded digits, files; latent spaces: principal components,
//! autoencoders.
//!
//! [`load`] gives a [`Dataset`] by name. Whatever its source, a data set has a training part and a held-out
//! part that never meets training; both are functions of the name, the seed and the file alone.
//!
//! ```
//! # fn main() -> ndsm::Result<()> {
//! use ndsm::data::{Request, load};
//! let digits = load(&Request { name: "digits".into(), ..Request::default() })?;
//! assert_eq!(digits.points.dim(), (1438, 64));
//! assert_eq!(digits.held_out.dim(), (359, 64));
//!
//! let ring = load(&Request { name: "ring".into(), n: Some(500), seed: 1, ..Request::default() })?;
//! let law = ring.law.expect("a toy law has a density");
//! assert!(law.log_density(ring.points.view())?.iter().all(|p| p.is_finite()));
//! # Ok(())
//! # }
//! ```

pub mod cifar;
pub mod csv;
pub mod digits;
mod encoder;
mod encoder_training;
mod file;
pub mod idx;
mod joint_encoder;
pub mod law;
mod name;
#[cfg(feature = "files")]
mod named;
mod network_encoder;
pub mod npy;
mod npy_rows;
#[cfg(feature = "files")]
pub mod npz;
mod number_type;
pub mod pca;
#[cfg(feature = "files")]
pub mod tensors;

pub use encoder::Encoder;
pub use encoder_training::{EncoderLook, EncoderTraining};
#[cfg(feature = "cli")]
pub(crate) use file::check_target;
pub use file::replace;
pub use file::{ImageShape, MAX_NUMBERS, Table};
#[cfg(feature = "files")]
pub(crate) use file::{read_regular, write_after, write_whole};
pub use joint_encoder::JointEncoder;
pub use law::Law;
pub use name::DataName;
pub use network_encoder::NetworkEncoder;
pub use npy_rows::{NpyRows, lost_in_single};
pub use pca::Pca;

use crate::mixture::Mixture;
use crate::rng::{Purpose, Stream};
use crate::{Error, Result};
use ndarray::{Array2, Axis};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Points drawn from a law when `n` is not given.
pub const LAW_POINTS: usize = 10_000;
/// Points of the held-out draw from a law.
pub const LAW_HELD_OUT: usize = 10_000;
/// Share of a file's rows that is held out when none is given.
pub const FILE_HELD_OUT: f64 = 0.2;
/// Largest held-out part of a file when no share is given, in rows.
pub const MOST_HELD_OUT: usize = 2_000;

/// Which data, as the configuration's table `data` says it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// One of [`DataName::all`].
    pub name: String,
    /// The file or folder, of the names that read one.
    pub path: Option<PathBuf>,
    /// Training points. `None` or 0: [`LAW_POINTS`] of a law, all that a file has beside its held-out part.
    pub n: Option<usize>,
    /// Share of a file's rows that is held out, in (0, 1). `None`: [`FILE_HELD_OUT`], at most
    /// [`MOST_HELD_OUT`] rows. Of a law nothing is: its held-out points are a draw of their own.
    pub held_out: Option<f64>,
    /// Seed of draws and splits.
    pub seed: u64,
    /// The parameters of `mixture`.
    pub mixture: Option<Mixture>,
    /// The name of the array in an `.npz` or safetensors file of several.
    pub array: Option<String>,
    /// The columns of a `csv` file to keep, by their names or their numbers from 1 on. None: all that are no label.
    pub columns: Vec<String>,
    /// What has the labels: of a `csv` file a column, likewise; of an `.npz` or safetensors file an array.
    pub label: Option<String>,
}

/// Points to learn from, and what is known about them.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The name it was asked for by.
    pub name: String,
    /// Training points, [n, d].
    pub points: Array2<f64>,
    /// Points to compare with, [m, d], none of them in `points`. A law's are a fresh draw of
    /// [`LAW_HELD_OUT`]; a file's are a share of its rows, at least 2, of every label the same where there
    /// are labels, chosen by the seed and the same for every `n`.
    pub held_out: Array2<f64>,
    /// How a row is a picture, if it is one.
    pub images: Option<ImageShape>,
    /// What was found out about the source, a sentence each.
    pub notes: Vec<String>,
    /// Labels of `points`, if the source has them.
    pub labels: Option<Vec<u32>>,
    /// Labels of `held_out`, likewise.
    pub held_out_labels: Option<Vec<u32>>,
    /// The exact law, where there is one.
    pub law: Option<Arc<dyn Law>>,
}

impl Dataset {
    /// The dimension d.
    pub fn dim(&self) -> usize {
        self.points.ncols()
    }

    /// A hash of training and held-out points (FNV-1a over their 64-bit words): equal data have equal hashes,
    /// so that a run is not resumed on other data.
    pub fn hash(&self) -> u64 {
        let sizes = [self.points.nrows() as u64, self.held_out.nrows() as u64, self.dim() as u64];
        let words = self.points.iter().chain(&self.held_out).map(|x| x.to_bits());
        crate::hash::fnv1a(sizes.into_iter().chain(words))
    }
}

/// Draws or reads the data that `request` names.
///
/// # Errors
/// [`Error::Invalid`] (the place is the configuration key) for an unknown name, a missing or superfluous path
/// or mixture, or more points than there are; [`Error::File`] for a file that is missing or not what it
/// claims to be, or has fewer than 4 rows (2 to train on, 2 held out).
pub fn load(request: &Request) -> Result<Dataset> {
    let name = DataName::parse("data.name", &request.name)?;
    let n = request.n.filter(|n| *n > 0);
    if request.path.is_some() && !name.is_file() {
        return Err(Error::refused("data.path", format!("is for data.name = {}; `{}` reads no file", DataName::files(), request.name)));
    }
    if request.mixture.is_some() && name != DataName::Mixture {
        return Err(Error::refused("data.mixture", format!("is for data.name = mixture, not for `{}`", request.name)));
    }
    let (csv, named) = (name == DataName::Csv, matches!(name, DataName::Npy | DataName::Safetensors));
    for (key, given, fits, kinds) in [
        ("data.array", request.array.is_some(), named, "npy (an .npz file) and safetensors"),
        ("data.label", request.label.is_some(), csv || named, "csv, npy (an .npz file) and safetensors"),
        ("data.columns", !request.columns.is_empty(), csv, "csv"),
    ] {
        if given && !fits {
            return Err(Error::refused(key, format!("is for data.name = {kinds}, not for `{}`", request.name)));
        }
    }
    let read: fn(&Path, &Request) -> Result<Table> = match name {
        DataName::Digits => return split(request, digits::table(), "digits", n),
        DataName::Law(law) => return draw(request, (law.make)()?, n),
        DataName::Mixture => {
            let mixture = request.mixture.clone().ok_or_else(|| Error::refused("data.mixture", "must be given for data.name = mixture"))?;
            return draw(request, Arc::new(law::Modes::new("mixture", mixture)?), n);
        }
        DataName::Idx => |path, _| idx::read(path),
        DataName::Cifar => |path, _| cifar::read(path),
        DataName::Npy => array,
        DataName::Safetensors => tensor,
        DataName::Csv => |path, request| csv::read_columns(path, &request.columns, request.label.as_deref()),
    };
    let path = request.path.as_deref();
    let path = path.ok_or_else(|| Error::refused("data.path", format!("must be given for data.name = {}", request.name)))?;
    split(request, read(path, request)?, &path.display().to_string(), n)
}

/// A NumPy array, alone or one of several.
fn array(path: &Path, request: &Request) -> Result<Table> {
    if npy::is_zip(path) {
        #[cfg(feature = "files")]
        return npz::read(path, request.array.as_deref(), request.label.as_deref());
        #[cfg(not(feature = "files"))]
        return Err(Error::Unavailable {
            what: path.display().to_string(),
            why: "several arrays in a file need the feature `files`".into(),
        });
    }
    if let Some(key) = [("data.array", &request.array), ("data.label", &request.label)].iter().find(|(_, given)| given.is_some()) {
        return Err(Error::refused(key.0, format!("is for an .npz file, and {} is none", path.display())));
    }
    npy::read(path)
}

/// A tensor of a safetensors file.
#[cfg(feature = "files")]
fn tensor(path: &Path, request: &Request) -> Result<Table> {
    tensors::read(path, request.array.as_deref(), request.label.as_deref())
}

#[cfg(not(feature = "files"))]
fn tensor(path: &Path, _: &Request) -> Result<Table> {
    let why = "safetensors need the feature `files`".into();
    Err(Error::Unavailable { what: path.display().to_string(), why })
}

fn draw(request: &Request, law: Arc<dyn Law>, n: Option<usize>) -> Result<Dataset> {
    let n = n.unwrap_or(LAW_POINTS);
    if n > MAX_NUMBERS / law.dim() {
        return Err(Error::invalid("data.n", format!("at most {}", MAX_NUMBERS / law.dim()), n));
    }
    Ok(Dataset {
        name: request.name.clone(),
        points: law.sample(n, request.seed, law::TRAINING),
        held_out: law.sample(LAW_HELD_OUT.min(MAX_NUMBERS / law.dim()), request.seed, law::HELD_OUT),
        images: None,
        notes: Vec::new(),
        labels: None,
        held_out_labels: None,
        law: Some(law),
    })
}

/// The rows in an order that depends on the seed alone; the first of them, or the first with each label, are
/// held out, the next `n` are for training.
fn split(request: &Request, table: Table, path: &str, n: Option<usize>) -> Result<Dataset> {
    let rows = table.values.nrows();
    if rows < 4 {
        return Err(Error::bad_file(path, format!("must hold at least 4 rows (2 to train on, 2 held out), got {rows}")));
    }
    let held_out = match request.held_out {
        Some(share) if share > 0.0 && share < 1.0 => ((rows as f64 * share).round() as usize).clamp(2, rows - 2),
        Some(share) => return Err(Error::invalid("data.held_out", "in (0, 1)", share)),
        None => ((rows as f64 * FILE_HELD_OUT) as usize).clamp(2, MOST_HELD_OUT),
    };
    let n = n.unwrap_or(rows - held_out);
    if n > rows - held_out {
        let problem = format!("must be at most {}, got {n}: {path} has {rows} rows, of which {held_out} are held out", rows - held_out);
        return Err(Error::refused("data.n", problem));
    }
    let mut order: Vec<usize> = (0..rows).collect();
    Stream::new(request.seed, Purpose::Split, 0, 0).shuffle(&mut order);
    let (held, rest) = match &table.labels {
        Some(labels) => stratified(&order, labels, held_out),
        None => (order[..held_out].to_vec(), order[held_out..].to_vec()),
    };
    let train = &rest[..n];
    Ok(Dataset {
        name: request.name.clone(),
        points: table.values.select(Axis(0), train),
        held_out: table.values.select(Axis(0), &held),
        images: table.images,
        notes: table.notes.clone(),
        labels: table.labels.as_ref().map(|labels| train.iter().map(|i| labels[*i]).collect()),
        held_out_labels: table.labels.as_ref().map(|labels| held.iter().map(|i| labels[*i]).collect()),
        law: None,
    })
}

/// The rows of each label, in ascending order of both.
pub(crate) fn rows_by_label(labels: &[u32]) -> BTreeMap<u32, Vec<usize>> {
    let mut all = BTreeMap::<u32, Vec<usize>>::new();
    labels.iter().enumerate().for_each(|(row, label)| all.entry(*label).or_default().push(row));
    all
}

/// `count` of the rows in `order`, of each label its share, and the others, both in that order. What the
/// shares leave over goes to the labels with the largest remainders.
pub(crate) fn stratified(order: &[usize], labels: &[u32], count: usize) -> (Vec<usize>, Vec<usize>) {
    let mut strata = BTreeMap::<u32, usize>::new();
    labels.iter().for_each(|label| *strata.entry(*label).or_default() += 1);
    // In whole numbers: size * count = quota * rows + remainder.
    let share = |size: usize| (size as u128 * count as u128 / labels.len() as u128, size as u128 * count as u128 % labels.len() as u128);
    let mut quotas: BTreeMap<u32, usize> = strata.iter().map(|(label, size)| (*label, share(*size).0 as usize)).collect();
    let mut by_remainder: Vec<u32> = strata.keys().copied().collect();
    by_remainder.sort_by_key(|label| std::cmp::Reverse(share(strata[label]).1));
    let left = count - quotas.values().sum::<usize>();
    by_remainder.iter().take(left).for_each(|label| *quotas.entry(*label).or_default() += 1);
    order.iter().partition(|row| {
        let quota = quotas.entry(labels[**row]).or_default();
        let takes = *quota > 0;
        *quota -= usize::from(takes);
        takes
    })
}

#[cfg(test)]
mod tests;
