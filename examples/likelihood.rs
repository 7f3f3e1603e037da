//! The likelihood of points under a trained model, beside the law's own density and that of the reference.
//!
//!     cargo run --release --example likelihood [STEPS]

use ndsm::config::{Config, Setting};
use ndsm::data::law::HELD_OUT;
use ndsm::sample::Method;
use ndsm::train::{Likelihood, prepare};
use ndsm::{Error, Result};

/// Steps of the flow's solver.
const FLOW: usize = 24;

fn main() -> Result<()> {
    let steps: usize = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1500);
    // Moons through three components: the reference alone is not good enough.
    let config = Config::resolve(&[
        Setting::new("data.name", "moons"),
        Setting::new("data.n", 5000usize),
        Setting::new("reference.components", 3usize),
        Setting::new("network.width", 128usize),
        Setting::new("train.steps", steps),
    ])?;
    let prepared = prepare(&config)?;
    let mut trainer = prepared.trainer::<f32>()?;
    for _ in 0..steps {
        trainer.step()?;
    }
    trainer.calibrate()?;

    let law = prepared.data.law.as_ref().ok_or_else(|| Error::refused("data", "have no law"))?;
    let fresh = law.sample(500, 7, HELD_OUT);
    let exact = law.log_density(fresh.view())?;
    // Samplers map their points to the data's moments (21); the likelihood goes the same way back.
    let mut generator = prepared.generator(&trainer)?;
    let model = Likelihood::new(&prepared.config, &prepared.reference, trainer.state())?;
    let mut model = model.through(generator.maps(Method::Ode, None)?.as_deref())?;
    let learned = model.log_density(fresh.view(), FLOW)?;
    let alone = prepared.reference.in_data_units()?.log_density(fresh.view())?;

    let mean = |v: &ndarray::Array1<f64>| v.mean().unwrap_or(f64::NAN);
    println!("mean ln p of 500 fresh points");
    println!("  the law itself       {:.3}", mean(&exact));
    println!("  the model            {:.3}", mean(&learned));
    println!("  the reference alone  {:.3}", mean(&alone));
    println!("KL(law | model)     = {:.3} +- {:.3}", mean(&(&exact - &learned)), (&exact - &learned).std(1.0) / 500f64.sqrt());
    println!("KL(law | reference) = {:.3} +- {:.3}", mean(&(&exact - &alone)), (&exact - &alone).std(1.0) / 500f64.sqrt());
    Ok(())
}
