//! Affine maps that give generated points the moments of the noised law (eq. 21).
//!
//! Whatever error a score has, and however few steps a sampler takes, the mean and the covariance of the law
//! that it should have at time t are known from the data. After each step an affine map brings them about:
//! the shortest one between the Gaussians with the moments that the sampler has and those that it should
//! have. The former are measured once, on many points; from then on the maps are fixed, so a point's way does
//! not depend on the others that are made with it.
//!
//! ```
//! use ndarray::array;
//! use ndsm::sample::{AffineMap, Gaussian, MomentKind};
//! let has = Gaussian { mean: array![1.0], covariance: array![[4.0]] };
//! let wants = Gaussian { mean: array![0.0], covariance: array![[9.0]] };
//! let map = AffineMap::between(MomentKind::Full, &has, &wants)?;
//! let mut x = [1.0, 3.0];
//! map.apply(&mut x);
//! assert_eq!(x, [0.0, 3.0]);
//! # Ok::<(), ndsm::Error>(())
//! ```

use super::Gaussian;
use super::component_map::{ComponentMap, Share, shares};
use crate::kernels::Activation;
use crate::kernels::gemm::{Matrix, pack, packed_len};
use crate::kernels::linear::linear_rows;
use crate::linalg::symmetric_eigen;
use crate::mixture::{Evaluator, Mixture};
use crate::par;
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView2, s};

/// Rows of a parallel chunk.
const ROWS: usize = 512;

/// Which moments a map mends; the mean is always one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MomentKind {
    /// None: no map.
    #[default]
    None,
    /// The total variance: A = (tr C / tr C_gen)^(1/2).
    Scalar,
    /// The variance of each coordinate: A = diag (C_jj / C_gen,jj)^(1/2).
    Diagonal,
    /// The covariance: A = C_gen^(-1/2) (C_gen^(1/2) C C_gen^(1/2))^(1/2) C_gen^(-1/2).
    Full,
}

/// x -> to + A (x - from), A symmetric and positive definite.
#[derive(Debug, Clone, PartialEq)]
pub struct AffineMap {
    from: Array1<f64>,
    to: Array1<f64>,
    linear: Linear,
}

/// A, or what there is of it.
#[derive(Debug, Clone, PartialEq)]
enum Linear {
    /// Along each coordinate.
    Diagonal(Array1<f64>),
    Full(Array2<f64>),
}

/// Variances over the largest one below which points count as having none.
const FLAT: f64 = 1e-10;
/// The least stretch of a map squared, over the largest one.
const LEAST: f64 = 1e-14;

impl AffineMap {
    /// The map of the given kind that takes the moments `has` to `wants`: all of them where it is full, the
    /// variances along the coordinates where it is diagonal, and their sum where it is scalar.
    ///
    /// Directions along which there is no variance to be stretched, less than 1e-10 of the largest, are left
    /// as they are: all but n - 1 of them where the moments are those of n points. Where too little is wanted
    /// a map still keeps 1e-7 of its largest stretch, so that it can be inverted.
    ///
    /// # Errors
    /// Shapes that do not fit; covariances that are not finite.
    pub fn between(kind: MomentKind, has: &Gaussian, wants: &Gaussian) -> Result<Self> {
        let d = has.mean.len();
        if wants.mean.len() != d || has.covariance.dim() != (d, d) || wants.covariance.dim() != (d, d) {
            let shapes = [has.mean.shape(), has.covariance.shape(), wants.mean.shape(), wants.covariance.shape()];
            return Err(Error::shape("affine map", "two means [d] and covariances [d, d]", &shapes));
        }
        let (c_gen, c) = (has.covariance.diag(), wants.covariance.diag());
        let linear = match kind {
            MomentKind::None => return Ok(AffineMap::identity(d)),
            MomentKind::Scalar => Linear::Diagonal(Array1::from_elem(d, stretches(&[c_gen.sum()], &[c.sum()])[0])),
            MomentKind::Diagonal => Linear::Diagonal(stretches(&c_gen.to_vec(), &c.to_vec()).into()),
            MomentKind::Full => Linear::Full(optimal(has.covariance.view(), wants.covariance.view())?),
        };
        Ok(AffineMap { from: has.mean.clone(), to: wants.mean.clone(), linear })
    }

