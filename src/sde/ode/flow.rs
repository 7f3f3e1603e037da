//! The probability flow of an equation with isotropic noise.

use super::Velocity;
use crate::par;
use crate::sde::{Isotropic, Time, check_rows};
use crate::simd::{Kernel, W, dispatch, load, store};
use crate::{Real, Result};

/// v(x, t) = f(x, t) - sigma(t)^2 s(x, t) / 2 (eq. 4): where s is the score of the law of X_t, points moved
/// by v have that law at every time.
pub struct ProbabilityFlow<'a, R: Real, S: Isotropic<R>, F> {
    sde: &'a S,
    score: F,
    workers: Vec<Worker<R, S::Scratch>>,
}

/// Working memory of one thread.
struct Worker<R, S> {
    x: Vec<[R; W]>,
    f: Vec<[R; W]>,
    scratch: S,
}

impl<'a, R: Real, S: Isotropic<R>, F: Velocity<R>> ProbabilityFlow<'a, R, S, F> {
    /// The flow of `sde` with the score `score`, which writes s(x, t) as a [`Velocity`] writes v.
    pub fn new(sde: &'a S, score: F) -> Self {
        let worker = || Worker { x: vec![[R::zero(); W]; sde.dim()], f: vec![[R::zero(); W]; sde.dim()], scratch: sde.scratch() };
        ProbabilityFlow { sde, score, workers: (0..rayon::current_num_threads()).map(|_| worker()).collect() }
    }
}

impl<R: Real, S: Isotropic<R>, F: Velocity<R>> Velocity<R> for ProbabilityFlow<'_, R, S, F> {
    fn velocity(&mut self, t: f64, x: &[R], v: &mut [R]) -> Result<()> {
        let d = self.sde.dim();
        check_rows("probability flow", x, d)?;
        self.score.velocity(t, x, v)?;
        let sde = self.sde;
        let weight = R::of(-0.5 * sde.sigma(t).powi(2));
        // Whole blocks for each thread: what a block gives does not depend on where it runs.
        let share = x.len().div_ceil(W * d).div_ceil(self.workers.len()) * W * d;
        let shares = (par::chunks(x, share), par::chunks_mut(v, share), par::chunks_mut(&mut self.workers, 1));
        par::each(shares, |_, (x, v, worker)| dispatch(Share { sde, t: Time::Common(t), weight, x, v, worker: &mut worker[0] }));
        Ok(())
    }
}

/// v = f + weight s for a share of the rows; s is given in `v`.
struct Share<'a, R: Real, S: Isotropic<R>> {
    sde: &'a S,
    t: Time,
    weight: R,
    x: &'a [R],
    v: &'a mut [R],
    worker: &'a mut Worker<R, S::Scratch>,
}

impl<R: Real, S: Isotropic<R>> Kernel for Share<'_, R, S> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Worker { x, f, scratch } = self.worker;
        let size = W * x.len();
        for (rows, v) in self.x.chunks(size).zip(self.v.chunks_mut(size)) {
            load(rows, x);
            self.sde.drift::<FMA>(&self.t, x, f, scratch);
            load(v, x); // the score takes the place of the points
            for (f, s) in f.iter_mut().zip(&*x) {
                for i in 0..W {
                    f[i] = s[i].fma::<FMA>(self.weight, f[i]);
                }
            }
            store(f, v);
        }
    }
}
