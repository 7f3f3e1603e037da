//! Equations whose solution is known on the path: one for each calculus and kind of noise.

use super::paths::Path;
use crate::Real;
use crate::sde::kinds::{Additive, General};
use crate::sde::{Calculus, CalculusKind, Either, Harmonic, Noise, Sde, Semilinear, Smooth, Time, Underdamped, Within};
use crate::simd::W;
use std::marker::PhantomData;

/// An equation on the time interval [0, 1] with its solution.
pub trait Solved: Sde<f64> {
    /// What it is called in the table.
    const NAME: &'static str;
    /// X_0, d numbers.
    fn start(&self) -> Vec<f64>;
    /// X_1 for W paths, from the finest resolution that there is.
    fn solution(&self, path: &Path, x: &mut [[f64; W]]);
}

/// X_j = tanh(Y_j), Y = artanh X_0 - a t + B W: equation (4.46) of Kloeden and Platen (1992) in several
/// dimensions.
///
/// Stratonovich: dX_j = (1 - X_j^2) (-a_j dt + sum_k B_jk dB_k). Ito: the drift is (1 - X_j^2) (-a_j - X_j
/// sum_k B_jk^2). The columns of the noise commute, as they do in Y; it is diagonal if B is.
#[derive(Debug)]
pub struct Tanh<C, N> {
    a: Vec<f64>,
    b: Vec<Vec<f64>>,
    start: f64,
    kinds: PhantomData<fn() -> (C, N)>,
}

impl<C: Calculus, N: Noise> Tanh<C, N> {
    /// With the rows of B.
    pub fn new<const D: usize, const M: usize>(a: [f64; D], b: [[f64; M]; D]) -> Self {
        Tanh { a: a.to_vec(), b: b.map(|row| row.to_vec()).to_vec(), start: 0.1, kinds: PhantomData }
    }
    /// Of one dimension, a = 0.3, b = 0.7.
    pub fn one() -> Self {
        Tanh::new([0.3], [[0.7]])
    }
    /// Of two, each with its own Brownian motion.
    pub fn diagonal() -> Self {
        Tanh::new([0.3, -0.2], [[0.7, 0.0], [0.0, 0.5]])
    }
    /// Of two, which share two Brownian motions.
    pub fn commuting() -> Self {
        Tanh::new([0.3, -0.2], [[0.5, 0.4], [-0.3, 0.6]])
    }
    /// X_1 of coordinate `j`, where B W = `noise`.
    pub fn at(&self, j: usize, noise: f64) -> f64 {
        (self.start.atanh() - self.a[j] + noise).tanh()
    }
}

impl<R: Real, C: Calculus, N: Within<General>> Sde<R> for Tanh<C, N> {
    type Calculus = C;
    type Noise = N;
    type Scratch = ();
    fn dim(&self) -> usize {
        self.a.len()
    }
    fn noises(&self) -> usize {
        self.b[0].len()
    }
    fn scratch(&self) {}
    #[inline(always)]
    fn drift<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], f: &mut [[R; W]], (): &mut ()) {
        for (j, (f, x)) in f.iter_mut().zip(x).enumerate() {
            let square: f64 = if C::KIND == CalculusKind::Ito { self.b[j].iter().map(|b| b * b).sum() } else { 0.0 };
            for i in 0..W {
                f[i] = (R::one() - x[i] * x[i]) * (R::of(-self.a[j]) - R::of(square) * x[i]);
            }
        }
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (): &mut ()) {
        for (j, (g, x)) in g.iter_mut().zip(x).enumerate() {
            for i in 0..W {
                let noise: R = self.b[j].iter().zip(w).map(|(b, w)| R::of(*b) * w[i]).sum();
                g[i] = (R::one() - x[i] * x[i]) * noise;
            }
        }
    }
}

impl<C: Calculus, N: Within<General>> Solved for Tanh<C, N> {
    const NAME: &'static str = if matches!(C::KIND, CalculusKind::Ito) { "tanh, Ito" } else { "tanh, Stratonovich" };
    fn start(&self) -> Vec<f64> {
        vec![self.start; self.a.len()]
    }
    fn solution(&self, path: &Path, x: &mut [[f64; W]]) {
        for (j, x) in x.iter_mut().enumerate() {
            for i in 0..W {
                let end = |k: usize| path.steps().map(|(_, w, _)| w[k][i]).sum::<f64>();
                x[i] = self.at(j, self.b[j].iter().enumerate().map(|(k, b)| b * end(k)).sum());
            }
        }
    }
}

/// The logarithm of the stochastic Verhulst equation (Kloeden and Platen 1992, ch. 4.4), with coefficients
/// that move in time:
///
/// dX = (c(t) - e^X) dt + sigma(t) dB,   c = (1 + t)/2,   sigma = 0.8 + 0.4 t,   X_0 = 0.
///
/// With dZ = c dt + sigma dB, the solution is X_t = Z_t - ln(1 + int_0^t e^Z ds). Its drift is not linear, so
/// that additive noise does not hide what a method does to second order.
#[derive(Debug)]
pub struct LogVerhulst;

const GROWTH: [f64; 2] = [0.5, 0.5];
const SIGMA: [f64; 2] = [0.8, 0.4];

impl<R: Real> Sde<R> for LogVerhulst {
    type Calculus = Either;
    type Noise = Additive;
    type Scratch = ();
    fn dim(&self) -> usize {
        1
    }
    fn scratch(&self) {}
    #[inline(always)]
    fn drift<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], (): &mut ()) {
        let c: [R; W] = t.lanes(|t| GROWTH[0] + GROWTH[1] * t);
        for i in 0..W {
            f[0][i] = c[i] - x[0][i].exp_lane::<FMA>();
        }
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, t: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (): &mut ()) {
        let sigma: [R; W] = t.lanes(|t| SIGMA[0] + SIGMA[1] * t);
        for i in 0..W {
            g[0][i] = sigma[i] * w[0][i];
        }
    }
}

