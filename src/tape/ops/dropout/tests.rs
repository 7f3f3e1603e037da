//! The law of the masks, what they depend on, and what is computed with them.

use crate::rng::{Purpose, Stream};
use crate::tape::hvp::tests::check_product;
use crate::tape::{Activation, Blocks, Noise, Program, Record, Recorder, SecondOrder, Var};
use crate::{Real, Result};

const NOISE: Noise = Noise { seed: 5, step: 3, first: 0, share: 1 };

/// Dropouts of one input, and what they make of ones.
struct Ones {
    program: Program<f64>,
    x: Var,
    y: Vec<Var>,
}

impl Ones {
    fn new(shape: &[usize], p: f64, count: usize) -> Self {
        let mut r = Recorder::<f64>::new();
        let x = r.input_with_gradient("x", shape).unwrap();
        let y = (0..count).map(|_| r.dropout(x, p).unwrap()).collect();
        Ones { program: r.finish(), x, y }
    }

    /// m/(1 - p) of each dropout.
    fn masks(&self, noise: Option<Noise>) -> Vec<Vec<f64>> {
        let mut ws = self.program.workspace().unwrap();
        ws.input_mut(self.x).unwrap().fill(1.0);
        ws.set_noise(noise).unwrap();
        self.program.forward(&[], &mut ws).unwrap();
        self.y.iter().map(|y| ws.value(*y).unwrap().to_vec()).collect()
    }
}

/// Masks of a batch, in one piece.
fn mask(shape: &[usize], p: f64, noise: Noise) -> Vec<f64> {
    Ones::new(shape, p, 1).masks(Some(noise)).remove(0)
}

/// At 99.99 % confidence each: the mean of m/(1 - p), alone and in every column of a group; no correlation
/// between neighbours; the variance of the sums of rows and of columns, which any dependence of many elements
/// changes.
#[test]
fn masks_are_independent_and_have_their_mean_and_variance() {
    let (rows, columns) = (4096usize, 256usize);
    for p in [0.1f64, 0.5, 0.75] {
        let y = mask(&[rows, columns], p, NOISE);
        let rate = (65536.0 * p).round() / 65536.0;
        let (n, variance) = ((rows * columns) as f64, rate / (1.0 - rate));
        assert!(y.iter().all(|y| *y == 0.0 || *y == 1.0 / (1.0 - rate)));
        let mean = y.iter().sum::<f64>() / n;
        assert!((mean - 1.0).abs() <= 3.89 * (variance / n).sqrt(), "p = {p}: mean {mean}");
        for lag in [1, 16, 32, 64, 128, 256, 512, 4096] {
            let got = y.iter().zip(&y[lag..]).map(|(a, b)| (a - 1.0) * (b - 1.0)).sum::<f64>() / (n - lag as f64) / variance;
            assert!(got.abs() <= 3.89 / (n - lag as f64).sqrt(), "p = {p}, lag {lag}: correlation {got}");
        }
        let (mut by_row, mut by_column) = (vec![0.0; rows], vec![0.0; columns]);
        for (i, y) in y.iter().enumerate() {
            by_row[i / columns] += (y - 1.0) / (variance * columns as f64).sqrt();
            by_column[i % columns] += (y - 1.0) / (variance * rows as f64).sqrt();
        }
        for (name, sums) in [("rows", by_row), ("columns", by_column)] {
            // Chi-squared over its degrees of freedom: mean 1, standard deviation sqrt(2/k); 4.5 of them for
            // its skew.
            let (k, got) = (sums.len() as f64, sums.iter().map(|s| s * s).sum::<f64>());
            assert!((got / k - 1.0).abs() <= 4.5 * (2.0 / k).sqrt(), "p = {p}: variance of the sums of {name} {}", got / k);
        }
    }
}

