//! Figures of public implementations, for points that a formula gives.

use super::{Support, frechet, kernel_distance, support};
use ndarray::{Array2, s};

/// Row i, coordinate j, both from 1: sin(a i j) + s cos(.3 a i + j) j/4.
fn points(n: usize, a: f64, s: f64) -> Array2<f64> {
    Array2::from_shape_fn((n, 4), |(i, j)| {
        let (i, j) = (i as f64 + 1.0, j as f64 + 1.0);
        (a * i * j).sin() + s * (0.3 * a * i + j).cos() * j / 4.0
    })
}

/// Of `calculate_frechet_distance` of pytorch-fid 0.3.0 (SciPy 1.17.1), `compute_prdc` of prdc 0.2, and `mmd2` of
/// torch-fidelity 0.4.0 with scikit-learn 1.9.1's polynomial kernel of degree 3.
#[test]
fn figures_are_those_of_public_implementations() {
    let (samples, data) = (points(90, 0.7, 0.5), points(70, 0.9, 0.8));
    let distance = frechet(samples.view(), data.view()).unwrap();
    assert!((distance - 0.09042700530019054).abs() <= 1e-10, "{distance}");
    let equal = samples.slice(s![..70, ..]);
    let distance = kernel_distance(equal, data.view()).unwrap();
    assert!((distance - -0.037795791600361284).abs() <= 1e-13, "{distance}");
    let all = [
        (3, Support { precision: 76.0 / 90.0, recall: 53.0 / 70.0, density: 0.8888888888888888, coverage: 57.0 / 70.0 }),
        (5, Support { precision: 1.0, recall: 60.0 / 70.0, density: 1.0866666666666667, coverage: 1.0 }),
    ];
    for (k, exact) in all {
        let found = support(samples.view(), data.view(), k).unwrap();
        let pairs = [
            (found.precision, exact.precision),
            (found.recall, exact.recall),
            (found.density, exact.density),
            (found.coverage, exact.coverage),
        ];
        assert!(pairs.iter().all(|(a, b)| (a - b).abs() <= 1e-15), "{k}: {found:?}");
    }
}