impl<R: Real> Smooth<R> for LogVerhulst {
    type Derivatives = ();
    fn derivatives_memory(&self) {}
    #[inline(always)]
    fn derivatives<const FMA: bool>(
        &self,
        t: &Time,
        x: &[[R; W]],
        f: &mut [[R; W]],
        jacobian: &mut [[R; W]],
        m: &mut [[R; W]],
        (): &mut (),
    ) {
        let c: [R; W] = t.lanes(|t| GROWTH[0] + GROWTH[1] * t);
        let half_a: [R; W] = t.lanes(|t| 0.5 * (SIGMA[0] + SIGMA[1] * t).powi(2));
        for i in 0..W {
            let e = x[0][i].exp_lane::<FMA>();
            (f[0][i], jacobian[0][i], m[0][i]) = (c[i] - e, -e, R::of(GROWTH[1]) - half_a[i] * e);
        }
    }
}

/// -x, the slope of the drift at 0.
impl<R: Real> Semilinear<R> for LogVerhulst {
    fn rate(&self, _j: usize) -> f64 {
        1.0
    }
}

impl Solved for LogVerhulst {
    const NAME: &'static str = "log-Verhulst";
    fn start(&self) -> Vec<f64> {
        vec![0.0]
    }
    /// Over a step of length h, with s, c and sigma in its middle: Z moves by c h + sigma W - sigma' h H,
    /// exactly. The mean of Z over the step is Z_0 + c h/2 + sigma (W/2 + H), and its mean square around that
    /// sigma^2 h/6, up to what adds up to O(h^(3/2)).
    fn solution(&self, path: &Path, x: &mut [[f64; W]]) {
        let h = path.h();
        let (mut z, mut integral) = ([0.0; W], [0.0; W]);
        for (n, (_, w, area)) in path.steps().enumerate() {
            let middle = (n as f64 + 0.5) * h;
            let [c, sigma] = [GROWTH, SIGMA].map(|[a, b]| a + b * middle);
            for i in 0..W {
                let mean = z[i] + 0.5 * c * h + sigma * (0.5 * w[0][i] + area[0][i]);
                integral[i] += h * mean.exp() * (1.0 + sigma * sigma * h / 12.0);
                z[i] += c * h + sigma * w[0][i] - SIGMA[1] * h * area[0][i];
            }
        }
        for i in 0..W {
            x[0][i] = z[i] - (1.0 + integral[i]).ln();
        }
    }
}

/// dX = mu X dt + s X dB in the calculus C; E X_1 / X_0 = e^mu for Ito, e^(mu + s^2/2) for Stratonovich.
#[derive(Debug)]
pub struct Growth<C>(pub PhantomData<fn() -> C>);

impl<C> Growth<C> {
    /// mu.
    pub const MU: f64 = 0.1;
    /// s.
    pub const S: f64 = 0.4;
}

impl<R: Real, C: Calculus> Sde<R> for Growth<C> {
    type Calculus = C;
    type Noise = crate::sde::kinds::Scalar;
    type Scratch = ();
    fn dim(&self) -> usize {
        1
    }
    fn scratch(&self) {}
    #[inline(always)]
    fn drift<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], f: &mut [[R; W]], (): &mut ()) {
        for i in 0..W {
            f[0][i] = R::of(Self::MU) * x[0][i];
        }
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (): &mut ()) {
        for i in 0..W {
            g[0][i] = R::of(Self::S) * x[0][i] * w[0][i];
        }
    }
}

/// The Ornstein-Uhlenbeck process dX = -X dt + sigma dB with sigma = 1: stationary variance 1/2.
#[derive(Debug)]
pub struct Relaxation;

impl<R: Real> Sde<R> for Relaxation {
    type Calculus = Either;
    type Noise = Additive;
    type Scratch = ();
    fn dim(&self) -> usize {
        1
    }
    fn scratch(&self) {}
    #[inline(always)]
    fn drift<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], f: &mut [[R; W]], (): &mut ()) {
        for i in 0..W {
            f[0][i] = -x[0][i];
        }
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, _t: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (): &mut ()) {
        g[0] = w[0];
    }
}

/// Half of the drift is its linear part.
impl<R: Real> Semilinear<R> for Relaxation {
    fn rate(&self, _j: usize) -> f64 {
        0.5
    }
}

/// The spring with omega = 1, gamma = 2, T = 1: e^(A r) = e^-r (I + r (A + I)), so that the noise adds 2 int
/// e^-r (r, 1 - r) dB, r = h - s, to (q, v). In terms of W and R = int r dB = h (W/2 + H), int r^2 dB is h
/// R - h^2 W/6 and a rest of order h^(5/2).
impl Solved for Underdamped<Harmonic> {
    const NAME: &'static str = "damped spring";
    fn start(&self) -> Vec<f64> {
        vec![1.0, 0.0]
    }
    fn solution(&self, path: &Path, x: &mut [[f64; W]]) {
        let (h, decay) = (path.h(), (-path.h()).exp());
        [x[0], x[1]] = [[1.0; W], [0.0; W]];
        for (_, w, area) in path.steps() {
            for i in 0..W {
                let (w, first) = (w[0][i], h * (0.5 * w[0][i] + area[0][i]));
                let second = h * first - h * h * w / 6.0;
                let (q, v) = (x[0][i], x[1][i]);
                x[0][i] = decay * (q + h * (q + v)) + 2.0 * (first - second);
                x[1][i] = decay * (v - h * (q + v)) + 2.0 * (w - 2.0 * first + 1.5 * second);
            }
        }
    }
}
