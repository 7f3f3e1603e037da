use super::fokker_planck::{Rates, Sweep, check};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

/// A density on a grid of cells of a rectangle, [n_x, n_y], and the Fokker-Planck equation there: dX = -grad
/// V dt + sigma dB, D = sigma^2/2, with the fluxes of [`super::FokkerPlanck`] along both axes.
///
/// A step is an implicit sweep along x, then one along y (Lie splitting). Each keeps the mass, the sign, and
/// p ~ e^(-V/D) as it is; so does their product, for every length of step.
///
/// ```
/// use ndsm::transition::Plane;
/// let mut p = Plane::new([-5.0, -5.0], [5.0, 5.0], [100, 100], |x, y| (-(x - 1.0) * (x - 1.0) - y * y).exp())?;
/// p.evolve(&|x, y| 0.5 * (x * x + y * y), 1.0, 0.0, 20.0, 40)?;
/// assert!((p.mass() - 1.0).abs() < 1e-12);
/// assert!((p.expectation(|x, _| x * x) - 1.0).abs() < 1e-3); // N(0, I)
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Plane {
    low: [f64; 2],
    spacing: [f64; 2],
    p: Array2<f64>,
}

impl Plane {
    /// `cells` cells between the corners `low` and `high`, with the density `p`, scaled to mass 1.
    ///
    /// # Errors
    /// Corners that do not rise; fewer than three cells along an axis; a density that is negative, not
    /// finite, or zero everywhere.
    pub fn new(low: [f64; 2], high: [f64; 2], cells: [usize; 2], p: impl Fn(f64, f64) -> f64) -> Result<Self> {
        for j in 0..2 {
            if !(low[j] < high[j] && (high[j] - low[j]).is_finite()) {
                return Err(Error::invalid(format!("grid: high[{j}]"), format!("a finite number above low[{j}] = {}", low[j]), high[j]));
            }
            if !(3..=1 << 14).contains(&cells[j]) {
                return Err(Error::invalid(format!("grid: cells[{j}]"), "in 3..=16384", cells[j]));
            }
        }
        let spacing = [0, 1].map(|j| (high[j] - low[j]) / cells[j] as f64);
        let mut plane = Plane { low, spacing, p: Array2::zeros((cells[0], cells[1])) };
        plane.p = Array2::from_shape_fn((cells[0], cells[1]), |(i, j)| p(plane.at(0, i), plane.at(1, j)));
        if let Some(((i, j), value)) = plane.p.indexed_iter().find(|(_, p)| !(**p >= 0.0 && p.is_finite())) {
            let place = format!("grid: density at ({}, {})", plane.at(0, i), plane.at(1, j));
            return Err(Error::invalid(place, "a finite number >= 0", value));
        }
        let mass = plane.mass();
        if !(mass > 0.0 && mass.is_finite()) {
            return Err(Error::invalid("grid: mass of the density", "a finite number > 0", mass));
        }
        plane.p /= mass;
        Ok(plane)
    }

