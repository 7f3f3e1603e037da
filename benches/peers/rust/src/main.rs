//! burn and candle, timed on the works that `compare.py` times ndsm with: a line to lay beside those of other libraries.
//!
//! ```text
//! RAYON_NUM_THREADS=1 ndsm-peers burn|candle WORK [--inputs DIR]
//! ```
//! WORK is `mlp-small`, `mlp-large`, `unet`, `infer-1`, `infer-4096`, `sample` or `gemm-1024x1024x1024`; `--inputs` reads the
//! arrays that `compare.py` writes. Both libraries take the number of their threads from the environment alone.

mod in_burn;
mod in_candle;
#[cfg(test)]
mod reference;
mod works;

use std::process::ExitCode;
use std::time::Instant;
use works::{Inputs, Unit, Work};

/// Milliseconds of a unit of work, sorted, and results by which a reader sees that the right thing was computed.
fn time(work: Work, mut unit: Unit) -> (Vec<f64>, Vec<(&'static str, f64)>) {
    let (first, units) = work.calls();
    let mut last = vec![];
    for _ in 0..first {
        last = unit();
    }
    let mut call = || {
        let start = Instant::now();
        (0..units).for_each(|_| drop(unit()));
        start.elapsed().as_secs_f64() * 1e3 / units as f64
    };
    call();
    let (start, mut ms) = (Instant::now(), vec![]);
    while ms.len() < 3 || start.elapsed().as_secs_f64() < 0.3 {
        ms.push(call());
    }
    ms.sort_by(f64::total_cmp);
    (ms, work.results(&last))
}

fn run(peer: &str, name: &str, inputs: &Inputs) -> Option<String> {
    let work = Work::named(name)?;
    let unit = match peer {
        "burn" => in_burn::unit(work, inputs),
        "candle" => in_candle::unit(work, inputs).expect("candle"),
        _ => return None,
    };
    let (ms, extra) = time(work, unit);
    let (median, least) = (0.5 * (ms[(ms.len() - 1) / 2] + ms[ms.len() / 2]), ms[0]);
    let extra: Vec<String> = extra.iter().map(|(name, v)| format!("\"{name}\": {v:.7}")).collect();
    Some(format!(
        "{{\"work\": \"{name}\", \"peer\": \"{peer}\", \"ms_median\": {median:.5}, \"ms_min\": {least:.5}, \"runs\": {}, \"extra\": \
         {{{}}}}}",
        ms.len(),
        extra.join(", ")
    ))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(|a| &**a).collect();
    let line = match args[..] {
        [peer, work] => run(peer, work, &Inputs(None)),
        [peer, work, "--inputs", folder] => run(peer, work, &Inputs(Some(folder.into()))),
        _ => None,
    };
    match line {
        Some(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("ndsm-peers: expected burn or candle, a work, and perhaps --inputs DIR");
            ExitCode::from(2)
        }
    }
}
