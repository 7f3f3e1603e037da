//! The axes of a tensor in another order.

use super::copy::copy_or_add;
use crate::Real;
use crate::simd::{Kernel, dispatch};

/// The largest number of axes.
pub const MAX_RANK: usize = 4;

/// One loop: its length, and the distance of neighbours in the source and in the target.
#[derive(Clone, Copy)]
struct Axis {
    size: usize,
    from: usize,
    to: usize,
}

impl Axis {
    const ONE: Axis = Axis { size: 1, from: 0, to: 0 };
}

/// A permutation as up to three outer loops around one or two inner ones.
struct Plan {
    outer: [Axis; 3],
    inner: Inner,
}

enum Inner {
    /// Numbers adjacent in source and target.
    Run(usize),
    /// Transposition: `rows` adjacent in the source, `cols` adjacent in the target.
    Transpose { rows: Axis, cols: Axis },
}

impl Plan {
    /// Of a tensor of shape `x`. Axes that stay neighbours become one.
    fn new(x: &[usize], order: &[usize]) -> Self {
        if x.contains(&0) {
            return Plan { outer: [Axis::ONE; 3], inner: Inner::Run(0) };
        }
        let mut strides = [1; MAX_RANK];
        for axis in (1..x.len()).rev() {
            strides[axis - 1] = strides[axis] * x[axis];
        }
        // The target's axes in order, from the last on.
        let (mut axes, mut used, mut to) = ([Axis::ONE; MAX_RANK], 0, 1);
        for axis in order.iter().rev().filter(|axis| x[**axis] != 1) {
            let (size, from) = (x[*axis], strides[*axis]);
            let last = axes[..used].last().copied();
            if let Some(last) = last.filter(|last| from == last.from * last.size) {
                axes[used - 1].size = last.size * size;
            } else {
                axes[used] = Axis { size, from, to };
                used += 1;
            }
            to *= size;
        }
        let axes = &axes[..used];
        let mut outer = [Axis::ONE; 3];
        let mut slots = outer.iter_mut().rev();
        let inner = match axes {
            [] => Inner::Run(1),
            [run, rest @ ..] if run.from == 1 => {
                rest.iter().zip(&mut slots).for_each(|(axis, slot)| *slot = *axis);
                Inner::Run(run.size)
            }
            [cols, rest @ ..] => {
                let mut rows = Axis::ONE;
                for axis in rest {
                    // The source's last axis of more than one entry is among them.
                    if axis.from == 1 { rows = *axis } else { slots.next().into_iter().for_each(|slot| *slot = *axis) }
                }
                Inner::Transpose { rows, cols: *cols }
            }
        };
        Plan { outer, inner }
    }
}

/// Rows and columns of the block that a transposition moves at once: each row of it is one line of the cache
/// (f32), so all lines are read and written whole, however far apart they lie.
const TILE: usize = 16;

/// Axis i of `to` is axis `order[i]` of `from`, a tensor of shape `x`; or added to what is there.
pub fn permute<R: Real>(x: &[usize], order: &[usize], from: &[R], to: &mut [R], add: bool) {
    dispatch(Move { plan: Plan::new(x, order), from, to, add });
}

struct Move<'a, R> {
    plan: Plan,
    from: &'a [R],
    to: &'a mut [R],
    add: bool,
}

impl<R: Real> Kernel for Move<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Move { plan: Plan { outer: [a, b, c], inner }, from, to, add } = self;
        for i in 0..a.size {
            for j in 0..b.size {
                for k in 0..c.size {
                    let from = &from[i * a.from + j * b.from + k * c.from..];
                    let to = &mut to[i * a.to + j * b.to + k * c.to..];
                    match inner {
                        Inner::Run(n) => copy_or_add(&from[..n], &mut to[..n], add),
                        Inner::Transpose { rows, cols } => transpose(from, to, rows, cols, add),
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn transpose<R: Real>(from: &[R], to: &mut [R], rows: Axis, cols: Axis, add: bool) {
    for i0 in (0..rows.size).step_by(TILE) {
        for j0 in (0..cols.size).step_by(TILE) {
            let (from, to) = (&from[i0 + j0 * cols.from..], &mut to[i0 * rows.to + j0..]);
            let (height, width) = (TILE.min(rows.size - i0), TILE.min(cols.size - j0));
            if (height, width) == (TILE, TILE) {
                let mut tile = [[R::zero(); TILE]; TILE];
                for j in 0..TILE {
                    tile[j].copy_from_slice(&from[j * cols.from..][..TILE]);
                }
                for i in 0..TILE {
                    let to = &mut to[i * rows.to..][..TILE];
                    for j in 0..TILE {
                        to[j] = if add { to[j] + tile[j][i] } else { tile[j][i] };
                    }
                }
            } else {
                for i in 0..height {
                    let to = &mut to[i * rows.to..][..width];
                    for j in 0..width {
                        let x = from[j * cols.from + i];
                        to[j] = if add { to[j] + x } else { x };
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every order of four axes, sizes around the tile's edge, against the definition.
    #[test]
    fn every_order_moves_every_element_to_its_place() {
        let mut orders = vec![];
        for code in 0..256usize {
            let order: Vec<usize> = (0..4).map(|i| (code >> (2 * i)) & 3).collect();
            if (0..4).all(|axis| order.contains(&axis)) {
                orders.push(order);
            }
        }
        assert_eq!(orders.len(), 24);
        for shape in [[2, 3, 17, 5], [1, 33, 2, 16], [16, 1, 1, 32], [3, 1, 5, 1], [18, 2, 3, 20]] {
            let n = shape.iter().product::<usize>();
            let x: Vec<f64> = (0..n).map(|i| i as f64).collect();
            let strides = [shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1];
            for order in &orders {
                for add in [false, true] {
                    let mut y = vec![0.5; n];
                    dispatch(Move { plan: Plan::new(&shape, order), from: &x, to: &mut y, add });
                    let mut at = 0;
                    let size = |i: usize| shape[order[i]];
                    for i in 0..size(0) {
                        for j in 0..size(1) {
                            for k in 0..size(2) {
                                for l in 0..size(3) {
                                    let from =
                                        i * strides[order[0]] + j * strides[order[1]] + k * strides[order[2]] + l * strides[order[3]];
                                    let want = x[from] + if add { 0.5 } else { 0.0 };
                                    assert_eq!(y[at], want, "{shape:?} {order:?} element {at}");
                                    at += 1;
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
