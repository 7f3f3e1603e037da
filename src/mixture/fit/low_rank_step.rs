//! The covariance step of expectation-maximisation for mixtures of probabilistic principal component
//! analysers (Tipping and Bishop 1999, section 3.3 and appendix C): of the weighted covariance S of a
//! component it takes S L^T and tr S alone, so that a pass over n points costs n k q d operations and nothing
//! is ever d x d.

use super::Symmetry;
use crate::Result;
use crate::linalg::{Cholesky, leading, symmetric_eigen};
use crate::mixture::{CovarianceKind, Covariances, Mixture};
use crate::rng::{Purpose, Stream};
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, Axis};

/// Rounds with fixed clusters at a start: each is a step of the power iteration toward the principal
/// directions.
pub const ROUNDS: usize = 8;

/// The least loading's square over the noise: a direction that explains nothing more than the noise is kept
/// to be turned.
pub const KEPT: f64 = 1e-9;

/// The directions that a pass takes the products of a low-rank mixture along, [k, q, d]; [k, 0, d] of the
/// other kinds. Those of an orbit's first component, carried along by the group, are those of the orbit.
///
/// # Errors
/// As [`spanning`].
pub fn directions(mixture: &Mixture, symmetry: Option<&Symmetry>) -> Result<Array3<f64>> {
    let Covariances::LowRank { loadings, noise } = mixture.covariances() else {
        return Ok(Array3::zeros((mixture.components(), 0, mixture.dim())));
    };
    let order = symmetry.map_or(1, |s| s.group.order());
    let mut out = loadings.as_standard_layout().into_owned();
    for (i, mut to) in out.outer_iter_mut().enumerate() {
        let base = i / order * order;
        if let Some(all) = spanning(loadings.index_axis(Axis(0), base), noise[base])? {
            to.assign(&symmetry.map_or_else(|| all.clone(), |s| s.group.elements()[i % order].rows(all.view())));
        }
    }
    Ok(out)
}

/// `None` for loadings, [q, d], that span q dimensions. Of others the M step would never leave the span,
/// those that are 0 would stay 0. In their place: rows with the same L^T L, and for those that have no length
/// random directions orthogonal to all others, as short as [`KEPT`] lets a direction be that explains
/// nothing. What they explain is found by [`step`], in whose first part only the span counts.
///
/// # Errors
/// Loadings that are not finite.
pub fn spanning(loadings: ArrayView2<f64>, noise: f64) -> Result<Option<Array2<f64>>> {
    let (q, d) = loadings.dim();
    // Without noise there is no length that explains next to nothing.
    if orthonormal(loadings).is_some() || q > d || noise <= 0.0 {
        return Ok(None);
    }
    let (mut rows, _) = leading(loadings, q)?;
    let mut stream = Stream::new(0, Purpose::Fit, u64::MAX, 1);
    let shortest = q as f64 * f64::EPSILON * rows.row(0).dot(&rows.row(0));
    for i in 0..q {
        if rows.row(i).dot(&rows.row(i)) > shortest {
            continue;
        }
        let mut new = Array1::from_shape_simple_fn(d, || stream.normal::<f64>());
        // The longest come first: those after this one have no length either.
        for row in rows.outer_iter().take(i) {
            let share = row.dot(&new) / row.dot(&row);
            new.scaled_add(-share, &row);
        }
        let length = (KEPT * noise / new.dot(&new)).sqrt();
        rows.row_mut(i).assign(&(new * length));
    }
    Ok(Some(rows))
}

/// G with G L orthonormal, [q, q]; `None` where L does not span q dimensions.
fn orthonormal(loadings: ArrayView2<f64>) -> Option<Array2<f64>> {
    let root = Cholesky::new(loadings.dot(&loadings.t()).view()).ok()?.inverse_lower();
    root.iter().all(|v| v.is_finite()).then_some(root)
}

/// One step from loadings L, [q, d], and noise v, given about the *old* mean: `product` = E (x - m)(L
/// (x - m)) as rows, [q, d], `square` = E |x - m|^2, and `moved`, the new mean less the old one. Two parts,
/// neither of which lowers the likelihood. First, in the span of the loadings the best lengths and the best
/// noise: with U an orthonormal basis of it and S about the new mean, U S U^T less v, and the mean of what is
/// left of tr S ([`rescaled`]; without it the lengths would creep, by a share of v/|l|^2 a step). Then, with
/// M = L L^T + v I, [q, q],
///
/// L' = M (v M + L S L^T)^-1 L S,   v' = (tr S - tr(M^-1 L S L'^T))/d,
///
/// which turns the span. The loadings come back orthogonal to each other, the longest first.
///
/// # Errors
/// Loadings that are not finite.
pub fn step(
    product: ArrayView2<f64>,
    square: f64,
    moved: ArrayView1<f64>,
    loadings: ArrayView2<f64>,
    noise: f64,
    floor: f64,
) -> Result<(Array2<f64>, f64)> {
    let q = loadings.nrows();
    let (next, noise) = turned(product, square, moved, loadings, noise, floor)?;
    Ok((leading(next.view(), q)?.0, noise))
}

