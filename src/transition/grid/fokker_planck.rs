use super::Line;
use crate::{Error, Result};

/// What drives the density: dX = f dt + sigma dB with D = sigma^2/2.
pub enum Drift<'a> {
    /// f = -V'(x): the potential V. Fluxes then use its differences, and p_i ~ e^(-V(x_i)/D) is stationary to rounding.
    Potential(&'a dyn Fn(f64) -> f64),
    /// f(x, t).
    Field(&'a dyn Fn(f64, f64) -> f64),
}

/// The Fokker-Planck equation dp/dt = -d(f p)/dx + d^2(D p)/dx^2 on a [`Line`], D constant, no flux through the ends.
///
/// Fluxes by Chang and Cooper (1970), Scharfetter and Gummel (1969): between cells i and i + 1, with w = f dx/D and the Bernoulli function
/// B(z) = z/(e^z - 1),
///
/// F = (D/dx) (B(-w) p_i - B(w) p_(i+1)),
///
/// of second order in dx. Implicit Euler in time: each step solves an M-matrix whose columns sum to 1, so that for every length of step the
/// density stays positive and its mass stays what it was. (No method of higher order in time keeps positivity for every step:
/// Bolley and Crouzeix 1978.)
///
/// ```
/// use ndsm::transition::{Drift, FokkerPlanck, Line};
/// // Ornstein-Uhlenbeck, dX = -X dt + 2^(1/2) dB, from N(1, 1/4): after time 1 it is N(1/e, 1 - 3/(4 e^2)).
/// let mut p = Line::new(-6.0, 6.0, 1200, |x| (-2.0 * (x - 1.0) * (x - 1.0)).exp())?;
/// let equation = FokkerPlanck { drift: Drift::Potential(&|x| 0.5 * x * x), diffusion: 1.0 };
/// equation.evolve_extrapolated(&mut p, 0.0, 1.0, 200)?;
/// let mean = p.expectation(|x| x);
/// let variance = p.expectation(|x| (x - mean) * (x - mean));
/// assert!((mean - (-1f64).exp()).abs() < 1e-4 && (variance - 1.0 + 0.75 * (-2f64).exp()).abs() < 1e-4);
/// # Ok::<(), ndsm::Error>(())
/// ```
pub struct FokkerPlanck<'a> {
    /// f.
    pub drift: Drift<'a>,
    /// D = sigma^2/2.
    pub diffusion: f64,
}

/// B(z) = z/(e^z - 1), 1 at 0, without overflow.
fn bernoulli(z: f64) -> f64 {
    if z == 0.0 {
        1.0
    } else if z > 700.0 {
        0.0
    } else {
        z / z.exp_m1()
    }
}

impl FokkerPlanck<'_> {
    /// Moves `p` from `from` to `to` in `steps` implicit steps: first order in time, positive, mass kept to rounding.
    ///
    /// # Errors
    /// Times that do not rise, no step, D not positive, a drift that is not finite (with its place).
    pub fn evolve(&self, p: &mut Line, from: f64, to: f64, steps: usize) -> Result<()> {
        check(from, to, steps, self.diffusion)?;
        let h = (to - from) / steps as f64;
        let mut sweep = Sweep::new(p.density().len());
        let mut rates = vec![Rates::of(0.0); p.density().len() - 1];
        for n in 0..steps {
            // An implicit step takes the drift at its end.
            let t = if n + 1 == steps { to } else { from + (n + 1) as f64 * h };
            if n == 0 || matches!(self.drift, Drift::Field(_)) {
                self.rates(p, t, &mut rates)?;
            }
            sweep.solve(h * self.diffusion / (p.spacing() * p.spacing()), &rates, p.density_mut());
        }
        Ok(())
    }

    /// [`FokkerPlanck::evolve`] in `steps` and in 2 `steps` steps, extrapolated: second order in time. The mass is kept; a density that falls
    /// to nothing within a step can come out negative.
    ///
    /// # Errors
    /// As [`FokkerPlanck::evolve`].
    pub fn evolve_extrapolated(&self, p: &mut Line, from: f64, to: f64, steps: usize) -> Result<()> {
        let mut coarse = p.clone();
        self.evolve(&mut coarse, from, to, steps)?;
        self.evolve(p, from, to, 2 * steps)?;
        for (fine, coarse) in p.density_mut().iter_mut().zip(coarse.density()) {
            *fine += *fine - coarse;
        }
        Ok(())
    }

    /// The rates at time `t`, from w = f dx/D at the faces between the cells.
    fn rates(&self, p: &Line, t: f64, rates: &mut [Rates]) -> Result<()> {
        for (i, rate) in rates.iter_mut().enumerate() {
            let (a, b) = (p.x(i), p.x(i + 1));
            let w = match self.drift {
                Drift::Potential(v) => (v(a) - v(b)) / self.diffusion,
                Drift::Field(f) => f(0.5 * (a + b), t) * (b - a) / self.diffusion,
            };
            if !w.is_finite() {
                return Err(Error::invalid(format!("Fokker-Planck: drift between {a} and {b}"), "finite", w));
            }
            *rate = Rates::of(w);
        }
        Ok(())
    }
}

pub(super) fn check(from: f64, to: f64, steps: usize, diffusion: f64) -> Result<()> {
    if !(from < to && (to - from).is_finite()) {
        return Err(Error::invalid("Fokker-Planck: end", format!("a finite time after the start {from}"), to));
    }
    if steps == 0 {
        return Err(Error::invalid("Fokker-Planck: steps", ">= 1", steps));
    }
    crate::sde::positive("Fokker-Planck: D", diffusion).map(|_| ())
}

