use super::prelude::*;

/// SRA3 (Roessler 2010): as SRA1 with a third stage; of order 3 where there is no noise.
#[derive(Debug, Clone, Copy)]
pub struct Sra3;

enter!([Sra3] additive);

impl Method for Sra3 {
    const CLAIMS: Claims = Claims {
        name: "sra3",
        calculus: CalculusKind::Either,
        needs: Self::TABLEAU.needs(),
        orders: &[Orders::of(NoiseKind::Additive, 1.5, 2.0)],
        invariant: None,
        drifts: Self::TABLEAU.drifts(),
        source: "Roessler 2010, table 6.3",
    };
}

impl RungeKutta for Sra3 {
    const TABLEAU: Tableau = Tableau {
        stages: &[
            stage(q(0, 1), &[], &[]),
            stage(q(1, 1), &[(0, q(1, 1))], &[]),
            stage(q(1, 2), &[(0, q(1, 4)), (1, q(1, 4))], &[(0, Mix::i10(q(3, 2)))]),
        ],
        next: stage(
            q(1, 1),
            &[(0, q(1, 6)), (1, q(1, 6)), (2, q(2, 3))],
            &[(0, Mix::wh(q(1, 2), q(1, 1))), (1, Mix::wh(q(1, 2), q(-1, 1)))],
        ),
        error: Some(stage(q(1, 1), &[(0, q(-1, 3)), (1, q(-1, 3)), (2, q(2, 3))], &[])),
    };
}

runge_kutta!(Sra3 for Stratonovich, Additive, embedded);
