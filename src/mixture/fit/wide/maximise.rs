//! The M step: of each component's weighted covariance S only the products S L^T along its loadings L are
//! taken, from the points that it has a share of. In many dimensions that is one component for nearly every
//! point, so that the step costs n q d operations where the E step costs n k q d, and may be taken several
//! times for one E step: each time is a step of the power iteration toward the principal directions.

use super::super::em::EMPTY;
use super::super::low_rank_step::turned;
use super::expect::Shares;
use super::law::{Law, orthogonal};
use super::points::Points;
use crate::kernels::gemm::{Matrix, gemm, multiply, pack, packed_len, scratch};
use crate::{Result, par};
use ndarray::{Array1, ArrayView1, ArrayView2, Axis};
use std::ops::Range;

/// Points of a parallel piece of work, and of one product.
const PIECE: usize = 1024;
const ROWS: usize = 128;

/// The new parameters after `rounds` steps for the loadings; none of them lowers the likelihood. `floor` is
/// added to the noise. A component that explains less than a thousandth of a point keeps what it has.
///
/// # Errors
/// A component that collapses where the floor is too small to hold it.
pub fn maximise(points: &Points, shares: &Shares, old: &Law, floor: f64, rounds: usize) -> Result<Law> {
    let mut law = old.clone();
    let (_, q, d) = law.loadings.dim();
    let mass = shares.mass();
    // tr S of each component.
    let mut traces = vec![0.0; mass.len()];
    let work = Work::new(shares, &mass);
    for (c, part) in work.sum(|c, of| first_moments(points, &shares.of[c][of])) {
        let (first, square) = (ArrayView1::from(&part[..d]), part[d]);
        let mean = &first / mass[c];
        traces[c] = (square / mass[c] - mean.dot(&mean)).max(0.0);
        law.means.row_mut(c).assign(&mean);
    }
    let still = Array1::zeros(d);
    for _ in 0..rounds {
        for c in work.components() {
            law.span(c)?;
        }
        let products = work.sum(|c, of| along(points, &shares.of[c][of], law.directions(c), law.means.row(c)));
        let next = par::map(products.len(), |i| {
            let (c, product) = &products[i];
            let product = ArrayView2::from_shape((q, d), product).ok()?.to_owned() / mass[*c];
            let next = turned(product.view(), traces[*c], still.view(), law.directions(*c), law.noise[*c], floor);
            Some(next.and_then(|(l, v)| Ok((*c, orthogonal(l.view())?, v))))
        });
        for next in next.into_iter().flatten() {
            let (c, l, v) = next?;
            law.loadings.index_axis_mut(Axis(0), c).assign(&l);
            law.noise[c] = v;
        }
    }
    let weights = Array1::from(mass);
    law.weights = &weights / weights.sum();
    Ok(law)
}

/// The shares of all components that are not empty, cut into pieces for the threads, always in the same way.
struct Work {
    pieces: Vec<(usize, Range<usize>)>,
}

impl Work {
    fn new(shares: &Shares, mass: &[f64]) -> Self {
        let full = (0..mass.len()).filter(|c| mass[*c] > EMPTY);
        let cut = |c: usize| {
            let n = shares.of[c].len();
            (0..n).step_by(PIECE).map(move |first| (c, first..n.min(first + PIECE)))
        };
        Work { pieces: full.flat_map(cut).collect() }
    }

    fn components(&self) -> impl Iterator<Item = usize> {
        let mut all: Vec<usize> = self.pieces.iter().map(|(c, _)| *c).collect();
        all.dedup();
        all.into_iter()
    }

    /// Of each component the sum of `part` over its pieces, in their order.
    fn sum(&self, part: impl Fn(usize, Range<usize>) -> Vec<f64> + Sync) -> Vec<(usize, Vec<f64>)> {
        let parts = par::map(self.pieces.len(), |i| part(self.pieces[i].0, self.pieces[i].1.clone()));
        let mut sums: Vec<(usize, Vec<f64>)> = Vec::new();
        for ((c, _), part) in self.pieces.iter().zip(parts) {
            match sums.last_mut() {
                Some((last, sum)) if last == c => sum.iter_mut().zip(&part).for_each(|(s, p)| *s += p),
                _ => sums.push((*c, part)),
            }
        }
        sums
    }
}

/// sum r x, and behind it sum r |x|^2: [d + 1].
fn first_moments(points: &Points, of: &[(u32, f64)]) -> Vec<f64> {
    let mut sum = vec![0.0; points.d + 1];
    for (i, r) in of {
        sum.iter_mut().zip(points.row(*i as usize)).for_each(|(s, x)| *s += r * x);
        sum[points.d] += r * points.square()[*i as usize];
    }
    sum
}

/// sum r (L v) v^T, v = x - m: [q, d].
fn along(points: &Points, of: &[(u32, f64)], loadings: ArrayView2<f64>, mean: ArrayView1<f64>) -> Vec<f64> {
    let (q, d) = loadings.dim();
    let rows = loadings.as_standard_layout();
    let mut store = vec![0.0; packed_len::<f64>(d, q)];
    let packed = pack(Matrix::new(rows.as_slice().unwrap_or(&[]), q, d).t(), &mut store);
    let mut memory = vec![0.0; scratch::<f64>(true, ROWS, d)];
    let (mut v, mut t, mut sum) = (vec![0.0; ROWS * d], vec![0.0; ROWS * q], vec![0.0; q * d]);
    for of in of.chunks(ROWS) {
        let (v, t) = (&mut v[..of.len() * d], &mut t[..of.len() * q]);
        for ((i, _), v) in of.iter().zip(v.chunks_exact_mut(d)) {
            v.iter_mut().zip(points.row(*i as usize)).zip(&mean).for_each(|((v, x), m)| *v = x - m);
        }
        multiply(v, packed, t, false);
        for ((_, r), t) in of.iter().zip(t.chunks_exact_mut(q)) {
            t.iter_mut().for_each(|t| *t *= r);
        }
        gemm(Matrix::new(t, of.len(), q).t(), Matrix::new(v, of.len(), d), &mut sum, true, &mut memory);
    }
    sum
}
