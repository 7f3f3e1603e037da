//! Brownian paths that several step sizes share, and the walk of a method along one.

use crate::par;
use crate::rng::{Purpose, Stream};
use crate::sde::tableau::{self, Stages};
use crate::sde::{Claims, Increment, Integrator, Needs, Noise, NoiseKind, Sde, Step, Tableau};
use crate::simd::{Kernel, W, dispatch};
use std::ops::{Range, RangeInclusive};

/// (W, H) of m Brownian motions over 2^k steps of [0, 1] and over some more behind it, for W paths.
#[derive(Debug, Clone)]
pub struct Path {
    /// Steps in [0, 1].
    count: usize,
    noises: usize,
    w: Vec<[f64; W]>,
    area: Vec<[f64; W]>,
}

impl Path {
    /// Draws block `chunk`; `behind` more steps follow the time 1.
    pub fn draw(seed: u64, chunk: u32, noises: usize, count: usize, behind: usize) -> Self {
        let h = 1.0 / count as f64;
        let normals = |purpose, sd: f64| {
            let mut z = vec![[0.0; W]; (count + behind) * noises];
            Stream::new(seed, purpose, 0, chunk).fill_normal(z.as_flattened_mut());
            z.as_flattened_mut().iter_mut().for_each(|z| *z *= sd);
            z
        };
        Path { count, noises, w: normals(Purpose::Test, h.sqrt()), area: normals(Purpose::TestArea, (h / 12.0).sqrt()) }
    }

    /// The same paths in steps twice as long, by Chen's relation: W = W1 + W2, H = (H1 + H2)/2 + (W1 - W2)/4.
    fn coarser(&self) -> Self {
        let m = self.noises;
        let mut out = Path { count: self.count / 2, noises: m, w: vec![], area: vec![] };
        for (w, area) in self.w.chunks_exact(2 * m).zip(self.area.chunks_exact(2 * m)) {
            for k in 0..m {
                let (mut sum, mut mean) = ([0.0; W], [0.0; W]);
                for i in 0..W {
                    sum[i] = w[k][i] + w[m + k][i];
                    mean[i] = 0.5 * (area[k][i] + area[m + k][i]) + 0.25 * (w[k][i] - w[m + k][i]);
                }
                out.w.push(sum);
                out.area.push(mean);
            }
        }
        out
    }

    /// The step size.
    pub fn h(&self) -> f64 {
        1.0 / self.count as f64
    }

    /// The steps in [0, 1]: number, W and H, m blocks each.
    pub fn steps(&self) -> impl Iterator<Item = (usize, &[[f64; W]], &[[f64; W]])> {
        let both = self.w.chunks_exact(self.noises).zip(self.area.chunks_exact(self.noises));
        both.take(self.count).enumerate().map(|(n, (w, area))| (n, w, area))
    }
}

/// One block of paths in several resolutions, and where the exact solution ends.
#[derive(Debug, Default)]
pub struct SolvedBlock {
    /// By rising step size.
    pub levels: Vec<Path>,
    /// X_1, d blocks.
    pub end: Vec<[f64; W]>,
}

/// Where the solution of an equation ends on a path, d blocks.
pub type Solution<'a> = &'a (dyn Fn(&Path, &mut [[f64; W]]) + Sync);

/// The blocks `chunks` of W paths of `noises` Brownian motions in steps of 2^-k, k in `powers`, solved on
/// steps of 2^-`finest`.
pub fn bank(
    solution: Solution<'_>,
    [dim, noises]: [usize; 2],
    chunks: Range<u32>,
    powers: RangeInclusive<u32>,
    finest: u32,
    seed: u64,
) -> Vec<SolvedBlock> {
    let one = |chunk: usize| {
        let count = 1 << finest;
        let mut path = Path::draw(seed, chunks.start + chunk as u32, noises, count, count >> powers.start());
        let mut block = SolvedBlock { levels: vec![], end: vec![[0.0; W]; dim] };
        solution(&path, &mut block.end);
        for k in (*powers.start()..=finest).rev() {
            let coarser = path.coarser();
            let level = std::mem::replace(&mut path, coarser);
            if powers.contains(&k) {
                block.levels.push(level);
            }
        }
        block
    };
    par::map(chunks.len(), one)
}

/// A method and an equation behind one pointer: what measures them is compiled once, not for each pair.
pub trait Walker: Sync {
    /// What the method claims.
    fn claims(&self) -> Claims;
    /// The equation's d and m.
    fn sizes(&self) -> [usize; 2];
    /// The equation's kind of noise.
    fn noise(&self) -> NoiseKind;
    /// The method along `steps` equal steps of length `h` from time `from`, and if `report` then to what it
    /// reports there. `path`: (W, H), m blocks for each step and m more for the report. `x`: d blocks, in
    /// place.
    fn walk(&self, time: (f64, f64), steps: usize, report: bool, path: (&[[f64; W]], &[[f64; W]]), x: &mut [[f64; W]]);
}

/// Shows `method` for the equation `sde` to `measure`. Of all methods that are tableaus there is one walker, with
/// the coefficients as data.
pub fn show<S: Sde<f64>, I: Integrator<f64, S>>(method: &I, sde: &S, measure: &mut dyn FnMut(&dyn Walker)) {
    if const { I::COEFFICIENTS.is_some() } {
        I::COEFFICIENTS.iter().for_each(|tableau| measure(&Coefficients { claims: I::CLAIMS, tableau, sde }));
    } else {
        measure(&Pair { method, sde });
    }
}

/// A tableau for an equation: [`tableau::step`] is the step of all methods that are tableaus.
struct Coefficients<'a, S> {
    claims: Claims,
    tableau: &'a Tableau,
    sde: &'a S,
}

