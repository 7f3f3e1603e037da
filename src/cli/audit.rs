//! `ndsm audit`.

use super::args::AuditArgs;
use super::audit_page;
use super::progress::Phase;
use crate::Result;
use crate::audit::{Effort, Event, Measured, Report, Row, Slope, Subject, audit_watched};
use serde_json::{Value, json};
use std::io::Write;

/// Audits what was asked for. The report goes to standard output also if a row fails, which is an error.
pub fn run(args: &AuditArgs) -> Result<String> {
    let subjects = Subject::parse(&args.what)?;
    args.out.as_deref().map(audit_page::prepare).transpose()?;
    let report = watched(&subjects, if args.quick { Effort::Quick } else { Effort::Full });
    args.out.as_deref().map(|dir| audit_page::write(dir, &report)).transpose()?;
    let text = if args.json { object(&args.what, &report).to_string() } else { report.to_string() };
    if let Err(e) = report.verdict() {
        // A closed pipe is the reader's choice.
        let _ = writeln!(std::io::stdout(), "{text}");
        return Err(e);
    }
    Ok(text)
}

/// Audits, and tells of every part when it is done.
fn watched(subjects: &[Subject], effort: Effort) -> Report {
    let phase = Phase::of("audit", subjects.iter().map(|s| s.parts()).sum(), 0);
    let mut place = String::new();
    audit_watched(subjects, effort, &mut |event| match event {
        Event::Begun(subject, part) => {
            place = format!("{}: {part}", subject.name());
            phase.tell(&place);
        }
        Event::Done(rows) => {
            let failed: Vec<&str> = rows.iter().filter(|row| !row.pass).map(|row| row.name.as_str()).collect();
            let verdict = if failed.is_empty() { "pass".to_owned() } else { format!("FAIL {}", failed.join(", ")) };
            phase.note(format!("{place}: {} rows {verdict}", rows.len()));
            phase.advance(1);
        }
    })
}

fn object(what: &str, report: &Report) -> Value {
    let row = |row: &Row| {
        let measured = |e: &Measured| json!({"reference": e.reference, "error": e.error, "bound": e.bound});
        // What the row is judged by also by itself.
        let judged = row.errors.first().map_or(Value::Null, measured);
        let order = |s: &Slope| {
            let curve = s.curve.as_ref().map(|c| json!({"h": c.h, "error": c.error}));
            json!({"claim": s.claim, "measured": s.measured, "error": s.error, "curve": curve})
        };
        json!({"name": row.name, "pass": row.pass, "error": judged["error"], "bound": judged["bound"], "reference": judged["reference"],
            "errors": row.errors.iter().map(measured).collect::<Vec<_>>(), "tried": row.tried, "note": row.note,
            "order": row.slope.as_ref().map(order)})
    };
    let tables = report.tables.iter().map(|t| (t.subject.name().to_owned(), t.rows.iter().map(row).collect())).collect();
    json!({"audit": what, "pass": report.passed(), "seconds": report.seconds, "rows": report.count(), "tables": Value::Object(tables)})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Table;

    #[test]
    fn the_object_says_what_fails() {
        let errors = vec![
            Measured { reference: "dual", error: f64::NAN, bound: 1e-12 },
            Measured { reference: "central difference", error: 1e-10, bound: 1e-8 },
        ];
        let row = Row { name: "mul".into(), tried: vec!["3,3".into()], errors, note: "why".into(), ..Row::default() };
        let report = Report { tables: vec![Table { subject: Subject::Tape, how: "", rows: vec![row] }], seconds: 1.0 };
        let json = object("all", &report);
        assert!(json["audit"] == "all" && json["pass"] == false && json["rows"] == 1, "{json}");
        let row = &json["tables"]["tape"][0];
        // JSON has no NaN.
        assert!(row["name"] == "mul" && row["error"].is_null() && row["bound"] == 1e-12 && row["errors"][1]["error"] == 1e-10, "{json}");
    }
}
