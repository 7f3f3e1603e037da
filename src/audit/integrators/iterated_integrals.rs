//! Iterated integrals of the Brownian path over one step, as words.
//!
//! The letters 0 and 1 stand for dt and dB, the innermost integral first: 10 is int_0^1 int_0^s dB_r ds = I10
//! of a step of length 1. Products of iterated integrals are sums of them. By the product rule, with u, v
//! words and a, b letters,
//!
//! (u a) (v b) = (u (v b)) a + ((u a) v) b + [a = b = 1, Ito] (u v) 0:
//!
//! the shuffle product of the Stratonovich calculus, to which Ito's adds the bracket dB dB = dt.

use super::poly::Poly;
use crate::sde::{CalculusKind, Surd};
use std::collections::BTreeMap;

/// A linear combination of iterated integrals.
#[derive(Debug, Clone, PartialEq)]
pub struct IteratedIntegrals {
    calculus: CalculusKind,
    terms: BTreeMap<Vec<u8>, Surd>,
}

impl IteratedIntegrals {
    /// The empty word, 1.
    pub fn one(calculus: CalculusKind) -> Self {
        IteratedIntegrals { calculus, terms: [(vec![], Surd::ONE)].into() }
    }

    /// The integral over `letter`, from 0 to the end of the step.
    pub fn integrated(&self, letter: u8) -> Self {
        let terms = self.terms.iter().map(|(word, c)| ([word.as_slice(), &[letter]].concat(), *c)).collect();
        IteratedIntegrals { terms, ..*self }
    }

    /// self times other.
    pub fn times(&self, other: &Self) -> Self {
        let mut terms = BTreeMap::new();
        for (u, c) in &self.terms {
            for (v, d) in &other.terms {
                product(self.calculus, u, v, &mut vec![], *c * *d, &mut terms);
            }
        }
        IteratedIntegrals { terms, ..*self }
    }

    /// The polynomial in W and H that it is, where it is one: up to the order h^(3/2), in units in which
    /// h = 1.
    pub fn poly(&self) -> Option<Poly> {
        let mut out = Poly::default();
        for (word, c) in &self.terms {
            out.add_scaled(*c, &poly(self.calculus, word)?);
        }
        Some(out)
    }

    /// The expectation.
    pub fn mean(&self) -> Surd {
        self.terms.iter().map(|(word, c)| *c * mean(self.calculus, word)).sum()
    }
}

/// Adds c (u v) `tail` to `out`; `tail` is written backwards.
fn product(calculus: CalculusKind, u: &[u8], v: &[u8], tail: &mut Vec<u8>, c: Surd, out: &mut BTreeMap<Vec<u8>, Surd>) {
    let (Some((a, before_a)), Some((b, before_b))) = (u.split_last(), v.split_last()) else {
        let word: Vec<u8> = u.iter().chain(v).chain(tail.iter().rev()).copied().collect();
        let sum = out.entry(word).or_insert(Surd::ZERO);
        *sum = *sum + c;
        return;
    };
    let mut with = |letter: u8, u: &[u8], v: &[u8]| {
        tail.push(letter);
        product(calculus, u, v, tail, c, out);
        tail.pop();
    };
    with(*a, before_a, v);
    with(*b, u, before_b);
    if calculus == CalculusKind::Ito && *a == 1 && *b == 1 {
        with(0, before_a, before_b);
    }
}

fn poly(calculus: CalculusKind, word: &[u8]) -> Option<Poly> {
    let (q, ito) = (Surd::new, calculus == CalculusKind::Ito);
    let terms: Vec<(Surd, u32, u32)> = match word {
        [] | [0] => vec![(q(1, 1), 0, 0)],
        [1] => vec![(q(1, 1), 1, 0)],
        [1, 0] => vec![(q(1, 2), 1, 0), (q(1, 1), 0, 1)],
        [0, 1] => vec![(q(1, 2), 1, 0), (q(-1, 1), 0, 1)],
        [1, 1] if ito => vec![(q(1, 2), 2, 0), (q(-1, 2), 0, 0)],
        [1, 1] => vec![(q(1, 2), 2, 0)],
        [1, 1, 1] if ito => vec![(q(1, 6), 3, 0), (q(-1, 2), 1, 0)],
        [1, 1, 1] => vec![(q(1, 6), 3, 0)],
        _ => return None,
    };
    let mut out = Poly::default();
    terms.into_iter().for_each(|(c, a, b)| out.add_scaled(c, &Poly::term(Surd::ONE, a, b)));
    Some(out)
}

/// E: an Ito integral over dB has none, and int ... int dt = 1/n!. In a Stratonovich integral each
/// neighbouring pair dB dB counts as dt/2, and what is left unpaired has no expectation.
fn mean(calculus: CalculusKind, word: &[u8]) -> Surd {
    let (mut integrals, mut value, mut rest) = (0, Surd::ONE, word);
    loop {
        rest = match rest {
            [] => return value,
            [0, rest @ ..] => rest,
            [1, 1, rest @ ..] if calculus != CalculusKind::Ito => {
                value = value * Surd::new(1, 2);
                rest
            }
            _ => return Surd::ZERO,
        };
        integrals += 1;
        value = value * Surd::new(1, integrals);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(calculus: CalculusKind, letters: &[u8]) -> IteratedIntegrals {
        letters.iter().fold(IteratedIntegrals::one(calculus), |w, l| w.integrated(*l))
    }

    /// Products of words are products of the polynomials that they are, and their expectations those of the
    /// polynomials.
    #[test]
    fn words_and_polynomials_agree() {
        let known: [&[u8]; 8] = [&[], &[0], &[1], &[1, 0], &[0, 1], &[1, 1], &[1, 1, 1], &[0]];
        for calculus in [CalculusKind::Ito, CalculusKind::Stratonovich] {
            for u in known {
                let u = word(calculus, u);
                assert_eq!(u.mean(), u.poly().unwrap().mean());
                for v in known {
                    let v = word(calculus, v);
                    let product = u.times(&v);
                    let by_poly = u.poly().unwrap().times(&v.poly().unwrap());
                    assert_eq!(product.mean(), by_poly.mean(), "{u:?} {v:?}");
                    if let Some(poly) = product.poly() {
                        assert_eq!(poly, by_poly, "{u:?} {v:?}");
                    }
                }
            }
        }
        assert_eq!(word(CalculusKind::Stratonovich, &[1, 1, 1, 1]).mean(), Surd::new(1, 8));
        assert_eq!(word(CalculusKind::Stratonovich, &[1, 0, 1]).mean(), Surd::ZERO);
    }
}
