//! Points in safetensors files, as other programs write them.

use super::file::{MAX_NUMBERS, Table, check_finite, read_regular};
use super::named::{named, place};
use super::npy;
use super::number_type::{KNOWN, NumberType};
use crate::{Error, Result};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use std::path::Path;

/// The tensor called `array`, or the only one that there is, as [`npy::read`] takes an array; labels are the numbers of the
/// tensor `label`, one a row.
///
/// # Errors
/// As [`npy::read`]; several tensors and no name, or a name that there is not; labels that are no whole numbers, or not as
/// many as rows.
///
/// ```
/// # use std::collections::HashMap;
/// use ndarray::array;
/// use safetensors::tensor::{Dtype, TensorView};
/// let bytes: Vec<u8> = [0.0f32, 1.0, 2.0, 3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
/// let points = TensorView::new(Dtype::F32, vec![2, 2], &bytes)?;
/// let path = std::env::temp_dir().join(format!("ndsm-doc-{}.safetensors", std::process::id()));
/// safetensors::serialize_to_file([("points", points)], None, &path)?;
/// assert_eq!(ndsm::data::tensors::read(&path, None, None)?.values, array![[0.0, 1.0], [2.0, 3.0]]);
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: &Path, array: Option<&str>, label: Option<&str>) -> Result<Table> {
    let bytes = read_regular(path, 16 * MAX_NUMBERS as u64)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| Error::bad_file(path, format!("is not a whole safetensors file: {e}")))?;
    let mut names: Vec<String> = file.names().into_iter().map(str::to_owned).collect();
    names.sort();
    named(path, &names, array, label, &mut |name| one(path, &file, name))
}

/// One of the tensors.
fn one(path: &Path, file: &SafeTensors, name: &str) -> Result<Table> {
    let place = place(path, name);
    let tensor = file.tensor(name).map_err(|e| Error::bad_file(&place, e.to_string()))?;
    let kind = number_type(tensor.dtype())
        .ok_or_else(|| Error::bad_file(&place, format!("its numbers must be of type {KNOWN}, got {:?}", tensor.dtype())))?;
    let (_, d) = npy::size(&place, tensor.shape())?;
    let values: Vec<f64> = tensor.data().chunks_exact(kind.size).map(|bytes| kind.number(bytes)).collect();
    for (i, x) in values.iter().enumerate() {
        check_finite(&place, *x, ("row", i / d + 1), i % d + 1)?;
    }
    npy::shaped(&place, tensor.shape(), kind, values)
}

/// The type by its name in NumPy's files.
fn number_type(dtype: Dtype) -> Option<NumberType> {
    NumberType::parse(match dtype {
        Dtype::F16 => "<f2",
        Dtype::F32 => "<f4",
        Dtype::F64 => "<f8",
        Dtype::I8 => "|i1",
        Dtype::I16 => "<i2",
        Dtype::I32 => "<i4",
        Dtype::I64 => "<i8",
        Dtype::U8 => "|u1",
        Dtype::U16 => "<u2",
        Dtype::U32 => "<u4",
        Dtype::U64 => "<u8",
        Dtype::BOOL => "|b1",
        _ => return None,
    })
}
