//! The E step over those components alone that were near a point when all were looked at last: the others'
//! shares are below e^-100 and stay nothing for a few iterations. What it maximises is a bound of the
//! likelihood that is exact but for them (Lucke and Eggert, "Expectation truncation and the benefits of
//! preselection in training generative models", Journal of Machine Learning Research 11, 2010), so that the
//! likelihood does not fall here either.

use super::expect::{Form, Shares, in_chunks};
use super::law::Law;
use super::points::Points;
use crate::kernels::gemm::{Matrix, multiply, pack, packed_len};
use crate::par;
use std::ops::Range;

/// A component is near a point where its ln(w N) is less than this below the largest.
const MARGIN: f64 = 100.0;
/// Points of a parallel piece of work, and of one product.
const PIECE: usize = 1024;
const ROWS: usize = 64;

/// Which components are near which points.
#[derive(Default)]
pub struct Near {
    /// The components near point i are those at `ends[i - 1]..ends[i]` of `components`.
    ends: Vec<usize>,
    components: Vec<u32>,
    /// Of each component its points, and their places in `components`.
    of: Vec<Vec<(u32, u32)>>,
}

impl Near {
    /// The next point, with its ln(w N) of all components.
    pub fn push(&mut self, logits: &[f64]) {
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let near = logits.iter().enumerate().filter(|(_, l)| **l >= top - MARGIN);
        self.components.extend(near.map(|(c, _)| c as u32));
        self.ends.push(self.components.len());
    }

    /// What `parts` say of runs of points that follow each other.
    pub fn joined(parts: impl Iterator<Item = Near>, k: usize) -> Self {
        let mut all = Near { of: vec![Vec::new(); k], ..Near::default() };
        for part in parts {
            let before = all.components.len();
            all.ends.extend(part.ends.iter().map(|end| before + end));
            all.components.extend(part.components);
        }
        for i in 0..all.ends.len() {
            for at in all.places(i) {
                all.of[all.components[at] as usize].push((i as u32, at as u32));
            }
        }
        all
    }

    fn places(&self, i: usize) -> Range<usize> {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        start..self.ends[i]
    }

    /// The shares of all `points` under `law`, whose other components have none. None where it is not known
    /// what is near, and where products would lose too much.
    pub fn expect(&self, points: &Points, law: &Law) -> Option<Shares> {
        let k = law.components();
        if self.ends.len() != points.count() || self.of.len() != k {
            return None;
        }
        let form = Form::new(points, law)?;
        let cut = |c: usize| {
            let n = self.of[c].len();
            (0..n).step_by(PIECE).map(move |first| (c, first..n.min(first + PIECE)))
        };
        let pieces: Vec<(usize, Range<usize>)> = (0..k).flat_map(cut).collect();
        let parts = par::map(pieces.len(), |i| {
            let (c, of) = pieces[i].clone();
            logits(points, &form, c, &self.of[c][of])
        });
        let mut all = vec![0.0; self.components.len()];
        for ((c, of), part) in pieces.into_iter().zip(parts) {
            self.of[c][of].iter().zip(part).for_each(|((_, at), l)| all[*at as usize] = l);
        }
        let part = |first: usize, n: usize| {
            let mut shares = Shares::new(k, n);
            let mut logits = Vec::with_capacity(k);
            for i in first..first + n {
                logits.clear();
                logits.extend_from_slice(&all[self.places(i)]);
                shares.push(i, &mut logits, self.components[self.places(i)].iter().map(|c| *c as usize));
            }
            shares
        };
        Some(Shares::joined(in_chunks(points, part), k))
    }
}

/// ln(w N) of component `c` at some points.
fn logits(points: &Points, form: &Form, c: usize, of: &[(u32, u32)]) -> Vec<f64> {
    let (d, width) = (points.d, form.rank + 1);
    let mut store = vec![0.0; packed_len::<f64>(d, width)];
    let columns = pack(Matrix::new(&form.rows[c * width * d..][..width * d], width, d).t(), &mut store);
    let (mut x, mut product) = (vec![0.0; ROWS * d], vec![0.0; ROWS * width]);
    let mut out = Vec::with_capacity(of.len());
    for of in of.chunks(ROWS) {
        let (x, product) = (&mut x[..of.len() * d], &mut product[..of.len() * width]);
        for ((i, _), x) in of.iter().zip(x.chunks_exact_mut(d)) {
            x.copy_from_slice(points.row(*i as usize));
        }
        multiply(x, columns, product, false);
        for ((i, _), product) in of.iter().zip(product.chunks_exact(width)) {
            out.push(form.logit(c, product, points.square()[*i as usize]));
        }
    }
    out
}
