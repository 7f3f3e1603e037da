use super::prelude::*;

/// SRIW1, Ito, diagonal noise (Roessler 2010). Stages 0, 1 are his H0_1, H0_2, and 0, 2, 3, 4 his H1_1, ...,
/// H1_4.
///
/// Its weak order is 1.5: stages at x + h^(1/2) g, with one sign of the root, leave for instance g''(f, g)
/// with a wrong part h^2/4 that is correlated with W^2, and E phi is off by O(h^(5/2)) in a step.
#[derive(Debug, Clone, Copy)]
pub struct Sriw1;

enter!([Sriw1] diagonal);

impl Method for Sriw1 {
    const CLAIMS: Claims = Claims {
        name: "sriw1",
        calculus: CalculusKind::Ito,
        needs: Self::TABLEAU.needs(),
        orders: SRIW_ORDERS,
        invariant: None,
        drifts: Self::TABLEAU.drifts(),
        source: "Roessler 2010, table 6.2",
    };
}

impl RungeKutta for Sriw1 {
    const TABLEAU: Tableau = Tableau {
        stages: &[
            stage(q(0, 1), &[], &[]),
            stage(q(3, 4), &[(0, q(3, 4))], &[(0, Mix::i10(q(3, 2)))]),
            stage(q(1, 4), &[(0, q(1, 4))], &[(0, Mix::root(q(1, 2)))]),
            stage(q(1, 1), &[(0, q(1, 1))], &[(0, Mix::root(q(-1, 1)))]),
            stage(q(1, 4), &[(0, q(1, 4))], &[(0, Mix::root(q(-5, 1))), (2, Mix::root(q(3, 1))), (3, Mix::root(q(1, 2)))]),
        ],
        next: stage(
            q(1, 1),
            &[(0, q(1, 3)), (1, q(2, 3))],
            &[
                (0, Mix::ito(q(-1, 1), q(-1, 1), q(2, 1), q(-2, 1))),
                (2, Mix::ito(q(4, 3), q(4, 3), q(-4, 3), q(5, 3))),
                (3, Mix::ito(q(2, 3), q(-1, 3), q(-2, 3), q(-2, 3))),
                (4, Mix::ito(q(0, 1), q(0, 1), q(0, 1), q(1, 1))),
            ],
        ),
        error: Some(stage(
            q(1, 1),
            &[(0, q(-2, 3)), (1, q(2, 3))],
            &[
                (0, Mix::ito(q(0, 1), q(0, 1), q(2, 1), q(-2, 1))),
                (2, Mix::ito(q(0, 1), q(0, 1), q(-4, 3), q(5, 3))),
                (3, Mix::ito(q(0, 1), q(0, 1), q(-2, 3), q(-2, 3))),
                (4, Mix::ito(q(0, 1), q(0, 1), q(0, 1), q(1, 1))),
            ],
        )),
    };
}

runge_kutta!(Sriw1 for Ito, Diagonal, embedded);
