//! Simulated noising chains: the nonlinear processes have no exact kernel from x_0, so their paths are run, and the score is learned
//! from single steps (method.md, eq. 6 and 7).

use crate::rng::NormalLanes;
use crate::sde::component::{Block, Draw as Random, begin, lane, move_lane};
use crate::sde::{ComponentStep, Grid, Paths, Step};
use crate::simd::{Kernel, W, dispatch, load};
use crate::transition::{DrawMut, Draws, FIELDS, Factor, Noising, OneStep, Target, TimeLaw, check, write_pair};
use crate::{Error, Real, Result};
use rayon::prelude::*;

/// When a chain's steps are.
#[derive(Debug, Clone)]
enum ChainGrid {
    /// t_0..t_N, with so many draws per path.
    Fixed(Vec<f64>, usize),
    /// t_0 = 0, ..., t_N = 1: a path multiplies them by its own t and is drawn from once, at its end.
    PerPath(Vec<f64>),
}

/// A draw to be taken: after step `n`, from `lane`, into `slot` of the block's draws.
#[derive(Debug, Clone, Copy)]
struct Pick {
    n: usize,
    lane: usize,
    slot: usize,
}

impl ChainGrid {
    fn fixed(grid: Vec<f64>, per_path: usize) -> Result<Self> {
        if grid.len() < 2 || grid.windows(2).any(|w| w[1].partial_cmp(&w[0]) != Some(std::cmp::Ordering::Greater)) {
            return Err(Error::refused("time grid", "expected at least two rising times"));
        }
        if per_path == 0 || per_path > grid.len() - 1 {
            return Err(Error::invalid("times per path", format!("in 1..={} (the steps of the chain)", grid.len() - 1), per_path));
        }
        Ok(ChainGrid::Fixed(grid, per_path))
    }

    fn per_path(steps: usize) -> Result<Self> {
        Ok(ChainGrid::PerPath(Grid::Geometric.times(1.0, steps)?))
    }

    fn draws_per_path(&self) -> usize {
        match self {
            ChainGrid::Fixed(_, m) => *m,
            ChainGrid::PerPath(_) => 1,
        }
    }

    fn steps(&self) -> usize {
        let (ChainGrid::Fixed(times, _) | ChainGrid::PerPath(times)) = self;
        times.len() - 1
    }

    /// Which steps of a block of paths are drawn from, sorted, with their times; returns the time at which each path of a per-path
    /// grid ends. Lanes without a path follow the last one.
    fn plan(&self, law: &TimeLaw, u: &[f64], picks: &mut Vec<Pick>, times: &mut [f64]) -> [f64; W] {
        picks.clear();
        match self {
            ChainGrid::Fixed(grid, m) => {
                picks.extend(u.iter().enumerate().map(|(slot, u)| Pick { n: law.step(*u, grid), lane: slot / m, slot }));
                picks.sort_by_key(|p| p.n);
                picks.iter().for_each(|p| times[p.slot] = grid[p.n + 1]);
                [1.0; W]
            }
            ChainGrid::PerPath(_) => {
                times.iter_mut().zip(u).for_each(|(t, u)| *t = law.quantile(*u));
                picks.extend((0..u.len()).map(|i| Pick { n: self.steps() - 1, lane: i, slot: i }));
                let mut ends = [1.0; W];
                for (i, end) in ends.iter_mut().enumerate() {
                    *end = times[i.min(times.len() - 1)];
                }
                ends
            }
        }
    }

    /// Step n of paths that end at `ends`.
    fn step(&self, n: usize, ends: &[f64; W]) -> Step {
        match self {
            ChainGrid::Fixed(t, _) => Step::common(t[n], t[n + 1]),
            ChainGrid::PerPath(t) => Step::lanes(ends.map(|end| end * t[n]), ends.map(|end| end * t[n + 1])),
        }
    }
}

/// Those of `left` that are drawn from after step `n`; `left` keeps the rest.
fn due<'a>(left: &mut &'a [Pick], n: usize) -> &'a [Pick] {
    let (here, rest) = left.split_at(left.iter().take_while(|p| p.n == n).count());
    *left = rest;
    here
}

/// The chain X_{n+1} ~ N(m(X_n), C(X_n)) of a Gaussian one-step law (5), (13), on a fixed grid or on each path's own. With the law
/// [`crate::transition::Euler`] it is the Euler-Maruyama chain.
#[derive(Debug, Clone)]
pub struct GaussianChain<T> {
    law: T,
    grid: ChainGrid,
    times: TimeLaw,
}

