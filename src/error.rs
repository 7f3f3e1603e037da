//! One error type: every variant says in one sentence what was wrong, where, what was expected and what was
//! found.

use std::fmt;

/// The result of every fallible function of the crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong. [`Error::exit_code`] is what the command line ends with.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// A value given by the caller is out of its range, of the wrong kind, or unknown.
    Invalid {
        /// Where the value came from: an argument, a configuration key, a file.
        place: String,
        /// The rest of the sentence: what was expected and what was found.
        problem: String,
    },
    /// Shapes do not fit each other.
    Shape {
        /// The operation that was being set up.
        place: String,
        /// The shapes it allows, in words.
        expected: String,
        /// The shapes it got.
        got: Vec<Vec<usize>>,
    },
    /// A matrix that must be positive definite is not.
    NotPositiveDefinite {
        /// Which matrix.
        place: String,
        /// Row of the failing pivot.
        row: usize,
        /// Value of the failing pivot.
        pivot: f64,
    },
    /// An iteration ended without reaching its tolerance.
    NoConvergence {
        /// Which iteration.
        place: String,
        /// How many rounds it ran.
        iterations: usize,
    },
    /// NaN or infinity appeared in a computation.
    NonFinite {
        /// Which tensor, and where it was met.
        place: String,
        /// The optimiser or integration step at which it was met.
        step: usize,
        /// What is left to go on from: the last good checkpoint, or another way out.
        remedy: String,
    },
    /// A training has left the range in which it could come back.
    Diverged {
        /// What has grown, and how far.
        place: String,
        /// The optimiser step at which it was met.
        step: usize,
        /// What is left to go on from: the last good checkpoint, or another way out.
        remedy: String,
    },
    /// A file cannot be read or written, or its content is not what it claims to be.
    File {
        /// The path as the user gave it.
        path: String,
        /// What is wrong with it, and what was expected.
        problem: String,
        /// Whether the fault lies in what the user gave (exit code 2) or arose later (exit code 1).
        input: bool,
    },
    /// Something that this build or machine does not offer.
    Unavailable {
        /// What was asked for.
        what: String,
        /// Why it is not there, and the way out.
        why: String,
    },
    /// A check ran to its end and found something wrong.
    Failed {
        /// What was checked, and what of it is wrong.
        what: String,
    },
    /// The user, or the system, stopped the run.
    Interrupted {
        /// The number of the signal.
        signal: u8,
        /// What is left to go on from.
        remedy: String,
    },
}

impl Error {
    /// A bad value: `{place}: must be {expected}, got {got}`.
    ///
    /// ```
    /// let e = ndsm::Error::invalid("sde.beta", "> 0", -1);
    /// assert_eq!(e.to_string(), "sde.beta: must be > 0, got -1");
    /// assert_eq!(e.exit_code(), 2);
    /// ```
    pub fn invalid(place: impl Into<String>, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Error::Invalid { place: place.into(), problem: format!("must be {expected}, got {got}") }
    }

    /// A bad value whose sentence does not fit [`Error::invalid`]: `{place}: {problem}`.
    pub fn refused(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Error::Invalid { place: place.into(), problem: problem.into() }
    }

    /// Shapes that do not fit: `{place}: expected {expected}, got [2, 3] and [4]`.
    pub fn shape(place: impl Into<String>, expected: impl Into<String>, got: &[&[usize]]) -> Self {
        Error::Shape { place: place.into(), expected: expected.into(), got: got.iter().map(|s| s.to_vec()).collect() }
    }

    /// A file that the user gave and that cannot be used (exit code 2).
    pub fn bad_file(path: impl AsRef<std::path::Path>, problem: impl Into<String>) -> Self {
        Error::File { path: path.as_ref().display().to_string(), problem: problem.into(), input: true }
    }

    /// A place where nothing can be written: a bad place (exit code 2), or a good one without room (1).
    pub fn unwritable(path: impl AsRef<std::path::Path>, doing: &str, e: &std::io::Error) -> Self {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let full = matches!(e.kind(), StorageFull | QuotaExceeded | FileTooLarge);
        Error::File { path: path.as_ref().display().to_string(), problem: format!("{doing}: {e}"), input: !full }
    }

    /// Reading or writing failed for a reason outside the input (exit code 1).
    pub fn io(path: impl AsRef<std::path::Path>, doing: &str, e: &std::io::Error) -> Self {
        Error::File { path: path.as_ref().display().to_string(), problem: format!("{doing}: {e}"), input: false }
    }

    /// The same error, its place prefixed by `outer` (`config.toml: sde.beta: ...`).
    pub fn within(mut self, outer: impl fmt::Display) -> Self {
        match &mut self {
            Error::Invalid { place, .. }
            | Error::Shape { place, .. }
            | Error::NotPositiveDefinite { place, .. }
            | Error::NoConvergence { place, .. }
            | Error::NonFinite { place, .. }
            | Error::Diverged { place, .. } => *place = if place.is_empty() { outer.to_string() } else { format!("{outer}: {place}") },
            Error::File { .. } | Error::Unavailable { .. } | Error::Failed { .. } | Error::Interrupted { .. } => {}
        }
        self
    }

    /// 2 for bad input or usage, 128 and the signal's number where one ended the run, 1 for any other failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Invalid { .. } | Error::Shape { .. } | Error::Unavailable { .. } => 2,
            Error::File { input, .. } => 1 + u8::from(*input),
            Error::NotPositiveDefinite { .. }
            | Error::NoConvergence { .. }
            | Error::NonFinite { .. }
            | Error::Diverged { .. }
            | Error::Failed { .. } => 1,
            Error::Interrupted { signal, .. } => 128 + signal,
        }
    }
}

impl Error {
    fn sentence(&self) -> String {
        match self {
            Error::Invalid { place, problem } => format!("{place}: {problem}"),
            Error::Shape { place, expected, got } => {
                let got: Vec<String> = got.iter().map(|s| format!("{s:?}")).collect();
                format!("{place}: expected {expected}, got {}", got.join(" and "))
            }
            Error::NotPositiveDefinite { place, row, pivot } => {
                format!("{place}: must be positive definite, but its pivot in row {row} is {pivot:e}")
            }
            Error::NoConvergence { place, iterations } => format!("{place}: no convergence after {iterations} iterations"),
            Error::NonFinite { place, step, remedy } => format!("step {step}: NaN or infinity in {place}; {remedy}"),
            Error::Diverged { place, step, remedy } => format!("step {step}: {place}; {remedy}"),
            Error::File { path, problem, .. } => format!("{path}: {problem}"),
            Error::Unavailable { what, why } => format!("{what}: {why}"),
            Error::Failed { what } => what.clone(),
            Error::Interrupted { remedy, .. } => format!("interrupted; {remedy}"),
        }
    }
}

/// Longest sentence, what is kept of the beginning of a longer one, and of its end.
const SENTENCE: usize = 1000;
const KEPT: [usize; 2] = [600, 300];

/// One line whatever strings it was made of: control characters of file names and values are escaped, as in Rust, and a
/// sentence that a long value would make a page is cut in its middle.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a check found is a text of ours, of several lines.
        if let Error::Failed { what } = self {
            return f.write_str(what);
        }
        let sentence = self.sentence();
        let count = sentence.chars().count();
        for (i, c) in sentence.chars().enumerate() {
            if count > SENTENCE && i == KEPT[0] {
                write!(f, " [{} characters] ", count - KEPT[0] - KEPT[1])?;
            }
            if count > SENTENCE && (KEPT[0]..count - KEPT[1]).contains(&i) {
                continue;
            }
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
