//! Maps that give the share of every component its moments (eq. 21, by component).

use super::moments::{ROWS, Sums, blocks};
use super::{AffineMap, Gaussian, MomentKind};
use crate::mixture::{Evaluator, Mixture};
use crate::{Real, Result};
use ndarray::{ArrayView2, Axis};

/// Points a dimension from which a component's covariance is mended; its variances and its mean from a tenth
/// of that on, one point a dimension.
const TRUSTED: f64 = 10.0;

/// Moments of the shares of a mixture's components: of points that count r_k(x) each.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The sum of r_k over the points.
    pub points: f64,
    /// Mean and covariance; nothing where no point has a share.
    pub moments: Option<Gaussian>,
}

/// Sums of the points of each component's share.
pub(crate) struct ShareSums(Vec<Sums>);

impl ShareSums {
    /// Of `k` components in `d` dimensions.
    pub fn new(k: usize, d: usize) -> Self {
        ShareSums((0..k).map(|_| Sums::new(d)).collect())
    }

    /// Adds the rows of `x` [n, d], each by its responsibilities under `law`.
    ///
    /// # Errors
    /// Points of another dimension.
    pub fn add(&mut self, law: &Mixture, x: ArrayView2<f64>) -> Result<()> {
        for rows in x.axis_chunks_iter(Axis(0), ROWS) {
            let r = law.responsibilities(rows)?;
            self.0.iter_mut().zip(r.columns()).for_each(|(sums, r)| sums.add_weighted(rows, Some(r)));
        }
        Ok(())
    }

    /// The moments of each share.
    pub fn shares(self) -> Vec<Share> {
        self.0.into_iter().map(|sums| Share { points: sums.points(), moments: sums.moments().ok() }).collect()
    }
}

/// x -> sum_k r_k(x) T_k(x), T_k the map between the moments that the share of component k has and those that
/// it should have. Where components lie apart every one of them gets its own moments.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentMap {
    maps: Vec<AffineMap>,
}

impl ComponentMap {
    /// The map from the shares `has` to the shares `wants`: the covariance of a share is mended where both
    /// have ten points a dimension, the variances where they have one, and what has less stays as it is.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn between(has: &[Share], wants: &[Share]) -> Result<Self> {
        let maps = has.iter().zip(wants).map(|(has, wants)| {
            let (Some(from), Some(to)) = (&has.moments, &wants.moments) else { return Ok(None) };
            let each = has.points.min(wants.points) / from.mean.len() as f64;
            let kind = match each {
                _ if each >= TRUSTED => MomentKind::Full,
                _ if each >= 1.0 => MomentKind::Diagonal,
                _ => MomentKind::None,
            };
            AffineMap::between(kind, from, to).map(Some)
        });
        let maps: Vec<Option<AffineMap>> = maps.collect::<Result<_>>()?;
        let d = has.iter().chain(wants).find_map(|share| share.moments.as_ref()).map_or(0, |g| g.mean.len());
        Ok(ComponentMap { maps: maps.into_iter().map(|map| map.unwrap_or_else(|| AffineMap::identity(d))).collect() })
    }

    /// Moves the rows of `u` [n, d], each by itself, with its responsibilities under `law`.
    ///
    /// # Errors
    /// Points of another dimension than the law's.
    pub fn apply<R: Real>(&self, law: &Evaluator<R>, u: &mut [R]) -> Result<()> {
        let (d, k) = (law.dim(), law.components());
        let mut r = vec![R::zero(); u.len() / d * k];
        law.responsibilities(u, &mut r)?;
        let mut sum = vec![R::zero(); u.len()];
        for (j, map) in self.maps.iter().enumerate() {
            let mut moved = u.to_vec();
            map.apply(&mut moved);
            for ((sum, moved), r) in sum.chunks_exact_mut(d).zip(moved.chunks_exact(d)).zip(r.chunks_exact(k)) {
                sum.iter_mut().zip(moved).for_each(|(sum, moved)| *sum += r[j] * *moved);
            }
        }
        u.copy_from_slice(&sum);
        Ok(())
    }
}

