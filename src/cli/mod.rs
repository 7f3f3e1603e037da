//! The command line: `ndsm train`, `fit`, `sample`, `eval`, `audit`, `reproduce`, `report`, `inspect`.
//!
//! Reading arguments and configuration, the run directory, progress, pictures and the report live here; the
//! numerics are asked for through one seam, `engine`.

mod args;
mod audit;
mod audit_page;
mod commands;
mod compare;
mod encode;
mod engine;
mod film;
mod fit;
mod html;
mod image_metrics;
mod inspect;
mod library;
mod likelihood;
mod metrics_log;
pub mod plot;
mod progress;
mod report;
mod reproduce;
mod reproduce_images;
mod results;
mod run_dir;
mod samples;
mod signals;
mod summary;
mod train;

use crate::Result;
use args::{Cli, Command, TrainArgs};
use clap::Parser;
use engine::Engine;
use progress::Voice;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Runs the program with the arguments of the process: what `main` calls. Errors are one sentence on standard
/// error.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return usage(&e),
    };
    match run(cli, &library::Library) {
        Ok(text) => match say(&text) {
            // A reader that went away has what it wanted.
            Err(e) if e.kind() != ErrorKind::BrokenPipe => {
                complain(format_args!("error: standard output cannot be written: {e}"));
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        },
        Err(e) => {
            complain(format_args!("error: {e}"));
            ExitCode::from(e.exit_code())
        }
    }
}

/// A result on standard output, if there is one to say.
fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if text.is_empty() { Ok(()) } else { writeln!(out, "{text}").and_then(|()| out.flush()) }
}

/// A line on standard error that is no error.
fn remark(line: std::fmt::Arguments<'_>) {
    if progress::says(Voice::Normal) {
        complain(line);
    }
}

/// A line on standard error, in one piece: other programs may write there, too. What nobody can read is lost.
fn complain(line: std::fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

fn run(cli: Cli, engine: &dyn Engine) -> Result<String> {
    progress::speak(match (cli.quiet, cli.verbose) {
        (true, _) => Voice::Quiet,
        (false, true) => Voice::Verbose,
        (false, false) => Voice::Normal,
    });
    crate::simd::check_environment()?;
    match cli.command.unwrap_or_else(|| Command::Train(TrainArgs::default())) {
        Command::Train(args) => commands::compute(&args.compute).and_then(|()| train::train(&args, engine)),
        Command::Fit(args) => commands::compute(&args.compute).and_then(|()| fit::fit(&args)),
        Command::Sample(args) => commands::compute(&args.compute).and_then(|()| commands::sample(&args, engine)),
        Command::Eval(args) => commands::compute(&args.compute).and_then(|()| commands::eval(&args, engine)),
        Command::Audit(args) => audit::run(&args),
        Command::Reproduce(args) => reproduce::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Export(args) => commands::export(&args, engine),
        Command::Completions(args) => Ok(commands::completions(args.shell)),
        Command::Man(args) => commands::man(args.command.as_deref()),
    }
}

/// What clap has to say: help and version as they are, on standard output; an error as one sentence, with its
/// tip.
fn usage(e: &clap::Error) -> ExitCode {
    if !e.use_stderr() {
        let _ = e.print();
        return ExitCode::SUCCESS;
    }
    let text = e.to_string();
    let parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let useful = parts.filter(|p| p.starts_with("error: ") || p.starts_with("tip: "));
    let _ = writeln!(std::io::stderr(), "{}; see ndsm --help", useful.collect::<Vec<_>>().join("; "));
    ExitCode::from(2)
}

#[cfg(test)]
mod tests;
