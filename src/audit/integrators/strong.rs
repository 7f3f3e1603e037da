//! Strong orders: (E |X_1 - x_N|^2)^(1/2) on paths on which the solution is known, at several step sizes.

use super::paths::{Block, bank, walk_path};
use super::problem::{LogVerhulst, Solved, Tanh};
use super::{Effort, measured};
use crate::audit::{Curve, Row, Slope};
use crate::sde::kinds::{Commutative, Diagonal, Scalar};
use crate::sde::method::{self, Visitor};
use crate::sde::{Claims, Integrator, Ito, Noise, Stratonovich};
use crate::simd::{W, sum};
use rayon::prelude::*;

/// Groups of paths, each of which gives a slope of its own.
const BATCHES: usize = 16;

/// How much work.
struct Size {
    /// Blocks of W paths; a multiple of [`BATCHES`].
    blocks: usize,
    /// Steps of length 2^-k.
    powers: std::ops::RangeInclusive<u32>,
    /// Where the solution needs the path, it sees it in steps of 2^-finest.
    finest: u32,
}

impl Size {
    fn of(effort: Effort) -> Self {
        match effort {
            Effort::Quick => Size { blocks: 64, powers: 5..=8, finest: 11 },
            Effort::Full => Size { blocks: 256, powers: 5..=9, finest: 13 },
        }
    }
}

/// A row for each method and each kind of noise that it claims an order for.
pub fn rows(effort: Effort) -> Vec<Row> {
    let Size { blocks, powers, finest } = Size::of(effort);
    let known = *powers.end(); // where the solution is a function of B_1
    let mut rows = vec![];
    let mut on = Measure { sde: &LogVerhulst, bank: bank(&LogVerhulst, blocks, powers.clone(), finest, 1), rows: &mut rows };
    method::additive(&mut on);
    let sde = Tanh::<Ito, Scalar>::one();
    method::diagonal(&mut Measure { sde: &sde, bank: bank(&sde, blocks, powers.clone(), known, 2), rows: &mut rows });
    let sde = Tanh::<Ito, Diagonal>::diagonal();
    method::diagonal(&mut Measure { sde: &sde, bank: bank(&sde, blocks, powers.clone(), known, 3), rows: &mut rows });
    let sde = Tanh::<Stratonovich, Scalar>::one();
    method::commutative(&mut Measure { sde: &sde, bank: bank(&sde, blocks, powers.clone(), known, 4), rows: &mut rows });
    let sde = Tanh::<Stratonovich, Commutative>::commuting();
    method::commutative(&mut Measure { sde: &sde, bank: bank(&sde, blocks, powers, known, 5), rows: &mut rows });
    rows
}

struct Measure<'a, S> {
    sde: &'a S,
    bank: Vec<Block>,
    rows: &'a mut Vec<Row>,
}

impl<S: Solved> Visitor<f64, S> for Measure<'_, S> {
    fn visit<I: Integrator<f64, S>>(&mut self, method: &I) {
        let Some(orders) = I::CLAIMS.for_noise(S::Noise::KIND) else { return };
        self.rows.push(row(&I::CLAIMS, orders.strong, S::NAME, S::Noise::KIND.to_string(), &curves(method, self.sde, &self.bank)));
    }
}

/// The error over the step size: of each batch of paths.
fn curves<S: Solved, I: Integrator<f64, S>>(method: &I, sde: &S, bank: &[Block]) -> Vec<Curve> {
    let squares = |block: &Block| -> Vec<f64> {
        let square = |path| {
            let mut x: Vec<[f64; W]> = sde.start().into_iter().map(|x| [x; W]).collect();
            walk_path(method, sde, path, &mut x);
            let mut squares = [0.0; W];
            for (x, end) in x.iter().zip(&block.end) {
                for i in 0..W {
                    squares[i] += (x[i] - end[i]) * (x[i] - end[i]);
                }
            }
            sum(squares) / W as f64
        };
        block.levels.iter().map(square).collect()
    };
    let all: Vec<Vec<f64>> = bank.par_iter().map(squares).collect();
    let h: Vec<f64> = bank.first().map_or(vec![], |block| block.levels.iter().map(|path| path.h()).collect());
    let rms = |batch: &[Vec<f64>], level: usize| (batch.iter().map(|s| s[level]).sum::<f64>() / batch.len() as f64).sqrt();
    let curve = |batch: &[Vec<f64>]| Curve { h: h.clone(), error: (0..h.len()).map(|level| rms(batch, level)).collect() };
    all.chunks(all.len().div_ceil(BATCHES).max(1)).map(curve).collect()
}

/// The slope is that of all paths; its standard error comes from the slopes of the batches.
fn row(claims: &Claims, claim: f64, problem: &'static str, noise: String, batches: &[Curve]) -> Row {
    let (n, slopes): (f64, Vec<f64>) = (batches.len() as f64, batches.iter().map(Curve::slope).collect());
    let mean = slopes.iter().sum::<f64>() / n;
    let error = (slopes.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n * (n - 1.0))).sqrt();
    let root_mean = |level: usize| (batches.iter().map(|c| c.error[level].powi(2)).sum::<f64>() / n).sqrt();
    let h = batches[0].h.clone();
    let pooled = Curve { error: (0..h.len()).map(root_mean).collect(), h };
    let slope = Slope { claim, measured: pooled.slope(), error, curve: Some(pooled) };
    let off = (slope.measured - claim).abs();
    let mut row = measured(claims, format!("strong, {noise}: {problem}"), slope, "solution");
    // An interval too wide to tell one order from the next says nothing.
    row.judge(off <= f64::max(0.1, 3.0 * error) && error <= 0.06);
    row
}
