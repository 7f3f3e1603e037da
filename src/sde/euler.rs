//! The Euler-Maruyama integrator.

use super::{Paths, Sde, check_rows};
use crate::rng::NormalLanes;
use crate::simd::{Kernel, W, dispatch, load, store};
use crate::{Error, Real, Result};
use rayon::prelude::*;

/// Euler-Maruyama (eq. 5): X_{n+1} = X_n + h_n f(X_n, t_n) + sqrt(h_n) sigma(t_n) Z_n.
///
/// Moves the paths `x` (row-major [n, d]) along the times `grid` in place. Weak order 1; strong order 1, since the noise is
/// additive. Pairs of blocks of [`W`] paths run through all their steps, in parallel; block c draws its normals from
/// stream (seed, purpose, step, c), so the result does not depend on the number of threads.
///
/// # Errors
/// `Shape` if `x` is not whole rows; `NonFinite` with the path if one ends at NaN or infinity (an explicit step is unstable
/// where h > 2 / |f'|).
pub fn euler_maruyama<R: Real, S: Sde<R>>(sde: &S, grid: &[f64], x: &mut [R], paths: Paths) -> Result<()> {
    let d = sde.dim();
    check_rows("euler_maruyama", x, d)?;
    x.par_chunks_mut(2 * W * d).enumerate().for_each_init(
        || [Memory::new(sde), Memory::new(sde)],
        |memory, (pair, rows)| {
            let normals = [2 * pair, 2 * pair + 1].map(|chunk| paths.stream(chunk).normal_lanes());
            dispatch(Chain { sde, grid, rows, normals, memory });
        },
    );
    match x.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(i) => Err(Error::NonFinite {
            place: format!("the end of path {} of the Euler-Maruyama chain", i / d),
            step: grid.len().saturating_sub(1),
            remedy: "take shorter steps, or the component-wise step, which is stable for every step size".into(),
        }),
    }
}

/// State of one block of paths.
pub(crate) struct Memory<R, S> {
    pub x: Vec<[R; W]>,
    pub f: Vec<[R; W]>,
    pub scratch: S,
}

impl<R: Real, S: Send> Memory<R, S> {
    pub fn new(sde: &impl Sde<R, Scratch = S>) -> Self {
        let zero = vec![[R::zero(); W]; sde.dim()];
        Memory { x: zero.clone(), f: zero, scratch: sde.scratch() }
    }
}

/// Two blocks that take their steps in turn: one has work for the processor while the other waits for its own results.
struct Chain<'a, R, S: Sde<R>>
where
    R: Real,
{
    sde: &'a S,
    grid: &'a [f64],
    rows: &'a mut [R],
    normals: [NormalLanes<R>; 2],
    memory: &'a mut [Memory<R, S::Scratch>; 2],
}

impl<R: Real, S: Sde<R>> Kernel for Chain<'_, R, S> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let d = self.sde.dim();
        let blocks = self.rows.chunks(W * d).len();
        for (rows, m) in self.rows.chunks(W * d).zip(&mut *self.memory) {
            load(rows, &mut m.x);
        }
        for t in self.grid.windows(2) {
            for (m, normals) in self.memory.iter_mut().zip(&mut self.normals).take(blocks) {
                step::<R, S, FMA>(self.sde, t[0], t[1] - t[0], m, normals, |_, _, _, _| {});
            }
        }
        for (rows, m) in self.rows.chunks_mut(W * d).zip(&*self.memory) {
            store(&m.x, rows);
        }
    }
}

/// One step of a block. `seen(j, mu_j, noise_j, z_j)` sees coordinate j of mu_n(X_n), sqrt(h) sigma Z_n and Z_n.
#[inline(always)]
pub(crate) fn step<R: Real, S: Sde<R>, const FMA: bool>(
    sde: &S,
    t: f64,
    h: f64,
    m: &mut Memory<R, S::Scratch>,
    normals: &mut NormalLanes<R>,
    mut seen: impl FnMut(usize, &[R; W], &[R; W], &[R; W]),
) {
    sde.drift::<FMA>(t, &m.x, &mut m.f, &mut m.scratch);
    let (dt, l) = (R::of(h), R::of(sde.noise(t, h)));
    for (j, (x, f)) in m.x.iter_mut().zip(&m.f).enumerate() {
        let z = normals.draw::<FMA>();
        let mu: [R; W] = std::array::from_fn(|i| f[i].fma::<FMA>(dt, x[i]));
        let noise: [R; W] = std::array::from_fn(|i| l * z[i]);
        *x = std::array::from_fn(|i| mu[i] + noise[i]);
        seen(j, &mu, &noise, &z);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::{Covariances, Mixture};
    use crate::rng::Purpose;
    use crate::sde::Langevin;
    use ndarray::array;

    #[test]
    fn a_path_depends_neither_on_threads_nor_on_the_paths_behind_it() {
        let means = array![[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.0, -3.0], [1.0, 1.0]];
        let pi = Mixture::new(array![0.2, 0.2, 0.2, 0.2, 0.2], means, Covariances::Spherical(array![0.2, 0.3, 0.4, 0.5, 0.6])).unwrap();
        let sde = Langevin::<f32>::new(&pi, 1.0).unwrap();
        let grid = [0.0, 0.01, 0.03, 0.06];
        let run = |n: usize, threads: usize| {
            let mut x: Vec<f32> = (0..2 * n).map(|i| (i as f32).sin()).collect();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| euler_maruyama(&sde, &grid, &mut x, Paths { seed: 1, purpose: Purpose::Test, step: 0 })).unwrap();
            x
        };
        // Pairs of blocks, a half pair, and blocks that are not full.
        let n = 9 * W + 5;
        let x = run(n, 1);
        assert!(x.iter().enumerate().all(|(i, v)| v.is_finite() && *v != (i as f32).sin()));
        for threads in [2, 3] {
            assert_eq!(run(n, threads), x);
        }
        for fewer in [1, W, W + 1, 2 * W, 3 * W - 1] {
            assert_eq!(run(fewer, 1), x[..2 * fewer]);
        }
    }
}
