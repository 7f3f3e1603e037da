//! The maps (21): none where the sampler is exact, and a Gaussian law whatever the network.

use super::{Case, modes, noise_network};
use crate::audit::Row;
use crate::audit::transitions::row;
use crate::config::Value;
use crate::mixture::{Covariances, Mixture};
use crate::sample::{Gaussian, Method};
use crate::{Error, Result};
use ndarray::{Array2, array};

/// A row for the maps, and one for each network.
///
/// # Errors
/// None that was ever seen.
pub fn rows() -> Result<Vec<Row>> {
    let mut rows = vec![identity()?];
    for (seed, scale) in [(1, 0.1), (2, 0.3)] {
        rows.push(anything(seed, scale)?);
    }
    Ok(rows)
}

/// The reference is the law, and the network adds nothing.
fn identity() -> Result<Row> {
    let law = modes(2)?;
    let case = Case::new(&law, &law, (20_000, 100), &[("calibration.moments", "full".into())])?;
    let mut generator = case.trainer()?.generator(&case.reference)?;
    let maps = generator.maps(Method::Ode, None)?.ok_or_else(|| Error::refused("audit", "the sampler has no maps"))?;
    let points: [[f64; 2]; 5] = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]];
    let mut worst = 0.0f64;
    for (_, map) in maps.steps() {
        for point in points {
            let mut moved = point;
            map.apply(&mut moved);
            let apart = (moved[0] - point[0]).hypot(moved[1] - point[1]);
            worst = if apart <= worst { worst } else { apart };
        }
    }
    let tried = format!("exact sampler, 20,000 points: {} maps", maps.steps().len());
    Ok(row("moments", &tried, &[("identity", worst, 0.05)]))
}

/// A Gaussian law that the reference does not know, sampled by random numbers.
fn anything(seed: u64, scale: f32) -> Result<Row> {
    let covariance = array![[[2.0, 0.6, 0.0], [0.6, 0.5, -0.2], [0.0, -0.2, 1.5]]];
    let law = Mixture::new(array![1.0], array![[1.0, -2.0, 0.5]], Covariances::Full(covariance))?;
    let standard = Mixture::new(array![1.0], Array2::zeros((1, 3)), Covariances::Spherical(array![1.0]))?;
    let distance = |moments: &str| -> Result<f64> {
        let settings: [(&str, Value); 3] =
            [("sde.kind", "vp".into()), ("calibration.moments", moments.into()), ("train.keep", "last".into())];
        let case = Case::new(&law, &standard, (20_000, 100), &settings)?;
        let trainer = case.with(&case.config, &noise_network(&case, seed, scale)?)?;
        let samples = trainer.generator(&case.reference)?.sample(40_000, 9, Method::Ode, None)?;
        // Of the points, whose moments samples are to have.
        let (has, wants) = (Gaussian::of(samples.view())?, Gaussian::of(case.x.view())?);
        let sd = wants.covariance.diag().mapv(f64::sqrt);
        let mean = (&has.mean - &wants.mean) / &sd;
        let apart = Array2::from_shape_fn((3, 3), |(i, j)| (has.covariance[[i, j]] - wants.covariance[[i, j]]) / (sd[i] * sd[j]));
        Ok(mean.iter().chain(&apart).fold(0.0, |m: f64, v| if v.abs() <= m { m } else { v.abs() }))
    };
    let (with, without) = (distance("full")?, distance("none")?);
    let tried = format!("Gaussian law, random network {seed} of size {scale}: {with:.3}, without the maps {without:.2}");
    Ok(row("moments", &tried, &[("mean and covariance", with, 0.06)]))
}
