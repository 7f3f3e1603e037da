//! Rooted trees: the terms of stochastic Taylor series.
//!
//! The solution and a method both expand in elementary differentials: f'g, say, is the tree f[g], and f''(g,
//! g) is f[g,g]. A node f or g is a coefficient of the equation, its children are what it is differentiated
//! along; the leaf t is a derivative in time. The order of a tree is 1 for each f and t and 1/2 for each g. A
//! series is X + sum over trees phi(tau) F(tau) / symmetry(tau), with one random weight phi for each tree
//! (Burrage and Burrage 2000; Debrabant and Kvaernoe 2008, on whose recursion for the weights this rests).

use super::iterated_integrals::IteratedIntegrals;
use super::poly::Poly;
use crate::sde::tableau::Stage;
use crate::sde::{CalculusKind, Surd, Tableau};
use std::collections::BTreeMap;
use std::fmt;

/// What stands at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// f.
    Drift,
    /// g = sigma.
    Noise,
    /// t; always a leaf, never the root.
    Time,
}

/// A root and its subtrees, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tree {
    node: Node,
    children: Vec<Tree>,
}

/// A multiset of trees.
pub type Forest = Vec<Tree>;

impl Tree {
    fn leaf(node: Node) -> Self {
        Tree { node, children: vec![] }
    }

    /// Whether it is a single node.
    pub fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// Twice the order.
    pub fn halves(&self) -> usize {
        let own = if self.node == Node::Noise { 1 } else { 2 };
        own + self.children.iter().map(Tree::halves).sum::<usize>()
    }

    /// The weight of the exact solution: int prod phi(child) over dt or dB (a leaf t: the time itself). Ito
    /// and Stratonovich differ only in the integral.
    pub fn exact(&self, calculus: CalculusKind) -> IteratedIntegrals {
        let product = self.children.iter().fold(IteratedIntegrals::one(calculus), |p, child| p.times(&child.exact(calculus)));
        product.integrated(u8::from(self.node == Node::Noise))
    }
}

/// All trees up to the order `halves`/2, by rising order; for `additive` noise those in which g is
/// differentiated only in time.
pub fn trees(halves: usize, additive: bool) -> Vec<Tree> {
    let mut all: Vec<Tree> = vec![];
    for order in 1..=halves {
        let mut pool = all.clone();
        pool.push(Tree::leaf(Node::Time));
        for (node, own) in [(Node::Drift, 2), (Node::Noise, 1)] {
            let may = |t: &Tree| node == Node::Drift || !additive || t.node == Node::Time;
            let pool: Vec<Tree> = pool.iter().filter(|t| may(t)).cloned().collect();
            if order >= own {
                all.extend(forests(&pool, order - own).into_iter().map(|children| Tree { node, children }));
            }
        }
    }
    all
}

/// All multisets of trees of `pool` whose orders add up to `halves`/2.
pub fn forests(pool: &[Tree], halves: usize) -> Vec<Forest> {
    let mut sorted = pool.to_vec();
    sorted.sort();
    let mut out = vec![];
    grow(&sorted, halves, &mut vec![], &mut out);
    out
}

fn grow(pool: &[Tree], left: usize, taken: &mut Forest, out: &mut Vec<Forest>) {
    if left == 0 {
        out.push(taken.clone());
    }
    for (i, tree) in pool.iter().enumerate().filter(|(_, t)| t.halves() <= left) {
        taken.push(tree.clone());
        grow(&pool[i..], left - tree.halves(), taken, out);
        taken.pop();
    }
}

/// The weights of a method's stages, its next state and its error estimate (in that order), for each of
/// `trees`.
///
/// phi_i(f[...]) = sum_j a_ij prod phi_j(child), phi_i(g[...]) = sum_j beta_ij prod phi_j(child), phi_i(t) =
/// c_i.
pub fn weights(tableau: &Tableau, trees: &[Tree]) -> BTreeMap<Tree, Vec<Poly>> {
    let rows: Vec<&Stage> = tableau.stages.iter().chain([&tableau.next]).chain(&tableau.error).collect();
    let time: Vec<Poly> = rows.iter().map(|row| Poly::constant(row.c)).collect();
    let mut known = BTreeMap::from([(Tree::leaf(Node::Time), time)]);
    for tree in trees {
        let product = |j: usize| tree.children.iter().fold(Poly::constant(Surd::ONE), |p, child| p.times(&known[child][j]));
        let products: Vec<Poly> = (0..tableau.stages.len()).map(product).collect();
        let weight = |row: &Stage| {
            let mut sum = Poly::default();
            match tree.node {
                Node::Noise => row.noise.iter().for_each(|(j, mix)| {
                    sum.add_scaled(Surd::ONE, &Poly::of(mix).times(&products[*j]));
                }),
                _ => row.drift.iter().for_each(|(j, a)| sum.add_scaled(*a, &products[*j])),
            }
            sum
        };
        known.insert(tree.clone(), rows.iter().map(|row| weight(row)).collect());
    }
    known
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.node {
            Node::Drift => "f",
            Node::Noise => "g",
            Node::Time => "t",
        })?;
        if self.children.is_empty() {
            return Ok(());
        }
        write!(f, "[{}]", self.children.iter().map(Tree::to_string).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_those_of_the_taylor_series() {
        let all = trees(4, false);
        let count = |n| all.iter().filter(|t| t.halves() == n).count();
        assert_eq!([1, 2, 3, 4].map(count), [1, 2, 5, 13]);
        let additive: Vec<String> = trees(4, true).iter().map(Tree::to_string).collect();
        assert_eq!(additive, ["g", "f", "f[g]", "g[t]", "f[f]", "f[g,g]", "f[t]"]);
        assert_eq!(forests(&trees(4, true), 2).len(), 2); // g g, f
    }

    #[test]
    fn exact_weights_are_iterated_integrals() {
        let of = |name: &str, calculus| trees(4, false).iter().find(|t| t.to_string() == name).unwrap().exact(calculus);
        // int W dB = (W^2 - h)/2 or W^2/2; int W^2 ds has the mean 1/2.
        assert_eq!(of("g[g]", CalculusKind::Ito).poly().unwrap().to_string(), "(-1/2) + (1/2) w^2");
        assert_eq!(of("g[g]", CalculusKind::Stratonovich).poly().unwrap().to_string(), "(1/2) w^2");
        for calculus in [CalculusKind::Ito, CalculusKind::Stratonovich] {
            assert_eq!(of("f[g,g]", calculus).mean(), Surd::new(1, 2));
            assert_eq!(of("g[t]", calculus).poly(), of("g[f]", calculus).poly());
        }
        // In Ito's calculus int W^2 dB = 2 I111 + I01.
        assert_eq!(of("g[g,g]", CalculusKind::Ito).poly().unwrap().to_string(), "(-1) eta + (-1/2) w + (1/3) w^3");
    }
}