/// The rates through a face, in units of D/dx^2: B(-w) from left to right, B(w) back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    right: f64,
    left: f64,
}

impl Rates {
    pub fn of(w: f64) -> Self {
        Rates { right: bernoulli(-w), left: bernoulli(w) }
    }
}

/// One implicit step along a line of cells: (I + h L) p' = p with the fluxes above, by elimination from the left.
pub(super) struct Sweep {
    upper: Vec<f64>,
    rest: Vec<f64>,
}

impl Sweep {
    pub fn new(cells: usize) -> Self {
        Sweep { upper: vec![0.0; cells], rest: vec![0.0; cells] }
    }

    /// `p` becomes p'; `c` = h D/dx^2, `rates` at the n - 1 faces. With r_i = c B(-w_i) the rate from cell i to i + 1 and l_i = c B(w_i) the rate back, row i reads
    ///
    /// -r_(i-1) p'_(i-1) + (1 + l_(i-1) + r_i) p'_i - l_i p'_(i+1) = p_i.
    ///
    /// Columns sum to 1, so the pivots are e_i + r_i with e_i = 1 + l_(i-1) e_(i-1)/(e_(i-1) + r_(i-1)): nothing is subtracted anywhere
    /// (Grassmann, Taksar and Heyman 1985), and every p'_i has a small relative error for every length of step.
    pub fn solve(&mut self, c: f64, rates: &[Rates], p: &mut [f64]) {
        let n = p.len();
        let (mut stay, mut pivot, mut right) = (1.0, 1.0, 0.0);
        for i in 0..n {
            let left = if i > 0 { c * rates[i - 1].left } else { 0.0 };
            let before = if i > 0 { self.rest[i - 1] } else { 0.0 };
            let arrived = p[i] + right * before;
            stay = 1.0 + left * stay / pivot;
            right = if i + 1 < n { c * rates[i].right } else { 0.0 };
            pivot = stay + right;
            self.rest[i] = arrived / pivot;
            self.upper[i] = if i + 1 < n { c * rates[i].left / pivot } else { 0.0 };
        }
        p[n - 1] = self.rest[n - 1];
        for i in (0..n - 1).rev() {
            p[i] = self.rest[i] + self.upper[i] * p[i + 1];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well(x: f64) -> f64 {
        0.25 * x.powi(4) - 0.5 * x * x
    }

    #[test]
    fn mass_and_sign_are_kept_for_every_step() {
        let equation = FokkerPlanck { drift: Drift::Potential(&well), diffusion: 0.32 };
        let mut p = Line::new(-4.0, 4.0, 801, |x| if (x - 0.5).abs() < 0.05 { 1.0 } else { 0.0 }).unwrap();
        for h in [1e-6, 1e-3, 0.1, 10.0, 1e4] {
            let before = p.mass();
            equation.evolve(&mut p, 0.0, h, 1).unwrap();
            assert!((p.mass() - before).abs() <= 1e-13, "{h}: {}", p.mass() - before);
            assert!(p.density().iter().all(|p| *p >= 0.0));
        }
    }

    /// Under (eq. 2) the invariant law stays, on the grid too, whatever the step.
    #[test]
    fn the_discrete_gibbs_law_stays() {
        let gibbs = Line::new(-3.0, 3.0, 300, |x| (-well(x) / 0.32).exp()).unwrap();
        let equation = FokkerPlanck { drift: Drift::Potential(&well), diffusion: 0.32 };
        let mut p = gibbs.clone();
        equation.evolve(&mut p, 0.0, 10.0, 100).unwrap();
        assert!(p.density().iter().zip(gibbs.density()).all(|(a, b)| (a - b).abs() <= 1e-12 * b), "stationary");
        // With the drift at the faces instead, it is only nearly so.
        let field = FokkerPlanck { drift: Drift::Field(&|x, _| x - x.powi(3)), diffusion: 0.32 };
        field.evolve(&mut p, 0.0, 10.0, 100).unwrap();
        let off = p.distance(&gibbs).unwrap();
        assert!((1e-7..1e-2).contains(&off), "{off}");
    }

    #[test]
    fn second_order_in_space() {
        // Against the grid three times finer, whose cells are thirds.
        let at = |cells: usize| {
            let mut p = Line::new(-4.0, 4.0, cells, |x| (-2.0 * (x - 0.3).powi(2)).exp()).unwrap();
            FokkerPlanck { drift: Drift::Field(&|x, _| x - x.powi(3)), diffusion: 0.32 }.evolve(&mut p, 0.0, 0.5, 50).unwrap();
            p.expectation(|x| x.powi(3))
        };
        let (a, b, c) = (at(100), at(300), at(900));
        let slope = ((a - b) / (b - c)).ln() / 3f64.ln();
        assert!((slope - 2.0).abs() <= 0.1, "{slope}");
    }

    #[test]
    fn nonsense_is_refused() {
        let mut p = Line::new(0.0, 1.0, 10, |_| 1.0).unwrap();
        let equation = FokkerPlanck { drift: Drift::Field(&|x, _| 1.0 / (x - 0.5)), diffusion: 1.0 };
        assert!(equation.evolve(&mut p, 0.0, 1.0, 1).unwrap_err().to_string().contains("drift between 0.4"));
        assert!(equation.evolve(&mut p, 1.0, 1.0, 1).is_err() && equation.evolve(&mut p, 0.0, 1.0, 0).is_err());
        assert!(
            Line::new(0.0, 1.0, 2, |_| 1.0).is_err()
                && Line::new(0.0, 1.0, 9, |_| -1.0).is_err()
                && Line::new(1.0, 0.0, 9, |_| 1.0).is_err()
        );
    }
}
