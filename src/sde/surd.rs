//! Exact coefficients: the field Q(sqrt 3), in which the coefficients of all tableaus lie.

use std::fmt;
use std::ops::{Add, Mul, Sub};

/// a + b sqrt 3 with rational a and b, exact. The number in f64 stands beside it, so that a step does not
/// divide.
#[derive(Clone, Copy)]
pub struct Surd {
    a: Ratio,
    b: Ratio,
    value: f64,
}

/// n / d in lowest terms, d > 0.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ratio {
    n: i128,
    d: i128,
}

/// sqrt 3, rounded.
const ROOT3: f64 = 1.732_050_807_568_877_2;

impl Surd {
    /// 0.
    pub const ZERO: Surd = Surd::new(0, 1);
    /// 1.
    pub const ONE: Surd = Surd::new(1, 1);

    /// n / d.
    pub const fn new(n: i64, d: i64) -> Self {
        Surd::of(Ratio::new(n as i128, d as i128), Ratio::new(0, 1))
    }

    /// n sqrt(3) / d.
    pub const fn root3(n: i64, d: i64) -> Self {
        Surd::of(Ratio::new(0, 1), Ratio::new(n as i128, d as i128))
    }

    /// self + other.
    pub const fn plus(self, other: Self) -> Self {
        Surd::of(self.a.plus(other.a), self.b.plus(other.b))
    }

    /// self times other: (a + b r)(c + d r) = ac + 3bd + (ad + bc) r.
    pub const fn times(self, other: Self) -> Self {
        let three = Ratio::new(3, 1);
        let a = self.a.times(other.a).plus(three.times(self.b.times(other.b)));
        Surd::of(a, self.a.times(other.b).plus(self.b.times(other.a)))
    }

    const fn of(a: Ratio, b: Ratio) -> Self {
        Surd { a, b, value: a.n as f64 / a.d as f64 + b.n as f64 / b.d as f64 * ROOT3 }
    }

    /// The number in f64.
    #[inline(always)]
    pub const fn f64(self) -> f64 {
        self.value
    }

    /// Whether it is 0, exactly.
    #[inline(always)]
    pub const fn is_zero(self) -> bool {
        self.a.n == 0 && self.b.n == 0
    }
}

impl Ratio {
    const fn new(n: i128, d: i128) -> Self {
        let (mut x, mut y) = (n.unsigned_abs(), d.unsigned_abs());
        while y != 0 {
            (x, y) = (y, x % y);
        }
        let g = if d < 0 { -(x as i128) } else { x as i128 };
        Ratio { n: n / g, d: d / g }
    }
    const fn plus(self, o: Self) -> Self {
        Ratio::new(self.n * o.d + o.n * self.d, self.d * o.d)
    }
    const fn times(self, o: Self) -> Self {
        Ratio::new(self.n * o.n, self.d * o.d)
    }
}

impl PartialEq for Surd {
    fn eq(&self, other: &Self) -> bool {
        self.a == other.a && self.b == other.b
    }
}
impl Add for Surd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.plus(other)
    }
}
impl Mul for Surd {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.times(other)
    }
}
impl Sub for Surd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.plus(Surd::new(-1, 1).times(other))
    }
}
impl std::iter::Sum for Surd {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.fold(Surd::ZERO, Surd::plus)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.d == 1 { write!(f, "{}", self.n) } else { write!(f, "{}/{}", self.n, self.d) }
    }
}
impl fmt::Display for Surd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.a.n == 0, self.b.n == 0) {
            (_, true) => write!(f, "{}", self.a),
            (true, false) => write!(f, "{} sqrt 3", self.b),
            (false, false) => write!(f, "{} + {} sqrt 3", self.a, self.b),
        }
    }
}
impl fmt::Debug for Surd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_exact() {
        let (third, root) = (Surd::new(2, -6), Surd::root3(1, 2));
        assert_eq!(third.to_string(), "-1/3");
        assert_eq!(root * root, Surd::new(3, 4));
        assert_eq!((third + root) * (third - root), Surd::new(1, 9) - Surd::new(3, 4));
        assert_eq!([third, third, Surd::ONE].into_iter().sum::<Surd>(), Surd::new(1, 3));
        assert!((third - third).is_zero() && (root - root).is_zero() && !root.is_zero());
        let x = Surd::new(1, 2) + Surd::root3(-1, 6);
        assert!((x.f64() - (3.0 - 3f64.sqrt()) / 6.0).abs() <= 1e-16 && x.to_string() == "1/2 + -1/6 sqrt 3");
    }
}