impl<T> GaussianChain<T> {
    /// The chain along `grid` = t_0..t_N, learned from `per_path` steps of each path.
    ///
    /// # Errors
    /// A grid without a step, more draws per path than steps, no draw.
    pub fn fixed(law: T, grid: Vec<f64>, times: TimeLaw, per_path: usize) -> Result<Self> {
        Ok(GaussianChain { law, grid: ChainGrid::fixed(grid, per_path)?, times })
    }

    /// Each path takes `steps` geometric steps to its own time.
    ///
    /// # Errors
    /// No step.
    pub fn per_path(law: T, steps: usize, times: TimeLaw) -> Result<Self> {
        Ok(GaussianChain { law, grid: ChainGrid::per_path(steps)?, times })
    }
}

/// State of one block of paths.
struct Memory<R: Real, T: OneStep<R>> {
    x: Vec<[R; W]>,
    mean: Vec<[R; W]>,
    z: Vec<[R; W]>,
    noise: Vec<[R; W]>,
    target: Vec<[R; W]>,
    factor: T::Factor,
    law: T::Memory,
}

impl<R: Real, T: OneStep<R>> Memory<R, T> {
    fn new(law: &T) -> Self {
        let lanes = || vec![[R::zero(); W]; law.dim()];
        let (factor, memory) = (T::Factor::new(law.dim()), law.memory());
        Memory { x: lanes(), mean: lanes(), z: lanes(), noise: lanes(), target: lanes(), factor, law: memory }
    }
}

impl<R: Real, T: OneStep<R> + Send> Noising<R> for GaussianChain<T> {
    fn dim(&self) -> usize {
        self.law.dim()
    }

    fn draws_per_path(&self) -> usize {
        self.grid.draws_per_path()
    }

    fn draw(&self, x0: &[R], u: &[f64], paths: Paths, out: &mut Draws<R>) -> Result<()> {
        check("noising chain", self, x0, u, out)?;
        let (d, m) = (self.law.dim(), self.grid.draws_per_path());
        let (values, times) = out.parts_mut();
        (values.par_chunks_mut(W * m * FIELDS * d), times.par_chunks_mut(W * m), x0.par_chunks(W * d), u.par_chunks(W * m))
            .into_par_iter()
            .enumerate()
            .for_each_init(
                || (Memory::new(&self.law), Vec::new()),
                |(memory, picks), (chunk, (values, times, rows, u))| {
                    let ends = self.grid.plan(&self.times, u, picks, times);
                    load(rows, &mut memory.x);
                    let normals = paths.stream(chunk).normal_lanes();
                    dispatch(GaussianBlock { chain: self, memory, picks, ends, values, normals });
                },
            );
        refuse_non_finite(values, d, m)
    }
}

struct GaussianBlock<'a, R: Real, T: OneStep<R>> {
    chain: &'a GaussianChain<T>,
    memory: &'a mut Memory<R, T>,
    picks: &'a [Pick],
    ends: [f64; W],
    values: &'a mut [R],
    normals: NormalLanes<R>,
}

impl<R: Real, T: OneStep<R>> Kernel for GaussianBlock<'_, R, T> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let (law, d, m) = (&self.chain.law, self.chain.law.dim(), self.memory);
        let mut left = self.picks;
        for n in 0..self.chain.grid.steps() {
            if left.is_empty() {
                return;
            }
            let here = due(&mut left, n);
            law.law::<FMA>(&self.chain.grid.step(n, &self.ends), &m.x, &mut m.mean, &mut m.factor, &mut m.law);
            for z in &mut m.z {
                *z = self.normals.draw::<FMA>();
            }
            m.factor.apply::<FMA>(&m.z, &mut m.noise);
            for ((x, mean), noise) in m.x.iter_mut().zip(&m.mean).zip(&m.noise) {
                for i in 0..W {
                    x[i] = mean[i] + noise[i];
                }
            }
            if here.is_empty() {
                continue;
            }
            m.factor.solve_transposed::<FMA>(&m.z, &mut m.target);
            for p in here {
                let (i, draw) = (p.lane, DrawMut::of(self.values, p.slot, d));
                for j in 0..d {
                    let (mean, noise, target) = (m.mean[j][i], m.noise[j][i], m.target[j][i]);
                    draw.mean[j] = mean;
                    draw.plus[j] = mean + noise;
                    draw.minus[j] = mean - noise;
                    draw.target_plus[j] = -target;
                    draw.target_minus[j] = target;
                }
            }
        }
    }
}

