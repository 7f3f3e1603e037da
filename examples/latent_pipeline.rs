//! Images through a latent space: an autoencoder, a mixture of its codes, a network on top, and the way back.
//!
//!     cargo run --release --example latent_pipeline [STEPS]

use ndarray::ArrayView1;
use ndsm::Result;
use ndsm::config::{Config, Setting};
use ndsm::metrics::sliced_w2;
use ndsm::sample::Method;
use ndsm::train::{Stage, prepare_watched};

/// An image of 8 x 8 pixels as lines of text.
fn lines(image: ArrayView1<f64>, most: f64) -> Vec<String> {
    let letter = |v: &f64| [' ', '.', ':', 'o', '#'][(4.999 * (v / most).clamp(0.0, 1.0)) as usize];
    image.to_vec().chunks(8).map(|row| row.iter().flat_map(|v| [letter(v); 2]).collect()).collect()
}

fn main() -> Result<()> {
    let steps: usize = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1000);
    let config = Config::resolve(&[
        Setting::new("encoder.kind", "autoencoder"),
        Setting::new("data.latent", 12usize),
        Setting::new("encoder.steps", 2 * steps),
        Setting::new("reference.components", 10usize),
        Setting::new("train.steps", steps),
    ])?;
    let prepared = prepare_watched(&config, &|stage| {
        if let Stage::Encoder(look) = stage {
            println!("encoder, step {:>5}: {:.1} % of the held-out images' variance lost", look.step, 100.0 * look.lost);
        }
    })?;
    let mut trainer = prepared.trainer::<f32>()?;
    for _ in 0..steps {
        trainer.step()?;
    }
    trainer.calibrate()?;
    let mut generator = prepared.generator(&trainer)?;
    let samples = generator.sample(1000, 0, Method::Ode, None)?;

    let held_out = prepared.data.held_out.view();
    let decoded = prepared.encoder.decode(prepared.x.clone())?;
    println!("\nsliced W2 to held-out images");
    for (name, x) in [
        ("training images", prepared.data.points.view()),
        ("the same through the encoder and back", decoded.view()),
        ("the reference alone", generator.sample_reference(1000, 0)?.view()),
        ("the model", samples.view()),
    ] {
        println!("  {name:<38} {:.4}", sliced_w2(x, held_out, 128, 0)?);
    }
    let most = prepared.data.images.map_or(1.0, |shape| shape.range[1]);
    let shown: Vec<Vec<String>> = (0..5).map(|i| lines(samples.row(i), most)).collect();
    println!();
    (0..8).for_each(|row| println!("{}", shown.iter().map(|image| image[row].as_str()).collect::<Vec<_>>().join("  ")));
    Ok(())
}
