//! Optimal transport on the line, exact, and its average over directions.

use super::check_pair;
use crate::Result;
use crate::data::law::gauss_legendre;
use crate::par;
use crate::rng::{Purpose, Stream};
use ndarray::{Array2, ArrayView1, ArrayView2};

/// Directions that are projected on in one matrix product.
const BLOCK: usize = 8;

/// W_2 between two samples on the line, exact for any sizes: W_2^2 = int_0^1 (F^-1(u) - G^-1(u))^2 du, where
/// the quantile functions F^-1, G^-1 of samples are steps of width 1/n and 1/m. NaN if a sample is empty.
///
/// ```
/// // Half of the mass moves by 1, the other half not at all.
/// let w2 = ndsm::metrics::w2_1d(&[0.0], &[1.0, 0.0]);
/// assert!((w2 - 0.5f64.sqrt()).abs() < 1e-15);
/// ```
pub fn w2_1d(x: &[f64], y: &[f64]) -> f64 {
    w2_squared(&sorted(x.to_vec()), &sorted(y.to_vec())).sqrt()
}

/// W_2 between two laws on the line given by their quantile functions on (0, 1), by eight-point
/// Gauss-Legendre quadrature on each of `cells` equal cells. Exact to rounding where both are polynomials of
/// degree 7 on every cell; an unbounded quantile function costs about its square's integral over the
/// outermost cells.
pub fn w2_quantiles(f: impl Fn(f64) -> f64, g: impl Fn(f64) -> f64, cells: usize) -> f64 {
    let rule = gauss_legendre();
    let cell = |i: usize| rule.iter().map(|(x, w)| (w, (i as f64 + x) / cells as f64)).map(|(w, u)| w * (f(u) - g(u)).powi(2)).sum::<f64>();
    ((0..cells).map(cell).sum::<f64>() / cells as f64).sqrt()
}

/// W_2 between a sample and a law on the line given by its quantile function: [`w2_quantiles`] with a cell
/// for each point.
pub fn w2_to_quantile(x: &[f64], quantile: impl Fn(f64) -> f64) -> f64 {
    let x = sorted(x.to_vec());
    // The nodes lie inside the cells: rounding cannot carry one over the edge.
    w2_quantiles(|u| x[((u * x.len() as f64) as usize).min(x.len() - 1)], quantile, x.len())
}

/// Sliced W_2: the root of the mean, over `directions` random directions theta, of W_2^2 between the samples
/// theta . x and theta . y. `x`: [n, d], `y`: [m, d]; the unit is theirs. Costs O(directions
/// (n + m)(d + ln(n + m))).
///
/// The directions are [`sliced_w2_directions`]: they depend on `seed` and d alone, so that figures of
/// different models are comparable. At least one is taken.
///
/// # Errors
/// [`crate::Error::Shape`] if the widths differ or a sample is empty.
pub fn sliced_w2(x: ArrayView2<f64>, y: ArrayView2<f64>, directions: usize, seed: u64) -> Result<f64> {
    check_pair("sliced_w2", x, y, 1)?;
    let theta = sliced_w2_directions(directions.max(1), x.ncols(), seed);
    let blocks = par::map(theta.nrows().div_ceil(BLOCK), |block| {
        let theta = theta.slice(ndarray::s![block * BLOCK..theta.nrows().min((block + 1) * BLOCK), ..]);
        let (px, py) = (theta.dot(&x.t()), theta.dot(&y.t()));
        let line = |p: ArrayView1<f64>| sorted(p.to_vec());
        px.rows().into_iter().zip(py.rows()).map(|(px, py)| w2_squared(&line(px), &line(py))).sum::<f64>()
    });
    Ok((blocks.iter().sum::<f64>() / theta.nrows() as f64).sqrt())
}

/// The directions theta of [`sliced_w2`], [count, d]: one a row, independent and uniform on the unit sphere
/// of R^d, as a vector of d standard normals from the stream (`seed`, `Purpose::Metric`, step 0, chunk row)
/// over its length. The first rows are the same for every `count`.
///
/// ```
/// use ndarray::array;
/// use ndsm::metrics::{sliced_w2, sliced_w2_directions, w2_1d};
/// let (x, y) = (array![[0.0, 1.0], [2.0, -1.0]], array![[1.0, 1.0], [0.5, 3.0], [-1.0, 0.0]]);
/// let theta = sliced_w2_directions(100, 2, 7);
/// let (px, py) = (x.dot(&theta.t()), y.dot(&theta.t()));
/// let squares = (0..100).map(|j| w2_1d(&px.column(j).to_vec(), &py.column(j).to_vec()).powi(2));
/// let by_hand = (squares.sum::<f64>() / 100.0).sqrt();
/// assert!((sliced_w2(x.view(), y.view(), 100, 7)? - by_hand).abs() < 1e-14);
/// # Ok::<(), ndsm::Error>(())
/// ```
pub fn sliced_w2_directions(count: usize, d: usize, seed: u64) -> Array2<f64> {
    let mut theta = Array2::zeros((count, d));
    for (j, mut row) in theta.rows_mut().into_iter().enumerate() {
        let mut z = vec![0f64; d];
        Stream::new(seed, Purpose::Metric, 0, j as u32).fill_normal(&mut z);
        let norm = z.iter().map(|z| z * z).sum::<f64>().sqrt();
        row.iter_mut().zip(z).for_each(|(to, z)| *to = z / norm);
    }
    theta
}

