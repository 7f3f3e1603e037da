//! What each control variate of score matching is worth at equal evaluations of the network, and at equal
//! wall time: medians over five seeds.
//!
//!     cargo run --release --example controls_compared            # about fifteen minutes on two cores
//!     cargo run --release --example controls_compared -- 1       # one seed
//!
//! Three settings: four modes in the plane, and four with the weights .55, .25, .15 and .05 of an almost
//! fourfold symmetry, both on Euler chains of 200 steps; the latent space of handwritten digits, with the
//! component-wise step in four steps. The budget is that of the steps that pairs take.

use ndsm::config::{Config, Control, Setting};
use ndsm::metrics::evaluate;
use ndsm::objective::points_per_draw;
use ndsm::sample::Method;
use ndsm::train::prepare;
use ndsm::{Error, Result};
use std::time::Instant;

const CONTROLS: [Control; 7] =
    [Control::None, Control::SelfControl, Control::Gated, Control::Regression, Control::Network, Control::Blend, Control::Antithetic];
const SAMPLES: usize = 10_000;

struct Task {
    name: &'static str,
    settings: Vec<Setting>,
    /// Optimiser steps with pairs.
    steps: usize,
}

fn tasks() -> [Task; 3] {
    let chain = |name: &str| {
        vec![
            Setting::new("data.name", name),
            Setting::new("data.n", 1000usize),
            Setting::new("reference.components", 4usize),
            Setting::new("sde.horizon", 1.0),
            Setting::new("sde.steps", 200usize),
            Setting::new("sde.grid", "uniform"),
            Setting::new("objective.transition", "euler"),
            Setting::new("objective.time_sampling", "grid"),
            Setting::new("network.width", 128usize),
            Setting::new("network.parametrisation", "scaled"),
            Setting::new("train.times_per_path", 4usize),
        ]
    };
    // One covariance each and a plain network, whatever the defaults are for so few points.
    let digits = vec![
        Setting::new("reference.covariance", "full"),
        Setting::new("network.kind", "mlp"),
        Setting::new("network.width", 256usize),
        Setting::new("train.lr", 3e-3),
    ];
    [
        Task { name: "four modes", settings: chain("four-modes"), steps: 500 },
        Task { name: "near-C4", settings: chain("near-c4"), steps: 500 },
        Task { name: "digits", settings: digits, steps: 2000 },
    ]
}

/// Outliers and sliced W2 of a model trained for `steps` steps, and the seconds of a step.
fn run(task: &Task, control: Control, steps: usize, seed: u64) -> Result<[f64; 3]> {
    let mut settings = task.settings.clone();
    settings.extend([
        Setting::new("objective.control", control.name()),
        Setting::new("train.steps", steps),
        Setting::new("train.seed", seed),
        Setting::new("data.seed", seed),
        // What the control does, and nothing else: the last parameters as they are.
        Setting::new("train.evaluate_every", 0usize),
        Setting::new("train.weight_decay", 0.0),
        Setting::new("network.dropout", 0.0),
        Setting::new("calibration.moments", "none"),
    ]);
    let prepared = prepare(&Config::resolve(&settings)?)?;
    let mut trainer = prepared.trainer::<f32>()?;
    let began = Instant::now();
    for _ in 0..steps {
        trainer.step()?;
    }
    let seconds = began.elapsed().as_secs_f64() / steps as f64;
    let samples = prepared.generator(&trainer)?.sample(SAMPLES, seed, Method::Ode, None)?;
    let metrics = evaluate(samples.view(), &prepared.data, None, seed, 0)?;
    let of = |name: &str| metrics.value(name).unwrap_or(f64::NAN);
    Ok([of("outlier_share"), of("sliced_w2"), seconds])
}

fn median(mut x: Vec<f64>) -> f64 {
    x.sort_by(f64::total_cmp);
    x[x.len() / 2]
}

fn main() -> Result<()> {
    let seeds = std::env::args().nth(1).map_or(Ok(5), |s| s.parse::<u64>());
    let seeds = seeds.ok().filter(|n| *n > 0).ok_or_else(|| Error::refused("seeds", "expected a number > 0"))?;
    println!(
        "| | control | ms a step | outliers, equal evaluations | sliced W2 | outliers, equal time | sliced W2 |\n|---|---|---|---|---|---|---|"
    );
    for task in &tasks() {
        // The time of a step, the least of some, each in its turn: a slow minute of the machine meets all of
        // them.
        let mut seconds = vec![vec![]; CONTROLS.len()];
        for _ in 0..5 {
            for (control, seconds) in CONTROLS.iter().zip(&mut seconds) {
                seconds.push(run(task, *control, 100, 0)?[2]);
            }
        }
        let seconds: Vec<f64> = seconds.into_iter().map(|s| s.into_iter().fold(f64::INFINITY, f64::min)).collect();
        let pairs = seconds[CONTROLS.len() - 1];
        for (control, seconds) in CONTROLS.iter().zip(seconds) {
            let by_evaluations = task.steps * 2 / points_per_draw(*control);
            let by_time = (task.steps as f64 * pairs / seconds) as usize;
            let mut found = [vec![], vec![], vec![], vec![]];
            for seed in 0..seeds {
                for (half, steps) in [by_evaluations, by_time].into_iter().enumerate() {
                    let [outliers, w2, _] = run(task, *control, steps, seed)?;
                    found[2 * half].push(outliers);
                    found[2 * half + 1].push(w2);
                }
            }
            let [outliers, w2, timed_outliers, timed_w2] = found.map(median);
            let share = |x: f64| if x.is_nan() { "".to_owned() } else { format!("{:.2} %", 100.0 * x) };
            println!(
                "| {} | `{}` | {:.2} | {} | {w2:.4} | {} | {timed_w2:.4} |",
                task.name,
                control.name(),
                1e3 * seconds,
                share(outliers),
                share(timed_outliers)
            );
        }
    }
    Ok(())
}
