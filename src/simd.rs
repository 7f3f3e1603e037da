//! Hot loops, compiled three times and chosen once at run time.
//!
//! A default build targets baseline x86-64 (four f32 lanes). A loop that matters is written as a [`Kernel`]:
//! a struct that holds its slices and a `run` that is plain Rust over arrays of [`W`] lanes, which the
//! compiler turns into vector code. [`dispatch`] runs the copy compiled for the best [`Level`] of this
//! machine; the environment variable `NDSM_SIMD` (`baseline`, `avx2`, `avx512`) forces a lower one. Results
//! are equal to the last bit within a level; between levels they differ in rounding, because only the upper
//! two fuse multiply and add.
//!
//! This is one of the few places with `unsafe` in the crate: calling a function compiled for more than the
//! baseline.

use crate::{Error, Real, Result};
use std::sync::OnceLock;

/// Lanes of a block: one 512-bit, two 256-bit or four 128-bit registers of f32.
pub const W: usize = 16;

/// What the processor offers, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Whatever the build targets: SSE2 on x86-64.
    Baseline,
    /// 256-bit vectors with fused multiply-add.
    Avx2,
    /// 512-bit vectors.
    Avx512,
}

impl Level {
    /// The name that `NDSM_SIMD` takes.
    pub fn name(self) -> &'static str {
        match self {
            Level::Baseline => "baseline",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }
}

/// The level all kernels of this process run at: the machine's best, or a lower one asked for by `NDSM_SIMD`.
pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let best = best();
        match std::env::var("NDSM_SIMD").as_deref() {
            Ok("baseline") => Level::Baseline,
            Ok("avx2") => best.min(Level::Avx2),
            _ => best,
        }
    })
}

/// Refuses a `NDSM_SIMD` that names no level: [`level`] takes the best then.
///
/// # Errors
/// `Invalid` with the names that there are.
pub fn check_environment() -> Result<()> {
    match std::env::var_os("NDSM_SIMD") {
        Some(name) if !["baseline", "avx2", "avx512"].iter().any(|level| name == *level) => {
            Err(Error::invalid("NDSM_SIMD", "baseline, avx2 or avx512", format!("\"{}\"", name.to_string_lossy())))
        }
        _ => Ok(()),
    }
}

fn best() -> Level {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw");
            return if wide { Level::Avx512 } else { Level::Avx2 };
        }
    }
    Level::Baseline
}

/// A loop to be compiled once per level. Mark `run`, and every helper it calls, `#[inline(always)]`: only
/// code inlined into the level's entry point is compiled for that level.
pub trait Kernel {
    /// Whether copies for wider vectors are worth compiling; a generic loop sets its numbers'
    /// [`crate::Real::VECTORS`].
    const VECTORS: bool = true;
    /// The lowest and the highest level that it is compiled for: a loop whose blocks fit the registers of one
    /// level is never asked for at another.
    const LEVELS: [Level; 2] = [Level::Baseline, Level::Avx512];
    /// What the loop returns.
    type Output;
    /// The loop. `FMA`: whether a fused multiply-add is one instruction here (see [`crate::Real::fma`]).
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// Runs `kernel` at this process's [`level`].
#[inline]
pub fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    dispatch_at(level(), kernel)
}

/// Runs `kernel` at `level`, or at the best level this machine has if that is lower. For tests of all levels.
#[inline]
pub fn dispatch_at<K: Kernel>(level: Level, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if const { K::VECTORS } {
        let level = at_most(level);
        if const { compiled_for::<K>(Level::Avx512) } && level == Level::Avx512 {
            // SAFETY: `at_most` says that the processor has every feature that `avx512` is compiled for.
            return unsafe { avx512(kernel) };
        }
        if const { compiled_for::<K>(Level::Avx2) } && level == Level::Avx2 {
            // SAFETY: `at_most` says that the processor has AVX2 and FMA.
            return unsafe { avx2(kernel) };
        }
    }
    let _ = level;
    if const { !K::VECTORS || compiled_for::<K>(Level::Baseline) } {
        return baseline(kernel);
    }
    unreachable!("a kernel for the levels {:?} was asked for at {level:?}", K::LEVELS)
}

