//! Small matrices, one for each of [`W`] paths: products, and the exponential functions of local
//! linearisation.
//!
//! A matrix is `[[R; W]]`, row-major, paths last.

use crate::Real;
use crate::simd::{Kernel, W, nested};

/// `out` = a b, all n x n.
#[inline(always)]
pub fn multiply<R: Real, const FMA: bool>(a: &[[R; W]], b: &[[R; W]], n: usize, out: &mut [[R; W]]) {
    for (row, out) in a.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        for (j, o) in out.iter_mut().enumerate() {
            *o = [R::zero(); W];
            for (k, a) in row.iter().enumerate() {
                let b = &b[k * n + j];
                for i in 0..W {
                    o[i] = a[i].fma::<FMA>(b[i], o[i]);
                }
            }
        }
    }
}

/// `out` = a v.
#[inline(always)]
pub fn apply<R: Real, const FMA: bool>(a: &[[R; W]], v: &[[R; W]], out: &mut [[R; W]]) {
    for (row, o) in a.chunks_exact(v.len()).zip(out) {
        *o = [R::zero(); W];
        for (a, v) in row.iter().zip(v) {
            for i in 0..W {
                o[i] = a[i].fma::<FMA>(v[i], o[i]);
            }
        }
    }
}

/// e^A - I, phi_1(A) and phi_2(A) for A = h J: phi_1(z) = (e^z - 1)/z, phi_2(z) = (e^z - 1 - z)/z^2. Never
/// inverts J.
///
/// Scaling and doubling: with B = A/2^s small, phi_2(B) by its Taylor polynomial, phi_1 = I + B phi_2, e^B =
/// I + B phi_1, and then s times phi_2(2B) = (phi_1(B)^2 + 2 phi_2(B))/4, phi_1(2B) = phi_1(B) + D
/// phi_1(B)/2, D = e^B - I, which doubles as 2 D + D^2: slow directions beside stiff ones keep the digits
/// that e^B would round away (Skaflestad and Wright 2009).
#[derive(Debug, Clone)]
pub struct PhiMemory<R> {
    /// e^A - I.
    pub expm1: Vec<[R; W]>,
    /// phi_1(A).
    pub phi1: Vec<[R; W]>,
    /// phi_2(A).
    pub phi2: Vec<[R; W]>,
    a: Vec<[R; W]>,
    tmp: Vec<[R; W]>,
}

/// The largest row sum at which polynomials are used: with their degrees the first missing term is below a
/// rounding of R.
const SMALL: f64 = 0.5;

impl<R: Real> PhiMemory<R> {
    /// Room for n x n matrices.
    pub fn new(n: usize) -> Self {
        let zero = vec![[R::zero(); W]; n * n];
        PhiMemory { expm1: zero.clone(), phi1: zero.clone(), phi2: zero.clone(), a: zero.clone(), tmp: zero }
    }

    /// Fills `expm1`, `phi1` and `phi2` for A = h J.
    #[inline(always)]
    pub fn evaluate<const FMA: bool>(&mut self, h: &[R; W], jacobian: &[[R; W]], n: usize) {
        nested::<FMA, _>(ExponentialFunctions { memory: self, h, jacobian, n });
    }

