//! A layer in one pass: matrix product, bias, activation and its derivative.

use crate::Real;
use crate::simd::{Kernel, W, dispatch};
use crate::tape::gemm::{Matrix, Packed, gemm, multiply, pack, packed_len, scratch};
use crate::tape::lanes;
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample};
use crate::tape::sums::{LEAF_ROWS, Tree};

/// What follows the affine map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// x/(1 + e^-x).
    Silu,
    /// tanh x.
    Tanh,
}

/// y = activation(x w + b): x `[n, i]`, w `[i, o]`, b `[o]`, y `[n, o]`. The forward pass keeps the derivative of the activation, so that
/// the backward pass is dz = dy y'(z) and db = sum over rows of dz in one pass, then dx = dz w^T, dw = x^T dz.
#[derive(Clone, Copy)]
pub struct Linear {
    /// The activation.
    pub activation: Activation,
}

/// Rows whose product is still in the cache when bias and activation pass over it.
const BAND: usize = 64;
/// Rows of the backward pass: their dz is still in the second-level cache for both products. Whole leaves of the sum over rows,
/// a power of two of them, so that the sums of the bands add up to the tree over all rows; the terms of a block of a product.
const BACK: usize = 4 * LEAF_ROWS;

/// y = activation(x w + b) for as many rows as `y` has; `kept`, if not empty, gets the derivative of the activation. The one
/// kernel of tape and inference: equal bits.
pub fn linear_rows<R: Real>(activation: Activation, x: &[R], w: Packed<'_, R>, i: usize, b: &[R], y: &mut [R], kept: &mut [R]) {
    let o = w.columns();
    let mut kept = kept;
    for (band, y) in y.chunks_mut((BAND * o).max(1)).enumerate() {
        multiply(&x[band * BAND * i..], w, y, false);
        let here = kept.len().min(y.len());
        let (now, later) = kept.split_at_mut(here);
        dispatch(Activate { activation, b, y, kept: now });
        kept = later;
    }
}

struct Activate<'a, R> {
    activation: Activation,
    b: &'a [R],
    y: &'a mut [R],
    kept: &'a mut [R],
}

impl<R: Real> Kernel for Activate<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Activate { activation, b, y, kept } = self;
        match activation {
            Activation::Identity => y.chunks_exact_mut(b.len().max(1)).for_each(|y| y.iter_mut().zip(b).for_each(|(y, b)| *y += *b)),
            Activation::Silu => activate(b, y, kept, |z| lanes::silu::<R, FMA>(z)),
            Activation::Tanh => activate(b, y, kept, |z| lanes::tanh::<R, FMA>(z)),
        }
    }
}

#[inline(always)]
fn activate<R: Real>(b: &[R], y: &mut [R], kept: &mut [R], f: impl Fn(R) -> (R, R)) {
    let n = b.len().max(1);
    if kept.is_empty() {
        for y in y.chunks_exact_mut(n) {
            for (y, b) in y.iter_mut().zip(b) {
                *y = f(*y + *b).0;
            }
        }
    } else {
        for (y, kept) in y.chunks_exact_mut(n).zip(kept.chunks_exact_mut(n)) {
            for ((y, kept), b) in y.iter_mut().zip(kept).zip(b) {
                (*y, *kept) = f(*y + *b);
            }
        }
    }
}

/// dz = dy kept, in place, and its sum over rows: a tree of leaves of `leaf` rows.
struct PullBack<'a, R> {
    dy: &'a mut [R],
    /// The derivative of the activation; empty where it is 1.
    kept: &'a [R],
    leaf: usize,
    /// As long as a row, which is not empty.
    sum: &'a mut [R],
    /// Whether the sum is added to what is there.
    add: bool,
}

impl<R: Real> Kernel for PullBack<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let n = self.sum.len();
        let mut j = 0;
        while j + 4 * W <= n {
            self.columns::<{ 4 * W }>(j, 4 * W);
            j += 4 * W;
        }
        while j + W <= n {
            self.columns::<W>(j, W);
            j += W;
        }
        if j < n {
            self.columns::<W>(j, n - j);
        }
    }
}

/// db += sum over rows of dy, whose rows are as long as `db`.
pub fn add_row_sums<R: Real>(dy: &mut [R], db: &mut [R]) {
    let n = db.len();
    if n > 0 {
        dispatch(PullBack { dy, kept: &[], leaf: LEAF_ROWS, sum: db, add: true });
    }
}

impl<R: Real> PullBack<'_, R> {
    /// Columns j..j + width, width <= N.
    #[inline(always)]
    fn columns<const N: usize>(&mut self, j: usize, width: usize) {
        let n = self.sum.len();
        let mut tree = Tree::<R, N>::new();
        for (leaf, rows) in self.dy.chunks_mut(self.leaf * n).enumerate() {
            let mut sum = [R::zero(); N];
            let kept = if self.kept.is_empty() { self.kept } else { &self.kept[leaf * self.leaf * n..][..rows.len()] };
            for (r, row) in rows.chunks_exact_mut(n).enumerate() {
                let row = &mut row[j..][..width];
                if !kept.is_empty() {
                    row.iter_mut().zip(&kept[r * n + j..][..width]).for_each(|(dy, k)| *dy *= *k);
                }
                sum[..width].iter_mut().zip(row.iter()).for_each(|(s, dy)| *s += *dy);
            }
            tree.push(sum);
        }
        for (sum, total) in self.sum[j..][..width].iter_mut().zip(tree.total()) {
            *sum = if self.add { *sum + total } else { total };
        }
    }
}

