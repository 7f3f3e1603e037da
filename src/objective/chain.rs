//! Simulated noising chains: the nonlinear processes have no exact kernel from x_0, so their paths are run, and the score is learned
//! from single steps (method.md, eq. 6 and 7).

use crate::rng::NormalLanes;
use crate::sde::component::{Block, Draw as Random, begin, lane, move_lane};
use crate::sde::{ComponentStep, Grid, Isotropic, Paths, Time};
use crate::simd::{Kernel, W, dispatch, load};
use crate::transition::{DrawMut, Draws, FIELDS, Noising, Target, TimeLaw, check, write_pair};
use crate::{Error, Real, Result};
use rayon::prelude::*;

/// The Euler-Maruyama chain (5) on a fixed grid; each path is met at several of its steps.
#[derive(Debug, Clone)]
pub struct EulerChain<S> {
    sde: S,
    dim: usize,
    grid: Vec<f64>,
    times: TimeLaw,
    per_path: usize,
}

impl<S> EulerChain<S> {
    /// The chain of `sde` along `grid` = t_0..t_N, learned from `per_path` steps of each path.
    ///
    /// # Errors
    /// A grid without a step, more draws per path than steps, no draw.
    pub fn new<R: Real>(sde: S, grid: Vec<f64>, times: TimeLaw, per_path: usize) -> Result<Self>
    where
        S: Isotropic<R>,
    {
        check_grid(&grid, per_path)?;
        Ok(EulerChain { dim: sde.dim(), sde, grid, times, per_path })
    }
}

fn check_grid(grid: &[f64], per_path: usize) -> Result<()> {
    if grid.len() < 2 || grid.windows(2).any(|w| w[1].partial_cmp(&w[0]) != Some(std::cmp::Ordering::Greater)) {
        return Err(Error::refused("time grid", "expected at least two rising times"));
    }
    if per_path == 0 || per_path > grid.len() - 1 {
        return Err(Error::invalid("times per path", format!("in 1..={} (the steps of the chain)", grid.len() - 1), per_path));
    }
    Ok(())
}

/// A draw to be taken: after step `n`, from `lane`, into `slot` of the block's draws.
#[derive(Debug, Clone, Copy)]
struct Pick {
    n: usize,
    lane: usize,
    slot: usize,
}

impl<R: Real, S: Isotropic<R> + Send> Noising<R> for EulerChain<S> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn draws_per_path(&self) -> usize {
        self.per_path
    }

    fn draw(&self, x0: &[R], u: &[f64], paths: Paths, out: &mut Draws<R>) -> Result<()> {
        check("Euler chain", self, x0, u, out)?;
        let (d, m) = (self.dim, self.per_path);
        let (values, times) = out.parts_mut();
        (values.par_chunks_mut(W * m * FIELDS * d), times.par_chunks_mut(W * m), x0.par_chunks(W * d), u.par_chunks(W * m))
            .into_par_iter()
            .enumerate()
            .for_each_init(
                || (Memory::new(&self.sde), Vec::new()),
                |(memory, picks), (chunk, (values, times, rows, u))| {
                    picks.clear();
                    picks.extend(u.iter().enumerate().map(|(slot, u)| Pick { n: self.times.step(*u, &self.grid), lane: slot / m, slot }));
                    picks.sort_by_key(|p| p.n);
                    picks.iter().for_each(|p| times[p.slot] = self.grid[p.n + 1]);
                    load(rows, &mut memory.x);
                    let normals = paths.stream(chunk).normal_lanes();
                    dispatch(EulerBlock { chain: self, memory, picks, values, normals });
                },
            );
        refuse_non_finite(values, d, m)
    }
}

/// State of one block of paths.
struct Memory<R, S> {
    x: Vec<[R; W]>,
    f: Vec<[R; W]>,
    scratch: S,
}

impl<R: Real, S: Send> Memory<R, S> {
    fn new(sde: &impl Isotropic<R, Scratch = S>) -> Self {
        let zero = vec![[R::zero(); W]; sde.dim()];
        Memory { x: zero.clone(), f: zero, scratch: sde.scratch() }
    }
}

