//! Files of several arrays, each with a name: which of them has the points, and which the labels.

use super::file::Table;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The array called `array`, or the only one of `names`, as `one` reads it; labels are the numbers of the array `label`, one
/// a row.
///
/// # Errors
/// Several arrays and no name, or a name that there is not; labels that are no whole numbers, or not as many as rows; those
/// of `one`.
pub(super) fn named(
    path: &Path,
    names: &[String],
    array: Option<&str>,
    label: Option<&str>,
    one: &mut dyn FnMut(&str) -> Result<Table>,
) -> Result<Table> {
    let known = || format!("one of the arrays of {}: {}", path.display(), names.join(", "));
    let chosen = match (array, names) {
        (Some(array), _) => array,
        (None, [one]) => one,
        (None, []) => return Err(Error::bad_file(path, "holds no array")),
        (None, _) => return Err(Error::invalid("data.array", known(), "nothing")),
    };
    let mut entry = |key: &str, name: &str| {
        if !names.iter().any(|known| known == name) {
            return Err(Error::invalid(key, known(), format!("\"{name}\"")));
        }
        one(name)
    };
    let mut table = entry("data.array", chosen)?;
    if let Some(label) = label {
        table.labels = Some(labels(path, label, &entry("data.label", label)?, table.values.nrows())?);
    }
    Ok(table)
}

/// The array `name` in the file `path`, for a message: the name of an array may be an absolute path, which would take the
/// place of the file's.
pub(super) fn place(path: &Path, name: &str) -> PathBuf {
    let mut place = path.as_os_str().to_owned();
    place.push("/");
    place.push(name);
    place.into()
}

/// The numbers of a column as labels of `n` rows.
fn labels(path: &Path, name: &str, column: &Table, n: usize) -> Result<Vec<u32>> {
    let (rows, columns) = column.values.dim();
    if (rows, columns) != (n, 1) {
        return Err(Error::bad_file(path, format!("must hold {n} labels in `{name}`, one a row, got {rows} rows of {columns}")));
    }
    let whole = |x: &f64| (x.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(x)).then_some(*x as u32);
    let all: Option<Vec<u32>> = column.values.iter().map(whole).collect();
    all.ok_or_else(|| Error::bad_file(path, format!("must hold whole numbers from 0 on as labels in `{name}`")))
}