impl<S: Sde<f64>> Walker for Coefficients<'_, S> {
    fn claims(&self) -> Claims {
        self.claims
    }
    fn sizes(&self) -> [usize; 2] {
        [self.sde.dim(), self.sde.noises()]
    }
    fn noise(&self) -> NoiseKind {
        S::Noise::KIND
    }
    fn walk(&self, time: (f64, f64), steps: usize, _report: bool, path: (&[[f64; W]], &[[f64; W]]), x: &mut [[f64; W]]) {
        let (mut memory, mut scratch) = (Stages::new(self.tableau, self.sde), self.sde.scratch());
        for n in 0..steps {
            let increment = increment(path, n, self.sde.noises(), self.claims.needs);
            tableau::step::<f64, S, false>(self.tableau, self.sde, &step(time, n), increment, x, &mut memory, &mut scratch);
        }
    }
}

/// Step `n` of length h from time `from`.
fn step((from, h): (f64, f64), n: usize) -> Step {
    Step::common(from + n as f64 * h, from + (n + 1) as f64 * h)
}

/// The path over step `n`.
fn increment<'a>(path: (&'a [[f64; W]], &'a [[f64; W]]), n: usize, m: usize, needs: Needs) -> Increment<'a, f64> {
    Increment { w: &path.0[n * m..][..m], h: if needs == Needs::Wh { &path.1[n * m..][..m] } else { &[] } }
}

/// A method for an equation.
pub struct Pair<'a, S, I> {
    pub method: &'a I,
    pub sde: &'a S,
}

impl<S: Sde<f64>, I: Integrator<f64, S>> Walker for Pair<'_, S, I> {
    fn claims(&self) -> Claims {
        I::CLAIMS
    }
    fn sizes(&self) -> [usize; 2] {
        [self.sde.dim(), self.sde.noises()]
    }
    fn noise(&self) -> NoiseKind {
        S::Noise::KIND
    }
    fn walk(&self, (from, h): (f64, f64), steps: usize, report: bool, path: (&[[f64; W]], &[[f64; W]]), x: &mut [[f64; W]]) {
        let Pair { method, sde } = *self;
        let report = report && method.reports();
        dispatch(Walk { method, sde, from, h, steps, report, path, x, memory: method.memory(sde), scratch: sde.scratch() });
    }
}

/// [`Walker::walk`] over [0, 1].
pub fn walk_path(on: &dyn Walker, path: &Path, x: &mut [[f64; W]]) {
    on.walk((0.0, path.h()), path.count, true, (&path.w, &path.area), x);
}

struct Walk<'a, S: Sde<f64>, I: Integrator<f64, S>> {
    method: &'a I,
    sde: &'a S,
    from: f64,
    h: f64,
    steps: usize,
    report: bool,
    path: (&'a [[f64; W]], &'a [[f64; W]]),
    x: &'a mut [[f64; W]],
    memory: I::Memory,
    scratch: S::Scratch,
}

impl<S: Sde<f64>, I: Integrator<f64, S>> Kernel for Walk<'_, S, I> {
    // Every method with every problem, once: the audit is short enough, and its build should be too.
    const VECTORS: bool = false;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let (m, time) = (self.sde.noises(), (self.from, self.h));
        let path = |n: usize| increment(self.path, n, m, I::CLAIMS.needs);
        for n in 0..self.steps {
            self.method.step::<FMA>(self.sde, &step(time, n), path(n), self.x, &mut self.memory, &mut self.scratch);
        }
        if self.report {
            let (step, path) = (step(time, self.steps), path(self.steps));
            self.method.report::<FMA>(self.sde, &step, path, self.x, &mut self.memory, &mut self.scratch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::{LogVerhulst, Solved, Tanh};
    use super::*;
    use crate::sde::Ito;
    use crate::sde::kinds::Diagonal;

    /// W and H of coarse steps have the law of W and H of fine ones: cov = diag(h, h/12), at 5 standard
    /// errors.
    #[test]
    fn coarse_steps_have_the_law_of_fine_ones() {
        let sde = Tanh::<Ito, Diagonal>::diagonal();
        let blocks = bank(&|path, x| sde.solution(path, x), [2, 2], 0..256, 2..=2, 6, 1);
        let (mut n, mut sums) = (0.0, [0.0f64; 3]);
        for block in &blocks {
            for (_, w, area) in block.levels[0].steps() {
                for (w, a) in w.as_flattened().iter().zip(area.as_flattened()) {
                    (n, sums) = (n + 1.0, [sums[0] + w * w, sums[1] + a * a, sums[2] + w * a]);
                }
            }
        }
        let h = 0.25;
        let off = [(sums[0] / n / h - 1.0) / 2f64.sqrt(), (sums[1] / n / (h / 12.0) - 1.0) / 2f64.sqrt(), sums[2] / n / (h / 12f64.sqrt())];
        assert!(n >= 30_000.0 && off.iter().all(|z| z.abs() * f64::sqrt(n) <= 5.0), "{off:?}");
    }

    /// The solution of the same path in two resolutions: 16 times finer, the numerical part of it moves by
    /// what is far below the errors of 1e-5 that the audit measures.
    #[test]
    fn solutions_do_not_depend_on_the_resolution() {
        let path = Path::draw(3, 0, 1, 1 << 16, 0);
        let ends: Vec<[f64; W]> = std::iter::successors(Some(path), |p| Some(p.coarser()))
            .take(5)
            .map(|path| {
                let mut x = [[0.0; W]];
                LogVerhulst.solution(&path, &mut x);
                x[0]
            })
            .collect();
        let worst = (0..W).map(|i| (ends[0][i] - ends[4][i]).abs()).fold(0.0, f64::max);
        assert!(worst > 0.0 && worst <= 1e-6, "{worst:e}");
    }
}
