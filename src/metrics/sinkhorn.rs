//! Optimal transport with an entropic term, in the log domain.

use super::check_pair;
use super::pairs::per_row;
use crate::simd::{Kernel, W, dispatch};
use crate::{Error, Real, Result};
use ndarray::ArrayView2;
use rayon::prelude::*;

/// Most points of a set: two square matrices of them are held.
const MOST: usize = 8192;
/// Errors of the marginals, sum_i |sum_j P_ij - a_i|, at which the iteration ends: at once, or after
/// [`PATIENCE`] iterations.
const FINE: f64 = 1e-9;
const COARSE: f64 = 1e-5;
const PATIENCE: usize = 1_000;
/// Iterations at most.
const ITERATIONS: usize = 20_000;
/// By what epsilon falls on its way from the largest cost, where [`STEPS`] iterations at most bring the error
/// to [`ROUGH`].
const FALL: f64 = 0.25;
const STEPS: usize = 20;
const ROUGH: f64 = 1e-2;

/// The Sinkhorn divergence (Genevay, Peyre and Cuturi 2018; Feydy et al. 2019),
///
/// S(x, y) = OT(x, y) - (OT(x, x) + OT(y, y))/2,   OT(x, y) = min_P <P, C> + epsilon KL(P | a b),
///
/// C_ij = |x_i - y_j|^2, equal weights a and b. At least 0, also where the iteration ends early, and 0 only
/// for equal samples; near W_2^2 for a small epsilon, near the squared distance of the means for a large one.
/// `x`: [n, d], `y`: [m, d]; value and `epsilon` in the square of their unit.
///
/// The iteration ends where the marginals are right to 1e-9, or to 1e-5 after 1,000 rounds: a plan whose
/// marginals are off by e in sum has a value off by at most e times the largest cost, and mostly by far less.
/// A small epsilon takes many rounds of n m exponentials each; 1/100 of the typical cost is small.
///
/// # Errors
/// [`Error::Shape`] if the widths differ or a sample is empty; [`Error::Invalid`] for an epsilon that is not
/// positive, for more than 8,192 points and for coordinates that are not finite; [`Error::NoConvergence`]
/// after 20,000 iterations: epsilon is too small for the size of the points.
///
/// ```
/// use ndarray::array;
/// // One point: nothing but its way, whatever epsilon.
/// let s = ndsm::metrics::sinkhorn_divergence(array![[0.0, 0.0]].view(), array![[3.0, 4.0]].view(), 0.5)?;
/// assert!((s - 25.0).abs() < 1e-12);
/// # Ok::<(), ndsm::Error>(())
/// ```
pub fn sinkhorn_divergence(x: ArrayView2<f64>, y: ArrayView2<f64>, epsilon: f64) -> Result<f64> {
    check("sinkhorn_divergence", x, y, epsilon)?;
    let own = |x: ArrayView2<f64>| symmetric(&Costs::new(x, x), epsilon);
    let ((of_x, f), (of_y, g)) = (own(x)?, own(y)?);
    let (there, back) = (Costs::new(x, y), Costs::new(y, x));
    let divergence = between(&there, &back, [&f, &g], epsilon)? - 0.5 * (of_x + of_y);
    // Not negative but for rounding, see [`between`].
    Ok(if divergence < 0.0 { 0.0 } else { divergence })
}

/// What a fixed number of Sinkhorn's iterations come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// <P, C>, the cost of the plan P, without the entropic term.
    pub cost: f64,
    /// sum_i |sum_j P_ij - 1/n|, what is wrong with its marginals.
    pub error: f64,
}