    /// The map that changes nothing, in `d` dimensions.
    pub fn identity(d: usize) -> Self {
        AffineMap { from: Array1::zeros(d), to: Array1::zeros(d), linear: Linear::Diagonal(Array1::ones(d)) }
    }

    /// A [d, d].
    pub fn linear(&self) -> Array2<f64> {
        match &self.linear {
            Linear::Diagonal(a) => Array2::from_diag(a),
            Linear::Full(a) => a.clone(),
        }
    }

    /// Moves the rows of `u` [n, d], each by itself: what becomes of one depends on no other.
    pub fn apply<R: Real>(&self, u: &mut [R]) {
        let d = self.from.len();
        let cast = |v: &Array1<f64>| v.iter().map(|v| R::of(*v)).collect::<Vec<R>>();
        match &self.linear {
            Linear::Diagonal(a) => {
                let (a, b) = (cast(a), cast(&(&self.to - a * &self.from)));
                par::each(par::chunks_mut(u, ROWS * d), |_, u| {
                    for u in u.chunks_exact_mut(d) {
                        u.iter_mut().zip(&a).zip(&b).for_each(|((u, a), b)| *u = *a * *u + *b);
                    }
                });
            }
            Linear::Full(a) => {
                let (b, a) = (cast(&(&self.to - a.dot(&self.from))), a.iter().map(|v| R::of(*v)).collect::<Vec<R>>());
                let mut panels = vec![R::zero(); packed_len::<R>(d, d)];
                let packed = pack(Matrix::new(&a, d, d), &mut panels); // A is symmetric
                par::each(par::chunks_mut(u, ROWS * d), |_, u| {
                    let x = u.to_vec();
                    linear_rows(Activation::Identity, &x, packed, d, &b, u, &mut []);
                });
            }
        }
    }

    /// The moments of points that have the moments `of` before the map.
    pub fn moments(&self, of: &Gaussian) -> Gaussian {
        let a = self.linear();
        Gaussian { mean: &self.to + &a.dot(&(&of.mean - &self.from)), covariance: a.dot(&of.covariance).dot(&a) }
    }

    /// The map that takes every point back, and ln |det A|.
    ///
    /// # Errors
    /// An eigendecomposition that does not converge.
    pub fn inverse(&self) -> Result<(Self, f64)> {
        let (linear, log_det) = match &self.linear {
            Linear::Diagonal(a) => (Linear::Diagonal(a.mapv(f64::recip)), a.mapv(f64::ln).sum()),
            Linear::Full(a) => {
                let eigen = symmetric_eigen(a.view())?;
                (Linear::Full(eigen.map(f64::recip)), eigen.values.mapv(f64::ln).sum())
            }
        };
        Ok((AffineMap { from: self.to.clone(), to: self.from.clone(), linear }, log_det))
    }
}

/// (c / c_gen)^(1/2), 1 where nothing varies.
fn stretches(c_gen: &[f64], c: &[f64]) -> Vec<f64> {
    let least = FLAT * c_gen.iter().fold(0f64, |m, v| m.max(*v));
    let squares: Vec<f64> = c_gen.iter().zip(c).map(|(g, c)| if *g > least { c.max(0.0) / g } else { 1.0 }).collect();
    let low = LEAST * squares.iter().fold(0f64, |m, v| m.max(*v));
    squares.iter().map(|s| if *s > 0.0 || low > 0.0 { s.max(low).sqrt() } else { 1.0 }).collect()
}