impl<R: Real> Op<R> for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }
    fn label(&self) -> String {
        match self.activation {
            Activation::Identity => "linear".to_string(),
            Activation::Silu => "linear silu".to_string(),
            Activation::Tanh => "linear tanh".to_string(),
        }
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match x {
            [[n, i], [wi, o], [bo]] if i == wi && o == bo => Ok(vec![*n, *o]),
            _ => Err("x [n, i], w [i, o], b [o]".to_string()),
        }
    }
    fn kept(&self, x: &[&[usize]]) -> usize {
        match (self.activation, x) {
            (Activation::Identity, _) => 0,
            (_, [[n, _], [_, o], _]) => n.saturating_mul(*o),
            _ => 0,
        }
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        let [[n, i], [_, o], _] = x else { return 0 };
        let sums = (n.div_ceil(BACK) + 1).saturating_mul(*o);
        let backward = sums.saturating_add(packed_len::<R>(*o, *i)).saturating_add(scratch::<R>(true, BACK.min(*n), *o));
        packed_len::<R>(*i, *o).max(backward)
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn with_activation(&self, activation: Activation) -> Option<Box<dyn Op<R>>> {
        (self.activation == Activation::Identity).then(|| Box::new(Linear { activation }) as Box<dyn Op<R>>)
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        let elements = y.iter().product::<usize>() as u64;
        // The bias, then sigmoid or tanh with its derivative.
        let each = if self.activation == Activation::Identity { 1 } else { 9 };
        elements * (2 * x[0][1] as u64 + each)
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let (i, o) = (x.shape(1)[0], x.shape(1)[1]);
        let w = pack(Matrix::new(x.value(1), i, o), &mut out.scratch[..packed_len::<R>(i, o)]);
        linear_rows(self.activation, x.value(0), w, i, x.value(2), out.y, out.kept);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let (n, i, o) = (x.shape(0)[0], x.shape(1)[0], x.shape(1)[1]);
        let (sums, rest) = at.scratch.split_at_mut(n.div_ceil(BACK) * o);
        let (total, rest) = rest.split_at_mut(o);
        let (panels, tmp) = rest.split_at_mut(packed_len::<R>(o, i));
        let wt = pack(Matrix::new(x.value(1), i, o).t(), panels);
        // Whether the adjoints of x and w have to be overwritten: the first band is told.
        let (mut fresh_x, mut fresh_w) = (false, false);
        for (band, from) in (0..n).step_by(BACK).enumerate() {
            let rows = BACK.min(n - from);
            let dz = &mut at.dy[from * o..][..rows * o];
            if o > 0 {
                let kept = if at.kept.is_empty() { at.kept } else { &at.kept[from * o..][..rows * o] };
                dispatch(PullBack { dy: &mut *dz, kept, leaf: LEAF_ROWS, sum: &mut sums[band * o..][..o], add: false });
            }
            // dw before dx: if x and w are one variable the fresh one is overwritten as a whole.
            if let Some((dw, fresh)) = dx.slot(1) {
                fresh_w |= fresh;
                let x = Matrix::new(&x.value(0)[from * i..][..rows * i], rows, i);
                gemm(x.t(), Matrix::new(dz, rows, o), dw, band > 0 || !fresh_w, tmp);
            }
            if let Some((dx, fresh)) = dx.slot(0) {
                fresh_x |= fresh;
                multiply(dz, wt, &mut dx[from * i..][..rows * i], !fresh_x);
            }
        }
        if n == 0 {
            // No rows: zeros, if nobody has written them.
            dx.add_to(1);
        }
        if o > 0
            && let Some(db) = dx.add_to(2)
        {
            dispatch(PullBack { dy: sums, kept: &[], leaf: 1, sum: &mut *total, add: false });
            db.iter_mut().zip(total).for_each(|(db, s)| *db += *s);
        }
    }
}

impl Checked for Linear {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let mut all = vec![];
        for activation in [Activation::Identity, Activation::Silu, Activation::Tanh] {
            for (n, i, o) in [(3, 5, 2), (1, 1, 1), (7, 2, 17), (300, 1, 3), (2, 3, 67), (0, 3, 2), (2, 0, 3)] {
                all.push((Linear { activation }, vec![Sample::normal(&[n, i], 1), Sample::normal(&[i, o], 2), Sample::normal(&[o], 3)]));
            }
            // z up to +-800, but no derivative so steep that the check's difference quotient could not follow.
            let x = Sample { shape: vec![3, 1], values: vec![8.0, -8.0, 1.0] };
            let w = Sample { shape: vec![1, 3], values: vec![100.0, -3.0, 0.1] };
            all.push((Linear { activation }, vec![x, w, Sample::normal(&[3], 3)]));
        }
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let op = Linear { activation: Activation::Silu };
        vec![
            (op, vec![vec![2, 3], vec![4, 5], vec![5]], "w [i, o]"),
            (op, vec![vec![2, 3], vec![3, 5], vec![4]], "b [o]"),
            (op, vec![vec![2], vec![3, 5], vec![5]], "x [n, i]"),
            (op, vec![vec![2, 3], vec![3, 5]], "x [n, i]"),
        ]
    }
}