/// [`step`], with the new loadings as they come.
///
/// # Errors
/// As [`step`].
pub fn turned(
    product: ArrayView2<f64>,
    square: f64,
    moved: ArrayView1<f64>,
    loadings: ArrayView2<f64>,
    noise: f64,
    floor: f64,
) -> Result<(Array2<f64>, f64)> {
    let (q, d) = loadings.dim();
    let along = loadings.dot(&moved);
    let s = Array2::from_shape_fn((q, d), |(i, j)| product[[i, j]] - along[i] * moved[j]);
    let trace = (square - moved.dot(&moved)).max(0.0);
    let (loadings, s, noise) = match rescaled(loadings, &s, trace, floor)? {
        Some(better) => better,
        None => (loadings.to_owned(), s, noise),
    };
    let g = s.dot(&loadings.t());
    // M is scaled away: the condition number is that of S against v, not its square.
    let m = Cholesky::new((loadings.dot(&loadings.t()) + Array2::<f64>::eye(q) * noise).view())?;
    let root = m.inverse_lower();
    let inner = root.dot(&((&g + &g.t()) * 0.5)).dot(&root.t()) + Array2::<f64>::eye(q) * noise;
    let white = root.dot(&s);
    let next = m.lower().dot(&Cholesky::new(inner.view())?.solve(white.view())?);
    let explained: f64 = white.iter().zip(&root.dot(&next)).map(|(a, b)| a * b).sum();
    Ok((next, ((trace - explained) / d as f64).max(0.0) + floor))
}

/// Loadings, their products with S, and noise.
type Parts = (Array2<f64>, Array2<f64>, f64);

/// Loadings L', L' S and noise of the highest likelihood among those in the span of L, from L and L S; `None`
/// where L does not span q dimensions, or all of them.
fn rescaled(loadings: ArrayView2<f64>, s: &Array2<f64>, trace: f64, floor: f64) -> Result<Option<Parts>> {
    let (q, d) = loadings.dim();
    let Some(root) = orthonormal(loadings).filter(|_| q < d) else { return Ok(None) };
    let (u, us) = (root.dot(&loadings), root.dot(s));
    let a = us.dot(&u.t());
    let eigen = symmetric_eigen(((&a + &a.t()) * 0.5).view())?;
    // From the largest down: a direction counts while it has more than the mean of what is left.
    let (mut left, mut active) = (trace, 0);
    for value in eigen.values.iter().rev() {
        if *value <= left / (d - active) as f64 {
            break;
        }
        left -= value;
        active += 1;
    }
    let noise = (left / (d - active) as f64).max(0.0) + floor;
    // What is left of a component without any width is its floor.
    if noise <= 0.0 {
        return Ok(None);
    }
    let length = |i: usize| (eigen.values[i] + floor - noise).max(KEPT * noise).sqrt();
    let turn = Array2::from_shape_fn((q, q), |(i, j)| length(i) * eigen.vectors[[j, i]]);
    Ok(Some((turn.dot(&u), turn.dot(&us), noise)))
}

/// Where a fit of `kind` to fixed clusters begins, given the data's covariance, and how many rounds it takes:
/// components that are all alike, which one round makes right, but for loadings.
///
/// # Errors
/// As [`Covariances::alike`].
pub fn beginning(kind: CovarianceKind, k: usize, total: ArrayView2<f64>) -> Result<(Covariances, usize)> {
    Ok(match kind {
        CovarianceKind::LowRank(q) => (rough(k, q, &total.diag().to_vec()), ROUNDS),
        _ => (Covariances::alike(kind, k, total)?, 1),
    })
}

