//! Running an integrator along a grid, for many paths at once.

use super::{Increment, Integrator, Needs, Paths, Sde, Step, check_rows};
use crate::par;
use crate::rng::NormalLanes;
use crate::simd::{Kernel, W, dispatch, load, store};
use crate::{Error, Real, Result};
use ndarray::Array3;

/// Moves the paths `x` (row-major [n, d]) of `sde` along the times `grid` by `method`, in place.
///
/// Pairs of blocks of [`W`] paths run through all their steps, in parallel. Block c takes its increments W from the stream
/// (seed, purpose, step, c), and the areas H from a stream beside it: the result depends neither on the number of threads nor on
/// the paths beside a path, and methods that need H see the same W as those that do not. Memory does not grow with the steps.
///
/// ```
/// use ndsm::rng::Purpose;
/// use ndsm::sde::{DoubleWell, Grid, Paths, Sra1, simulate};
/// let grid = Grid::Uniform.times(4.0, 100)?;
/// let mut x = vec![0.0f64; 1000];
/// simulate(&Sra1, &DoubleWell::new(1, 0.5)?, &grid, &mut x, Paths { seed: 0, purpose: Purpose::Test, step: 0 })?;
/// let right = x.iter().filter(|x| **x > 0.0).count();
/// assert!((400..600).contains(&right), "{right}"); // the two wells are alike
/// # Ok::<(), ndsm::Error>(())
/// ```
///
/// # Errors
/// `Shape` if `x` is not whole rows; times that do not rise; `NonFinite` with the path, the step and the time at which a path first
/// became NaN or infinite, because a drift returned it or because an explicit step was too long. `x` then holds no result.
pub fn simulate<R, S, I>(method: &I, sde: &S, grid: &[f64], x: &mut [R], paths: Paths) -> Result<()>
where
    R: Real,
    S: Sde<R>,
    I: Integrator<R, S>,
{
    let chunk = check(sde, grid, x)?;
    if grid.len() < 2 {
        return Ok(());
    }
    let starts = x.to_vec();
    par::each_with(
        par::chunks_mut(x, chunk),
        || pair(method, sde),
        |blocks, pair, rows| dispatch(Run { method, sde, grid, rows, blocks, normals: normals(paths, pair), seen: None }),
    );
    match first_non_finite(x) {
        None => Ok(()),
        Some(i) => Err(locate(method, sde, grid, &starts, i / sde.dim(), paths)),
    }
}

/// The paths at all times of `grid`, [N + 1, n, d], from the starts `x` [n, d]; otherwise as [`simulate`].
///
/// # Errors
/// As [`simulate`].
pub fn trajectories<R, S, I>(method: &I, sde: &S, grid: &[f64], x: &[R], paths: Paths) -> Result<Array3<R>>
where
    R: Real,
    S: Sde<R>,
    I: Integrator<R, S>,
{
    let chunk = check(sde, grid, x)?;
    let mut out = Array3::from_elem((grid.len(), x.len() / sde.dim(), sde.dim()), R::zero());
    let mut seen: Vec<Vec<&mut [R]>> = x.chunks(chunk).map(|_| Vec::with_capacity(grid.len())).collect();
    for slab in out.as_slice_mut().into_iter().flat_map(|all| all.chunks_mut(x.len().max(1))) {
        slab.chunks_mut(chunk).zip(&mut seen).for_each(|(rows, seen)| seen.push(rows));
    }
    let mut moved = x.to_vec();
    par::each_with(
        (par::chunks_mut(&mut moved, chunk), par::chunks_mut(&mut seen, 1)),
        || pair(method, sde),
        |blocks, pair, (rows, seen)| {
            dispatch(Run { method, sde, grid, rows, blocks, normals: normals(paths, pair), seen: Some(&mut seen[0]) });
        },
    );
    match first_non_finite(&moved) {
        None => Ok(out),
        Some(i) => Err(locate(method, sde, grid, x, i / sde.dim(), paths)),
    }
}

/// Rows of two blocks, after the arguments were looked at.
pub(super) fn check<R: Real, S: Sde<R>>(sde: &S, grid: &[f64], x: &[R]) -> Result<usize> {
    let d = sde.dim();
    check_rows("simulate", x, d)?;
    if let Some(n) = (1..grid.len()).find(|n| !(grid[*n] > grid[n - 1] && grid[*n].is_finite())) {
        return Err(Error::invalid(format!("simulate: grid[{n}]"), format!("a time after {}", grid[n - 1]), grid[n]));
    }
    match first_non_finite(x) {
        None => Ok(2 * W * d),
        Some(i) => Err(Error::invalid(format!("simulate: start of path {}", i / d), "a finite point", x[i])),
    }
}

pub(super) fn first_non_finite<R: Real>(x: &[R]) -> Option<usize> {
    x.iter().position(|v| !v.is_finite())
}

