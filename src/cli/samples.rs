//! Samples of a model as they are written: drawn block by block, in the numbers of their file.

use super::engine::{Model, Sampling};
use super::progress::Phase;
use super::remark;
use super::run_dir::probe;
use crate::data::{MAX_NUMBERS, NpyRows, check_target, npy, replace};
use crate::{Error, Result};
use ndarray::Array2;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

/// Standard output, as the place of a file.
pub const STDOUT: &str = "-";

/// Samples to look at.
pub struct Drawn {
    /// [n, d], rounded as their file has them, so that what is judged is what is written.
    pub values: Array2<f64>,
    /// As [`Model::double`].
    double: Option<String>,
}

impl Drawn {
    /// Writes the file; says so where that is in f64 and the run is not.
    ///
    /// # Errors
    /// `File` where writing fails.
    pub fn write(&self, path: &Path) -> Result<()> {
        match &self.double {
            None => npy::write(path, self.values.mapv(|x| x as f32).view()),
            Some(why) => {
                tell(why);
                npy::write(path, self.values.view())
            }
        }
    }
}

/// Draws samples to look at.
///
/// # Errors
/// More than fit the memory; as [`Model::sample`].
pub fn drawn(model: &dyn Model, how: Sampling) -> Result<Drawn> {
    let (d, double) = (model.columns(), model.double()?);
    let most = most_measured(d, available());
    let too_many = || Error::invalid("--n", format!("at most {most} for samples of {d} numbers that are measured in this memory"), how.n);
    if how.n > most {
        return Err(too_many());
    }
    let mut values: Vec<f64> = Vec::new();
    values.try_reserve_exact(how.n * d).map_err(|_| too_many())?;
    let phase = Phase::of("samples", how.n, 0);
    model.sample(how, &mut |block| {
        phase.advance(block.nrows());
        values.extend(block.iter().map(|x| if double.is_some() { *x } else { f64::from(*x as f32) }));
        Ok(())
    })?;
    let values = Array2::from_shape_vec((how.n, d), values).map_err(|e| Error::refused("samples", e.to_string()))?;
    Ok(Drawn { values, double })
}

/// How many samples of `d` numbers can be measured in so many bytes, where that is known: metrics hold rivals of the samples,
/// and sort all of them. Measured with 4,000,000 samples of two numbers: 19 numbers for each one.
fn most_measured(d: usize, available: Option<u64>) -> usize {
    let numbers = available.map_or(MAX_NUMBERS, |bytes| usize::try_from(bytes / 8 / 24).unwrap_or(MAX_NUMBERS));
    numbers.min(MAX_NUMBERS) / d
}

/// Bytes of memory that a process may take, where the system says so.
fn available() -> Option<u64> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max").zip(number("/sys/fs/cgroup/memory.current"));
    let group = group.map(|(most, taken)| most.saturating_sub(taken));
    let machine = fs::read_to_string("/proc/meminfo").ok()?;
    let line = machine.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = 1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// Draws samples into the file `path`, or with `-` to standard output: in the same memory for any number of them.
///
/// # Errors
/// As [`Model::sample`]; `File` where writing fails. A reader that goes away is no error.
pub fn draw_into(model: &dyn Model, how: Sampling, path: &Path) -> Result<()> {
    let (shape, double) = ([how.n, model.columns()], model.double()?);
    double.iter().for_each(|why| tell(why));
    let phase = Phase::of("samples", how.n, 0);
    // What the model fails of, and what the file: they have different exit codes.
    let (mut failed, mut stopped) = (None, None);
    let mut fill = |file: &mut dyn Write| -> io::Result<()> {
        let mut rows = NpyRows::new(file, shape, double.is_some())?;
        let drawn = model.sample(how, &mut |block| {
            phase.advance(block.nrows());
            rows.add(block.view()).map_err(|e| {
                let sentence = Error::io(path, "cannot be written", &e);
                stopped = Some(e);
                sentence
            })
        });
        match (drawn, stopped.take()) {
            (_, Some(e)) => Err(e),
            (Err(e), None) => {
                failed = Some(e);
                Err(io::Error::other("the model failed"))
            }
            (Ok(()), None) => rows.end()?.flush(),
        }
    };
    let written = match path.as_os_str() == STDOUT {
        false => replace(path, &mut |file| fill(file)),
        true => match fill(&mut io::stdout().lock()) {
            Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::io(Path::new("standard output"), "cannot be written", &e)),
            _ => Ok(()),
        },
    };
    drop(phase);
    failed.map_or(written, Err)
}

/// Says why samples are in f64, where there is something to say.
fn tell(why: &str) {
    if !why.is_empty() {
        remark(format_args!("{why}"));
    }
}

/// Refuses a place for samples before the work that fills it: what is no regular file, or holds anything else than an
/// array. Says so where an array will be replaced.
///
/// # Errors
/// Exit code 2.
pub fn check_place(path: &Path) -> Result<()> {
    if path.as_os_str() == STDOUT {
        return Ok(());
    }
    if path.file_name().is_none() {
        return Err(Error::bad_file(path, "must be a file to write"));
    }
    check_target(path).map_err(|e| Error::bad_file(path, e.to_string()))?;
    if let Ok(there) = fs::metadata(path) {
        let mut start = [0; npy::MAGIC.len()];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
        if there.len() > 0 && (read.is_err() || start != *npy::MAGIC) {
            return Err(Error::bad_file(path, "is there already and holds no array; choose another --out"));
        }
        remark(format_args!("{}: is there already and will be replaced", path.display()));
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    probe(parent).map_err(|e| Error::unwritable(path, "cannot be written", &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_fits_the_memory() {
        assert_eq!(most_measured(2, Some(24 * 8 * 2 * 1000)), 1000);
        assert_eq!(most_measured(4, Some(u64::MAX)), MAX_NUMBERS / 4);
        assert_eq!(most_measured(4, None), MAX_NUMBERS / 4);
        #[cfg(target_os = "linux")]
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }
}
