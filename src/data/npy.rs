//! NumPy's `.npy` files: reading points, images or any array, writing samples.
//!
//! Layout (NumPy enhancement proposal 1): the magic bytes `\x93NUMPY`, a version, the header's length, the
//! header (a Python dictionary of `descr`, `fortran_order` and `shape`, padded to a multiple of 64 bytes),
//! the numbers.

use super::NpyRows;
use super::file::{ImageShape, MAX_NUMBERS, Table, check_finite, check_size, fill, open, replace};
use super::number_type::{KNOWN, NumberType};
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayD, ArrayView2, IxDyn, ShapeBuilder};
use std::io::{BufReader, Read};
use std::path::Path;

pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Numbers that are read at once.
const PIECE: usize = 8192;
/// Longest header that is read; NumPy writes 118 bytes.
const MAX_HEADER: usize = 1 << 16;

/// Points of a 2-D array [n, d], numbers of a 1-D one `[n]`, or images of a 3-D array [n, height, width] or a 4-D one
/// [n, height, width, channels], 1 channel or 3: floats of 16, 32 or 64 bits, integers of 8 to 64, or truth values, of
/// either order of bytes and axes. Images of bytes are divided by 255; others keep their values, whose extremes are the
/// range.
///
/// # Errors
/// [`Error::File`] if the file is missing, no `.npy` file, of another type or number of axes, shorter or longer than its
/// header claims, or holds NaN or infinity (with row and column).
pub fn read(path: &Path) -> Result<Table> {
    let (file, length) = open(path)?;
    table(path, &mut BufReader::new(file), length)
}

/// Whether a file begins as a zip file does.
pub(super) fn is_zip(path: &Path) -> bool {
    let mut start = [0; 4];
    open(path).is_ok_and(|(mut file, _)| file.read_exact(&mut start).is_ok()) && start == *b"PK\x03\x04"
}

/// The array that `from` holds, `length` bytes with its header; `path` names it.
pub(super) fn table(path: &Path, from: &mut impl Read, length: u64) -> Result<Table> {
    let header = Header::read(path, from)?;
    let (n, d) = size(path, &header.shape)?;
    let values = header.numbers(path, from, length, n, d)?;
    shaped(path, &header.shape, header.kind, values)
}

/// Rows and numbers of a row of an array of points, of numbers, or of images.
pub(super) fn size(path: &Path, shape: &[usize]) -> Result<(usize, usize)> {
    match *shape {
        [n] | [n, _] | [n, _, _] | [n, _, _, 1 | 3] => Ok((n, check_size(path, n, &shape[1..])?)),
        _ => {
            let expected = "must have 1 axis (numbers), 2 (points), 3 (grey images) or 4 (images, the last axis 1 or 3 channels)";
            Err(Error::bad_file(path, format!("{expected}, got the shape {shape:?}")))
        }
    }
}

/// The table of the numbers of such an array, in C order.
pub(super) fn shaped(path: &Path, shape: &[usize], kind: NumberType, mut values: Vec<f64>) -> Result<Table> {
    let (n, d) = size(path, shape)?;
    let image = match *shape {
        [_, height, width] => Some((height, width, 1)),
        [_, height, width, channels] => Some((height, width, channels)),
        _ => None,
    };
    let levels = kind.levels();
    if let (Some(levels), true) = (levels, image.is_some()) {
        values.iter_mut().for_each(|v| *v /= f64::from(levels - 1));
    }
    let range = match levels {
        Some(_) => [0.0, 1.0],
        None => [values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(f64::NEG_INFINITY, f64::max)],
    };
    let values = Array2::from_shape_vec((n, d), values).map_err(|e| Error::bad_file(path, e.to_string()))?;
    let images = image.map(|(height, width, channels)| ImageShape { height, width, channels, range, levels });
    Ok(Table { values, images, labels: None, notes: Vec::new() })
}

/// An array of any shape and of the types that [`read`] takes; bytes keep their values.
///
/// # Errors
/// As [`read`]; a single row and an empty array are no errors.
pub fn read_array(path: &Path) -> Result<ArrayD<f64>> {
    let (file, length) = open(path)?;
    let mut file = BufReader::new(file);
    let header = Header::read(path, &mut file)?;
    let shape = &header.shape[..];
    let all = shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s)).filter(|n| *n <= MAX_NUMBERS);
    let all =
        all.ok_or_else(|| Error::bad_file(path, format!("claims the shape {shape:?}, more than the {MAX_NUMBERS} numbers that are read")))?;
    // Rows along the first axis, for the sentence about a bad number; none if another axis is empty.
    let n = shape.first().copied().unwrap_or(1).min(all);
    let values = header.numbers(path, &mut file, length, n, all / n.max(1))?;
    ArrayD::from_shape_vec(IxDyn(shape), values).map_err(|e| Error::bad_file(path, e.to_string()))
}

