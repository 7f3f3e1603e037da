//! When the paths of a chain take their steps, and which of these are drawn from.

use crate::sde::{Grid, Step};
use crate::simd::W;
use crate::transition::TimeLaw;
use crate::{Error, Real, Result};

/// When a chain's steps are.
#[derive(Debug, Clone)]
pub(super) enum ChainGrid {
    /// t_0..t_N, with so many draws per path.
    Fixed(Vec<f64>, usize),
    /// t_0 = 0, ..., t_N = 1: a path multiplies them by its own t and is drawn from once, at its end.
    PerPath(Vec<f64>),
}

/// A draw to be taken: after step `n`, from `lane`, into `slot` of the block's draws.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pick {
    n: usize,
    lane: usize,
    slot: usize,
}

impl ChainGrid {
    pub fn fixed(grid: Vec<f64>, per_path: usize) -> Result<Self> {
        if grid.len() < 2 || grid.windows(2).any(|w| w[1].partial_cmp(&w[0]) != Some(std::cmp::Ordering::Greater)) {
            return Err(Error::refused("time grid", "expected at least two rising times"));
        }
        if per_path == 0 || per_path > grid.len() - 1 {
            return Err(Error::invalid("times per path", format!("in 1..={} (the steps of the chain)", grid.len() - 1), per_path));
        }
        Ok(ChainGrid::Fixed(grid, per_path))
    }

    pub fn per_path(steps: usize) -> Result<Self> {
        Ok(ChainGrid::PerPath(Grid::Geometric.times(1.0, steps)?))
    }

    pub fn draws_per_path(&self) -> usize {
        match self {
            ChainGrid::Fixed(_, m) => *m,
            ChainGrid::PerPath(_) => 1,
        }
    }

    pub fn steps(&self) -> usize {
        let (ChainGrid::Fixed(times, _) | ChainGrid::PerPath(times)) = self;
        times.len() - 1
    }

    /// Which steps of a block of paths are drawn from, sorted, with their times; returns the time at which
    /// each path of a per-path grid ends. Lanes without a path follow the last one.
    pub fn plan(&self, law: &TimeLaw, u: &[f64], picks: &mut Vec<Pick>, times: &mut [[f64; 2]]) -> [f64; W] {
        picks.clear();
        match self {
            ChainGrid::Fixed(grid, m) => {
                picks.extend(u.iter().enumerate().map(|(slot, u)| Pick { n: law.step(*u, grid), lane: slot / m, slot }));
                picks.sort_by_key(|p| p.n);
                picks.iter().for_each(|p| times[p.slot] = [grid[p.n], grid[p.n + 1]]);
                [1.0; W]
            }
            ChainGrid::PerPath(grid) => {
                let last = self.steps() - 1;
                for (i, (t, u)) in times.iter_mut().zip(u).enumerate() {
                    let end = law.quantile(*u);
                    *t = [end * grid[last], end];
                    picks.push(Pick { n: last, lane: i, slot: i });
                }
                let mut ends = [1.0; W];
                for (i, end) in ends.iter_mut().enumerate() {
                    *end = times[i.min(times.len() - 1)][1];
                }
                ends
            }
        }
    }

    /// The step's share of [0, T] over the probability that it is drawn from, t its end; on grids of their
    /// own, T of the law.
    pub fn importance(&self, law: &TimeLaw, t: f64) -> f64 {
        match self {
            ChainGrid::Fixed(grid, _) => {
                let n = last_before(grid, t);
                let p = law.probability(n, grid);
                if p > 0.0 { (grid[n + 1] - grid[n]) / (grid[grid.len() - 1] * p) } else { 0.0 }
            }
            ChainGrid::PerPath(_) => law.importance(t),
        }
    }

    /// The length of the step that ends at time `t`.
    pub fn step_length(&self, t: f64) -> f64 {
        match self {
            ChainGrid::Fixed(grid, _) => {
                let n = last_before(grid, t);
                grid[n + 1] - grid[n]
            }
            ChainGrid::PerPath(grid) => t * (1.0 - grid[grid.len() - 2]),
        }
    }

    /// Step n of paths that end at `ends`.
    pub fn step(&self, n: usize, ends: &[f64; W]) -> Step {
        match self {
            ChainGrid::Fixed(t, _) => Step::common(t[n], t[n + 1]),
            ChainGrid::PerPath(t) => Step::lanes(ends.map(|end| end * t[n]), ends.map(|end| end * t[n + 1])),
        }
    }
}

/// The step of a grid that ends at `t`.
fn last_before(grid: &[f64], t: f64) -> usize {
    grid[1..].partition_point(|end| *end < t).min(grid.len() - 2)
}

/// Those of `left` that are drawn from after step `n`; `left` keeps the rest.
pub(super) fn due<'a>(left: &mut &'a [Pick], n: usize) -> &'a [Pick] {
    let (here, rest) = left.split_at(left.iter().take_while(|p| p.n == n).count());
    *left = rest;
    here
}

/// Copies the lanes that are drawn from next out of the block.
pub(super) fn keep<R: Real>(picks: &[Pick], x: &[[R; W]], points: &mut [R]) {
    for p in picks {
        points[p.slot * x.len()..][..x.len()].iter_mut().zip(x).for_each(|(to, x)| *to = x[p.lane]);
    }
}

/// The steps of a block of draws; lanes without one take the last.
pub(super) fn last_steps(spans: &[[f64; 2]]) -> Step {
    let at = |end: usize| std::array::from_fn(|i| spans[i.min(spans.len() - 1)][end]);
    let (from, to): ([f64; W], [f64; W]) = (at(0), at(1));
    if from == [from[0]; W] && to == [to[0]; W] { Step::common(from[0], to[0]) } else { Step::lanes(from, to) }
}
