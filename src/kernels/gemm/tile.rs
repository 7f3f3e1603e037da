//! Blocks of results that stay in registers while the terms of their sums run through.

use crate::Real;
use crate::simd::{Level, at_most};

/// Rows and columns of the block of C that is held in registers, for results with `n` columns: two registers
/// wide, one where that is enough.
pub fn tile<R: Real>(level: Level, n: usize) -> (usize, usize) {
    let rows = match at_most(level) {
        Level::Avx512 if R::VECTORS => 8,
        Level::Avx2 if R::VECTORS => 6,
        _ => 4,
    };
    let lanes = lanes(rows, R::BYTES);
    (rows, if n <= lanes { lanes } else { 2 * lanes })
}

/// Numbers of a register of the level that has `rows` rows. Those as long as a register, or longer, go two by
/// two all the same.
const fn lanes(rows: usize, bytes: usize) -> usize {
    let register = match rows {
        8 => 64,
        6 => 32,
        _ => 16,
    };
    if 2 * bytes < register { register / bytes } else { 2 }
}

/// The level of blocks of `rows` rows: no other needs them.
pub const fn level_of(rows: usize) -> [Level; 2] {
    match rows {
        8 | 12 => [Level::Avx512; 2],
        6 => [Level::Avx2; 2],
        _ => [Level::Baseline; 2],
    }
}

/// The levels of panels of `columns` numbers of `bytes` bytes: two registers, or one.
pub const fn levels_of(columns: usize, bytes: usize) -> [Level; 2] {
    match columns * bytes {
        128.. => [Level::Avx512; 2],
        64.. => [Level::Avx2, Level::Avx512],
        32.. => [Level::Baseline, Level::Avx2],
        _ => [Level::Baseline; 2],
    }
}

/// What is computed block by block.
pub trait Tiled<R: Real> {
    /// By blocks of MR rows and NR columns.
    fn run<const MR: usize, const NR: usize>(self, level: Level);
}

/// Computes a result with `n` columns by the blocks that [`tile`] gives.
pub fn run<R: Real, T: Tiled<R>>(level: Level, n: usize, t: T) {
    match tile::<R>(level, n) {
        (8, 32) => compiled::<R, T, 8, 32>(level, t),
        (8, 16) => compiled::<R, T, 8, 16>(level, t),
        (8, 8) => compiled::<R, T, 8, 8>(level, t),
        (8, 4) => compiled::<R, T, 8, 4>(level, t),
        (8, _) => compiled::<R, T, 8, 2>(level, t),
        (6, 16) => compiled::<R, T, 6, 16>(level, t),
        (6, 8) => compiled::<R, T, 6, 8>(level, t),
        (6, 4) => compiled::<R, T, 6, 4>(level, t),
        (6, _) => compiled::<R, T, 6, 2>(level, t),
        (_, 8) => compiled::<R, T, 4, 8>(level, t),
        (_, 4) => compiled::<R, T, 4, 4>(level, t),
        _ => compiled::<R, T, 4, 2>(level, t),
    }
}

/// Compiled only where the block is one for numbers of this size: half of the combinations.
fn compiled<R: Real, T: Tiled<R>, const MR: usize, const NR: usize>(level: Level, t: T) {
    if const { (R::VECTORS || MR == 4) && (NR == lanes(MR, R::BYTES) || NR == 2 * lanes(MR, R::BYTES)) } {
        t.run::<MR, NR>(level);
    }
}

/// c_ij += a_i b_j. The rows are written out: a loop over them the compiler sometimes takes for the one to
/// vectorise, with gathers, sixty times slower.
#[inline(always)]
pub fn add_product<R: Real, const MR: usize, const NR: usize, const FMA: bool>(a: impl Fn(usize) -> R, b: &[R; NR], c: &mut [[R; NR]; MR]) {
    macro_rules! row {
        ($($i:literal)+) => {
            $(if MR > $i {
                let x = a($i);
                for j in 0..NR {
                    c[$i][j] = x.fma::<FMA>(b[j], c[$i][j]);
                }
            })+
        };
    }
    row!(0 1 2 3 4 5 6 7 8 9 10 11);
}

/// The block in memory, for the edges of a result: what stays in registers can be indexed by constants only.
/// black_box hides from the compiler that it is a copy, which would undo it.
#[inline(always)]
pub fn spilled<R: Real, const MR: usize, const NR: usize>(block: [[R; NR]; MR], memory: &mut [[R; NR]; MR]) -> &[[R; NR]; MR] {
    for i in 0..MR {
        for j in 0..NR {
            memory[i][j] = block[i][j];
        }
    }
    std::hint::black_box(memory)
}
