//! The E step of expectation-maximisation: what the M step needs to know of all points, and the pass that
//! sums it up.

use super::super::{CovarianceKind, Evaluator};
use super::blocks::{BLOCK, Chunk};
use super::scatter;
use crate::Real;
use crate::simd::{self, Kernel, W};
use ndarray::{Array2, Array3, ArrayView1};

/// The sufficient statistics of n points under a mixture, sums over the points i with the responsibilities
/// r_ik and the residuals v = x_i - m_k about the means of that mixture: the result of
/// [`Em::e_step`](super::Em::e_step).
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    pub(super) kind: CovarianceKind,
    pub(super) d: usize,
    pub(super) n: usize,
    pub(super) mass: Vec<f64>,
    /// sum r v, [k, d].
    pub(super) first: Vec<f64>,
    /// sum r |v|^2, `[k]`; sum r v_j^2, [k, d]; sum r v v^T in tiles; nothing where the covariance is tied;
    /// sum r |v|^2 and sum r (P v) v^T, [q, d], of low rank.
    pub(super) second: Vec<f64>,
    /// P_k, [k, q, d]; q = 0 but for low rank.
    pub(super) directions: Array3<f64>,
    /// sum ln pi.
    pub(super) total: f64,
    /// The least ln pi, and the point that has it.
    pub(super) worst: (f64, usize),
}

/// Numbers of `second` for one component.
pub(super) fn second_len(kind: CovarianceKind, d: usize) -> usize {
    match kind {
        CovarianceKind::Spherical => 1,
        CovarianceKind::Diagonal => d,
        CovarianceKind::Full => scatter::len(d),
        CovarianceKind::Tied => 0,
        CovarianceKind::LowRank(q) => 1 + q * d,
    }
}

impl Statistics {
    pub(super) fn new(k: usize, d: usize, kind: CovarianceKind) -> Self {
        Statistics {
            kind,
            d,
            n: 0,
            mass: vec![0.0; k],
            first: vec![0.0; k * d],
            second: vec![0.0; k * second_len(kind, d)],
            directions: Array3::zeros((k, 0, d)),
            total: 0.0,
            worst: (f64::INFINITY, 0),
        }
    }

    /// Number of components.
    pub fn components(&self) -> usize {
        self.mass.len()
    }

    /// Mean log-likelihood of the points, mean_i ln pi(x_i).
    pub fn log_likelihood(&self) -> f64 {
        self.total / self.n as f64
    }

    /// n_k = sum_i r_ik, `[k]`: how many points each component explains.
    pub fn mass(&self) -> ArrayView1<'_, f64> {
        ArrayView1::from(&self.mass)
    }

    /// sum_i r_ik v of component k < [`Statistics::components`], `[d]`; for another k it panics as an index
    /// does, as the next two.
    pub fn first(&self, k: usize) -> ArrayView1<'_, f64> {
        ArrayView1::from(&self.first[k * self.d..(k + 1) * self.d])
    }

    /// sum_i r_ik v v^T, [d, d], of full covariances; its diagonal, with zeros beside it, of diagonal ones;
    /// [[sum_i r_ik |v|^2]] of spherical ones; [0, 0] of the others: tied ones need the masses and the data's
    /// covariance alone, those of low rank [`Statistics::along`].
    pub fn second(&self, k: usize) -> Array2<f64> {
        let len = second_len(self.kind, self.d);
        let of = &self.second[k * len..(k + 1) * len];
        match self.kind {
            CovarianceKind::Full => scatter::matrix(self.d, of),
            CovarianceKind::LowRank(_) => Array2::zeros((0, 0)),
            _ => Array2::from_diag(&ArrayView1::from(of)),
        }
    }

    /// Of low rank: sum_i r_ik (P v) v^T, [q, d], along the rows of the component's directions P, and sum_i
    /// r_ik |v|^2. P are the loadings; where those do not span q dimensions, the missing ones are replaced.
    /// No rows and 0 of the other kinds.
    pub fn along(&self, k: usize) -> (Array2<f64>, f64) {
        let (_, q, d) = self.directions.dim();
        match (self.kind, second_len(self.kind, d)) {
            (CovarianceKind::LowRank(_), len) => {
                let of = &self.second[k * len..(k + 1) * len];
                (Array2::from_shape_fn((q, d), |(i, j)| of[1 + i * d + j]), of[0])
            }
            _ => (Array2::zeros((0, d)), 0.0),
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (to, from) in [(&mut self.mass, &other.mass), (&mut self.first, &other.first), (&mut self.second, &other.second)] {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
        self.total += other.total;
        if other.worst.0 < self.worst.0 {
            self.worst = other.worst;
        }
    }
}

/// Where the responsibilities come from.
#[derive(Clone, Copy)]
pub(super) enum Posterior<'a> {
    /// The mixture's own.
    Model(&'a Evaluator<f64>),
    /// 1 for the component of that number, 0 for the others.
    Labels(&'a [u32]),
}

/// The pass over one chunk of points, block by block.
pub(super) struct Pass<'a> {
    pub chunk: Chunk<'a>,
    pub d: usize,
    pub posterior: Posterior<'a>,
    /// m_k, [k, d].
    pub shift: &'a [f64],
    /// P_k, [k, q, d], of low rank.
    pub directions: &'a [f64],
    pub kind: CovarianceKind,
}

impl Kernel for Pass<'_> {
    type Output = Statistics;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Statistics {
        let d = self.d;
        let k = self.shift.len() / d;
        let mut sums = Statistics::new(k, d, self.kind);
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
                        let log_density = evaluator.responsibilities_inline::<FMA>(x, r, &mut scratch);
                        for (i, l) in log_density.iter().enumerate().take(valid) {
                            sums.total += l;
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
                        let (directions, second) = (&self.directions[c * q * d..][..q * d], &mut sums.second[c * (1 + q * d)..]);
                        for j in 0..d {
                            second[0] += simd::sum(products::<FMA>(u.iter().skip(j).step_by(stride), u.iter().skip(j).step_by(stride)));
                        }
                        let mut t = [[0.0; W]; BLOCK];
                        for (row, p) in directions.chunks_exact(d).enumerate() {
                            for (t, u) in t.iter_mut().zip(u.chunks_exact(stride)) {
                                *t = [0.0; W];
                                for (p, u) in p.iter().zip(u) {
                                    for i in 0..W {
                                        t[i] = p.fma::<FMA>(u[i], t[i]);
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