    #[inline(always)]
    fn run<const FMA: bool>(&mut self, h: &[R; W], jacobian: &[[R; W]], n: usize) {
        let doublings = scaled::<R>(h, jacobian, n, &mut self.a);
        let degree = if R::SINGLE { 7 } else { 13 };
        // Horner: phi_2(B) = sum_k B^k/(k + 2)!.
        let mut factorial = 1.0;
        for k in 1..=degree + 2 {
            factorial *= f64::from(k);
        }
        identity(&mut self.phi2, n, R::of(1.0 / factorial));
        for k in (0..degree).rev() {
            factorial /= f64::from(k + 3);
            multiply::<R, FMA>(&self.a, &self.phi2, n, &mut self.tmp);
            std::mem::swap(&mut self.phi2, &mut self.tmp);
            add_identity(&mut self.phi2, n, R::of(1.0 / factorial));
        }
        multiply::<R, FMA>(&self.a, &self.phi2, n, &mut self.phi1);
        add_identity(&mut self.phi1, n, R::one());
        multiply::<R, FMA>(&self.a, &self.phi1, n, &mut self.expm1);
        let (half, quarter) = (R::of(0.5), R::of(0.25));
        for round in 0..most(&doublings) {
            multiply::<R, FMA>(&self.phi1, &self.phi1, n, &mut self.tmp);
            for (p, t) in self.phi2.iter_mut().zip(&self.tmp) {
                for i in 0..W {
                    p[i] = if round < doublings[i] { quarter.fma::<FMA>(t[i], half * p[i]) } else { p[i] };
                }
            }
            multiply::<R, FMA>(&self.expm1, &self.phi1, n, &mut self.tmp);
            for (p, t) in self.phi1.iter_mut().zip(&self.tmp) {
                for i in 0..W {
                    p[i] = if round < doublings[i] { half.fma::<FMA>(t[i], p[i]) } else { p[i] };
                }
            }
            double::<R, FMA>(&mut self.expm1, n, round, &doublings, &mut self.tmp);
        }
    }
}

/// Rounds of doubling until every path has had its own.
fn most(doublings: &[i32; W]) -> i32 {
    doublings.iter().copied().fold(0, i32::max)
}

/// From e^B - I to e^(2B) - I, for the paths that still double in this round.
#[inline(always)]
fn double<R: Real, const FMA: bool>(d: &mut [[R; W]], n: usize, round: i32, doublings: &[i32; W], tmp: &mut [[R; W]]) {
    multiply::<R, FMA>(d, d, n, tmp);
    for (d, t) in d.iter_mut().zip(tmp) {
        for i in 0..W {
            d[i] = if round < doublings[i] { d[i] + d[i] + t[i] } else { d[i] };
        }
    }
}

/// Q(A) = int_0^1 e^(As) e^(A^T s) ds for A = h J, the covariance of a linear equation over one step.
///
/// With B = A/2^s small, Q(B) = sum_k T_k/(k + 1)!, T_0 = I, T_(k+1) = B T_k + T_k B^T, and then s times
/// Q(2B) = (Q(B) + e^B Q(B) e^(B^T))/2, e^B kept as e^B - I. A sum of positive terms in the doublings, so
/// that it stays positive where J is stiff, where Van Loan's block exponential, which holds e^(-A) too, would
/// overflow.
#[derive(Debug, Clone)]
pub struct GramianMemory<R> {
    a: Vec<[R; W]>,
    expm1: Vec<[R; W]>,
    term: Vec<[R; W]>,
    tmp: Vec<[R; W]>,
}

impl<R: Real> GramianMemory<R> {
    /// Room for n x n matrices.
    pub fn new(n: usize) -> Self {
        let zero = vec![[R::zero(); W]; n * n];
        GramianMemory { a: zero.clone(), expm1: zero.clone(), term: zero.clone(), tmp: zero }
    }

    /// Q(hJ) into `q`, [n, n].
    #[inline(always)]
    pub fn evaluate<const FMA: bool>(&mut self, h: &[R; W], jacobian: &[[R; W]], n: usize, q: &mut [[R; W]]) {
        nested::<FMA, _>(Gramian { memory: self, h, jacobian, n, q });
    }

