//! Functions of one tensor, element by element: the operation; the functions are in `elementary.rs` and `activations.rs`.

use super::Chain;
use crate::Real;
use crate::kernels::Activation;
use crate::simd::{Kernel, W, dispatch};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Registered, Sample};

/// y = f(x).
pub trait Function: Copy + Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// Operations an element.
    const FLOPS: u64;
    /// Whether the derivative is computed from x, from y, or is constant.
    const READS: Reads;
    /// Whether [`Self::value`] and [`Self::derivative`] are free of branches and calls. If not, blocks of numbers that are all
    /// [within](Self::within) go through [`Self::lane`] and [`Self::lane_derivative`], which are.
    const EVERYWHERE: bool = true;
    /// The activation of a layer that it is, if it is one: then it is fused into the layer.
    const ACTIVATION: Option<Activation> = None;
    /// Its attributes for tables, each behind a space.
    fn attributes(self) -> String {
        String::new()
    }
    /// What was expected of its attributes, if they are not that.
    fn refuse(self) -> Result<(), String> {
        Ok(())
    }
    /// Attributes that must be refused, each with words of the sentence.
    fn refused() -> Vec<(Self, &'static str)> {
        vec![]
    }
    /// f(x), for every x.
    fn value<R: Real, const FMA: bool>(self, x: R) -> R;
    /// f'(x), for every x; `y` = f(x).
    fn derivative<R: Real, const FMA: bool>(self, x: R, y: R) -> R;
    /// Where [`Self::lane`] equals [`Self::value`] to the last bit.
    #[inline(always)]
    fn within<R: Real>(self, _x: R) -> bool {
        true
    }
    /// f(x) within.
    #[inline(always)]
    fn lane<R: Real, const FMA: bool>(self, x: R) -> R {
        self.value::<R, FMA>(x)
    }
    /// f'(x) within.
    #[inline(always)]
    fn lane_derivative<R: Real, const FMA: bool>(self, x: R, y: R) -> R {
        self.derivative::<R, FMA>(x, y)
    }
    /// The function with attributes, for the check, where it is differentiable, and points: ordinary, and the largest sensible.
    fn samples() -> Vec<(Self, Domain, &'static [f64])>;
}

/// Where a function is checked on random numbers.
#[derive(Clone, Copy)]
pub enum Domain {
    /// Normal numbers.
    Line,
    /// Of either sign, away from zero.
    Nonzero,
    /// Positive, away from zero.
    Positive,
}

/// A [`Function`] as an operation.
#[derive(Clone, Copy)]
pub struct Map<F>(pub F);

/// Points for functions that are smooth everywhere.
pub const WIDE: &[f64] = &[-800.0, -30.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 30.0, 800.0];
/// Points for functions with a kink at 0.
pub const KINKED: &[f64] = &[-800.0, -30.0, -1.0, -0.1, 0.1, 1.0, 30.0, 800.0];
/// Points for functions of positive numbers.
pub const POSITIVE: &[f64] = &[0.1, 0.5, 1.0, 3.0, 800.0];

/// Name and attributes.
pub fn title<F: Function>(f: F) -> String {
    format!("{}{}", F::NAME, f.attributes())
}

/// y = f(x).
pub fn forward<F: Function, R: Real>(f: F, x: &[R], y: &mut [R]) {
    dispatch(Forward(f, x, y));
}

/// dx += dy f'(x), or dx = ... if it is `fresh`. Of x and y only what the derivative reads is looked at; both have dy's length.
pub fn backward<F: Function, R: Real>(f: F, [x, y, dy]: [&[R]; 3], dx: &mut [R], fresh: bool) {
    dispatch(Backward { f, x, y, dy, dx, fresh });
}

struct Forward<'a, F, R>(F, &'a [R], &'a mut [R]);
impl<F: Function, R: Real> Kernel for Forward<'_, F, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Forward(f, x, y) = self;
        if F::EVERYWHERE {
            for (y, x) in y.iter_mut().zip(x) {
                *y = f.value::<R, FMA>(*x);
            }
            return;
        }
        let ((x, last_x), (y, last_y)) = (x.as_chunks::<W>(), y.as_chunks_mut::<W>());
        for (y, x) in y.iter_mut().zip(x) {
            if all_within(f, x) {
                for i in 0..W {
                    y[i] = f.lane::<R, FMA>(x[i]);
                }
            } else {
                for i in 0..W {
                    y[i] = f.value::<R, FMA>(x[i]);
                }
            }
        }
        for (y, x) in last_y.iter_mut().zip(last_x) {
            *y = f.value::<R, FMA>(*x);
        }
    }
}

