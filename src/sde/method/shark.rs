use super::prelude::*;

/// ShARK, the shifted additive-noise Runge-Kutta method (Foster, dos Reis and Strange 2024):
/// x' = x + h (2 f(z1)/5 + 3 f(z2)/5) + sigma W,   z1 = x + sigma H,   z2 = z1 + (5/6) (h f(z1) + sigma W).
#[derive(Debug, Clone, Copy)]
pub struct Shark;

enter!([Shark] additive);

impl Method for Shark {
    const CLAIMS: Claims = Claims {
        name: "shark",
        calculus: CalculusKind::Either,
        needs: Self::TABLEAU.needs(),
        orders: &[Orders::of(NoiseKind::Additive, 1.5, 2.0)],
        invariant: None,
        drifts: Self::TABLEAU.drifts(),
        source: "Foster, dos Reis, Strange 2024",
    };
}

impl RungeKutta for Shark {
    const TABLEAU: Tableau = Tableau {
        stages: &[
            stage(q(0, 1), &[], &[]),
            stage(q(0, 1), &[], &[(0, Mix::h(q(1, 1)))]),
            stage(q(1, 1), &[], &[]), // for sigma(t + h)
            stage(q(5, 6), &[(1, q(5, 6))], &[(0, Mix::wh(q(5, 6), q(1, 1)))]),
        ],
        next: stage(q(1, 1), &[(1, q(2, 5)), (3, q(3, 5))], ADDITIVE_ENDS),
        error: Some(stage(q(1, 1), &[(1, q(-3, 5)), (3, q(3, 5))], &[])),
    };
}

runge_kutta!(Shark for Stratonovich, Additive, embedded);
