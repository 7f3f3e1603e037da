//! Dropout.

use crate::Real;
use crate::kernels::copy::copy_or_add;
use crate::kernels::dropout::{Masks, Rate, apply};
use crate::rng::{Purpose, Stream};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads, elements, one};
use crate::tape::sample::{Checked, Refusal, Sample};
use crate::tape::{Noise, Recorder, Var};

impl<R: Real> Recorder<R> {
    /// x m/(1 - p), each element's m independently 1 with probability 1 - p, else 0, p in [0, 1): any shape
    /// -> the same shape. p is rounded to a multiple of 1/65536 below 1, and 1/(1 - p) is that of the rounded
    /// p, so that the mean is x exactly.
    ///
    /// The masks are those of the [`Noise`] of the [workspace](crate::tape::Workspace::set_noise). Without
    /// one, as in evaluation, it is x. Rows are the entries of the first axis; an element's m is a function
    /// of the noise's seed and step, the number of this dropout in the program, the number of the row's mask
    /// and the element's place in the row, and of nothing else.
    ///
    /// # Errors
    /// If p is not in [0, 1), or the variable is another recorder's.
    #[track_caller]
    pub fn dropout(&mut self, x: Var, p: f64) -> crate::Result<Var> {
        let before = |node: &&crate::tape::program::Node<R>| node.op.as_ref().is_some_and(|op| op.name() == NAME);
        let number = self.inner.nodes.iter().filter(before).count() as u32;
        self.apply(Dropout { p, number }, &[x])
    }
}

const NAME: &str = "dropout";

/// y = x m/(1 - p); y = x without noise. The backward pass makes the masks again: that is cheaper than to
/// keep them.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// The probability of being dropped, to be rounded.
    p: f64,
    /// How many dropouts the program has before it.
    number: u32,
}

impl Dropout {
    /// y = x m/(1 - p), or y += that if `add`, for x of that shape. The same map pulls adjoints back.
    fn apply<R: Real>(self, noise: Option<Noise>, shape: &[usize], x: &[R], y: &mut [R], add: bool) {
        match noise {
            Some(Noise { seed, step, first, share }) => {
                let field = Stream::new(seed, Purpose::Dropout, step, self.number).field(0);
                let columns = elements(shape.get(1..).unwrap_or(&[]));
                apply(Masks { field, rate: Rate::nearest(self.p), first, share }, columns, x, y, add);
            }
            None => copy_or_add(x, y, add),
        }
    }
}

impl<R: Real> Op<R> for Dropout {
    fn name(&self) -> &'static str {
        NAME
    }
    fn label(&self) -> String {
        format!("{NAME} {}", self.p)
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        if !(0.0..1.0).contains(&self.p) {
            return Err(format!("a probability p in [0, 1) of being dropped (it is {})", self.p));
        }
        Ok(one(x)?.to_vec())
    }
    fn reads(&self) -> Reads {
        Reads::Nothing
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        elements(y) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        self.apply(x.noise(), x.shape(0), x.value(0), out.y, false);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some((dx, fresh)) = dx.slot(0) {
            self.apply(x.noise(), x.shape(0), at.dy, dx, !fresh);
        }
    }
}

impl Checked for Dropout {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let op = |p, number| Dropout { p, number };
        // Less than a group of columns, more than one; rows that share a mask and rows that do not.
        let shapes: [&[usize]; 7] = [&[3, 5], &[7, 1], &[2, 3, 67], &[5], &[0, 4], &[3, 0], &[]];
        let mut all: Vec<_> = shapes.iter().zip(0..).map(|(s, number)| (op(0.4, number), vec![Sample::normal(s, 0)])).collect();
        all.push((op(0.0, 1), vec![Sample::normal(&[3, 5], 0)]));
        all.push((op(0.999, 1), vec![Sample::normal(&[3, 130], 0)]));
        all.push((op(0.25, 0), vec![Sample::of(&[1, 5], &[-800.0, -1.0, 0.0, 1.0, 800.0])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let refused = |p| (Dropout { p, number: 0 }, vec![vec![2, 3]], "p in [0, 1)");
        vec![
            refused(1.0),
            refused(-0.1),
            refused(f64::NAN),
            refused(f64::INFINITY),
            (Dropout { p: 0.5, number: 0 }, vec![vec![2], vec![2]], "one input"),
        ]
    }
}

#[cfg(test)]
#[path = "dropout/tests.rs"]
mod tests;