/// The shares of the rows of `u` [n, d] in any precision.
///
/// # Errors
/// Points of another dimension than the law's.
pub(crate) fn shares<R: Real>(law: &Mixture, u: &[R]) -> Result<Vec<Share>> {
    let d = law.dim();
    let mut sums = ShareSums::new(law.components(), d);
    for rows in blocks(u, d) {
        sums.add(law, rows.view())?;
    }
    Ok(sums.shares())
}

#[cfg(test)]
mod tests {
    use super::super::moments::tests::{apart, law};
    use super::*;
    use crate::mixture::{Covariances, Draw};
    use crate::rng::Purpose;
    use ndarray::{Array1, array};

    fn modes(variances: [f64; 2]) -> Mixture {
        Mixture::new(array![0.4, 0.6], array![[-6.0, 0.0], [6.0, 1.0]], Covariances::Spherical(Array1::from(variances.to_vec()))).unwrap()
    }

    fn draw(law: &Mixture, seed: u64) -> Vec<f64> {
        law.sample(4000, seed, Purpose::Test, Draw::Systematic).unwrap().0.into_iter().collect()
    }

    /// Two modes with each other's variances: together they have the moments that they should, so that no map
    /// of all points mends them; by component each gets its own. What one point becomes depends on no other.
    #[test]
    fn every_mode_gets_its_own_moments() {
        let guide = modes([1.0, 1.0]);
        let (wants, has) = (draw(&modes([0.5, 2.0]), 1), draw(&modes([2.0, 0.5]), 2));
        let shares_of = |u: &[f64]| shares(&guide, u).unwrap();
        let map = ComponentMap::between(&shares_of(&has), &shares_of(&wants)).unwrap();
        let evaluator = Evaluator::<f64>::new(&guide);
        let mut moved = has.clone();
        map.apply(&evaluator, &mut moved).unwrap();
        for (got, exact) in shares_of(&moved).iter().zip(shares_of(&wants)) {
            let (got, exact) = (got.moments.as_ref().unwrap(), exact.moments.unwrap());
            assert!(apart(&got.covariance, &exact.covariance) <= 1e-4, "{} {}", got.covariance, exact.covariance);
            assert!((&got.mean - &exact.mean).iter().all(|e| e.abs() <= 1e-4));
        }
        let mut alone = has[..2].to_vec();
        map.apply(&evaluator, &mut alone).unwrap();
        assert!(alone == moved[..2]);
        let none = ComponentMap::between(&shares_of(&has), &shares_of(&has)).unwrap();
        let mut same = has.clone();
        none.apply(&evaluator, &mut same).unwrap();
        assert!(same.iter().zip(&has).all(|(a, b)| (a - b).abs() <= 1e-9 * (1.0 + b.abs())));
    }

    /// One component: the map of all points. A share without points changes nothing.
    #[test]
    fn few_points_and_one_component() {
        let gaussian = |g: &Gaussian, points: f64| Share { points, moments: Some(g.clone()) };
        let (has, wants) = (law(3, 1), law(3, 2));
        for (points, kind) in [(30.0, MomentKind::Full), (29.0, MomentKind::Diagonal), (2.9, MomentKind::None)] {
            let map = ComponentMap::between(&[gaussian(&has, points)], &[gaussian(&wants, 100.0)]).unwrap();
            assert!(map.maps == [AffineMap::between(kind, &has, &wants).unwrap()], "{points}");
        }
        let nothing = Share { points: 0.0, moments: None };
        let map = ComponentMap::between(&[gaussian(&has, 90.0), nothing.clone()], &[gaussian(&wants, 90.0), nothing]).unwrap();
        assert!(map.maps[1] == AffineMap::identity(3));
    }
}
