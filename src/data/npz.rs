//! NumPy's `.npz` files: several arrays in one zip file.

use super::file::{Table, open};
use super::named::{named, place};
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
    named(path, &names, array, label, &mut |name| one(path, &mut archive, name))
}

/// One of the arrays.
fn one(path: &Path, archive: &mut ZipArchive<BufReader<File>>, name: &str) -> Result<Table> {
    let place = place(path, name);
    let mut file = archive.by_name(&format!("{name}.npy")).map_err(|e| Error::bad_file(&place, format!("cannot be unpacked: {e}")))?;
    let length = file.size();
    npy::table(&place, &mut file, length)
}
