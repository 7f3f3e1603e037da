//! A mixture made ready for hot loops.

use super::low_rank::{self, LowRank};
use super::softmax::{finish, log_sum, scale, softmax};
use super::whitening::Whitening;
use super::{Covariances, Mixture};
use crate::linalg::Cholesky;
use crate::simd::{Kernel, W, nested};
use crate::{Real, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// A [`Mixture`] in precision `R`, everything that does not depend on the point computed beforehand.
///
/// The `*_block` functions take [`W`] points at a time with the lanes last: `x[j][i]` is coordinate j of
/// point i. They are inlined into the caller's [`crate::simd::Kernel`], need `scratch` of
/// [`Evaluator::scratch_len`] elements and panic if a slice is shorter than stated (the lengths depend on the
/// mixture alone, so callers fix them once, outside their loops). Everything is exact to rounding far from
/// all components too: weights are exponentials of differences to the largest.
///
/// ```
/// use ndarray::array;
/// use ndsm::mixture::{Covariances, Evaluator, Mixture};
/// let law = Mixture::new(array![1.0], array![[1.0, 2.0]], Covariances::Spherical(array![4.0]))?;
/// let evaluator = Evaluator::<f32>::new(&law);
/// let mut scratch = evaluator.scratch();
/// let (x, mut score) = ([[3f32; 16]; 2], [[0f32; 16]; 2]);
/// evaluator.score_block::<false>(&x, &mut score, &mut scratch);
/// assert_eq!((score[0][0], score[1][0]), (-0.5, -0.25)); // (m - x)/v
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Evaluator<R> {
    pub(super) dim: usize,
    /// ln w_k - (1/2) ln det(2 pi C_k), `[k]`.
    pub(super) constants: Vec<R>,
    /// m_k, [k, d]; of tied components W (m_k - centre).
    pub(super) means: Vec<R>,
    form: Form<R>,
}

#[derive(Debug, Clone)]
enum Form<R> {
    /// 1/v_k, `[k]`.
    Spherical(Vec<R>),
    /// 1/v_kj, [k, d].
    Diagonal(Vec<R>),
    Full(Vec<Whitening<R>>),
    Tied {
        whitening: Whitening<R>,
        centre: Vec<R>,
    },
    LowRank(Vec<LowRank<R>>),
}

impl Evaluator<f64> {
    /// Factors the covariances of a mixture whose shapes have been checked.
    ///
    /// # Errors
    /// `NotPositiveDefinite` or `Invalid`, naming the component.
    pub(super) fn factor(weights: &Array1<f64>, means: &Array2<f64>, covariances: &Covariances) -> Result<Self> {
        let (k, d) = means.dim();
        let whiten = |place: String, c: ArrayView2<f64>| {
            let cholesky = Cholesky::new(c).map_err(|e| e.within(place))?;
            Ok((Whitening::new(cholesky.inverse_lower().view()), cholesky.log_det()))
        };
        let mut log_dets = vec![0.0; k];
        let mut shifted = means.clone();
        let form = match covariances {
            Covariances::Spherical(v) => {
                log_dets = v.iter().map(|v| d as f64 * v.ln()).collect();
                Form::Spherical(v.iter().map(|v| 1.0 / v).collect())
            }
            Covariances::Diagonal(v) => {
                log_dets = v.rows().into_iter().map(|v| v.iter().map(|v| v.ln()).sum()).collect();
                Form::Diagonal(v.iter().map(|v| 1.0 / v).collect())
            }
            Covariances::Full(c) => {
                let mut all = Vec::with_capacity(k);
                for (i, c) in c.outer_iter().enumerate() {
                    let (whitening, log_det) = whiten(format!("mixture: covariance of component {i}"), c)?;
                    log_dets[i] = log_det;
                    all.push(whitening);
                }
                Form::Full(all)
            }
            Covariances::Tied(c) => {
                let (whitening, log_det) = whiten("mixture: tied covariance".into(), c.view())?;
                log_dets.fill(log_det);
                // About the centre, so that a far origin costs no digits.
                let centre = weights.dot(means);
                shifted = (&shifted - &centre).dot(&whitening.matrix().t());
                Form::Tied { whitening, centre: centre.to_vec() }
            }
            Covariances::LowRank { loadings, noise } => {
                let each = loadings.outer_iter().zip(noise).map(|(l, v)| LowRank::new(l, *v));
                let all = each.collect::<Result<Vec<_>>>().map_err(|e| e.within("mixture: loadings"))?;
                log_dets.iter_mut().zip(&all).for_each(|(l, c)| *l = c.log_det(d));
                Form::LowRank(all)
            }
        };
        let normal = 0.5 * d as f64 * std::f64::consts::TAU.ln();
        let constants = weights.iter().zip(&log_dets).map(|(w, l)| w.ln() - 0.5 * l - normal).collect();
        Ok(Evaluator { dim: d, constants, means: shifted.iter().copied().collect(), form })
    }

    /// The components in their eigenbases, where they are of low rank.
    pub(crate) fn low_rank(&self) -> Option<&[LowRank<f64>]> {
        match &self.form {
            Form::LowRank(all) => Some(all),
            _ => None,
        }
    }

    /// C_k^-1, [d, d].
    pub(super) fn precision(&self, k: usize) -> Array2<f64> {
        let squared = |w: &Whitening<f64>| {
            let w = w.matrix();
            w.t().dot(&w)
        };
        match &self.form {
            Form::Spherical(p) => Array2::from_diag(&Array1::from_elem(self.dim, p[k])),
            Form::Diagonal(p) => Array2::from_diag(&ArrayView1::from(&p[k * self.dim..(k + 1) * self.dim])),
            Form::Full(w) => squared(&w[k]),
            Form::Tied { whitening, .. } => squared(whitening),
            Form::LowRank(all) => all[k].precision(self.dim),
        }
    }
}

impl<R: Real> Evaluator<R> {
    /// The evaluator of `mixture` in this precision.
    pub fn new(mixture: &Mixture) -> Self {
        fn cast<R: Real>(x: &[f64]) -> Vec<R> {
            x.iter().map(|x| R::of(*x)).collect()
        }
        let from = mixture.evaluator();
        let form = match &from.form {
            Form::Spherical(p) => Form::Spherical(cast(p)),
            Form::Diagonal(p) => Form::Diagonal(cast(p)),
            Form::Full(w) => Form::Full(w.iter().map(Whitening::cast).collect()),
            Form::Tied { whitening, centre } => Form::Tied { whitening: whitening.cast(), centre: cast(centre) },
            Form::LowRank(all) => Form::LowRank(all.iter().map(LowRank::cast).collect()),
        };
        Evaluator { dim: from.dim, constants: cast(&from.constants), means: cast(&from.means), form }
    }

    /// Dimension d of the points.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number k of components.
    pub fn components(&self) -> usize {
        self.constants.len()
    }

    /// How many elements of scratch the block functions need: k for spherical and diagonal components, k + 2
    /// d for tied, k + k d for full ones and those of low rank.
    pub fn scratch_len(&self) -> usize {
        let (k, d) = (self.components(), self.dim);
        match self.form {
            Form::Spherical(_) | Form::Diagonal(_) => k,
            Form::Tied { .. } => k + 2 * d,
            Form::Full(_) | Form::LowRank(_) => k + k * d,
        }
    }

    /// Scratch of the right length.
    pub fn scratch(&self) -> Vec<[R; W]> {
        vec![[R::zero(); W]; self.scratch_len()]
    }

    /// grad ln pi(x) = sum_k r_k(x) C_k^-1 (m_k - x). `x`, `score`: `[d][W]`.
    #[inline(always)]
    pub fn score_block<const FMA: bool>(&self, x: &[[R; W]], score: &mut [[R; W]], scratch: &mut [[R; W]]) {
        let d = self.dim;
        let (x, score) = (&x[..d], &mut score[..d]);
        match (&self.form, d) {
            (Form::Spherical(p), 1) => self.spherical_score::<1, FMA>(p, x, score, &mut scratch[..self.components()]),
            (Form::Spherical(p), 2) => self.spherical_score::<2, FMA>(p, x, score, &mut scratch[..self.components()]),
            (Form::Spherical(p), 3) => self.spherical_score::<3, FMA>(p, x, score, &mut scratch[..self.components()]),
            _ => nested::<FMA, _>(Score { evaluator: self, x, score, scratch }),
        }
    }

    /// r_k(x) = w_k N(x; m_k, C_k)/pi(x) into `r`, `[k][W]`; returns ln pi(x). `x`: `[d][W]`.
    #[inline(always)]
    pub fn responsibilities_block<const FMA: bool>(&self, x: &[[R; W]], r: &mut [[R; W]], scratch: &mut [[R; W]]) -> [R; W] {
        let r = &mut r[..self.components()];
        let top = self.logits::<FMA>(&x[..self.dim], r, scratch);
        shares::<R, FMA>(&top, r)
    }

    /// The same with all of its loops in the caller's kernel: for one that does little else.
    #[inline(always)]
    pub(super) fn responsibilities_inline<const FMA: bool>(&self, x: &[[R; W]], r: &mut [[R; W]], scratch: &mut [[R; W]]) -> [R; W] {
        let r = &mut r[..self.components()];
        let top = self.any_logits::<FMA>(&x[..self.dim], r, scratch);
        shares::<R, FMA>(&top, r)
    }

    /// ln pi(x). `x`: `[d][W]`.
    #[inline(always)]
    pub fn log_density_block<const FMA: bool>(&self, x: &[[R; W]], scratch: &mut [[R; W]]) -> [R; W] {
        let (logits, rest) = scratch.split_at_mut(self.components());
        let top = self.logits::<FMA>(&x[..self.dim], logits, rest);
        let total = softmax::<R, FMA>(logits, &top);
        log_sum::<R, FMA>(&top, &total)
    }

    /// The score in any form.
    #[inline(always)]
    fn any_score<const FMA: bool>(&self, x: &[[R; W]], score: &mut [[R; W]], scratch: &mut [[R; W]]) {
        let d = self.dim;
        let (logits, rest) = scratch.split_at_mut(self.components());
        match &self.form {
            Form::Spherical(p) => self.separable_score::<FMA>(|k, _| p[k], x, score, logits),
            Form::Diagonal(p) => self.separable_score::<FMA>(|k, j| p[k * d + j], x, score, logits),
            Form::Full(all) => {
                let top = self.full_logits::<FMA>(all, x, logits, rest, d);
                let total = softmax::<R, FMA>(logits, &top);
                score.fill([R::zero(); W]);
                for ((whitening, y), e) in all.iter().zip(rest.chunks_exact_mut(d)).zip(&*logits) {
                    let mut r = [R::zero(); W];
                    for i in 0..W {
                        r[i] = -e[i] / total[i];
                    }
                    scale(y, &r);
                    whitening.add_transposed::<FMA>(y, score);
                }
            }
            Form::LowRank(all) => {
                nested::<FMA, _>(low_rank::Score { all, means: &self.means, constants: &self.constants, x, score, logits, rest })
            }
            Form::Tied { whitening, centre } => {
                let (v, y) = rest.split_at_mut(d);
                let top = self.tied_logits::<FMA>(whitening, centre, x, logits, y);
                let total = softmax::<R, FMA>(logits, &top);
                // W^T (sum_k r_k b_k - y), b_k the whitened means.
                for (j, (v, y)) in v.iter_mut().zip(&*y).enumerate() {
                    let mut sum = [R::zero(); W];
                    for (k, e) in logits.iter().enumerate() {
                        let b = self.means[k * d + j];
                        for i in 0..W {
                            sum[i] = e[i].fma::<FMA>(b - y[i], sum[i]);
                        }
                    }
                    for i in 0..W {
                        v[i] = sum[i] / total[i];
                    }
                }
                score.fill([R::zero(); W]);
                whitening.add_transposed::<FMA>(v, score);
            }
        }
    }

    /// ln(w_k N(x; m_k, C_k)) into `logits`; returns their largest.
    #[inline(always)]
    fn logits<const FMA: bool>(&self, x: &[[R; W]], logits: &mut [[R; W]], scratch: &mut [[R; W]]) -> [R; W] {
        match &self.form {
            Form::Spherical(p) => self.separable_logits::<FMA>(|k, _| p[k], x, logits),
            _ => nested::<FMA, _>(Logits { evaluator: self, x, logits, scratch }),
        }
    }

    /// The same in any form.
    #[inline(always)]
    fn any_logits<const FMA: bool>(&self, x: &[[R; W]], logits: &mut [[R; W]], scratch: &mut [[R; W]]) -> [R; W] {
        let d = self.dim;
        match &self.form {
            Form::Spherical(p) => self.separable_logits::<FMA>(|k, _| p[k], x, logits),
            Form::Diagonal(p) => self.separable_logits::<FMA>(|k, j| p[k * d + j], x, logits),
            Form::Full(all) => self.full_logits::<FMA>(all, x, logits, scratch, 0),
            Form::LowRank(all) => {
                nested::<FMA, _>(low_rank::Logits { all, means: &self.means, constants: &self.constants, x, logits, y: scratch, stride: 0 })
            }
            Form::Tied { whitening, centre } => self.tied_logits::<FMA>(whitening, centre, x, logits, scratch),
        }
    }

    /// `y` gets W_k (x - m_k) of component k at `stride` k: with stride d all are kept, with stride 0 none.
    #[inline(always)]
    fn full_logits<const FMA: bool>(
        &self,
        all: &[Whitening<R>],
        x: &[[R; W]],
        logits: &mut [[R; W]],
        y: &mut [[R; W]],
        stride: usize,
    ) -> [R; W] {
        let d = self.dim;
        let mut top = [R::min_value(); W];
        for (k, (l, m)) in logits.iter_mut().zip(self.means.chunks_exact(d)).enumerate() {
            let y = &mut y[k * stride..k * stride + d];
            all[k].apply::<FMA>(x, m, y);
            let mut q = [R::zero(); W];
            for y in y.iter() {
                for i in 0..W {
                    q[i] = y[i].fma::<FMA>(y[i], q[i]);
                }
            }
            finish::<R, FMA>(self.constants[k], &q, l, &mut top);
        }
        top
    }

    /// `y` gets W (x - centre).
    #[inline(always)]
    fn tied_logits<const FMA: bool>(
        &self,
        whitening: &Whitening<R>,
        centre: &[R],
        x: &[[R; W]],
        logits: &mut [[R; W]],
        y: &mut [[R; W]],
    ) -> [R; W] {
        let d = self.dim;
        let y = &mut y[..d];
        whitening.apply::<FMA>(x, centre, y);
        let mut top = [R::min_value(); W];
        for (k, (l, b)) in logits.iter_mut().zip(self.means.chunks_exact(d)).enumerate() {
            let mut q = [R::zero(); W];
            for (y, b) in y.iter().zip(b) {
                for i in 0..W {
                    let v = y[i] - *b;
                    q[i] = v.fma::<FMA>(v, q[i]);
                }
            }
            finish::<R, FMA>(self.constants[k], &q, l, &mut top);
        }
        top
    }
}

/// From logits with their largest to responsibilities; returns the logarithm of the sum.
#[inline(always)]
fn shares<R: Real, const FMA: bool>(top: &[R; W], r: &mut [[R; W]]) -> [R; W] {
    let total = softmax::<R, FMA>(r, top);
    let mut inverse = [R::zero(); W];
    for i in 0..W {
        inverse[i] = R::one() / total[i];
    }
    scale(r, &inverse);
    log_sum::<R, FMA>(top, &total)
}

/// [`Evaluator::score_block`] where it is more than a few lines: a kernel of its own, not inlined into the
/// many that evaluate mixtures.
struct Score<'a, R> {
    evaluator: &'a Evaluator<R>,
    x: &'a [[R; W]],
    score: &'a mut [[R; W]],
    scratch: &'a mut [[R; W]],
}

impl<R: Real> Kernel for Score<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.evaluator.any_score::<FMA>(self.x, self.score, self.scratch);
    }
}

/// [`Evaluator::logits`], likewise.
struct Logits<'a, R> {
    evaluator: &'a Evaluator<R>,
    x: &'a [[R; W]],
    logits: &'a mut [[R; W]],
    scratch: &'a mut [[R; W]],
}

impl<R: Real> Kernel for Logits<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = [R; W];
    #[inline(always)]
    fn run<const FMA: bool>(self) -> [R; W] {
        self.evaluator.any_logits::<FMA>(self.x, self.logits, self.scratch)
    }
}
