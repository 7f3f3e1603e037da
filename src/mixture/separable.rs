//! The evaluator's loops for covariances without off-diagonal entries.

use super::Evaluator;
use super::softmax::{finish, share, softmax};
use crate::Real;
use crate::simd::W;

impl<R: Real> Evaluator<R> {
    /// The whole score with its D sums in registers: the loop that simulation in few dimensions lives in.
    #[inline(always)]
    pub(super) fn spherical_score<const D: usize, const FMA: bool>(
        &self,
        p: &[R],
        x: &[[R; W]],
        score: &mut [[R; W]],
        logits: &mut [[R; W]],
    ) {
        let x: [[R; W]; D] = std::array::from_fn(|j| x[j]);
        let (means, _) = self.means.as_chunks::<D>();
        let mut top = [R::min_value(); W];
        for ((l, m), (p, c)) in logits.iter_mut().zip(means).zip(p.iter().zip(&self.constants)) {
            let mut q = [R::zero(); W];
            for j in 0..D {
                for i in 0..W {
                    let v = x[j][i] - m[j];
                    q[i] = v.fma::<FMA>(v, q[i]);
                }
            }
            for i in 0..W {
                q[i] *= *p;
            }
            finish::<R, FMA>(*c, &q, l, &mut top);
        }
        let mut total = [R::zero(); W];
        let mut sums = [[R::zero(); W]; D];
        for ((l, m), p) in logits.iter().zip(means).zip(p) {
            let mut e = [R::zero(); W];
            for i in 0..W {
                e[i] = share::<R, FMA>(l[i] - top[i]);
                total[i] += e[i];
                e[i] *= *p;
            }
            for j in 0..D {
                for i in 0..W {
                    sums[j][i] = e[i].fma::<FMA>(m[j] - x[j][i], sums[j][i]);
                }
            }
        }
        let mut inverse = [R::zero(); W];
        for i in 0..W {
            inverse[i] = R::one() / total[i];
        }
        for j in 0..D {
            for i in 0..W {
                score[j][i] = sums[j][i] * inverse[i];
            }
        }
    }

    /// Score for covariances without off-diagonal entries; `precision(k, j)` = 1/v_kj.
    #[inline(always)]
    pub(super) fn separable_score<const FMA: bool>(
        &self,
        precision: impl Fn(usize, usize) -> R,
        x: &[[R; W]],
        score: &mut [[R; W]],
        logits: &mut [[R; W]],
    ) {
        let top = self.separable_logits::<FMA>(&precision, x, logits);
        let total = softmax::<R, FMA>(logits, &top);
        for (j, (x, s)) in x.iter().zip(score).enumerate() {
            let mut sum = [R::zero(); W];
            for (k, e) in logits.iter().enumerate() {
                let (m, p) = (self.means[k * self.dim + j], precision(k, j));
                for i in 0..W {
                    sum[i] = (e[i] * p).fma::<FMA>(m - x[i], sum[i]);
                }
            }
            for i in 0..W {
                s[i] = sum[i] / total[i];
            }
        }
    }

    #[inline(always)]
    pub(super) fn separable_logits<const FMA: bool>(
        &self,
        precision: impl Fn(usize, usize) -> R,
        x: &[[R; W]],
        logits: &mut [[R; W]],
    ) -> [R; W] {
        let mut top = [R::min_value(); W];
        for (k, (l, m)) in logits.iter_mut().zip(self.means.chunks_exact(self.dim)).enumerate() {
            let mut q = [R::zero(); W];
            for (j, (x, m)) in x.iter().zip(m).enumerate() {
                let p = precision(k, j);
                for i in 0..W {
                    let v = x[i] - *m;
                    q[i] = (p * v).fma::<FMA>(v, q[i]);
                }
            }
            finish::<R, FMA>(self.constants[k], &q, l, &mut top);
        }
        top
    }
}
