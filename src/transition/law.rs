//! Gaussian one-step laws N(m(x), C(x)), C = L L^T, in the form for hot loops.

use crate::Real;
use crate::sde::Step;
use crate::simd::{Kernel, W};

/// The factor L of a covariance, for [`W`] paths at once. The type says how much there is of it, so that a
/// multiple of the identity costs what a number costs.
pub trait Factor<R: Real>: Send {
    /// Room for d dimensions.
    fn new(d: usize) -> Self;
    /// `out` = L z.
    fn apply<const FMA: bool>(&self, z: &[[R; W]], out: &mut [[R; W]]);
    /// `out` = L^-1 v.
    fn solve<const FMA: bool>(&self, v: &[[R; W]], out: &mut [[R; W]]);
    /// `out` = L^-T v.
    fn solve_transposed<const FMA: bool>(&self, v: &[[R; W]], out: &mut [[R; W]]);
    /// ln det C.
    fn log_det<const FMA: bool>(&self) -> [R; W];
}

/// One step of a process from x: Gaussian with mean m(x) and covariance L L^T.
pub trait OneStep<R: Real>: Sync {
    /// How the covariance is stored.
    type Factor: Factor<R>;
    /// Working memory of one block of paths.
    type Memory: Send;
    /// The dimension d.
    fn dim(&self) -> usize;
    /// Makes the working memory.
    fn memory(&self) -> Self::Memory;
    /// The law of the step from `x` `[d]`, paths last.
    fn law<const FMA: bool>(&self, step: &Step, x: &[[R; W]], mean: &mut [[R; W]], factor: &mut Self::Factor, memory: &mut Self::Memory);
}

/// [`OneStep::law`] as code of its own, for the kernels that begin with it.
pub(crate) struct Evaluate<'a, R: Real, T: OneStep<R>> {
    pub law: &'a T,
    pub step: &'a Step,
    pub x: &'a [[R; W]],
    pub mean: &'a mut [[R; W]],
    pub factor: &'a mut T::Factor,
    pub memory: &'a mut T::Memory,
}

impl<R: Real, T: OneStep<R>> Kernel for Evaluate<'_, R, T> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.law.law::<FMA>(self.step, self.x, self.mean, self.factor, self.memory);
    }
}

/// L = s I.
#[derive(Debug, Clone)]
pub struct Scalar<R> {
    d: usize,
    /// s.
    pub s: [R; W],
}

impl<R: Real> Factor<R> for Scalar<R> {
    fn new(d: usize) -> Self {
        Scalar { d, s: [R::zero(); W] }
    }
    #[inline(always)]
    fn apply<const FMA: bool>(&self, z: &[[R; W]], out: &mut [[R; W]]) {
        for (o, z) in out.iter_mut().zip(z) {
            for i in 0..W {
                o[i] = self.s[i] * z[i];
            }
        }
    }
    #[inline(always)]
    fn solve<const FMA: bool>(&self, v: &[[R; W]], out: &mut [[R; W]]) {
        let mut inverse = [R::zero(); W];
        for i in 0..W {
            inverse[i] = R::one() / self.s[i];
        }
        for (o, v) in out.iter_mut().zip(v) {
            for i in 0..W {
                o[i] = v[i] * inverse[i];
            }
        }
    }
    #[inline(always)]
    fn solve_transposed<const FMA: bool>(&self, v: &[[R; W]], out: &mut [[R; W]]) {
        self.solve::<FMA>(v, out);
    }
    #[inline(always)]
    fn log_det<const FMA: bool>(&self) -> [R; W] {
        let (mut out, two_d) = ([R::zero(); W], R::of(2.0 * self.d as f64));
        for i in 0..W {
            out[i] = two_d * self.s[i].ln_lane::<FMA>();
        }
        out
    }
}

/// L = diag(s).
#[derive(Debug, Clone)]
pub struct Diagonal<R> {
    /// s, `[d]`.
    pub s: Vec<[R; W]>,
}

