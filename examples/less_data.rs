//! Few points: the held-out gain while a network learns, where it is best, and what is left of it on points that no part of
//! the training saw.
//!
//!     cargo run --release --example less_data [STEPS]

use ndsm::Result;
use ndsm::config::{Config, Setting};
use ndsm::data::law::HELD_OUT;
use ndsm::train::prepare;

fn main() -> Result<()> {
    let steps: usize = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1500);
    println!("moons, two components; gain (19): the loss less that of the reference alone, below 0 the network is worth having");
    for n in [50usize, 200, 1000, 5000] {
        let config = Config::resolve(&[
            Setting::new("data.name", "moons"),
            Setting::new("data.n", n),
            Setting::new("reference.components", 2usize),
            Setting::new("network.width", 64usize),
            Setting::new("train.steps", steps),
            Setting::new("train.evaluate_every", (steps / 6).max(1)),
        ])?;
        let prepared = prepare(&config)?;
        let mut trainer = prepared.trainer::<f32>()?;
        println!("\n{n} points, {} held out", prepared.data.held_out.nrows());
        println!("{:>6}  {:>22}  {:>9}", "step", "held-out gain", "training");
        for step in 1..=steps {
            let report = trainer.step()?;
            if let Some(gains) = report.gains {
                let [held_out, training] = [gains.held_out.whole, gains.training.whole];
                println!("{step:>6}  {:>9.3} +- {:<9.3}  {:>9.3}", held_out.value, 2.0 * held_out.error, training.value);
            }
        }
        trainer.calibrate()?;
        let best = trainer.state().best.as_ref().map_or(0, |best| best.step);
        // Points of the law that were neither trained on nor looked at.
        if let Some(law) = &prepared.data.law {
            let fresh = trainer.final_gain(&prepared.reference, law.sample(5000, 11, HELD_OUT + 1).view())?;
            println!("kept: step {best}; calibrated, on fresh points {:.3} +- {:.3}", fresh.value, 2.0 * fresh.error);
        }
    }
    Ok(())
}
