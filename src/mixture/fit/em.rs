//! One iteration of expectation-maximisation (Dempster, Laird, Rubin 1977) as one pass over the data: responsibilities of a
//! block of points, then at once its share of the sums that the new parameters are made of.

use super::super::{CovarianceKind, Covariances, Evaluator, Mixture};
use super::blocks::{BLOCK, Blocks, Chunk};
use super::{low_rank, scatter};
use crate::par;
use crate::simd::{self, Kernel, W, dispatch};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use std::sync::OnceLock;

/// A component that explains less than this many points is empty.
pub const EMPTY: f64 = 1e-3;

/// Data prepared for repeated iterations; [`em_step`] is one iteration without it.
pub struct Em {
    pub(super) blocks: Blocks,
    moments: OnceLock<(Array1<f64>, Array2<f64>)>,
}

impl Em {
    /// # Errors
    /// `Shape` if `x`, [n, d], is empty; `Invalid` for the first number that is not finite.
    pub fn new(x: ArrayView2<f64>) -> Result<Self> {
        Ok(Self::from_blocks(Blocks::new(x)?))
    }

    /// Data that are in blocks already.
    pub(super) fn from_blocks(blocks: Blocks) -> Self {
        Em { blocks, moments: OnceLock::new() }
    }

    /// Mean, `[d]`, and covariance, [d, d], of the data. Tied covariances and starts need them.
    pub(super) fn moments(&self) -> &(Array1<f64>, Array2<f64>) {
        self.moments.get_or_init(|| self.blocks.moments())
    }

    /// One iteration from `mixture`: the new mixture, and the mean log-likelihood ln pi(x_i) of the *old* one. `floor` >= 0 is
    /// added to every variance, that is to the diagonals (scikit-learn's `reg_covar`). A component that explains less than a
    /// thousandth of a point keeps its mean and covariance.
    ///
    /// # Errors
    /// `Shape` if the dimensions differ; `Invalid` for a bad floor; `NotPositiveDefinite` if a component collapses and the
    /// floor is too small to hold it.
    pub fn step(&self, mixture: &Mixture, floor: f64) -> Result<(Mixture, f64)> {
        if mixture.dim() != self.blocks.d {
            return Err(Error::shape(
                "expectation-maximisation",
                "data and mixture of one dimension",
                &[&[self.blocks.n, self.blocks.d], mixture.means().shape()],
            ));
        }
        if !(floor >= 0.0 && floor.is_finite()) {
            return Err(Error::invalid("expectation-maximisation: variance floor", ">= 0 and finite", floor));
        }
        let sums = self.expect(mixture);
        let next = self.maximise(&sums, mixture, &vec![floor; self.blocks.d])?;
        Ok((next, sums.log_likelihood / self.blocks.n as f64))
    }

    /// The sums of one pass, responsibilities from `mixture`.
    pub(super) fn expect(&self, mixture: &Mixture) -> Sums {
        self.pass(Posterior::Model(mixture.evaluator()), mixture)
    }

    /// The mixture of `kind` that the clusters of k-means make: `labels`, `[n]`, below `k`.
    pub(super) fn start(&self, labels: &[u32], k: usize, kind: CovarianceKind, floor: &[f64]) -> Result<Mixture> {
        // One component a cluster, all alike: the sums are taken about the mean of the data.
        let (mean, covariance) = self.moments();
        let means = mean.broadcast((k, self.blocks.d)).map(|m| m.to_owned()).unwrap_or_default();
        let total = covariance + &Array2::from_diag(&ArrayView1::from(floor));
        let (alike, rounds) = low_rank::beginning(kind, k, total.view())?;
        let mut mixture = Mixture::new(Array1::from_elem(k, 1.0 / k as f64), means, alike)?;
        for _ in 0..rounds {
            mixture = self.maximise(&self.label(labels, &mixture), &mixture, floor)?;
        }
        Ok(mixture)
    }

    /// The sums of one pass where each point belongs to the component of its label, `[n]`, about the means of `mixture`.
    pub(super) fn label(&self, labels: &[u32], mixture: &Mixture) -> Sums {
        self.pass(Posterior::Labels(labels), mixture)
    }

