//! Few points, a fifth of them held out: the held-out gain while a network learns, which parameters are kept, and what is left of
//! the gain on points that no part of the training saw.
//!
//!     cargo run --release --example less_data [STEPS]

use ndarray::s;
use ndsm::Result;
use ndsm::config::{Config, Setting};
use ndsm::data::Law;
use ndsm::data::law::{Curve, HELD_OUT, TRAINING};
use ndsm::train::{Reference, Settled, Trainer};

fn main() -> Result<()> {
    let steps: usize = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1500);
    println!("moons, two components; gain (19): the loss less that of the reference alone, below 0 the network is worth having");
    let law = Curve::moons();
    for n in [25usize, 100, 400, 2000] {
        let config = Config::resolve(&[
            Setting::new("data.name", "moons"),
            Setting::new("reference.components", 2usize),
            Setting::new("network.width", 64usize),
            Setting::new("train.steps", steps),
            Setting::new("train.evaluate_every", (steps / 6).max(1)),
        ])?;
        let all = law.sample(n, 3, TRAINING);
        let (x, held_out) = (all.slice(s![n / 5.., ..]), all.slice(s![..n / 5, ..]));
        let reference = Reference::fit(x, &config)?;
        let settled = Settled::new(&config, &reference, x.nrows())?;
        let mut trainer = Trainer::<f32>::new(&settled, &reference, x)?.watching(&reference, held_out)?;
        println!("\n{} points, {} held out\n{:>6}  {:>24}  {:>9}", x.nrows(), held_out.nrows(), "step", "held-out gain", "training");
        for step in 1..=steps {
            if let Some(gains) = trainer.step()?.gains {
                let [held_out, training] = [gains.held_out.whole, gains.training.whole];
                println!("{step:>6}  {:>10.3} +- {:<10.3}  {:>9.3}", held_out.value, 2.0 * held_out.error, training.value);
            }
        }
        trainer.calibrate()?;
        let best = trainer.state().best.as_ref().map_or(0, |best| best.step);
        let what = match trainer.state().calibration.as_ref() {
            Some(c) if c.is_guide() => "the reference generates alone",
            _ => "the network generates",
        };
        let fresh = trainer.final_gain(&reference, law.sample(5000, 3, HELD_OUT).view())?;
        println!("kept: step {best}; {what}; gain on fresh points {:.3} +- {:.3}", fresh.value, 2.0 * fresh.error);
    }
    Ok(())
}
