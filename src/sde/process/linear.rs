//! Linear equations with additive noise: their transition law is a Gaussian in closed form.

use super::matrix::Matrix;
use crate::linalg::symmetric_eigen;
use crate::par;
use crate::rng::NormalLanes;
use crate::sde::{Paths, check_rows};
use crate::simd::{Kernel, W, dispatch, load, store};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2};

/// An equation whose X_t given X_s is Gaussian, with a mean affine in X_s and a covariance that does not
/// depend on it.
///
/// ```
/// use ndsm::sde::{Clock, Linear, LinearLaw, Paths, VariancePreserving};
/// let sde = VariancePreserving::new(2, Clock::linear(0.1, 20.0, 1.0)?)?;
/// let law = sde.law(0.0, 1.0)?; // a single exact step from the data to t = 1
/// assert!((law.decay() - (-0.25f64 * 20.1).exp()).abs() < 1e-15);
/// let mut x = vec![3.0f32; 2 * 100];
/// law.step(&mut x, Paths { seed: 0, purpose: ndsm::rng::Purpose::Test, step: 0 })?;
/// # Ok::<(), ndsm::Error>(())
/// ```
pub trait Linear {
    /// The law: [`ScalarLaw`] or [`MatrixLaw`].
    type Transition: LinearLaw;
    /// The law of X at `to` given X at `from`, 0 <= from <= to.
    ///
    /// # Errors
    /// Times out of order or not finite; matrices whose exponential overflows.
    fn law(&self, from: f64, to: f64) -> Result<Self::Transition>;
}

/// X' = mean(X) + L Z, Z ~ N(0, I) in R^d.
pub trait LinearLaw: Sync {
    /// The dimension d.
    fn dim(&self) -> usize;
    /// `mean` = E x + c of [`W`] points. `x`, `mean`: d blocks, paths last.
    fn mean<R: Real, const FMA: bool>(&self, x: &[[R; W]], mean: &mut [[R; W]]);
    /// `out` = L z.
    fn spread<R: Real, const FMA: bool>(&self, z: &[[R; W]], out: &mut [[R; W]]);
    /// E, [d, d].
    fn map(&self) -> Array2<f64>;
    /// c, `[d]`.
    fn shift(&self) -> Array1<f64>;
    /// L L^T, [d, d].
    fn covariance(&self) -> Array2<f64>;

    /// Draws X' for the rows of `x` [n, d], in place. Block c of [`W`] rows uses the stream c of `paths`.
    ///
    /// # Errors
    /// `Shape` if `x` is not whole rows.
    fn step<R: Real>(&self, x: &mut [R], paths: Paths) -> Result<()>
    where
        Self: Sized,
    {
        let d = self.dim();
        check_rows("exact step", x, d)?;
        let lanes = || vec![[R::zero(); W]; d];
        par::each_with(
            par::chunks_mut(x, W * d),
            || [lanes(), lanes(), lanes()],
            |room, chunk, rows| dispatch(ExactStep { law: self, rows, normals: paths.stream(chunk).normal_lanes(), room }),
        );
        Ok(())
    }
}

/// One block of rows to be moved.
struct ExactStep<'a, R, L> {
    law: &'a L,
    rows: &'a mut [R],
    normals: NormalLanes<R>,
    room: &'a mut [Vec<[R; W]>; 3],
}

impl<R: Real, L: LinearLaw> Kernel for ExactStep<'_, R, L> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let [x, z, out] = self.room;
        load(self.rows, x);
        for z in z.iter_mut() {
            *z = self.normals.draw::<FMA>();
        }
        self.law.spread::<R, FMA>(z, out);
        self.law.mean::<R, FMA>(x, z); // z has done its work
        for (x, (mean, noise)) in x.iter_mut().zip(z.iter().zip(&*out)) {
            for i in 0..W {
                x[i] = mean[i] + noise[i];
            }
        }
        store(x, self.rows);
    }
}

/// X' = a X + sd Z, in every coordinate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScalarLaw {
    dim: usize,
    decay: f64,
    sd: f64,
}

impl ScalarLaw {
    /// The law in `dim` dimensions.
    pub(super) fn new(dim: usize, decay: f64, sd: f64) -> Self {
        ScalarLaw { dim, decay, sd }
    }
    /// a.
    pub fn decay(&self) -> f64 {
        self.decay
    }
    /// sd.
    pub fn sd(&self) -> f64 {
        self.sd
    }
}

