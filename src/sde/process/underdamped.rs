use super::{Force, Harmonic, Linear, MatrixLaw, OrnsteinUhlenbeck};
use crate::sde::kinds::{Additive, Either};
use crate::sde::{Kinetic, Sde, Time, positive};
use crate::simd::W;
use crate::{Real, Result};
use ndarray::{Array1, Array2};

/// Underdamped Langevin dynamics of a particle of mass 1: dq = v dt,
/// dv = (F(q) - gamma v) dt + sqrt(2 gamma T) dB.
///
/// The state is X = (q, v), 2 d numbers, with d Brownian motions that act on v alone. For F = -grad U the law
/// with density proportional to exp(-(U(q) + |v|^2/2) / T) is invariant. gamma: 1 / time; T: square of
/// velocity.
#[derive(Debug, Clone, Copy)]
pub struct Underdamped<F> {
    force: F,
    gamma: f64,
    temperature: f64,
}

impl<F> Underdamped<F> {
    /// Dynamics under `force` with friction `gamma` at `temperature` T.
    ///
    /// # Errors
    /// A friction or a temperature that is not positive.
    pub fn new(force: F, gamma: f64, temperature: f64) -> Result<Self> {
        let gamma = positive("underdamped Langevin: gamma", gamma)?;
        Ok(Underdamped { force, gamma, temperature: positive("underdamped Langevin: temperature", temperature)? })
    }
}

impl Underdamped<Harmonic> {
    /// The spring F = -omega^2 q with gamma = 2 omega, at which it forgets its start fastest without swinging
    /// (Dockhorn, Vahdat and Kreis 2022). Stationary: q ~ N(0, T / omega^2), v ~ N(0, T), independent.
    ///
    /// # Errors
    /// No dimension; parameters that are not positive.
    pub fn critically_damped(dim: usize, omega: f64, temperature: f64) -> Result<Self> {
        Underdamped::new(Harmonic::new(dim, omega)?, 2.0 * omega, temperature)
    }

    /// The same equation with its matrices:
    /// dX = -[[0, -I], [omega^2 I, gamma I]] X dt + [0; sqrt(2 gamma T) I] dB.
    ///
    /// # Errors
    /// None for parameters whose products are finite.
    pub fn as_ornstein_uhlenbeck(&self) -> Result<OrnsteinUhlenbeck> {
        let d = Force::<f64>::dim(&self.force);
        let (mut a, mut s) = (Array2::zeros((2 * d, 2 * d)), Array2::zeros((2 * d, d)));
        for j in 0..d {
            a[[j, d + j]] = -1.0;
            a[[d + j, j]] = self.force.omega().powi(2);
            a[[d + j, d + j]] = self.gamma;
            s[[d + j, j]] = (2.0 * self.gamma * self.temperature).sqrt();
        }
        OrnsteinUhlenbeck::new(a.view(), Array1::zeros(2 * d).view(), s.view())
    }
}

impl Linear for Underdamped<Harmonic> {
    type Transition = MatrixLaw;
    fn law(&self, from: f64, to: f64) -> Result<MatrixLaw> {
        self.as_ornstein_uhlenbeck()?.law(from, to)
    }
}

impl<R: Real, F: Force<R>> Kinetic<R> for Underdamped<F> {
    type Force = F;
    fn force(&self) -> &F {
        &self.force
    }
    fn friction(&self) -> f64 {
        self.gamma
    }
    fn temperature(&self) -> f64 {
        self.temperature
    }
}

impl<R: Real, F: Force<R>> Sde<R> for Underdamped<F> {
    type Noise = Additive;
    type Calculus = Either;
    type Scratch = F::Scratch;
    fn dim(&self) -> usize {
        2 * self.force.dim()
    }
    fn noises(&self) -> usize {
        self.force.dim()
    }
    fn scratch(&self) -> F::Scratch {
        self.force.scratch()
    }
    #[inline(always)]
    fn drift<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], scratch: &mut F::Scratch) {
        let d = x.len() / 2;
        let ((q, v), (dq, dv)) = (x.split_at(d), f.split_at_mut(d));
        dq.copy_from_slice(v);
        self.force.force::<FMA>(t, q, dv, scratch);
        let minus = R::of(-self.gamma);
        for (dv, v) in dv.iter_mut().zip(v) {
            for i in 0..W {
                dv[i] = v[i].fma::<FMA>(minus, dv[i]);
            }
        }
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, _t: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], _scratch: &mut F::Scratch) {
        let (gq, gv) = g.split_at_mut(w.len());
        gq.fill([R::zero(); W]);
        super::scaled([R::of((2.0 * self.gamma * self.temperature).sqrt()); W], w, gv);
    }
}
