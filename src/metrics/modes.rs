//! Modes: how samples divide among them, how many belong to none, and the exact likelihood.

use super::check_pair;
use crate::Real;
use crate::data::Law;
use crate::linalg::Cholesky;
use crate::mixture::Mixture;
use crate::par;
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Zip};

/// Points whose distances to a mode are found by one matrix product.
const ROWS: usize = 256;

/// Share of the samples that belongs to each component: the mean responsibility, `[k]`. `x`: [n, d]. For
/// samples of the mixture itself its expectation is w_k however much the modes overlap (counting the nearest
/// mode is biased where they do); for modes that do not, it is the count.
///
/// # Errors
/// [`Error::Shape`] if the width is not the mixture's or there is no sample.
pub fn mode_weights(x: ArrayView2<f64>, mixture: &Mixture) -> Result<Array1<f64>> {
    check_pair("mode_weights", x, mixture.means(), 1)?;
    Ok(mixture.responsibilities(x)?.sum_axis(Axis(0)) / x.nrows() as f64)
}

/// Total variation between two laws on 1..k: (1/2) sum_k |a_k - b_k|. NaN if the lengths differ.
pub fn total_variation(a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
    if a.len() != b.len() {
        return f64::NAN;
    }
    0.5 * a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>()
}

/// The distance from a mode, in its standard deviations, beyond which e^-8 = 3.4e-4 of a Gaussian in `d`
/// dimensions lie: 4 in the plane, 6.5 in 16 dimensions, where half of the mode itself is farther than 4. The
/// ball of that radius is a level set of the mode's density.
///
/// P(chi^2_d > x) = P(chi^2_{d-2} > x) + (x/2)^{d/2-1} e^{-x/2} / Gamma(d/2).
pub fn outlier_radius(d: usize) -> f64 {
    let beyond = |r: f64| {
        let half = 0.5 * r * r;
        let (mut share, mut term, mut of) = match d % 2 {
            0 => (0.0, (-half).exp(), 2),
            _ => (2.0 * (-r).normal_law_lane::<false>().0, (2.0 / std::f64::consts::PI).sqrt() * r * (-half).exp(), 3),
        };
        while of <= d {
            share += term;
            term *= half / (0.5 * of as f64);
            of += 2;
        }
        share
    };
    // The radius of nearly all of the mass grows like sqrt(d).
    let (mut low, mut high) = (0.0, 8.0 + (2 * d) as f64);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if beyond(middle) > (-8f64).exp() { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Share of the samples farther than `stds` from every mode, by the Mahalanobis distance |L_k^-1 (x - m_k)|,
/// C_k = L_k L_k^T; components of weight 0 are no modes. `x`: [n, d]. Of the samples of one Gaussian mode in
/// 2-D, e^(-stds^2/2) are outliers.
///
/// # Errors
/// [`Error::Shape`] if the width is not the mixture's or there is no sample; [`Error::Invalid`] unless
/// `stds` >= 0.
pub fn outlier_share(x: ArrayView2<f64>, mixture: &Mixture, stds: f64) -> Result<f64> {
    check_pair("outlier_share", x, mixture.means(), 1)?;
    if stds.is_nan() || stds < 0.0 {
        return Err(Error::invalid("outlier_share: stds", ">= 0", stds));
    }
    let modes: Vec<(ArrayView1<f64>, Array2<f64>)> = (0..mixture.components())
        .filter(|k| mixture.weights()[*k] > 0.0)
        .map(|k| Ok((mixture.means().index_axis_move(Axis(0), k), Cholesky::new(mixture.covariance(k).view())?.inverse_lower())))
        .collect::<Result<_>>()?;
    let outliers = par::map(x.nrows().div_ceil(ROWS), |block| {
        let x = x.slice(ndarray::s![block * ROWS..x.nrows().min((block + 1) * ROWS), ..]);
        let mut least = Array1::from_elem(x.nrows(), f64::INFINITY);
        for (mean, whiten) in &modes {
            let z = (&x - mean).dot(&whiten.t());
            Zip::from(&mut least).and(z.rows()).for_each(|least, z| *least = least.min(z.dot(&z)));
        }
        // A sample that is NaN is far from everything: `min` passed its NaN over.
        least.iter().filter(|d2| **d2 > stds * stds).count()
    });
    Ok(outliers.iter().sum::<usize>() as f64 / x.nrows() as f64)
}

/// Mean of -ln p over the samples, p the exact density of `law`: its entropy for samples of the law itself.
/// `x`: [n, d]. Infinite as soon as one sample lies where p = 0.
///
/// # Errors
/// [`Error::Shape`] if the width is not the law's or there is no sample.
pub fn negative_log_likelihood(x: ArrayView2<f64>, law: &dyn Law) -> Result<f64> {
    let log_density = law.log_density(x)?;
    if log_density.is_empty() {
        return Err(Error::shape("negative_log_likelihood", "at least 1 sample", &[x.shape()]));
    }
    Ok(-log_density.sum() / x.nrows() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::law::{Ring, TRAINING, four_modes};
    use crate::metrics::tests::{normals, shuffled};
    use crate::mixture::Covariances;
    use ndarray::array;

    /// Against chi-square quantiles of another program (SciPy's `chi2.isf`).
    #[test]
    fn the_same_share_is_beyond_the_radius_in_any_dimension() {
        let radii = [
            (1, 3.5862536854617426),
            (2, 4.0),
            (3, 4.309300603215548),
            (4, 4.568772197773842),
            (7, 5.194636476684022),
            (16, 6.517035806332739),
            (64, 10.47117377631187),
        ];
        for (d, exact) in radii {
            let r = outlier_radius(d);
            assert!((r - exact).abs() <= 1e-9 * exact, "{d}: {r}");
        }
    }

    #[test]
    fn shares_and_their_distance_by_hand() {
        let law = four_modes().unwrap();
        let mixture = law.mixture().unwrap();
        let x = array![[4.0, 4.0], [4.1, 3.0], [-4.0, 4.5], [3.5, -4.0]];
        let got = mode_weights(x.view(), mixture).unwrap();
        assert!((&got - &array![0.5, 0.25, 0.0, 0.25]).iter().all(|e| e.abs() <= 1e-12), "{got}");
        // |0.1| + |-0.05| + |-0.2| + |0.15|, halved.
        assert!((total_variation(got.view(), mixture.weights()) - 0.25).abs() <= 1e-12);
        assert!(total_variation(got.view(), array![1.0].view()).is_nan());
    }

    /// Overlapping modes: the mean responsibility has expectation w_k (99.99 %; its variance is below w_k
    /// (1 - w_k)/n).
    #[test]
    fn overlap_does_not_bias_the_weights() {
        let mixture = Mixture::new(array![0.8, 0.2], array![[0.0], [1.0]], Covariances::Spherical(array![1.0, 0.5])).unwrap();
        let law = crate::data::law::Modes::new("mixture", mixture.clone()).unwrap();
        let n = 20_000;
        let got = mode_weights(law.sample(n, 0, TRAINING).view(), &mixture).unwrap();
        assert!((got[0] - 0.8).abs() <= 3.89 * (0.16 / n as f64).sqrt(), "{got}");
        assert!((got.sum() - 1.0).abs() <= 1e-12);
    }

    #[test]
    fn outliers_are_told_by_each_mode_s_own_covariance() {
        // Standard deviations 2 and 0.5 along the axes of the first mode, correlated in the second; a third
        // of weight 0.
        let c = array![[[4.0, 0.0], [0.0, 0.25]], [[1.0, 0.6], [0.6, 1.0]], [[1.0, 0.0], [0.0, 1.0]]];
        let means = array![[0.0, 0.0], [100.0, 0.0], [-100.0, 0.0]];
        let mixture = Mixture::new(array![0.5, 0.5, 0.0], means, Covariances::Full(c)).unwrap();
        let share = |x: [f64; 2]| outlier_share(array![x].view(), &mixture, 4.0).unwrap();
        assert_eq!([share([7.99, 0.0]), share([8.01, 0.0]), share([0.0, 1.99]), share([0.0, -2.01])], [0.0, 1.0, 0.0, 1.0]);
        // Along (1, 1) the variance is 1.6, along (1, -1) it is 0.4.
        let along = |s: f64, t: f64| [100.0 + s / 2f64.sqrt(), t / 2f64.sqrt()];
        let (long, short) = (4.0 * 1.6f64.sqrt(), 4.0 * 0.4f64.sqrt());
        assert_eq!([share(along(long - 0.01, long - 0.01)), share(along(long + 0.01, long + 0.01))], [0.0, 1.0]);
        assert_eq!([share(along(short - 0.01, 0.01 - short)), share(along(short + 0.01, -0.01 - short))], [0.0, 1.0]);
        assert_eq!([share([-100.0, 0.0]), share([f64::NAN, 0.0])], [1.0; 2]);
    }

    /// In 2-D the squared Mahalanobis distance is exponential: P(> s) = e^(-s^2/2), here for s = 2 at 99.99
    /// %.
    #[test]
    fn the_share_of_a_gaussian_is_the_closed_form() {
        let mixture = Mixture::new(array![1.0], array![[1.0, -2.0]], Covariances::Tied(array![[2.0, 0.5], [0.5, 1.0]])).unwrap();
        let law = crate::data::law::Modes::new("mixture", mixture.clone()).unwrap();
        let (n, p) = (20_000, (-2f64).exp());
        let x = law.sample(n, 2, TRAINING);
        let got = outlier_share(x.view(), &mixture, 2.0).unwrap();
        assert!((got - p).abs() <= 3.89 * (p * (1.0 - p) / n as f64).sqrt(), "{got} {p}");
        assert_eq!(got, outlier_share(shuffled(&x).view(), &mixture, 2.0).unwrap());
    }

    #[test]
    fn likelihood_by_hand() {
        // On the ring's crest p = 1 / ((2 pi)^(3/2) s r).
        let ring = Ring { radius: 4.0, std: 0.3 };
        let got = negative_log_likelihood(array![[4.0, 0.0], [0.0, -4.0]].view(), &ring).unwrap();
        assert!((got - (1.5 * std::f64::consts::TAU.ln() + 1.2f64.ln())).abs() <= 1e-14);
    }

    #[test]
    fn bad_input_is_refused() {
        let law = four_modes().unwrap();
        let mixture = law.mixture().unwrap();
        let (wide, none) = (normals(3, 3, 0), Array2::zeros((0, 2)));
        for x in [wide.view(), none.view()] {
            assert!(mode_weights(x, mixture).is_err());
            assert!(outlier_share(x, mixture, 4.0).is_err());
            assert!(negative_log_likelihood(x, &law).is_err());
        }
        assert!(outlier_share(normals(3, 2, 0).view(), mixture, f64::NAN).is_err());
    }
}