/// NaN and infinity stay once they are there: the first such step is found by halving, each time with a run of the path's blocks along the
/// first times of the grid. Memory does not grow with the steps here either.
fn locate<R, S, I>(method: &I, sde: &S, grid: &[f64], starts: &[R], path: usize, paths: Paths) -> Error
where
    R: Real,
    S: Sde<R>,
    I: Integrator<R, S>,
{
    let d = sde.dim();
    let (pairs, row) = (path / (2 * W), (path % (2 * W)) * d);
    let starts = starts.chunks(2 * W * d).nth(pairs).unwrap_or_default();
    let blocks = &mut pair(method, sde);
    let mut rows = starts.to_vec();
    let (mut finite, mut step) = (0, grid.len() - 1);
    while step - finite > 1 {
        let middle = finite + (step - finite) / 2;
        rows.copy_from_slice(starts);
        dispatch(Run { method, sde, grid: &grid[..=middle], rows: &mut rows, blocks, normals: normals(paths, pairs), seen: None });
        match first_non_finite(&rows[row..row + d]) {
            None => finite = middle,
            Some(_) => step = middle,
        }
    }
    Error::NonFinite {
        place: format!("path {path} by the method {}, at time {}", I::CLAIMS.name, grid[step]),
        step,
        remedy: "look at the drift there; where it grows faster than linearly, explicit steps diverge: take shorter or adaptive steps, or \
                 tamed-euler"
            .into(),
    }
}

/// One block of paths and the working memory of its steps.
pub(crate) struct Block<R, M, S> {
    x: Vec<[R; W]>,
    /// The points as they are reported.
    seen: Vec<[R; W]>,
    w: Vec<[R; W]>,
    h: Vec<[R; W]>,
    memory: M,
    scratch: S,
}

fn pair<R, S, I>(method: &I, sde: &S) -> [Block<R, I::Memory, S::Scratch>; 2]
where
    R: Real,
    S: Sde<R>,
    I: Integrator<R, S>,
{
    let lanes = |n| vec![[R::zero(); W]; n];
    let block = || {
        let m = sde.noises();
        let (w, h) = match I::CLAIMS.needs {
            Needs::Nothing => (0, 0),
            Needs::W => (m, 0),
            Needs::Wh => (m, m),
        };
        Block { x: lanes(sde.dim()), seen: lanes(sde.dim()), w: lanes(w), h: lanes(h), memory: method.memory(sde), scratch: sde.scratch() }
    };
    [block(), block()]
}

/// Increments of consecutive steps, from plain normals: W = h^(1/2) Z, H = (h/12)^(1/2) Z'.
pub(crate) struct Normals<R> {
    w: NormalLanes<R>,
    h: NormalLanes<R>,
}

impl<R: Real> Normals<R> {
    pub fn new(paths: Paths, chunk: usize) -> Self {
        Normals { w: paths.stream(chunk).normal_lanes(), h: paths.areas().stream(chunk).normal_lanes() }
    }

    #[inline(always)]
    fn draw<const FMA: bool>(&mut self, step: &Step, w: &mut [[R; W]], h: &mut [[R; W]]) {
        scaled::<R, FMA>(&mut self.w, step.size(f64::sqrt), w);
        scaled::<R, FMA>(&mut self.h, step.size(|h| (h / 12.0).sqrt()), h);
    }
}

#[inline(always)]
fn scaled<R: Real, const FMA: bool>(normals: &mut NormalLanes<R>, sd: [R; W], out: &mut [[R; W]]) {
    for lanes in out {
        let z = normals.draw::<FMA>();
        let mut y = [R::zero(); W];
        for i in 0..W {
            y[i] = sd[i] * z[i];
        }
        *lanes = y;
    }
}

fn normals<R: Real>(paths: Paths, pair: usize) -> [Normals<R>; 2] {
    [Normals::new(paths, 2 * pair), Normals::new(paths, 2 * pair + 1)]
}

/// Two blocks that take their steps in turn: one has work for the processor while the other waits for its own results.
struct Run<'a, 'b, R: Real, S: Sde<R>, I: Integrator<R, S>> {
    method: &'a I,
    sde: &'a S,
    grid: &'a [f64],
    rows: &'a mut [R],
    blocks: &'a mut [Block<R, I::Memory, S::Scratch>; 2],
    normals: [Normals<R>; 2],
    /// For each time, where the points go.
    seen: Option<&'a mut [&'b mut [R]]>,
}

impl<R: Real, S: Sde<R>, I: Integrator<R, S>> Kernel for Run<'_, '_, R, S, I> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let size = W * self.sde.dim();
        let used = self.rows.chunks(size).len();
        for (rows, b) in self.rows.chunks(size).zip(&mut *self.blocks) {
            load(rows, &mut b.x);
        }
        let last = self.grid.len().saturating_sub(1);
        for n in 0..=last {
            // Behind the end, one more increment for what is reported of the last state; as long as the step before it.
            let (from, to) = if n < last { (n, n + 1) } else { (n.saturating_sub(1), n) };
            let step = Step::common(self.grid[from], self.grid[to]);
            let look = self.seen.is_some() || n == last;
            for (c, (b, normals)) in self.blocks.iter_mut().zip(&mut self.normals).take(used).enumerate() {
                if n < last || self.method.reports() {
                    normals.draw::<FMA>(&step, &mut b.w, &mut b.h);
                }
                let path = Increment { w: &b.w, h: &b.h };
                if look {
                    b.seen.copy_from_slice(&b.x);
                    self.method.report::<FMA>(self.sde, &step, path, &mut b.seen, &mut b.memory, &mut b.scratch);
                    if let Some(rows) = self.seen.as_mut().and_then(|seen| seen[n].chunks_mut(size).nth(c)) {
                        store(&b.seen, rows);
                    }
                }
                if n < last {
                    self.method.step::<FMA>(self.sde, &step, path, &mut b.x, &mut b.memory, &mut b.scratch);
                }
            }
        }
        for (rows, b) in self.rows.chunks_mut(size).zip(&*self.blocks) {
            store(&b.seen, rows);
        }
    }
}