    #[inline(always)]
    fn run<const FMA: bool>(&mut self, h: &[R; W], jacobian: &[[R; W]], n: usize, q: &mut [[R; W]]) {
        let doublings = scaled::<R>(h, jacobian, n, &mut self.a);
        let degree = if R::SINGLE { 10 } else { 20 };
        identity(q, n, R::one());
        identity(&mut self.term, n, R::one());
        for k in 1..=degree {
            // term = T_k/(k + 1)!.
            multiply::<R, FMA>(&self.a, &self.term, n, &mut self.tmp);
            let divisor = R::of(1.0 / f64::from(k + 1));
            for a in 0..n {
                for b in 0..n {
                    for i in 0..W {
                        self.term[a * n + b][i] = divisor * (self.tmp[a * n + b][i] + self.tmp[b * n + a][i]);
                    }
                }
            }
            for (q, t) in q.iter_mut().zip(&self.term) {
                for i in 0..W {
                    q[i] += t[i];
                }
            }
        }
        if most(&doublings) == 0 {
            return;
        }
        // e^B - I = B (I + B/2 (I + B/3 (...))).
        identity(&mut self.expm1, n, R::one());
        for k in (2..=degree).rev() {
            multiply::<R, FMA>(&self.a, &self.expm1, n, &mut self.tmp);
            let divisor = R::of(1.0 / f64::from(k));
            for (e, t) in self.expm1.iter_mut().zip(&self.tmp) {
                for i in 0..W {
                    e[i] = divisor * t[i];
                }
            }
            add_identity(&mut self.expm1, n, R::one());
        }
        multiply::<R, FMA>(&self.a, &self.expm1, n, &mut self.tmp);
        std::mem::swap(&mut self.expm1, &mut self.tmp);
        let half = R::of(0.5);
        for round in 0..most(&doublings) {
            // E Q = Q + D Q, then (E Q) E^T = E Q + (E Q) D^T: rows of the one against rows of the other.
            multiply::<R, FMA>(&self.expm1, q, n, &mut self.tmp);
            for (t, q) in self.tmp.iter_mut().zip(&*q) {
                for i in 0..W {
                    t[i] += q[i];
                }
            }
            for a in 0..n {
                for b in 0..n {
                    let mut sum = self.tmp[a * n + b];
                    for k in 0..n {
                        let (x, y) = (&self.tmp[a * n + k], &self.expm1[b * n + k]);
                        for i in 0..W {
                            sum[i] = x[i].fma::<FMA>(y[i], sum[i]);
                        }
                    }
                    for i in 0..W {
                        sum[i] += q[a * n + b][i];
                    }
                    for i in 0..W {
                        self.term[a * n + b][i] = if round < doublings[i] { half * sum[i] } else { q[a * n + b][i] };
                    }
                }
            }
            q.copy_from_slice(&self.term);
            double::<R, FMA>(&mut self.expm1, n, round, &doublings, &mut self.tmp);
        }
    }
}

/// [`PhiMemory::evaluate`] as code of its own.
struct ExponentialFunctions<'a, R> {
    memory: &'a mut PhiMemory<R>,
    h: &'a [R; W],
    jacobian: &'a [[R; W]],
    n: usize,
}

impl<R: Real> Kernel for ExponentialFunctions<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.memory.run::<FMA>(self.h, self.jacobian, self.n);
    }
}

/// [`GramianMemory::evaluate`] as code of its own.
struct Gramian<'a, R> {
    memory: &'a mut GramianMemory<R>,
    h: &'a [R; W],
    jacobian: &'a [[R; W]],
    n: usize,
    q: &'a mut [[R; W]],
}

impl<R: Real> Kernel for Gramian<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.memory.run::<FMA>(self.h, self.jacobian, self.n, self.q);
    }
}

/// Writes B = h J/2^s with row sums of at most [`SMALL`] and returns s: each path's own, so that a path does
/// not depend on those beside it.
#[inline(always)]
fn scaled<R: Real>(h: &[R; W], jacobian: &[[R; W]], n: usize, b: &mut [[R; W]]) -> [i32; W] {
    let mut norm = [R::zero(); W];
    for row in jacobian.chunks_exact(n) {
        let mut sum = [R::zero(); W];
        for j in row {
            for i in 0..W {
                sum[i] += j[i].abs();
            }
        }
        for i in 0..W {
            norm[i] = norm[i].max(sum[i] * h[i]);
        }
    }
    let (mut doublings, mut scale) = ([0; W], *h);
    for i in 0..W {
        let norm = norm[i].f64();
        if norm > SMALL && norm.is_finite() {
            doublings[i] = (norm / SMALL).log2().ceil() as i32;
            scale[i] *= R::of(0.5f64.powi(doublings[i]));
        }
    }
    for (b, j) in b.iter_mut().zip(jacobian) {
        for i in 0..W {
            b[i] = scale[i] * j[i];
        }
    }
    doublings
}

