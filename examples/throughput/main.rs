//! One kind of work, timed: a line to lay beside those of other libraries.
//!
//! ```text
//! cargo run --release --example throughput -- WORK [--threads N] [--inputs DIR] [--json]
//! ```
//! | work | what one unit is |
//! |---|---|
//! | `mlp-small` | a step of Adam: MLP 14-128-128-128-2 with SiLU, batch 1,024, mean of \|sigma net(x) + z\|^2, f32 |
//! | `mlp-large` | the same, 64-512-512-512-64, batch 512 |
//! | `unet` | the same for images: U-Net 28 x 28 x 1, channels 32-64-64, batch 64, mean of (net(x, t) - z)^2, f32 |
//! | `infer-1`, `infer-4096` | the network of `mlp-small` on 1 or 4,096 rows, f32 |
//! | `langevin` | Euler-Maruyama, h = .01, toward 8 spherical components in the plane, 100,000 paths x 100 steps, f32 |
//! | `langevin-16` | the same toward 10 components with full covariances in 16 dimensions, 10,000 paths |
//! | `well-em`, `well-sra1` | the double well by Euler-Maruyama or SRA1, 100,000 paths x 1,000 steps, f64 |
//! | `sample` | the reverse SDE with the network of `mlp-small`, 10,000 samples x 100 steps, f32 |
//! | `gmm-em` | an iteration of EM, full covariances, n = 100,000, d = 16, k = 10, f64 |
//! | `sinkhorn` | 100 iterations of Sinkhorn in the log domain, 2,000 x 2,000 points in the plane, epsilon = .1, f64 |
//! | `sliced-w2` | sliced W2 of 10,000 points in the plane along 256 directions, f64 |
//! | `gemm-MxKxN` | a matrix product M x K by K x N on the tape, f32 |
//!
//! The inputs are drawn from fixed seeds; `--inputs` reads them from `DIR/NAME.npy` instead (w0, w1, ..., x,
//! z, sigma; p.LAYER.w, p.LAYER.b, p.LAYER.g, x, t, z of the U-Net, weights with the outputs on the first
//! axis; x0; x, m0; x, y), so that the numbers in `extra` can be compared with those of a program that was
//! given the same.

mod inputs;
mod networks;
mod numerics;
#[path = "../../tests/common/training.rs"]
mod training;

use inputs::Inputs;
use ndsm::nn::ScoreNet;
use ndsm::{Error, Result};
use std::process::ExitCode;
use std::time::Instant;

