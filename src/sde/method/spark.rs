use super::prelude::*;

/// SPaRK, the splitting path Runge-Kutta method, Stratonovich (Foster, dos Reis and Strange 2024): the
/// equation driven by a piecewise linear path that has the W and H of the Brownian one, solved by one
/// embedded pair.
#[derive(Debug, Clone, Copy)]
pub struct Spark;

enter!([Spark] additive, commutative);

impl Method for Spark {
    const CLAIMS: Claims = Claims {
        name: "spark",
        calculus: CalculusKind::Stratonovich,
        needs: Self::TABLEAU.needs(),
        orders: &[
            Orders::of(NoiseKind::Additive, 1.5, 2.0),
            Orders::of(NoiseKind::Scalar, 1.0, 1.0),
            Orders::of(NoiseKind::Diagonal, 1.0, 1.0),
            Orders::of(NoiseKind::Commutative, 1.0, 1.0),
            Orders::of(NoiseKind::General, 0.5, 1.0),
        ],
        invariant: None,
        drifts: Self::TABLEAU.drifts(),
        source: "Foster, dos Reis, Strange 2024",
    };
}

impl RungeKutta for Spark {
    const TABLEAU: Tableau = Tableau {
        stages: &[
            stage(q(0, 1), &[], &[]),
            stage(q(1, 2), &[(0, q(1, 2))], &[(0, Mix::wh(q(1, 2), Surd::root3(1, 1)))]),
            stage(q(1, 1), &[(1, q(1, 1))], &[(1, Mix::w(q(1, 1)))]),
        ],
        next: stage(
            q(1, 1),
            &[(0, OUTER), (1, INNER), (2, OUTER)],
            &[(0, Mix::wh(OUTER, q(1, 1))), (1, Mix::w(INNER)), (2, Mix::wh(OUTER, q(-1, 1)))],
        ),
        error: Some(stage(
            q(1, 1),
            &[(0, LOWER), (1, INNER), (2, LOWER)],
            &[(0, Mix::wh(LOWER, q(1, 1))), (1, Mix::w(INNER)), (2, Mix::wh(LOWER, q(-1, 1)))],
        )),
    };
}

/// (3 - sqrt 3)/6.
const OUTER: Surd = q(1, 2).plus(Surd::root3(-1, 6));
/// sqrt(3)/3.
const INNER: Surd = Surd::root3(1, 3);
/// Against the trapezoid: OUTER - 1/2.
const LOWER: Surd = Surd::root3(-1, 6);

runge_kutta!(Spark for Stratonovich, General, embedded);
