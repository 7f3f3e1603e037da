use super::prelude::*;

/// SRIW2, Ito, diagonal noise (Roessler 2010); of order 3 where there is no noise. Stages 0, 1, 3 are his
/// H0_1, H0_2, H0_3, and 0, 2, 4, 5 his H1_1, ..., H1_4. Its weak order is 1.5, as that of SRIW1.
#[derive(Debug, Clone, Copy)]
pub struct Sriw2;

enter!([Sriw2] diagonal);

impl Method for Sriw2 {
    const CLAIMS: Claims = Claims {
        name: "sriw2",
        calculus: CalculusKind::Ito,
        needs: Self::TABLEAU.needs(),
        orders: SRIW_ORDERS,
        invariant: None,
        drifts: Self::TABLEAU.drifts(),
        source: "Roessler 2010, table 6.2",
    };
}

impl RungeKutta for Sriw2 {
    const TABLEAU: Tableau = Tableau {
        stages: &[
            stage(q(0, 1), &[], &[]),
            stage(q(1, 1), &[(0, q(1, 1))], &[]),
            stage(q(1, 4), &[(0, q(1, 4))], &[(0, Mix::root(q(-1, 2)))]),
            stage(q(1, 2), &[(0, q(1, 4)), (1, q(1, 4))], &[(0, Mix::i10(q(1, 1))), (2, Mix::i10(q(1, 2)))]),
            stage(q(1, 1), &[(0, q(1, 1))], &[(0, Mix::root(q(1, 1)))]),
            stage(q(1, 4), &[(3, q(1, 4))], &[(0, Mix::root(q(2, 1))), (2, Mix::root(q(-1, 1))), (4, Mix::root(q(1, 2)))]),
        ],
        next: stage(
            q(1, 1),
            &[(0, q(1, 6)), (1, q(1, 6)), (3, q(2, 3))],
            &[
                (0, Mix::ito(q(-1, 1), q(1, 1), q(2, 1), q(-2, 1))),
                (2, Mix::ito(q(4, 3), q(-4, 3), q(-4, 3), q(5, 3))),
                (4, Mix::ito(q(2, 3), q(1, 3), q(-2, 3), q(-2, 3))),
                (5, Mix::ito(q(0, 1), q(0, 1), q(0, 1), q(1, 1))),
            ],
        ),
        error: None,
    };
}

runge_kutta!(Sriw2 for Ito, Diagonal);
