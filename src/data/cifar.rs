//! The binary layout of CIFAR-10 and CIFAR-100: colour images of 32 x 32 pixels, one record after the other
//! and nothing else, plain or gzip.
//!
//! | bytes of a record | CIFAR-10 | CIFAR-100 |
//! |---|---|---|
//! | label | 1: 0 to 9 | 2: coarse, 0 to 19, and fine, 0 to 99, which is the one that is taken |
//! | 1,024 | red, 0 to 255, row by row | the same |
//! | 1,024 | green | the same |
//! | 1,024 | blue | the same |
//!
//! A file says neither which of the two it is nor how many records it has: both follow from its length, which
//! must be whole records of 3,073 or of 3,074 bytes. The colours of a pixel come to stand side by side
//! ([`ImageShape`]).

use super::file::{ImageShape, MAX_NUMBERS, Table, check_size, names_in, open_unpacked, truncated};
use crate::{Error, Result};
use ndarray::Array2;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Height and width.
const SIDE: usize = 32;
const PIXELS: usize = SIDE * SIDE;
const CHANNELS: usize = 3;
const NUMBERS: usize = CHANNELS * PIXELS;

/// What a record has before its pixels, and how many values each of these labels has.
struct Layout {
    name: &'static str,
    labels: &'static [(&'static str, u8)],
}

/// A length that is whole records of both is the first one's.
const LAYOUTS: [Layout; 2] = [
    Layout { name: "CIFAR-10", labels: &[("label", 10)] },
    Layout { name: "CIFAR-100", labels: &[("coarse label", 20), ("fine label", 100)] },
];

impl Layout {
    fn record(&self) -> usize {
        self.labels.len() + NUMBERS
    }
}

/// Images of `path`, [n, 32 x 32 x 3], divided by 255, with their labels: of a file, or of all
/// `data_batch_*.bin`, or `train.bin`, of a folder. `test_batch.bin` and `test.bin` are read where they are
/// given themselves.
///
/// # Errors
/// [`Error::File`] if a file is missing, is not whole records, has a label out of range or more than
/// [`MAX_NUMBERS`] numbers, and if a folder has no such files; [`Error::Unavailable`] for gzip without the
/// feature `files`.
pub fn read(path: &Path) -> Result<Table> {
    let files = if path.is_dir() { find(path)? } else { vec![path.to_path_buf()] };
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for file in &files {
        append(file, &mut values, &mut labels)?;
    }
    let n = labels.len();
    let d = check_size(path, n, &[SIDE, SIDE, CHANNELS])?;
    let values = Array2::from_shape_vec((n, d), values).map_err(|e| Error::bad_file(path, e.to_string()))?;
    let images = ImageShape { height: SIDE, width: SIDE, channels: CHANNELS, range: [0.0, 1.0], levels: Some(256) };
    Ok(Table { values, images: Some(images), labels: Some(labels), notes: Vec::new() })
}

/// The training files of a folder in the order of their names.
fn find(folder: &Path) -> Result<Vec<PathBuf>> {
    let batch = |name: &str| name.starts_with("data_batch_") && name.ends_with(".bin");
    let mut found = names_in(folder, batch)?;
    if found.is_empty() {
        found = names_in(folder, |name| name == "train.bin")?;
    }
    if found.is_empty() {
        return Err(Error::bad_file(folder, "must hold files `data_batch_*.bin`, or `train.bin`, plain or gzip, but holds none"));
    }
    Ok(found.into_iter().map(|name| folder.join(name)).collect())
}

/// The records of one file behind those that are there.
fn append(path: &Path, values: &mut Vec<f64>, labels: &mut Vec<u32>) -> Result<()> {
    let (from, length) = open_unpacked(path)?;
    let room = MAX_NUMBERS - values.len();
    let too_large = || Error::bad_file(path, format!("holds more than the {MAX_NUMBERS} numbers that are read of a data set"));
    let mut bytes = Vec::new();
    if let Some(length) = length {
        // A plain file is refused by its length, before anything is read.
        let count = usize::try_from(length).ok().filter(|count| *count <= room).ok_or_else(too_large)?;
        layout(path, count)?;
        bytes.reserve_exact(count);
    }
    // Grows with what is really there.
    from.take(room as u64 + 1).read_to_end(&mut bytes).map_err(|e| truncated(path, &e, "its records"))?;
    if bytes.len() > room {
        return Err(too_large());
    }
    let layout = layout(path, bytes.len())?;
    values.reserve_exact(bytes.len() / layout.record() * NUMBERS);
    for (i, record) in bytes.chunks_exact(layout.record()).enumerate() {
        let (label, planes) = record.split_at(layout.labels.len());
        for ((what, below), label) in layout.labels.iter().zip(label) {
            if label >= below {
                return Err(Error::bad_file(path, format!("record {}: the {what} must be below {below}, got {label}", i + 1)));
            }
        }
        labels.extend(label.last().map(|label| u32::from(*label)));
        values.extend((0..NUMBERS).map(|j| f64::from(planes[j % CHANNELS * PIXELS + j / CHANNELS]) / 255.0));
    }
    Ok(())
}

/// What `length` bytes are records of.
fn layout(path: &Path, length: usize) -> Result<&'static Layout> {
    LAYOUTS.iter().find(|layout| length > 0 && length.is_multiple_of(layout.record())).ok_or_else(|| {
        let records = LAYOUTS.map(|layout| format!("{} bytes ({})", layout.record(), layout.name)).join(" or ");
        Error::bad_file(path, format!("must be whole records of {records}, got {length} bytes"))
    })
}
