//! Strong orders: (E |X_1 - x_N|^2)^(1/2) on paths on which the solution is known, at several step sizes.

use super::paths::{SolvedBlock, Walker, bank, show, walk_path};
use super::problem::{LogVerhulst, Solved, Tanh};
use super::{Effort, measured};
use crate::Result;
use crate::audit::{Curve, Row, Slope};
use crate::par;
use crate::sde::kinds::{Commutative, Diagonal, Scalar};
use crate::sde::method::{self, Visitor};
use crate::sde::{Claims, Harmonic, Integrator, Ito, Noise, NoiseKind, Stratonovich, Underdamped};
use crate::simd::{W, sum};
use std::ops::RangeInclusive;

/// Groups of paths, each of which gives a slope of its own.
const BATCHES: u32 = 16;

/// How much work.
struct Size {
    /// Blocks of W paths in a batch.
    blocks: u32,
    /// Steps of length 2^-k.
    powers: RangeInclusive<u32>,
    /// Where the solution needs more of the path than its end, it sees it in steps of 2^-finest.
    finest: u32,
}

impl Size {
    fn of(effort: Effort) -> Self {
        match effort {
            Effort::Quick => Size { blocks: 6, powers: 7..=10, finest: 13 },
            Effort::Full => Size { blocks: 32, powers: 7..=11, finest: 14 },
        }
    }
}

/// A row for each method and each kind of noise that it claims an order for.
///
/// # Errors
/// None for these equations.
pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let size = Size::of(effort);
    // The solutions of the tanh equation are functions of where the Brownian motions end.
    let ends = Size { finest: *size.powers.end(), ..Size::of(effort) };
    let mut rows = measure(&LogVerhulst, &size, 1, |on| {
        method::additive(on);
        method::smooth(on);
        method::semilinear(on);
    });
    rows.extend(measure(&Underdamped::<Harmonic>::critically_damped(1, 1.0, 1.0)?, &size, 6, method::kinetic));
    rows.extend(measure(&Tanh::<Ito, Scalar>::one(), &ends, 2, |on| {
        method::diagonal(on);
        method::scalar(on);
    }));
    rows.extend(measure(&Tanh::<Ito, Diagonal>::diagonal(), &ends, 3, method::diagonal));
    rows.extend(measure(&Tanh::<Stratonovich, Scalar>::one(), &ends, 4, method::commutative));
    rows.extend(measure(&Tanh::<Stratonovich, Commutative>::commuting(), &ends, 5, method::commutative));
    Ok(rows)
}

/// All methods that `walk` shows, batch by batch on the same paths.
fn measure<'a, S: Solved>(sde: &'a S, size: &Size, seed: u64, walk: impl Fn(&mut On<'a, S>)) -> Vec<Row> {
    let start = sde.start();
    let mut on = On { sde, errors: Errors { start, bank: vec![], next: 0, methods: vec![] } };
    for batch in 0..BATCHES {
        let chunks = batch * size.blocks..(batch + 1) * size.blocks;
        let sizes = [sde.dim(), sde.noises()];
        on.errors.bank = bank(&|path, x| sde.solution(path, x), sizes, chunks, size.powers.clone(), size.finest, seed);
        on.errors.next = 0;
        walk(&mut on);
    }
    on.errors.methods.iter().filter_map(|(claims, curves)| row(claims, S::NAME, S::Noise::KIND, curves)).collect()
}

/// What is measured, on one equation.
struct On<'a, S> {
    sde: &'a S,
    errors: Errors,
}

impl<S: Solved> Visitor<f64, S> for On<'_, S> {
    fn visit<I: Integrator<f64, S>>(&mut self, method: &I) {
        show(method, self.sde, &mut |on| self.errors.measure(on));
    }
}

/// The errors of each method, in the order in which they come.
struct Errors {
    /// X_0.
    start: Vec<f64>,
    bank: Vec<SolvedBlock>,
    next: usize,
    methods: Vec<(Claims, Vec<Curve>)>,
}

impl Errors {
    fn measure(&mut self, on: &dyn Walker) {
        let curve = curve(on, &self.start, &self.bank);
        match self.methods.get_mut(self.next) {
            Some((_, curves)) => curves.push(curve),
            None => self.methods.push((on.claims(), vec![curve])),
        }
        self.next += 1;
    }
}

