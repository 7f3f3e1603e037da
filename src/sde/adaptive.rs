//! Steps that adapt to each path, without a bias.

use super::brownian::{Clocks, Tree};
use super::{Increment, Integrator, Needs, Paths, Sde, Step, check_rows, positive};
use crate::par;
use crate::simd::{Kernel, W, dispatch, load, store};
use crate::{Error, Real, Result};

/// A method that estimates the error of its step by a difference of two evaluations of the equation, so that
/// the estimate is 0 where the equation's coefficients are constant.
pub trait Embedded<R: Real, S: Sde<R>>: Integrator<R, S> {
    /// The estimate for the step just taken, `out` `[d]`, paths last.
    fn error<const FMA: bool>(
        &self,
        sde: &S,
        step: &Step,
        path: Increment<'_, R>,
        out: &mut [[R; W]],
        memory: &mut Self::Memory,
        scratch: &mut S::Scratch,
    );
}

/// How large the estimated error of a step may be: the root mean square over the coordinates of error_j /
/// (absolute + relative |x_j|) must not exceed 1, |x_j| the larger one of the step's two ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// In units of x.
    pub absolute: f64,
    /// Relative to x.
    pub relative: f64,
    /// The step is doubled where the longer one's error, in units of what is allowed, is expected to stay
    /// below this. Small values reject few steps. Values above 1 try steps that are likely to be rejected,
    /// and keep those that pass by luck: that biases the law, by several times the tolerance where it is
    /// loose, and less and less as it gets smaller.
    pub safety: f64,
}

/// A thousandth, absolute and relative, with a safety of 1/2.
impl Default for Tolerance {
    fn default() -> Self {
        Tolerance { absolute: 1e-3, relative: 1e-3, safety: 0.5 }
    }
}

/// Steps taken by all paths together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps that were kept.
    pub accepted: u64,
    /// Steps that were tried and halved.
    pub rejected: u64,
}

/// Times are fractions k/2^LEVELS of the way; no step is shorter than one.
const LEVELS: u32 = 40;
/// A path that needs more steps than this is given up.
const MOST_STEPS: u64 = 10_000_000;
/// The first step. A path may start where the drift vanishes, and then the estimate of any step can be 0 by
/// chance: long steps must be grown into (by alignment no step is longer than the way behind it).
const FIRST: u64 = WAY >> 10;
/// What is expected of a step, by the growth of estimates like h^(3/2), is the largest of the path's
/// estimates, each worth less by this factor for every step since. A single estimate can be small by chance;
/// to lengthen steps on such chances, and to keep some of them by another, biases the law.
const MEMORY: f64 = 0.9;

