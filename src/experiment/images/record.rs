//! The figures of a set of samples, and how they are kept.

/// Names of the figures, in the order of [`ImageRecord::values`].
///
/// | name | |
/// |---|---|
/// | `fd` | Frechet distance of the classifier's features to the held-out images, these as the encoder and decoder leave them |
/// | `fd_raw` | the same to the held-out images as they are |
/// | `class_tv` | total variation between the shares of the classes and the right ones |
/// | `rarest` | share of the rarest class over the right one |
/// | `variance` | of the features, over that of the held-out images |
/// | `latent_variance` | of the points where they are modelled, likewise |
/// | `sliced_w2` | sliced W_2 there to the held-out points |
/// | `kernel_distance`, `precision`, `recall`, `density`, `coverage`, `memorisation` | in features, of the first draw alone |
/// | `gain` | held-out gain (19) on the held-out points |
/// | `fit_seconds`, `train_seconds` | of the reference, and of the network with what corrects it, while as many run beside it as there are threads; in the group `joint` with the encoder's training |
pub const IMAGE_METRICS: [&str; 16] = [
    "fd",
    "fd_raw",
    "class_tv",
    "rarest",
    "variance",
    "latent_variance",
    "sliced_w2",
    "kernel_distance",
    "precision",
    "recall",
    "density",
    "coverage",
    "memorisation",
    "gain",
    "fit_seconds",
    "train_seconds",
];

/// What a record belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageKey {
    /// The case.
    pub case: String,
    /// The method with its tools.
    pub variant: String,
    /// Number of its settings in the search.
    pub candidate: usize,
    /// Steps of the solver, each of two evaluations of the network; 0 where there is none.
    pub solver: usize,
    /// Seed of data, encoder, fit and training.
    pub seed: u64,
    /// Which draw of samples.
    pub draw: u64,
}

/// The figures of one draw; NaN where there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRecord {
    /// What they belong to.
    pub key: ImageKey,
    /// In the order of [`IMAGE_METRICS`].
    pub values: [f64; IMAGE_METRICS.len()],
}

impl ImageRecord {
    /// The place of a figure.
    pub fn place(name: &str) -> Option<usize> {
        IMAGE_METRICS.iter().position(|metric| *metric == name)
    }

    /// The first line of a file of records.
    pub fn header() -> String {
        format!("case;variant;candidate;solver;seed;draw;{}", IMAGE_METRICS.join(";"))
    }

    /// One line of it; figures to seven digits.
    pub fn line(&self) -> String {
        let k = &self.key;
        let values: Vec<String> = self.values.iter().map(|v| format!("{v:.6e}")).collect();
        format!("{};{};{};{};{};{};{}", k.case, k.variant, k.candidate, k.solver, k.seed, k.draw, values.join(";"))
    }

    /// The record of a line; `None` for the header and for a line that was cut off.
    pub fn parse(line: &str) -> Option<ImageRecord> {
        let parts: Vec<&str> = line.split(';').collect();
        let [case, variant, candidate, solver, seed, draw, values @ ..] = &parts[..] else { return None };
        let values: Vec<f64> = values.iter().map(|v| v.parse().ok()).collect::<Option<_>>()?;
        let key = ImageKey {
            case: (*case).to_owned(),
            variant: (*variant).to_owned(),
            candidate: candidate.parse().ok()?,
            solver: solver.parse().ok()?,
            seed: seed.parse().ok()?,
            draw: draw.parse().ok()?,
        };
        Some(ImageRecord { key, values: values.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let key = ImageKey { case: "full, 250 steps".into(), variant: "flow".into(), candidate: 3, solver: 8, seed: 1, draw: 2 };
        let mut record = ImageRecord { key, values: std::array::from_fn(|i| 0.125 * i as f64) };
        record.values[2] = f64::INFINITY;
        assert_eq!(ImageRecord::parse(&record.line()), Some(record.clone()));
        let line = record.line();
        assert!(ImageRecord::parse(&line[..line.rfind(';').unwrap()]).is_none() && ImageRecord::parse(&ImageRecord::header()).is_none());
    }
}
