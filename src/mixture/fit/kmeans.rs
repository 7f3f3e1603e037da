//! k-means: where expectation-maximisation starts. Seeding by greedy k-means++ (Arthur and Vassilvitskii
//! 2007, section 4), then Lloyd's iteration.

use super::blocks::Blocks;
use crate::Real;
use crate::par;
use crate::rng::Stream;
use crate::simd::{Kernel, W, dispatch};

/// Rounds of Lloyd's iteration at most: the clusters are only a start.
const ROUNDS: usize = 60;
/// Centres whose distances to a group of points are computed together.
const C: usize = 4;

/// The cluster of each point, `[n]`; none of the `k` clusters is empty if there are k different points.
pub fn kmeans(blocks: &Blocks, k: usize, stream: &mut Stream) -> Vec<u32> {
    let mut centres = seed(blocks, k, stream);
    let mut labels = vec![u32::MAX; blocks.n];
    let mut taken = vec![false; k];
    for _ in 0..ROUNDS {
        let round = assign(blocks, &centres, &mut labels);
        let empty = round.count.iter().position(|c| *c == 0.0);
        match empty {
            // An empty cluster starts again at the point that is farthest from its centre; each may do so
            // once.
            Some(c) if !taken[c] => {
                taken[c] = true;
                centres[c] = blocks.point(round.farthest.1);
            }
            _ => {
                if round.changed == 0 {
                    break;
                }
                for ((centre, sum), count) in centres.iter_mut().zip(round.sum.chunks_exact(blocks.d)).zip(&round.count) {
                    if *count > 0.0 {
                        centre.iter_mut().zip(sum).for_each(|(c, s)| *c = s / count);
                    }
                }
            }
        }
    }
    labels
}

/// Centres drawn with probability proportional to the squared distance from those drawn before; of a few
/// candidates the one that leaves the least sum of squared distances is kept.
fn seed(blocks: &Blocks, k: usize, stream: &mut Stream) -> Vec<Vec<f64>> {
    let candidates = 2 + (k as f64).ln() as usize;
    let mut nearest = vec![f64::INFINITY; blocks.n];
    let mut centres = vec![blocks.point(stream.below(blocks.n))];
    shorten(blocks, &centres[0], &mut nearest);
    while centres.len() < k {
        let mut sums = Vec::with_capacity(blocks.n);
        let mut sum = 0.0;
        for d2 in &nearest {
            sum += d2;
            sums.push(sum);
        }
        let mut best: Option<(f64, Vec<f64>)> = None;
        for _ in 0..candidates {
            let u = stream.uniform::<f64>() * sum;
            let i = sums.partition_point(|s| *s <= u).min(blocks.n - 1);
            let candidate = blocks.point(i);
            let left = potential(blocks, &candidate, &nearest);
            if best.as_ref().is_none_or(|(b, _)| left < *b) {
                best = Some((left, candidate));
            }
        }
        if let Some((_, centre)) = best {
            shorten(blocks, &centre, &mut nearest);
            centres.push(centre);
        }
    }
    centres
}

/// nearest <- min(nearest, squared distance to `centre`).
fn shorten(blocks: &Blocks, centre: &[f64], nearest: &mut [f64]) {
    let points = blocks.chunk_points(1);
    let chunks = blocks.chunks(points);
    par::each(par::chunks_mut(nearest, points), |i, nearest| {
        dispatch(Distances {
            groups: chunks[i].groups,
            centre,
            d: blocks.d,
            each: |g: usize, d2: &[f64; W]| {
                for (n, d2) in nearest[g * W..].iter_mut().zip(d2) {
                    *n = if d2 < n { *d2 } else { *n };
                }
            },
        });
    });
}

/// What [`shorten`] would leave, summed.
fn potential(blocks: &Blocks, centre: &[f64], nearest: &[f64]) -> f64 {
    let points = blocks.chunk_points(1);
    let chunks = blocks.chunks(points);
    let part = |i: usize| {
        let (nearest, mut sum) = (&nearest[i * points..], 0.0);
        dispatch(Distances {
            groups: chunks[i].groups,
            centre,
            d: blocks.d,
            each: |g: usize, d2: &[f64; W]| {
                sum += nearest[g * W..].iter().zip(d2).map(|(n, d2)| if d2 < n { d2 } else { n }).sum::<f64>();
            },
        });
        sum
    };
    par::map(chunks.len(), part).iter().sum()
}