/// Without noise it is the identity, forward and backward; the backward pass has the noise of the forward
/// pass.
#[test]
fn without_noise_it_is_the_identity() {
    let at = Ones::new(&[3, 130], 0.4, 1);
    assert!(at.masks(None)[0].iter().all(|y| *y == 1.0) && at.masks(Some(NOISE))[0].contains(&0.0));
    let mut ws = at.program.workspace().unwrap();
    let mut x = vec![0.0; 390];
    Stream::new(1, Purpose::Test, 0, 0).fill_normal(&mut x);
    ws.input_mut(at.x).unwrap().copy_from_slice(&x);
    for noise in [None, Some(NOISE)] {
        ws.set_noise(noise).unwrap();
        at.program.forward(&[], &mut ws).unwrap();
        let factors = at.masks(noise).remove(0);
        let times = |v: &[f64]| v.iter().zip(&factors).map(|(v, m)| v * m).collect::<Vec<f64>>();
        assert_eq!(ws.value(at.y[0]).unwrap(), times(&x), "{noise:?}");
        // What is set now is for the next forward pass.
        ws.set_noise(Some(Noise { step: 9, ..NOISE })).unwrap();
        at.program.backward(&[], &mut ws, &[(at.y[0], &x)], &mut []).unwrap();
        assert_eq!(ws.adjoint(at.x).unwrap(), times(&x), "{noise:?}");
    }
    let e = ws.set_noise(Some(Noise { share: 0, ..NOISE })).unwrap_err();
    assert_eq!(e.to_string(), "noise: rows that share a mask: must be >= 1, got 0");
}

/// Consecutive rows share a mask, counted in the batch and not in the block; everything else that names a
/// mask gives another one.
#[test]
fn a_mask_is_that_of_its_name() {
    let (rows, d) = (12, 150);
    let whole = mask(&[rows, d], 0.5, NOISE);
    let row = |y: &[f64], i: usize| y[i * d..][..d].to_vec();
    let paired = mask(&[rows, d], 0.5, Noise { share: 2, ..NOISE });
    let three = mask(&[rows, d], 0.5, Noise { share: 3, ..NOISE });
    assert_eq!(mask(&[rows, d], 0.5, Noise { share: usize::MAX, ..NOISE }), row(&whole, 0).repeat(rows));
    for i in 0..rows {
        assert!(row(&paired, i) == row(&whole, i / 2) && row(&three, i) == row(&whole, i / 3), "row {i}");
        assert!((0..i).all(|j| row(&whole, i) != row(&whole, j)), "row {i}");
        // From the middle of a pair on.
        assert_eq!(mask(&[rows - i, d], 0.5, Noise { first: i, share: 2, ..NOISE }), paired[i * d..], "row {i}");
    }
    let others =
        [Noise { seed: 6, ..NOISE }, Noise { step: 4, ..NOISE }, Noise { step: 3 + (1 << 40), ..NOISE }, Noise { first: rows, ..NOISE }];
    let mut all: Vec<Vec<f64>> = others.iter().map(|noise| mask(&[rows, d], 0.5, *noise)).collect();
    // The dropouts of a program.
    all.extend(Ones::new(&[rows, d], 0.5, 3).masks(Some(NOISE)));
    assert_eq!(all.iter().position(|mask| *mask == whole), Some(4));
    for (i, mask) in all.iter().enumerate() {
        let same = mask.iter().zip(&whole).filter(|(a, b)| a == b).count();
        assert!(i == 4 || (same as f64 / 1800.0 - 0.5).abs() <= 3.89 * 0.5 / 1800f64.sqrt(), "{i}: {same} of 1800");
        assert!(all[..i].iter().all(|other| other != mask), "{i}");
    }
    // Rows are the entries of the first axis, and the shape of a row does not matter.
    assert_eq!(mask(&[rows, 3, 5, 10], 0.5, NOISE), whole);
    // A larger p drops what a smaller one drops.
    assert!(mask(&[rows, d], 0.3, NOISE).iter().zip(&whole).all(|(less, more)| *less != 0.0 || *more == 0.0));
}

