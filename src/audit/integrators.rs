//! Integrators: what each claims, beside what is measured.

mod backward;
mod conditions;
mod invariant;
mod paths;
mod poly;
mod problem;
mod section;
mod strong;
mod tree;
mod weak;
mod words;

use super::{Effort, Measured, Row, Slope, Subject, Table};
use crate::sde::{Claims, NoiseKind};
use conditions::Residuals;
use section::{Section, tableaus};

const HOW: &str = "\
How";

/// Checks all methods of the registry.
pub fn table(effort: Effort) -> Table {
    let mut rows: Vec<Row> = Section::ALL.into_iter().flat_map(by_conditions).collect();
    rows.extend(strong::rows(effort));
    for part in [weak::rows(effort), invariant::rows(effort)] {
        rows.extend(part.unwrap_or_else(|e| vec![Row { name: "set-up".to_owned(), note: e.to_string(), ..Row::default() }]));
    }
    Table { subject: Subject::Integrators, how: HOW, rows }
}

/// The orders of the tableaus of a section, from their coefficients.
fn by_conditions(section: Section) -> Vec<Row> {
    let row = |(claims, tableau): (Claims, _)| {
        let orders = claims.for_noise(section.noise())?;
        let residuals = Residuals::new(&tableau, section.calculus(), section.noise() == NoiseKind::Additive);
        let unmet = residuals.unmet(orders.strong, orders.weak);
        let slope = |claim, measured| Some(Slope { claim, measured, error: 0.0, curve: None });
        let row = |kind: &str, slope| Row {
            name: claims.name.to_owned(),
            tried: vec![format!("{kind}, {}: order conditions", orders.noise)],
            pass: unmet.is_empty(),
            note: unmet.join("; "),
            slope,
            ..Row::default()
        };
        Some([row("strong", slope(orders.strong, residuals.strong())), row("weak", slope(orders.weak, residuals.weak()))])
    };
    tableaus(section).into_iter().filter_map(row).flatten().collect()
}

/// A row for a measured order, still to be judged. The limit is checked too: at the shortest step the error must be below h^order.
fn measured(claims: &Claims, what: String, slope: Slope, against: &'static str) -> Row {
    let errors = slope.curve.iter().map(|c| Measured { reference: against, error: c.error[0], bound: c.h[0].powf(slope.claim) });
    Row { name: claims.name.to_owned(), tried: vec![what], errors: errors.collect(), slope: Some(slope), ..Row::default() }
}

impl Row {
    /// Passes if `right`, and the error keeps its bound.
    fn judge(&mut self, right: bool) {
        self.pass = right && self.errors.iter().all(|e| e.error <= e.bound);
    }
}
