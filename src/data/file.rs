//! What all readers share: opening with a clear refusal, and the table they return.

use crate::{Error, Result};
use ndarray::Array2;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read};
use std::path::Path;

/// The largest data set that is read, in numbers: 2 GiB as f64. A header that claims more is refused.
pub const MAX_NUMBERS: usize = 1 << 28;

/// Size and value range of images: a row is [height, width, channels] in row-major order, the numbers of a
/// pixel side by side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageShape {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Numbers of a pixel: 1 of grey images, 3 of colour, red, green and blue.
    pub channels: usize,
    /// The values that stand for no ink and full ink; of colours, for darkness and full light.
    pub range: [f64; 2],
    /// How many values a number of a pixel can have, evenly from the one to the other, where that is known.
    pub levels: Option<u32>,
}

impl ImageShape {
    /// The distance of neighbouring values of a pixel's numbers.
    pub fn step(&self) -> Option<f64> {
        self.levels.filter(|levels| *levels > 1).map(|levels| (self.range[1] - self.range[0]) / f64::from(levels - 1))
    }
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// One point a row: [n, d], all finite.
    pub values: Array2<f64>,
    /// How a row is a picture, if it is one.
    pub images: Option<ImageShape>,
    /// One label a row, if the file has them.
    pub labels: Option<Vec<u32>>,
    /// What was taken for what, where a file does not say, a sentence each.
    pub notes: Vec<String>,
}

/// Opens a regular file for reading, and its length. A directory, a pipe or a device is refused before it is
/// opened (a pipe would block).
pub(super) fn open(path: &Path) -> Result<(File, u64)> {
    let refuse = |e: std::io::Error| {
        Error::bad_file(
            path,
            match e.kind() {
                ErrorKind::NotFound => "no such file".into(),
                ErrorKind::PermissionDenied => "must be readable, but permission is denied".into(),
                _ => format!("cannot be opened: {e}"),
            },
        )
    };
    let kind = std::fs::metadata(path).map_err(refuse)?;
    if kind.is_dir() {
        return Err(Error::bad_file(path, "must be a file, but is a directory"));
    }
    if !kind.is_file() {
        return Err(Error::bad_file(path, "must be a regular file"));
    }
    if kind.len() == 0 {
        return Err(Error::bad_file(path, "is empty"));
    }
    Ok((File::open(path).map_err(refuse)?, kind.len()))
}

/// All bytes of a regular file, at most so many.
///
/// # Errors
/// `File` (exit code 2).
#[cfg(feature = "files")]
pub(crate) fn read_regular(path: &Path, most: u64) -> Result<Vec<u8>> {
    let (file, length) = open(path)?;
    if length > most {
        return Err(Error::bad_file(path, format!("must have at most {most} bytes, got {length}")));
    }
    let mut bytes = Vec::new();
    // A file that grows meanwhile is read no further.
    file.take(length).read_to_end(&mut bytes).map_err(|e| Error::bad_file(path, format!("cannot be read: {e}")))?;
    Ok(bytes)
}

/// The bytes of a regular file, unpacked where it is gzip, and how many there are where that is known before
/// they are read.
pub(super) fn open_unpacked(path: &Path) -> Result<(Box<dyn Read>, Option<u64>)> {
    let (file, length) = open(path)?;
    let mut file = BufReader::new(file);
    if file.fill_buf().is_ok_and(|start| start.starts_with(&[0x1f, 0x8b])) {
        return Ok((gunzip(path, file)?, None));
    }
    Ok((Box::new(file), Some(length)))
}

#[cfg(feature = "files")]
fn gunzip(_: &Path, file: BufReader<File>) -> Result<Box<dyn Read>> {
    Ok(Box::new(flate2::bufread::MultiGzDecoder::new(file)))
}

#[cfg(not(feature = "files"))]
fn gunzip(path: &Path, _: BufReader<File>) -> Result<Box<dyn Read>> {
    Err(Error::Unavailable {
        what: format!("reading {}", path.display()),
        why: "gzip needs the feature `files`; unpack the file first".into(),
    })
}

/// The names in `folder` that `keep` takes without their `.gz`, in order, a plain file before its gzip twin.
pub(super) fn names_in(folder: &Path, keep: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let unreadable = |e: std::io::Error| Error::bad_file(folder, format!("cannot be listed: {e}"));
    let mut found: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if keep(name.strip_suffix(".gz").unwrap_or(&name)) {
            found.push(name);
        }
    }
    // `a` sorts before `a.gz`.
    found.sort();
    found.dedup_by(|next, kept| next.strip_suffix(".gz") == Some(kept));
    Ok(found)
}