/// `iterations` of Sinkhorn's iteration at one epsilon (Cuturi 2013, in the log domain), from potentials of
/// 0: the cost of the plan, for those who set their own limits. What it minimises and the units are those of
/// [`sinkhorn_divergence`].
///
/// # Errors
/// As [`sinkhorn_divergence`], but for its last.
pub fn sinkhorn_plan(x: ArrayView2<f64>, y: ArrayView2<f64>, epsilon: f64, iterations: usize) -> Result<Plan> {
    check("sinkhorn_plan", x, y, epsilon)?;
    let (there, back) = (Costs::new(x, y), Costs::new(y, x));
    let (mut f, mut g) = (vec![0.0; x.nrows()], vec![0.0; y.nrows()]);
    for _ in 0..iterations {
        g = back.soft_minimum(&g, &f, epsilon).0;
        f = there.soft_minimum(&f, &g, epsilon).0;
    }
    // P_ij = e^((f_i + g_j - C_ij)/epsilon)/(n m): rows are right after the last half of an iteration,
    // columns nearly.
    let rate = 1.0 / epsilon;
    let row = |(row, f): (&Vec<f64>, &f64)| row.iter().zip(&g).map(|(c, g)| c * ((f + g - c) * rate).exp()).sum::<f64>();
    let costs: Vec<f64> = there.rows.par_iter().zip(&f).map(row).collect();
    let error = back.soft_minimum(&g, &f, epsilon).1;
    Ok(Plan { cost: costs.iter().sum::<f64>() / (x.nrows() * y.nrows()) as f64, error })
}

/// Points and epsilon that can be worked with.
fn check(place: &str, x: ArrayView2<f64>, y: ArrayView2<f64>, epsilon: f64) -> Result<()> {
    check_pair(place, x, y, 1)?;
    if !(epsilon > 0.0 && epsilon.is_finite()) {
        return Err(Error::invalid(format!("{place}: epsilon"), "finite and > 0", epsilon));
    }
    if x.nrows().max(y.nrows()) > MOST {
        return Err(Error::invalid(format!("{place}: points"), format!("at most {MOST}"), x.nrows().max(y.nrows())));
    }
    match x.iter().chain(y.iter()).find(|v| !v.is_finite()) {
        Some(v) => Err(Error::invalid(format!("{place}: coordinates"), "finite", v)),
        None => Ok(()),
    }
}

/// |x_i - y_j|^2, row by row.
struct Costs {
    rows: Vec<Vec<f64>>,
    largest: f64,
}

impl Costs {
    fn new(x: ArrayView2<f64>, y: ArrayView2<f64>) -> Self {
        let rows = per_row(x, y, |_, d2| d2.to_vec());
        let largest = rows.par_iter().map(|row| row.iter().copied().fold(0.0, f64::max)).reduce(|| 0.0, f64::max);
        Costs { rows, largest }
    }

    /// The potential that belongs to `g`, of equal weights: new_i = -epsilon ln mean_j
    /// e^((g_j - C_ij)/epsilon). In terms of the old one, `f`, the mean is that of P_ij/(a_i b_j), whose
    /// distance from 1 is the error of marginal i: also returned, in sum over i.
    fn soft_minimum(&self, f: &[f64], g: &[f64], epsilon: f64) -> (Vec<f64>, f64) {
        let each = |(row, f): (&Vec<f64>, &f64)| {
            let mean = |shift: f64| dispatch(SumExp { costs: row, g, shift, rate: 1.0 / epsilon }) / g.len() as f64;
            let marginal = mean(*f);
            // Far from convergence the sum may leave the range of numbers: then about the largest term.
            if marginal > 1e-200 && marginal < 1e200 {
                return (f - epsilon * marginal.ln(), (marginal - 1.0).abs());
            }
            let least = row.iter().zip(g).map(|(c, g)| c - g).fold(f64::INFINITY, f64::min);
            (least - epsilon * mean(least).ln(), f64::INFINITY)
        };
        let each: Vec<(f64, f64)> = self.rows.par_iter().zip(f).with_min_len(8).map(each).collect();
        let error = each.iter().map(|e| e.1).sum::<f64>() / f.len() as f64;
        (each.into_iter().map(|e| e.0).collect(), error)
    }
}

/// sum_j e^((shift + g_j - c_j) rate), in lanes.
struct SumExp<'a> {
    costs: &'a [f64],
    g: &'a [f64],
    shift: f64,
    rate: f64,
}

impl Kernel for SumExp<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let ((costs, last), (g, last_g)) = (self.costs.as_chunks::<W>(), self.g.as_chunks::<W>());
        let term = |c: f64, g: f64| ((self.shift + g - c) * self.rate).exp_lane::<FMA>();
        let mut sum = [0.0; W];
        for (c, g) in costs.iter().zip(g) {
            for i in 0..W {
                sum[i] += term(c[i], g[i]);
            }
        }
        for ((sum, c), g) in sum.iter_mut().zip(last).zip(last_g) {
            *sum += term(*c, *g);
        }
        sum.iter().sum()
    }
}

