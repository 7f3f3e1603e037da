//! Simulated noising chains: the nonlinear processes have no exact kernel from x_0, so their paths are run,
//! and the score is learned from single steps (method.md, eq. 6 and 7).

use super::steps::{ChainGrid, Pick, due, keep, last_steps};
use crate::par;
use crate::rng::NormalLanes;
use crate::sde::component_step::{ComponentMemory, Random, advance, begin, lane};
use crate::sde::{ComponentStep, Paths, Step};
use crate::simd::{Kernel, W, dispatch, load, nested};
use crate::transition::law::Evaluate;
use crate::transition::{DrawMut, Draws, FIELDS, Factor, Noising, OneStep, Starts, Target, TimeLaw, check_finish, check_start, write_pair};
use crate::{Error, Real, Result};

/// The chain X_{n+1} ~ N(m(X_n), C(X_n)) of a Gaussian one-step law (5), (13), on a fixed grid or on each
/// path's own. With the law [`crate::transition::Euler`] it is the Euler-Maruyama chain.
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

    fn importance(&self, t: f64) -> f64 {
        self.grid.importance(&self.times, t)
    }

    fn step_length(&self, t: f64) -> f64 {
        self.grid.step_length(t)
    }

    fn draws_per_path(&self) -> usize {
        self.grid.draws_per_path()
    }

    fn start(&self, x0: &[R], u: &[f64], paths: Paths, out: &mut Starts<R>) -> Result<()> {
        check_start("noising chain", self, x0, u, out)?;
        let (d, m) = (self.law.dim(), self.grid.draws_per_path());
        let (points, times) = out.parts_mut();
        let blocks = (par::chunks_mut(points, W * m * d), par::chunks_mut(times, W * m), par::chunks(x0, W * d), par::chunks(u, W * m));
        par::each_with(
            blocks,
            || (Memory::new(&self.law), Vec::new()),
            |(memory, picks), chunk, (points, times, rows, u)| {
                let ends = self.grid.plan(&self.times, u, picks, times);
                load(rows, &mut memory.x);
                let normals = paths.stream(chunk).normal_lanes();
                dispatch(GaussianPath { chain: self, memory, picks, ends, points, normals });
            },
        );
        refuse_non_finite(points, d * m)
    }

    fn finish(&self, starts: &Starts<R>, paths: Paths, out: &mut Draws<R>) -> Result<()> {
        check_finish("noising chain", self, starts, out)?;
        let d = self.law.dim();
        let ((points, spans), (values, times)) = (starts.parts(), out.parts_mut());
        times.iter_mut().zip(spans).for_each(|(t, [_, to])| *t = *to);
        par::each_with(
            (par::chunks_mut(values, W * FIELDS * d), par::chunks(points, W * d), par::chunks(spans, W)),
            || Memory::new(&self.law),
            |memory, chunk, (values, rows, spans)| {
                load(rows, &mut memory.x);
                let normals = paths.stream(chunk).normal_lanes();
                dispatch(GaussianDraw { law: &self.law, step: last_steps(spans), memory, values, normals });
            },
        );
        refuse_non_finite(values, FIELDS * d * self.grid.draws_per_path())
    }
}

/// A block of paths, up to where each is drawn from.
struct GaussianPath<'a, R: Real, T: OneStep<R>> {
    chain: &'a GaussianChain<T>,
    memory: &'a mut Memory<R, T>,
    picks: &'a [Pick],
    ends: [f64; W],
    points: &'a mut [R],
    normals: NormalLanes<R>,
}

impl<R: Real, T: OneStep<R>> Kernel for GaussianPath<'_, R, T> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let (law, m) = (&self.chain.law, self.memory);
        let mut left = self.picks;
        for n in 0..self.chain.grid.steps() {
            keep(due(&mut left, n), &m.x, self.points);
            if left.is_empty() {
                return;
            }
            let step = &self.chain.grid.step(n, &self.ends);
            nested::<FMA, _>(Evaluate { law, step, x: &m.x, mean: &mut m.mean, factor: &mut m.factor, memory: &mut m.law });
            for z in &mut m.z {
                *z = self.normals.draw::<FMA>();
            }
            m.factor.apply::<FMA>(&m.z, &mut m.noise);
            for ((x, mean), noise) in m.x.iter_mut().zip(&m.mean).zip(&m.noise) {
                for i in 0..W {
                    x[i] = mean[i] + noise[i];
                }
            }
        }
    }
}

/// A block of last steps.
struct GaussianDraw<'a, R: Real, T: OneStep<R>> {
    law: &'a T,
    step: Step,
    memory: &'a mut Memory<R, T>,
    values: &'a mut [R],
    normals: NormalLanes<R>,
}