impl LinearLaw for ScalarLaw {
    fn dim(&self) -> usize {
        self.dim
    }
    #[inline(always)]
    fn mean<R: Real, const FMA: bool>(&self, x: &[[R; W]], mean: &mut [[R; W]]) {
        super::scaled([R::of(self.decay); W], x, mean);
    }
    #[inline(always)]
    fn spread<R: Real, const FMA: bool>(&self, z: &[[R; W]], out: &mut [[R; W]]) {
        super::scaled([R::of(self.sd); W], z, out);
    }
    fn map(&self) -> Array2<f64> {
        Array2::eye(self.dim) * self.decay
    }
    fn shift(&self) -> Array1<f64> {
        Array1::zeros(self.dim)
    }
    fn covariance(&self) -> Array2<f64> {
        Array2::eye(self.dim) * (self.sd * self.sd)
    }
}

/// X' = E X + c + L Z with matrices.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixLaw {
    map: Matrix,
    shift: Vec<f64>,
    covariance: Array2<f64>,
    factor: Matrix,
}

impl MatrixLaw {
    /// The law with E = `map` [d, d], c = `shift` `[d]`, and `covariance` [d, d], positive semidefinite up to
    /// rounding.
    ///
    /// # Errors
    /// `Shape` if they do not fit; a number that is not finite; an eigendecomposition that does not converge.
    pub fn new(map: Array2<f64>, shift: Array1<f64>, covariance: Array2<f64>) -> Result<Self> {
        let d = shift.len();
        if d == 0 || map.dim() != (d, d) || covariance.dim() != (d, d) {
            let got = [map.shape(), shift.shape(), covariance.shape()];
            return Err(Error::shape("linear law", "a map [d, d], a shift [d] and a covariance [d, d], d >= 1", &got));
        }
        if map.iter().chain(&shift).chain(&covariance).any(|v| !v.is_finite()) {
            return Err(Error::refused("linear law", "map, shift and covariance must be finite: take a shorter step"));
        }
        let factor = Matrix::new(root(&covariance)?.view());
        Ok(MatrixLaw { map: Matrix::new(map.view()), shift: shift.to_vec(), covariance, factor })
    }
}

/// L with L L^T = `c`. Standard deviations are taken out first: the noise of positions is smaller by a power
/// of the step than that of velocities, and what is left is a correlation matrix. It may be singular, where a
/// Cholesky factor does not exist.
fn root(c: &Array2<f64>) -> Result<Array2<f64>> {
    let sd: Array1<f64> = c.diag().mapv(|v| v.max(0.0).sqrt());
    let inverse = sd.mapv(|s| if s > 0.0 { 1.0 / s } else { 0.0 });
    let correlation = Array2::from_shape_fn(c.dim(), |(i, j)| inverse[i] * c[[i, j]] * inverse[j]);
    let eigen = symmetric_eigen(correlation.view())?;
    let l = &eigen.vectors * &eigen.values.mapv(|v| v.max(0.0).sqrt());
    Ok(Array2::from_diag(&sd).dot(&l))
}

impl LinearLaw for MatrixLaw {
    fn dim(&self) -> usize {
        self.shift.len()
    }
    #[inline(always)]
    fn mean<R: Real, const FMA: bool>(&self, x: &[[R; W]], mean: &mut [[R; W]]) {
        self.map.times::<R, FMA>(x, mean);
        for (mean, c) in mean.iter_mut().zip(&self.shift) {
            let c = R::of(*c);
            for i in 0..W {
                mean[i] += c;
            }
        }
    }
    #[inline(always)]
    fn spread<R: Real, const FMA: bool>(&self, z: &[[R; W]], out: &mut [[R; W]]) {
        self.factor.times::<R, FMA>(z, out);
    }
    fn map(&self) -> Array2<f64> {
        self.map.array()
    }
    fn shift(&self) -> Array1<f64> {
        Array1::from(self.shift.clone())
    }
    fn covariance(&self) -> Array2<f64> {
        self.covariance.clone()
    }
}

/// to - from, of times 0 <= from <= to.
pub(super) fn span(process: &str, from: f64, to: f64) -> Result<f64> {
    if 0.0 <= from && from <= to && to.is_finite() {
        return Ok(to - from);
    }
    Err(Error::refused(format!("{process}: transition law"), format!("expected times 0 <= from <= to, got from {from} to {to}")))
}
