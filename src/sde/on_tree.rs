//! Running an integrator along a grid on given Brownian paths, so that several grids, or methods, see the
//! same ones.

use super::brownian::{Cursor, Tree};
use super::simulate::{check, first_non_finite};
use super::{Increment, Integrator, Needs, Sde, Step};
use crate::par;
use crate::simd::{Kernel, W, dispatch, load, store};
use crate::{Error, Real, Result};

/// Moves the paths `x` (row-major [n, d]) of `sde` along the times `grid` by `method`, in place, on the
/// Brownian paths of `tree`: row i of `x` is driven by path i of the tree, whatever the grid is. As
/// [`simulate`](super::simulate()), but for where the noise comes from.
///
/// A strong order is the slope of (E |X_h - X|^2)^(1/2) over the step size h, on common paths:
///
/// ```
/// use ndsm::rng::Purpose;
/// use ndsm::sde::{Grid, Paths, Sra1, brownian::Tree, from_fn, simulate_on};
///
/// let sde = from_fn(1, |_t, x: &[f64], f| f[0] = -x[0].sin(), 1.5)?; // dX = -sin X dt + 1.5 dB
/// let tree = Tree::new(Paths { seed: 0, purpose: Purpose::User(0), step: 0 }, &[0.0, 1.0])?;
/// let end = |steps: usize| -> ndsm::Result<Vec<f64>> {
///     let mut x = vec![1.0; 2000];
///     simulate_on(&Sra1, &sde, &tree, &Grid::Uniform.times(1.0, steps)?, &mut x)?;
///     Ok(x)
/// };
/// let (coarse, middle, fine) = (end(32)?, end(128)?, end(2048)?);
/// let error = |x: &[f64]| x.iter().zip(&fine).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt();
/// let order = (error(&coarse) / error(&middle)).log2() / 2.0;
/// assert!((order - 1.5).abs() < 0.1, "{order}");
/// # Ok::<(), ndsm::Error>(())
/// ```
///
/// # Errors
/// As [`simulate`](super::simulate()); a grid that leaves the tree's times. A method that reports another
/// point than its state looks one step behind the end, as long as the last one: the tree must reach that far.
pub fn simulate_on<R, S, I>(method: &I, sde: &S, tree: &Tree, grid: &[f64], x: &mut [R]) -> Result<()>
where
    R: Real,
    S: Sde<R>,
    I: Integrator<R, S>,
{
    check(sde, grid, x)?;
    let [.., before, end] = grid else { return Ok(()) };
    let behind = if method.reports() { 2.0 * end - before } else { *end };
    let (first, last) = (tree.grid()[0], tree.grid()[tree.grid().len() - 1]);
    if !(first <= grid[0] && behind <= last) {
        let asked = format!("the method {} needs the path on [{:?}, {behind:?}]", I::CLAIMS.name, grid[0]);
        return Err(Error::refused("simulate_on", format!("{asked}, and the tree has it on [{first:?}, {last:?}]")));
    }
    let areas = if I::CLAIMS.needs == Needs::Wh { sde.noises() } else { 0 };
    let size = W * sde.dim();
    let mut errors: Vec<Option<Error>> = x.chunks(size).map(|_| None).collect();
    par::each((par::chunks_mut(x, size), par::chunks_mut(&mut errors, 1)), |chunk, (rows, error)| {
        let zeros = |n| vec![[R::zero(); W]; n];
        let (memory, scratch) = (method.memory(sde), sde.scratch());
        let path = tree.cursor(chunk, sde.noises());
        let (x, w, h) = (zeros(sde.dim()), zeros(sde.noises()), zeros(areas));
        error[0] = match dispatch(Walk { method, sde, grid, behind, rows, path, x, w, h, memory, scratch }) {
            Ok(None) => None,
            Ok(Some((row, step))) => Some(non_finite(I::CLAIMS.name, chunk * W + row, step, grid)),
            Err(e) => Some(e),
        };
    });
    // All blocks are run: which path an error names does not depend on the threads.
    errors.into_iter().flatten().next().map_or(Ok(()), Err)
}

