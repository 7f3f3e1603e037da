//! Operations with one planted error each: the check must catch every one of them.

use super::{Reference, check};
use crate::Real;
use crate::tape::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Recorder, Refusal, Sample};

/// y = a b, b [n] broadcast over the rows of a [m, n], with an error.
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
                if $error == Error::Reads { Reads::Nothing } else { Reads::Inputs }
            }
            fn flops(&self, _x: &[&[usize]], _y: &[usize]) -> u64 {
                0
            }
            fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
                let n = x.shape(1)[0].max(1);
                let unwritten = usize::from($error == Error::Unwritten);
                for (y, a) in out.y.chunks_exact_mut(n).zip(x.value(0).chunks_exact(n)) {
                    for j in unwritten..n.min(a.len()) {
                        let product = a[j] * x.value(1)[j];
                        y[j] = if $error == Error::ForwardCutsTangent { R::of(product.f64()) } else { product };
                    }
                }
            }
            fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
                let (a, b) = (x.value(0), x.value(1));
                let n = b.len().max(1);
                let factor = R::of(match $error {
                    Error::Sign => -1.0,
                    Error::Factor => 1.0001,
                    Error::TinyFactor => 1.0 + 1e-9,
                    _ => 1.0,
                });
                if let Some((da, fresh)) = dx.slot(0) {
                    for (k, (da, dy)) in da.iter_mut().zip(at.dy.iter()).enumerate() {
                        let old = if fresh || $error == Error::Overwrites { R::zero() } else { *da };
                        let b = if $error == Error::BackwardCutsTangent { R::of(b[k % n].f64()) } else { b[k % n] };
                        *da = old + factor * *dy * b;
                    }
                }
                let stale = $error == Error::Stale;
                let Some(db) = (if stale { dx.slot(1).map(|slot| slot.0) } else { dx.add_to(1) }) else { return };
                let rows = if $error == Error::Reduction { 1 } else { usize::MAX };
                for (dy, a) in at.dy.chunks_exact(n).zip(a.chunks_exact(n)).take(rows) {
                    db.iter_mut().zip(dy.iter().zip(a)).for_each(|(db, (dy, a))| *db += *dy * *a);
                }
                if $error == Error::UsesUpAdjoint {
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
            fn refusals() -> Vec<Refusal<Self>> {
                let shapes = if $error == Error::NotRefused { vec![vec![2, 3], vec![3]] } else { vec![vec![2, 3], vec![2]] };
                vec![($name, shapes, "a [m, n]")]
            }
        })+
        crate::tape::ops![$($name),+];
        const ERRORS: &[Error] = &[$($error),+];
    };
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Error {
    None,
    Sign,
    Factor,
    TinyFactor,
    Reduction,
    Overwrites,
    Stale,
    Unwritten,
    Reads,
    ForwardCutsTangent,
    BackwardCutsTangent,
    NoSamples,
    NotRefused,
    /// Not an error: a vector-Jacobian product may use up dy.
    UsesUpAdjoint,
}

planted! {
    Right: Error::None;
    WrongSign: Error::Sign;
    WrongFactor: Error::Factor;
    WrongInTheTenthDigit: Error::TinyFactor;
    MissingReduction: Error::Reduction;
    OverwritesAdjoint: Error::Overwrites;
    AddsToStale: Error::Stale;
    LeavesUnwritten: Error::Unwritten;
    ReadsUnstated: Error::Reads;
    ForwardWithoutTangent: Error::ForwardCutsTangent;
    BackwardWithoutTangent: Error::BackwardCutsTangent;
    WithoutSamples: Error::NoSamples;
    DoesNotRefuse: Error::NotRefused;
    UsesUpDy: Error::UsesUpAdjoint;
}

#[test]
fn every_planted_error_is_caught() {
    let (wide, narrow, dual) = (registry(), registry(), registry());
    for (i, error) in ERRORS.iter().enumerate() {
        let rows = check(&wide[i..=i], &narrow[i..=i], &dual[i..=i]);
        let [row] = &rows[..] else { panic!("one row for {error:?}, got {}", rows.len()) };
        let right = matches!(error, Error::None | Error::UsesUpAdjoint);
        assert_eq!(row.pass(), right, "{error:?}: {}", row.note());
        // Two errors that one reference alone can see.
        let seen_by: Vec<Reference> = Reference::ALL.into_iter().filter(|r| row.worst(*r) > r.bound()).collect();
        match error {
            Error::TinyFactor => assert_eq!(seen_by, [Reference::Dual]),
            Error::BackwardCutsTangent => assert_eq!(seen_by, [Reference::Second]),
            _ => {}
        }
    }
}

/// The worst derivative of L = sum a b b by differences, a `[3, 2]`, b `[2]`, one of the products being
/// `O`'s.
fn worst<O: Op<f64>>(op: O) -> super::GradientCheck {
    let mut r = Recorder::<f64>::new();
    let (a, b) = (r.input_with_gradient("a", &[3, 2]).unwrap(), r.parameter("b", &[2]).unwrap());
    let product = r.apply(op, &[a, b]).unwrap();
    let square = r.mul(product, b).unwrap();
    let loss = r.sum(square).unwrap();
    let a = [1.0, -2.0, 0.5, 3.0, 0.0, -0.7];
    r.finish().check_gradient(&[0.7, -1.3], &[("a", &a)], loss).unwrap()
}

#[test]
fn a_program_with_a_planted_error_is_caught() {
    let right = worst(Right);
    assert!(right.pass() && right.compared == 8, "{right}");
    for wrong in [worst(WrongSign), worst(WrongFactor), worst(MissingReduction)] {
        assert!(!wrong.pass(), "{wrong}");
    }
    // d(a b b)/da = b b (1 + 1e-4), only by a: the largest is 1.69.
    let worst = worst(WrongFactor).worst.unwrap();
    assert!(worst.name == "a" && worst.index % 2 == 1 && (worst.backward / worst.difference - 1.0001).abs() <= 1e-9, "{worst:?}");
}