/// The root mean square error of these paths over the step size.
fn curve(on: &dyn Walker, start: &[f64], bank: &[SolvedBlock]) -> Curve {
    let squares = |block: &SolvedBlock| -> Vec<f64> {
        let square = |path| {
            let mut x: Vec<[f64; W]> = start.iter().map(|x| [*x; W]).collect();
            walk_path(on, path, &mut x);
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
    let all = par::map(bank.len(), |i| squares(&bank[i]));
    let h: Vec<f64> = bank.iter().take(1).flat_map(|block| block.levels.iter().map(|path| path.h())).collect();
    let root_mean = |level: usize| (all.iter().map(|s| s[level]).sum::<f64>() / all.len() as f64).sqrt();
    Curve { error: (0..h.len()).map(root_mean).collect(), h }
}

/// The slope is that of all paths; its standard error comes from the slopes of the batches. An interval too
/// wide to tell one order from the next says nothing.
fn row(claims: &Claims, problem: &str, noise: NoiseKind, batches: &[Curve]) -> Option<Row> {
    let claim = claims.for_noise(noise)?.strong;
    let (n, slopes): (f64, Vec<f64>) = (batches.len() as f64, batches.iter().map(Curve::slope).collect());
    let mean = slopes.iter().sum::<f64>() / n;
    let error = (slopes.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n * (n - 1.0))).sqrt();
    let root_mean = |level: usize| (batches.iter().map(|c| c.error[level].powi(2)).sum::<f64>() / n).sqrt();
    let h = batches[0].h.clone();
    let pooled = Curve { error: (0..h.len()).map(root_mean).collect(), h };
    let slope = Slope { claim, measured: pooled.slope(), error, curve: Some(pooled) };
    let right = (slope.measured - claim).abs() <= f64::max(0.1, 3.0 * error) && error <= 0.04;
    Some(measured(claims, format!("strong, {noise}: {problem}"), slope, "solution", right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sde::{CalculusKind, Increment, Method, Needs, Orders, Step};

    /// Milstein's method for the tanh equation, with `half` where 1/2 belongs: x + h f + g W + half g g'
    /// (W^2 - h).
    struct Milstein {
        half: f64,
    }

    impl Method for Milstein {
        const CLAIMS: Claims = Claims {
            name: "milstein",
            calculus: CalculusKind::Ito,
            needs: Needs::W,
            orders: &[Orders::of(NoiseKind::Scalar, 1.0, 1.0)],
            invariant: None,
            drifts: 1,
            source: "",
        };
    }

    impl Integrator<f64, Tanh<Ito, Scalar>> for Milstein {
        type Memory = ();
        fn memory(&self, _: &Tanh<Ito, Scalar>) {}
        fn step<const FMA: bool>(
            &self,
            _: &Tanh<Ito, Scalar>,
            step: &Step,
            path: Increment<'_, f64>,
            x: &mut [[f64; W]],
            (): &mut (),
            (): &mut (),
        ) {
            let h: [f64; W] = step.size(|h| h);
            for i in 0..W {
                let (y, w) = (x[0][i], path.w[0][i]);
                let (f, g, slope) = (-(0.3 + 0.49 * y) * (1.0 - y * y), 0.7 * (1.0 - y * y), -1.4 * y);
                x[0][i] += h[i] * f + g * w + self.half * g * slope * (w * w - h[i]);
            }
        }
    }

    #[test]
    fn a_wrong_factor_in_a_milstein_term_fails() {
        let size = Size { blocks: 4, powers: 5..=8, finest: 8 };
        let verdict = |half: f64| {
            let rows = measure(&Tanh::one(), &size, 1, |errors| errors.visit(&Milstein { half }));
            (rows[0].pass, rows[0].slope.as_ref().unwrap().measured)
        };
        assert!(verdict(0.5).0, "{:?}", verdict(0.5));
        for half in [1.0, 0.0, -0.5] {
            assert!(!verdict(half).0, "{half}: {:?}", verdict(half));
        }
    }
}
