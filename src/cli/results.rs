//! The file of an experiment's figures, a line each, to which what is missing is added.

use crate::data::write_whole;
use crate::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A record that stands on a line of its own.
pub trait Line: Sized {
    /// The first line of the file.
    fn header() -> String;
    /// The line of a record.
    fn line(&self) -> String;
    /// The record of a line; `None` for the header and for a line that was cut off.
    fn parse(line: &str) -> Option<Self>;
}

/// Implements [`Line`] by the functions of these names that a record has.
macro_rules! lines {
    ($($record:ty),+) => {$(
        impl $crate::cli::results::Line for $record {
            fn header() -> String {
                <$record>::header()
            }
            fn line(&self) -> String {
                self.line()
            }
            fn parse(line: &str) -> Option<Self> {
                <$record>::parse(line)
            }
        }
    )+};
}
pub(super) use lines;

/// The file, open for more.
pub struct Results {
    path: PathBuf,
    file: File,
}

impl Results {
    /// The file of the plan `plan`, made where it is not there, and what it holds.
    ///
    /// # Errors
    /// A file of another plan; one that cannot be read or written.
    pub fn open<R: Line>(path: &Path, plan: &str) -> Result<(Self, Vec<R>)> {
        let records = read::<R>(path, plan)?;
        let refuse = |e: std::io::Error| Error::io(path, "the results cannot be written", &e);
        // Whole lines alone: the last one may have been cut off.
        let lines: String = records.iter().map(|r| r.line() + "\n").collect();
        write_whole(path, format!("{plan}\n{}\n{lines}", R::header()).as_bytes()).map_err(refuse)?;
        let file = OpenOptions::new().append(true).open(path).map_err(refuse)?;
        Ok((Results { path: path.to_owned(), file }, records))
    }

    /// Adds records.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn add<R: Line>(&mut self, records: &[R]) -> Result<()> {
        let lines: String = records.iter().map(|r| r.line() + "\n").collect();
        self.file.write_all(lines.as_bytes()).map_err(|e| Error::io(&self.path, "the results cannot be written", &e))
    }
}

fn read<R: Line>(path: &Path, plan: &str) -> Result<Vec<R>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).map_err(|e| Error::bad_file(path, format!("cannot be read: {e}")))?;
    if text.lines().next() != Some(plan) {
        return Err(Error::bad_file(path, "holds the results of another plan or version; use another --out"));
    }
    Ok(text.lines().filter_map(R::parse).collect())
}
