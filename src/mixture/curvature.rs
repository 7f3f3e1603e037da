//! Second and third derivatives of ln pi, in closed form, for hot loops.

use super::{Evaluator, Mixture};
use crate::Real;
use crate::simd::{Kernel, W, nested};

/// The Hessian of ln pi and the gradient of its Laplacian. With s_k = C_k^-1 (m_k - x) the score of component
/// k, P_k = C_k^-1, r_k the responsibilities, s = sum_k r_k s_k the score and c_k = s_k - s:
///
/// H = sum_k r_k (c_k c_k^T - P_k),
///
/// grad tr H = sum_k r_k ((|c_k|^2 - tr P_k) c_k - 2 P_k c_k),
///
/// from grad r_k = r_k c_k and D s_k = -P_k. Both are sums of centred terms: for one component they are -P
/// and 0 without rounding.
///
/// ```
/// use ndarray::array;
/// use ndsm::mixture::{Covariances, Curvature, Mixture};
/// let pi = Mixture::new(array![0.5, 0.5], array![[-1.0], [1.0]], Covariances::Spherical(array![1.0, 1.0]))?;
/// let curvature = Curvature::<f64>::new(&pi);
/// let mut memory = curvature.memory();
/// let (mut s, mut h, mut g) = ([[0.0; 16]], [[0.0; 16]], [[0.0; 16]]);
/// // ln pi = ln cosh x - x^2/2 + const: s = tanh x - x, H = 1/cosh^2 x - 1, H' = -2 tanh x / cosh^2 x.
/// curvature.block::<false>(&[[0.3; 16]], &mut s, &mut h, &mut g, &mut memory);
/// let sech2 = 0.3f64.cosh().powi(-2);
/// assert!((s[0][0] - (0.3f64.tanh() - 0.3)).abs() < 1e-15);
/// assert!((h[0][0] - (sech2 - 1.0)).abs() < 1e-15 && (g[0][0] + 2.0 * 0.3f64.tanh() * sech2).abs() < 1e-15);
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Curvature<R> {
    pi: Evaluator<R>,
    means: Vec<R>,
    /// P_k, [k, d, d].
    precisions: Vec<R>,
    traces: Vec<R>,
}

/// Working memory of [`Curvature::block`].
#[derive(Debug, Clone)]
pub struct CurvatureMemory<R> {
    r: Vec<[R; W]>,
    scratch: Vec<[R; W]>,
    /// s_k, then c_k, [k, d].
    scores: Vec<[R; W]>,
    /// P_k c_k.
    pulled: Vec<[R; W]>,
}

impl<R: Real> Curvature<R> {
    /// Prepares the precisions of all components.
    pub fn new(pi: &Mixture) -> Self {
        let k = pi.components();
        let precisions: Vec<_> = (0..k).map(|k| pi.evaluator().precision(k)).collect();
        Curvature {
            pi: Evaluator::new(pi),
            means: pi.means().iter().map(|m| R::of(*m)).collect(),
            traces: precisions.iter().map(|p| R::of(p.diag().sum())).collect(),
            precisions: precisions.iter().flatten().map(|p| R::of(*p)).collect(),
        }
    }

    /// Working memory.
    pub fn memory(&self) -> CurvatureMemory<R> {
        CurvatureMemory {
            r: vec![[R::zero(); W]; self.pi.components()],
            scratch: self.pi.scratch(),
            scores: vec![[R::zero(); W]; self.pi.components() * self.pi.dim()],
            pulled: vec![[R::zero(); W]; self.pi.dim()],
        }
    }

    /// The score `[d]`, the Hessian `[d, d]` and the gradient of its trace `[d]` at `x`, points last.
    #[inline(always)]
    pub fn block<const FMA: bool>(
        &self,
        x: &[[R; W]],
        score: &mut [[R; W]],
        hessian: &mut [[R; W]],
        slope: &mut [[R; W]],
        memory: &mut CurvatureMemory<R>,
    ) {
        nested::<FMA, _>(Derivatives { curvature: self, x, score, hessian, slope, memory });
    }
}

/// One block of points: a kernel of its own, not inlined into the many that need derivatives.
struct Derivatives<'a, R> {
    curvature: &'a Curvature<R>,
    x: &'a [[R; W]],
    score: &'a mut [[R; W]],
    hessian: &'a mut [[R; W]],
    slope: &'a mut [[R; W]],
    memory: &'a mut CurvatureMemory<R>,
}

