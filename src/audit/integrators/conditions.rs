//! Order conditions of tableaus, in exact arithmetic.
//!
//! A method is of strong order p if its weights are those of the solution for all trees up to order p, and in
//! expectation for those of order p + 1/2 (Milstein's theorem on local errors); of weak order p if products
//! of weights have the solution's expectation for all forests up to order p + 1/2. Weights are polynomials in
//! W and H, so equality is a matter of their coefficients, and expectations are Gaussian moments: nothing is
//! rounded.
//!
//! For Ito equations with strong order 1.5 these are the 25 conditions of Roessler (2010, theorem 6.1), whose
//! beta^(1..4) are the coefficients of W, I11, I10, I111, which are linearly independent:
//!
//! | tree | Roessler |
//! |---|---|
//! | g | beta^(k) e = 1, 0, 0, 0 |
//! | f | alpha e = 1 |
//! | g\[g\] | beta^(k) B1 e = 0, 1, 0, 0 |
//! | f\[g\] | alpha B0 e = 1 |
//! | g\[f\], g\[t\] | beta^(k) A1 e = 1, 0, -1, 0, and the same for c1 |
//! | g\[g,g\] | beta^(k) (B1 e)^2 = 1, 0, -1, 2 |
//! | g\[g\[g\]\] | beta^(k) B1 B1 e = 0, 0, 0, 1 |
//! | f\[f\], f\[t\] (expectation) | alpha A0 e = 1/2, and the same for c0 |
//! | f\[g,g\] (expectation) | alpha (B0 e)^2 = 3/2: E I10^2 = 1/3 against 1/2 |
//! | g\[f\[g\]\] (expectation) | beta^(1) A1 B0 e / 2 + beta^(3) A1 B0 e / 3 = 0 |
//!
//! The other trees of order 2 have odd weights, whose expectations vanish. For additive noise g, f, f\[g\],
//! g\[t\], f\[f\], f\[t\] and f\[g,g\] remain, in terms of W and H
//!
//! sum b = 1,   sum b aW = 1/2,   sum b aH = 1,   sum b c = 1/2,   sum b (aW^2 + aH^2/12) = 1/2,   sum beta = W,   sum beta c = W/2 - H:
//!
//! his eight for SRA methods, of which the last two are four, on beta^(1) and beta^(2).

use super::iterated_integrals::IteratedIntegrals;
use super::poly::Poly;
use super::tree::{Forest, Tree, forests, trees, weights};
use crate::sde::{CalculusKind, Needs, Surd, Tableau};

/// Twice the order up to which weights are compared, and twice that up to which expectations are.
const EXACT: usize = 3;
const MEANS: usize = 5;

/// What the method's series has more than the solution's.
#[derive(Debug)]
pub struct Residuals {
    /// Weights of trees up to order 3/2.
    weights: Vec<(Tree, Poly)>,
    /// Expectations of products of weights up to order 5/2.
    means: Vec<(Forest, Surd)>,
    /// Weights of g and f in the error estimate, which lets the embedded method differ in higher terms only.
    embedded: Vec<(Tree, Poly)>,
    /// Whether the method uses H, and whether it takes the drift at another time than the start.
    area: bool,
    later: bool,
}

impl Residuals {
    /// Of `tableau`, for one Brownian motion; `additive`: for coefficients sigma(t) only.
    pub fn new(tableau: &Tableau, calculus: CalculusKind, additive: bool) -> Self {
        let all = trees(MEANS, additive);
        let (next, error) = (tableau.stages.len(), tableau.stages.len() + 1);
        let weights = weights(tableau, &all);
        let residual = |tree: &Tree| Some((tree.clone(), weights[tree][next].minus(&tree.exact(calculus).poly()?)));
        let mean = |forest: Forest| {
            let method = forest.iter().fold(Poly::constant(Surd::ONE), |p, tree| p.times(&weights[tree][next]));
            let exact = forest.iter().fold(IteratedIntegrals::one(calculus), |p, tree| p.times(&tree.exact(calculus)));
            (forest, method.mean() - exact.mean())
        };
        let low = |tree: &&Tree| tableau.error.is_some() && tree.is_leaf();
        Residuals {
            weights: all.iter().filter(|t| t.halves() <= EXACT).filter_map(residual).collect(),
            means: (1..=MEANS).flat_map(|n| forests(&all, n)).map(mean).collect(),
            embedded: all.iter().filter(low).map(|tree| (tree.clone(), weights[tree][error].clone())).collect(),
            area: tableau.needs() == Needs::Wh,
            later: tableau.stages.iter().enumerate().any(|(i, s)| tableau.asks_drift(i) && !s.c.is_zero()),
        }
    }