/// Calls `each` with the squared distances of every group of points to one centre.
struct Distances<'a, F> {
    groups: &'a [[f64; W]],
    centre: &'a [f64],
    d: usize,
    each: F,
}

impl<F: FnMut(usize, &[f64; W])> Kernel for Distances<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        for (g, x) in self.groups.chunks_exact(self.d).enumerate() {
            let [d2] = squared_distances::<1, FMA>(x, [self.centre]);
            (self.each)(g, &d2);
        }
    }
}

#[inline(always)]
fn squared_distances<const N: usize, const FMA: bool>(x: &[[f64; W]], centres: [&[f64]; N]) -> [[f64; W]; N] {
    let mut out = [[0.0; W]; N];
    let centres = centres.map(|c| &c[..x.len()]);
    for (j, x) in x.iter().enumerate() {
        for c in 0..N {
            for i in 0..W {
                let v = x[i] - centres[c][j];
                out[c][i] = v.fma::<FMA>(v, out[c][i]);
            }
        }
    }
    out
}

/// What one round of Lloyd's iteration finds.
struct Round {
    sum: Vec<f64>,
    count: Vec<f64>,
    changed: usize,
    /// The largest squared distance of a point from its centre, and the point.
    farthest: (f64, usize),
}

fn assign(blocks: &Blocks, centres: &[Vec<f64>], labels: &mut [u32]) -> Round {
    let (k, d) = (centres.len(), blocks.d);
    let points = blocks.chunk_points(k * d);
    let chunks = blocks.chunks(points);
    let mut parts: Vec<Option<Round>> = chunks.iter().map(|_| None).collect();
    par::each((par::chunks_mut(labels, points), par::chunks_mut(&mut parts, 1)), |i, (labels, part)| {
        part[0] = Some(dispatch(Assign { first: chunks[i].first, groups: chunks[i].groups, d, centres, labels }));
    });
    let mut all = Round { sum: vec![0.0; k * d], count: vec![0.0; k], changed: 0, farthest: (-1.0, 0) };
    for part in parts.iter().flatten() {
        all.sum.iter_mut().zip(&part.sum).for_each(|(a, b)| *a += b);
        all.count.iter_mut().zip(&part.count).for_each(|(a, b)| *a += b);
        all.changed += part.changed;
        if part.farthest.0 > all.farthest.0 {
            all.farthest = part.farthest;
        }
    }
    all
}

struct Assign<'a> {
    first: usize,
    groups: &'a [[f64; W]],
    d: usize,
    centres: &'a [Vec<f64>],
    labels: &'a mut [u32],
}

impl Kernel for Assign<'_> {
    type Output = Round;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Round {
        let (d, k) = (self.d, self.centres.len());
        let mut round = Round { sum: vec![0.0; k * d], count: vec![0.0; k], changed: 0, farthest: (-1.0, 0) };
        for (g, (x, labels)) in self.groups.chunks_exact(d).zip(self.labels.chunks_mut(W)).enumerate() {
            let mut best = [f64::INFINITY; W];
            let mut nearest = [0u32; W];
            let mut keep = |c: usize, d2: &[f64; W]| {
                for i in 0..W {
                    nearest[i] = if d2[i] < best[i] { c as u32 } else { nearest[i] };
                    best[i] = if d2[i] < best[i] { d2[i] } else { best[i] };
                }
            };
            let (fours, rest) = self.centres.as_chunks::<C>();
            for (c, four) in fours.iter().enumerate() {
                let d2 = squared_distances::<C, FMA>(x, std::array::from_fn(|i| &four[i][..]));
                d2.iter().enumerate().for_each(|(i, d2)| keep(C * c + i, d2));
            }
            for (c, one) in rest.iter().enumerate() {
                let [d2] = squared_distances::<1, FMA>(x, [&one[..]]);
                keep(C * fours.len() + c, &d2);
            }
            for (i, label) in labels.iter_mut().enumerate() {
                let c = nearest[i] as usize;
                round.changed += usize::from(*label != nearest[i]);
                *label = nearest[i];
                round.count[c] += 1.0;
                round.sum[c * d..(c + 1) * d].iter_mut().zip(x).for_each(|(s, x)| *s += x[i]);
                if best[i] > round.farthest.0 {
                    round.farthest = (best[i], self.first + g * W + i);
                }
            }
        }
        round
    }
}
