//! NumPy's `.npz` files: several arrays in one zip file.

use super::file::{Table, open};
use super::npy;
use crate::{Error, Result};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use zip::ZipArchive;

/// The array called `array`, or the only one that there is, as [`npy::read`] takes it; labels are the numbers of the
/// array `label`, one a row.
///
/// # Errors
/// As [`npy::read`]; several arrays and no name, or a name that there is not; labels that are no whole numbers, or not as
/// many as rows.
pub fn read(path: &Path, array: Option<&str>, label: Option<&str>) -> Result<Table> {
    let bad = |e: zip::result::ZipError| Error::bad_file(path, format!("cannot be read as a zip file of arrays: {e}"));
    let mut archive = ZipArchive::new(BufReader::new(open(path)?.0)).map_err(bad)?;
    let mut names: Vec<String> = archive.file_names().filter_map(|name| Some(name.ok()?.strip_suffix(".npy")?.to_owned())).collect();
    names.sort();
    let chosen = match (array, &names[..]) {
        (Some(array), _) => array,
        (None, [one]) => one,
        (None, []) => return Err(Error::bad_file(path, "holds no array")),
        (None, several) => {
            return Err(Error::invalid(
                "data.array",
                format!("one of the arrays of {}: {}", path.display(), several.join(", ")),
                "nothing",
            ));
        }
    };
    let mut entry = |key: &str, name: &str| -> Result<Table> {
        if !names.iter().any(|known| known == name) {
            return Err(Error::invalid(
                key,
                format!("one of the arrays of {}: {}", path.display(), names.join(", ")),
                format!("\"{name}\""),
            ));
        }
        one(path, &mut archive, name)
    };
    let mut table = entry("data.array", chosen)?;
    if let Some(label) = label {
        table.labels = Some(labels(path, label, &entry("data.label", label)?, table.values.nrows())?);
    }
    Ok(table)
}

/// One of the arrays.
fn one(path: &Path, archive: &mut ZipArchive<BufReader<File>>, name: &str) -> Result<Table> {
    let place = path.join(name);
    let mut file = archive.by_name(&format!("{name}.npy")).map_err(|e| Error::bad_file(&place, format!("cannot be unpacked: {e}")))?;
    let length = file.size();
    npy::table(&place, &mut file, length)
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