/// One step of a block. `seen(j, mu_j, noise_j, z_j)` sees coordinate j of mu_n(X_n), sqrt(h) sigma Z_n and Z_n.
#[inline(always)]
fn step<R: Real, S: Isotropic<R>, const FMA: bool>(
    sde: &S,
    t: f64,
    h: f64,
    m: &mut Memory<R, S::Scratch>,
    normals: &mut NormalLanes<R>,
    mut seen: impl FnMut(usize, &[R; W], &[R; W], &[R; W]),
) {
    sde.drift::<FMA>(&Time::Common(t), &m.x, &mut m.f, &mut m.scratch);
    let (dt, l) = (R::of(h), R::of(sde.noise(t, h)));
    for (j, (x, f)) in m.x.iter_mut().zip(&m.f).enumerate() {
        let z = normals.draw::<FMA>();
        let mu: [R; W] = std::array::from_fn(|i| f[i].fma::<FMA>(dt, x[i]));
        let noise: [R; W] = std::array::from_fn(|i| l * z[i]);
        *x = std::array::from_fn(|i| mu[i] + noise[i]);
        seen(j, &mu, &noise, &z);
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

struct EulerBlock<'a, R: Real, S: Isotropic<R>> {
    chain: &'a EulerChain<S>,
    memory: &'a mut Memory<R, S::Scratch>,
    picks: &'a [Pick],
    values: &'a mut [R],
    normals: NormalLanes<R>,
}

impl<R: Real, S: Isotropic<R>> Kernel for EulerBlock<'_, R, S> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let (chain, mut left) = (self.chain, self.picks);
        for (n, t) in chain.grid.windows(2).enumerate() {
            if left.is_empty() {
                return;
            }
            let here = &left[..left.iter().take_while(|p| p.n == n).count()];
            left = &left[here.len()..];
            let h = t[1] - t[0];
            let inverse = R::of(1.0 / chain.sde.noise(t[0], h));
            let (values, d) = (&mut *self.values, chain.dim);
            step::<R, S, FMA>(&chain.sde, t[0], h, self.memory, &mut self.normals, |j, mu, noise, z| {
                for p in here {
                    let (i, draw) = (p.lane, DrawMut::of(values, p.slot, d));
                    draw.mean[j] = mu[i];
                    draw.plus[j] = mu[i] + noise[i];
                    draw.minus[j] = mu[i] - noise[i];
                    draw.target_plus[j] = -z[i] * inverse;
                    draw.target_minus[j] = z[i] * inverse;
                }
            });
        }
    }
}

/// The chain of component-wise exact steps (15), on a fixed grid or on each path's own.
#[derive(Debug, Clone)]
pub struct ComponentChain<R: Real> {
    step: ComponentStep<R>,
    grid: ChainGrid,
    times: TimeLaw,
}

#[derive(Debug, Clone)]
enum ChainGrid {
    /// t_0..t_N, with so many draws per path.
    Fixed(Vec<f64>, usize),
    /// Step sizes of a grid that ends at 1; a path multiplies them by its own t and is drawn from once, at its end.
    PerPath(Vec<f64>),
}

impl<R: Real> ComponentChain<R> {
    /// The chain along a fixed grid, learned from `per_path` steps of each path.
    ///
    /// # Errors
    /// As [`EulerChain::new`].
    pub fn fixed(step: ComponentStep<R>, grid: Vec<f64>, times: TimeLaw, per_path: usize) -> Result<Self> {
        check_grid(&grid, per_path)?;
        Ok(ComponentChain { step, grid: ChainGrid::Fixed(grid, per_path), times })
    }

    /// Each path takes `steps` geometric steps to its own time.
    ///
    /// # Errors
    /// No step.
    pub fn per_path(step: ComponentStep<R>, steps: usize, times: TimeLaw) -> Result<Self> {
        Ok(ComponentChain { step, grid: ChainGrid::PerPath(Grid::per_path(steps)?), times })
    }
}

impl<R: Real> Noising<R> for ComponentChain<R> {
    fn dim(&self) -> usize {
        self.step.dim()
    }

    fn draws_per_path(&self) -> usize {
        match &self.grid {
            ChainGrid::Fixed(_, m) => *m,
            ChainGrid::PerPath(_) => 1,
        }
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
                    load(rows, &mut block.x);
                    picks.clear();
                    // Lanes without a path follow the last one.
                    let mut ends = [1.0; W];
                    match &self.grid {
                        ChainGrid::Fixed(grid, _) => {
                            let n = |u: f64| self.times.step(u, grid);
                            picks.extend(u.iter().enumerate().map(|(slot, u)| Pick { n: n(*u), lane: slot / m, slot }));
                            picks.sort_by_key(|p| p.n);
                            picks.iter().for_each(|p| times[p.slot] = grid[p.n + 1]);
                        }
                        ChainGrid::PerPath(h) => {
                            times.iter_mut().zip(u).for_each(|(t, u)| *t = self.times.quantile(*u));
                            ends = std::array::from_fn(|i| times[i.min(times.len() - 1)]);
                            picks.extend((0..u.len()).map(|i| Pick { n: h.len() - 1, lane: i, slot: i }));
                        }
                    }
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
        let steps = match &self.chain.grid {
            ChainGrid::Fixed(grid, _) => grid.len() - 1,
            ChainGrid::PerPath(h) => h.len(),
        };
        let mut left = self.picks;
        for n in 0..steps {
            if left.is_empty() {
                return;
            }
            let here = &left[..left.iter().take_while(|p| p.n == n).count()];
            left = &left[here.len()..];
            let h: [R; W] = match &self.chain.grid {
                ChainGrid::Fixed(grid, _) => [R::of(grid[n + 1] - grid[n]); W],
                ChainGrid::PerPath(h) => self.ends.map(|t| R::of(t * h[n])),
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
