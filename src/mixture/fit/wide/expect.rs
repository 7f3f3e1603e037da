//! The E step: the densities of all points under all components from one matrix product.
//!
//! With u_j the principal directions of a component, lambda_j their variances less the noise v, and the
//! origin at the mean of the data,
//!
//! (x - m)^T C^-1 (x - m) = (|x|^2 - 2 x . m + |m|^2)/v - sum_j (b_j . x - b_j . m)^2,
//! b_j = u_j (lambda_j / v (lambda_j + v))^(1/2),
//!
//! so that b_j . x and x . m/v of all components are the columns of one product X B. Where |x|^2 is so much
//! larger than v that the difference would lose what the likelihood is compared to, the reflections of
//! [`LowRank`](crate::mixture::low_rank::LowRank) are taken, which lose nothing.

use super::law::Law;
use super::near::Near;
use super::points::Points;
use crate::kernels::gemm::{Matrix, Packed, multiply, pack, packed_len};
use crate::{Result, par};
use ndarray::{ArrayView1, Axis};
use std::cmp::Ordering;

/// Points of a parallel chunk, and of one product: a block of the result stays in the cache.
const CHUNK: usize = 1024;
const ROWS: usize = 64;
/// A share of a point below this is none: it would be lost in the rounding of any sum that it is added to.
const LEAST: f64 = 1e-17;
/// The largest |x|^2/v, in units of the rounding error, at which the product form is taken: a mean
/// log-likelihood is then right to 1e-8.
const LOSS: f64 = 1e-8;

/// Which component explains how much of which point.
pub struct Shares {
    /// Of each component the points that it has a share of, in order, and the shares.
    pub of: Vec<Vec<(u32, f64)>>,
    /// Number of points.
    pub n: usize,
    /// sum ln pi.
    pub total: f64,
    /// -sum r ln r.
    pub entropy: f64,
    /// The least ln pi, and the point that has it.
    pub worst: (f64, usize),
}

impl Shares {
    /// No shares yet of `n` points.
    pub fn new(k: usize, n: usize) -> Self {
        Shares { of: vec![Vec::new(); k], n, total: 0.0, entropy: 0.0, worst: (f64::INFINITY, 0) }
    }

    /// Each point belongs to the component of its label, `[n]`, below `k`.
    pub fn of_labels(labels: &[u32], k: usize) -> Self {
        let mut shares = Self::new(k, labels.len());
        for (i, label) in labels.iter().enumerate() {
            shares.of[*label as usize].push((i as u32, 1.0));
        }
        shares
    }

    /// Mean log-likelihood of the points.
    pub fn log_likelihood(&self) -> f64 {
        self.total / self.n as f64
    }

    /// How many points each component explains, `[k]`.
    pub fn mass(&self) -> Vec<f64> {
        self.of.iter().map(|of| of.iter().map(|(_, r)| r).sum()).collect()
    }

    /// Point `i` with `logits`, ln(w_k N(x; m_k, C_k)) of the components `which`, in their order; they are
    /// used up. All others count for nothing.
    pub fn push(&mut self, i: usize, logits: &mut [f64], which: impl Iterator<Item = usize>) {
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for l in logits.iter_mut() {
            *l = (*l - top).exp();
            sum += *l;
        }
        let log_density = top + sum.ln();
        self.total += log_density;
        if log_density < self.worst.0 {
            self.worst = (log_density, i);
        }
        for (c, e) in which.zip(logits) {
            let r = *e / sum;
            if r > LEAST {
                self.entropy -= r * r.ln();
                self.of[c].push((i as u32, r));
            }
        }
    }

    /// The shares of runs of points that follow each other.
    pub fn joined(parts: Vec<Shares>, k: usize) -> Self {
        let mut all = Self::new(k, parts.iter().map(|part| part.n).sum());
        parts.into_iter().for_each(|part| all.append(part));
        all
    }

    /// Adds the points of `other`, which come after these.
    fn append(&mut self, other: Shares) {
        self.of.iter_mut().zip(other.of).for_each(|(of, more)| of.extend(more));
        self.total += other.total;
        self.entropy += other.entropy;
        if other.worst.0 < self.worst.0 {
            self.worst = other.worst;
        }
    }
}

/// What the exponents are made of.
pub struct Form {
    /// q.
    pub rank: usize,
    /// b_j of a component, and behind them m/v: [k, q + 1, d].
    pub rows: Vec<f64>,
    /// b_j . m, [k, q].
    offsets: Vec<f64>,
    /// ln w - (1/2) (ln det(2 pi C) + |m|^2/v), `[k]`.
    constants: Vec<f64>,
    /// 1/v, `[k]`.
    inverse: Vec<f64>,
}

