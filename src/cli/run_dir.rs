//! The run directory: what a training run leaves, and how it is begun, taken up again and read.

use crate::config::{Config, file};
use crate::data::write_whole;
use crate::train::{CHECKPOINT, CONFIG, check_run};
use crate::{Error, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// What says that a process is at work in a directory. The file stays; a lock on it goes with the process, however
/// that ends.
const LOCK: &str = ".lock";

/// A directory held by this process.
pub struct Hold {
    _file: File,
}

/// A directory with the files of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// The place for a new run, or of the run to resume; leaves nothing behind. Without `out` it is
    /// `runs/<data>-<objective>-seed<k>`, with `-2`, `-3`, ... behind it where that exists; to resume, the
    /// last of these.
    /// # Errors
    /// Exit code 2: the directory exists and `resume` is not set, it exists and is no run directory, or it
    /// cannot be written.
    pub fn plan(out: Option<&Path>, config: &Config, resume: bool) -> Result<RunDir> {
        let path = out.map_or_else(|| numbered(config, config.objective.kind.name(), resume), Path::to_owned);
        Self::checked(path, resume, "go on with it by --resume, or ")
    }

    /// The run in `path`, if that is a place for it; `otherwise` is what to do where one is there.
    fn checked(path: PathBuf, resume: bool, otherwise: &str) -> Result<RunDir> {
        let run = RunDir(path);
        let path = &run.0;
        if path.as_os_str().is_empty() {
            return Err(Error::refused("--out", "must be a directory, got an empty name"));
        }
        if fs::symlink_metadata(path).is_ok() && !path.is_dir() {
            return Err(Error::bad_file(path, "must be a directory for the run, and is not a directory"));
        }
        // What a run that ended before its first file leaves is nothing.
        let occupied = fs::read_dir(path).is_ok_and(|mut entries| entries.any(|e| e.is_ok_and(|e| e.file_name() != LOCK)));
        if occupied && !resume {
            return Err(Error::bad_file(path, format!("exists already; {otherwise}choose another --out")));
        }
        if occupied && !run.config().is_file() {
            return Err(Error::bad_file(path, "cannot be resumed: it holds no config.toml of a run"));
        }
        let nearest = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("."));
        probe(nearest).map_err(|e| Error::unwritable(path, "the run directory cannot be made", &e))?;
        Ok(run)
    }

    /// The place for a fitted reference alone; as [`RunDir::plan`] for a new run.
    /// # Errors
    /// As [`RunDir::plan`].
    pub fn plan_reference(out: Option<&Path>, config: &Config) -> Result<RunDir> {
        Self::checked(out.map_or_else(|| numbered(config, "reference", false), Path::to_owned), false, "")
    }

    /// The run in an existing directory.
    /// # Errors
    /// Exit code 2: there is no run in `dir`.
    pub fn open(dir: &Path) -> Result<RunDir> {
        check_run(dir)?;
        Ok(RunDir(dir.to_owned()))
    }

    /// Takes the directory for this process, until it ends or lets go.
    /// # Errors
    /// Exit code 2: another process has it, or the place cannot be written.
    pub fn hold(&self) -> Result<Hold> {
        let refuse = |e: std::io::Error| Error::unwritable(&self.0, "cannot be written", &e);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.0.join(LOCK)).map_err(refuse)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                Err(Error::bad_file(&self.0, "another ndsm is at work there; wait for it, or choose another --out"))
            }
            // A file system without locks: nothing is held.
            Err(TryLockError::Error(e)) if e.kind() != std::io::ErrorKind::Unsupported => Err(refuse(e)),
            _ => {
                self.sweep();
                Ok(Hold { _file: file })
            }
        }
    }

    /// Takes away the temporary files of a process that was killed while it wrote.
    fn sweep(&self) {
        let entries = [self.0.clone(), self.0.join("pictures")].into_iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(".tmp") || name.starts_with('.') && name.ends_with(".tmp") {
                // One that cannot be removed does no harm.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The first write of a run: makes the directory, takes it where it is not `held`, and writes the resolved
    /// configuration. A directory that cannot be made leaves nothing behind.
    /// # Errors
    /// Exit code 2 where the place cannot be written, or another run has begun there meanwhile.
    pub fn create(&self, config: &Config, held: Option<Hold>) -> Result<Hold> {
        let path = &self.0;
        let refuse = |e: std::io::Error| Error::unwritable(path, "the run directory cannot be made", &e);
        let missing: Vec<&Path> = path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
        let begun = fs::create_dir_all(path.join("pictures")).map_err(refuse).and_then(|()| {
            let held = match held {
                Some(held) => held,
                None => {
                    let held = self.hold()?;
                    if self.config().exists() {
                        return Err(Error::bad_file(path, "another run has begun there meanwhile; choose another --out"));
                    }
                    held
                }
            };
            write_whole(&self.config(), file::write(config).as_bytes()).map_err(refuse)?;
            Ok(held)
        });
        begun.inspect_err(|_| {
            // Deepest first; what others have put there meanwhile stays, because only empty directories go.
            let _ = fs::remove_dir(path.join("pictures"));
            if missing.contains(&path.as_path()) {
                let _ = fs::remove_file(path.join(LOCK));
            }
            for made in missing {
                let _ = fs::remove_dir(made);
            }
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.0.join(CONFIG)
    }

    /// One line a step.
    pub fn metrics(&self) -> PathBuf {
        self.0.join("metrics.jsonl")
    }

    /// Weights, optimiser, reference.
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join(CHECKPOINT)
    }

    /// The reference that was fitted alone, and the page about it.
    pub fn reference(&self) -> [PathBuf; 2] {
        ["reference.safetensors", "reference.html"].map(|name| self.0.join(name))
    }

    /// The samples drawn at the end.
    pub fn samples(&self) -> PathBuf {
        self.0.join("samples.npy")
    }

    /// Evaluation, timings and versions: what the report shows besides pictures and configuration.
    pub fn summary(&self) -> PathBuf {
        self.0.join("summary.json")
    }

    /// The report.
    pub fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }

    /// The frames of noising and denoising.
    pub fn film(&self) -> PathBuf {
        self.0.join("pictures").join("film.json")
    }

    /// A picture, by name without extension.
    pub fn picture(&self, name: &str) -> PathBuf {
        self.0.join("pictures").join(format!("{name}.png"))
    }
}

/// Whether files can be made in a directory, which only making one answers; it is gone again at once.
pub fn probe(dir: &Path) -> std::io::Result<()> {
    tempfile::NamedTempFile::new_in(dir).map(drop)
}

/// `runs/<data>-<what>-seed<k>`, with `-2`, `-3`, ... behind it: the first that is free, or the last that is
/// `taken`.
fn numbered(config: &Config, what: &str, taken: bool) -> PathBuf {
    let name = format!("{}-{what}-seed{}", config.data.name.name(), config.train.seed);
    let numbered = |i: usize| PathBuf::from("runs").join(if i == 1 { name.clone() } else { format!("{name}-{i}") });
    let free = (1..).find(|i| !numbered(*i).exists()).unwrap_or(1);
    numbered(if taken { free.max(2) - 1 } else { free })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_begun_once_and_resumed_only_where_there_is_one() {
        let place = tempfile::tempdir().unwrap();
        let c = Config::default();
        let out = place.path().join("a/b");
        let run = RunDir::plan(Some(&out), &c, false).unwrap();
        assert!(!place.path().join("a").exists(), "a plan writes nothing");
        let held = run.create(&c, None).unwrap();
        assert!(run.config().is_file() && RunDir::open(&out).unwrap() == run);
        let busy = run.hold().err().unwrap();
        assert!(busy.exit_code() == 2 && busy.to_string().contains("another ndsm is at work there"), "{busy}");
        drop(held);
        // Planned while the place was free, begun after another.
        let late = run.create(&c, None).err().unwrap();
        assert!(late.exit_code() == 2 && late.to_string().contains("another run has begun there"), "{late}");
        let held = run.hold().unwrap();
        drop(run.create(&c, Some(held)).unwrap());
        let again = RunDir::plan(Some(&out), &c, false).unwrap_err();
        assert!(again.exit_code() == 2 && again.to_string().contains("--resume"), "{again}");
        assert_eq!(RunDir::plan(Some(&out), &c, true).unwrap(), run);
        let other = RunDir::plan(Some(place.path()), &c, true).unwrap_err();
        assert!(other.to_string().contains("config.toml"), "{other}");
        let file = RunDir::plan(Some(&run.config()), &c, true).unwrap_err();
        assert!(file.to_string().contains("not a directory"), "{file}");
    }

    #[test]
    fn a_directory_that_cannot_be_made_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let c = Config::default();
        let below_a_file = place.path().join("file");
        fs::write(&below_a_file, "").unwrap();
        let e = RunDir::plan(Some(&below_a_file.join("x/y")), &c, false).and_then(|r| r.create(&c, None)).err().unwrap();
        assert_eq!(e.exit_code(), 2, "{e}");
        // A file in the way of the pictures: the directory itself could be made, the run not.
        let long = place.path().join("new").join("n".repeat(300));
        let e = RunDir::plan(Some(&long), &c, false).and_then(|r| r.create(&c, None)).err().unwrap();
        assert_eq!(e.exit_code(), 2, "{e}");
        assert!(!place.path().join("new").exists());
    }
}
