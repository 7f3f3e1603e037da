//! Polynomials in the Brownian path over one step, exact.

use crate::sde::Surd;
use crate::sde::tableau::Mix;
use std::collections::BTreeMap;
use std::fmt;

/// A polynomial in w = W / h^(1/2) ~ N(0, 1) and eta = H / h^(1/2) ~ N(0, 1/12), independent, over Q(sqrt 3):
/// by the powers (a, b) of w^a eta^b. No coefficient is 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Poly(BTreeMap<(u32, u32), Surd>);

impl Poly {
    /// c w^a eta^b.
    pub fn term(c: Surd, a: u32, b: u32) -> Self {
        let mut out = Poly::default();
        out.add(c, a, b);
        out
    }

    /// c.
    pub fn constant(c: Surd) -> Self {
        Poly::term(c, 0, 0)
    }

    /// A column of a tableau, divided by h^(1/2).
    pub fn of(mix: &Mix) -> Self {
        let q = Surd::new;
        let terms = [
            (mix.w, 1, 0),
            (mix.h, 0, 1),
            (mix.root, 0, 0),
            (mix.i11 * q(1, 2), 2, 0), // I11 / h = (w^2 - 1)/2
            (mix.i11 * q(-1, 2), 0, 0),
            (mix.i111 * q(1, 6), 3, 0), // I111 / h^(3/2) = (w^3 - 3 w)/6
            (mix.i111 * q(-1, 2), 1, 0),
        ];
        let mut out = Poly::default();
        terms.into_iter().for_each(|(c, a, b)| out.add(c, a, b));
        out
    }

    fn add(&mut self, c: Surd, a: u32, b: u32) {
        let sum = self.0.get(&(a, b)).copied().unwrap_or(Surd::ZERO) + c;
        if sum.is_zero() {
            self.0.remove(&(a, b));
        } else {
            self.0.insert((a, b), sum);
        }
    }

    /// self += c other.
    pub fn add_scaled(&mut self, c: Surd, other: &Poly) {
        other.0.iter().for_each(|((a, b), d)| self.add(c * *d, *a, *b));
    }

    /// self times other.
    pub fn times(&self, other: &Poly) -> Poly {
        let mut out = Poly::default();
        for ((a, b), c) in &self.0 {
            other.0.iter().for_each(|((i, j), d)| out.add(*c * *d, a + i, b + j));
        }
        out
    }

    /// self - other.
    pub fn minus(&self, other: &Poly) -> Poly {
        let mut out = self.clone();
        out.add_scaled(Surd::new(-1, 1), other);
        out
    }

    /// The expectation: E w^2k = (2k - 1)!!, E eta^2k = (2k - 1)!! / 12^k, odd powers have none.
    pub fn mean(&self) -> Surd {
        let moment =
            |n: u32, variance: Surd| (0..n / 2).map(|k| variance * Surd::new(i64::from(2 * k + 1), 1)).fold(Surd::ONE, Surd::times);
        let even = self.0.iter().filter(|((a, b), _)| a % 2 == 0 && b % 2 == 0);
        even.map(|((a, b), c)| *c * moment(*a, Surd::ONE) * moment(*b, Surd::new(1, 12))).sum()
    }

    /// Whether it is 0.
    pub fn is_zero(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Poly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        for (i, ((a, b), c)) in self.0.iter().enumerate() {
            let power = |name: &str, n: u32| match n {
                0 => String::new(),
                1 => format!(" {name}"),
                _ => format!(" {name}^{n}"),
            };
            write!(f, "{}({c}){}{}", if i > 0 { " + " } else { "" }, power("w", *a), power("eta", *b))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_path() {
        let q = Surd::new;
        // I10 / h^(3/2) = w/2 + eta has variance 1/3, and covariance 1/2 with w.
        let i10 = Poly::of(&Mix::i10(q(1, 1)));
        assert_eq!(i10.times(&i10).mean(), q(1, 3));
        assert_eq!(i10.times(&Poly::term(q(1, 1), 1, 0)).mean(), q(1, 2));
        // I11 and I111 are orthogonal to 1 and to each other, with variances 1/2 and 1/6.
        let [i11, i111] = [(q(1, 1), q(0, 1)), (q(0, 1), q(1, 1))].map(|(a, b)| Poly::of(&Mix { i11: a, i111: b, ..Mix::NONE }));
        assert_eq!([i11.mean(), i111.mean(), i11.times(&i111).mean()], [Surd::ZERO; 3]);
        assert_eq!([i11.times(&i11).mean(), i111.times(&i111).mean()], [q(1, 2), q(1, 6)]);
        assert!(i11.minus(&i11).is_zero() && i10.to_string() == "(1) eta + (1/2) w", "{i10}");
    }
}