impl<R: Real> Factor<R> for Diagonal<R> {
    fn new(d: usize) -> Self {
        Diagonal { s: vec![[R::zero(); W]; d] }
    }
    #[inline(always)]
    fn apply<const FMA: bool>(&self, z: &[[R; W]], out: &mut [[R; W]]) {
        for ((o, z), s) in out.iter_mut().zip(z).zip(&self.s) {
            for i in 0..W {
                o[i] = s[i] * z[i];
            }
        }
    }
    #[inline(always)]
    fn solve<const FMA: bool>(&self, v: &[[R; W]], out: &mut [[R; W]]) {
        for ((o, v), s) in out.iter_mut().zip(v).zip(&self.s) {
            for i in 0..W {
                o[i] = v[i] / s[i];
            }
        }
    }
    #[inline(always)]
    fn solve_transposed<const FMA: bool>(&self, v: &[[R; W]], out: &mut [[R; W]]) {
        self.solve::<FMA>(v, out);
    }
    #[inline(always)]
    fn log_det<const FMA: bool>(&self) -> [R; W] {
        let mut out = [R::zero(); W];
        for s in &self.s {
            for i in 0..W {
                out[i] += R::of(2.0) * s[i].ln_lane::<FMA>();
            }
        }
        out
    }
}

/// L lower triangular, from the Cholesky factorisation of C.
#[derive(Debug, Clone)]
pub struct Full<R> {
    d: usize,
    /// C before [`Full::factorise`], L after it, [d, d]; above the diagonal nothing is read.
    pub l: Vec<[R; W]>,
}

impl<R: Real> Full<R> {
    /// Replaces C by its Cholesky factor. Paths whose C is not positive definite get NaN.
    #[inline(always)]
    pub fn factorise<const FMA: bool>(&mut self) {
        let d = self.d;
        for j in 0..d {
            for row in j..d {
                let mut sum = self.l[row * d + j];
                for k in 0..j {
                    let (a, b) = (&self.l[row * d + k], &self.l[j * d + k]);
                    for i in 0..W {
                        sum[i] = (-a[i]).fma::<FMA>(b[i], sum[i]);
                    }
                }
                if row == j {
                    for v in &mut sum {
                        *v = v.sqrt();
                    }
                } else {
                    let pivot = &self.l[j * d + j];
                    for i in 0..W {
                        sum[i] /= pivot[i];
                    }
                }
                self.l[row * d + j] = sum;
            }
        }
    }
}

impl<R: Real> Factor<R> for Full<R> {
    fn new(d: usize) -> Self {
        Full { d, l: vec![[R::zero(); W]; d * d] }
    }
    #[inline(always)]
    fn apply<const FMA: bool>(&self, z: &[[R; W]], out: &mut [[R; W]]) {
        for (row, o) in out.iter_mut().enumerate() {
            *o = [R::zero(); W];
            for (l, z) in self.l[row * self.d..][..=row].iter().zip(z) {
                for i in 0..W {
                    o[i] = l[i].fma::<FMA>(z[i], o[i]);
                }
            }
        }
    }
    #[inline(always)]
    fn solve<const FMA: bool>(&self, v: &[[R; W]], out: &mut [[R; W]]) {
        for row in 0..self.d {
            let mut sum = v[row];
            for k in 0..row {
                let (l, o) = (&self.l[row * self.d + k], &out[k]);
                for i in 0..W {
                    sum[i] = (-l[i]).fma::<FMA>(o[i], sum[i]);
                }
            }
            let pivot = &self.l[row * self.d + row];
            for i in 0..W {
                out[row][i] = sum[i] / pivot[i];
            }
        }
    }
    #[inline(always)]
    fn solve_transposed<const FMA: bool>(&self, v: &[[R; W]], out: &mut [[R; W]]) {
        for row in (0..self.d).rev() {
            let mut sum = v[row];
            for k in row + 1..self.d {
                let (l, o) = (&self.l[k * self.d + row], &out[k]);
                for i in 0..W {
                    sum[i] = (-l[i]).fma::<FMA>(o[i], sum[i]);
                }
            }
            let pivot = &self.l[row * self.d + row];
            for i in 0..W {
                out[row][i] = sum[i] / pivot[i];
            }
        }
    }
    #[inline(always)]
    fn log_det<const FMA: bool>(&self) -> [R; W] {
        let mut out = [R::zero(); W];
        for j in 0..self.d {
            let pivot = &self.l[j * self.d + j];
            for i in 0..W {
                out[i] += R::of(2.0) * pivot[i].ln_lane::<FMA>();
            }
        }
        out
    }
}
