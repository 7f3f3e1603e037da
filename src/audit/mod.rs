//! Tables that check every formula against something that does not know it, each row with its error and the
//! bound that it must keep. `ndsm audit` prints them.
//!
//! ```no_run
//! use ndsm::audit::{Effort, Subject, audit};
//! let report = audit(&[Subject::Tape], Effort::Quick);
//! assert!(report.passed(), "{report}");
//! ```

mod control;
mod generalisation;
pub mod gradient;
mod integrators;
mod scores;
mod tape;
mod transitions;

use crate::{Error, Result};
use std::fmt;
use std::time::Instant;

/// What can be audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The derivatives of every operation of the tape.
    Tape,
    /// The orders of every integrator of stochastic differential equations.
    Integrators,
    /// One-step laws and laws on grids.
    Transitions,
    /// Scores of chains, equations and networks, and the samplers that use them.
    Scores,
    /// Control variates: means, minimisers, variances.
    Control,
    /// When memorising pays, and what is done against it.
    Generalisation,
}

/// How much work an audit may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Seconds: fewer paths and step sizes.
    Quick,
    /// Up to two minutes on two cores.
    Full,
}

impl Subject {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Tape, Self::Integrators, Self::Transitions, Self::Scores, Self::Control, Self::Generalisation];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tape => "tape",
            Self::Integrators => "integrators",
            Self::Transitions => "transitions",
            Self::Scores => "scores",
            Self::Control => "control",
            Self::Generalisation => "generalisation",
        }
    }

    /// How it is audited, and the parts that it consists of.
    fn contents(self) -> (&'static str, &'static [Part]) {
        match self {
            Self::Tape => (tape::HOW, tape::PARTS),
            Self::Integrators => (integrators::HOW, integrators::PARTS),
            Self::Transitions => (transitions::HOW, transitions::PARTS),
            Self::Scores => (scores::HOW, scores::PARTS),
            Self::Control => (control::HOW, control::PARTS),
            Self::Generalisation => (generalisation::HOW, generalisation::PARTS),
        }
    }

    /// How many parts it consists of.
    pub fn parts(self) -> usize {
        self.contents().1.len()
    }

    /// The subjects called `name`: one, or `all`.
    ///
    /// # Errors
    /// If there is none; the sentence has the names that there are.
    pub fn parse(name: &str) -> Result<Vec<Self>> {
        if name == "all" {
            return Ok(Self::ALL.to_vec());
        }
        if let Some(found) = Self::ALL.iter().find(|s| s.name() == name) {
            return Ok(vec![*found]);
        }
        let names = Self::ALL.iter().map(|s| s.name()).chain(["all"]).map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ");
        Err(Error::invalid("audit", format!("one of {names}"), format!("\"{name}\"")))
    }
}

/// What an audit found. Prints itself.
#[derive(Debug, Clone)]
pub struct Report {
    /// One for each subject.
    pub tables: Vec<Table>,
    /// How long it took.
    pub seconds: f64,
}

/// The rows of one subject.
#[derive(Debug, Clone)]
pub struct Table {
    /// What was audited.
    pub subject: Subject,
    /// How, in a few lines.
    pub how: &'static str,
    /// The rows.
    pub rows: Vec<Row>,
}

/// One thing that was checked.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it was tried on.
    pub tried: Vec<String>,
    /// The worst error against each reference; the first is what the row is judged by.
    pub errors: Vec<Measured>,
    /// Whether every error keeps its bound, and nothing else is wrong.
    pub pass: bool,
    /// What is wrong.
    pub note: String,
    /// The order of convergence, where that is what was measured.
    pub slope: Option<Slope>,
}

/// A measured order of convergence beside the claimed one.
#[derive(Debug, Clone)]
pub struct Slope {
    /// The order that is claimed.
    pub claim: f64,
    /// The order that was measured; infinite where there is no error.
    pub measured: f64,
    /// Its uncertainty: a standard error where paths were drawn, what is left of higher orders where nothing
    /// is random, and 0 where arithmetic is exact.
    pub error: f64,
    /// The errors that it comes from.
    pub curve: Option<Curve>,
}

