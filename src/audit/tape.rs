//! The operations of the tape: [`gradient`] as a table.

use super::gradient::{self, Reference};
use super::{Measured, Part, Row};

pub(super) const HOW: &str = "\
The vector-Jacobian product of every operation in f64, on every sample and element, against three references:
dual               the forward pass on dual numbers (value, derivative)
central difference five-point differences of the forward pass
second derivative  the product itself on dual numbers against five-point differences of the gradient
Errors are relative to the sizes of the terms that add up to a derivative. A row shows the sharpest reference, or the first
that fails. It also fails if memory is left unwritten or read without saying so, if replays differ in a bit, if f32 does not
follow f64, if a wrong shape is not refused, or if no sample has an odd size, a size of 1, an empty axis, a large value.";

/// Checks all of them.
pub(super) const PARTS: &[Part] = &[("operations", |_| Ok(gradient::run().iter().map(row).collect()))];

fn row(row: &gradient::Row) -> Row {
    let judged = row.reference();
    let order = [judged].into_iter().chain(Reference::ALL.into_iter().filter(|r| *r != judged));
    let mut tried: Vec<String> = vec![];
    for shapes in row.samples.iter().map(|s| s.shapes.iter().map(|s| shape(s)).collect::<Vec<_>>().join(",")) {
        if !tried.contains(&shapes) {
            tried.push(shapes);
        }
    }
    Row {
        name: row.op.clone(),
        tried,
        errors: order.map(|r| Measured { reference: r.name(), error: row.worst(r), bound: r.bound() }).collect(),
        pass: row.pass(),
        note: row.note(),
        slope: None,
    }
}

/// 3x1x5; a scalar is ().
fn shape(s: &[usize]) -> String {
    if s.is_empty() { "()".to_string() } else { s.iter().map(usize::to_string).collect::<Vec<_>>().join("x") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Effort, Subject, table};

    #[test]
    fn every_operation_has_a_row_with_three_references() {
        let table = table(Subject::Tape, Effort::Quick, &mut |_| {});
        assert_eq!(table.rows.len(), gradient::run().len());
        let add = table.rows.iter().find(|row| row.name == "add").unwrap();
        let references: Vec<&str> = add.errors.iter().map(|e| e.reference).collect();
        assert_eq!(references, ["dual", "central difference", "second derivative"]);
        for tried in ["3x5,3x5", "(),2x3", "3x1x5,4x1", "0x3,3"] {
            assert!(add.tried.iter().any(|t| t == tried), "{tried} is missing in {:?}", add.tried);
        }
    }
}
