use crate::{Error, Result};

/// A density on equal cells of an interval: cell i has its middle at `low` + (i + 1/2) dx, and p_i is its
/// mean density.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    low: f64,
    dx: f64,
    p: Vec<f64>,
}

/// Cells of a grid, at most.
const MOST: usize = 1 << 24;

impl Line {
    /// `cells` cells on [`low`, `high`], with the density `p`, scaled to mass 1.
    ///
    /// # Errors
    /// An interval that does not rise; fewer than three cells; a density that is negative, not finite, or
    /// zero everywhere.
    pub fn new(low: f64, high: f64, cells: usize, p: impl Fn(f64) -> f64) -> Result<Self> {
        if !(low < high && (high - low).is_finite()) {
            return Err(Error::invalid("grid: high", format!("a finite number above low = {low}"), high));
        }
        if !(3..=MOST).contains(&cells) {
            return Err(Error::invalid("grid: cells", format!("in 3..={MOST}"), cells));
        }
        let dx = (high - low) / cells as f64;
        let mut line = Line { low, dx, p: vec![0.0; cells] };
        for i in 0..cells {
            let (x, value) = (line.x(i), p(line.x(i)));
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::invalid(format!("grid: density at {x}"), "a finite number >= 0", value));
            }
            line.p[i] = value;
        }
        let mass = line.mass();
        if !(mass > 0.0 && mass.is_finite()) {
            return Err(Error::invalid("grid: mass of the density", "a finite number > 0", mass));
        }
        line.p.iter_mut().for_each(|p| *p /= mass);
        Ok(line)
    }

    /// The middle of cell `i`.
    #[inline]
    pub fn x(&self, i: usize) -> f64 {
        self.low + (i as f64 + 0.5) * self.dx
    }
    /// dx.
    pub fn spacing(&self) -> f64 {
        self.dx
    }
    /// The densities p_i.
    pub fn density(&self) -> &[f64] {
        &self.p
    }
    pub(crate) fn density_mut(&mut self) -> &mut Vec<f64> {
        &mut self.p
    }
    /// dx sum p_i.
    pub fn mass(&self) -> f64 {
        self.expectation(|_| 1.0)
    }
    /// E f(X) by the midpoint rule.
    pub fn expectation(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.dx * self.p.iter().enumerate().map(|(i, p)| p * f(self.x(i))).sum::<f64>()
    }
    /// int |p - q| dx.
    ///
    /// # Errors
    /// Different grids.
    pub fn distance(&self, other: &Self) -> Result<f64> {
        if (self.low, self.dx, self.p.len()) != (other.low, other.dx, other.p.len()) {
            return Err(Error::shape("distance of densities", "two densities on one grid", &[&[self.p.len()], &[other.p.len()]]));
        }
        Ok(self.dx * self.p.iter().zip(&other.p).map(|(p, q)| (p - q).abs()).sum::<f64>())
    }
    /// d ln p / dx at the middles, by central differences of the second order, one-sided at the ends. Where p
    /// is 0 it is NaN.
    pub fn score(&self) -> Vec<f64> {
        let last = self.p.len() - 1;
        (0..=last)
            .map(|i| {
                let (a, b) = (i.saturating_sub(1), (i + 1).min(last));
                (self.p[b].ln() - self.p[a].ln()) / ((b - a) as f64 * self.dx)
            })
            .collect()
    }
    /// The distribution function at the right ends of the cells.
    pub fn cumulative(&self) -> Vec<f64> {
        let mut sum = 0.0;
        self.p.iter().map(|p| (sum += p * self.dx, sum).1).collect()
    }
    /// The point below which a share `u` in [0, 1] of the mass lies, linear inside of a cell.
    pub fn quantile(&self, u: f64) -> f64 {
        let cumulative = self.cumulative();
        let target = u.clamp(0.0, 1.0) * cumulative[cumulative.len() - 1];
        let i = cumulative.partition_point(|c| *c < target).min(self.p.len() - 1);
        let before = if i == 0 { 0.0 } else { cumulative[i - 1] };
        let share = if self.p[i] > 0.0 { (target - before) / (self.p[i] * self.dx) } else { 0.5 };
        self.low + (i as f64 + share.clamp(0.0, 1.0)) * self.dx
    }
}
