use super::prelude::*;

/// Euler-Maruyama, Ito (eq. 5; Maruyama 1955): x' = x + h f(x, t) + sigma(x, t) W.
#[derive(Debug, Clone, Copy)]
pub struct EulerMaruyama;

enter!([EulerMaruyama] additive, diagonal);

impl Method for EulerMaruyama {
    const CLAIMS: Claims = Claims {
        name: "euler-maruyama",
        calculus: CalculusKind::Ito,
        needs: Self::TABLEAU.needs(),
        orders: EULER_ORDERS,
        invariant: Some(1.0),
        drifts: 1,
        source: "Kloeden and Platen 1992, ch. 10.2",
    };
}

impl RungeKutta for EulerMaruyama {
    const TABLEAU: Tableau =
        Tableau { stages: &[stage(q(0, 1), &[], &[])], next: stage(q(1, 1), &[(0, q(1, 1))], &[(0, Mix::w(q(1, 1)))]), error: None };
}

runge_kutta!(EulerMaruyama for Ito, General);