impl<R: Real, T: OneStep<R>> Kernel for GaussianDraw<'_, R, T> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let (law, step, m) = (self.law, &self.step, self.memory);
        let d = law.dim();
        nested::<FMA, _>(Evaluate { law, step, x: &m.x, mean: &mut m.mean, factor: &mut m.factor, memory: &mut m.law });
        for z in &mut m.z {
            *z = self.normals.draw::<FMA>();
        }
        m.factor.apply::<FMA>(&m.z, &mut m.noise);
        m.factor.solve_transposed::<FMA>(&m.z, &mut m.target);
        for i in 0..self.values.len() / (FIELDS * d) {
            let draw = DrawMut::of(self.values, i, d);
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

/// NaN and infinity persist along a chain, so looking at what it hands out is enough.
fn refuse_non_finite<R: Real>(values: &[R], per_path: usize) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(i) => Err(Error::NonFinite {
            place: format!("path {} of the noising chain", i / per_path),
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

    fn importance(&self, t: f64) -> f64 {
        self.grid.importance(&self.times, t)
    }

    fn step_length(&self, t: f64) -> f64 {
        self.grid.step_length(t)
    }

    fn draws_per_path(&self) -> usize {
        self.grid.draws_per_path()
    }

    fn start(&self, x0: &[R], u: &[f64], paths: Paths, out: &mut Starts<R>) -> Result<()> {
        check_start("component chain", self, x0, u, out)?;
        let (d, m) = (self.dim(), self.draws_per_path());
        let (points, times) = out.parts_mut();
        let blocks = (par::chunks_mut(points, W * m * d), par::chunks_mut(times, W * m), par::chunks(x0, W * d), par::chunks(u, W * m));
        par::each_with(
            blocks,
            || (ComponentMemory::new(&self.step), Vec::new()),
            |(block, picks), chunk, (points, times, rows, u)| {
                let ends = self.grid.plan(&self.times, u, picks, times);
                load(rows, &mut block.x);
                dispatch(ComponentPath { chain: self, block, picks, ends, points, random: Random::new(paths, chunk) });
            },
        );
        refuse_non_finite(points, d * m)
    }

    fn finish(&self, starts: &Starts<R>, paths: Paths, out: &mut Draws<R>) -> Result<()> {
        check_finish("component chain", self, starts, out)?;
        let d = self.dim();
        let ((points, spans), (values, times)) = (starts.parts(), out.parts_mut());
        times.iter_mut().zip(spans).for_each(|(t, [_, to])| *t = *to);
        par::each_with(
            (par::chunks_mut(values, W * FIELDS * d), par::chunks(points, W * d), par::chunks(spans, W)),
            || ComponentMemory::new(&self.step),
            |block, chunk, (values, rows, spans)| {
                load(rows, &mut block.x);
                dispatch(ComponentDraw { step: &self.step, block, spans, values, random: Random::new(paths, chunk) });
            },
        );
        refuse_non_finite(values, FIELDS * d * self.draws_per_path())
    }
}

/// A block of paths, up to where each is drawn from.
struct ComponentPath<'a, R: Real> {
    chain: &'a ComponentChain<R>,
    block: &'a mut ComponentMemory<R>,
    picks: &'a [Pick],
    ends: [f64; W],
    points: &'a mut [R],
    random: Random<R>,
}

impl<R: Real> Kernel for ComponentPath<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let mut left = self.picks;
        for n in 0..self.chain.grid.steps() {
            keep(due(&mut left, n), &self.block.x, self.points);
            if left.is_empty() {
                return;
            }
            let h: [R; W] = self.chain.grid.step(n, &self.ends).size(|h| h);
            advance::<R, FMA>(&self.chain.step, &h, self.block, &mut self.random);
        }
    }
}

/// A block of last steps.
struct ComponentDraw<'a, R: Real> {
    step: &'a ComponentStep<R>,
    block: &'a mut ComponentMemory<R>,
    spans: &'a [[f64; 2]],
    values: &'a mut [R],
    random: Random<R>,
}

impl<R: Real> Kernel for ComponentDraw<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let (step, b, d) = (self.step, self.block, self.step.dim());
        let k = begin::<R, FMA>(step, b, &mut self.random);
        for (i, [from, to]) in self.spans.iter().enumerate() {
            lane::<R, FMA>(step, b, k[i], i, R::of(to - from));
            write_pair::<R, FMA>(step, &b.law, &b.noise, &mut b.moved, Target::Score, DrawMut::of(self.values, i, d));
        }
    }
}