fn non_finite(method: &str, path: usize, step: usize, grid: &[f64]) -> Error {
    Error::NonFinite {
        place: format!("path {path} by the method {method}, at time {}", grid[step]),
        step,
        remedy: "look at the drift there; where it grows faster than linearly, explicit steps diverge: take shorter ones, or tamed-euler"
            .into(),
    }
}

/// One block of paths.
struct Walk<'a, R: Real, S: Sde<R>, I: Integrator<R, S>> {
    method: &'a I,
    sde: &'a S,
    grid: &'a [f64],
    /// Where the increment of the report ends.
    behind: f64,
    rows: &'a mut [R],
    path: Cursor<'a, R>,
    x: Vec<[R; W]>,
    w: Vec<[R; W]>,
    h: Vec<[R; W]>,
    memory: I::Memory,
    scratch: S::Scratch,
}

impl<R: Real, S: Sde<R>, I: Integrator<R, S>> Kernel for Walk<'_, R, S, I> {
    const VECTORS: bool = R::VECTORS;
    /// The first row that is NaN or infinite, and the step at whose end it is.
    type Output = Result<Option<(usize, usize)>>;
    #[inline(always)]
    fn run<const FMA: bool>(mut self) -> Self::Output {
        let d = self.x.len();
        let last = self.grid.len() - 1;
        load(self.rows, &mut self.x);
        for n in 0..=last {
            let (from, to) = (self.grid[n], if n < last { self.grid[n + 1] } else { self.behind });
            self.path.increment::<FMA>(from, to, &mut self.w, &mut self.h, &mut [])?;
            let (step, path) = (Step::common(from, to), Increment { w: &self.w, h: &self.h });
            if n < last {
                self.method.step::<FMA>(self.sde, &step, path, &mut self.x, &mut self.memory, &mut self.scratch);
            } else if self.method.reports() {
                self.method.report::<FMA>(self.sde, &step, path, &mut self.x, &mut self.memory, &mut self.scratch);
            }
            // 0 x is 0 or NaN: one sum for the block, and a look at its rows where there is reason.
            let mut sums = [R::zero(); W];
            for x in &self.x {
                for i in 0..W {
                    sums[i] += R::zero() * x[i];
                }
            }
            if sums.iter().any(|s| s.is_nan()) {
                store(&self.x, self.rows);
                if let Some(i) = first_non_finite(self.rows) {
                    return Ok(Some((i / d, (n + 1).min(last))));
                }
            }
        }
        store(&self.x, self.rows);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use crate::sde::method::Milstein;
    use crate::sde::{DoubleWell, EulerMaruyama, GeometricBrownian, Grid, LeimkuhlerMatthews, Paths, Sra1, from_fn};
    use approx::assert_abs_diff_eq;

    fn tree(end: f64) -> Tree {
        Tree::new(Paths { seed: 5, purpose: Purpose::Test, step: 0 }, &[0.0, end]).unwrap()
    }

    /// B_1 of the first `n` paths.
    fn ends(tree: &Tree, n: usize) -> Vec<f64> {
        let block = |chunk| {
            let mut w = [[0.0; W]];
            tree.cursor(chunk, 1).query(0.0, 1.0, &mut w, &mut [], &mut []).unwrap();
            w[0]
        };
        (0..n.div_ceil(W)).flat_map(block).take(n).collect()
    }

    /// dX = dB: every grid ends where the path does, and a row's path depends neither on the rows beside it
    /// nor on the threads.
    #[test]
    fn every_grid_sees_the_same_paths() {
        let (tree, brownian) = (tree(1.0), from_fn(1, |_t, _x: &[f64], f| f[0] = 0.0, 1.0).unwrap());
        let exact = ends(&tree, 70);
        for steps in [1, 7, 64] {
            let grid = Grid::Uniform.times(1.0, steps).unwrap();
            let run = |n: usize, threads: usize| {
                let mut x = vec![0.0; n];
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| simulate_on(&EulerMaruyama, &brownian, &tree, &grid, &mut x)).unwrap();
                x
            };
            let all = run(70, 2);
            assert_abs_diff_eq!(all[..], exact[..], epsilon = 1e-13);
            assert!(run(70, 1) == all && run(21, 1) == all[..21]);
        }
    }

    /// The slope of a root mean square error from 2^-4 to 2^-7. Of 2,000 paths each is known to 2 or 3 %, and
    /// the slope to about .02.
    fn order(error: impl Fn(&[f64]) -> f64) -> f64 {
        (error(&Grid::Uniform.times(1.0, 16).unwrap()) / error(&Grid::Uniform.times(1.0, 128).unwrap())).log2() / 3.0
    }

    fn distance(x: &[f64], y: &[f64]) -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn strong_orders_are_those_that_methods_claim() {
        let (n, tree) = (2000, tree(1.0));
        let run = |grid: &[f64], go: &dyn Fn(&[f64], &mut [f64])| {
            let mut x = vec![1.0; n];
            go(grid, &mut x);
            x
        };
        // dX = X dt/2 + X/2 dB, whose solution is a function of B_1.
        let sde = GeometricBrownian::new(vec![0.5], vec![0.5]).unwrap();
        let exact: Vec<f64> = ends(&tree, n).into_iter().flat_map(|b| sde.exact(&[1.0], 1.0, &[b])).collect();
        let euler = |grid: &[f64], x: &mut [f64]| simulate_on(&EulerMaruyama, &sde, &tree, grid, x).unwrap();
        let milstein = |grid: &[f64], x: &mut [f64]| simulate_on(&Milstein, &sde, &tree, grid, x).unwrap();
        // With the areas H, against the same method on a grid 16 times finer.
        let swing = from_fn(1, |_t, x: &[f64], f| f[0] = -x[0].sin(), 1.5).unwrap();
        let sra = |grid: &[f64], x: &mut [f64]| simulate_on(&Sra1, &swing, &tree, grid, x).unwrap();
        let fine = run(&Grid::Uniform.times(1.0, 2048).unwrap(), &sra);
        for (claim, go, limit) in [(0.5, &euler as &dyn Fn(&[f64], &mut [f64]), &exact), (1.0, &milstein, &exact), (1.5, &sra, &fine)] {
            let slope = order(|grid| distance(&run(grid, go), limit));
            assert!((slope - claim).abs() <= 0.1, "{claim}: {slope}");
        }
    }

    #[test]
    fn paths_that_are_not_there_and_numbers_that_are_not_finite_are_refused() {
        let well = DoubleWell::new(1, 1.0).unwrap();
        let sentence = |end: f64, grid: &[f64]| simulate_on(&Sra1, &well, &tree(end), grid, &mut [0.0f64; 3]).unwrap_err().to_string();
        assert!(sentence(1.0, &[0.0, 1.5]).contains("needs the path on [0.0, 1.5]") && sentence(1.0, &[-1.0, 0.5]).contains("[-1.0, 0.5]"));
        assert!(sentence(1.0, &[0.0, 0.5, 0.5]).contains("grid[2]"));
        // The report of a step that follows the last one.
        let report = |end: f64| simulate_on(&LeimkuhlerMatthews, &well, &tree(end), &[0.0, 0.75, 1.0], &mut [0.5f64; 3]);
        assert!(report(1.0).unwrap_err().to_string().contains("[0.0, 1.25]") && report(1.25).is_ok());
        // From 1e9 the cubic overflows in the fourth explicit step; of two such paths the first is named, and
        // its step.
        let mut x = [0.5f64; 40];
        (x[19], x[35]) = (1e9, 1e60);
        let e = simulate_on(&EulerMaruyama, &well, &tree(10.0), &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut x).unwrap_err().to_string();
        assert!(e.contains("path 19 by the method euler-maruyama, at time 4"), "{e}");
    }
}