    /// The middle of cell `i` along `axis` (0 or 1).
    fn at(&self, axis: usize, i: usize) -> f64 {
        self.low[axis] + (i as f64 + 0.5) * self.spacing[axis]
    }
    /// The middle of cell (i, j).
    pub fn point(&self, i: usize, j: usize) -> [f64; 2] {
        [self.at(0, i), self.at(1, j)]
    }
    /// The densities, [n_x, n_y].
    pub fn density(&self) -> ArrayView2<'_, f64> {
        self.p.view()
    }
    /// The integral of the density.
    pub fn mass(&self) -> f64 {
        self.expectation(|_, _| 1.0)
    }
    /// E f(X, Y) by the midpoint rule.
    pub fn expectation(&self, f: impl Fn(f64, f64) -> f64) -> f64 {
        let sum: f64 = self.p.indexed_iter().map(|((i, j), p)| p * f(self.at(0, i), self.at(1, j))).sum();
        sum * self.spacing[0] * self.spacing[1]
    }
    /// grad ln p in cell (i, j), by central differences, one-sided at the border.
    pub fn score(&self, i: usize, j: usize) -> [f64; 2] {
        let (n, m) = self.p.dim();
        let ends = |i: usize, n: usize| (i.saturating_sub(1), (i + 1).min(n - 1));
        let ((a, b), (c, d)) = (ends(i, n), ends(j, m));
        let slope = |p: f64, q: f64, cells: usize, dx: f64| (p.ln() - q.ln()) / (cells as f64 * dx);
        [slope(self.p[[b, j]], self.p[[a, j]], b - a, self.spacing[0]), slope(self.p[[i, d]], self.p[[i, c]], d - c, self.spacing[1])]
    }

    /// Moves the density in the potential `v` from `from` to `to` in `steps` steps.
    ///
    /// # Errors
    /// Times that do not rise, no step, D not positive, a potential that is not finite.
    pub fn evolve(&mut self, v: &dyn Fn(f64, f64) -> f64, diffusion: f64, from: f64, to: f64, steps: usize) -> Result<()> {
        check(from, to, steps, diffusion)?;
        let h = (to - from) / steps as f64;
        let potential = Array2::from_shape_fn(self.p.dim(), |(i, j)| v(self.at(0, i), self.at(1, j)));
        if let Some(((i, j), v)) = potential.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(Error::invalid(format!("Fokker-Planck: potential at ({}, {})", self.at(0, i), self.at(1, j)), "finite", v));
        }
        let mut axes = [0, 1].map(|axis| {
            let cells = self.p.len_of(Axis(axis));
            let faces = |v: ArrayView1<f64>| (1..cells).map(|i| Rates::of((v[i - 1] - v[i]) / diffusion)).collect::<Vec<_>>();
            let rates: Vec<Vec<Rates>> = potential.lanes(Axis(axis)).into_iter().map(faces).collect();
            let c = h * diffusion / (self.spacing[axis] * self.spacing[axis]);
            (Axis(axis), c, rates, Sweep::new(cells), vec![0.0; cells])
        });
        for _ in 0..steps {
            for (axis, c, rates, sweep, line) in &mut axes {
                for (mut p, rates) in self.p.lanes_mut(*axis).into_iter().zip(rates) {
                    line.iter_mut().zip(&p).for_each(|(l, p)| *l = *p);
                    sweep.solve(*c, rates, line);
                    p.iter_mut().zip(&*line).for_each(|(p, l)| *p = *l);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wells at (1, 1) and (-1, -1), not separable.
    fn wells(x: f64, y: f64) -> f64 {
        0.25 * (x * x - 1.0).powi(2) + (y - x).powi(2)
    }

    #[test]
    fn mass_sign_and_gibbs_law_are_kept() {
        let d = 0.3;
        let gibbs = Plane::new([-3.0, -4.0], [3.0, 4.0], [60, 81], |x, y| (-wells(x, y) / d).exp()).unwrap();
        let mut p = gibbs.clone();
        p.evolve(&wells, d, 0.0, 5.0, 10).unwrap();
        assert!(p.p.iter().zip(&gibbs.p).all(|(a, b)| (a - b).abs() <= 1e-12 * b));
        let mut p = Plane::new([-3.0, -4.0], [3.0, 4.0], [60, 81], |x, y| f64::from(x.abs() < 0.2 && y.abs() < 0.2)).unwrap();
        for h in [1e-4, 0.1, 100.0] {
            let before = p.mass();
            p.evolve(&wells, d, 0.0, h, 1).unwrap();
            assert!((p.mass() - before).abs() <= 1e-13 && p.p.iter().all(|p| *p >= 0.0), "{h}");
        }
    }

    #[test]
    fn a_product_of_laws_stays_one() {
        // Ornstein and Uhlenbeck, rate 1 and D = 1: mean e^-t, variance 1 - (1 - v0) e^-2t.
        let mut p = Plane::new([-6.0, -6.0], [6.0, 6.0], [240, 60], |x, y| (-(x - 1.0).powi(2) - 0.5 * y * y).exp()).unwrap();
        p.evolve(&|x, y| 0.5 * (x * x + y * y), 1.0, 0.0, 1.0, 800).unwrap();
        let mean = p.expectation(|x, _| x);
        assert!((mean - (-1f64).exp()).abs() <= 1e-3, "{mean}");
        let variance = p.expectation(|x, _| (x - mean).powi(2));
        assert!((variance - 1.0 + 0.5 * (-2f64).exp()).abs() <= 2e-3, "{variance}");
        let [s, _] = p.score(140, 30);
        assert!((s + (p.point(140, 30)[0] - mean) / variance).abs() <= 1e-2);
    }
}
