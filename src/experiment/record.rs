//! The figures of one training, and how they are kept.

/// Names of the figures, in the order of [`Record::values`]; the lower the better, but for `memorisation` and
/// `seconds`.
///
/// | name | |
/// |---|---|
/// | `sliced_w2` | sliced W_2 to 10,000 fresh points of the law |
/// | `outliers` | share of samples outside the balls that hold all but e^-8 of each mode |
/// | `weights_tv` | total variation between the modes' weights and the law's |
/// | `nll_excess` | mean -ln p of samples less that of fresh points: 0 for the law itself, negative for samples that crowd its middle |
/// | `kl` | KL divergence of the law to the model, by fresh points: of a reference that samples come straight from, or by the probability flow; of data whose law is unknown the negative log-likelihood |
/// | `energy` | energy distance |
/// | `memorisation` | distance to the nearest training point over that to the nearest fresh point; 1: none |
/// | `seconds` | of training, while as many run beside it as there are threads |
/// | `gain` | held-out gain (19) of the final model on fresh points |
/// | `gain_error` | its standard error |
pub const METRICS: [&str; 10] =
    ["sliced_w2", "outliers", "weights_tv", "nll_excess", "kl", "energy", "memorisation", "seconds", "gain", "gain_error"];
/// The place of `kl`.
pub const KL: usize = 4;
/// The place of `gain`; its error follows.
pub const GAIN: usize = 8;

/// What a record belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The case.
    pub case: String,
    /// The method.
    pub method: String,
    /// Number of its settings in the search.
    pub candidate: usize,
    /// Steps of the solver; 0 where there is none.
    pub solver: usize,
    /// Whether it belongs to a sweep over solver steps, rather than to the number that was tuned.
    pub sweep: bool,
    /// The seed of data, fit and training.
    pub seed: u64,
}

/// Figures, NaN where a law has none: a law that is no mixture has no outliers.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What they belong to.
    pub key: Key,
    /// In the order of [`METRICS`].
    pub values: [f64; METRICS.len()],
}

impl Record {
    /// The first line of a file of records.
    pub fn header() -> String {
        format!("case;method;candidate;solver;sweep;seed;{}", METRICS.join(";"))
    }

    /// One line of it.
    pub fn line(&self) -> String {
        let k = &self.key;
        let values: Vec<String> = self.values.iter().map(f64::to_string).collect();
        format!("{};{};{};{};{};{};{}", k.case, k.method, k.candidate, k.solver, u8::from(k.sweep), k.seed, values.join(";"))
    }

    /// The record of a line; `None` for the header and for a line that was cut off.
    pub fn parse(line: &str) -> Option<Record> {
        let parts: Vec<&str> = line.split(';').collect();
        let [case, method, candidate, solver, sweep, seed, values @ ..] = &parts[..] else { return None };
        let values: Vec<f64> = values.iter().map(|v| v.parse().ok()).collect::<Option<_>>()?;
        let key = Key {
            case: (*case).to_owned(),
            method: (*method).to_owned(),
            candidate: candidate.parse().ok()?,
            solver: solver.parse().ok()?,
            sweep: *sweep == "1",
            seed: seed.parse().ok()?,
        };
        Some(Record { key, values: values.try_into().ok()? })
    }
}
