//! The method beside the linear process, at equal optimiser steps: 2,000 points of a pinwheel, both with the same network, pairs,
//! held-out points and calibration, and what their samples look like.
//!
//!     cargo run --release --example beside_linear [STEPS] [PICTURE.png]

use ndarray::{Array2, s};
use ndsm::Result;
use ndsm::cli::plot::side_by_side;
use ndsm::config::{Config, Setting};
use ndsm::data::law::HELD_OUT;
use ndsm::metrics::sliced_w2;
use ndsm::sample::Method;
use ndsm::train::prepare;

/// Samples after `steps` steps of noising by `sde`, and of its reference alone.
fn samples(sde: &str, steps: usize) -> Result<[Array2<f64>; 2]> {
    let config = Config::resolve(&[
        Setting::new("data.name", "pinwheel"),
        Setting::new("data.n", 2000usize),
        Setting::new("sde.kind", sde),
        Setting::new("network.width", 128usize),
        Setting::new("train.steps", steps),
    ])?;
    let prepared = prepare(&config)?;
    let mut trainer = prepared.trainer::<f32>()?;
    for _ in 0..steps {
        trainer.step()?;
    }
    trainer.calibrate()?;
    let mut generator = prepared.generator(&trainer)?;
    Ok([generator.sample(5000, 0, Method::Ode, None)?, generator.sample_reference(5000, 0)?])
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let steps: usize = arguments.next().and_then(|s| s.parse().ok()).unwrap_or(200);
    let picture = arguments.next().unwrap_or_else(|| "beside-linear.png".to_owned());
    let ([linear, noise], [ours, reference]) = (samples("vp", steps)?, samples("langevin", steps)?);
    let data = prepare(&Config::resolve(&[Setting::new("data.name", "pinwheel"), Setting::new("data.n", 2000usize)])?)?.data;
    let fresh = match &data.law {
        Some(law) => law.sample(5000, 5, HELD_OUT),
        None => data.held_out.clone(),
    };
    println!("sliced W2 to fresh points after {steps} steps");
    for (name, x) in [
        ("2,000 training points (the floor)", data.points.view()),
        ("linear process: its start", noise.view()),
        ("linear process", linear.view()),
        ("mixture: its start, the reference", reference.view()),
        ("mixture", ours.view()),
    ] {
        println!("  {name:<34} {:.3}", sliced_w2(x, fresh.view(), 128, 0)?);
    }
    let few = |x: &Array2<f64>| x.slice(s![..2000.min(x.nrows()), ..]).to_owned();
    let (linear, ours) = (few(&linear), few(&ours));
    side_by_side(&[("Data", data.points.view()), ("Linear process", linear.view()), ("ndsm", ours.view())]).save_all(picture.as_ref())?;
    println!("picture: {picture}");
    Ok(())
}
