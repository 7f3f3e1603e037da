//! Scaled dot-product attention of one head, composed of the tape's operations.

use crate::tape::{Recorder, Var};
use crate::{Error, Real, Result};
use std::panic::Location;

/// y = softmax(q k^T / sqrt d + mask) v (Vaswani et al., NeurIPS 2017, eq. 1): each of n queries takes a mean
/// of m values, with weights that grow with the scalar product of query and key.
///
/// q `[.., n, d]`, k `[.., m, d]`, v `[.., m, e]` -> y `[.., n, e]`; the leading axes, a batch (and heads),
/// broadcast. `mask`, if there is one, broadcasts against the scores `[.., n, m]`: 0 where a query may
/// look, -infinity or a large negative number where it may not. A query that may look nowhere, with a mask
/// that is infinite there, gives 0.
///
/// ```
/// use ndsm::nn::attention;
/// use ndsm::tape::Recorder;
/// // One query between two keys that fit it equally well: the mean of their values.
/// let mut r = Recorder::<f64>::new();
/// let (q, k, v) = (r.input("q", &[1, 1, 2])?, r.input("k", &[1, 2, 2])?, r.input("v", &[1, 2, 1])?);
/// let y = attention(&mut r, q, k, v, None)?;
/// let program = r.finish();
/// let mut ws = program.workspace()?;
/// ws.input_mut(q)?.copy_from_slice(&[1.0, 1.0]);
/// ws.input_mut(k)?.copy_from_slice(&[3.0, 0.0, 1.0, 2.0]);
/// ws.input_mut(v)?.copy_from_slice(&[5.0, 7.0]);
/// program.forward(&[], &mut ws)?;
/// assert_eq!(ws.value(y)?, [6.0]);
/// # Ok::<(), ndsm::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit, or a variable is another recorder's.
#[track_caller]
pub fn attention<R: Real>(r: &mut Recorder<R>, q: Var, k: Var, v: Var, mask: Option<Var>) -> Result<Var> {
    let d = match [r.shape(q)?, r.shape(k)?, r.shape(v)?] {
        [[.., d], [.., m, dk], [.., mv, _]] if (d, m) == (dk, mv) => *d,
        shapes => {
            let location = Location::caller();
            let place = format!("attention, recorded at {}:{}", location.file(), location.line());
            return Err(Error::shape(place, "q [.., n, d], k [.., m, d], v [.., m, e]", &shapes));
        }
    };
    // On q, the smallest of the places where the factor could stand.
    let q = r.scale(q, 1.0 / (d.max(1) as f64).sqrt())?;
    let mut scores = r.matmul_transposed(q, k, (false, true))?;
    if let Some(mask) = mask {
        scores = r.add(scores, mask)?;
    }
    let weights = r.softmax(scores)?;
    r.matmul(weights, v)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    const N: usize = 3;
    const M: usize = 5;
    const D: usize = 4;
    const E: usize = 2;

    fn draw(n: usize, chunk: u32) -> Vec<f64> {
        let mut x = vec![0.0; n];
        Stream::new(5, Purpose::Test, 0, chunk).fill_normal(&mut x);
        x
    }

    /// The definition, for one entry of the batch.
    fn definition(q: &[f64], k: &[f64], v: &[f64], mask: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; N * E];
        for i in 0..N {
            let score = |j: usize| (0..D).map(|c| q[i * D + c] * k[j * D + c]).sum::<f64>() / (D as f64).sqrt() + mask[i * M + j];
            let weights: Vec<f64> = (0..M).map(|j| score(j).exp()).collect();
            let sum = weights.iter().sum::<f64>();
            for j in 0..M {
                for c in 0..E {
                    y[i * E + c] += weights[j] / sum * v[j * E + c];
                }
            }
        }
        y
    }

    /// Two entries, masks with an exit and without; the gradient of <dy, y> by central differences of the
    /// definition.
    #[test]
    fn values_and_gradients_are_the_definitions() {
        let mut mask = vec![0.0; N * M];
        (mask[1], mask[4], mask[7]) = (f64::NEG_INFINITY, -1.0, -1e6);
        for (lead, with_mask) in [(vec![2], false), (vec![2], true), (vec![1, 2], true), (vec![2, 1], false)] {
            let shape = |last: &[usize]| [&lead[..], last].concat();
            let mut r = Recorder::<f64>::new();
            let vars = [
                r.input_with_gradient("q", &shape(&[N, D])).unwrap(),
                r.input_with_gradient("k", &shape(&[M, D])).unwrap(),
                r.input_with_gradient("v", &shape(&[M, E])).unwrap(),
            ];
            let mask_var = with_mask.then(|| r.input("mask", &[N, M]).unwrap());
            let y = attention(&mut r, vars[0], vars[1], vars[2], mask_var).unwrap();
            assert_eq!(r.shape(y).unwrap(), shape(&[N, E]));
            let program = r.finish();
            let mut ws = program.workspace().unwrap();
            let x = [draw(2 * N * D, 0), draw(2 * M * D, 1), draw(2 * M * E, 2)];
            for (var, x) in vars.iter().zip(&x) {
                ws.input_mut(*var).unwrap().copy_from_slice(x);
            }
            let zero = vec![0.0; N * M];
            let mask = if with_mask { &mask } else { &zero };
            if let Some(var) = mask_var {
                ws.input_mut(var).unwrap().copy_from_slice(mask);
            }
            let both = |x: &[Vec<f64>]| {
                let half = |k: usize, b: usize| &x[k][b * x[k].len() / 2..][..x[k].len() / 2];
                (0..2).flat_map(|b| definition(half(0, b), half(1, b), half(2, b), mask)).collect::<Vec<f64>>()
            };
            program.forward(&[], &mut ws).unwrap();
            let want = both(&x);
            for (y, want) in ws.value(y).unwrap().iter().zip(&want) {
                assert!((y - want).abs() <= 1e-14, "{y} {want}");
            }
            let dy = draw(want.len(), 3);
            program.backward(&[], &mut ws, &[(y, &dy)], &mut []).unwrap();
            let h = 1e-5;
            for (which, var) in vars.iter().enumerate() {
                for (j, dx) in ws.adjoint(*var).unwrap().iter().enumerate() {
                    let f = |shift: f64| {
                        let mut x = x.clone();
                        x[which][j] += shift;
                        both(&x).iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>()
                    };
                    let difference = (f(h) - f(-h)) / (2.0 * h);
                    assert!((dx - difference).abs() <= 1e-9, "{lead:?} input {which}, element {j}: {dx} {difference}");
                }
            }
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused_with_all_of_them() {
        let mut r = Recorder::<f32>::new();
        let q = r.input("q", &[2, 3, 4]).unwrap();
        let k = r.input("k", &[2, 5, 4]).unwrap();
        let v = r.input("v", &[2, 6, 2]).unwrap();
        let e = attention(&mut r, q, k, v, None).unwrap_err().to_string();
        assert!(e.contains("attention, recorded at src/nn/attention.rs") && e.contains("k [.., m, d]"), "{e}");
        assert!(e.contains("[2, 3, 4]") && e.contains("[2, 5, 4]") && e.contains("[2, 6, 2]"), "{e}");
    }
}
