//! The component-wise exact step (method.md, eq. 15).
//!
//! Draw the component k ~ r(. | x) by the responsibilities, then take the exact Ornstein-Uhlenbeck step of
//! component k alone:
//!
//! x' = m_k + e^(-beta h C_k^-1 / 2) (x - m_k) + L_k z,   L_k L_k^T = C_k (I - e^(-beta h C_k^-1)).
//!
//! The pair (k, x) makes a Gibbs sweep: k given x is drawn exactly, and the second part leaves N(m_k, C_k)
//! invariant. So pi is invariant for *every* h, where explicit Euler diverges as soon as h > 2 v_min / beta;
//! as h -> 0 it is Langevin dynamics (2), weakly of first order. Everything is done in the eigenbasis Q of
//! C_k, computed once: with v an eigenvalue, a = e^(-beta h / 2v) and sd^2 = v (1 - a^2),
//! x' = m + Q (a y + sd z), y = Q^T (x - m), and L = Q diag(sd).

use super::{Paths, check_rows, positive};
use crate::linalg::{self, Reflectors};
use crate::mixture::{Evaluator, Mixture};
use crate::par;
use crate::rng::{NormalLanes, Stream};
use crate::simd::{Kernel, W, dispatch, load, nested, store};
use crate::{Error, Real, Result};

/// The Ornstein-Uhlenbeck laws of all components of a mixture, in their eigenbases, and the mixture that
/// chooses among them.
#[derive(Debug, Clone)]
pub struct ComponentStep<R: Real> {
    pi: Evaluator<R>,
    beta: f64,
    means: Vec<R>,
    variances: Vec<R>,
    bases: Bases<R>,
}

/// The eigenbases Q_k.
#[derive(Debug, Clone)]
enum Bases<R> {
    /// All covariances are diagonal.
    Axes,
    /// Eigenvectors of component k as rows (`qt`) and as columns (`q`).
    Matrices { q: Vec<R>, qt: Vec<R> },
    /// Covariances of low rank, the loadings' directions first.
    Reflectors(Vec<Reflectors<R>>),
}

/// One Gaussian law x' ~ N(m + Q a y, Q diag(sd^2) Q^T) of component k, in its eigenbasis. Reused from call
/// to call.
#[derive(Debug, Clone)]
pub struct ComponentLaw<R> {
    /// The component.
    pub k: usize,
    /// y = Q^T (x - m): where the step starts.
    pub start: Vec<R>,
    /// a = e^(-beta h / 2v).
    pub decay: Vec<R>,
    /// sd = sqrt(v (1 - a^2)).
    pub sd: Vec<R>,
    centred: Vec<R>,
}

impl<R: Real> ComponentLaw<R> {
    /// Room for one law in `dim` dimensions.
    pub fn new(dim: usize) -> Self {
        let zero = vec![R::zero(); dim];
        ComponentLaw { k: 0, start: zero.clone(), decay: zero.clone(), sd: zero.clone(), centred: zero }
    }
}

impl<R: Real> ComponentStep<R> {
    /// Diagonalises every component of `pi`.
    ///
    /// # Errors
    /// `beta` not positive; a covariance whose eigendecomposition does not converge.
    pub fn new(pi: &Mixture, beta: f64) -> Result<Self> {
        positive("beta", beta)?;
        let (d, k) = (pi.dim(), pi.components());
        let of = |values: &mut dyn Iterator<Item = f64>| values.map(R::of).collect::<Vec<R>>();
        let means = of(&mut pi.means().iter().copied());
        let evaluator = Evaluator::new(pi);
        let made = |variances, bases| Ok(ComponentStep { pi: evaluator, beta, means, variances, bases });
        if let Some(all) = pi.evaluator().low_rank() {
            let variances = of(&mut all.iter().flat_map(|c| c.spectrum(d)));
            return made(variances, Bases::Reflectors(all.iter().map(|c| c.basis.cast()).collect()));
        }
        let covariances: Vec<_> = (0..k).map(|k| pi.covariance(k)).collect();
        let diagonal = covariances.iter().all(|c| c.indexed_iter().all(|((i, j), v)| i == j || *v == 0.0));
        if diagonal {
            let variances = of(&mut covariances.iter().flat_map(|c| c.diag().to_vec()));
            return made(variances, Bases::Axes);
        }
        let (mut variances, mut q, mut qt) = (Vec::with_capacity(k * d), Vec::with_capacity(k * d * d), Vec::with_capacity(k * d * d));
        for c in &covariances {
            let eigen = linalg::symmetric_eigen(c.view())?;
            variances.extend(eigen.values.iter().map(|v| R::of(*v)));
            q.extend(eigen.vectors.iter().map(|x| R::of(*x)));
            qt.extend(eigen.vectors.t().iter().map(|x| R::of(*x)));
        }
        made(variances, Bases::Matrices { q, qt })
    }

    /// The dimension d.
    pub fn dim(&self) -> usize {
        self.pi.dim()
    }

