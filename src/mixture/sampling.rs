//! Samples of a mixture.

use super::low_rank::LowRank;
use super::{Covariances, Mixture};
use crate::linalg::Cholesky;
use crate::par;
use crate::rng::{Purpose, Stream};
use crate::{Error, Result};
use ndarray::{Array2, Axis};

/// Points of a parallel chunk; a chunk has its own stream of random numbers.
pub(crate) const CHUNK: usize = 1024;

/// How the components of a sample are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Draw {
    /// Independently, with the weights as probabilities.
    #[default]
    Independent,
    /// Systematically: n equally spaced positions (i + u)/n with one common u cut the weights, so that
    /// component k occurs n w_k times up to less than one; then in random order. Each point still has the
    /// mixture's law; averages over the sample have less variance.
    Systematic,
    /// The same within every 1,024 points, so that point i is the same for every n.
    Blocks,
}

impl Mixture {
    /// `n` points, [n, d], and the component of each, `[n]`. A function of (seed, purpose) and of nothing
    /// else; drawn in blocks the first points are the same for every n.
    ///
    /// # Errors
    /// `Invalid` if n is beyond what the streams can number (4e12).
    pub fn sample(&self, n: usize, seed: u64, purpose: Purpose, draw: Draw) -> Result<(Array2<f64>, Vec<usize>)> {
        self.sample_from(0, n, seed, purpose, draw)
    }

    /// The points of [`Self::sample`] from number 1024 `first` on.
    ///
    /// # Errors
    /// As [`Self::sample`].
    pub(crate) fn sample_from(&self, first: usize, n: usize, seed: u64, purpose: Purpose, draw: Draw) -> Result<(Array2<f64>, Vec<usize>)> {
        let d = self.dim();
        // The last chunk number belongs to the systematic draw.
        if first >= u32::MAX as usize || n.div_ceil(CHUNK) >= u32::MAX as usize - first || n.checked_mul(d).is_none() {
            return Err(Error::invalid("mixture sample: n", "< 4e12", n));
        }
        let roots = self.roots()?;
        let weights = self.weights().to_vec();
        let mut labels = match draw {
            Draw::Systematic => systematic(&weights, n, Stream::new(seed, purpose, 0, u32::MAX)),
            _ => vec![0; n],
        };
        let mut x = vec![0.0; n * d];
        par::each((par::chunks_mut(&mut x, CHUNK * d), par::chunks_mut(&mut labels, CHUNK)), |chunk, (x, labels)| {
            let chunk = (first + chunk) as u32;
            let mut stream = Stream::new(seed, purpose, 0, chunk);
            match draw {
                Draw::Independent => labels.iter_mut().for_each(|k| *k = stream.weighted(&weights)),
                // A stream of their own: how many are taken moves no normal.
                Draw::Systematic => {}
                Draw::Blocks => labels.copy_from_slice(&systematic(&weights, CHUNK, Stream::new(seed, purpose, 1, chunk))[..labels.len()]),
            }
            let mut z = vec![0.0; x.len()];
            stream.fill_normal(&mut z);
            for ((x, z), k) in x.chunks_exact_mut(d).zip(z.chunks_exact(d)).zip(labels) {
                roots.place(&self.means().row(*k).to_vec(), *k, z, x);
            }
        });
        Ok((Array2::from_shape_fn((n, d), |(i, j)| x[i * d + j]), labels))
    }

    /// Square roots of the covariances: C_k = L_k L_k^T.
    fn roots(&self) -> Result<Roots<'_>> {
        Ok(match self.covariances() {
            Covariances::Spherical(v) => Roots::Spherical(v.iter().map(|v| v.sqrt()).collect()),
            Covariances::Diagonal(v) => Roots::Diagonal(v.mapv(f64::sqrt)),
            Covariances::Full(c) => Roots::Full(c.axis_iter(Axis(0)).map(Cholesky::new).collect::<Result<_>>()?),
            Covariances::Tied(c) => Roots::Tied(Cholesky::new(c.view())?),
            Covariances::LowRank { .. } => Roots::LowRank(self.evaluator().low_rank().unwrap_or(&[])),
        })
    }
}

/// The components of `n` points.
fn systematic(weights: &[f64], n: usize, mut stream: Stream) -> Vec<usize> {
    let u: f64 = stream.uniform();
    let last = weights.iter().rposition(|w| *w > 0.0).unwrap_or(0);
    let mut labels = Vec::with_capacity(n);
    let mut sum = 0.0;
    for (k, w) in weights.iter().enumerate() {
        sum += w;
        while labels.len() < n && (k == last || (labels.len() as f64 + u) < sum * n as f64) {
            labels.push(k);
        }
    }
    stream.shuffle(&mut labels);
    labels
}