/// A batch in one, two or three blocks on one to three threads: values, and the gradient of the sum of w m x.
#[test]
fn bits_do_not_depend_on_blocks_and_threads() {
    let (rows, d) = (12, 150);
    let mut x = vec![0f32; rows * d];
    Stream::new(2, Purpose::Test, 0, 0).fill_normal(&mut x);
    let run = |count: usize, threads: usize| {
        let block = rows / count;
        let mut r = Recorder::<f32>::new();
        let (xv, w) = (r.input("x", &[block, d]).unwrap(), r.parameter("w", &[rows, d]).unwrap());
        // Every row has its own weights, so that no sum depends on the blocks.
        let chosen = r.input("chosen", &[block]).unwrap();
        let own = r.gather(w, chosen).unwrap();
        let (once, first) = (r.mul(xv, own).unwrap(), 0.3);
        let dropped = r.dropout(once, first).unwrap();
        let twice = r.dropout(dropped, 0.1).unwrap();
        let program = r.finish();
        let mut blocks = Blocks::new(&program, count).unwrap();
        let (params, mut grad) = (vec![0.5; rows * d], vec![0.0; rows * d]);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let ones = vec![1.0; block * d];
        pool.install(|| {
            blocks.run(&params, &mut grad, |index, params, ws, grad| {
                ws.input_mut(xv)?.copy_from_slice(&x[index * block * d..][..block * d]);
                ws.input_mut(chosen)?.iter_mut().zip(index * block..).for_each(|(c, i)| *c = i as f32);
                ws.set_noise(Some(Noise { first: index * block, share: 2, ..NOISE }))?;
                program.forward(params, ws)?;
                program.backward(params, ws, &[(twice, &ones)], grad)
            })
        })
        .unwrap();
        let values: Vec<f32> = blocks.workspaces().flat_map(|ws| ws.value(twice).unwrap().to_vec()).collect();
        (values, grad)
    };
    let one = run(1, 1);
    assert!(one.0.contains(&0.0) && one.0.iter().filter(|y| **y != 0.0).count() > 900 && one.1.iter().all(|g| g.is_finite()));
    for (count, threads) in [(1, 3), (2, 1), (2, 2), (3, 1), (3, 3), (4, 2), (12, 3)] {
        assert!(run(count, threads) == one, "{count} blocks, {threads} threads");
    }
}

/// 3 -> 6 -> 5 -> 1 over 7 rows, the hidden units with dropout; the mean square.
struct Net;
impl Record for Net {
    fn record<R: Real>(&self, r: &mut Recorder<R>) -> Result<Var> {
        let mut x = r.input("x", &[7, 3])?;
        for (i, o, activation) in [(3, 6, Activation::Silu), (6, 5, Activation::Tanh), (5, 1, Activation::Identity)] {
            let (w, b) = (r.parameter(&format!("w{i}"), &[i, o])?, r.parameter(&format!("b{i}"), &[o])?);
            x = r.linear(x, w, b, activation)?;
            if o > 1 {
                x = r.dropout(x, 0.4)?;
            }
        }
        let square = r.square(x)?;
        r.mean(square)
    }
}

/// The Hessian of the dropped network: dual numbers see the masks of f64.
#[test]
fn second_derivatives_are_those_of_the_dropped_network() {
    let mut at = SecondOrder::<f64>::new(&Net).unwrap();
    let n = at.parameter_count();
    let draw = |n: usize, chunk: u32| {
        let mut v = vec![0f64; n];
        Stream::new(4, Purpose::Test, 0, chunk).fill_normal(&mut v);
        v
    };
    let (x, p, v) = (draw(21, 0), draw(n, 1), draw(n, 2));
    at.set_input("x", &x).unwrap();
    let noise = Some(Noise { share: 2, first: 1, ..NOISE });
    let mut product = |noise| {
        let (mut g, mut hv) = (vec![f64::NAN; n], vec![f64::NAN; n]);
        at.set_noise(noise).unwrap();
        let loss = at.hessian_vector(&p, &v, &mut g, &mut hv).unwrap();
        (loss, g, hv)
    };
    let ((whole, ..), (loss, g, hv)) = (product(None), product(noise));
    check_product(&Net, noise, [&x, &p, &v], (loss, &g, &hv), [1e-13, 1e-9]);
    assert!((loss - whole).abs() > 1e-3 * loss, "{loss} {whole}");
}