fn sorted(mut x: Vec<f64>) -> Vec<f64> {
    x.sort_unstable_by(f64::total_cmp);
    x
}

/// W_2^2 of sorted samples, walking over the merged steps; widths are counted in whole units of 1/(n m).
fn w2_squared(x: &[f64], y: &[f64]) -> f64 {
    let (n, m) = (x.len() as u64, y.len() as u64);
    let (mut i, mut j, mut at, mut sum) = (0u64, 0u64, 0u64, 0.0);
    while i < n && j < m {
        let (end_x, end_y) = ((i + 1) * m, (j + 1) * n);
        let end = end_x.min(end_y);
        sum += (end - at) as f64 * (x[i as usize] - y[j as usize]).powi(2);
        at = end;
        i += u64::from(end == end_x);
        j += u64::from(end == end_y);
    }
    // 0/0 = NaN for an empty sample.
    sum / (n as f64 * m as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::{normals, shuffled};

    #[test]
    fn hand_computed_on_the_line() {
        assert!(w2_1d(&[], &[1.0]).is_nan());
        // Thirds against halves: the pairs (0, 0), (1, 0), (1, 1), (5, 1) on steps of widths 1/3, 1/6, 1/6,
        // 1/3.
        let w2 = w2_1d(&[5.0, 0.0, 1.0], &[1.0, 0.0]);
        assert!((w2 * w2 - (1.0 / 6.0 + 16.0 / 3.0)).abs() <= 1e-14, "{w2}");
        // A unit step against itself, unequal sizes.
        assert_eq!(w2_1d(&[0.0, 0.0, 1.0, 1.0], &[1.0, 0.0]), 0.0);
    }

    #[test]
    fn quantile_functions() {
        // U[0, 1] against U[0, 3]: int (2u)^2 = 4/3. Against one point at 0: int 9 u^2 = 3.
        assert!((w2_quantiles(|u| u, |u| 3.0 * u, 4) - (4f64 / 3.0).sqrt()).abs() <= 1e-15);
        assert!((w2_to_quantile(&[0.0], |u| 3.0 * u) - 3f64.sqrt()).abs() <= 1e-14);
        // The best n-point approximation of U[0, 1], the midpoints: W_2 = 1 / (n sqrt 12).
        let midpoints: Vec<f64> = (0..50).map(|i| (f64::from(i) + 0.5) / 50.0).collect();
        assert!((w2_to_quantile(&midpoints, |u| u) - 1.0 / (50.0 * 12f64.sqrt())).abs() <= 1e-15);
    }

    /// Y = X + c moves every projection by theta . c, so SW_2^2 = mean (theta . c)^2, whose expectation is
    /// |c|^2/d.
    #[test]
    fn a_shift_has_a_closed_form() {
        let x = normals(500, 3, 1);
        let c = ndarray::arr1(&[1.0, -2.0, 0.5]);
        let y = &x + &c;
        let got = sliced_w2(x.view(), y.view(), 512, 9).unwrap();
        let exact = sliced_w2_directions(512, 3, 9).dot(&c).mapv(|p| p * p).mean().unwrap();
        assert!((got * got - exact).abs() <= 1e-12 * exact);
        // theta_1^2 has variance 4/45 on the sphere of R^3; 3.89 standard deviations.
        let norm = c.dot(&c);
        assert!((exact - norm / 3.0).abs() <= 3.89 * norm * (4.0 / 45.0 / 512f64).sqrt(), "{exact}");
    }

    #[test]
    fn order_and_common_translations_do_not_matter() {
        let (x, y) = (normals(300, 4, 1), normals(200, 4, 2));
        let got = sliced_w2(x.view(), y.view(), 20, 0).unwrap();
        assert_eq!(got, sliced_w2(shuffled(&x).view(), y.view(), 20, 0).unwrap());
        assert_eq!(got, sliced_w2(y.view(), x.view(), 20, 0).unwrap());
        let moved = sliced_w2((&x + 5.0).view(), (&y + 5.0).view(), 20, 0).unwrap();
        assert!((got - moved).abs() <= 1e-12, "{got} {moved}");
        // Every point twice is the same law.
        let twice = ndarray::concatenate![ndarray::Axis(0), x, x];
        assert!(sliced_w2(x.view(), twice.view(), 20, 0).unwrap() == 0.0);
    }

    #[test]
    fn unequal_widths_are_refused() {
        let e = sliced_w2(normals(3, 2, 0).view(), normals(3, 4, 0).view(), 1, 0).unwrap_err();
        assert!(e.to_string().contains("[3, 2] and [3, 4]"), "{e}");
    }
}