    /// What keeps the method from the strong order `p` <= 3/2.
    fn against_strong(&self, p: f64) -> Vec<String> {
        let halves = (2.0 * p) as usize;
        let weights = self.weights.iter().filter(|(tree, r)| tree.halves() <= halves && !r.is_zero());
        let means = self.means.iter().filter(|(forest, r)| forest.len() == 1 && forest[0].halves() == halves + 1 && !r.is_zero());
        weights.map(|(tree, r)| format!("{tree}: {r}")).chain(means.map(expectation)).collect()
    }

    /// What keeps it from the weak order `p` <= 2.
    fn against_weak(&self, p: f64) -> Vec<String> {
        let halves = |forest: &Forest| forest.iter().map(Tree::halves).sum::<usize>() as f64;
        self.means.iter().filter(|(forest, r)| halves(forest) <= 2.0 * p + 1.0 && !r.is_zero()).map(expectation).collect()
    }

    /// The strong order, as far as 3/2.
    pub fn strong(&self) -> f64 {
        [1.5, 1.0, 0.5].into_iter().find(|p| self.against_strong(*p).is_empty()).unwrap_or(0.0)
    }

    /// The weak order, as far as 2.
    pub fn weak(&self) -> f64 {
        [2.0, 1.5, 1.0].into_iter().find(|p| self.against_weak(*p).is_empty()).unwrap_or(0.0)
    }

    /// What is wrong with a method of strong order `strong` and weak order `weak`: the conditions of both
    /// orders; those of the embedded method; and whether coefficients that the orders leave free do what they
    /// are there for. A method that asks for H meets the integrals with H, f[g] and g[t], and one that takes
    /// the drift later than at the start of the step meets E f[t].
    pub fn unmet(&self, strong: f64, weak: f64) -> Vec<String> {
        let mut out = self.against_strong(strong.min(1.5));
        out.extend(self.against_weak(weak.min(2.0)));
        out.extend(self.embedded.iter().filter(|(_, r)| !r.is_zero()).map(|(tree, r)| format!("error estimate: {tree}: {r}")));
        let with_area = |name: &str| self.area && ["f[g]", "g[t]"].contains(&name);
        out.extend(self.weights.iter().filter(|(t, r)| with_area(&t.to_string()) && !r.is_zero()).map(|(t, r)| format!("{t}: {r}")));
        let in_time = |forest: &Forest| self.later && forest.len() == 1 && forest[0].to_string() == "f[t]";
        out.extend(self.means.iter().filter(|(forest, r)| in_time(forest) && !r.is_zero()).map(expectation));
        out.sort();
        out.dedup();
        out
    }
}

