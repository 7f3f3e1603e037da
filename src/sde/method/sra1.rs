use super::prelude::*;

/// SRA1 (Roessler 2010): x' = x + h (f(x)/3 + 2 f(z)/3) + sigma W,
/// z = x + (3/4) h f(x) + (3/2) sigma (W/2 + H), z at time t + 3h/4.
#[derive(Debug, Clone, Copy)]
pub struct Sra1;

enter!([Sra1] additive);

impl Method for Sra1 {
    const CLAIMS: Claims = Claims {
        name: "sra1",
        calculus: CalculusKind::Either,
        needs: Self::TABLEAU.needs(),
        orders: &[Orders::of(NoiseKind::Additive, 1.5, 2.0)],
        invariant: None,
        drifts: Self::TABLEAU.drifts(),
        source: "Roessler 2010, table 6.3",
    };
}

impl RungeKutta for Sra1 {
    const TABLEAU: Tableau = Tableau {
        stages: &[
            stage(q(0, 1), &[], &[]),
            stage(q(3, 4), &[(0, q(3, 4))], &[(0, Mix::i10(q(3, 2)))]),
            stage(q(1, 1), &[], &[]), // for sigma(t + h)
        ],
        next: stage(q(1, 1), &[(0, q(1, 3)), (1, q(2, 3))], ADDITIVE_ENDS),
        error: Some(stage(q(1, 1), &[(0, q(-2, 3)), (1, q(2, 3))], &[])),
    };
}

runge_kutta!(Sra1 for Stratonovich, Additive, embedded);