/// Errors over step sizes, both positive.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Step sizes, rising.
    pub h: Vec<f64>,
    /// The error of each.
    pub error: Vec<f64>,
}

impl Curve {
    /// The slope of ln error over ln h by least squares.
    pub fn slope(&self) -> f64 {
        let mean = |v: &[f64]| v.iter().map(|v| v.ln()).sum::<f64>() / v.len() as f64;
        let (x, y) = (mean(&self.h), mean(&self.error));
        let moment = |of: &[f64], m: f64| self.h.iter().zip(of).map(|(h, v)| (h.ln() - x) * (v.ln() - m)).sum::<f64>();
        moment(&self.error, y) / moment(&self.h, x)
    }
}

/// An error beside its bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// What was compared with.
    pub reference: &'static str,
    /// The relative error.
    pub error: f64,
    /// What it must not exceed.
    pub bound: f64,
}

/// A part of a subject: its name, and what makes its rows.
type Part = (&'static str, fn(Effort) -> Result<Vec<Row>>);

/// What happens in an audit.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A part is begun: its subject, its name.
    Begun(Subject, &'static str),
    /// Its rows are there.
    Done(&'a [Row]),
}

/// Audits `subjects`.
pub fn audit(subjects: &[Subject], effort: Effort) -> Report {
    audit_watched(subjects, effort, &mut |_| {})
}

/// Audits `subjects` and tells `watch` of every part.
pub fn audit_watched(subjects: &[Subject], effort: Effort, watch: &mut dyn FnMut(Event<'_>)) -> Report {
    let started = Instant::now();
    let tables = subjects.iter().map(|subject| table(*subject, effort, watch));
    Report { tables: tables.collect(), seconds: started.elapsed().as_secs_f64() }
}

/// The rows of one subject. A part that cannot even be set up is a row that fails.
fn table(subject: Subject, effort: Effort, watch: &mut dyn FnMut(Event<'_>)) -> Table {
    let (how, parts) = subject.contents();
    let mut rows = Vec::new();
    for (name, part) in parts {
        watch(Event::Begun(subject, name));
        let found = part(effort).unwrap_or_else(|e| vec![Row { name: (*name).to_owned(), note: e.to_string(), ..Row::default() }]);
        watch(Event::Done(&found));
        rows.extend(found);
    }
    Table { subject, how, rows }
}

impl Report {
    /// Whether all rows pass.
    pub fn passed(&self) -> bool {
        self.failed().is_empty()
    }

    /// The rows that do not.
    pub fn failed(&self) -> Vec<&Row> {
        self.tables.iter().flat_map(|t| &t.rows).filter(|row| !row.pass).collect()
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.tables.iter().map(|t| t.rows.len()).sum()
    }

    /// How many rows pass, and how long it took.
    pub fn summary(&self) -> String {
        let count = self.count();
        format!("{} of {count} pass, in {:.1} s", count - self.failed().len(), self.seconds)
    }

    /// Nothing if all rows pass.
    ///
    /// # Errors
    /// `Failed`, with the names of the rows that do not.
    pub fn verdict(&self) -> Result<()> {
        let failed = self.failed();
        if failed.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = failed.iter().map(|row| row.name.as_str()).collect();
        let (n, verb) = (names.len(), if names.len() == 1 { "fails" } else { "fail" });
        Err(Error::Failed { what: format!("audit: {n} of {} rows {verb}: {}", self.count(), names.join(", ")) })
    }
}

/// Widest column of what was tried; the rest is counted.
const WIDTH: usize = 64;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            writeln!(f, "{}", table.how)?;
            writeln!(f)?;
            if table.subject == Subject::Integrators {
                writeln!(f, "{}", crate::sde::method::table())?;
            }
            let name = |row: &Row| row.name.len();
            let width = table.rows.iter().map(name).max().unwrap_or(0).max(table.subject.name().len());
            let against = table.rows.iter().filter_map(|row| row.errors.first()).map(|e| e.reference.len()).max().unwrap_or(0);
            let orders = table.rows.iter().any(|row| row.slope.is_some());
            let head = if orders { "   claim  order            " } else { "" };
            writeln!(f, "{:<width$}{head}   error  bound  {:<against$}        tried on", table.subject.name(), "against")?;
            for row in &table.rows {
                let order = if orders {
                    row.slope.as_ref().map_or(format!("{:26}", ""), |s| format!("  {:>6}  {:<16}", s.claim, s.order()))
                } else {
                    String::new()
                };
                let measured = row.errors.first().map_or(format!("{:>8}  {:>5}  {:<against$}", "", "", ""), |e| {
                    format!("{:>8}  {:>5}  {:<against$}", shown(e.error), format!("{:.0e}", e.bound), e.reference)
                });
                let verdict = if row.pass { "pass" } else { "FAIL" };
                let line = format!("{:<width$}{order}{measured}  {verdict}  {}", row.name, tried(&row.tried));
                writeln!(f, "{}", line.trim_end())?;
                if !row.note.is_empty() {
                    writeln!(f, "{:<width$}  {}", "", row.note)?;
                }
            }
            writeln!(f)?;
        }
        f.write_str(&self.summary())
    }
}

impl Slope {
    /// The measured order, in words.
    pub fn order(&self) -> String {
        match self.error {
            0.0 if self.measured.is_infinite() => "exact".to_owned(),
            0.0 => format!("{} exactly", self.measured),
            error => format!("{:.3} +- {error:.3}", self.measured),
        }
    }
}

fn shown(error: f64) -> String {
    if error == 0.0 { "0".to_string() } else { format!("{error:.1e}") }
}

/// As much of the list as fits, and how many are left.
fn tried(list: &[String]) -> String {
    let mut text = String::new();
    for (i, item) in list.iter().enumerate() {
        if i > 0 && text.len() + item.len() > WIDTH {
            return format!("{text} and {} more", list.len() - i);
        }
        if i > 0 {
            text.push(' ');
        }
        text.push_str(item);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(pass: bool) -> Report {
        let row = |name: &str, error: f64, pass: bool| Row {
            name: name.to_string(),
            tried: (0..40).map(|i| format!("{i}x3")).collect(),
            errors: vec![Measured { reference: "dual", error, bound: 1e-12 }],
            pass,
            note: if pass { String::new() } else { "a note".to_string() },
            slope: None,
        };
        let rows = vec![row("add", 0.0, true), row("mul", if pass { 1e-16 } else { f64::NAN }, pass)];
        Report { tables: vec![Table { subject: Subject::Tape, how: "how", rows }], seconds: 0.25 }
    }

    #[test]
    fn a_failed_row_fails_the_audit() {
        let (right, wrong) = (report(true), report(false));
        assert!(right.passed() && right.verdict().is_ok() && !wrong.passed());
        let e = wrong.verdict().unwrap_err();
        assert_eq!((e.exit_code(), e.to_string().as_str()), (1, "audit: 1 of 2 rows fails: mul"));
        let text = wrong.to_string();
        for part in ["NaN", "1e-12", "FAIL", "a note", "0x3 1x3", "more", "1 of 2 pass"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!right.to_string().contains("FAIL") && right.to_string().contains("2 of 2 pass"));
    }

    #[test]
    fn names_are_parsed() {
        assert_eq!((Subject::parse("tape").unwrap(), Subject::parse("all").unwrap()), (vec![Subject::Tape], Subject::ALL.to_vec()));
        let e = Subject::parse("tap").unwrap_err();
        assert!(e.exit_code() == 2 && e.to_string().contains("\"control\", \"generalisation\", \"all\", got \"tap\""), "{e}");
    }
}