    /// beta.
    pub fn beta(&self) -> f64 {
        self.beta
    }

    /// The reference law pi.
    pub fn reference(&self) -> &Evaluator<R> {
        &self.pi
    }

    /// The eigenvalues v of C_k.
    pub fn variances(&self, k: usize) -> &[R] {
        &self.variances[k * self.dim()..][..self.dim()]
    }

    /// The law of a step of component `k` over time `h` from `x`.
    #[inline(always)]
    pub fn law<const FMA: bool>(&self, k: usize, h: R, x: &[R], law: &mut ComponentLaw<R>) {
        let d = self.dim();
        let m = &self.means[k * d..][..d];
        law.k = k;
        match &self.bases {
            Bases::Axes => law.start.iter_mut().zip(x).zip(m).for_each(|((y, x), m)| *y = *x - *m),
            Bases::Reflectors(all) => {
                law.start.iter_mut().zip(x).zip(m).for_each(|((y, x), m)| *y = *x - *m);
                all[k].turn_back(&mut law.start);
            }
            Bases::Matrices { q, .. } => {
                law.centred.iter_mut().zip(x).zip(m).for_each(|((y, x), m)| *y = *x - *m);
                combine::<R, FMA>(&q[k * d * d..][..d * d], &law.centred, &mut law.start);
            }
        }
        let rate = R::of(-0.5 * self.beta) * h;
        for ((a, sd), v) in law.decay.iter_mut().zip(&mut law.sd).zip(self.variances(k)) {
            let m1 = (rate / *v).exp_m1_lane::<FMA>();
            *a = m1 + R::one();
            *sd = (-*v * m1 * (R::one() + *a)).sqrt(); // 1 - a^2 = (1 - a)(1 + a)
        }
    }

    /// `out` = m_k + Q w: a point given by its coordinates in the eigenbasis.
    #[inline(always)]
    pub fn point<const FMA: bool>(&self, k: usize, w: &[R], out: &mut [R]) {
        let d = self.dim();
        self.direction::<FMA>(k, w, out);
        out.iter_mut().zip(&self.means[k * d..][..d]).for_each(|(o, m)| *o += *m);
    }

    /// `out` = Q w: a direction given by its coordinates in the eigenbasis.
    #[inline(always)]
    pub fn direction<const FMA: bool>(&self, k: usize, w: &[R], out: &mut [R]) {
        let d = self.dim();
        match &self.bases {
            Bases::Axes => out.copy_from_slice(w),
            Bases::Reflectors(all) => {
                out.copy_from_slice(w);
                all[k].turn(out);
            }
            Bases::Matrices { qt, .. } => combine::<R, FMA>(&qt[k * d * d..][..d * d], w, out),
        }
    }

    /// Draws one component per lane by the responsibilities at `x` (paths last), inverting the cumulative sum
    /// at `u` in (0, 1).
    #[inline(always)]
    pub fn choose<const FMA: bool>(&self, x: &[[R; W]], u: &[R; W], r: &mut [[R; W]], scratch: &mut [[R; W]]) -> [usize; W] {
        nested::<FMA, _>(Choose { pi: &self.pi, x, u, r, scratch })
    }

    /// Takes one step of size `h` (per path) from each row of `x` [n, d], in place.
    ///
    /// # Errors
    /// `Shape` if `x` is not rows of d numbers.
    pub fn step(&self, h: f64, x: &mut [R], paths: Paths) -> Result<()> {
        let d = self.dim();
        check_rows("component step", x, d)?;
        if !(h >= 0.0 && h.is_finite()) {
            return Err(Error::invalid("component step: h", "a finite number >= 0", h));
        }
        par::each_with(
            par::chunks_mut(x, W * d),
            || ComponentMemory::new(self),
            |block, chunk, rows| {
                load(rows, &mut block.x);
                dispatch(BlockStep { step: self, h: [R::of(h); W], block, random: Random::new(paths, chunk) });
                store(&block.x, rows);
            },
        );
        Ok(())
    }
}

/// `out` = sum_j w_j rows_j for a row-major square matrix: the product with its transpose, vector by vector.
#[inline(always)]
fn combine<R: Real, const FMA: bool>(rows: &[R], w: &[R], out: &mut [R]) {
    out.fill(R::zero());
    for (row, w) in rows.chunks_exact(out.len()).zip(w) {
        for (o, r) in out.iter_mut().zip(row) {
            *o = r.fma::<FMA>(*w, *o);
        }
    }
}

/// The random numbers of one block: normals, and a uniform number per path and step for the component.
pub(crate) struct Random<R> {
    pub normals: NormalLanes<R>,
    pub uniforms: Stream,
}

impl<R: Real> Random<R> {
    pub fn new(paths: Paths, chunk: usize) -> Self {
        let components = Paths { purpose: paths.purpose.component(), ..paths };
        Random { normals: paths.stream(chunk).normal_lanes(), uniforms: components.stream(chunk) }
    }

