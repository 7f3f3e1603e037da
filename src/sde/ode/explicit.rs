//! Explicit Runge-Kutta methods as tables of exact coefficients.

use super::{Steps, Velocity, check, combine, not_finite};
use crate::sde::surd::Surd;
use crate::{Error, Real, Result};

/// x' = x + h sum_i b_i k_i, k_i = v(x + h sum_j a_ij k_j, t + c_i h).
#[derive(Debug, Clone, Copy)]
pub struct Explicit {
    name: &'static str,
    order: usize,
    pub(super) c: &'static [Surd],
    pub(super) a: &'static [&'static [Surd]],
    pub(super) b: &'static [Surd],
}

/// n / d.
pub(super) const fn q(n: i64, d: i64) -> Surd {
    Surd::new(n, d)
}

impl Explicit {
    /// Explicit Euler, order 1.
    pub const EULER: Explicit = Explicit { name: "euler", order: 1, c: &[q(0, 1)], a: &[&[]], b: &[q(1, 1)] };

    /// Heun's method, order 2.
    pub const HEUN: Explicit = Explicit { name: "heun", order: 2, c: &[q(0, 1), q(1, 1)], a: &[&[], &[q(1, 1)]], b: &[q(1, 2), q(1, 2)] };

    /// The classical method of Runge and Kutta, order 4.
    pub const RK4: Explicit = Explicit {
        name: "rk4",
        order: 4,
        c: &[q(0, 1), q(1, 2), q(1, 2), q(1, 1)],
        a: &[&[], &[q(1, 2)], &[q(0, 1), q(1, 2)], &[q(0, 1), q(0, 1), q(1, 1)]],
        b: &[q(1, 6), q(1, 3), q(1, 3), q(1, 6)],
    };

    /// The method of order 5 of Dormand and Prince (1980), RK5(4)7M. Its last stage lies at x'.
    pub(super) const DORMAND_PRINCE: Explicit = Explicit {
        name: "dormand-prince",
        order: 5,
        c: &[q(0, 1), q(1, 5), q(3, 10), q(4, 5), q(8, 9), q(1, 1), q(1, 1)],
        a: &[
            &[],
            &[q(1, 5)],
            &[q(3, 40), q(9, 40)],
            &[q(44, 45), q(-56, 15), q(32, 9)],
            &[q(19372, 6561), q(-25360, 2187), q(64448, 6561), q(-212, 729)],
            &[q(9017, 3168), q(-355, 33), q(46732, 5247), q(49, 176), q(-5103, 18656)],
            &[q(35, 384), q(0, 1), q(500, 1113), q(125, 192), q(-2187, 6784), q(11, 84)],
        ],
        b: &[q(35, 384), q(0, 1), q(500, 1113), q(125, 192), q(-2187, 6784), q(11, 84), q(0, 1)],
    };

    /// The name in messages and configuration files.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Order of convergence.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Moves the rows of `x` [n, dim] along `times`, rising or falling, in place, with one step from each to
    /// the next. `seen(i, x)` sees the points at times\[i\], the first ones too.
    ///
    /// # Errors
    /// Points that are not whole finite rows; times that are less than two or do not run one way; what the
    /// velocity returns; `NonFinite` with the row, the step and the time at which a point became NaN or
    /// infinite.
    pub fn solve<R: Real, V: Velocity<R> + ?Sized>(
        &self,
        velocity: &mut V,
        dim: usize,
        x: &mut [R],
        times: &[f64],
        seen: &mut dyn FnMut(usize, &[R]),
    ) -> Result<Steps> {
        check(self.name, dim, x, times)?;
        let mut stages = Stages::new(self, x.len());
        let mut steps = Steps::default();
        seen(0, x);
        for (n, t) in times.windows(2).enumerate() {
            velocity.velocity(t[0], x, &mut stages.k[0])?;
            stages.rest(self, velocity, (t[0], t[1]), x)?;
            combine(&mut stages.z, x, t[1] - t[0], &values(self.b), &stages.k);
            x.copy_from_slice(&stages.z);
            if let Some(i) = not_finite(x) {
                return Err(Error::NonFinite {
                    place: format!("row {} by the method {}, at time {}", i / dim, self.name, t[1]),
                    step: n,
                    remedy: "look at the velocity there, or take shorter steps".into(),
                });
            }
            steps.accepted += 1;
            steps.evaluations += self.b.len();
            seen(n + 1, x);
        }
        Ok(steps)
    }
}

/// Most stages of a method.
const MOST: usize = 7;

/// A row of coefficients in f64.
pub(super) fn values(row: &[Surd]) -> [f64; MOST] {
    let mut out = [0.0; MOST];
    out.iter_mut().zip(row).for_each(|(o, a)| *o = a.f64());
    out
}

/// Working memory: the stages' velocities and a point.
pub(super) struct Stages<R> {
    pub k: Vec<Vec<R>>,
    pub z: Vec<R>,
}

impl<R: Real> Stages<R> {
    pub fn new(method: &Explicit, len: usize) -> Self {
        Stages { k: vec![vec![R::zero(); len]; method.b.len()], z: vec![R::zero(); len] }
    }

    /// k_1, k_2, ... of the step from `from` to `to`, k_0 given; `z` is left at the point of the last stage.
    pub fn rest<V: Velocity<R> + ?Sized>(&mut self, method: &Explicit, velocity: &mut V, (from, to): (f64, f64), x: &[R]) -> Result<()> {
        for i in 1..method.b.len() {
            combine(&mut self.z, x, to - from, &values(method.a[i]), &self.k[..i]);
            let c = method.c[i].f64();
            let t = if c == 1.0 { to } else { (from + c * (to - from)).clamp(from.min(to), from.max(to)) };
            velocity.velocity(t, &self.z, &mut self.k[i])?;
        }
        Ok(())
    }
}
