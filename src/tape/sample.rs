//! What operations are checked on.

use super::op::Op;
use crate::Real;

/// What an operation is checked on ([`crate::audit::gradient`]).
pub trait Checked: Sized {
    /// Inputs for the gradient check. They must reach an odd size, an axis of size 1, an empty axis (unless
    /// that is among the refusals) and the largest sensible values, and keep away from kinks.
    fn samples() -> Vec<(Self, Vec<Sample>)>;
    /// What must be refused.
    fn refusals() -> Vec<Refusal<Self>>;
}

/// An operation, shapes that it must refuse, and words that the error must contain.
pub type Refusal<O> = (O, Vec<Vec<usize>>, &'static str);

/// One input of a sample: a tensor in f64.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements in row-major order.
    pub values: Vec<f64>,
}

impl Sample {
    /// Given numbers.
    pub fn of(shape: &[usize], values: &[f64]) -> Self {
        Sample { shape: shape.to_vec(), values: values.to_vec() }
    }
    /// Standard normals; `salt` tells the inputs of one sample apart.
    pub fn normal(shape: &[usize], salt: u32) -> Self {
        let mut values = vec![0.0; shape.iter().product()];
        crate::rng::Stream::new(7, crate::rng::Purpose::Test, shape.len() as u64, salt).fill_normal(&mut values);
        Sample { shape: shape.to_vec(), values }
    }
    /// Standard normals of several shapes, the inputs of one sample.
    pub fn normals(shapes: &[&[usize]]) -> Vec<Self> {
        shapes.iter().zip(1..).map(|(shape, salt)| Self::normal(shape, salt)).collect()
    }
    /// Numbers of either sign whose size lies in about [0.3, 3]: for divisors.
    pub fn away_from_zero(shape: &[usize], salt: u32) -> Self {
        let mut s = Self::normal(shape, salt);
        s.values.iter_mut().for_each(|v| *v = v.signum() * (0.4 * *v).exp());
        s
    }
    /// Positive numbers in about [0.3, 3].
    pub fn positive(shape: &[usize], salt: u32) -> Self {
        let mut s = Self::normal(shape, salt);
        s.values.iter_mut().for_each(|v| *v = (0.4 * *v).exp());
        s
    }
    /// Given numbers, as a vector.
    pub fn points(values: &[f64]) -> Self {
        Sample::of(&[values.len()], values)
    }
}

type Boxed<R> = Box<dyn Op<R>>;
/// An operation and the inputs that it is tried on.
type Tried<O> = (O, Vec<Sample>);

/// One operation on a list, with what it is checked on.
pub struct Entry<R> {
    pub(crate) name: &'static str,
    pub(crate) samples: fn() -> Vec<Tried<Boxed<R>>>,
    pub(crate) refusals: fn() -> Vec<Refusal<Boxed<R>>>,
}

impl<R: Real> Entry<R> {
    /// The entry of `O`, called `name`.
    pub fn of<O: Checked + Op<R>>(name: &'static str) -> Self {
        // Loops, not iterators: this is compiled for every operation and kind of numbers.
        let samples = || {
            let mut all: Vec<Tried<Boxed<R>>> = vec![];
            for (op, x) in O::samples() {
                all.push((Box::new(op), x));
            }
            all
        };
        let refusals = || {
            let mut all: Vec<Refusal<Boxed<R>>> = vec![];
            for (op, x, words) in O::refusals() {
                all.push((Box::new(op), x, words));
            }
            all
        };
        Entry { name, samples, refusals }
    }
}
