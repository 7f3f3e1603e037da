//! What makes a model the model that it is: the keys of its configuration that a checkpoint must agree with.

use crate::config::{Config, keyed};
#[cfg(feature = "cli")]
use crate::{Error, Result};
#[cfg(feature = "cli")]
use std::path::Path;

/// Keys that may change when a run goes on: they say how, not what the checkpoint is. The file of the data may have
/// moved; that they are the same is checked by their hash.
const RESUMABLE: [&str; 12] = [
    "data.path",
    "train.steps",
    "train.batch",
    "train.times_per_path",
    "train.lr",
    "train.schedule",
    "train.warmup",
    "train.weight_decay",
    "train.clip",
    "train.patience",
    "train.checkpoint_every",
    "train.diagnose",
];

/// The keys that say what a model is, `table.key=value` each.
pub(super) fn identity(config: &Config) -> Vec<String> {
    keyed(config).filter(|(key, _)| !RESUMABLE.contains(key)).map(|(key, value)| format!("{key}={value}")).collect()
}

/// Refuses a configuration under which the model of the run in `dir`, made under `own`, would be another one.
///
/// # Errors
/// Exit code 2, with the first key that differs.
#[cfg(feature = "cli")]
pub(crate) fn same_model(config: &Config, own: &Config, dir: &Path) -> Result<()> {
    different(&identity(config), &identity(own)).map_or(Ok(()), |(key, [new, own])| {
        let expected = format!("{own} as in the run to resume, {}", dir.display());
        Err(Error::invalid(key, expected, format!("{new}; start a new run with another --out")))
    })
}

/// The first key of `own` with different values, and these. A key that it lacks came with a later version, whose default
/// does what the earlier one did.
pub(super) fn different(new: &[String], own: &[String]) -> Option<(String, [String; 2])> {
    let value = |all: &[String], key: &str| all.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned));
    own.iter().find_map(|line| {
        let key = line.split_once('=').map_or(&line[..], |(key, _)| key);
        let both = [new, own].map(|all| value(all, key).unwrap_or_else(|| "nothing".to_owned()));
        (both[0] != both[1]).then(|| (key.to_owned(), both))
    })
}