/// The optimal map between N(0, C_gen) and N(0, C), in the eigenbasis V diag(s^2) V^T of C_gen, of which only
/// the columns with a variance are taken: A = V s^-1 (s V^T C V s)^(1/2) s^-1 V^T + (1 - V V^T).
fn optimal(c_gen: ArrayView2<f64>, c: ArrayView2<f64>) -> Result<Array2<f64>> {
    let d = c_gen.nrows();
    let eigen = symmetric_eigen(c_gen)?;
    let largest = eigen.values.iter().fold(0f64, |m, v| m.max(*v));
    let first = eigen.values.iter().position(|v| *v > FLAT * largest && *v > 0.0).unwrap_or(d);
    if first == d {
        return Ok(Array2::eye(d));
    }
    let (v, s) = (eigen.vectors.slice(s![.., first..]), eigen.values.slice(s![first..]).mapv(f64::sqrt));
    let vs = &v * &s;
    let inner = vs.t().dot(&c).dot(&vs);
    let inner = symmetric_eigen(((&inner + &inner.t()) * 0.5).view())?;
    let low = LEAST * inner.values.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(*v));
    let over = &v / &s;
    let mut a = over.dot(&inner.map(|x| x.max(low).sqrt())).dot(&over.t());
    if first > 0 {
        a += &(Array2::<f64>::eye(d) - v.dot(&v.t()));
    }
    Ok((&a + &a.t()) * 0.5)
}

/// The maps of a generation: one for its start, one after each step, one at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Maps {
    steps: Vec<(f64, AffineMap)>,
    /// Before each of them the map by component, where there are such.
    components: Vec<ComponentMap>,
}

impl Maps {
    /// No maps yet; [`Maps::learn`] adds them in the order of the generation.
    pub(crate) fn none() -> Self {
        Maps { steps: Vec::new(), components: Vec::new() }
    }

    /// The map to the moments `wants` from those of the points `u` at time `t`, applied to them.
    pub(crate) fn learn<R: Real>(&mut self, kind: MomentKind, t: f64, wants: &Gaussian, u: &mut [R]) -> Result<()> {
        let map = AffineMap::between(kind, &Gaussian::of_rows(u, wants.mean.len())?, wants)?;
        map.apply(u);
        self.steps.push((t, map));
        Ok(())
    }

    /// The map by component under `law` to the shares `wants` from those of the points `u`, applied to them:
    /// to be followed by [`Maps::learn`] at the same time.
    pub(crate) fn learn_components<R: Real>(
        &mut self,
        (law, evaluator): (&Mixture, &Evaluator<R>),
        wants: &[Share],
        u: &mut [R],
    ) -> Result<()> {
        let map = ComponentMap::between(&shares(law, u)?, wants)?;
        map.apply(evaluator, u)?;
        self.components.push(map);
        Ok(())
    }

    /// Applies map number `i`, before it the one by component under `law`, which is asked for where
    /// [`Maps::by_component`].
    pub(crate) fn apply<R: Real>(&self, i: usize, law: Option<&Evaluator<R>>, u: &mut [R]) -> Result<()> {
        if let (Some(map), Some(law)) = (self.components.get(i), law) {
            map.apply(law, u)?;
        }
        if let Some((_, map)) = self.steps.get(i) {
            map.apply(u);
        }
        Ok(())
    }

    /// Whether there are maps by component, which no likelihood goes through.
    pub fn by_component(&self) -> bool {
        !self.components.is_empty()
    }

