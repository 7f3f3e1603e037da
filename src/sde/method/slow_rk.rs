use super::prelude::*;

/// SlowRK, Stratonovich, commutative noise (Foster, dos Reis and Strange 2024): seven stages, strong order
/// 1.5.
#[derive(Debug, Clone, Copy)]
pub struct SlowRk;

enter!([SlowRk] commutative);

impl Method for SlowRk {
    const CLAIMS: Claims = Claims {
        name: "slow-rk",
        calculus: CalculusKind::Stratonovich,
        needs: Self::TABLEAU.needs(),
        orders: &[
            Orders::of(NoiseKind::Additive, 1.5, 2.0),
            Orders::of(NoiseKind::Scalar, 1.5, 2.0),
            Orders::of(NoiseKind::Diagonal, 1.5, 2.0),
            Orders::of(NoiseKind::Commutative, 1.5, 2.0),
        ],
        invariant: None,
        drifts: Self::TABLEAU.drifts(),
        source: "Foster, dos Reis, Strange 2024",
    };
}

impl RungeKutta for SlowRk {
    const TABLEAU: Tableau = Tableau {
        stages: &[
            stage(q(0, 1), &[], &[]),
            stage(q(1, 2), &[(0, q(1, 2))], &[]),
            stage(q(1, 2), &[(0, q(1, 2))], &[(1, Mix::w(q(1, 2)))]),
            stage(q(1, 2), &[(0, q(1, 2))], &[(2, Mix::w(q(1, 2)))]),
            stage(q(1, 2), &[(0, q(1, 2))], &[(3, Mix::w(q(1, 1)))]),
            stage(q(3, 4), &[(0, q(3, 4))], &[(3, Mix::wh(q(3, 4), q(3, 2)))]),
            stage(q(1, 1), &[(0, q(1, 1))], &[(2, Mix::w(q(1, 2)))]),
        ],
        next: stage(
            q(1, 1),
            &[(0, q(1, 3)), (5, q(2, 3))],
            &[(1, Mix::w(q(1, 6))), (2, Mix::w(q(1, 3))), (3, Mix::wh(q(1, 3), q(2, 1))), (4, Mix::w(q(1, 6))), (6, Mix::h(q(-2, 1)))],
        ),
        error: None,
    };
}

runge_kutta!(SlowRk for Stratonovich, Commutative);