/// Moves the paths `x` [n, d] of `sde` from `from` to `to`, each with its own steps, in place.
///
/// Steps are the intervals [j, j + 1] 2^-k (to - from): a step that is rejected is halved, and doubled again
/// only where a longer interval starts. So every rejected end point is met later, and no step looks ahead
/// along a path that it then leaves: the Brownian path, a [`Tree`], is the same whatever steps are tried, and
/// what was seen of it stays in the solution. (To redraw the noise after a rejection, or to skip the end
/// point that led to it, biases the law: Jelincic et al. 2024.) A path does not depend on those beside it.
///
/// ```
/// use ndsm::rng::Purpose;
/// use ndsm::sde::{DoubleWell, Paths, Sra1, Tolerance, adaptive};
/// let mut x = vec![30.0f64; 100]; // far up the wall: steps must be short at first
/// let tolerance = Tolerance { absolute: 1e-3, relative: 1e-3, ..Tolerance::default() };
/// let paths = Paths { seed: 0, purpose: Purpose::Test, step: 0 };
/// let counts = adaptive(&Sra1, &DoubleWell::new(1, 0.5)?, 0.0, 4.0, &mut x, tolerance, paths)?;
/// assert!(x.iter().all(|x| x.abs() < 3.0) && counts.accepted > counts.rejected);
/// # Ok::<(), ndsm::Error>(())
/// ```
///
/// # Errors
/// `Shape` if `x` is not whole rows; an interval or a tolerance that is not positive; `NonFinite` with the
/// path and the time where no step is short enough.
pub fn adaptive<R, S, I>(method: &I, sde: &S, from: f64, to: f64, x: &mut [R], tolerance: Tolerance, paths: Paths) -> Result<Counts>
where
    R: Real,
    S: Sde<R>,
    I: Embedded<R, S>,
{
    let d = sde.dim();
    check_rows("adaptive", x, d)?;
    positive("adaptive: tolerance.absolute", tolerance.absolute)?;
    if !(tolerance.relative >= 0.0 && tolerance.relative.is_finite()) {
        return Err(Error::invalid("adaptive: tolerance.relative", "a finite number >= 0", tolerance.relative));
    }
    positive("adaptive: tolerance.safety", tolerance.safety)?;
    let tree = Tree::new(paths, &[from, to])?;
    let mut blocks: Vec<Option<_>> = x.chunks(W * d).map(|_| None).collect();
    par::each((par::chunks_mut(x, W * d), par::chunks_mut(&mut blocks, 1)), |chunk, (rows, out)| {
        let zero = vec![[R::zero(); W]; d];
        let m = sde.noises();
        let areas = if I::CLAIMS.needs == Needs::Wh { m } else { 0 };
        let block = AdaptiveBlock {
            x: zero.clone(),
            tried: zero.clone(),
            error: zero,
            w: vec![[R::zero(); W]; m],
            h: vec![[R::zero(); W]; areas],
            memory: method.memory(sde),
            scratch: sde.scratch(),
        };
        let run = Run { method, sde, interval: (from, to), tolerance, rows, clocks: tree.clocks(chunk, m), block };
        out[0] = Some(dispatch(run).map_err(|stuck| (chunk, stuck)));
    });
    let mut counts = Counts::default();
    for block in blocks.into_iter().flatten() {
        let block = block.map_err(|(chunk, stuck)| Error::NonFinite {
            place: format!(
                "path {} by the method {}, at time {}, where no step is short enough",
                chunk * W + stuck.lane,
                I::CLAIMS.name,
                stuck.t
            ),
            step: stuck.steps as usize,
            remedy: "look at the drift there, or raise the tolerance".into(),
        })?;
        counts.accepted += block.accepted;
        counts.rejected += block.rejected;
    }
    Ok(counts)
}

struct AdaptiveBlock<R, M, S> {
    x: Vec<[R; W]>,
    tried: Vec<[R; W]>,
    error: Vec<[R; W]>,
    w: Vec<[R; W]>,
    h: Vec<[R; W]>,
    memory: M,
    scratch: S,
}

/// Where a path gave up.
struct Stuck {
    lane: usize,
    t: f64,
    steps: u64,
}

/// Where a path is, and the length of its next step, both in units of 2^-LEVELS of the way.
#[derive(Clone, Copy)]
struct Progress {
    at: u64,
    step: u64,
    steps: u64,
    /// The estimate that is expected, over (step length)^(3/2).
    rate: f64,
}

const WAY: u64 = 1 << LEVELS;

impl Progress {
    /// Start and end of the next step; of a path that has arrived, some step that will not count.
    fn next(&self) -> (u64, u64) {
        if self.at == WAY { (WAY - self.step, WAY) } else { (self.at, self.at + self.step) }
    }

    /// The estimate to be expected of a step of this length, given this one's.
    fn learn(&mut self, error: f64) {
        let rate = error / (self.step as f64).powf(1.5);
        self.rate = rate.max(MEMORY * self.rate);
    }

    fn expected(&self, step: u64) -> f64 {
        self.rate * (step as f64).powf(1.5)
    }
}

