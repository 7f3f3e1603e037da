//! An approximate symmetry: four modes that a quarter turn maps onto each other, with unequal weights. A reference tied along
//! the group learns the geometry from all modes at once and keeps the weights; one that demands the symmetry spoils them.
//!
//!     cargo run --release --example symmetry

use ndsm::data::law::{HELD_OUT, Law, TRAINING, near_c4};
use ndsm::mixture::{Count, FitOptions, Group, Symmetry, fit};
use ndsm::{Error, Result};

fn main() -> Result<()> {
    let law = near_c4()?;
    let truth = law.mixture().ok_or_else(|| Error::refused("near-c4", "is no mixture"))?;
    let group = Group::named("c4", 2, None)?;
    let fresh = law.sample(20_000, 0, HELD_OUT);
    let exact = truth.log_density(fresh.view())?;
    println!("weights of the law: {:.2}", truth.weights());
    println!("{:>5}  {:>9}  {:>9}  {:>9}   KL(law | reference), mean of 8 data sets", "n", "untied", "tied", "exact");
    for n in [50usize, 100, 400, 2000] {
        let mut kl = [0.0; 3];
        for seed in 0..8 {
            let x = law.sample(n, 1 + seed, TRAINING);
            let symmetries = [None, Some(false), Some(true)];
            for (kl, symmetry) in kl.iter_mut().zip(symmetries) {
                // Along the group an orbit of four counts once.
                let count = Count::Fixed(if symmetry.is_some() { 1 } else { 4 });
                let symmetry = symmetry.map(|exact| Symmetry { group: group.clone(), exact });
                let options = FitOptions { components: count, symmetry, seed, ..FitOptions::default() };
                let fitted = fit(x.view(), &options)?.mixture;
                *kl += (&exact - &fitted.log_density(fresh.view())?).mean().unwrap_or(f64::NAN) / 8.0;
            }
        }
        println!("{n:>5}  {:>9.4}  {:>9.4}  {:>9.4}", kl[0], kl[1], kl[2]);
    }
    Ok(())
}
