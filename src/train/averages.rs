//! Averages of the parameters over the whole run, longer than that of the optimiser: with weights
//! proportional to tau^gamma at step tau, so that their length grows with the run (Karras and others, EDM2,
//! arXiv:2312.02696, section 3.1).
//!
//! sigma, the standard deviation of tau in units of the run, measures the length: sigma^2 = (gamma + 1) /
//! ((gamma + 2)^2 (gamma + 3)). Two averages are kept; combinations of both stand for other lengths, as near as
//! two can, and are tried after training. Long averages are what a network needs that begins to learn
//! its points by heart.

use crate::Real;

/// Lengths of the averages that are kept.
pub(super) const KEPT: [f64; 2] = [0.10, 0.25];
/// Lengths that are tried after training.
pub(super) const TRIED: [f64; 4] = [0.07, 0.14, 0.18, 0.22];
/// Every so many steps the averages follow: their lengths are hundreds of them.
const EVERY: u64 = 4;

/// The averages of the lengths [`KEPT`].
type Averages<R> = [Vec<R>; 2];

/// They before the first step.
pub(super) fn start<R: Real>(params: &[R]) -> Averages<R> {
    KEPT.map(|_| params.to_vec())
}

/// Follows the parameters after `steps` steps: a <- p + (1 - 1/n)^(gamma + 1) (a - p) for the n-th time.
pub(super) fn follow<R: Real>(averages: &mut Averages<R>, params: &[R], steps: u64) {
    if !steps.is_multiple_of(EVERY) {
        return;
    }
    let n = (steps / EVERY) as f64;
    for (average, length) in averages.iter_mut().zip(KEPT) {
        let keep = R::of((1.0 - 1.0 / n).powf(exponent(length) + 1.0));
        average.iter_mut().zip(params).for_each(|(a, p)| *a = *p + keep * (*a - *p));
    }
}

/// For the average of the length `length` the combination of those that are kept, with weights of sum 1, whose
/// profile is nearest to its own in L^2.
pub(super) fn combination<R: Real>(averages: &Averages<R>, length: f64) -> Vec<R> {
    let share = R::of(share(length));
    averages[0].iter().zip(&averages[1]).map(|(short, long)| *long + share * (*short - *long)).collect()
}

/// The weight of the first of [`KEPT`] in it.
fn share(length: f64) -> f64 {
    let [short, long, wanted] = [KEPT[0], KEPT[1], length].map(exponent);
    // Of the profiles (gamma + 1) tau^gamma on [0, 1].
    let product = |a: f64, b: f64| (a + 1.0) * (b + 1.0) / (a + b + 1.0);
    let apart = product(short, short) - 2.0 * product(short, long) + product(long, long);
    (product(wanted, short) - product(wanted, long) - product(long, short) + product(long, long)) / apart
}

/// gamma of a length in (0, 12^-1/2): that of equal weights is the upper end.
fn exponent(length: f64) -> f64 {
    let of = |gamma: f64| (gamma + 1.0).sqrt() / ((gamma + 2.0) * (gamma + 3.0).sqrt());
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if of(middle) > length { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the sum that they stand for, and the lengths against the paper's: gamma = 6.94 and 16.97 have
    /// .10 and .05.
    #[test]
    fn averages_are_weighted_by_powers_of_the_step() {
        assert!((exponent(0.10) - 6.94).abs() <= 0.005 && (exponent(0.05) - 16.97).abs() <= 0.005);
        let params = |step: u64| vec![(0.01 * step as f64).sin(), step as f64];
        let mut averages = start(&[0.5, 0.5]);
        for step in 1..=2000 {
            follow(&mut averages, &params(step), step);
        }
        for (average, length) in averages.iter().zip(KEPT) {
            let gamma = exponent(length);
            let (mut sum, mut weights) = ([0.0; 2], 0.0);
            for step in (1..=2000u64).filter(|s| s % 4 == 0) {
                // The discrete profile: what is left of the n-th after all later ones.
                let n = (step / 4) as f64;
                let weight = n.powf(gamma + 1.0) - (n - 1.0).powf(gamma + 1.0);
                weights += weight;
                sum.iter_mut().zip(params(step)).for_each(|(s, p)| *s += weight * p);
            }
            for (a, s) in average.iter().zip(sum) {
                assert!((a - s / weights).abs() <= 1e-9 * 2000.0, "{a} {}", s / weights);
            }
            // Mean and deviation of the profile, on the steps themselves.
            assert!((average[1] / 2000.0 - (gamma + 1.0) / (gamma + 2.0)).abs() <= 2e-3, "{}", average[1]);
        }
    }

    /// The ends are themselves, and no other share of the two has a nearer profile, by quadrature.
    #[test]
    fn a_combination_has_the_nearest_profile() {
        assert!((share(KEPT[0]) - 1.0).abs() <= 1e-9 && share(KEPT[1]).abs() <= 1e-9);
        let profile = |length: f64, t: f64| (exponent(length) + 1.0) * t.powf(exponent(length));
        for length in TRIED {
            let distance = |share: f64| {
                let apart = |t: f64| share * profile(KEPT[0], t) + (1.0 - share) * profile(KEPT[1], t) - profile(length, t);
                (0..2000).map(|i| apart((i as f64 + 0.5) / 2000.0).powi(2)).sum::<f64>() / 2000.0
            };
            let best = share(length);
            assert!([-0.01, 0.01].iter().all(|off| distance(best) < distance(best + off)), "{length}: {best}");
            let combined = combination(&[vec![1.0], vec![3.0]], length)[0];
            assert!((combined - (best + 3.0 * (1.0 - best))).abs() <= 1e-12, "{length}: {combined}");
        }
    }
}
