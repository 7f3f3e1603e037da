//! Draws from one-step laws, with the targets that their conditional scores give.

use super::TimeLaw;
use crate::rng::Purpose;
use crate::sde::Paths;
use crate::{Real, Result};

/// `n` draws in `d` dimensions, stored draw by draw.
#[derive(Debug, Clone)]
pub struct Draws<R> {
    dim: usize,
    values: Vec<R>,
    times: Vec<f64>,
}

/// One draw: the mean mu of the step, the points mu + L z and mu - L z, and the regression targets at these
/// two points. For a conditional score the targets are -L^-T z and +L^-T z.
#[derive(Debug, Clone, Copy)]
pub struct Draw<'a, R> {
    /// mu, the mean of the step.
    pub mean: &'a [R],
    /// mu + L z.
    pub plus: &'a [R],
    /// mu - L z.
    pub minus: &'a [R],
    /// Target at `plus`.
    pub target_plus: &'a [R],
    /// Target at `minus`.
    pub target_minus: &'a [R],
}

impl<R: Real> Draw<'_, R> {
    /// Coordinate `j` of (y(z) - y(-z)) / 2, the part of the target y that is odd in z: it has mean 0 given
    /// mu. A score is odd as it is.
    #[inline]
    pub fn odd(&self, j: usize) -> R {
        R::of(0.5) * (self.target_plus[j] - self.target_minus[j])
    }
}

/// A [`Draw`] to be written.
#[derive(Debug)]
pub struct DrawMut<'a, R> {
    /// mu.
    pub mean: &'a mut [R],
    /// mu + L z.
    pub plus: &'a mut [R],
    /// mu - L z.
    pub minus: &'a mut [R],
    /// Target at `plus`.
    pub target_plus: &'a mut [R],
    /// Target at `minus`.
    pub target_minus: &'a mut [R],
}

/// Vectors of a draw.
pub(crate) const FIELDS: usize = 5;

impl<R: Real> Draws<R> {
    /// Room for `n` draws.
    pub fn new(n: usize, dim: usize) -> Self {
        Draws { dim, values: vec![R::zero(); n * FIELDS * dim], times: vec![0.0; n] }
    }

    /// The dimension d.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The number of draws.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The time of each draw's points.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// Draw `i`.
    pub fn draw(&self, i: usize) -> Draw<'_, R> {
        let d = self.dim;
        let v = &self.values[i * FIELDS * d..][..FIELDS * d];
        Draw { mean: &v[..d], plus: &v[d..2 * d], minus: &v[2 * d..3 * d], target_plus: &v[3 * d..4 * d], target_minus: &v[4 * d..] }
    }

    /// Replaces all draws by the draws `rows` of `from`, which has the same dimension.
    pub(crate) fn copy_rows(&mut self, from: &Draws<R>, rows: &[usize]) {
        let width = FIELDS * self.dim;
        self.values.clear();
        self.times.clear();
        for i in rows {
            self.values.extend_from_slice(&from.values[i * width..][..width]);
            self.times.push(from.times[*i]);
        }
    }

    /// All values and all times, to be filled block by block.
    pub(crate) fn parts_mut(&mut self) -> (&mut [R], &mut [f64]) {
        (&mut self.values, &mut self.times)
    }
}

impl<'a, R> DrawMut<'a, R> {
    /// Draw `i` of a block of values.
    #[inline(always)]
    pub(crate) fn of(values: &'a mut [R], i: usize, d: usize) -> Self {
        let v = &mut values[i * FIELDS * d..][..FIELDS * d];
        let (mean, v) = v.split_at_mut(d);
        let (plus, v) = v.split_at_mut(d);
        let (minus, v) = v.split_at_mut(d);
        let (target_plus, target_minus) = v.split_at_mut(d);
        DrawMut { mean, plus, minus, target_plus, target_minus }
    }
}

/// Where the paths of `n` draws are before their last steps, which are drawn from. A fresh draw of a last
/// step needs nothing else of the path.
#[derive(Debug, Clone, PartialEq)]
pub struct Starts<R> {
    dim: usize,
    points: Vec<R>,
    /// (from, to) of each step.
    times: Vec<[f64; 2]>,
}

impl<R: Real> Starts<R> {
    /// Room for `n` draws.
    pub fn new(n: usize, dim: usize) -> Self {
        Starts { dim, points: vec![R::zero(); n * dim], times: vec![[0.0; 2]; n] }
    }

