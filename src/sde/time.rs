//! Times inside hot loops: one for all paths of a block, or one for each.

use crate::Real;
use crate::simd::W;

/// The time of [`W`] paths: the same for all on a fixed grid, each path's own where steps adapt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Time {
    /// One time.
    Common(f64),
    /// A time for each path.
    Lanes([f64; W]),
}

impl Time {
    /// f(t) of every path; computed once where they share the time.
    #[inline(always)]
    pub fn lanes<R: Real>(&self, f: impl Fn(f64) -> f64) -> [R; W] {
        match self {
            Time::Common(t) => [R::of(f(*t)); W],
            Time::Lanes(t) => {
                let mut out = [R::zero(); W];
                for i in 0..W {
                    out[i] = R::of(f(t[i]));
                }
                out
            }
        }
    }

    /// The time of path `i`.
    pub fn of(&self, i: usize) -> f64 {
        match self {
            Time::Common(t) => *t,
            Time::Lanes(t) => t[i],
        }
    }
}

/// A step from `from` to `to`. Stages lie at t + c h, 0 <= c <= 1, and are never outside of it: the ends are
/// the given numbers, not sums.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    from: Time,
    to: Time,
}

impl Step {
    /// The step of all paths from `from` to `to`.
    #[inline(always)]
    pub fn common(from: f64, to: f64) -> Self {
        Step { from: Time::Common(from), to: Time::Common(to) }
    }

    /// Each path's own step.
    #[inline(always)]
    pub fn lanes(from: [f64; W], to: [f64; W]) -> Self {
        Step { from: Time::Lanes(from), to: Time::Lanes(to) }
    }

    /// Where it starts, t.
    #[inline(always)]
    pub fn start(&self) -> &Time {
        &self.from
    }

    /// Where it ends, t + h.
    #[inline(always)]
    pub fn end(&self) -> &Time {
        &self.to
    }

    /// f(h) of every path.
    #[inline(always)]
    pub fn size<R: Real>(&self, f: impl Fn(f64) -> f64) -> [R; W] {
        self.both(|_, h| f(h))
    }

    /// f(t, h) of every path.
    #[inline(always)]
    pub fn both<R: Real>(&self, f: impl Fn(f64, f64) -> f64) -> [R; W] {
        match (&self.from, &self.to) {
            (Time::Common(a), Time::Common(b)) => [R::of(f(*a, b - a)); W],
            (from, to) => {
                let mut out = [R::zero(); W];
                for (i, o) in out.iter_mut().enumerate() {
                    *o = R::of(f(from.of(i), to.of(i) - from.of(i)));
                }
                out
            }
        }
    }

    /// t + c h.
    #[inline(always)]
    pub fn at(&self, c: f64) -> Time {
        if c == 0.0 {
            return self.from;
        }
        if c == 1.0 {
            return self.to;
        }
        match (&self.from, &self.to) {
            (Time::Common(a), Time::Common(b)) => Time::Common(between(*a, *b, c)),
            (from, to) => {
                let mut out = [0.0; W];
                for (i, o) in out.iter_mut().enumerate() {
                    *o = between(from.of(i), to.of(i), c);
                }
                Time::Lanes(out)
            }
        }
    }
}

/// a + c (b - a), rounded to no more than b.
#[inline(always)]
fn between(a: f64, b: f64, c: f64) -> f64 {
    (a + c * (b - a)).min(b)
}
