//! What a run is: data, reference, noising process, objective, network, training.
//!
//! A [`Config`] is plain data with a value in every field. [`Config::default`] is the default run of the
//! command line; [`Config::resolve`] gives the defaults that belong to some settings, because the best value
//! of one key depends on others (a linear process wants a Gaussian reference). What depends on the data, too,
//! stays 0 until the reference is known: horizon and steps, see [`Settled`](crate::train::Settled).
//!
//! ```
//! use ndsm::config::{Config, ObjectiveKind, ReferenceKind, Setting};
//! // The tuned linear baseline: only the process is named.
//! let mut linear = Config::resolve(&[Setting::new("sde.kind", "vp")])?;
//! assert_eq!((linear.objective.kind, linear.reference.kind), (ObjectiveKind::Dsm, ReferenceKind::Gaussian));
//! linear.train.steps = 500;
//! linear.validate()?;
//! # Ok::<(), ndsm::Error>(())
//! ```

mod check;
mod choices;
mod components;
#[cfg(feature = "files")]
pub mod file;
mod keys;
mod value;

pub(crate) use check::NARROW;
pub use choices::*;
pub use components::Components;
pub use keys::{
    CalibrationConfig, Config, DataConfig, EncoderConfig, KEYS, Key, NetworkConfig, ObjectiveConfig, ReferenceConfig, SdeConfig,
    TrainConfig,
};
pub use value::Value;

use crate::{Error, Result};

/// One key set by the user.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The key with its table: `sde.beta`.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Where it was set, put before the sentence of an error (`config.toml`); empty for nothing.
    pub origin: String,
}

impl Setting {
    /// A setting made by a program.
    pub fn new(key: &str, value: impl Into<Value>) -> Self {
        Setting { key: key.to_owned(), value: value.into(), origin: String::new() }
    }

    /// `e` with the place where this was set.
    fn named(&self, e: Error) -> Error {
        if self.origin.is_empty() { e } else { e.within(&self.origin) }
    }
}

impl Default for Config {
    fn default() -> Self {
        let mut config = Config::blank();
        config.fill(|_| false);
        config
    }
}

impl Config {
    /// Whether draws are taken from the steps of a chain; otherwise from a kernel that goes to any time at
    /// once.
    pub fn has_chain(&self) -> bool {
        match self.objective.kind {
            ObjectiveKind::Ndsm => true,
            ObjectiveKind::Dsm | ObjectiveKind::ComponentFlow | ObjectiveKind::FlowMatching => false,
            ObjectiveKind::Implicit | ObjectiveKind::Hutchinson | ObjectiveKind::Sliced => !self.sde.kind.is_linear(),
        }
    }

    /// The setting by which a velocity is learned that no score belongs to, if there is one.
    pub fn velocity_alone(&self) -> Option<&'static str> {
        match (self.objective.kind, self.objective.coupling) {
            (ObjectiveKind::ComponentFlow, _) => Some("objective.kind = \"component-flow\""),
            (_, Coupling::OptimalTransport) => Some("objective.coupling = \"optimal-transport\""),
            _ => None,
        }
    }

    /// The settings (of two for one key the later wins), and the defaults that belong to them.
    /// # Errors
    /// `Invalid` for an unknown key, a value of the wrong type or out of its range, and for a combination
    /// that cannot work.
    pub fn resolve(settings: &[Setting]) -> Result<Config> {
        let mut config = Config::blank();
        let (former, settings): (Vec<Setting>, Vec<Setting>) = settings.iter().cloned().partition(|s| s.key == FORMER);
        for s in &settings {
            let key = key(&s.key).ok_or_else(|| s.named(Error::refused(&s.key, "unknown key")))?;
            (key.set)(&mut config, &s.value).map_err(|e| s.named(e))?;
        }
        config.fill(|key| settings.iter().any(|s| s.key == key));
        check::check(&config)?;
        let step = config.objective.transition.name();
        match former.iter().find(|s| s.value != Value::from(step)) {
            None => Ok(config),
            Some(s) => {
                let problem =
                    format!("objective.transition = \"{step}\" says which steps a chain takes, got {}; leave this key out", s.value);
                Err(s.named(Error::refused(FORMER, problem)))
            }
        }
    }

    /// Whether every value is in its range and all of them together can work; what [`Config::resolve`]
    /// checks, for a configuration that a program has changed.
    /// # Errors
    /// `Invalid`, naming the first key at fault.
    pub fn validate(&self) -> Result<()> {
        let mut copy = self.clone();
        for key in KEYS {
            if let Some(value) = (key.get)(self) {
                (key.set)(&mut copy, &value)?;
            }
        }
        check::check(self)
    }

    /// Fills the keys that are not `fixed`. A default may depend on keys before or after its own: the rounds
    /// go on until nothing changes (the chains are short and have no loops; the bound is a guard).
    fn fill(&mut self, fixed: impl Fn(&str) -> bool) {
        for _ in 0..KEYS.len() {
            let before = self.clone();
            KEYS.iter().filter(|k| !fixed(k.name)).for_each(|k| (k.fill)(self));
            if *self == before {
                break;
            }
        }
    }
}

/// A key of earlier versions, which had no choice beside `objective.transition`. Files that say the same are
/// read as they were.
const FORMER: &str = "sde.integrator";

/// Whether [`Config::resolve`] reads a setting of this name: one of [`KEYS`], or the former `sde.integrator`.
pub fn is_read(name: &str) -> bool {
    name == FORMER || key(name).is_some()
}

/// The key of this name.
pub fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.name == name)
}

/// Every key that has a value with that value as TOML.
pub(crate) fn keyed(config: &Config) -> impl Iterator<Item = (&'static str, String)> {
    KEYS.iter().filter_map(|key| Some((key.name, (key.get)(config)?.to_string())))
}

#[cfg(test)]
mod tests;
