//! Operations with one planted error each: the check must catch every one of them.

use super::check::{Row, check};
use super::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample};
use crate::Real;

/// y = a + b, b [n] broadcast over the rows of a [m, n], with an error.
macro_rules! planted {
    ($($name:ident: $error:expr;)+) => {
        $(pub struct $name;
        impl<R: Real> Op<R> for $name {
            fn name(&self) -> &'static str {
                stringify!($name)
            }
            fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
                match x {
                    [a @ [_, n], [k]] if n == k => Ok(a.to_vec()),
                    _ => Err("a [m, n], b [n]".to_string()),
                }
            }
            fn reads(&self) -> Reads {
                Reads::Nothing
            }
            fn flops(&self, _x: &[&[usize]], _y: &[usize]) -> u64 {
                0
            }
            fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
                let n = x.shape(1)[0].max(1);
                let unwritten = usize::from($error == Error::Unwritten);
                for (y, a) in out.y.chunks_exact_mut(n).zip(x.value(0).chunks_exact(n)) {
                    for j in unwritten..n.min(a.len()) {
                        y[j] = a[j] + x.value(1)[j];
                    }
                }
            }
            fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
                let n = x.shape(1)[0].max(1);
                let sign = if $error == Error::Sign { -R::one() } else { R::one() };
                // Right as long as the input still lies there.
                let sign = if $error == Error::Reads && x.value(0).iter().any(|a| a.is_nan()) { R::nan() } else { sign };
                let factor = if $error == Error::Factor { R::of(1.0001) } else { R::one() };
                if let Some((da, fresh)) = dx.slot(0) {
                    for (da, dy) in da.iter_mut().zip(at.dy.iter()) {
                        let old = if fresh || $error == Error::Overwrites { R::zero() } else { *da };
                        *da = old + sign * factor * *dy;
                    }
                }
                let stale = $error == Error::Stale;
                let Some(db) = (if stale { dx.slot(1).map(|slot| slot.0) } else { dx.add_to(1) }) else { return };
                let rows = if $error == Error::Reduction { 1 } else { usize::MAX };
                for dy in at.dy.chunks_exact(n).take(rows) {
                    db.iter_mut().zip(dy).for_each(|(db, dy)| *db += *dy);
                }
                if $error == Error::DestroysKept {
                    at.dy.fill(R::zero());
                }
            }
        }
        impl Checked for $name {
            fn samples() -> Vec<(Self, Vec<Sample>)> {
                let sample = |m, n| ($name, vec![Sample::normal(&[m, n], 1), Sample::normal(&[n], 2)]);
                let large = Sample { shape: vec![1, 2], values: vec![800.0, -800.0] };
                let mut all = vec![sample(3, 5), sample(2, 1), sample(0, 2), ($name, vec![large, Sample::normal(&[2], 3)])];
                if $error == Error::NoSamples {
                    all.clear();
                }
                all
            }
            fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
                let shapes = if $error == Error::NotRefused { vec![vec![2, 3], vec![3]] } else { vec![vec![2, 3], vec![2]] };
                vec![($name, shapes, "a [m, n]")]
            }
        })+
        super::ops::ops![$($name),+];
        const ERRORS: &[Error] = &[$($error),+];
    };
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Error {
    None,
    Sign,
    Factor,
    Reduction,
    Overwrites,
    Stale,
    Unwritten,
    Reads,
    NoSamples,
    NotRefused,
    /// Not an error: a vector-Jacobian product may use up dy.
    DestroysKept,
}

planted! {
    Right: Error::None;
    WrongSign: Error::Sign;
    WrongFactor: Error::Factor;
    MissingReduction: Error::Reduction;
    OverwritesAdjoint: Error::Overwrites;
    AddsToStale: Error::Stale;
    LeavesUnwritten: Error::Unwritten;
    ReadsUnstated: Error::Reads;
    WithoutSamples: Error::NoSamples;
    DoesNotRefuse: Error::NotRefused;
    UsesUpAdjoint: Error::DestroysKept;
}

#[test]
fn every_planted_error_is_caught() {
    let (wide, narrow) = (registry::<f64>(), registry::<f32>());
    for (i, error) in ERRORS.iter().enumerate() {
        let rows = check(&wide[i..=i], &narrow[i..=i]);
        let failed: Vec<&Row> = rows.iter().filter(|row| !row.pass).collect();
        let right = matches!(error, Error::None | Error::DestroysKept);
        assert_eq!(failed.is_empty(), right, "{error:?}: {failed:#?}");
    }
}
