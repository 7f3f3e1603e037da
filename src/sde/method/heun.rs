use super::prelude::*;

/// Heun's method, Stratonovich: z = x + h f(x) + sigma(x) W,
/// x' = x + (h/2) (f(x) + f(z)) + (1/2) (sigma(x) + sigma(z)) W.
///
/// For additive noise it is of weak order 2 (Kloeden and Platen 1992, ch. 15.1).
#[derive(Debug, Clone, Copy)]
pub struct Heun;

enter!([Heun] additive, commutative);

impl Method for Heun {
    const CLAIMS: Claims = Claims {
        name: "heun",
        calculus: CalculusKind::Stratonovich,
        needs: Self::TABLEAU.needs(),
        orders: &[
            Orders::of(NoiseKind::Additive, 1.0, 2.0),
            Orders::of(NoiseKind::Scalar, 1.0, 1.0),
            Orders::of(NoiseKind::Diagonal, 1.0, 1.0),
            Orders::of(NoiseKind::Commutative, 1.0, 1.0),
            Orders::of(NoiseKind::General, 0.5, 1.0),
        ],
        invariant: None,
        drifts: Self::TABLEAU.drifts(),
        source: "Kloeden and Platen 1992, ch. 15.1; Ruemelin 1982",
    };
}

impl RungeKutta for Heun {
    const TABLEAU: Tableau = Tableau {
        stages: &[stage(q(0, 1), &[], &[]), stage(q(1, 1), &[(0, q(1, 1))], &[(0, Mix::w(q(1, 1)))])],
        next: stage(q(1, 1), &[(0, q(1, 2)), (1, q(1, 2))], &[(0, Mix::w(q(1, 2))), (1, Mix::w(q(1, 2)))]),
        error: Some(stage(q(1, 1), &[(0, q(-1, 2)), (1, q(1, 2))], &[(0, Mix::w(q(-1, 2))), (1, Mix::w(q(1, 2)))])),
    };
}

runge_kutta!(Heun for Stratonovich, General, embedded);
