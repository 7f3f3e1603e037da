//! `ndsm fit`: the reference law by itself, with its report.

use super::args::FitArgs;
use super::encode::escape;
use super::html::{document, figure, list, table};
use super::plot::{Curve, responsibilities, sweep};
use super::progress::Phase;
use super::remark;
use super::report::number;
use super::run_dir::RunDir;
use crate::config::{Config, file};
use crate::data::write_whole;
use crate::mixture::{self, Count, FitOptions, Mixture};
use crate::train::{Prepared, prepare_reference};
use crate::{Error, Result};
use ndarray::Array1;

/// Components whose spectra are drawn.
const SPECTRA: usize = 10;

/// Fits, writes the file, the pictures and the page, and returns what to say.
pub fn fit(args: &FitArgs) -> Result<String> {
    let mut settings = args.keys.config.as_deref().map(file::read).transpose()?.unwrap_or_default();
    settings.extend(file::overrides(&args.keys.set)?);
    let given = Config::resolve(&settings)?;
    let run = RunDir::plan_reference(args.out.as_deref(), &given)?;
    let phase = Phase::begin("data and reference");
    let prepared = prepare_reference(&given, &|stage| phase.stage(stage))?;
    drop(phase);
    let phase = Phase::begin("report");
    let law = prepared.reference.in_data_units()?;
    let facts = facts(&prepared, &law)?;
    drop(phase);
    let _held = run.create(&given, None)?;
    remark(format_args!("{}", run.path().display()));
    let [file, page] = run.reference();
    prepared.write_reference(&file)?;

    let lines: Vec<String> = facts.iter().map(|(name, text)| format!("{name}: {text}")).collect();
    let title = format!("{}: {} components, {} covariances", given.data.name.name(), law.components(), law.kind().name());
    let mut body = format!("<h1>{}</h1>\n<p class=\"lead\">The reference law, fitted to the data.</p>\n", escape(&title));
    body += &list(&facts.iter().map(|(a, b)| vec![a.clone(), b.clone()]).collect::<Vec<_>>());
    for (name, drawn, caption) in [
        ("responsibilities", responsibilities(law.responsibilities(prepared.x.view())?.view()), RESPONSIBILITIES),
        ("spectrum", spectrum(&law)?, SPECTRUM),
    ] {
        drawn.save_all(&run.picture(name))?;
        body += &figure(&drawn.html(), caption);
    }
    if !prepared.reference.tried.is_empty() {
        let counted = if given.reference.group == "none" { "components" } else { "components, or orbits of a group" };
        body += "<h2>Numbers of components tried</h2>\n<p>Of each the best of its starts; the lower a criterion, the better.</p>\n";
        let rows = prepared.reference.tried.iter();
        let rows: Vec<Vec<String>> = rows
            .map(|t| vec![t.components.to_string(), format!("{:.4}", t.log_likelihood), format!("{:.1}", t.bic), format!("{:.1}", t.icl)])
            .collect();
        body += &table(&[counted, "mean log-likelihood", "BIC", "ICL"], &rows, &[1, 2, 3]);
    }
    body += "<h2>Components</h2>\n";
    body +=
        &table(&["", "weight", "largest variance", "least variance", "distance to the nearest other"], &components(&law)?, &[1, 2, 3, 4]);
    write_whole(&page, document(&title, &body).as_bytes()).map_err(|e| Error::io(&page, "cannot be written", &e))?;
    Ok(format!("{}\nreference: {}\nreport: {}", lines.join("\n"), file.display(), page.display()))
}

const RESPONSIBILITIES: &str =
    "Which component explains which point. Blocks are clusters apart from each other, smears are components that share their points.";
const SPECTRUM: &str = "Variances of the heaviest components along their principal directions, and of the whole law, in units of the data.";

/// What the fit came to.
fn facts(p: &Prepared, law: &Mixture) -> Result<Vec<(String, String)>> {
    let held_out = p.encoder.encode(p.data.held_out.view())?;
    let one = mixture::fit(p.x.view(), &FitOptions { components: Count::Fixed(1), ..FitOptions::default() })?.mixture;
    let mut facts = vec![
        ("points".to_owned(), format!("{} for the fit, {} held out, {} dimensions", p.x.nrows(), held_out.nrows(), law.dim())),
        ("components".to_owned(), law.components().to_string()),
        ("mean log-likelihood".to_owned(), mean_and_error(law.log_density(p.x.view())?)),
        ("held out".to_owned(), mean_and_error(law.log_density(held_out.view())?)),
        ("held out, one Gaussian".to_owned(), mean_and_error(one.log_density(held_out.view())?)),
    ];
    facts.extend(p.data.notes.iter().map(|note| ("data".to_owned(), note.clone())));
    facts.extend(p.config.choices().iter().map(|c| ("chosen".to_owned(), c.clone())));
    facts.extend(p.reference.notes.iter().map(|n| ("note".to_owned(), n.clone())));
    Ok(facts)
}

/// Mean and its standard error.
fn mean_and_error(values: Array1<f64>) -> String {
    let error = values.std(1.0) / (values.len() as f64).sqrt();
    format!("{:.4} +- {error:.4}", values.mean().unwrap_or(f64::NAN))
}

/// The components from the heaviest on.
fn heaviest(law: &Mixture) -> Vec<usize> {
    let mut order: Vec<usize> = (0..law.components()).collect();
    order.sort_by(|a, b| law.weights()[*b].total_cmp(&law.weights()[*a]));
    order
}

fn spectrum(law: &Mixture) -> Result<super::plot::Figure> {
    let mut whole = crate::linalg::symmetric_eigen(law.total_covariance().view())?.values.to_vec();
    whole.reverse();
    let curve = |name: String, values: Vec<f64>| Curve {
        name,
        points: values.into_iter().enumerate().map(|(i, v)| [(i + 1) as f64, v, v, v]).collect(),
    };
    let mut curves = vec![curve("the whole law".to_owned(), whole)];
    for k in heaviest(law).into_iter().take(SPECTRA) {
        curves.push(curve(format!("component {k}, weight {:.3}", law.weights()[k]), law.spectrum(k)?));
    }
    Ok(sweep("Variances along principal directions", ["direction, from the widest on", "variance, squared units of the data"], &curves))
}

/// A line for each component: weight, largest and least variance, and how far its mean is from the nearest
/// other's in standard deviations of the pooled covariance along the line between them.
fn components(law: &Mixture) -> Result<Vec<Vec<String>>> {
    let pooled = law.pooled_covariance();
    let apart = |a: usize, b: usize| {
        let v = &law.means().row(a) - &law.means().row(b);
        let square = v.dot(&v);
        square / v.dot(&pooled.dot(&v)).max(f64::MIN_POSITIVE).sqrt()
    };
    let mut rows = Vec::new();
    for k in heaviest(law) {
        let spectrum = law.spectrum(k)?;
        let nearest = (0..law.components()).filter(|j| *j != k).map(|j| apart(k, j)).fold(f64::INFINITY, f64::min);
        let nearest = if nearest.is_finite() { format!("{nearest:.2}") } else { "-".to_owned() };
        rows.push(vec![
            k.to_string(),
            format!("{:.4}", law.weights()[k]),
            number(spectrum[0]),
            number(spectrum.last().copied().unwrap_or(0.0)),
            nearest,
        ]);
    }
    Ok(rows)
}
