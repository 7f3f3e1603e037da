//! A law of one's own: draws, a density and its score in one file, each checked against the others, and a model
//! trained on its points.
//!
//!     cargo run --release --example own_law [STEPS]

use ndarray::{Array2, array};
use ndsm::config::{Config, Setting};
use ndsm::data::Law;
use ndsm::data::law::{HELD_OUT, Plane, TRAINING};
use ndsm::metrics::sliced_w2;
use ndsm::rng::Stream;
use ndsm::sample::Method;
use ndsm::train::{Reference, Settled, Trainer};
use ndsm::{Error, Result};

/// A banana: x ~ N(0, 1), y ~ N(x^2/2, s^2), so that ln p = -x^2/2 - (y - x^2/2)^2/(2 s^2) - ln(2 pi s).
#[derive(Debug)]
struct Banana {
    std: f64,
}

impl Plane for Banana {
    fn name(&self) -> &'static str {
        "banana"
    }
    fn window(&self) -> [f64; 2] {
        [-6.0, 16.0]
    }
    fn draw(&self, stream: &mut Stream) -> [f64; 2] {
        let x: f64 = stream.normal();
        [x, 0.5 * x * x + self.std * stream.normal::<f64>()]
    }
    fn log_density_and_score(&self, [x, y]: [f64; 2]) -> (f64, [f64; 2]) {
        let off = (y - 0.5 * x * x) / (self.std * self.std);
        let log_density = -0.5 * x * x - 0.5 * off * off * self.std * self.std - (std::f64::consts::TAU * self.std).ln();
        (log_density, [-x + off * x, -off])
    }
}

/// The score is the gradient of the log-density, at points drawn anywhere.
fn score_is_the_gradient(law: &dyn Law) -> Result<()> {
    let (h, mut worst) = (1e-5, 0.0f64);
    for p in law.sample(200, 1, TRAINING).rows() {
        let at = |dx: f64, dy: f64| Ok::<f64, Error>(law.log_density(array![[p[0] + dx, p[1] + dy]].view())?[0]);
        let differences = [(at(h, 0.0)? - at(-h, 0.0)?) / (2.0 * h), (at(0.0, h)? - at(0.0, -h)?) / (2.0 * h)];
        let score = law.score(p.insert_axis(ndarray::Axis(0)))?;
        for (s, d) in score.iter().zip(differences) {
            worst = worst.max((s - d).abs() / (1.0 + s.abs()));
        }
    }
    println!("score against differences of the log-density: {worst:.1e}");
    if worst <= 1e-7 { Ok(()) } else { Err(Error::Failed { what: format!("the score is off by {worst:.1e}") }) }
}

/// The draws are of the law that has this score: E grad ln p = 0 and E x . grad ln p = -d (Stein), each within 4.4
/// standard errors (one of 100,000 exceeds that).
fn draws_follow_the_score(law: &dyn Law) -> Result<()> {
    let n = 100_000;
    let x = law.sample(n, 2, TRAINING);
    let s = law.score(x.view())?;
    let products: Vec<f64> = x.rows().into_iter().zip(s.rows()).map(|(x, s)| x.dot(&s) + 2.0).collect();
    for (name, values) in [("E ds/dx", s.column(0).to_vec()), ("E ds/dy", s.column(1).to_vec()), ("E x.s + 2", products)] {
        let mean = values.iter().sum::<f64>() / n as f64;
        let error = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>()).sqrt() / n as f64;
        println!("{name:>10} = {mean:+.4}, {:.1} standard errors from 0", mean.abs() / error);
        if mean.abs() > 4.4 * error {
            return Err(Error::Failed { what: format!("{name} is {mean}") });
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let steps: usize = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1000);
    let law = Banana { std: 0.4 };
    score_is_the_gradient(&law)?;
    draws_follow_the_score(&law)?;

    let (x, fresh): (Array2<f64>, Array2<f64>) = (law.sample(2000, 0, TRAINING), law.sample(2000, 0, HELD_OUT));
    let config =
        Config::resolve(&[Setting::new("data.name", "npy"), Setting::new("data.path", "none"), Setting::new("train.steps", steps)])?;
    let reference = Reference::fit(x.view(), &config)?;
    let settled = Settled::new(&config, &reference, x.nrows())?;
    let mut trainer = Trainer::<f32>::new(&settled, &reference, x.view())?.watching(&reference, fresh.view())?;
    for _ in 0..steps {
        trainer.step()?;
    }
    let mut generator = trainer.generator(&reference)?;
    let distance = |y: &Array2<f64>| sliced_w2(y.view(), fresh.view(), 128, 0);
    println!("sliced W2 to fresh points, {} components and {steps} steps:", reference.mixture.components());
    println!("  the training points (the floor)  {:.3}", distance(&x)?);
    println!("  the reference alone              {:.3}", distance(&generator.sample_reference(2000, 0)?)?);
    println!("  the model                        {:.3}", distance(&generator.sample(2000, 0, Method::Ode, None)?)?);
    Ok(())
}