    /// The dimension d.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The number of draws.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Sets the starts of an exact kernel: the data at time 0, and the times to which `u` leads.
    pub(crate) fn set_starts(&mut self, x0: &[R], u: &[f64], law: &TimeLaw) {
        self.points.copy_from_slice(x0);
        self.times.iter_mut().zip(u).for_each(|(t, u)| *t = [0.0, law.quantile(*u)]);
    }

    /// Points [n, d] and times.
    pub(crate) fn parts(&self) -> (&[R], &[[f64; 2]]) {
        (&self.points, &self.times)
    }

    /// The same, to be filled block by block.
    pub(crate) fn parts_mut(&mut self) -> (&mut [R], &mut [[f64; 2]]) {
        (&mut self.points, &mut self.times)
    }
}

/// A way to noise data and to learn from it: an exact kernel, or a simulated chain.
///
/// A draw is made in two parts: [`Noising::start`] runs a path up to its last step, and [`Noising::finish`]
/// takes the last step. Identity (6) and the controls (8)-(12) require only that the noise of the last step
/// is independent of the first part. So one path may be finished any number of times, each time with fresh
/// noise: every draw has its right law, and draws of one path are dependent.
pub trait Noising<R: Real>: Send + Sync {
    /// The dimension d.
    fn dim(&self) -> usize;
    /// Draws taken from each path.
    fn draws_per_path(&self) -> usize;
    /// The weight 1/(T q(t)), q the density of the draws' times: the mean over draws of a function of time
    /// times this weight is the function's mean over [0, T]. On a fixed grid that mean is a sum over the
    /// steps, with the function at their ends.
    fn importance(&self, t: f64) -> f64;
    /// The length of the step that ends at time `t`.
    fn step_length(&self, t: f64) -> f64;
    /// Runs the paths that start at the rows of `x0` [n, d] up to their last steps; draw j of path i has the
    /// index i * draws_per_path + j. `u`: a number in (0, 1) for each draw, which the inverse distribution
    /// function of the times makes its time.
    ///
    /// # Errors
    /// Shapes that do not fit; a path that reaches NaN or infinity.
    fn start(&self, x0: &[R], u: &[f64], paths: Paths, out: &mut Starts<R>) -> Result<()>;
    /// Takes the last steps.
    ///
    /// # Errors
    /// Shapes that do not fit; a draw that is NaN or infinite.
    fn finish(&self, starts: &Starts<R>, paths: Paths, out: &mut Draws<R>) -> Result<()>;
    /// [`Noising::start`] and [`Noising::finish`] in one. They take the purposes [`Purpose::Path`] and
    /// [`Purpose::Noise`], whatever the purpose of `paths` is: with one stream for both, the noise of the
    /// last step would be that of the first.
    ///
    /// # Errors
    /// Shapes that do not fit; a path that reaches NaN or infinity.
    fn draw(&self, x0: &[R], u: &[f64], paths: Paths, out: &mut Draws<R>) -> Result<()> {
        let mut starts = Starts::new(u.len(), self.dim());
        self.start(x0, u, Paths { purpose: Purpose::Path, ..paths }, &mut starts)?;
        self.finish(&starts, Paths { purpose: Purpose::Noise, ..paths }, out)
    }
}

/// Checks the arguments of [`Noising::finish`].
pub(crate) fn check_finish<R: Real>(place: &str, noising: &impl Noising<R>, starts: &Starts<R>, out: &Draws<R>) -> Result<()> {
    if starts.len() == out.len() && [starts.dim(), out.dim()] == [noising.dim(); 2] {
        return Ok(());
    }
    let expected = format!("as many starts and draws in {} dimensions", noising.dim());
    Err(crate::Error::shape(place, expected, &[&[starts.len(), starts.dim()], &[out.len(), out.dim()]]))
}

/// Checks the arguments of [`Noising::start`].
pub(crate) fn check_start<R: Real>(place: &str, noising: &impl Noising<R>, x0: &[R], u: &[f64], out: &Starts<R>) -> Result<()> {
    let (d, m) = (noising.dim(), noising.draws_per_path());
    crate::sde::check_rows(place, x0, d)?;
    let n = x0.len() / d * m;
    if u.len() == n && out.len() == n && out.dim() == d {
        return Ok(());
    }
    let expected = format!("[n, {d}] starts, {m} time(s) per path and as many draws");
    Err(crate::Error::shape(place, expected, &[&[x0.len() / d, d], &[u.len()], &[out.len(), out.dim()]]))
}
