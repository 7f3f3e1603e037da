//! Recording: leaves and operations, one method each.

use super::fuse::fuse;
use super::op::{MAX_RANK, Op, Reads};
use super::ops::{
    Abs, Activation, Add, AveragePool, Axes, BroadcastTo, Clamp, Concat, Conv2d, ConvTranspose2d, Cos, CrossEntropy, Div, Erf, Exp, Gather,
    Gelu, GeluTanh, GroupNorm, LayerNorm, Linear, Log, LogSoftmax, Map, MatMul, Max, Min, Mul, Neg, Outer, Pad, Permute, Pow, Reduce, Relu,
    Reshape, RowDot, RowNorm, Scale, Shift, Sigmoid, Silu, Sin, Slice, SoftCrossEntropy, Softmax, Softplus, Sqrt, Square, Statistic, Stop,
    Sub, Tanh, UpsampleNearest, Zip,
};
use super::plan::{Memory, plan};
use super::program::{Inner, Node, Program};
use super::{Parameter, Var};
use crate::{Error, Real, Result};
use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Records a program once: leaves by name, operations by method. Every error names the operation, the shapes and the place in
/// the caller's source.
pub struct Recorder<R> {
    inner: Inner<R>,
}

impl<R: Real> Default for Recorder<R> {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident($($x:ident),+ $(; $a:ident: $t:ty)?) = $op:expr;)*) => {
        $($(#[$doc])*
        ///
        /// # Errors
        /// If the shapes do not fit, or a variable is another recorder's.
        #[track_caller]
        pub fn $name(&mut self, $($x: Var),+ $(, $a: $t)?) -> Result<Var> {
            self.apply($op, &[$($x),+])
        })*
    };
}

