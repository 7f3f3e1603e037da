//! The files of a run, and which of its checkpoints to go by.

use super::tensors::{Reader, bytes};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The files of a run that a model is read from.
pub(crate) const CONFIG: &str = "config.toml";
pub(crate) const CHECKPOINT: &str = "checkpoint.safetensors";

/// Refuses a directory without a run.
///
/// # Errors
/// `File` (exit code 2).
pub(crate) fn check_run(dir: &Path) -> Result<()> {
    if !dir.is_dir() {
        return Err(Error::bad_file(dir, "no such run directory"));
    }
    if !dir.join(CONFIG).is_file() {
        return Err(Error::bad_file(dir, format!("must be a run directory, but holds no {CONFIG}")));
    }
    Ok(())
}

/// Where the checkpoint before the one at `path` stays.
pub(super) fn previous(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}.previous.safetensors"))
}

/// Refuses what is no whole checkpoint; the step of one that is.
pub(super) fn whole(path: &Path) -> Result<u64> {
    let bytes = bytes(path)?;
    let file = Reader::new(&bytes, path, "checkpoint")?;
    file.check_whole()?;
    file.number("step")
}

/// The last whole checkpoint of the run in `dir`, and what is to be said where that is the one before the last;
/// nothing where there is none yet.
///
/// # Errors
/// `File` (exit code 2): no checkpoint that is there is whole.
#[cfg(any(feature = "cli", test))]
pub(crate) fn last_whole(dir: &Path) -> Result<Option<(PathBuf, Option<String>)>> {
    let last = dir.join(CHECKPOINT);
    let before = previous(&last);
    if !last.exists() && !before.exists() {
        return Ok(None);
    }
    let Err(problem) = whole(&last) else { return Ok(Some((last, None))) };
    match whole(&before) {
        Ok(step) => {
            let note = format!("{problem}; {}, of step {step}, is taken in its place", before.display());
            Ok(Some((before, Some(note))))
        }
        Err(_) => Err(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Setting};
    use crate::train::{Checkpoint, prepare};

    /// The last whole checkpoint is found whatever became of the last; what is not whole takes no whole one's place.
    #[test]
    fn the_checkpoint_before_the_last_serves_where_that_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let last = dir.path().join(CHECKPOINT);
        assert!(last_whole(dir.path()).unwrap().is_none());
        let settings = [("data.n", 200usize), ("reference.components", 3), ("network.width", 8), ("train.steps", 3), ("train.batch", 32)];
        let mut settings: Vec<Setting> = settings.iter().map(|(key, value)| Setting::new(key, *value)).collect();
        settings.push(Setting::new("data.name", "moons"));
        let prepared = prepare(&Config::resolve(&settings).unwrap()).unwrap();
        let mut trainer = prepared.trainer::<f32>().unwrap();
        (0..3).for_each(|_| drop(trainer.step().unwrap()));
        Checkpoint::of(&prepared, &trainer).save(dir.path()).unwrap();
        assert_eq!(last_whole(dir.path()).unwrap(), Some((last.clone(), None)));
        trainer.step().unwrap();
        Checkpoint::of(&prepared, &trainer).save(dir.path()).unwrap();
        let step = |path: &Path| Checkpoint::<f32>::read(path, &prepared.config).unwrap().state.optimiser.step;
        assert_eq!((step(&last), step(&previous(&last))), (4, 3));
        let good = std::fs::read(&last).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 4;
        for bytes in [&bad[..], &good[..good.len() / 3], &[]] {
            std::fs::write(&last, bytes).unwrap();
            let (found, note) = last_whole(dir.path()).unwrap().unwrap();
            let note = note.unwrap();
            assert!(
                found == previous(&last) && note.contains("checkpoint.previous.safetensors, of step 3, is taken in its place"),
                "{note}"
            );
        }
        std::fs::remove_file(&last).unwrap();
        assert_eq!(last_whole(dir.path()).unwrap().unwrap().0, previous(&last));
        // A damaged one is replaced, and the good one before it stays.
        std::fs::write(&last, &bad).unwrap();
        trainer.step().unwrap();
        Checkpoint::of(&prepared, &trainer).save(dir.path()).unwrap();
        assert_eq!((step(&last), step(&previous(&last))), (5, 3));
        std::fs::write(&last, &bad).unwrap();
        std::fs::write(previous(&last), &bad).unwrap();
        let e = last_whole(dir.path()).unwrap_err();
        assert!(e.exit_code() == 2 && e.to_string().contains("checkpoint.safetensors: is damaged"), "{e}");
    }
}