/// Writes a file as a whole or not at all: a temporary file beside it, synced, then renamed over it.
/// # Errors
/// Whatever the file system says.
#[cfg(feature = "files")]
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    write_after(path, bytes, || Ok(()))
}

/// The same with something to do when the new bytes are safe and the old file is still there.
/// # Errors
/// As [`write_whole`].
#[cfg(feature = "files")]
pub(crate) fn write_after(path: &Path, bytes: &[u8], before: impl FnOnce() -> std::io::Result<()>) -> std::io::Result<()> {
    use std::io::Write;
    check_target(path)?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    file.write_all(bytes)?;
    // Temporary files are private; a result is as readable as any other file would be.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    before()?;
    file.persist(path).map_err(|e| e.error)?;
    // The new name, too, outlives a loss of power.
    #[cfg(unix)]
    File::open(parent)?.sync_all()?;
    Ok(())
}

/// Writes a file as a whole or not at all, as `fill` fills it: a temporary file beside `path`, forced to the disk, then
/// renamed over it. Needs no more memory than `fill`.
///
/// # Errors
/// [`Error::File`] if the file cannot be made there (bad input) or cannot be written to the end (a later failure).
pub fn replace(path: &Path, fill: &mut dyn FnMut(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
    let refuse = |e: std::io::Error| Error::unwritable(path, "cannot be written", &e);
    let Some(name) = path.file_name() else {
        return Err(Error::bad_file(path, "must name a file to write"));
    };
    check_target(path).map_err(refuse)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(hidden);
    let mut file = BufWriter::new(File::create(&temporary).map_err(refuse)?);
    let written = fill(&mut file).and_then(|()| file.into_inner()?.sync_all()).and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|e| {
        // The first failure is the one to tell.
        let _ = std::fs::remove_file(&temporary);
        Error::io(path, "cannot be written", &e)
    })
}

/// Refuses a place where something else than a regular file is: a renamed file would take the place of a device, a
/// pipe or a link, not go through it.
pub(crate) fn check_target(path: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => {
            let what = if there.is_dir() { "a directory" } else { "a link, device or pipe" };
            Err(std::io::Error::new(ErrorKind::InvalidInput, format!("must be a file to write, got {what}")))
        }
        _ => Ok(()),
    }
}

/// Reads exactly `out.len()` bytes of `what`; the sentence of a file that ends before.
pub(super) fn fill(path: &Path, from: &mut impl Read, out: &mut [u8], what: &str) -> Result<()> {
    from.read_exact(out).map_err(|e| truncated(path, &e, what))
}

/// The refusal of a file that could not be read on.
pub(super) fn truncated(path: &Path, e: &std::io::Error, what: &str) -> Error {
    match e.kind() {
        ErrorKind::UnexpectedEof => Error::bad_file(path, format!("ends within {what}")),
        _ => Error::bad_file(path, format!("cannot be read within {what}: {e}")),
    }
}

/// Refuses a claimed size that does not fit `MAX_NUMBERS`, or has fewer than 2 rows or no column; returns the
/// columns.
pub(super) fn check_size(path: &Path, n: usize, rest: &[usize]) -> Result<usize> {
    let d = rest.iter().try_fold(1usize, |d, s| d.checked_mul(*s));
    let claimed = || std::iter::once(&n).chain(rest).map(ToString::to_string).collect::<Vec<_>>().join(" x ");
    match d.and_then(|d| d.checked_mul(n)) {
        Some(all) if all <= MAX_NUMBERS => {}
        _ => return Err(Error::bad_file(path, format!("claims {} numbers, more than the {MAX_NUMBERS} that are read", claimed()))),
    }
    if n < 2 {
        return Err(Error::bad_file(path, format!("must hold at least 2 rows, got {n}")));
    }
    match d {
        Some(d) if d > 0 => Ok(d),
        _ => Err(Error::bad_file(path, format!("must hold at least 1 number a row, got the shape {}", claimed()))),
    }
}

/// Refuses NaN and infinity at `row` (a word and a number from 1: `row 3`, `line 4`) and `column` (from 1).
pub(super) fn check_finite(path: &Path, x: f64, row: (&str, usize), column: usize) -> Result<f64> {
    if x.is_finite() {
        return Ok(x);
    }
    let (word, number) = row;
    Err(Error::bad_file(path, format!("{word} {number}, column {column}: must be a finite number, got {x}")))
}
