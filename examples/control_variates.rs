//! What each way to lower a variance is worth, on E e^(Z_0/2) / (1 + e^(-Z_1)) = e^(1/8) / 2, Z ~ N(0, I): a
//! table with the standard errors that the estimators themselves report, and a picture of their true errors
//! over 1/n.
//!
//!     cargo run --release --example control_variates            # leaves control-variates.png
//!
//! The function grows with each of its arguments: pairs of both signs help by a fixed factor. It is smooth in
//! two uniform numbers: quasi-random points help the more, the more there are. And it is well described by a
//! polynomial of degree two, whose mean Stein's identity knows: controls help by a larger one.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use ndsm::cli::plot::{Errors, convergence};
use ndsm::control::{Estimate, Kronecker, Regression, antithetic, one_per_stratum, replicated, stein};
use ndsm::rng::{Purpose, Stream};
use ndsm::transition::normal_quantile;
use ndsm::{Error, Result};

const REPETITIONS: u64 = 64;
const REPLICATES: usize = 8;

fn f(z0: f64, z1: f64) -> f64 {
    (0.5 * z0).exp() / (1.0 + (-z1).exp())
}

fn values(z: ArrayView2<f64>) -> Array1<f64> {
    z.map_axis(Axis(1), |z| f(z[0], z[1]))
}

fn stream(repetition: u64, chunk: u32) -> Stream {
    Stream::new(0, Purpose::Test, repetition, chunk)
}

fn normals(n: usize, repetition: u64) -> Result<Array2<f64>> {
    let mut z = vec![0.0; 2 * n];
    stream(repetition, 0).fill_normal(&mut z);
    Array2::from_shape_vec((n, 2), z).map_err(|e| Error::refused("normals", e.to_string()))
}

/// Independent samples.
fn plain(n: usize, repetition: u64) -> Result<Estimate> {
    let y = values(normals(n, repetition)?.view());
    // A replicate of one sample each: their spread is the standard error.
    replicated(y.insert_axis(Axis(1)).view())
}

/// n/2 pairs with noise of both signs.
fn pairs(n: usize, repetition: u64) -> Result<Estimate> {
    let z = normals(n / 2, repetition)?;
    antithetic(&values(z.view()).to_vec(), &values((-&z).view()).to_vec())
}

/// Z_0 from n strata, one sample in each.
fn strata(n: usize, repetition: u64) -> Result<Estimate> {
    let (mut s, z) = (stream(repetition, 1), normals(n, repetition)?);
    let y: Vec<f64> = (0..n).map(|i| f(normal_quantile((i as f64 + s.uniform::<f64>()) / n as f64), z[[i, 1]])).collect();
    one_per_stratum(&y)
}

/// Eight replicates of quasi-random points.
fn quasi_random(n: usize, repetition: u64) -> Result<Estimate> {
    let mut y = Array2::zeros((REPLICATES, n / REPLICATES));
    for (r, mut row) in y.rows_mut().into_iter().enumerate() {
        let points = Kronecker::new(2, &mut stream(repetition, 2 + r as u32))?;
        row.iter_mut().enumerate().for_each(|(i, y)| *y = f(normal_quantile(points.at(i, 0)), normal_quantile(points.at(i, 1))));
    }
    replicated(y.view())
}

/// Regression on Stein's controls of degree two; the score of N(0, I) is -z.
fn controls(n: usize, repetition: u64) -> Result<Estimate> {
    let z = normals(n, repetition)?;
    let c = stein::quadratic(z.view(), (-&z).view(), Array1::zeros(2).view())?;
    Ok(Regression::default().cross_fitted(values(z.view()).view(), c.view())?.estimate)
}

type Method = fn(usize, u64) -> Result<Estimate>;

fn main() -> Result<()> {
    let methods: [(&str, f64, Method); 5] = [
        ("independent samples", 0.5, plain),
        ("antithetic pairs", 0.5, pairs),
        ("strata of Z_0", 0.5, strata),
        ("quasi-random", 1.0, quasi_random),
        ("Stein controls", 0.5, controls),
    ];
    let exact = 0.5 * 0.125f64.exp();
    println!("{:<20} {:>10} {:>14} {:>7} {:>8}   (1,024 evaluations, exact {exact:.5})", "", "estimate", "standard error", "error", "gain");
    let mut curves = vec![];
    for (name, order, method) in methods {
        let e = method(1024, 0)?;
        println!("{name:<20} {:>10.5} {:>14.5} {:>7.4} {:>8.1}", e.mean, e.standard_error, (e.mean - exact).abs(), e.gain());
        let mut points = vec![];
        for n in [64usize, 256, 1024, 4096, 16384] {
            let squares = (0..REPETITIONS).map(|r| Ok((method(n, r)?.mean - exact).powi(2))).collect::<Result<Vec<f64>>>()?;
            points.push([1.0 / n as f64, (squares.iter().sum::<f64>() / REPETITIONS as f64).sqrt()]);
        }
        curves.push(Errors { name: name.to_owned(), order, points });
    }
    let place = std::env::args().nth(1).unwrap_or_else(|| "control-variates.png".to_owned());
    convergence("Estimators of E exp(Z/2) / (1 + exp(-Z'))", ["1/n", "root mean square error"], &curves).save(place.as_ref())?;
    println!("picture: {place}");
    Ok(())
}