    fn pass(&self, posterior: Posterior, mixture: &Mixture) -> Sums {
        let (shift, kind) = (mixture.means(), mixture.kind());
        let loadings: Vec<f64> = match mixture.covariances() {
            Covariances::LowRank { loadings, .. } => loadings.iter().copied().collect(),
            _ => Vec::new(),
        };
        let (k, d) = shift.dim();
        let shift: Vec<f64> = shift.iter().copied().collect();
        let points = self.blocks.chunk_points(k * (1 + d + second_len(kind, d)));
        let chunks = self.blocks.chunks(points);
        let part = |i| Some(dispatch(Pass { chunk: chunks[i], d, posterior, shift: &shift, loadings: &loadings, kind }));
        // In the order of the chunks, whoever finished first.
        let mut parts = par::map(chunks.len(), part).into_iter().flatten();
        let mut sums = parts.next().unwrap_or_else(|| Sums::new(k, d, kind));
        parts.for_each(|part| sums.add(&part));
        sums
    }

    /// The new parameters. `old` gives the points about which the sums were taken, and what an empty component keeps.
    pub(super) fn maximise(&self, sums: &Sums, old: &Mixture, floor: &[f64]) -> Result<Mixture> {
        let (k, d) = (old.components(), old.dim());
        let weights: Array1<f64> = sums.mass.iter().copied().collect();
        // Mean of x - m_old over the component; covariance about m_old less its square is the covariance about the new mean.
        let mut moved = Array2::zeros((k, d));
        for (i, mut v) in moved.outer_iter_mut().enumerate() {
            if sums.mass[i] > EMPTY {
                v.iter_mut().zip(&sums.first[i * d..]).for_each(|(v, s)| *v = s / sums.mass[i]);
            }
        }
        let means = &old.means() + &moved;
        let kept = |i: usize| sums.mass[i] <= EMPTY;
        let mean_floor = floor.iter().sum::<f64>() / d as f64;
        let covariances = match old.covariances() {
            Covariances::Spherical(v) => Covariances::Spherical(Array1::from_shape_fn(k, |i| {
                let m = moved.row(i);
                if kept(i) { v[i] } else { ((sums.second[i] / sums.mass[i] - m.dot(&m)) / d as f64).max(0.0) + mean_floor }
            })),
            Covariances::Diagonal(v) => Covariances::Diagonal(Array2::from_shape_fn((k, d), |(i, j)| {
                if kept(i) { v[[i, j]] } else { (sums.second[i * d + j] / sums.mass[i] - moved[[i, j]].powi(2)).max(0.0) + floor[j] }
            })),
            Covariances::Full(c) => {
                let mut out = c.clone();
                for (i, mut c) in out.outer_iter_mut().enumerate().filter(|(i, _)| !kept(*i)) {
                    let m = moved.row(i);
                    let s = sums.second(i, CovarianceKind::Full, d);
                    for ((a, b), c) in c.indexed_iter_mut() {
                        *c = s[[a, b]] / sums.mass[i] - m[a] * m[b] + if a == b { floor[a] } else { 0.0 };
                    }
                }
                Covariances::Full(out)
            }
            Covariances::Tied(_) => {
                // What is within the components is the data's covariance less what is between them.
                let (mean, covariance) = self.moments();
                let v = &means - mean;
                let share = &weights / self.blocks.n as f64;
                let between = v.t().dot(&(&v * &share.view().insert_axis(Axis(1))));
                let mut c = covariance - &between;
                c = (&c + &c.t()) * 0.5;
                c.diag_mut().iter_mut().zip(floor).for_each(|(c, f)| *c += f);
                Covariances::Tied(c)
            }
            Covariances::LowRank { loadings, noise } => {
                let (mut loadings, mut noise) = (loadings.clone(), noise.clone());
                for (i, mut l) in loadings.outer_iter_mut().enumerate().filter(|(i, _)| !kept(*i)) {
                    let (product, square) = sums.along(i, l.nrows(), d);
                    let (next, v) = low_rank::step(
                        (product / sums.mass[i]).view(),
                        square / sums.mass[i],
                        moved.row(i),
                        l.view(),
                        noise[i],
                        mean_floor,
                    )?;
                    l.assign(&next);
                    noise[i] = v;
                }
                Covariances::LowRank { loadings, noise }
            }
        };
        Mixture::new(&weights / weights.sum(), means, covariances)
    }
}