/// Iterates `step`, which returns the error of the marginals, while epsilon falls from the largest cost to
/// above its value.
fn fall(largest: f64, epsilon: f64, mut step: impl FnMut(f64) -> f64) {
    let mut e = largest;
    while e > epsilon {
        (0..STEPS).any(|_| step(e) <= ROUGH);
        e *= FALL;
    }
}

/// Iterates `step` at `epsilon` until the marginals are right.
fn converge(epsilon: f64, mut step: impl FnMut(f64) -> f64) -> Result<()> {
    if (0..ITERATIONS).any(|i| step(epsilon) <= if i < PATIENCE { FINE } else { COARSE }) {
        return Ok(());
    }
    Err(Error::NoConvergence { place: format!("sinkhorn_divergence: epsilon = {epsilon}"), iterations: ITERATIONS })
}

fn mean(f: &[f64]) -> f64 {
    f.iter().sum::<f64>() / f.len() as f64
}

/// OT between two sets, by its dual
///
/// D(f, g) = mean f + mean g - epsilon (mean_ij e^((f_i + g_j - C_ij)/epsilon) - 1),
///
/// whose last term is 0 where g belongs to f. `own`: the potentials h_x, h_y of each set with itself, see
/// [`symmetric`].
///
/// The iteration starts where D is larger: where the fall of epsilon has led, or at (h_x, h_y). Because
/// e^(-C/epsilon) is a positive definite kernel, D(h_x, h_y) >= (D_xx(h_x, h_x) + D_yy(h_y, h_y))/2 (Feydy et
/// al. 2019, theorem 1), for any h_x and h_y, and no round lowers D: wherever the iteration ends, the
/// divergence is not negative. Ends of its own, each a little below its maximum, would leave the sign to
/// chance, and of nearly equal samples the second start is the solution.
fn between(there: &Costs, back: &Costs, own: [&[f64]; 2], epsilon: f64) -> Result<f64> {
    let (mut f, mut g) = (vec![0.0; there.rows.len()], vec![0.0; back.rows.len()]);
    let step = |f: &mut Vec<f64>, g: &mut Vec<f64>, e: f64| {
        let (new, error) = there.soft_minimum(f, g, e);
        *f = new;
        *g = back.soft_minimum(g, f, e).0;
        error
    };
    fall(there.largest, epsilon, |e| step(&mut f, &mut g, e));
    let best = |f: &[f64], g: &[f64]| back.soft_minimum(g, f, epsilon).0;
    let near = best(own[0], own[1]);
    if mean(own[0]) + mean(&near) > mean(&f) + mean(&best(&f, &g)) {
        (f, g) = (own[0].to_vec(), near);
    }
    converge(epsilon, |e| step(&mut f, &mut g, e))?;
    Ok(mean(&f) + mean(&g))
}