/// `k` components with the mean variance of the data and loadings in directions of no meaning.
pub fn rough(k: usize, q: usize, variances: &[f64]) -> Covariances {
    let d = variances.len();
    let mean = variances.iter().sum::<f64>() / d as f64;
    let mut stream = Stream::new(0, Purpose::Fit, u64::MAX, 0);
    // The same for every component; each column in the units of its data.
    let one = Array2::from_shape_fn((q, d), |(_, j)| (0.5 * variances[j] / q as f64).sqrt() * stream.normal::<f64>());
    Covariances::LowRank { loadings: Array3::from_shape_fn((k, q, d), |(_, i, j)| one[[i, j]]), noise: Array1::from_elem(k, 0.5 * mean) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::{Count, CovarianceKind::LowRank};
    use crate::mixture::{Draw, Em, FitOptions, fit};
    use ndarray::array;

    /// One component: the maximum of the likelihood is the closed form, the data's principal components.
    #[test]
    fn one_component_is_principal_component_analysis() {
        let spread = array![3.0, 2.0, 1.0, 0.5, 0.4, 0.3];
        let law = Mixture::new(array![1.0], Array2::zeros((1, 6)), Covariances::Diagonal(spread.insert_axis(Axis(0)))).unwrap();
        let x = law.sample(4000, 1, Purpose::Data, Draw::Independent).unwrap().0;
        let (mean, covariance) = Em::new(x.view()).unwrap().moments().clone();
        for q in [1, 2, 4] {
            let options = FitOptions {
                kind: LowRank(q),
                components: Count::Fixed(1),
                tolerance: 1e-13,
                floor: 1e-12,
                max_iterations: 3000,
                ..FitOptions::default()
            };
            let found = fit(x.view(), &options).unwrap();
            let exact = Covariances::alike(LowRank(q), 1, covariance.view()).unwrap();
            let exact = Mixture::new(array![1.0], mean.clone().insert_axis(Axis(0)), exact).unwrap();
            let best = exact.log_density(x.view()).unwrap().mean().unwrap();
            let got = *found.log_likelihood.last().unwrap();
            assert!((got - best).abs() <= 1e-9, "rank {q}: {got} against {best}");
            assert!((found.mixture.covariance(0) - exact.covariance(0)).iter().all(|e| e.abs() <= 1e-4), "rank {q}");
        }
        let full = fit(x.view(), &FitOptions { kind: CovarianceKind::Full, components: Count::Fixed(1), ..FitOptions::default() }).unwrap();
        let most = FitOptions { kind: LowRank(6), components: Count::Fixed(1), ..FitOptions::default() };
        assert!(fit(x.view(), &most).unwrap_err().to_string().contains("rank: must be < 6, the dimension, got 6"));
        assert_eq!(full.mixture.components(), 1);
    }

    /// Two clusters in 40 dimensions, each long in a plane of its own: the loadings find the planes.
    #[test]
    fn clusters_keep_their_planes() {
        let (d, mut stream) = (40, Stream::new(3, Purpose::Test, 0, 0));
        let loadings = Array3::from_shape_simple_fn((2, 2, d), || stream.normal::<f64>());
        let low = Covariances::LowRank { loadings, noise: array![0.05, 0.1] };
        let means = Array2::from_shape_fn((2, d), |(k, _)| 2.5 * k as f64);
        let law = Mixture::new(array![0.6, 0.4], means, low).unwrap();
        let (x, labels) = law.sample(1500, 2, Purpose::Data, Draw::Independent).unwrap();
        let options = FitOptions { kind: LowRank(2), components: Count::Fixed(2), ..FitOptions::default() };
        let found = fit(x.view(), &options).unwrap();
        let r = found.mixture.responsibilities(x.view()).unwrap();
        let same = labels.iter().zip(r.column(0)).filter(|(l, r)| (**l == 0) == (**r > 0.5)).count();
        assert!(same.max(1500 - same) >= 1495, "{same}");
        let truth = law.log_density(x.view()).unwrap().mean().unwrap();
        let last = *found.log_likelihood.last().unwrap();
        assert!(last >= truth && last <= truth + 3.0 * law.parameters() as f64 / 3000.0, "{last} {truth}");
    }

    /// Loadings of zero, in part or all, are no place to stay: the likelihood rises from there to the
    /// maximum, and never falls.
    #[test]
    fn zero_loadings_are_left() {
        let spread = array![3.0, 2.0, 1.0, 0.5, 0.4, 0.3];
        let law = Mixture::new(array![1.0], Array2::zeros((1, 6)), Covariances::Diagonal(spread.insert_axis(Axis(0)))).unwrap();
        let x = law.sample(1000, 1, Purpose::Data, Draw::Independent).unwrap().0;
        let em = Em::new(x.view()).unwrap();
        let (mean, covariance) = em.moments().clone();
        let exact = Covariances::alike(LowRank(2), 1, covariance.view()).unwrap();
        let exact = Mixture::new(array![1.0], mean.insert_axis(Axis(0)), exact).unwrap();
        let best = exact.log_density(x.view()).unwrap().mean().unwrap();
        let (e, f) = (array![1.0, 0.0, 0.0, 0.0, 0.0, 0.0], array![0.3, 0.3, 0.0, 0.0, 0.1, 0.0]);
        let zero = Array1::<f64>::zeros(6);
        for (what, rows) in [("none", [&zero, &zero]), ("one", [&zero, &e]), ("twice the same", [&f, &f])] {
            let loadings = ndarray::stack![Axis(0), rows[0].view(), rows[1].view()].insert_axis(Axis(0));
            let start = Covariances::LowRank { loadings, noise: array![1.2] };
            let mut mixture = Mixture::new(array![1.0], array![[0.1, 0.0, 0.0, -0.2, 0.0, 0.0]], start).unwrap();
            let mut last = f64::NEG_INFINITY;
            for iteration in 0..400 {
                let (next, log_likelihood) = em.step(&mixture, 0.0).unwrap();
                assert!(log_likelihood >= last - 1e-12, "{what}, {iteration}: {log_likelihood} after {last}");
                (mixture, last) = (next, log_likelihood);
            }
            assert!((last - best).abs() <= 1e-9, "{what}: {last} against {best}");
        }
    }
}