/// Writes `x` as `<f4` or `<f8` in C order: to a temporary file beside `path`, forced to the disk, then
/// renamed, so that `path` never holds half a file.
///
/// ```
/// # fn main() -> ndsm::Result<()> {
/// let path = std::env::temp_dir().join(format!("ndsm-doc-{}.npy", std::process::id()));
/// let x = ndarray::array![[1.0, 2.0], [3.0, 4.0]];
/// ndsm::data::npy::write(&path, x.view())?;
/// assert_eq!(ndsm::data::npy::read(&path)?.values, x);
/// # std::fs::remove_file(&path).ok();
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::File`] if the file cannot be made there (bad input) or cannot be written to the end (a later
/// failure).
pub fn write<R: Real>(path: &Path, x: ArrayView2<R>) -> Result<()> {
    replace(path, &mut |file| {
        let mut rows = NpyRows::new(file, [x.nrows(), x.ncols()], R::BYTES == 8)?;
        rows.add(x)?;
        rows.end().map(drop)
    })
}

struct Header {
    /// The name of the type.
    descr: String,
    kind: NumberType,
    fortran: bool,
    shape: Vec<usize>,
    /// Bytes before the first number.
    bytes: u64,
}

impl Header {
    fn read(path: &Path, file: &mut impl Read) -> Result<Header> {
        let what = "its .npy header";
        let mut start = [0; 8];
        fill(path, file, &mut start, what)?;
        let [magic @ .., major, _] = &start;
        if magic != MAGIC {
            return Err(Error::bad_file(path, "is no .npy file: it must start with \\x93NUMPY"));
        }
        // Version 1 has a 2-byte length, versions 2 and 3 a 4-byte one.
        let wide = match major {
            1 => 2,
            2 | 3 => 4,
            other => return Err(Error::bad_file(path, format!("must be of .npy version 1, 2 or 3, got {other}"))),
        };
        let mut length = [0; 4];
        fill(path, file, &mut length[..wide], what)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_HEADER {
            return Err(Error::bad_file(path, format!("its header claims {length} bytes, more than the {MAX_HEADER} that are read")));
        }
        let mut text = vec![0; length];
        fill(path, file, &mut text, what)?;
        let text = String::from_utf8_lossy(&text);
        let fields = Fields::parse(&text).ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            Error::bad_file(path, format!("its header must give descr, fortran_order and shape, got `{}`", shown.trim_end()))
        })?;
        let descr = fields.descr.to_owned();
        let kind = NumberType::parse(&descr).ok_or_else(|| {
            let shown: String = descr.chars().take(40).collect();
            Error::bad_file(path, format!("its numbers must be of type {KNOWN}, got {shown}"))
        })?;
        Ok(Header { descr, kind, fortran: fields.fortran_order, shape: fields.shape, bytes: (start.len() + wide + length) as u64 })
    }

    /// The `n` rows of `d` numbers that follow the header in a file of `length` bytes.
    fn numbers(&self, path: &Path, file: &mut impl Read, length: u64, n: usize, d: usize) -> Result<Vec<f64>> {
        let (name, bytes) = (&self.descr, self.kind.size);
        let (expected, got) = ((n * d * bytes) as u64, length.saturating_sub(self.bytes));
        if got != expected {
            let shape = &self.shape;
            return Err(Error::bad_file(
                path,
                format!("must hold {expected} bytes of numbers for the shape {shape:?} of {name}, got {got}"),
            ));
        }
        // A packed file may claim more than it has.
        let mut values = Vec::with_capacity((n * d).min(64 * PIECE));
        let mut some = vec![0; PIECE * bytes];
        while values.len() < n * d {
            let some = &mut some[..PIECE.min(n * d - values.len()) * bytes];
            fill(path, file, some, "its numbers")?;
            values.extend(some.chunks_exact(bytes).map(|b| self.kind.number(b)));
        }
        if self.fortran {
            let columns_first = ArrayD::from_shape_vec(IxDyn(&self.shape).f(), values);
            values = columns_first.map_err(|e| Error::bad_file(path, e.to_string()))?.iter().copied().collect();
        }
        for (i, v) in values.iter().enumerate() {
            check_finite(path, *v, ("row", i / d + 1), i % d + 1)?;
        }
        Ok(values)
    }
}

/// The header's dictionary, its entries in any order.
#[derive(Default)]
struct Fields<'a> {
    descr: &'a str,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl<'a> Fields<'a> {
    /// None unless `text` is `{'descr': '...', 'fortran_order': True|False, 'shape': (i, j, ...), }` and no
    /// more.
    fn parse(text: &'a str) -> Option<Self> {
        let mut fields = Fields::default();
        let mut seen = [false; 3];
        let mut left = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
        while !left.is_empty() {
            let (key, rest) = quoted(left)?;
            let rest = rest.trim_start().strip_prefix(':')?.trim_start();
            let which = ["descr", "fortran_order", "shape"].iter().position(|k| *k == key)?;
            if std::mem::replace(&mut seen[which], true) {
                return None;
            }
            left = match which {
                0 => {
                    let (descr, rest) = quoted(rest)?;
                    fields.descr = descr;
                    rest
                }
                1 => {
                    fields.fortran_order = rest.starts_with("True");
                    rest.strip_prefix("True").or_else(|| rest.strip_prefix("False"))?
                }
                _ => {
                    let (inside, rest) = rest.strip_prefix('(')?.split_once(')')?;
                    // `split_terminator`: (3,) has one entry and () none.
                    fields.shape = inside.trim().split_terminator(',').map(|s| s.trim().parse().ok()).collect::<Option<_>>()?;
                    rest
                }
            };
            left = left.trim_start();
            left = match left.strip_prefix(',') {
                Some(rest) => rest.trim_start(),
                None if left.is_empty() => left,
                None => return None,
            };
        }
        (seen == [true; 3]).then_some(fields)
    }
}

/// The string that `text` starts with, in either kind of quotes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}