#[inline(always)]
fn all_within<F: Function, R: Real>(f: F, x: &[R; W]) -> bool {
    let mut all = true;
    for i in 0..W {
        all &= f.within(x[i]);
    }
    all
}

struct Backward<'a, F, R> {
    f: F,
    x: &'a [R],
    y: &'a [R],
    dy: &'a [R],
    dx: &'a mut [R],
    fresh: bool,
}
impl<F: Function, R: Real> Kernel for Backward<'_, F, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Backward { f, x, y, dy, dx, fresh } = self;
        if fresh {
            if F::EVERYWHERE {
                for (dx, ((x, y), dy)) in dx.iter_mut().zip(x.iter().zip(y).zip(dy)) {
                    *dx = *dy * f.derivative::<R, FMA>(*x, *y);
                }
                return;
            }
            dx.fill(R::zero());
        }
        if F::EVERYWHERE {
            for (dx, ((x, y), dy)) in dx.iter_mut().zip(x.iter().zip(y).zip(dy)) {
                *dx += *dy * f.derivative::<R, FMA>(*x, *y);
            }
            return;
        }
        let ((x, last_x), (y, last_y)) = (x.as_chunks::<W>(), y.as_chunks::<W>());
        let ((dy, last_dy), (dx, last_dx)) = (dy.as_chunks::<W>(), dx.as_chunks_mut::<W>());
        for (dx, ((x, y), dy)) in dx.iter_mut().zip(x.iter().zip(y).zip(dy)) {
            if all_within(f, x) {
                for i in 0..W {
                    dx[i] += dy[i] * f.lane_derivative::<R, FMA>(x[i], y[i]);
                }
            } else {
                for i in 0..W {
                    dx[i] += dy[i] * f.derivative::<R, FMA>(x[i], y[i]);
                }
            }
        }
        for (dx, ((x, y), dy)) in last_dx.iter_mut().zip(last_x.iter().zip(last_y).zip(last_dy)) {
            *dx += *dy * f.derivative::<R, FMA>(*x, *y);
        }
    }
}

impl<R: Real, F: Function> Op<R> for Map<F>
where
    Map<F>: Registered,
{
    fn name(&self) -> &'static str {
        F::NAME
    }
    fn label(&self) -> String {
        title(self.0)
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        self.0.refuse()?;
        match x {
            [x] => Ok(x.to_vec()),
            _ => Err("one input".to_string()),
        }
    }
    fn reads(&self) -> Reads {
        F::READS
    }
    fn absorb(&self, _at: usize, producer: &dyn Op<R>) -> Option<Box<dyn Op<R>>> {
        producer.with_activation(F::ACTIVATION?)
    }
    fn chain(&self) -> Option<Chain<R>> {
        Some(Chain::one(*self, 1))
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        F::FLOPS * y.iter().product::<usize>() as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        forward(self.0, x.value(0), out.y);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some((dx, fresh)) = dx.slot(0) {
            backward(self.0, [x.value(0), at.y, at.dy], dx, fresh);
        }
    }
}

impl<F: Function> Checked for Map<F> {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [&[usize]; 5] = [&[3, 5], &[2, 1, 7], &[37], &[0, 4], &[]];
        let mut all = vec![];
        for (f, domain, points) in F::samples() {
            let random = match domain {
                Domain::Line => Sample::normal,
                Domain::Nonzero => Sample::away_from_zero,
                Domain::Positive => Sample::positive,
            };
            all.extend(shapes.iter().map(|s| (Map(f), vec![random(s, 0)])));
            all.push((Map(f), vec![Sample::points(points)]));
        }
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let inputs = F::samples().into_iter().map(|(f, ..)| (Map(f), vec![vec![2], vec![2]], "one input"));
        inputs.chain(F::refused().into_iter().map(|(f, words)| (Map(f), vec![vec![2]], words))).collect()
    }
}