/// NaN and infinity persist along a chain, so looking at what it hands out is enough.
fn refuse_non_finite<R: Real>(values: &[R], d: usize, per_path: usize) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(i) => Err(Error::NonFinite {
            place: format!("path {} of the noising chain", i / (FIELDS * d * per_path)),
            step: 0,
            remedy: "take more steps or a smaller sde.horizon, or objective.transition = \"component\", which is stable for every step"
                .into(),
        }),
    }
}

/// The chain of component-wise exact steps (15), on a fixed grid or on each path's own.
#[derive(Debug, Clone)]
pub struct ComponentChain<R: Real> {
    step: ComponentStep<R>,
    grid: ChainGrid,
    times: TimeLaw,
}

impl<R: Real> ComponentChain<R> {
    /// The chain along a fixed grid, learned from `per_path` steps of each path.
    ///
    /// # Errors
    /// As [`GaussianChain::fixed`].
    pub fn fixed(step: ComponentStep<R>, grid: Vec<f64>, times: TimeLaw, per_path: usize) -> Result<Self> {
        Ok(ComponentChain { step, grid: ChainGrid::fixed(grid, per_path)?, times })
    }

    /// Each path takes `steps` geometric steps to its own time.
    ///
    /// # Errors
    /// No step.
    pub fn per_path(step: ComponentStep<R>, steps: usize, times: TimeLaw) -> Result<Self> {
        Ok(ComponentChain { step, grid: ChainGrid::per_path(steps)?, times })
    }
}

impl<R: Real> Noising<R> for ComponentChain<R> {
    fn dim(&self) -> usize {
        self.step.dim()
    }

    fn draws_per_path(&self) -> usize {
        self.grid.draws_per_path()
    }

    fn draw(&self, x0: &[R], u: &[f64], paths: Paths, out: &mut Draws<R>) -> Result<()> {
        check("component chain", self, x0, u, out)?;
        let (d, m) = (self.dim(), self.draws_per_path());
        let (values, times) = out.parts_mut();
        (values.par_chunks_mut(W * m * FIELDS * d), times.par_chunks_mut(W * m), x0.par_chunks(W * d), u.par_chunks(W * m))
            .into_par_iter()
            .enumerate()
            .for_each_init(
                || (Block::new(&self.step), Vec::new()),
                |(block, picks), (chunk, (values, times, rows, u))| {
                    let ends = self.grid.plan(&self.times, u, picks, times);
                    load(rows, &mut block.x);
                    dispatch(ComponentBlock { chain: self, block, picks, ends, values, random: Random::new(paths, chunk) });
                },
            );
        refuse_non_finite(values, d, m)
    }
}

struct ComponentBlock<'a, R: Real> {
    chain: &'a ComponentChain<R>,
    block: &'a mut Block<R>,
    picks: &'a [Pick],
    ends: [f64; W],
    values: &'a mut [R],
    random: Random<R>,
}

impl<R: Real> Kernel for ComponentBlock<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let (step, d) = (&self.chain.step, self.chain.step.dim());
        let mut left = self.picks;
        for n in 0..self.chain.grid.steps() {
            if left.is_empty() {
                return;
            }
            let here = due(&mut left, n);
            let h: [R; W] = match &self.chain.grid {
                ChainGrid::Fixed(t, _) => [R::of(t[n + 1] - t[n]); W],
                ChainGrid::PerPath(t) => self.ends.map(|end| R::of(end * (t[n + 1] - t[n]))),
            };
            let b = &mut *self.block;
            let k = begin::<R, FMA>(step, b, &mut self.random);
            for i in 0..W {
                lane::<R, FMA>(step, b, k[i], i, h[i]);
                for p in here.iter().filter(|p| p.lane == i) {
                    let out = DrawMut::of(self.values, p.slot, d);
                    write_pair::<R, FMA>(step, &b.law, &b.noise, &mut b.moved, Target::Score, out);
                }
                move_lane::<R, FMA>(step, b, i);
            }
        }
    }
}