enum Roots<'a> {
    Spherical(Vec<f64>),
    Diagonal(Array2<f64>),
    Full(Vec<Cholesky>),
    Tied(Cholesky),
    LowRank(&'a [LowRank<f64>]),
}

impl Roots<'_> {
    /// x = m + L_k z; of low rank L_k = Q diag(sd).
    fn place(&self, m: &[f64], k: usize, z: &[f64], x: &mut [f64]) {
        let lower = match self {
            Roots::Spherical(s) => return x.iter_mut().zip(m).zip(z).for_each(|((x, m), z)| *x = m + s[k] * z),
            Roots::Diagonal(s) => return x.iter_mut().zip(m).zip(z).zip(s.row(k)).for_each(|(((x, m), z), s)| *x = m + s * z),
            Roots::Full(all) => all[k].lower(),
            Roots::Tied(one) => one.lower(),
            Roots::LowRank(all) => {
                let c = &all[k];
                for (j, (x, z)) in x.iter_mut().zip(z).enumerate() {
                    *x = c.leading.get(j).unwrap_or(&c.noise).sqrt() * z;
                }
                c.basis.turn(x);
                return x.iter_mut().zip(m).for_each(|(x, m)| *x += m);
            }
        };
        for (i, ((x, m), l)) in x.iter_mut().zip(m).zip(lower.rows()).enumerate() {
            *x = m + l.iter().zip(&z[..=i]).map(|(l, z)| l * z).sum::<f64>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn law() -> Mixture {
        let c = array![[[1.0, 0.5], [0.5, 2.0]], [[2.0, -1.0], [-1.0, 0.8]], [[0.3, 0.0], [0.0, 0.3]]];
        Mixture::new(array![0.5, 0.3, 0.2], array![[0.0, 0.0], [5.0, -3.0], [-4.0, 2.0]], Covariances::Full(c)).unwrap()
    }

    /// Moments within 4.5 standard errors: 12 comparisons, all right with more than 99.99 % confidence.
    #[test]
    fn moments_are_those_of_the_law() {
        let (law, n) = (law(), 200_000);
        for draw in [Draw::Independent, Draw::Systematic, Draw::Blocks] {
            let (x, labels) = law.sample(n, 7, Purpose::Test, draw).unwrap();
            let (mean, cov) = (law.total_mean(), law.total_covariance());
            for j in 0..2 {
                let error = (x.column(j).mean().unwrap() - mean[j]).abs();
                assert!(error <= 4.5 * (cov[[j, j]] / n as f64).sqrt(), "mean {j}: {error}");
                for i in 0..=j {
                    let product = (&x.column(i) - mean[i]) * (&x.column(j) - mean[j]);
                    let error = (product.mean().unwrap() - cov[[i, j]]).abs();
                    assert!(error <= 4.5 * product.std(1.0) / (n as f64).sqrt(), "covariance {i} {j}: {error}");
                }
            }
            for (k, w) in law.weights().iter().enumerate() {
                let error = (labels.iter().filter(|l| **l == k).count() as f64 - w * n as f64).abs();
                let one = |n: usize| (w * (1.0 - w) * n as f64).sqrt();
                let bound = match draw {
                    Draw::Independent => 4.5 * one(n),
                    Draw::Systematic => 1.0,
                    // 195 whole blocks, off by less than one each, and a part of another.
                    Draw::Blocks => 4.5 * (one(n % CHUNK) + (n as f64 / CHUNK as f64).sqrt()),
                };
                assert!(error <= bound, "component {k}: {error}");
            }
        }
    }

    #[test]
    fn a_sample_is_a_function_of_its_name() {
        let draw = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| law().sample(5000, 3, Purpose::Start, Draw::Systematic).unwrap())
        };
        let one = draw(1);
        assert_eq!(one, draw(3));
        assert_ne!(one, law().sample(5000, 4, Purpose::Start, Draw::Systematic).unwrap());
        assert!(one.1.windows(2).any(|w| w[0] > w[1]), "in random order");
        let whole = law().sample(5000, 3, Purpose::Start, Draw::Blocks).unwrap();
        let (few, labels) = law().sample(1500, 3, Purpose::Start, Draw::Blocks).unwrap();
        assert!(few == whole.0.slice(ndarray::s![..1500, ..]) && labels == whole.1[..1500], "point i is the same for every n");
        let (last, labels) = law().sample_from(2, 500, 3, Purpose::Start, Draw::Blocks).unwrap();
        assert!(last == whole.0.slice(ndarray::s![2048..2548, ..]) && labels == whole.1[2048..2548]);
        let (none, labels) = law().sample(0, 1, Purpose::Test, Draw::Systematic).unwrap();
        assert!(none.is_empty() && labels.is_empty());
        assert!(law().sample(usize::MAX, 1, Purpose::Test, Draw::Systematic).is_err());
    }
}