fn expectation((forest, residual): &(Forest, Surd)) -> String {
    format!("E {}: {residual}", forest.iter().map(Tree::to_string).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::tableaus;
    use super::*;
    use crate::sde::tableau::{Mix, Stage};
    use crate::sde::{Claims, NoiseKind, Orders};

    fn leak<T>(list: Vec<T>) -> &'static [T] {
        Box::leak(list.into_boxed_slice())
    }

    /// The stage with its coefficient number `k` passed through `change`; nothing if it has no such, or it
    /// is 0. The time c is not read in the rows of the next state and the error.
    fn mutated(stage: &Stage, k: usize, timed: bool) -> Option<Stage> {
        let tenth_more = |c: &mut Surd| {
            let changed = !c.is_zero();
            *c = *c * Surd::new(11, 10);
            changed
        };
        let (mut out, mut drift, mut noise) = (*stage, stage.drift.to_vec(), stage.noise.to_vec());
        let mut places: Vec<&mut Surd> = if timed { vec![&mut out.c] } else { vec![] };
        places.extend(drift.iter_mut().map(|(_, a)| a));
        places.extend(noise.iter_mut().flat_map(|(_, m)| [&mut m.w, &mut m.h, &mut m.root, &mut m.i11, &mut m.i111]));
        let changed = places.into_iter().nth(k).is_some_and(tenth_more);
        (out.drift, out.noise) = (leak(drift), leak(noise));
        changed.then_some(out)
    }

    /// All tableaus that differ from this one by a tenth of one non-zero coefficient.
    fn mutants(tableau: &Tableau) -> Vec<(String, Tableau)> {
        let mut out = vec![];
        for k in 0..40 {
            for i in 0..tableau.stages.len() {
                let mut stages = tableau.stages.to_vec();
                if let Some(stage) = mutated(&stages[i], k, true) {
                    stages[i] = stage;
                    out.push((format!("stage {i}, coefficient {k}"), Tableau { stages: leak(stages), ..*tableau }));
                }
            }
            let next = mutated(&tableau.next, k, false);
            out.extend(next.map(|next| (format!("next, coefficient {k}"), Tableau { next, ..*tableau })));
            let error = tableau.error.and_then(|e| mutated(&e, k, false));
            out.extend(error.map(|e| (format!("error, coefficient {k}"), Tableau { error: Some(e), ..*tableau })));
        }
        out
    }

    fn everything_wrong(tableau: &Tableau, claims: &Claims) -> Vec<String> {
        let kinds = [NoiseKind::Additive, NoiseKind::Scalar].into_iter().filter_map(|noise| claims.for_noise(noise));
        let wrong = |orders: Orders| {
            Residuals::new(tableau, claims.calculus, orders.noise == NoiseKind::Additive).unmet(orders.strong, orders.weak)
        };
        kinds.flat_map(wrong).collect()
    }

    #[test]
    fn a_tenth_of_any_coefficient_is_noticed() {
        let (all, mut count, mut alive) = (tableaus(), 0, vec![]);
        for (claims, tableau) in &all {
            assert_eq!(everything_wrong(tableau, claims), Vec::<String>::new(), "{}", claims.name);
            for (place, mutant) in mutants(tableau) {
                count += 1;
                if everything_wrong(&mutant, claims).is_empty() {
                    alive.push(format!("{}: {place}", claims.name));
                }
            }
        }
        assert!(all.len() >= 10 && count >= 150, "{} tableaus, {count} mutants", all.len());
        assert!(alive.is_empty(), "{alive:#?}");
    }

    /// A method x' = x + h sum alpha f + sum sigma(t + c1 h) (beta1 W + beta2 I10) with Roessler's SRA2 or
    /// SRA3, of which another package has the sign of beta2 reversed.
    fn sra(c1: [Surd; 2], beta1: [Surd; 2], beta2: [Surd; 2], sign: i64) -> Tableau {
        let q = Surd::new;
        let stage = |c, drift, noise| Stage { c, drift, noise };
        let mix = |i: usize| Mix::ito(beta1[i], Surd::ZERO, q(sign, 1) * beta2[i], Surd::ZERO);
        Tableau {
            stages: leak(vec![
                stage(q(0, 1), &[], &[]),
                stage(q(3, 4), leak(vec![(0, q(3, 4))]), leak(vec![(0, Mix::i10(q(3, 2)))])),
                stage(c1[0], &[], &[]),
                stage(c1[1], &[], &[]),
            ]),
            next: stage(q(1, 1), leak(vec![(0, q(1, 3)), (1, q(2, 3))]), leak(vec![(2, mix(0)), (3, mix(1))])),
            error: None,
        }
    }

    #[test]
    fn a_reversed_sign_leaves_the_residual_2() {
        let q = Surd::new;
        let sra2 = |sign| sra([q(1, 3), q(1, 1)], [q(0, 1), q(1, 1)], [q(3, 2), q(-3, 2)], sign);
        let sra3 = |sign| sra([q(1, 1), q(0, 1)], [q(1, 1), q(0, 1)], [q(-1, 1), q(1, 1)], sign);
        for method in [&sra2 as &dyn Fn(i64) -> Tableau, &sra3] {
            let right = Residuals::new(&method(1), CalculusKind::Either, true);
            assert_eq!((right.strong(), right.weak(), right.unmet(1.5, 2.0)), (1.5, 2.0, vec![]));
            let wrong = Residuals::new(&method(-1), CalculusKind::Either, true);
            assert!(wrong.strong() == 1.0 && wrong.weak() == 1.0);
            let (_, left) = wrong.weights.iter().find(|(tree, _)| tree.to_string() == "g[t]").unwrap();
            assert_eq!(*left, Poly::of(&Mix::i10(q(2, 1)))); // 2 I10
        }
    }
}
