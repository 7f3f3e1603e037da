//! `ndsm sample`, `ndsm eval`, and what all commands share: threads, device, counts.

use super::args::{Cli, ComputeArgs, Device, EvalArgs, ExportArgs, SampleArgs};
use super::engine::{Engine, Sampling};
use super::run_dir::RunDir;
use super::samples::{STDOUT, check_place, draw_into, drawn};
use super::summary::json_object;
use super::train::{metrics_text, trained};
use crate::data::{check_target, write_whole};
use crate::{Error, Result};
use clap::CommandFactory;
use std::time::Instant;

/// Most samples of one command.
const MAX_SAMPLES: i64 = 100_000_000;
/// Most steps of a sampler.
const MAX_STEPS: i64 = 1_000_000;
/// Half-samples that intervals come from: their widths are right to 11 %.
const RESAMPLES: usize = 40;
/// Most threads.
const MAX_THREADS: i64 = 4096;

/// Draws samples from a run and writes them.
pub fn sample(args: &SampleArgs, engine: &dyn Engine) -> Result<String> {
    let how = Sampling {
        n: count("--n", args.n, 1, MAX_SAMPLES)? as usize,
        seed: count("--seed", args.seed, 0, 1 << 53)?,
        method: args.method,
        steps: args.steps.map(|s| count("--steps", s, 1, MAX_STEPS)).transpose()?.map(|s| s as usize),
        temperature: args.temperature,
        class: args.class.map(|class| count("--class", class, 0, i64::from(u32::MAX))).transpose()?.map(|class| class as u32),
        guidance: args.guidance,
    };
    if !(0.0..=100.0).contains(&how.guidance) {
        return Err(Error::invalid("--guidance", "in [0, 100]", how.guidance));
    }
    if !(how.temperature > 0.0 && how.temperature <= 100.0) {
        return Err(Error::invalid("--temperature", "in (0, 100]", how.temperature));
    }
    let run = RunDir::open(&args.dir)?;
    check_place(&args.out)?;
    let (_, model) = trained(&run, engine)?;
    draw_into(model.as_ref(), how, &args.out)?;
    // With the samples themselves on standard output there is nothing to say there.
    Ok(if args.out.as_os_str() == STDOUT { String::new() } else { args.out.display().to_string() })
}

/// Draws samples from a run and measures them; returns the table, or with `--json` the object.
pub fn eval(args: &EvalArgs, engine: &dyn Engine) -> Result<String> {
    let n = count("--n", args.n, 2, MAX_SAMPLES)? as usize;
    let seed = count("--seed", args.seed, 0, 1 << 53)?;
    let run = RunDir::open(&args.dir)?;
    let (_, model) = trained(&run, engine)?;
    let started = Instant::now();
    let steps = args.steps.map(|s| count("--steps", s, 1, MAX_STEPS)).transpose()?.map(|s| s as usize);
    let samples = drawn(model.as_ref(), Sampling::plain(n, seed, args.method, steps))?.values;
    let mut metrics = model.evaluate(samples.view(), seed, RESAMPLES)?;
    if args.likelihood {
        metrics.extend(model.likelihood(seed)?);
    }
    let seconds = started.elapsed().as_secs_f64();
    if args.json {
        let mut more = vec![("n", n.into()), ("seed", seed.into()), ("seconds", seconds.into())];
        more.extend(model.judge().map(|judge| ("judge", judge.into())));
        return Ok(json_object(&metrics, &more).to_string());
    }
    Ok([Some(metrics_text(&metrics)), model.judge(), model.verdict()].into_iter().flatten().collect::<Vec<_>>().join("\n"))
}

/// Writes a run's network as an ONNX model.
pub fn export(args: &ExportArgs, engine: &dyn Engine) -> Result<String> {
    let run = RunDir::open(&args.dir)?;
    check_target(&args.out).map_err(|e| Error::unwritable(&args.out, "cannot be written", &e))?;
    let (_, model) = trained(&run, engine)?;
    write_whole(&args.out, &model.onnx()?).map_err(|e| Error::io(&args.out, "cannot be written", &e))?;
    Ok(args.out.display().to_string())
}

/// Makes the pool of threads and refuses a device that is not there.
pub fn compute(args: &ComputeArgs) -> Result<()> {
    if let Some(threads) = args.threads {
        let threads = count("--threads", threads, 1, MAX_THREADS)? as usize;
        let refuse = |e| Error::refused("--threads", format!("{threads} threads cannot be started: {e}"));
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(refuse)?;
    }
    if args.device == Device::Cuda {
        let why = if cfg!(feature = "cuda") {
            "training on a graphics card is not available in this version; leave --device out"
        } else {
            "this program was built without it (cargo build --features cuda); leave --device out"
        };
        return Err(Error::Unavailable { what: "--device cuda".to_owned(), why: why.to_owned() });
    }
    Ok(())
}

/// What makes a shell complete the arguments.
pub fn completions(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ndsm", &mut text);
    String::from_utf8_lossy(&text).trim_end().to_owned()
}

/// The manual page of the program or of the command `name`, in roff.
pub fn man(name: Option<&str>) -> Result<String> {
    let mut cli = Cli::command();
    cli.build();
    let page = match name {
        None => cli,
        Some(name) => {
            let names: Vec<String> = cli.get_subcommands().map(|c| format!("\"{}\"", c.get_name())).collect();
            let found = cli.find_subcommand(name).cloned();
            let found = found.ok_or_else(|| Error::invalid("man", format!("one of {}", names.join(", ")), format!("\"{name}\"")))?;
            // The name of the file, ndsm-train.1.
            found.display_name(format!("ndsm-{name}"))
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(|e| Error::refused("man", e.to_string()))?;
    Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
}

/// A count from the command line.
pub fn count(place: &str, value: i64, low: i64, high: i64) -> Result<u64> {
    let side = |bad: bool, text: String| if bad { Err(Error::invalid(place, text, value)) } else { Ok(()) };
    side(value < low, format!(">= {low}"))?;
    side(value > high, format!("<= {high}"))?;
    Ok(value.unsigned_abs())
}
