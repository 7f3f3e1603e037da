//! `ndsm audit --out`: convergence plots, and one page with them and the tables.

use super::encode::escape;
use super::html::{document, figure, table};
use super::plot::{Errors, convergence};
use crate::audit::{Report, Row, Slope};
use crate::data::write_whole;
use crate::{Error, Result};
use std::path::Path;

/// Makes the directory, before the work that fills it.
///
/// # Errors
/// Exit code 2 where that is not possible.
pub fn prepare(dir: &Path) -> Result<()> {
    let made = std::fs::create_dir_all(dir).and_then(|()| super::run_dir::probe(dir));
    made.map_err(|e| Error::bad_file(dir, format!("the directory cannot be made: {}", e.kind())))
}

/// Writes a picture for each equation that orders were measured on, and `index.html`, which holds them all and
/// needs nothing else.
///
/// # Errors
/// `File` where writing fails.
pub fn write(dir: &Path, report: &Report) -> Result<()> {
    let mut body = format!("<h1>Audit</h1>\n<p class=\"lead\">{}</p>\n", escape(&report.summary()));
    for part in &report.tables {
        body += &format!("<h2>{}</h2>\n<p class=\"how\">{}</p>\n", escape(part.subject.name()), escape(part.how));
        for (title, methods) in pictures(&part.rows) {
            let drawn = convergence(&title, ["step size", "error"], &methods);
            drawn.save_all(&dir.join(format!("{}.png", slug(&title))))?;
            body += &figure(&drawn.html(), &title);
        }
        let row = |row: &Row| {
            let (claim, order) = row.slope.as_ref().map_or_else(Default::default, |s| (s.claim.to_string(), s.order()));
            let (error, bound) =
                row.errors.first().map_or_else(Default::default, |e| (format!("{:.1e}", e.error), format!("{:.0e}", e.bound)));
            let verdict = if row.pass { "pass".to_owned() } else { format!("FAIL {}", row.note) };
            vec![row.name.clone(), row.tried.join(" "), claim, order, error, bound, verdict]
        };
        let head = ["", "tried on", "claim", "measured", "error", "bound", "verdict"];
        body += &table(&head, &part.rows.iter().map(row).collect::<Vec<_>>(), &[2, 3, 4, 5]);
    }
    let index = dir.join("index.html");
    write_whole(&index, document("Audit", &body).as_bytes()).map_err(|e| Error::io(&index, "the page cannot be written", &e))
}

/// The measured curves, by what they were measured on.
fn pictures(rows: &[Row]) -> Vec<(String, Vec<Errors>)> {
    let mut all: Vec<(String, Vec<Errors>)> = vec![];
    for row in rows {
        let Some(Slope { claim, curve: Some(curve), .. }) = &row.slope else { continue };
        let points = curve.h.iter().zip(&curve.error).map(|(h, e)| [*h, *e]).collect();
        let errors = Errors { name: row.name.clone(), order: *claim, points };
        let title = row.tried.join(" ");
        match all.iter_mut().find(|(t, _)| *t == title) {
            Some((_, methods)) => methods.push(errors),
            None => all.push((title, vec![errors])),
        }
    }
    all
}

/// The title as a file name.
fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Curve, Subject, Table};

    #[test]
    fn the_page_holds_a_picture_for_each_equation() {
        let curve = Some(Curve { h: vec![0.1, 0.2], error: vec![0.01, 0.02] });
        let row = |name: &str, on: &str| Row {
            name: name.into(),
            tried: vec![on.into()],
            slope: Some(Slope { claim: 1.0, measured: 1.01, error: 0.02, curve: curve.clone() }),
            ..Row::default()
        };
        let rows = vec![row("a", "strong, x: <y>"), row("b", "strong, x: <y>"), row("c", "weak: z"), Row::default()];
        let report = Report { tables: vec![Table { subject: Subject::Integrators, how: "how", rows }], seconds: 1.0 };
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("a/b");
        prepare(&dir).unwrap();
        write(&dir, &report).unwrap();
        let page = std::fs::read_to_string(dir.join("index.html")).unwrap();
        assert_eq!(page.matches("<figure").count(), 2);
        assert!(page.contains("1.010 +- 0.020") && page.contains("FAIL") && !page.contains("<y>"));
        for (name, begins) in [("strong-x-y.png", "\u{89}PNG"), ("weak-z.png", "\u{89}PNG"), ("weak-z.svg", "<svg"), ("weak-z.pdf", "%PDF")]
        {
            let begins: Vec<u8> = begins.chars().map(|c| c as u8).collect();
            assert!(std::fs::read(dir.join(name)).unwrap().starts_with(&begins), "{name}");
        }
        std::fs::write(place.path().join("file"), "").unwrap();
        assert_eq!(prepare(&place.path().join("file")).unwrap_err().exit_code(), 2);
    }
}