/// Whether there is a copy of the kernel for `level`.
const fn compiled_for<K: Kernel>(level: Level) -> bool {
    K::LEVELS[0] as u8 <= level as u8 && level as u8 <= K::LEVELS[1] as u8
}

/// `level`, or the best level of this machine if that is lower.
pub fn at_most(level: Level) -> Level {
    #[cfg(target_arch = "x86_64")]
    return level.min(best_cached());
    #[cfg(not(target_arch = "x86_64"))]
    Level::Baseline
}

/// Runs a kernel from within another that was given `FMA`, as code of its own: for loops that many kernels
/// need and whose call is nothing beside their work. One copy of them serves all, where inlining would make
/// one for each kernel and level.
#[inline]
pub fn nested<const FMA: bool, K: Kernel>(kernel: K) -> K::Output {
    if FMA { dispatch(kernel) } else { baseline(kernel) }
}

/// Not inlined: one copy per kernel, not one per place that it is called from.
#[inline(never)]
fn baseline<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<false>()
}

#[cfg(target_arch = "x86_64")]
fn best_cached() -> Level {
    static BEST: OnceLock<Level> = OnceLock::new();
    *BEST.get_or_init(best)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
fn avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<true>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<true>()
}

/// Transposes up to [`W`] row-major points into lanes, `[d][W]`; lanes without a row repeat the first.
#[inline(always)]
pub fn load<R: Real>(rows: &[R], lanes: &mut [[R; W]]) {
    let d = lanes.len();
    for (lane, x) in lanes.iter_mut().zip(rows) {
        *lane = [*x; W];
    }
    for (i, row) in rows.chunks_exact(d).enumerate() {
        for (lane, x) in lanes.iter_mut().zip(row) {
            lane[i] = *x;
        }
    }
}

/// The inverse of [`load`], for as many rows as there is room for.
#[inline(always)]
pub fn store<R: Real>(lanes: &[[R; W]], rows: &mut [R]) {
    for (i, row) in rows.chunks_exact_mut(lanes.len()).enumerate() {
        for (x, lane) in row.iter_mut().zip(lanes) {
            *x = lane[i];
        }
    }
}

/// The sum of 16 lanes: 8 + 8, 4 + 4, 2 + 2, 1 + 1.
#[inline(always)]
pub fn sum<R: Real>(mut lanes: [R; W]) -> R {
    let mut half = W / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Exp<'a, R>(&'a [R], &'a mut [R]);
    impl<R: Real> Kernel for Exp<'_, R> {
        const VECTORS: bool = R::VECTORS;
        type Output = ();
        #[inline(always)]
        fn run<const FMA: bool>(self) {
            for (y, x) in self.1.iter_mut().zip(self.0) {
                *y = x.exp_lane::<FMA>();
            }
        }
    }

    fn check<R: Real>(ulp: f64) {
        let x: Vec<R> = (-7000..7000).map(|i| R::of(f64::from(i) * 0.0123)).collect();
        for level in [Level::Baseline, Level::Avx2, Level::Avx512] {
            let mut y = vec![R::zero(); x.len()];
            dispatch_at(level, Exp(&x, &mut y));
            for (x, y) in x.iter().zip(&y) {
                let exact = x.f64().exp();
                assert!((y.f64() - exact).abs() <= ulp * exact, "{} exp({x}) = {y}, not {exact}", level.name());
            }
        }
    }

    #[test]
    fn every_level_computes_the_same_function() {
        check::<f32>(1.5 * f64::from(f32::EPSILON));
        check::<f64>(2.0 * f64::EPSILON);
    }
}