impl Form {
    /// None where products would lose too much for these `points`, and for what is no law.
    pub fn new(points: &Points, law: &Law) -> Option<Self> {
        let (k, q, d) = law.loadings.dim();
        let squares = law.means.map_axis(Axis(1), |m| m.dot(&m));
        let farthest = points.square().iter().chain(&squares).copied().fold(0.0, f64::max);
        let least = law.noise.iter().copied().fold(f64::INFINITY, f64::min);
        let (loss, most) = (f64::EPSILON * farthest, LOSS * least);
        // NaN passes neither way.
        if loss.partial_cmp(&most).is_none_or(Ordering::is_gt) {
            return None;
        }
        let mut rows = Vec::with_capacity(k * (q + 1) * d);
        let (mut offsets, mut constants) = (Vec::with_capacity(k * q), Vec::with_capacity(k));
        for (c, m) in law.means.outer_iter().enumerate() {
            let v = law.noise[c];
            let mut log_det = d as f64 * v.ln();
            for l in law.directions(c).outer_iter() {
                // l = u lambda^(1/2).
                let value = l.dot(&l) + v;
                let scale = 1.0 / (v * value).sqrt();
                log_det += (value / v).ln();
                offsets.push(scale * l.dot(&m));
                rows.extend(l.iter().map(|l| scale * l));
            }
            rows.extend(m.iter().map(|m| m / v));
            constants.push(law.weights[c].ln() - 0.5 * (d as f64 * std::f64::consts::TAU.ln() + log_det + squares[c] / v));
        }
        Some(Form { rank: q, rows, offsets, constants, inverse: law.noise.iter().map(|v| 1.0 / v).collect() })
    }

    /// ln(w N(x; m, C)) of component `c`, from the products of x with its rows and |x|^2.
    pub fn logit(&self, c: usize, products: &[f64], square: f64) -> f64 {
        let (along, [mean]) = products.split_at(self.rank) else { return f64::NAN };
        let along: f64 = along.iter().zip(&self.offsets[c * self.rank..]).map(|(x, m)| (x - m) * (x - m)).sum();
        self.constants[c] + mean + 0.5 * (along - square * self.inverse[c])
    }
}

/// The shares of all `points` under `law`; and where products do, which components are near which points.
///
/// # Errors
/// A law that is none, because it has components without any width.
pub fn expect(points: &Points, law: &Law, near: Option<&mut Near>) -> Result<Shares> {
    let Some(form) = Form::new(points, law) else { return by_reflections(points, law) };
    let (k, d) = (law.components(), points.d);
    let width = k * (form.rank + 1);
    let mut store = vec![0.0; packed_len::<f64>(d, width)];
    let columns = pack(Matrix::new(&form.rows, width, d).t(), &mut store);
    let wanted = near.is_some();
    let parts = in_chunks(points, |first, n| {
        let mut near = wanted.then(Near::default);
        (by_product(points, (&form, columns), (first, n), near.as_mut()), near)
    });
    let (shares, nears): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    if let Some(near) = near {
        *near = Near::joined(nears.into_iter().flatten(), k);
    }
    Ok(Shares::joined(shares, k))
}

/// `part(first, n)` of all chunks of `n` points, in their order.
pub fn in_chunks<T: Send>(points: &Points, part: impl Fn(usize, usize) -> T + Sync) -> Vec<T> {
    let n = points.count();
    par::map(n.div_ceil(CHUNK), |i| Some(part(i * CHUNK, CHUNK.min(n - i * CHUNK)))).into_iter().flatten().collect()
}

/// `n` points from the number `first` on.
fn by_product(points: &Points, (form, columns): (&Form, Packed<f64>), (first, n): (usize, usize), mut near: Option<&mut Near>) -> Shares {
    let (k, q, d) = (form.constants.len(), form.rank, points.d);
    let mut shares = Shares::new(k, n);
    let mut product = vec![0.0; ROWS * k * (q + 1)];
    let mut logits = vec![0.0; k];
    for start in (first..first + n).step_by(ROWS) {
        let count = ROWS.min(first + n - start);
        let product = &mut product[..count * k * (q + 1)];
        multiply(&points.rows()[start * d..(start + count) * d], columns, product, false);
        for (i, row) in product.chunks_exact(k * (q + 1)).enumerate() {
            let square = points.square()[start + i];
            for (c, of) in row.chunks_exact(q + 1).enumerate() {
                logits[c] = form.logit(c, of, square);
            }
            if let Some(near) = &mut near {
                near.push(&logits);
            }
            shares.push(start + i, &mut logits, 0..k);
        }
    }
    shares
}

/// The same where products would lose too much.
fn by_reflections(points: &Points, law: &Law) -> Result<Shares> {
    let k = law.components();
    let mixture = law.mixture(ArrayView1::from(&vec![0.0; points.d]))?;
    let n = points.count();
    let (mut r, mut log_density) = (vec![0.0; n * k], vec![0.0; n]);
    mixture.evaluator().responsibilities(points.rows(), &mut r)?;
    mixture.evaluator().log_density(points.rows(), &mut log_density)?;
    let part = |first: usize, count: usize| {
        let mut shares = Shares::new(k, count);
        for i in first..first + count {
            let mut logits: Vec<f64> = r[i * k..(i + 1) * k].iter().map(|r| r.ln() + log_density[i]).collect();
            shares.push(i, &mut logits, 0..k);
        }
        shares
    };
    Ok(Shares::joined(in_chunks(points, part), k))
}
