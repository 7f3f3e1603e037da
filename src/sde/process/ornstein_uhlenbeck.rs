use super::evolution::{Evolution, Moments};
use super::linear::span;
use super::matrix::Matrix;
use super::{Linear, MatrixLaw};
use crate::sde::kinds::{Additive, Either};
use crate::sde::{Sde, Time};
use crate::simd::W;
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2};

/// Ornstein-Uhlenbeck process with full matrices: dX = A (m - X) dt + S dB. X: d numbers, B: as many as S has
/// columns. A: 1 / time; m: as X; S: X / time^(1/2).
#[derive(Debug, Clone, PartialEq)]
pub struct OrnsteinUhlenbeck {
    a: Matrix,
    mean: Vec<f64>,
    s: Matrix,
}

impl OrnsteinUhlenbeck {
    /// The process with drift matrix `a` [d, d], mean `mean` `[d]` and noise matrix `s` [d, m].
    ///
    /// # Errors
    /// `Shape` if they do not fit each other, or are empty; a number that is not finite.
    pub fn new(a: ArrayView2<f64>, mean: ArrayView1<f64>, s: ArrayView2<f64>) -> Result<Self> {
        let d = mean.len();
        if d == 0 || a.dim() != (d, d) || s.nrows() != d || s.ncols() == 0 {
            let expected = "a drift [d, d], a mean [d] and a noise [d, m], d and m >= 1";
            return Err(Error::shape("Ornstein-Uhlenbeck", expected, &[a.shape(), mean.shape(), s.shape()]));
        }
        if let Some(v) = a.iter().chain(mean).chain(s).find(|v| !v.is_finite()) {
            return Err(Error::invalid("Ornstein-Uhlenbeck: drift, mean and noise", "finite in every entry", v));
        }
        Ok(OrnsteinUhlenbeck { a: Matrix::new(a), mean: mean.to_vec(), s: Matrix::new(s) })
    }

    /// The covariance C of the stationary law N(m, C), [d, d]: A C + C A^T = S S^T.
    ///
    /// # Errors
    /// An eigenvalue of A whose real part is not positive: there is no such law, or more than one.
    pub fn stationary_covariance(&self) -> Result<Array2<f64>> {
        self.evolution().limit().ok_or_else(|| {
            Error::refused("Ornstein-Uhlenbeck: stationary law", "every eigenvalue of the drift matrix must have a positive real part")
        })
    }

    fn evolution(&self) -> Evolution {
        let s = self.s.array();
        Evolution::new(-self.a.array(), s.dot(&s.t()))
    }
}

crate::sde::smooth::smooth_by_duals!(OrnsteinUhlenbeck);

impl Linear for OrnsteinUhlenbeck {
    type Transition = MatrixLaw;
    /// X_t = m + E (X_s - m) + noise of covariance Q, E = e^(-A (t - s)), Q = int_0^(t-s) e^(-A u) S S^T
    /// e^(-A^T u) du.
    fn law(&self, from: f64, to: f64) -> Result<MatrixLaw> {
        let Moments { d, e, q } = self.evolution().over(span("Ornstein-Uhlenbeck", from, to)?);
        // m - E m without the difference, which over a short time would leave few digits.
        let shift = -d.dot(&ArrayView1::from(&self.mean));
        MatrixLaw::new(e, shift, q)
    }
}

impl<R: Real> Sde<R> for OrnsteinUhlenbeck {
    type Noise = Additive;
    type Calculus = Either;
    /// m - X.
    type Scratch = Vec<[R; W]>;
    fn dim(&self) -> usize {
        self.mean.len()
    }
    fn noises(&self) -> usize {
        self.s.columns()
    }
    fn scratch(&self) -> Vec<[R; W]> {
        vec![[R::zero(); W]; self.mean.len()]
    }
    #[inline(always)]
    fn drift<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], f: &mut [[R; W]], away: &mut Vec<[R; W]>) {
        for ((y, x), m) in away.iter_mut().zip(x).zip(&self.mean) {
            let m = R::of(*m);
            for i in 0..W {
                y[i] = m - x[i];
            }
        }
        self.a.times::<R, FMA>(away, f);
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, _t: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], _away: &mut Vec<[R; W]>) {
        self.s.times::<R, FMA>(w, g);
    }
}
