//! IDX files, the layout of MNIST: a big-endian header and one byte a pixel, plain or gzip.
//!
//! | bytes | images | labels |
//! |---|---|---|
//! | 4 | 0, 0, 8 (unsigned bytes), 3 (axes) | 0, 0, 8, 1 |
//! | 4 | number of images | number of labels |
//! | 8 | height, width | |
//! | rest | pixels, 0 to 255, row by row | labels |
//!
//! Nothing is allocated from the header alone: a plain file must have exactly the length that its header
//! claims, and a gzip stream is unpacked piece by piece up to that length.

use super::file::{ImageShape, MAX_NUMBERS, Table, check_size, fill, names_in, open_unpacked, truncated};
use crate::{Error, Result};
use ndarray::Array2;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How names of images end, and those of their labels: as they were published, and as some programs unpack them.
const ENDS: [[&str; 2]; 2] = [["images-idx3-ubyte", "labels-idx1-ubyte"], ["images.idx3-ubyte", "labels.idx1-ubyte"]];

/// Images of `path`, pixels divided by 255: an images file, or a folder that holds one. Labels are taken from
/// the file of the same name with `labels-idx1` in place of `images-idx3`, where there is one. A folder with
/// several sets gives its `train` set.
///
/// # Errors
/// [`Error::File`] if a file is missing, is no IDX file, is shorter or longer than its header claims, claims
/// more than [`MAX_NUMBERS`] pixels, or if images and labels differ in number; [`Error::Unavailable`] for
/// gzip without the feature `files`.
pub fn read(path: &Path) -> Result<Table> {
    let images = if path.is_dir() { find(path)? } else { path.to_path_buf() };
    let (sizes, pixels) = unpack::<3>(&images)?;
    let [n, height, width] = sizes;
    let d = check_size(&images, n, &[height, width])?;
    let labels = match labels_of(&images) {
        None => None,
        Some(path) => {
            let ([m], labels) = unpack::<1>(&path)?;
            if m != n {
                return Err(Error::bad_file(&path, format!("holds {m} labels for the {n} images of {}", images.display())));
            }
            Some(labels.into_iter().map(u32::from).collect())
        }
    };
    let notes = Vec::new();
    let values = pixels.into_iter().map(|p| f64::from(p) / 255.0).collect();
    let values = Array2::from_shape_vec((n, d), values).map_err(|e| Error::bad_file(&images, e.to_string()))?;
    Ok(Table { values, images: Some(ImageShape { height, width, channels: 1, range: [0.0, 1.0], levels: Some(256) }), labels, notes })
}

/// The images file of a folder: the only one, or that which starts with `train`; a plain file before its gzip
/// twin.
fn find(folder: &Path) -> Result<PathBuf> {
    let [images, _] = ENDS[0];
    let found = names_in(folder, |name| ENDS.iter().any(|[images, _]| name.ends_with(images)))?;
    match &found[..] {
        [] => Err(Error::bad_file(folder, format!("must hold a file `*{images}` or `*{images}.gz`, but holds none"))),
        [one] => Ok(folder.join(one)),
        several => match several.iter().filter(|name| name.starts_with("train")).collect::<Vec<_>>()[..] {
            [train] => Ok(folder.join(train)),
            _ => Err(Error::bad_file(folder, format!("holds several sets of images ({}): give one of these files", several.join(", ")))),
        },
    }
}

/// The labels that belong to an images file, if they exist, plain before gzip.
fn labels_of(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let plain = ENDS.iter().find_map(|[images, labels]| Some(name.strip_suffix(images)?.to_owned() + labels))?;
    [plain.clone(), plain + ".gz"].into_iter().map(|name| images.with_file_name(name)).find(|path| path.exists())
}

/// Sizes and bytes of an IDX file with `AXES` axes.
fn unpack<const AXES: usize>(path: &Path) -> Result<([usize; AXES], Vec<u8>)> {
    let (bytes, length) = open_unpacked(path)?;
    body(path, bytes, length)
}

/// Header and bytes. `length`: of the whole file, where known.
fn body<const AXES: usize>(path: &Path, mut from: impl Read, length: Option<u64>) -> Result<([usize; AXES], Vec<u8>)> {
    let mut word = [0; 4];
    let what = "its IDX header";
    fill(path, &mut from, &mut word, what)?;
    if word != [0, 0, 8, AXES as u8] {
        let got = u32::from_be_bytes(word);
        return Err(Error::bad_file(
            path,
            format!("must start with the IDX magic number {} ({AXES} axes of bytes), got {got}", 0x800 + AXES),
        ));
    }
    let mut sizes = [0; AXES];
    for size in &mut sizes {
        fill(path, &mut from, &mut word, what)?;
        *size = u32::from_be_bytes(word) as usize;
    }
    let claim = sizes.map(|s| s.to_string()).join(" x ");
    let count = match sizes.iter().try_fold(1usize, |all, s| all.checked_mul(*s)) {
        Some(count) if count <= MAX_NUMBERS => count,
        _ => return Err(Error::bad_file(path, format!("its header claims {claim} bytes, more than the {MAX_NUMBERS} that are read"))),
    };
    let mut bytes = Vec::new();
    if let Some(length) = length {
        let expected = (4 + 4 * AXES + count) as u64;
        if length != expected {
            return Err(Error::bad_file(
                path,
                format!("must be {expected} bytes long for the {claim} bytes its header claims, got {length}"),
            ));
        }
        bytes.reserve_exact(count);
    }
    // Grows with what is really there; one byte more than claimed is enough to refuse what trails.
    let read = from.take(count as u64 + 1).read_to_end(&mut bytes).map_err(|e| truncated(path, &e, "its gzip stream"))?;
    match read {
        _ if read < count => Err(Error::bad_file(path, format!("ends after {read} of the {claim} bytes its header claims"))),
        _ if read > count => Err(Error::bad_file(path, format!("goes on after the {claim} bytes its header claims"))),
        _ => Ok((sizes, bytes)),
    }
}