/// One iteration of expectation-maximisation on the rows of `x`, [n, d]; see [`Em::step`].
///
/// # Errors
/// Those of [`Em::new`] and [`Em::step`].
pub fn em_step(x: ArrayView2<f64>, mixture: &Mixture, floor: f64) -> Result<(Mixture, f64)> {
    Em::new(x)?.step(mixture, floor)
}

/// Where the responsibilities come from.
#[derive(Clone, Copy)]
enum Posterior<'a> {
    Model(&'a Evaluator<f64>),
    /// 1 for the component of that number, 0 for the others.
    Labels(&'a [u32]),
}

/// Sums over points i, with v = x_i - (shift of component k) and the responsibilities r.
pub struct Sums {
    /// sum r, `[k]`.
    pub mass: Vec<f64>,
    /// sum r v, [k, d].
    first: Vec<f64>,
    /// sum r |v|^2, `[k]`; sum r v_j^2, [k, d]; sum r v v^T in tiles; nothing where the covariance is tied; sum r |v|^2 and
    /// sum r (L v) v^T, [q, d], of low rank.
    second: Vec<f64>,
    /// sum ln pi.
    pub log_likelihood: f64,
    /// The least ln pi, and the point that has it.
    pub worst: (f64, usize),
}

/// Numbers of `second` for one component.
fn second_len(kind: CovarianceKind, d: usize) -> usize {
    match kind {
        CovarianceKind::Spherical => 1,
        CovarianceKind::Diagonal => d,
        CovarianceKind::Full => scatter::len(d),
        CovarianceKind::Tied => 0,
        CovarianceKind::LowRank(q) => 1 + q * d,
    }
}

impl Sums {
    fn new(k: usize, d: usize, kind: CovarianceKind) -> Self {
        let second = vec![0.0; k * second_len(kind, d)];
        Sums { mass: vec![0.0; k], first: vec![0.0; k * d], second, log_likelihood: 0.0, worst: (f64::INFINITY, 0) }
    }

    /// sum r v of component k, `[d]`.
    pub fn first(&self, k: usize, d: usize) -> &[f64] {
        &self.first[k * d..(k + 1) * d]
    }

    /// sum r v v^T of component k, [d, d]; its diagonal alone where no more is known, [[sum r |v|^2]] of a spherical one.
    pub fn second(&self, k: usize, kind: CovarianceKind, d: usize) -> Array2<f64> {
        let len = second_len(kind, d);
        let of = &self.second[k * len..(k + 1) * len];
        match kind {
            CovarianceKind::Full => scatter::matrix(d, of),
            _ => Array2::from_diag(&ArrayView1::from(of)),
        }
    }

    /// sum r (L v) v^T, [q, d], and sum r |v|^2 of component k with `q` loadings.
    pub fn along(&self, k: usize, q: usize, d: usize) -> (Array2<f64>, f64) {
        let of = &self.second[k * (1 + q * d)..][..1 + q * d];
        (Array2::from_shape_fn((q, d), |(i, j)| of[1 + i * d + j]), of[0])
    }

    fn add(&mut self, other: &Sums) {
        for (to, from) in [(&mut self.mass, &other.mass), (&mut self.first, &other.first), (&mut self.second, &other.second)] {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
        self.log_likelihood += other.log_likelihood;
        if other.worst.0 < self.worst.0 {
            self.worst = other.worst;
        }
    }
}

/// The pass over one chunk of points, block by block.
struct Pass<'a> {
    chunk: Chunk<'a>,
    d: usize,
    posterior: Posterior<'a>,
    shift: &'a [f64],
    /// L_k, [k, q, d], of low rank.
    loadings: &'a [f64],
    kind: CovarianceKind,
}

impl Kernel for Pass<'_> {
    type Output = Sums;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Sums {
        let d = self.d;
        let k = self.shift.len() / d;
        let mut sums = Sums::new(k, d, self.kind);
        let mut scratch = match self.posterior {
            Posterior::Model(evaluator) => evaluator.scratch(),
            Posterior::Labels(_) => Vec::new(),
        };
        let mut r = vec![[0.0; W]; BLOCK * k];
        let stride = scatter::padded(d);
        // Rows beyond d stay zero: the tiles read them.
        let mut u = vec![[0.0; W]; BLOCK * stride];
        let mut root = [[0.0; W]; BLOCK];
        for (b, block) in self.chunk.groups.chunks(BLOCK * d).enumerate() {
            for (g, (x, r)) in block.chunks_exact(d).zip(r.chunks_exact_mut(k)).enumerate() {
                let start = (b * BLOCK + g) * W;
                let valid = (self.chunk.n - start).min(W);
                match self.posterior {
                    Posterior::Model(evaluator) => {
                        let log_density = evaluator.responsibilities_block::<FMA>(x, r, &mut scratch);
                        for (i, l) in log_density.iter().enumerate().take(valid) {
                            sums.log_likelihood += l;
                            if *l < sums.worst.0 {
                                sums.worst = (*l, self.chunk.first + start + i);
                            }
                        }
                    }
                    Posterior::Labels(labels) => {
                        r.fill([0.0; W]);
                        for (i, label) in labels[self.chunk.first + start..].iter().enumerate().take(valid) {
                            r[*label as usize][i] = 1.0;
                        }
                    }
                }
                for r in r.iter_mut().filter(|_| valid < W) {
                    r[valid..].fill(0.0);
                }
            }
            for c in 0..k {
                let shift = &self.shift[c * d..(c + 1) * d];
                let used = block.len() / d;
                let mut mass = [0.0; W];
                for (r, root) in r.chunks_exact(k).zip(&mut root).take(used) {
                    for i in 0..W {
                        mass[i] += r[c][i];
                        root[i] = r[c][i].sqrt();
                    }
                }
                sums.mass[c] += simd::sum(mass);
                // u = sqrt(r) v: its products are those of r v v^T.
                for j in 0..d {
                    let m = shift[j];
                    let mut first = [0.0; W];
                    for ((x, root), u) in block.chunks_exact(d).zip(&root).zip(u.chunks_exact_mut(stride)) {
                        let mut v = [0.0; W];
                        for i in 0..W {
                            v[i] = root[i] * (x[j][i] - m);
                        }
                        for i in 0..W {
                            first[i] = root[i].fma::<FMA>(v[i], first[i]);
                        }
                        u[j] = v;
                    }
                    sums.first[c * d + j] += simd::sum(first);
                }
                let u = &u[..used * stride];
                match self.kind {
                    CovarianceKind::Tied => {}
                    CovarianceKind::Full => {
                        let len = scatter::len(d);
                        scatter::add::<FMA>(d, u, &mut sums.second[c * len..(c + 1) * len]);
                    }
                    CovarianceKind::LowRank(q) => {
                        let (loadings, second) = (&self.loadings[c * q * d..][..q * d], &mut sums.second[c * (1 + q * d)..]);
                        for j in 0..d {
                            second[0] += simd::sum(products::<FMA>(u.iter().skip(j).step_by(stride), u.iter().skip(j).step_by(stride)));
                        }
                        let mut t = [[0.0; W]; BLOCK];
                        for (row, l) in loadings.chunks_exact(d).enumerate() {
                            for (t, u) in t.iter_mut().zip(u.chunks_exact(stride)) {
                                *t = [0.0; W];
                                for (l, u) in l.iter().zip(u) {
                                    for i in 0..W {
                                        t[i] = l.fma::<FMA>(u[i], t[i]);
                                    }
                                }
                            }
                            for j in 0..d {
                                second[1 + row * d + j] += simd::sum(products::<FMA>(t.iter(), u.iter().skip(j).step_by(stride)));
                            }
                        }
                    }
                    CovarianceKind::Spherical | CovarianceKind::Diagonal => {
                        for j in 0..d {
                            let mut q = [0.0; W];
                            for u in u.chunks_exact(stride) {
                                for i in 0..W {
                                    q[i] = u[j][i].fma::<FMA>(u[j][i], q[i]);
                                }
                            }
                            let at = if self.kind == CovarianceKind::Diagonal { c * d + j } else { c };
                            sums.second[at] += simd::sum(q);
                        }
                    }
                }
            }
        }
        sums
    }
}

/// sum a b over pairs of lanes; the shorter run ends it.
#[inline(always)]
fn products<'a, const FMA: bool>(a: impl Iterator<Item = &'a [f64; W]>, b: impl Iterator<Item = &'a [f64; W]>) -> [f64; W] {
    let mut sum = [0.0; W];
    for (a, b) in a.zip(b) {
        for i in 0..W {
            sum[i] = a[i].fma::<FMA>(b[i], sum[i]);
        }
    }
    sum
}