impl<R: Real> Kernel for Derivatives<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Derivatives { curvature, x, score, hessian, slope, memory: m } = self;
        let d = curvature.pi.dim();
        curvature.pi.responsibilities_block::<FMA>(x, &mut m.r, &mut m.scratch);
        for out in [&mut *score, &mut *hessian, &mut *slope] {
            out.fill([R::zero(); W]);
        }
        for (k, s_k) in m.scores.chunks_exact_mut(d).enumerate() {
            component_score::<R, FMA>(&curvature.precisions[k * d * d..][..d * d], &curvature.means[k * d..][..d], x, s_k);
            for (score, s_k) in score.iter_mut().zip(&*s_k) {
                for i in 0..W {
                    score[i] = m.r[k][i].fma::<FMA>(s_k[i], score[i]);
                }
            }
        }
        let two = R::of(2.0);
        for (k, c) in m.scores.chunks_exact_mut(d).enumerate() {
            let (p, r) = (&curvature.precisions[k * d * d..][..d * d], m.r[k]);
            let mut size = [-curvature.traces[k]; W];
            for (c, s) in c.iter_mut().zip(&*score) {
                for i in 0..W {
                    c[i] -= s[i];
                    size[i] = c[i].fma::<FMA>(c[i], size[i]);
                }
            }
            product::<R, FMA>(p, c, &mut m.pulled);
            for a in 0..d {
                let (ca, q) = (c[a], m.pulled[a]);
                for i in 0..W {
                    slope[a][i] += r[i] * (size[i] * ca[i] - two * q[i]);
                }
                for b in 0..d {
                    let (h, cb) = (&mut hessian[a * d + b], c[b]);
                    for i in 0..W {
                        h[i] += r[i] * (ca[i] * cb[i] - p[a * d + b]);
                    }
                }
            }
        }
    }
}

/// P (m - x).
#[inline(always)]
fn component_score<R: Real, const FMA: bool>(p: &[R], mean: &[R], x: &[[R; W]], out: &mut [[R; W]]) {
    for (row, out) in p.chunks_exact(x.len()).zip(out) {
        *out = [R::zero(); W];
        for ((p, m), x) in row.iter().zip(mean).zip(x) {
            for i in 0..W {
                out[i] = p.fma::<FMA>(*m - x[i], out[i]);
            }
        }
    }
}

/// P v.
#[inline(always)]
fn product<R: Real, const FMA: bool>(p: &[R], v: &[[R; W]], out: &mut [[R; W]]) {
    for (row, out) in p.chunks_exact(v.len()).zip(out) {
        *out = [R::zero(); W];
        for (p, v) in row.iter().zip(v) {
            for i in 0..W {
                out[i] = p.fma::<FMA>(v[i], out[i]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::Covariances;
    use ndarray::{Axis, array, stack};

    #[test]
    fn derivatives_agree_with_the_law_and_with_differences() {
        let (a, b) = (array![[0.5, 0.2], [0.2, 0.9]], array![[1.5, -0.4], [-0.4, 0.3]]);
        let full = stack(Axis(0), &[a.view(), b.view()]).unwrap();
        let means = array![[-0.5, 0.3], [0.8, -0.2]];
        let low = Covariances::LowRank { loadings: array![[[0.7, -0.2]], [[0.1, 1.1]]], noise: array![0.3, 0.5] };
        for covariances in [Covariances::Full(full), Covariances::Tied(a), Covariances::Diagonal(array![[0.5, 1.0], [2.0, 0.4]]), low] {
            let pi = Mixture::new(array![0.3, 0.7], means.clone(), covariances).unwrap();
            let curvature = Curvature::<f64>::new(&pi);
            let mut memory = curvature.memory();
            let mut at = |x: [f64; 2]| {
                let (mut s, mut h, mut g) = ([[0.0; W]; 2], [[0.0; W]; 4], [[0.0; W]; 2]);
                curvature.block::<false>(&x.map(|x| [x; W]), &mut s, &mut h, &mut g, &mut memory);
                ([s[0][0], s[1][0]], [h[0][0], h[1][0], h[2][0], h[3][0]], [g[0][3], g[1][3]])
            };
            for x in [[0.1, 0.2], [-2.0, 1.0], [0.7, -0.9]] {
                let (s, h, g) = at(x);
                let exact = pi.hessian(array![x[0], x[1]].view()).unwrap();
                assert!(exact.iter().zip(h).all(|(e, h)| (e - h).abs() <= 1e-13), "{exact} {h:?}");
                let score = pi.score(array![[x[0], x[1]]].view()).unwrap();
                assert!(score.iter().zip(s).all(|(e, s)| (e - s).abs() <= 1e-13));
                for j in 0..2 {
                    // Five points: error of the fourth order in the spacing.
                    let trace = |c: f64, at: &mut dyn FnMut([f64; 2]) -> [f64; 4]| {
                        let mut y = x;
                        y[j] += c * 1e-3;
                        let h = at(y);
                        h[0] + h[3]
                    };
                    let mut h = |y| at(y).1;
                    let slope = (8.0 * (trace(1.0, &mut h) - trace(-1.0, &mut h)) - trace(2.0, &mut h) + trace(-2.0, &mut h)) / 12e-3;
                    assert!((slope - g[j]).abs() <= 1e-9 * (1.0 + slope.abs()), "{slope} {}", g[j]);
                }
            }
        }
    }
}