/// What a work's units are called, and how many of them one timed unit is.
type Rate = (&'static str, f64);

/// The outcome of a work.
struct Timing {
    /// Milliseconds per unit.
    ms: Vec<f64>,
    rate: Rate,
    /// Results by which a reader sees that the right thing was computed.
    extra: Vec<(&'static str, f64)>,
}

/// One call unmeasured, then at least three and 0.3 seconds of them. `call` does `units` units of work and
/// may return its own milliseconds per unit.
fn time(units: usize, mut call: impl FnMut() -> Result<Option<f64>>) -> Result<Vec<f64>> {
    let mut timed = || {
        let start = Instant::now();
        let own = call()?;
        Ok(own.unwrap_or(start.elapsed().as_secs_f64() * 1e3 / units as f64))
    };
    timed()?;
    let (start, mut ms) = (Instant::now(), vec![]);
    while ms.len() < 3 || start.elapsed().as_secs_f64() < 0.3 {
        ms.push(timed()?);
    }
    Ok(ms)
}

/// The M, K, N of `gemm-MxKxN`, each in 1..=65,536.
fn gemm_sizes(work: &str) -> Option<[usize; 3]> {
    let sizes: Vec<usize> = work.strip_prefix("gemm-")?.split('x').map(|s| s.parse().ok()).collect::<Option<_>>()?;
    <[usize; 3]>::try_from(sizes).ok().filter(|s| s.iter().all(|s| (1..=65_536).contains(s)))
}

/// What can be asked for.
const WORKS: &str = "mlp-small, mlp-large, unet, infer-1, infer-4096, sample, langevin, langevin-16, well-em, well-sra1, gmm-em, sinkhorn, \
     sliced-w2 or gemm-MxKxN";

fn run(work: &str, inputs: &Inputs) -> Result<Timing> {
    match work {
        "mlp-small" => networks::mlp(ScoreNet::new(2, 128, 3, 6)?, 1024, inputs),
        "mlp-large" => networks::mlp(ScoreNet::new(64, 512, 3, 0)?, 512, inputs),
        "unet" => networks::unet(inputs),
        "infer-1" => networks::infer(1, inputs),
        "infer-4096" => networks::infer(4096, inputs),
        "sample" => networks::sample(inputs),
        "langevin" => numerics::langevin(inputs),
        "langevin-16" => numerics::langevin_16(inputs),
        "well-em" => numerics::well(&ndsm::sde::EulerMaruyama),
        "well-sra1" => numerics::well(&ndsm::sde::Sra1),
        "gmm-em" => numerics::gmm_em(inputs),
        "sinkhorn" => numerics::sinkhorn(inputs),
        "sliced-w2" => numerics::sliced(inputs),
        _ => match gemm_sizes(work) {
            Some([m, k, n]) => numerics::gemm(m, k, n, inputs),
            None => Err(Error::invalid("WORK", WORKS, format!("\"{work}\""))),
        },
    }
}

struct Arguments {
    work: String,
    threads: usize,
    inputs: Inputs,
    json: bool,
}

fn arguments(mut args: impl Iterator<Item = String>) -> Result<Arguments> {
    let (mut work, mut threads, mut inputs, mut json) = (None, 0, None, false);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Error::refused(&*arg, "needs a value"));
        match &*arg {
            "--json" => json = true,
            "--inputs" => inputs = Some(value()?.into()),
            "--threads" => {
                let n = value()?;
                let parsed = n.parse().ok().filter(|n| (1..=1024).contains(n));
                threads = parsed.ok_or_else(|| Error::invalid("--threads", "an integer in 1..=1024", format!("\"{n}\"")))?;
            }
            _ if arg.starts_with('-') || work.is_some() => {
                return Err(Error::invalid("argument", "WORK, --threads N, --inputs DIR or --json", format!("\"{arg}\"")));
            }
            _ => work = Some(arg),
        }
    }
    let work = work.ok_or_else(|| Error::refused("WORK", "is missing: throughput WORK [--threads N] [--inputs DIR] [--json]"))?;
    Ok(Arguments { work, threads, inputs: Inputs(inputs), json })
}

fn print(a: &Arguments, mut timing: Timing) {
    let ms = &mut timing.ms;
    ms.sort_by(f64::total_cmp);
    let (median, least, runs) = (0.5 * (ms[(ms.len() - 1) / 2] + ms[ms.len() / 2]), ms[0], ms.len());
    let extra = std::iter::once((timing.rate.0, timing.rate.1 / median * 1e3)).chain(timing.extra);
    let quote = if a.json { "\"" } else { "" };
    let extra: Vec<String> = extra.map(|(name, v)| format!("{quote}{name}{quote}: {}", (v * 1e6).round() / 1e6)).collect();
    let (work, threads, extra) = (&a.work, rayon::current_num_threads(), extra.join(", "));
    if a.json {
        let version = env!("CARGO_PKG_VERSION");
        println!(
            "{{\"work\": \"{work}\", \"peer\": \"ndsm\", \"ms_median\": {median:.4}, \"ms_min\": {least:.4}, \"runs\": {runs}, \"extra\": \
             {{{extra}, \"threads\": {threads}, \"simd\": \"{}\", \"version\": \"ndsm {version}\"}}}}",
            ndsm::simd::level().name()
        );
    } else {
        println!("{work}, {threads} threads: {median:.4} ms (least of {runs}: {least:.4}); {extra}");
    }
}

fn main() -> ExitCode {
    let done = arguments(std::env::args().skip(1)).and_then(|a| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(a.threads).build();
        let pool = pool.map_err(|e| Error::refused("--threads", format!("the threads cannot be started: {e}")))?;
        pool.install(|| run(&a.work, &a.inputs).map(|timing| print(&a, timing)))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("throughput: {e}");
            ExitCode::from(2)
        }
    }
}