fn identity<R: Real>(a: &mut [[R; W]], n: usize, c: R) {
    a.fill([R::zero(); W]);
    add_identity(a, n, c);
}

#[inline(always)]
fn add_identity<R: Real>(a: &mut [[R; W]], n: usize, c: R) {
    for k in 0..n {
        for i in 0..W {
            a[k * n + k][i] += c;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_give_the_scalar_functions() {
        let mut memory = PhiMemory::<f64>::new(1);
        for z in [0.0, 1e-9, -0.3, 0.5, 1.0, -3.0, 20.0, -40.0] {
            memory.evaluate::<false>(&[2.0; W], &[[z / 2.0; W]], 1);
            let phi1 = if z == 0.0 { 1.0 } else { f64::exp_m1(z) / z };
            let phi2 = if z.abs() < 1e-3 { 0.5 + z / 6.0 } else { (f64::exp_m1(z) - z) / (z * z) };
            for (got, exact) in [(memory.expm1[0][1], z.exp_m1()), (memory.phi1[0][2], phi1), (memory.phi2[0][3], phi2)] {
                assert!((got - exact).abs() <= 2e-14 * exact.abs(), "z = {z}: {got} {exact}");
            }
        }
    }

    #[test]
    fn a_nilpotent_matrix_gives_the_finite_series() {
        // A = [[0, a], [0, 0]]: e^A = I + A, phi_1 = I + A/2, phi_2 = I/2 + A/6.
        let mut memory = PhiMemory::<f32>::new(2);
        let mut jacobian = [[0f32; W]; 4];
        jacobian[1] = [6.0; W];
        memory.evaluate::<false>(&[0.5; W], &jacobian, 2);
        for (got, expected) in
            [(&memory.expm1, [0.0, 3.0, 0.0, 0.0]), (&memory.phi1, [1.0, 1.5, 0.0, 1.0]), (&memory.phi2, [0.5, 0.5, 0.0, 0.5])]
        {
            assert!(got.iter().zip(expected).all(|(g, e)| (g[0] - e).abs() <= 1e-6), "{got:?}");
        }
    }

    #[test]
    fn covariances_of_linear_equations() {
        let mut memory = GramianMemory::<f64>::new(1);
        let mut q = [[0.0; W]];
        for z in [0.0, 1e-8, -0.2, 0.4, -1.0, 3.0, -50.0, -1e4] {
            memory.evaluate::<false>(&[0.5; W], &[[2.0 * z; W]], 1, &mut q);
            let exact = if z == 0.0 { 1.0 } else { f64::exp_m1(2.0 * z) / (2.0 * z) };
            assert!((q[0][0] - exact).abs() <= 1e-12 * exact, "z = {z}: {} {exact}", q[0][0]);
        }
        // The integrated Brownian motion, J = [[0, 1], [0, 0]]: [[4/3, 1/2], [1/2, 1]], with noise on both.
        let mut memory = GramianMemory::<f64>::new(2);
        let (mut q, mut jacobian) = ([[0.0; W]; 4], [[0.0; W]; 4]);
        jacobian[1] = [1.0; W];
        memory.evaluate::<false>(&[1.0; W], &jacobian, 2, &mut q);
        assert!(q.iter().zip([4.0 / 3.0, 0.5, 0.5, 1.0]).all(|(q, e)| (q[0] - e).abs() <= 1e-15), "{q:?}");
    }
}