    /// The times, falling from the horizon to 0, each with its map.
    pub fn steps(&self) -> &[(f64, AffineMap)] {
        &self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::tests::{apart, law};
    use super::*;
    use crate::linalg::Cholesky;
    use ndarray::array;

    /// (eq. 21) A C_gen A = C, A symmetric and positive definite: the only such matrix, so the optimal map.
    /// The diagonal map has the variances, the scalar one their sum.
    #[test]
    fn each_map_has_the_moments_that_it_should() {
        for d in [1, 2, 7, 24] {
            let (has, wants) = (law(d, 1), law(d, 2));
            let full = AffineMap::between(MomentKind::Full, &has, &wants).unwrap();
            let got = full.moments(&has);
            assert!(apart(&got.covariance, &wants.covariance) <= 1e-10, "{d}: {}", apart(&got.covariance, &wants.covariance));
            let a = full.linear();
            assert!(apart(&a, &a.t().to_owned()) == 0.0 && symmetric_eigen(a.view()).unwrap().values[0] > 0.0);
            let diagonal = AffineMap::between(MomentKind::Diagonal, &has, &wants).unwrap().moments(&has);
            let scalar = AffineMap::between(MomentKind::Scalar, &has, &wants).unwrap().moments(&has);
            for j in 0..d {
                assert!((diagonal.covariance[[j, j]] - wants.covariance[[j, j]]).abs() <= 1e-12);
            }
            assert!((scalar.covariance.diag().sum() - wants.covariance.diag().sum()).abs() <= 1e-12);
            for map in [got, diagonal, scalar] {
                assert!((&map.mean - &wants.mean).iter().all(|e| e.abs() <= 1e-12));
            }
            // Points go there and back.
            let (back, log_det) = full.inverse().unwrap();
            assert!((log_det - Cholesky::new(a.view()).unwrap().log_det()).abs() <= 1e-10, "{d}: {log_det}");
            let start: Vec<f64> = (0..3 * d).map(|i| 0.3 * i as f64 - 1.0).collect();
            let mut x = start.clone();
            full.apply(&mut x);
            let exact = &wants.mean + &a.dot(&(&Array1::from(start[..d].to_vec()) - &has.mean));
            assert!(x[..d].iter().zip(&exact).all(|(x, e)| (x - e).abs() <= 1e-11));
            back.apply(&mut x);
            assert!(x.iter().zip(&start).all(|(x, s)| (x - s).abs() <= 1e-9));
        }
    }

    /// Equal covariances: the identity. A common eigenbasis: the ratios of the standard deviations.
    #[test]
    fn equal_and_commuting_covariances_have_their_closed_forms() {
        let has = law(5, 3);
        for kind in [MomentKind::Scalar, MomentKind::Diagonal, MomentKind::Full] {
            let a = AffineMap::between(kind, &has, &has).unwrap().linear();
            assert!(apart(&a, &Array2::eye(5)) <= 1e-12, "{kind:?}: {a}");
        }
        let q = array![[0.6, -0.8], [0.8, 0.6]];
        let of = |u: f64, v: f64| q.dot(&Array2::from_diag(&array![u, v])).dot(&q.t());
        let gaussian = |u, v| Gaussian { mean: array![0.0, 0.0], covariance: of(u, v) };
        let a = AffineMap::between(MomentKind::Full, &gaussian(4.0, 0.25), &gaussian(1.0, 9.0)).unwrap().linear();
        assert!(apart(&a, &of(0.5, 6.0)) <= 1e-13, "{a}");
        assert_eq!(AffineMap::between(MomentKind::None, &has, &law(5, 4)).unwrap(), AffineMap::identity(5));
    }

    /// Directions without variance are left alone, and what has it gets what is wanted there.
    #[test]
    fn flat_directions_are_left_as_they_are() {
        let wants = law(4, 5);
        let mut x = Array2::from_shape_fn((3, 4), |(i, j)| ((i * 5 + j * 3) % 7) as f64);
        x.column_mut(3).fill(2.0);
        let has = Gaussian::of(x.view()).unwrap();
        for kind in [MomentKind::Scalar, MomentKind::Diagonal, MomentKind::Full] {
            let map = AffineMap::between(kind, &has, &wants).unwrap();
            let values = symmetric_eigen(map.linear().view()).unwrap().values;
            assert!(values[0] > 0.0 && values[3] < 10.0, "{kind:?}: {values}");
            assert!(map.inverse().unwrap().1.is_finite());
        }
        // The plane that three points span: there the covariance is that of `wants`.
        let map = AffineMap::between(MomentKind::Full, &has, &wants).unwrap();
        let eigen = symmetric_eigen(has.covariance.view()).unwrap();
        let v = eigen.vectors.slice(s![.., 2..]);
        let inside = |c: &Array2<f64>| v.t().dot(c).dot(&v);
        assert!(apart(&inside(&map.moments(&has).covariance), &inside(&wants.covariance)) <= 1e-10);
        let point = Gaussian { mean: has.mean.clone(), covariance: Array2::zeros((4, 4)) };
        assert!(apart(&AffineMap::between(MomentKind::Full, &point, &wants).unwrap().linear(), &Array2::eye(4)) == 0.0);
        let shrunk = AffineMap::between(MomentKind::Full, &wants, &point).unwrap();
        assert!(shrunk.inverse().unwrap().1.is_finite());
    }
}
