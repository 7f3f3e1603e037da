use super::Line;
use crate::par;
use crate::transition::rows::{self, RowLaw};
use crate::{Error, Result};
use ndarray::{Array1, Axis};

/// The law p_n of a chain in one dimension, on a grid, step by step (Chapman and Kolmogorov):
///
/// p_(n+1)(y) = int N(y; m(x), C(x)) p_n(x) dx,
///
/// by the midpoint rule, which for smooth densities that vanish at the ends converges faster than any power of dx as long as dx is below the
/// standard deviation of a step. Beside it the chain's exact score, by the same rule (eq. 6):
///
/// grad ln p_(n+1)(y) = E[-C^-1 (y - m(X_n)) | X_(n+1) = y].
///
/// ```
/// use ndsm::sde::DoubleWell;
/// use ndsm::transition::{ChapmanKolmogorov, Euler, Line};
/// let start = Line::new(-4.0, 4.0, 801, |x| (-8.0 * (x - 0.5) * (x - 0.5)).exp())?;
/// let mut chain = ChapmanKolmogorov::new(start);
/// for n in 0..10 {
///     chain.step(&Euler(DoubleWell::new(1, 0.8)?), f64::from(n) * 0.05, f64::from(n + 1) * 0.05)?;
/// }
/// assert!((chain.law().mass() - 1.0).abs() < 1e-9);
/// let by_differences = chain.law().score();
/// assert!((chain.score()[450] - by_differences[450]).abs() < 1e-3);
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChapmanKolmogorov {
    law: Line,
    score: Vec<f64>,
}

/// Standard deviations beyond which a Gaussian counts as 0: e^(-40^2/2) is below the smallest number.
const REACH: f64 = 40.0;

impl ChapmanKolmogorov {
    /// The chain that starts with the law `start`.
    pub fn new(start: Line) -> Self {
        let score = start.score();
        ChapmanKolmogorov { law: start, score }
    }

    /// The chain that starts at the point `x`, after its first step by `law`.
    ///
    /// # Errors
    /// As [`ChapmanKolmogorov::step`]; `grid` gives the cells, its density is not used.
    pub fn from_point(law: &dyn RowLaw<f64>, x: f64, from: f64, to: f64, grid: &Line) -> Result<Self> {
        let start = ndarray::array![[x]];
        let (mean, variance) = rows::moments(law, from, to, start.view())?;
        let (mean, variance) = (mean[[0, 0]], variance[[0, 0, 0]]);
        let mut chain = ChapmanKolmogorov::new(grid.clone());
        for i in 0..chain.score.len() {
            let z = chain.law.x(i) - mean;
            chain.law.density_mut()[i] = (-0.5 * z * z / variance).exp() / (std::f64::consts::TAU * variance).sqrt();
            chain.score[i] = -z / variance;
        }
        Ok(chain)
    }

    /// One step of the chain.
    ///
    /// # Errors
    /// A law that is not one-dimensional, or not positive definite at a point of the grid; a grid that is too coarse for its steps.
    pub fn step(&mut self, law: &dyn RowLaw<f64>, from: f64, to: f64) -> Result<()> {
        if law.dim() != 1 {
            return Err(Error::invalid("Chapman-Kolmogorov: dimension of the law", "1", law.dim()));
        }
        let x = Array1::from_shape_fn(self.score.len(), |i| self.law.x(i)).insert_axis(Axis(1));
        let (mean, variance) = rows::moments(law, from, to, x.view())?;
        let mut from_x = Vec::with_capacity(x.len());
        for (i, (m, v)) in mean.iter().zip(&variance).enumerate() {
            if !(m.is_finite() && *v > 0.0 && v.is_finite()) {
                let place = format!("Chapman-Kolmogorov: law of the step from {}", x[[i, 0]]);
                return Err(Error::invalid(place, "a finite mean and a variance > 0", format!("{m} and {v}")));
            }
            if v.sqrt() < 0.7 * self.law.spacing() && self.law.density()[i] > 0.0 {
                let limit = v.sqrt() / 0.7;
                return Err(Error::invalid(
                    "Chapman-Kolmogorov: spacing of the grid",
                    format!("at most {limit:.2e} for this step"),
                    self.law.spacing(),
                ));
            }
            from_x.push((*m, 1.0 / v, self.law.density()[i] * self.law.spacing() / (std::f64::consts::TAU * v).sqrt()));
        }
        let new = par::map(x.len(), |j| {
            let (y, mut p, mut pull) = (self.law.x(j), 0.0, 0.0);
            for (m, precision, weight) in &from_x {
                let z = y - m;
                let q = z * precision;
                if q * z < REACH * REACH {
                    let share = weight * (-0.5 * q * z).exp();
                    p += share;
                    pull += share * q;
                }
            }
            (p, -pull / p)
        });
        for (i, (p, score)) in new.into_iter().enumerate() {
            self.law.density_mut()[i] = p;
            self.score[i] = score;
        }
        Ok(())
    }

    /// p_n.
    pub fn law(&self) -> &Line {
        &self.law
    }