struct Run<'a, R: Real, S: Sde<R>, I: Embedded<R, S>> {
    method: &'a I,
    sde: &'a S,
    interval: (f64, f64),
    tolerance: Tolerance,
    rows: &'a mut [R],
    clocks: Clocks<'a, R>,
    block: AdaptiveBlock<R, I::Memory, S::Scratch>,
}

impl<R: Real, S: Sde<R>, I: Embedded<R, S>> Kernel for Run<'_, R, S, I> {
    const VECTORS: bool = R::VECTORS;
    type Output = std::result::Result<Counts, Stuck>;
    #[inline(always)]
    fn run<const FMA: bool>(mut self) -> Self::Output {
        let (from, to) = self.interval;
        let time = |k: u64| if k == WAY { to } else { from + (to - from) * (k as f64 / WAY as f64) };
        let b = &mut self.block;
        load(self.rows, &mut b.x);
        let mut paths = [Progress { at: WAY, step: FIRST, steps: 0, rate: 0.0 }; W];
        for progress in paths.iter_mut().take(self.rows.len() / b.x.len()) {
            progress.at = 0;
        }
        let mut counts = Counts::default();
        while paths.iter().any(|c| c.at < WAY) {
            let (mut start, mut end) = ([from; W], [to; W]);
            for i in 0..W {
                let (s, u) = paths[i].next();
                (start[i], end[i]) = (time(s), time(u));
            }
            let step = Step::lanes(start, end);
            // Inside of the tree's cell by construction.
            if self.clocks.increments::<FMA>(&start, &end, &mut b.w, &mut b.h, &mut []).is_err() {
                return Err(Stuck { lane: 0, t: from, steps: 0 });
            }
            let path = Increment { w: &b.w, h: &b.h };
            b.tried.copy_from_slice(&b.x);
            self.method.step::<FMA>(self.sde, &step, path, &mut b.tried, &mut b.memory, &mut b.scratch);
            self.method.error::<FMA>(self.sde, &step, path, &mut b.error, &mut b.memory, &mut b.scratch);
            let error = self.tolerance.size(&b.x, &b.tried, &b.error);
            for i in 0..W {
                let progress = &mut paths[i];
                if progress.at == WAY {
                    continue;
                }
                progress.steps += 1;
                progress.learn(error[i]);
                if error[i] <= 1.0 {
                    counts.accepted += 1;
                    progress.at += progress.step;
                    for (x, tried) in b.x.iter_mut().zip(&b.tried) {
                        x[i] = tried[i];
                    }
                    let longer = 2 * progress.step;
                    if progress.at % longer == 0 && progress.at < WAY && progress.expected(longer) < self.tolerance.safety {
                        progress.step *= 2;
                    }
                } else if progress.step > 1 && progress.steps < MOST_STEPS {
                    counts.rejected += 1;
                    progress.step /= 2;
                } else {
                    return Err(Stuck { lane: i, t: start[i], steps: progress.steps });
                }
            }
        }
        store(&b.x, self.rows);
        Ok(counts)
    }
}

impl Tolerance {
    /// The error of every path in units of what is allowed; NaN where a step left the numbers.
    #[inline(always)]
    fn size<R: Real>(self, x: &[[R; W]], moved: &[[R; W]], error: &[[R; W]]) -> [f64; W] {
        let (absolute, relative) = (R::of(self.absolute), R::of(self.relative));
        let mut sum = [R::zero(); W];
        for ((x, y), e) in x.iter().zip(moved).zip(error) {
            for i in 0..W {
                let (a, b) = (x[i].abs(), y[i].abs());
                let larger = if a > b { a } else { b };
                let ratio = e[i] / (absolute + relative * larger);
                // An infinite end must not pass for a small relative error.
                sum[i] += if larger.is_finite() { ratio * ratio } else { R::nan() };
            }
        }
        let mut out = [0.0; W];
        for i in 0..W {
            out[i] = (sum[i].f64() / x.len() as f64).sqrt();
        }
        out
    }
}
