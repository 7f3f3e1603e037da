use super::prelude::*;

/// SEA, the shifted Euler method for additive noise (Foster, dos Reis and Strange 2024),
/// x' = x + h f(x + sigma (W/2 + H)) + sigma W: the drift is taken where the path is on average over
/// the step.
#[derive(Debug, Clone, Copy)]
pub struct Sea;

enter!([Sea] additive);

impl Method for Sea {
    const CLAIMS: Claims = Claims {
        name: "sea",
        calculus: CalculusKind::Either,
        needs: Self::TABLEAU.needs(),
        orders: &[Orders::of(NoiseKind::Additive, 1.0, 1.0)],
        invariant: None,
        drifts: Self::TABLEAU.drifts(),
        source: "Foster, dos Reis, Strange 2024",
    };
}

impl RungeKutta for Sea {
    const TABLEAU: Tableau = Tableau {
        stages: &[
            stage(q(0, 1), &[], &[]),
            stage(q(1, 2), &[], &[(0, Mix::i10(q(1, 1)))]),
            stage(q(1, 1), &[], &[]), // for sigma(t + h)
        ],
        next: stage(q(1, 1), &[(1, q(1, 1))], ADDITIVE_ENDS),
        error: None,
    };
}

runge_kutta!(Sea for Stratonovich, Additive);