    #[inline(always)]
    pub fn uniform(&mut self) -> [R; W] {
        let mut u = [R::zero(); W];
        self.uniforms.fill_uniform(&mut u);
        u
    }
}

/// Working memory of one block of paths.
pub struct ComponentMemory<R> {
    pub x: Vec<[R; W]>,
    pub z: Vec<[R; W]>,
    pub r: Vec<[R; W]>,
    pub scratch: Vec<[R; W]>,
    pub law: ComponentLaw<R>,
    pub row: Vec<R>,
    pub noise: Vec<R>,
    pub moved: Vec<R>,
}

impl<R: Real> ComponentMemory<R> {
    pub fn new(step: &ComponentStep<R>) -> Self {
        let d = step.dim();
        let (zero, row) = (vec![[R::zero(); W]; d], vec![R::zero(); d]);
        ComponentMemory {
            x: zero.clone(),
            z: zero,
            r: vec![[R::zero(); W]; step.pi.components()],
            scratch: step.pi.scratch(),
            law: ComponentLaw::new(d),
            row: row.clone(),
            noise: row.clone(),
            moved: row,
        }
    }

    /// Copies lane `i` of x and z into `row` and `noise`.
    #[inline(always)]
    pub fn gather(&mut self, i: usize) {
        for j in 0..self.row.len() {
            self.row[j] = self.x[j][i];
            self.noise[j] = self.z[j][i];
        }
    }
}

/// [`ComponentStep::choose`] as code of its own.
struct Choose<'a, R> {
    pi: &'a Evaluator<R>,
    x: &'a [[R; W]],
    u: &'a [R; W],
    r: &'a mut [[R; W]],
    scratch: &'a mut [[R; W]],
}

impl<R: Real> Kernel for Choose<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = [usize; W];
    #[inline(always)]
    fn run<const FMA: bool>(self) -> [usize; W] {
        self.pi.responsibilities_block::<FMA>(self.x, self.r, self.scratch);
        let (mut sum, mut k) = ([R::zero(); W], [0usize; W]);
        for lanes in self.r.iter() {
            for i in 0..W {
                sum[i] += lanes[i];
                k[i] += usize::from(sum[i] <= self.u[i]);
            }
        }
        let last = self.r.len() - 1;
        k.map(|k| k.min(last)) // the sum may end below 1 by its rounding
    }
}

struct BlockStep<'a, R: Real> {
    step: &'a ComponentStep<R>,
    h: [R; W],
    block: &'a mut ComponentMemory<R>,
    random: Random<R>,
}

impl<R: Real> Kernel for BlockStep<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        advance::<R, FMA>(self.step, &self.h, self.block, &mut self.random);
    }
}

/// One step (15) of a block, lane i over time `h[i]`.
#[inline(always)]
pub(crate) fn advance<R: Real, const FMA: bool>(
    step: &ComponentStep<R>,
    h: &[R; W],
    block: &mut ComponentMemory<R>,
    random: &mut Random<R>,
) {
    let k = begin::<R, FMA>(step, block, random);
    for i in 0..W {
        lane::<R, FMA>(step, block, k[i], i, h[i]);
        move_lane::<R, FMA>(step, block, i);
    }
}

/// The random part of a step: the component of each lane, and the normals in `block.z`.
#[inline(always)]
pub(crate) fn begin<R: Real, const FMA: bool>(
    step: &ComponentStep<R>,
    block: &mut ComponentMemory<R>,
    random: &mut Random<R>,
) -> [usize; W] {
    let u = random.uniform();
    let k = step.choose::<FMA>(&block.x, &u, &mut block.r, &mut block.scratch);
    for z in &mut block.z {
        *z = random.normals.draw::<FMA>();
    }
    k
}

/// The law of lane `i`'s step, in `block.law`, and its normals, in `block.noise`. Not a closure handed to
/// [`advance`]: a closure that the compiler leaves as a call would be compiled for the baseline, where every
/// fused multiply-add is a call too.
#[inline(always)]
pub(crate) fn lane<R: Real, const FMA: bool>(step: &ComponentStep<R>, block: &mut ComponentMemory<R>, k: usize, i: usize, h: R) {
    block.gather(i);
    step.law::<FMA>(k, h, &block.row, &mut block.law);
}

/// Moves lane `i` by the law and the normals that [`lane`] left.
#[inline(always)]
pub(crate) fn move_lane<R: Real, const FMA: bool>(step: &ComponentStep<R>, block: &mut ComponentMemory<R>, i: usize) {
    let law = &block.law;
    for j in 0..block.noise.len() {
        block.noise[j] = law.decay[j].fma::<FMA>(law.start[j], law.sd[j] * block.noise[j]);
    }
    step.point::<FMA>(law.k, &block.noise, &mut block.moved);
    for (x, v) in block.x.iter_mut().zip(&block.moved) {
        x[i] = *v;
    }
}