impl<R: Real> Recorder<R> {
    /// An empty recording.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let tape = NEXT.fetch_add(1, Ordering::Relaxed);
        let inner = Inner { tape, nodes: vec![], parameters: vec![], parameter_count: 0, memory: Memory::default() };
        Recorder { inner }
    }

    /// A tensor that is filled before every forward pass. Its adjoint is not computed.
    ///
    /// # Errors
    /// If the name is taken or the shape has more than four axes or too many elements.
    #[track_caller]
    pub fn input(&mut self, name: &str, shape: &[usize]) -> Result<Var> {
        self.leaf(name, shape, false, false)
    }

    /// An input whose adjoint every backward pass computes.
    ///
    /// # Errors
    /// As [`Self::input`].
    #[track_caller]
    pub fn input_with_gradient(&mut self, name: &str, shape: &[usize]) -> Result<Var> {
        self.leaf(name, shape, false, true)
    }

    /// A tensor that lies in the flat vector of parameters, behind those recorded before it.
    ///
    /// # Errors
    /// As [`Self::input`].
    #[track_caller]
    pub fn parameter(&mut self, name: &str, shape: &[usize]) -> Result<Var> {
        self.leaf(name, shape, true, true)
    }

    #[track_caller]
    fn leaf(&mut self, name: &str, shape: &[usize], parameter: bool, needs_gradient: bool) -> Result<Var> {
        let location = Location::caller();
        let place = || format!("{name}, recorded at {}:{}", location.file(), location.line());
        if self.inner.nodes.iter().any(|n| n.op.is_none() && n.name == name) {
            return Err(Error::refused(place(), "the name is taken"));
        }
        let n = count::<R>(shape).map_err(|expected| Error::shape(place(), expected, &[shape]))?;
        let parameter = if parameter {
            let at = take(&mut self.inner.parameter_count, n).map_err(|e| Error::shape(place(), e, &[shape]))?;
            self.inner.parameters.push(Parameter { name: name.to_string(), shape: shape.to_vec(), offset: at.start });
            Some(at)
        } else {
            None
        };
        let node = Node {
            op: None,
            fused: None,
            lasting: true,
            name: name.to_string(),
            inputs: vec![],
            shape: shape.to_vec(),
            value: 0..0,
            adjoint: 0..0,
            kept: 0..0,
            parameter,
            needs_gradient,
            location,
        };
        self.push(node, n, 0).map_err(|e| Error::shape(place(), e, &[shape]))
    }

    /// Records any operation: what all the methods below call.
    ///
    /// # Errors
    /// If the shapes do not fit, or a variable is another recorder's.
    #[track_caller]
    pub fn apply<O: Op<R>>(&mut self, op: O, inputs: &[Var]) -> Result<Var> {
        self.apply_boxed(Box::new(op), inputs)
    }

    #[track_caller]
    pub(super) fn apply_boxed(&mut self, op: Box<dyn Op<R>>, inputs: &[Var]) -> Result<Var> {
        let location = Location::caller();
        let place = format!("{}, recorded at {}:{}", op.name(), location.file(), location.line());
        let inputs = inputs.iter().map(|v| self.inner.index(&place, *v)).collect::<Result<Vec<usize>>>()?;
        let shapes: Vec<&[usize]> = inputs.iter().map(|i| self.inner.nodes[*i].shape.as_slice()).collect();
        let refuse = |expected: String| Error::shape(place.clone(), expected, &shapes);
        let shape = op.shape(&shapes).map_err(refuse)?;
        let n = count::<R>(&shape).map_err(refuse)?;
        let kept = op.kept(&shapes);
        let needs_gradient = inputs.iter().any(|i| self.inner.nodes[*i].needs_gradient);
        let (name, parameter, at) = (op.label(), None, 0..0);
        let node = Node {
            op: Some(op),
            fused: None,
            lasting: false,
            name,
            inputs,
            shape,
            value: at.clone(),
            adjoint: at.clone(),
            kept: at,
            parameter,
            needs_gradient,
            location,
        };
        self.push(node, n, kept).map_err(|e| Error::shape(place, e, &[]))
    }

    fn push(&mut self, node: Node<R>, n: usize, kept: usize) -> std::result::Result<Var, String> {
        let own = if node.parameter.is_some() { 0 } else { n };
        let adjoint = if node.needs_gradient { own } else { 0 };
        let total =
            [own, adjoint, kept].iter().try_fold(self.inner.memory.unshared, |sum, n| sum.checked_add(n.checked_next_multiple_of(64)?));
        self.inner.memory.unshared = total.ok_or("a program that fits into memory")?;
        self.inner.nodes.push(node);
        Ok(Var { tape: self.inner.tape, index: self.inner.nodes.len() - 1 })
    }

    /// Lets an intermediate keep its value after a replay, so that it can be [read](super::Workspace::value), and be by itself:
    /// it is not fused into another operation.
    ///
    /// # Errors
    /// If it is another recorder's.
    pub fn keep(&mut self, var: Var) -> Result<()> {
        let index = self.inner.index("keep", var)?;
        self.inner.nodes[index].lasting = true;
        Ok(())
    }

    /// The shape of a variable.
    ///
    /// # Errors
    /// If it is another recorder's.
    pub fn shape(&self, var: Var) -> Result<&[usize]> {
        Ok(&self.inner.nodes[self.inner.index("shape", var)?].shape)
    }

    /// Ends the recording: fuses operations and gives every buffer its place. What nothing on the tape reads is a result.
    pub fn finish(mut self) -> Program<R> {
        self.mark_results();
        self.inner.memory.unshared = self.plan(false);
        fuse(&mut self.inner.nodes);
        self.plan(true);
        Program { inner: Arc::new(self.inner) }
    }

    /// Ends the recording without fusion and with a buffer for every node: every value can be read after a replay. To look at
    /// a program node by node, and to test what [`Self::finish`] makes of it.
    pub fn finish_plain(mut self) -> Program<R> {
        self.inner.nodes.iter_mut().for_each(|node| node.lasting = true);
        self.inner.memory.unshared = self.plan(false);
        Program { inner: Arc::new(self.inner) }
    }

    fn mark_results(&mut self) {
        let mut read = vec![false; self.inner.nodes.len()];
        self.inner.nodes.iter().flat_map(|node| &node.inputs).for_each(|i| read[*i] = true);
        for (node, read) in self.inner.nodes.iter_mut().zip(read) {
            node.lasting |= !read;
        }
    }

    /// Places all buffers; returns how many numbers they take in all.
    fn plan(&mut self, shared: bool) -> usize {
        let Inner { nodes, memory, .. } = &mut self.inner;
        let (mut reads, mut kept, mut scratch) = (vec![], vec![], 0);
        for node in nodes.iter() {
            let shapes: Vec<&[usize]> = node.inputs.iter().map(|i| nodes[*i].shape.as_slice()).collect();
            reads.push(node.op.as_ref().map_or(Reads::Nothing, |op| op.reads()));
            kept.push(node.op.as_ref().map_or(0, |op| op.kept(&shapes)));
            scratch = scratch.max(node.op.as_ref().map_or(0, |op| op.scratch(&shapes)));
        }
        plan(nodes, &reads, scratch, &kept, shared, memory);
        memory.total()
    }

    methods! {
        /// a + b, with broadcasting (trailing axes aligned, sizes equal or 1).
        add(a, b) = Zip(Add);
        /// a - b, with broadcasting.
        sub(a, b) = Zip(Sub);
        /// a b, element by element, with broadcasting.
        mul(a, b) = Zip(Mul);
        /// a / b, element by element, with broadcasting.
        div(a, b) = Zip(Div);
        /// The larger of a and b, with broadcasting; NaN if one is. Where they are equal each gets half of the adjoint.
        max(a, b) = Zip(Max);
        /// The smaller of a and b, with broadcasting; NaN if one is. Where they are equal each gets half of the adjoint.
        min(a, b) = Zip(Min);
        /// -x.
        neg(x) = Map(Neg);
        /// c x for a constant c.
        scale(x; c: f64) = Map(Scale(c));
        /// x + c for a constant c.
        shift(x; c: f64) = Map(Shift(c));
        /// x^2.
        square(x) = Map(Square);
        /// The square root.
        sqrt(x) = Map(Sqrt);
        /// e^x.
        exp(x) = Map(Exp);
        /// The natural logarithm.
        log(x) = Map(Log);
        /// Sine.
        sin(x) = Map(Sin);
        /// Cosine.
        cos(x) = Map(Cos);
        /// Hyperbolic tangent.
        tanh(x) = Map(Tanh);
        /// 1/(1 + e^-x).
        sigmoid(x) = Map(Sigmoid);
        /// x/(1 + e^-x).
        silu(x) = Map(Silu);
        /// ln(1 + e^x).
        softplus(x) = Map(Softplus);
        /// x^c for a constant c: x > 0, x = 0 (by the limit), and x < 0 for integer c; NaN elsewhere.
        pow(x; c: f64) = Map(Pow(c));
        /// |x|; the derivative at 0 is 0.
        abs(x) = Map(Abs);
        /// Its numbers brought into `[range.0, range.1]`; the derivative is 1 there, ends included, and 0 outside.
        clamp(x; range: (f64, f64)) = Map(Clamp { lo: range.0, hi: range.1 });
        /// The error function.
        erf(x) = Map(Erf);
        /// max(x, 0); the derivative at 0 is 0.
        relu(x) = Map(Relu);
        /// x Phi(x), Phi the standard normal law's distribution function.
        gelu(x) = Map(Gelu);
        /// x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))/2, an approximation of [`Self::gelu`].
        gelu_tanh(x) = Map(GeluTanh);
        /// Sum of all elements; the result has no axes.
        sum(x) = Reduce::over(Statistic::Sum, Axes::All);
        /// Mean of all elements; the result has no axes.
        mean(x) = Reduce::over(Statistic::Mean, Axes::All);
        /// Sum over the last axis, which disappears.
        sum_last(x) = Reduce::over(Statistic::Sum, Axes::Last);
        /// Mean over the last axis, which disappears.
        mean_last(x) = Reduce::over(Statistic::Mean, Axes::Last);
        /// e^x_j/sum_k e^x_k over the last axis: `[.., n]` -> `[.., n]`. A row that is -infinity throughout gives zeros.
        softmax(x) = Softmax;
        /// x_j - ln sum_k e^x_k over the last axis: `[.., n]` -> `[.., n]`.
        log_softmax(x) = LogSoftmax;
        /// ln sum_k e^z_k - z_c per row: logits z `[.., k]`, numbers c of the right classes `[..]` -> `[..]`. A label is a whole
        /// number in 0..k, as a number of the tape; any other gives NaN and adds nothing to the logits' gradient.
        cross_entropy(logits, labels) = CrossEntropy;
        /// -sum_j t_j (z_j - ln sum_k e^z_k) per row: logits z `[.., k]`, weights t `[.., k]` -> `[..]`.
        soft_cross_entropy(logits, weights) = SoftCrossEntropy;
        /// Matrix product of `[.., m, k]` and `[.., k, n]`; the leading axes, a batch, broadcast (sizes equal or 1).
        matmul(a, b) = MatMul { transpose_a: false, transpose_b: false };
        /// Matrix product whose operands are read transposed where the flags say so (no copy): a is `[.., k, m]`, b is
        /// `[.., n, k]` then.
        matmul_transposed(a, b; transpose: (bool, bool)) = MatMul { transpose_a: transpose.0, transpose_b: transpose.1 };
        /// activation(x w + b) in one pass: x `[n, i]`, w `[i, o]`, b `[o]` -> `[n, o]`.
        linear(x, w, b; activation: Activation) = Linear { activation };
        /// Scalar product of every row (last axis) of a with that of b: equal shapes [.., m] -> [..].
        row_dot(a, b) = RowDot;
        /// Products a_i b_j of every row (last axis) of a with that of b: `[.., m]`, `[.., n]` -> `[.., m, n]`.
        outer(a, b) = Outer;
        /// Euclidean norm of every row (last axis): `[.., m]` -> `[..]`. Its gradient at a zero row is 0.
        row_norm(x) = RowNorm;
        /// Entries `range` of the first axis.
        rows(x; range: Range<usize>) = Slice { axis: 0, start: range.start, end: range.end };
        /// Convolution of x `[n, h, w, c_in]` with weights `[kh, kw, c_in/groups, c_out]`; see [`Conv2d`].
        conv2d(x, weight; conv: Conv2d) = conv;
        /// As [`Self::conv2d`], plus the bias `[c_out]`.
        conv2d_bias(x, weight, bias; conv: Conv2d) = conv;
        /// The adjoint of the convolution's map: x `[n, h, w, c_in]`, weights `[kh, kw, c_out/groups, c_in]`; see
        /// [`ConvTranspose2d`].
        conv_transpose2d(x, weight; conv: ConvTranspose2d) = conv;
        /// As [`Self::conv_transpose2d`], plus the bias `[c_out]`.
        conv_transpose2d_bias(x, weight, bias; conv: ConvTranspose2d) = conv;
        /// Means over windows of x `[n, h, w, c]`; see [`AveragePool`].
        average_pool2d(x; pool: AveragePool) = pool;
        /// Every pixel of x `[n, h, w, c]` repeated `factor[0]` times downwards and `factor[1]` times to the right.
        upsample_nearest2d(x; factor: [usize; 2]) = UpsampleNearest { factor };
        /// Zeros around x: per axis, how many before and how many behind.
        pad(x; border: &[(usize, usize)]) = Pad { border: border.to_vec() };
        /// The same numbers, in their row-major order, in another shape with as many elements.
        reshape(x; shape: &[usize]) = Reshape { shape: shape.to_vec() };
        /// Another order of the axes: axis i of the result is axis `order[i]` of x.
        permute(x; order: &[usize]) = Permute { order: order.to_vec() };
        /// Axes of size 1, and leading axes that are missing, repeated up to `shape`.
        broadcast_to(x; shape: &[usize]) = BroadcastTo { shape: shape.to_vec() };
        /// Rows of a table `[v, ..]` by number: indices `[..]` -> `[.., ..]`. The indices are whole numbers in 0..v, as numbers of
        /// the tape; any other gives a row of NaN and adds nothing to the table's gradient.
        gather(table, indices) = Gather;
    }

    /// The last two axes exchanged: `[.., m, n]` -> `[.., n, m]`.
    ///
    /// # Errors
    /// If x has fewer than two axes, or is another recorder's.
    #[track_caller]
    pub fn transpose(&mut self, x: Var) -> Result<Var> {
        let rank = self.shape(x)?.len().max(2);
        let order: Vec<usize> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
        self.apply(Permute { order }, &[x])
    }

    /// activation(gamma (x - m)/sqrt(v + epsilon) + beta) in one pass, m and v the mean and variance of each sample's `groups` equal
    /// bands of channels: x `[n, .., c]`, gamma `[c]`, beta `[c]` -> `[n, .., c]`.
    ///
    /// # Errors
    /// If the shapes do not fit, `groups` do not divide c, `epsilon` is not positive and finite, or a variable is another recorder's.
    #[track_caller]
    pub fn group_norm(&mut self, x: Var, gamma: Var, beta: Var, groups: usize, epsilon: f64, activation: Activation) -> Result<Var> {
        self.apply(GroupNorm { groups, epsilon, activation }, &[x, gamma, beta])
    }

    /// The same with m and v those of each row: x `[.., c]`, gamma `[c]`, beta `[c]` -> `[.., c]`.
    ///
    /// # Errors
    /// If the shapes do not fit, `epsilon` is not positive and finite, or a variable is another recorder's.
    #[track_caller]
    pub fn layer_norm(&mut self, x: Var, gamma: Var, beta: Var, epsilon: f64, activation: Activation) -> Result<Var> {
        self.apply(LayerNorm { epsilon, activation }, &[x, gamma, beta])
    }

    /// x, with the adjoint stopped: what lies behind it gets no gradient through it, and a seed cannot sit on it. (Replayed in
    /// [dual numbers](crate::real::Dual), the value's tangent passes: H v is the derivative of the gradient that is computed.)
    ///
    /// # Errors
    /// If the variable is another recorder's.
    #[track_caller]
    pub fn stop_gradient(&mut self, x: Var) -> Result<Var> {
        let y = self.apply(Stop, &[x])?;
        self.inner.nodes[y.index].needs_gradient = false;
        Ok(y)
    }

    /// The inputs side by side on the last axis.
    ///
    /// # Errors
    /// If the other axes differ, or a variable is another recorder's.
    #[track_caller]
    pub fn concat(&mut self, parts: &[Var]) -> Result<Var> {
        self.apply(Concat { axis: None }, parts)
    }

    /// The inputs side by side on one axis.
    ///
    /// # Errors
    /// If the other axes differ, or a variable is another recorder's.
    #[track_caller]
    pub fn concat_axis(&mut self, axis: usize, parts: &[Var]) -> Result<Var> {
        self.apply(Concat { axis: Some(axis) }, parts)
    }

    /// Entries `range` of one axis.
    ///
    /// # Errors
    /// If the axis does not hold them, or x is another recorder's.
    #[track_caller]
    pub fn slice(&mut self, x: Var, axis: usize, range: Range<usize>) -> Result<Var> {
        self.apply(Slice { axis, start: range.start, end: range.end }, &[x])
    }

    /// Cuts x on one axis into parts of the given sizes: the inverse of [`Self::concat_axis`].
    ///
    /// # Errors
    /// If the sizes do not sum to the axis's, or x is another recorder's.
    #[track_caller]
    pub fn split(&mut self, x: Var, axis: usize, sizes: &[usize]) -> Result<Vec<Var>> {
        let shape = self.shape(x)?;
        let total = sizes.iter().try_fold(0usize, |n, s| n.checked_add(*s));
        if total.is_none() || shape.get(axis).copied() != total {
            let location = Location::caller();
            let place = format!("split, recorded at {}:{}", location.file(), location.line());
            return Err(Error::shape(place, format!("an axis {axis} whose size is the sum of {sizes:?}"), &[shape]));
        }
        let mut parts = vec![];
        let mut start = 0;
        for size in sizes {
            parts.push(self.apply(Slice { axis, start, end: start + size }, &[x])?);
            start += size;
        }
        Ok(parts)
    }
}

/// Elements of a shape, or the rule that it breaks.
fn count<R: Real>(shape: &[usize]) -> std::result::Result<usize, String> {
    if shape.len() > MAX_RANK {
        return Err(format!("at most {MAX_RANK} axes"));
    }
    let n = shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
    n.filter(|n| *n <= isize::MAX as usize / R::BYTES).ok_or_else(|| "a tensor that fits into memory".to_string())
}

/// Takes `n` numbers from the end of a buffer that is `len` long so far.
fn take(len: &mut usize, n: usize) -> std::result::Result<Range<usize>, String> {
    let end = len.checked_add(n).ok_or_else(|| "a program that fits into memory".to_string())?;
    Ok(std::mem::replace(len, end)..end)
}
