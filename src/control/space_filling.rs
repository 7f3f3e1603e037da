//! Orders of points in which neighbours are near.

use ndarray::ArrayView2;

/// The rows of `x` [n, d] in the order of the leaves of a balanced k-d tree: each node halves its points at
/// the median of the coordinate that varies most, so that any run of the order is a compact cell. One uniform
/// number then stands for a point, and to stratify it stratifies the data. O(n log n (d + 1)) comparisons.
///
/// ```
/// let x = ndarray::array![[0.0, 0.0], [9.0, 0.1], [0.1, 0.2], [9.1, 0.0]];
/// let order = ndsm::control::space_filling(x.view());
/// assert!(order[..2].contains(&0) && order[..2].contains(&2)); // the left pair is one half
/// ```
pub fn space_filling(x: ArrayView2<f64>) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..x.nrows()).collect();
    halve(x, &mut rows);
    rows
}

fn halve(x: ArrayView2<f64>, rows: &mut [usize]) {
    if rows.len() < 2 || x.ncols() == 0 {
        return;
    }
    let n = rows.len() as f64;
    let spread = |j: usize| {
        let mean = rows.iter().map(|r| x[[*r, j]]).sum::<f64>() / n;
        rows.iter().map(|r| (x[[*r, j]] - mean).powi(2)).sum::<f64>()
    };
    let spreads: Vec<f64> = (0..x.ncols()).map(spread).collect();
    let widest = (0..spreads.len()).fold(0, |a, b| if spreads[b] > spreads[a] { b } else { a });
    let half = rows.len() / 2;
    // Ties by the row's number: the order depends on the points alone.
    rows.select_nth_unstable_by(half, |a, b| x[[*a, widest]].total_cmp(&x[[*b, widest]]).then(a.cmp(b)));
    let (low, high) = rows.split_at_mut(half);
    halve(x, low);
    halve(x, high);
}
