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

/// One draw: `mean` = mu, `plus` = mu + L z, `minus` = mu - L z, and the regression targets at the two points, -L^-T z and +L^-T z
/// for a conditional score.
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
    /// Coordinate `j` of the odd part in z of the target at `plus`: what of it has mean 0 given mu. For a score it is all of it.
    #[inline]
    pub fn odd(&self, j: usize) -> R {
        R::of(0.5) * (self.target_plus[j] - self.target_minus[j])
    }
}

/// The same, to be written.
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

    /// The time at which each draw's points lie.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// Draw `i`.
    pub fn draw(&self, i: usize) -> Draw<'_, R> {
        let d = self.dim;
        let v = &self.values[i * FIELDS * d..][..FIELDS * d];
        Draw { mean: &v[..d], plus: &v[d..2 * d], minus: &v[2 * d..3 * d], target_plus: &v[3 * d..4 * d], target_minus: &v[4 * d..] }
    }

    /// The draws `rows` of `from`, of the same dimension, instead of the ones that are here.
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

/// Where the paths of `n` draws are before the steps that are drawn from: what a simulated path leaves behind, and all that a fresh draw of its last
/// step needs.
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

    /// The data themselves at time 0, with the times that `u` gives: the start of an exact kernel.
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

/// A way to noise data and learn from it: exact kernels and simulated chains alike.
///
/// A draw is made in two parts: [`Noising::start`] runs a path up to the step that is drawn from, [`Noising::finish`] takes that step. Identity (6) and
/// the controls (8)-(12) ask of the first part only that the last step's noise is independent of it. So one path may be finished any number of times,
/// each time with fresh noise: every draw has the law that it should have, and draws of one path are dependent.
pub trait Noising<R: Real>: Send + Sync {
    /// The dimension d.
    fn dim(&self) -> usize;
    /// Draws taken from each path.
    fn draws_per_path(&self) -> usize;
    /// 1/(T q(t)), q the density of the draws' times: what a function of the time is multiplied with so that its mean over draws is that over [0, T]. On
    /// a fixed grid the integral is the sum over the steps with the function at their ends.
    fn importance(&self, t: f64) -> f64;
    /// The length of the step that ends at time `t`.
    fn step_length(&self, t: f64) -> f64;
    /// Runs the paths that start at the rows of `x0` [n, d] up to the steps that are drawn from, for draw j of path i at index
    /// i * draws_per_path + j. `u`: for each draw a number in (0, 1) from which its time is made by the inverse of the law of times.
    ///
    /// # Errors
    /// Shapes that do not fit; a path that reaches NaN or infinity.
    fn start(&self, x0: &[R], u: &[f64], paths: Paths, out: &mut Starts<R>) -> Result<()>;
    /// Takes the steps that are drawn from.
    ///
    /// # Errors
    /// Shapes that do not fit; a draw that is NaN or infinite.
    fn finish(&self, starts: &Starts<R>, paths: Paths, out: &mut Draws<R>) -> Result<()>;
    /// Both, with the purposes [`Purpose::Path`] and [`Purpose::Noise`] whatever that of `paths` is: with one stream for both, the last step's noise
    /// would be that of the first. Noises the paths that start at the rows of `x0` [n, d] and writes draw j of path i at index i * draws_per_path + j of `out`.
    /// `u`: for each draw a number in (0, 1) from which its time is made by the inverse of the law of times.
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