    /// grad ln p_n at the middles of the cells; NaN where p_n is 0.
    pub fn score(&self) -> &[f64] {
        &self.score
    }

    /// The law of the equation behind `law` at time `to`, from the point `x` at `from`: chains of `steps` and 2 `steps` equal steps,
    /// extrapolated to h = 0 for a law of weak order 1. Density and score d ln p/dx.
    ///
    /// # Errors
    /// As [`ChapmanKolmogorov::step`]; no step.
    pub fn extrapolated(law: &dyn RowLaw<f64>, x: f64, from: f64, to: f64, steps: usize, grid: &Line) -> Result<(Line, Vec<f64>)> {
        if steps == 0 {
            return Err(Error::invalid("Chapman-Kolmogorov: steps", ">= 1", steps));
        }
        let run = |steps: usize| {
            let t = |n: usize| if n == steps { to } else { from + (to - from) * n as f64 / steps as f64 };
            let mut chain = ChapmanKolmogorov::from_point(law, x, from, t(1), grid)?;
            (1..steps).try_for_each(|n| chain.step(law, t(n), t(n + 1)))?;
            Ok::<_, Error>(chain)
        };
        let (coarse, fine) = (run(steps)?, run(2 * steps)?);
        let mut p = fine.law.clone();
        p.density_mut().iter_mut().zip(coarse.law.density()).for_each(|(f, c)| *f += *f - c);
        let score = fine.score.iter().zip(&coarse.score).map(|(f, c)| 2.0 * f - c).collect();
        Ok((p, score))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::{Covariances, Mixture};
    use crate::sde::{DoubleWell, Langevin};
    use crate::transition::{Drift, Euler, FokkerPlanck, LocalLinear};
    use ndarray::array;

    /// The law of the chain (eq. 5), and its score (eq. 6).
    #[test]
    fn a_linear_chain_has_its_gaussian_law() {
        // Euler on dX = -X/2 dt + dB, h = 0.2: X' = 0.9 X + 0.2^(1/2) Z.
        let pi = Mixture::new(array![1.0], array![[0.0]], Covariances::Spherical(array![1.0])).unwrap();
        let law = Euler(Langevin::<f64>::new(&pi, 1.0).unwrap());
        let mut chain = ChapmanKolmogorov::new(Line::new(-9.0, 9.0, 400, |x| (-2.0 * (x - 1.0).powi(2)).exp()).unwrap());
        let (mut mean, mut variance) = (1.0, 0.25);
        for n in 0..5 {
            chain.step(&law, 0.2 * f64::from(n), 0.2 * f64::from(n + 1)).unwrap();
            (mean, variance) = (0.9 * mean, 0.81 * variance + 0.2);
        }
        for (i, (p, s)) in chain.law().density().iter().zip(chain.score()).enumerate() {
            let z = chain.law().x(i) - mean;
            let exact = (-0.5 * z * z / variance).exp() / (std::f64::consts::TAU * variance).sqrt();
            assert!((p - exact).abs() <= 1e-13, "{i}: {p} {exact}");
            assert!((s + z / variance).abs() <= 1e-9 * (1.0 + z.abs()) || exact < 1e-9, "{i}: {s} {}", -z / variance);
        }
    }

    /// The chain's law (eq. 5) tends to that of the equation (eq. 1).
    #[test]
    fn chain_and_equation_agree() {
        // Double well, sigma = 0.8, from 0.5, after 1/4.
        let grid = Line::new(-4.0, 4.0, 801, |_| 1.0).unwrap();
        let sde = DoubleWell::new(1, 0.8).unwrap();
        let (p, score) = ChapmanKolmogorov::extrapolated(&LocalLinear(sde), 0.5, 0.0, 0.25, 16, &grid).unwrap();
        // The Fokker-Planck equation from the law after a short first step of the chain, extrapolated in time.
        let first = 0.25 / 64.0;
        let mut q = ChapmanKolmogorov::from_point(&LocalLinear(sde), 0.5, 0.0, first, &grid).unwrap().law().clone();
        let equation = FokkerPlanck { drift: Drift::Potential(&|x| 0.25 * x.powi(4) - 0.5 * x * x), diffusion: 0.32 };
        equation.evolve_extrapolated(&mut q, first, 0.25, 200).unwrap();
        let distance = p.distance(&q).unwrap();
        assert!(distance <= 1e-3, "{distance}");
        let by_grid = q.score();
        let error: f64 =
            p.density().iter().zip(score.iter().zip(&by_grid)).map(|(p, (a, b))| if *p > 1e-12 { p * (a - b).powi(2) } else { 0.0 }).sum();
        assert!((error * p.spacing()).sqrt() <= 2e-2, "{}", (error * p.spacing()).sqrt());
    }

    #[test]
    fn a_grid_that_is_too_coarse_is_refused() {
        let mut chain = ChapmanKolmogorov::new(Line::new(-4.0, 4.0, 50, |x| (-x * x).exp()).unwrap());
        let e = chain.step(&Euler(DoubleWell::new(1, 0.8).unwrap()), 0.0, 0.001).unwrap_err();
        assert!(e.to_string().contains("at most 3.6"), "{e}");
    }
}
