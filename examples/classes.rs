//! A model that is told labels: samples of each digit by itself, judged by a classifier, with the guidance that exaggerates a
//! class; with one reference for all digits, and with one for each.
//!
//!     cargo run --release --example classes [STEPS]

use ndarray::{ArrayView2, Axis};
use ndsm::config::{Config, Setting};
use ndsm::metrics::{ImageClassifier, frechet};
use ndsm::sample::Method;
use ndsm::train::{Generator, Prepared, Trainer, prepare};
use ndsm::{Error, Result};

/// Samples of each class, and classes.
const SAMPLES: usize = 200;
const CLASSES: u32 = 10;

fn main() -> Result<()> {
    let steps = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(2000usize);
    let mut judge = None;
    println!("{:<28} {:>10} {:>14} {:>20}", "", "guidance", "right class", "Frechet distance");
    for per_class in [false, true] {
        let mut settings = vec![
            Setting::new("data.name", "digits"),
            Setting::new("network.classes", CLASSES as usize),
            Setting::new("train.steps", steps),
            Setting::new("reference.per_class", per_class),
        ];
        // 144 images of a digit have few clusters.
        settings.extend(per_class.then(|| Setting::new("reference.components", 3usize)));
        let prepared = prepare(&Config::resolve(&settings)?)?;
        let judge = match &mut judge {
            Some(known) => known,
            none => none.insert(Judge::new(&prepared)?),
        };
        let mut trainer = prepared.trainer::<f32>()?;
        for _ in 0..steps {
            trainer.step()?;
        }
        trainer.calibrate()?;
        let name = if per_class { "a reference for each digit" } else { "one reference" };
        judge.tell(&format!("{name}, alone"), None, |class| generator(&prepared, &trainer, class)?.sample_reference(SAMPLES, 1))?;
        for guidance in [1.0, 1.5, 2.0, 3.0] {
            let draw = |class| generator(&prepared, &trainer, class)?.guided(guidance)?.sample(SAMPLES, 1, Method::Ode, None);
            judge.tell(name, Some(guidance), draw)?;
        }
        let gains = trainer.class_gains()?;
        let mean = |of: fn(&ndsm::train::ClassGain) -> f64| gains.iter().map(of).sum::<f64>() / gains.len() as f64;
        println!(
            "  held-out gain, mean of the digits: {:.3} told the label, {:.3} not told",
            mean(|g| g.told.value),
            mean(|g| g.untold.value)
        );
    }
    Ok(())
}

fn generator(prepared: &Prepared, trainer: &Trainer<f32>, class: u32) -> Result<Generator<f32>> {
    prepared.generator(trainer)?.of_class(class)
}

/// A classifier of the training images, and the features of those that it has not seen.
struct Judge {
    classifier: ImageClassifier,
    held_out: ndarray::Array2<f64>,
}

impl Judge {
    fn new(prepared: &Prepared) -> Result<Self> {
        let data = &prepared.data;
        let missing = || Error::refused("data", "have no labels");
        let (Some(labels), Some(held_out_labels)) = (&data.labels, &data.held_out_labels) else { return Err(missing()) };
        let classifier = ImageClassifier::fit(data.points.view(), labels, [8, 8, 1], 0)?;
        let right = classifier.accuracy(data.held_out.view(), held_out_labels)?;
        println!("{:<28} {:>10} {:>12.1} %", "held-out images", "", 100.0 * right);
        Ok(Judge { held_out: classifier.features(data.held_out.view())?, classifier })
    }

    /// Equally many samples of each class: how many are taken for one of their class, and how far all of them are
    /// from held-out images.
    fn tell(&self, name: &str, guidance: Option<f64>, draw: impl Fn(u32) -> Result<ndarray::Array2<f64>>) -> Result<()> {
        let (mut right, mut all) = (0.0, Vec::new());
        for class in 0..CLASSES {
            let x = draw(class)?;
            right += self.classifier.accuracy(x.view(), &vec![class; SAMPLES])? / f64::from(CLASSES);
            all.push(self.classifier.features(x.view())?);
        }
        let views: Vec<ArrayView2<f64>> = all.iter().map(|x| x.view()).collect();
        let features = ndarray::concatenate(Axis(0), &views).map_err(|e| Error::refused("samples", e.to_string()))?;
        let guidance = guidance.map_or("-".to_owned(), |w| w.to_string());
        println!("{name:<28} {guidance:>10} {:>12.1} % {:>20.2}", 100.0 * right, frechet(features.view(), self.held_out.view())?);
        Ok(())
    }
}