/// OT between a set and itself, whose two potentials are equal: the mean of the old and the new one converges
/// fast. Also that mean, h: with f', which belongs to f, the value is D(f, f') <= D(h, h), since D is concave
/// and does not change if its arguments are exchanged.
fn symmetric(costs: &Costs, epsilon: f64) -> Result<(f64, Vec<f64>)> {
    let mut f = vec![0.0; costs.rows.len()];
    let step = |f: &mut Vec<f64>, e: f64| {
        let (new, error) = costs.soft_minimum(f, f, e);
        f.iter_mut().zip(&new).for_each(|(f, new)| *f = 0.5 * (*f + new));
        error
    };
    fall(costs.largest, epsilon, |e| step(&mut f, e));
    converge(epsilon, |e| step(&mut f, e))?;
    let value = mean(&f);
    let new = costs.soft_minimum(&f, &f, epsilon).0;
    f.iter_mut().zip(&new).for_each(|(f, new)| *f = 0.5 * (*f + new));
    Ok((value + mean(&new), f))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::{normals, shuffled};
    use crate::metrics::w2_exact;
    use ndarray::{Array2, array};

    #[test]
    fn it_is_the_value_of_another_library() {
        let x = Array2::from_shape_fn((20, 2), |(i, j)| if j == 0 { (i as f64).sin() } else { (2.0 * i as f64).cos() });
        let y = Array2::from_shape_fn((30, 2), |(i, j)| if j == 0 { 0.5 + (3.0 * i as f64 + 1.0).sin() } else { 0.8 * (i as f64).cos() });
        // POT 0.9.7: <P, C> + epsilon KL(P | a b) of ot.sinkhorn(method="sinkhorn_log", stopThr=1e-14).
        for (epsilon, expected) in [(1.0, 0.35433442628341283), (0.1, 0.46384385642327836)] {
            let found = sinkhorn_divergence(x.view(), y.view(), epsilon).unwrap();
            assert!((found - expected).abs() <= 1e-8, "{epsilon}: {found}");
        }
        // Its own cost is that of its plan, near the exact one for a small epsilon.
        let plan = sinkhorn_plan(x.view(), y.view(), 0.1, 2_000).unwrap();
        assert!(plan.error <= 1e-12 && (plan.cost - 0.5395185132419477).abs() <= 1e-9, "{plan:?}");
        // And its ot.emd2 for the exact distance.
        let w2 = w2_exact(x.view(), y.slice(ndarray::s![..20, ..])).unwrap();
        assert!((w2 - 0.7105664211060011).abs() <= 1e-12, "{w2}");
    }

    #[test]
    fn its_limits_are_known() {
        let (x, y) = (normals(60, 3, 1), normals(60, 3, 2));
        // Equal samples; a large epsilon: the means; a small one: the assignment.
        assert!(sinkhorn_divergence(x.view(), shuffled(&x).view(), 0.3).unwrap().abs() <= 1e-6);
        let means = |x: &Array2<f64>| x.mean_axis(ndarray::Axis(0)).unwrap();
        let apart = (means(&x) - means(&y)).mapv(|d| d * d).sum();
        let wide = sinkhorn_divergence(x.view(), y.view(), 1e5).unwrap();
        assert!((wide - apart).abs() <= 1e-3 * apart, "{wide} {apart}");
        let exact = w2_exact(x.view(), y.view()).unwrap().powi(2);
        let narrow = sinkhorn_divergence(x.view(), y.view(), 0.01).unwrap();
        assert!((narrow - exact).abs() <= 0.02 * exact, "{narrow} {exact}");
    }

    #[test]
    fn of_a_shift_it_is_its_square() {
        // For equal samples up to a shift the plan's entropy cancels: S = |shift|^2 for every epsilon.
        let x = normals(50, 2, 3);
        let moved = &x + &array![[0.6, -0.8]];
        for epsilon in [0.1, 1.0, 10.0] {
            let found = sinkhorn_divergence(x.view(), moved.view(), epsilon).unwrap();
            assert!((found - 1.0).abs() <= 1e-5, "{epsilon}: {found}");
        }
        for bad in [0.0, -1.0, f64::NAN] {
            assert!(sinkhorn_divergence(x.view(), moved.view(), bad).is_err());
        }
    }

    /// Equal samples, nearly equal ones and small epsilons, where the iteration creeps: not below 0, and 0 of
    /// equal samples.
    #[test]
    fn it_is_never_negative_and_0_of_equal_samples() {
        let mut least = f64::INFINITY;
        for (n, d, epsilon) in [(60, 3, 0.3), (60, 3, 0.03), (100, 2, 0.05), (100, 2, 0.01), (40, 1, 1e-3), (30, 8, 2.0)] {
            let x = normals(n, d, 1);
            let same = sinkhorn_divergence(x.view(), shuffled(&x).view(), epsilon).unwrap();
            least = least.min(same);
            assert!(same >= 0.0, "{n} {d} {epsilon}: {same:e}");
            assert!(same <= 1e-13, "{n} {d} {epsilon}: {same:e}");
            for shift in [1e-9, 1e-7, 1e-5, 1e-3] {
                let near = &shuffled(&x) + &(normals(n, d, 2) * shift);
                let found = sinkhorn_divergence(x.view(), near.view(), epsilon).unwrap();
                // A plan that moves each point to its neighbour costs |shift|^2, and so much at most is
                // gained by spreading.
                assert!(found >= 0.0, "{n} {d} {epsilon} {shift}: {found:e}");
                assert!(found <= 30.0 * d as f64 * shift * shift + 1e-13, "{n} {d} {epsilon} {shift}: {found:e}");
            }
        }
    }
}
