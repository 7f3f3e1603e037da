//! `report.html`: a run on one page, in one file that refers to nothing outside of itself.

use super::args::ReportArgs;
use super::compare;
use super::encode::escape;
use super::film::Film;
use super::html::{document, folded, kept_figure, list, table};
use super::run_dir::RunDir;
use super::summary::{Metric, Summary};
use super::{metrics_log, plot};
use crate::config::{Config, KEYS, Key, file};
use crate::data::{check_target, write_whole};
use crate::train::Group;
use crate::{Error, Result};

/// A number of a group.
type Of = fn(&Group) -> f64;

/// The pictures of a diagnosis.
const VARIANCES: [&str; 2] = ["variance-time", "variance-step"];

/// Pictures that the page knows, in its order, with their captions.
const PICTURES: &[(&str, &str)] = &[
    ("samples", "Samples of the trained model."),
    ("classes", "Samples of each class, a row each."),
    ("score", "The learned score over the density of the samples."),
    ("paths", "Paths of the noising and of the denoising process."),
    (
        "gain",
        "The held-out gain (19): the loss on held-out points less that of the reference alone. 0 is \"no network\", below is better. Bars: two standard errors.",
    ),
    ("gain-time", "The held-out gain by group of times."),
    ("loss", "The loss of every step, pale, and its running mean."),
    ("encoder", "Share of the held-out images' variance that their codes lose, while the encoder was trained."),
    (
        VARIANCES[0],
        "Variance of a draw's loss and trace of the covariance of its gradient over the time, with the run's control and without.",
    ),
    (VARIANCES[1], "The same over the length of the step whose score is learned."),
];

const FILM: &str = "Noising of data, then denoising of draws of the reference: move the slider.";

/// The report of one run, the page of several, or their logs as a table; returns what to say.
/// # Errors
/// What is no run; a page that cannot be written.
pub fn run(args: &ReportArgs) -> Result<String> {
    let runs: Vec<RunDir> = args.dirs.iter().map(|dir| RunDir::open(dir)).collect::<Result<_>>()?;
    if let Some(twice) = args.dirs.iter().enumerate().find(|(i, dir)| args.dirs[..*i].contains(dir)) {
        return Err(Error::refused(twice.1.display().to_string(), "is given twice"));
    }
    match (&runs[..], &args.out) {
        _ if args.csv => compare::csv(&runs),
        ([run], None) => write(run).map(|()| run.report().display().to_string()),
        ([run], Some(_)) => Err(Error::refused("--out", format!("is for several runs; that of one is {}", run.report().display()))),
        (_, out) => {
            let out = out.clone().unwrap_or_else(|| "comparison.html".into());
            check_target(&out).map_err(|e| Error::unwritable(&out, "cannot be written", &e))?;
            compare::write(&runs, &out).map(|()| out.display().to_string())
        }
    }
}

/// Writes `report.html` from the run's files, and the loss curve from its log. Pictures that are not there
/// are left out.
/// # Errors
/// `File` where one of the files is not what it should be, or writing fails.
pub fn write(run: &RunDir) -> Result<()> {
    let config = Config::resolve(&file::read(&run.config())?)?;
    let (steps, losses) = if run.metrics().is_file() { metrics_log::losses(&run.metrics())? } else { Default::default() };
    let io = |e: std::io::Error| Error::io(run.report(), "cannot be written", &e);
    if !steps.is_empty() {
        std::fs::create_dir_all(run.path().join("pictures")).map_err(io)?;
        plot::loss_curves(&[plot::Losses { name: "loss".to_owned(), steps: steps.clone(), losses }]).save_all(&run.picture("loss"))?;
        let metrics_log::GainCurves { held_out, training, times } = metrics_log::gains(&run.metrics())?;
        if held_out.len() > 1 {
            let curve = |name: &str, points: &[[f64; 3]]| plot::Gains { name: name.to_owned(), points: points.to_vec() };
            let both = [curve("held-out points", &held_out), curve("training points", &training)];
            plot::gains("Gain of the network over its reference", &both).save_all(&run.picture("gain"))?;
            let by_time: Vec<plot::Gains> = times.iter().map(|(t, points)| curve(&format!("t = {t:.2}"), points)).collect();
            plot::gains("Held-out gain by time", &by_time).save_all(&run.picture("gain-time"))?;
        }
        let groups = metrics_log::groups(&run.metrics())?;
        // On a uniform grid all steps are of one length.
        let shown: [(&str, Of); 2] = [("time", |g| g.time), ("length of the step", |g| g.step)];
        for (name, (what, x)) in VARIANCES.iter().zip(shown) {
            if groups.windows(2).any(|g| x(&g[1]) > 1.001 * x(&g[0])) {
                plot::convergence("Variances of a draw", [what, "variance"], &variances(&groups, x)).save_all(&run.picture(name))?;
            }
        }
    }
    let mut pictures: Vec<String> = PICTURES.iter().filter_map(|(name, caption)| kept_figure(&run.picture(name), caption)).collect();
    if let Some(film) = Film::read(&run.film()) {
        pictures.insert(1.min(pictures.len()), film.html(FILM));
    }
    let page = page(&config, &Summary::read(&run.summary())?, steps.last().copied(), &pictures.concat());
    write_whole(&run.report(), page.as_bytes()).map_err(io)
}

/// The curves of [`VARIANCES`].
fn variances(groups: &[Group], x: Of) -> Vec<plot::Errors> {
    let of: [(&str, Of); 4] = [
        ("loss, no control", |g| g.plain[0]),
        ("loss, the run's control", |g| g.loss),
        ("gradient, no control", |g| g.plain[1]),
        ("gradient, the run's control", |g| g.gradient),
    ];
    let curve = |(name, y): (&str, Of)| {
        let points: Vec<[f64; 2]> = groups.iter().map(|g| [x(g), y(g)]).filter(|p| p[1].is_finite()).collect();
        plot::Errors { name: name.to_owned(), order: f64::INFINITY, points }
    };
    of.map(curve).into_iter().filter(|curve| !curve.points.is_empty()).collect()
}

/// The page.
fn page(config: &Config, summary: &Summary, last_step: Option<f64>, pictures: &str) -> String {
    let title =
        format!("{}, {} toward a {} reference", config.data.name.name(), config.objective.kind.name(), config.reference.kind.name());
    let done = last_step.map_or(0.0, |s| s);
    let state = if done >= config.train.steps as f64 { String::new() } else { format!(" The run stopped at step {done}.") };
    let mut body = format!(
        "<h1>{}</h1>\n<p class=\"lead\">Control variate {}, {} steps of {} points, seed {}.{state}</p>\n",
        escape(&title),
        escape(config.objective.control.name()),
        config.train.steps,
        config.train.batch,
        config.train.seed,
    );
    if !summary.metrics.is_empty() {
        body += "<div class=\"cards\">\n";
        for m in summary.metrics.iter().filter(|m| m.value.is_some()).take(4) {
            let floor = m.floor.map_or(String::new(), |f| format!("<small>floor {}</small>", escape(&number(f))));
            body += &format!("<div><b>{}</b>{}{floor}</div>\n", escape(&shown(m.value)), escape(&m.name.replace('_', " ")));
        }
        body += "</div>\n";
    }
    body += pictures;
    if !summary.metrics.is_empty() {
        body += "<h2>Metrics</h2>\n<p>The floor is what the training data themselves score against held-out data: differences below it mean nothing. \
                 Reference alone: as many samples of the reference, without the network.</p>\n";
        let decoded = summary.metrics.iter().any(|m| m.decoded.is_some());
        let row = |m: &Metric| {
            let floors = [Some(m.floor), decoded.then_some(m.decoded)];
            let numbers = [m.value, m.reference].into_iter().chain(floors.into_iter().flatten()).map(shown);
            [vec![m.name.clone()], numbers.collect(), vec![m.meaning.clone()]].concat()
        };
        let head: Vec<&str> = if decoded {
            body +=
                "<p>Floor, decoded: the training data after their way through the encoder and back, which is what the encoder drops.</p>\n";
            vec!["metric", "samples", "reference alone", "floor", "floor, decoded", ""]
        } else {
            vec!["metric", "samples", "reference alone", "floor", ""]
        };
        let right: Vec<usize> = (1..head.len() - 1).collect();
        body += &table(&head, &summary.metrics.iter().map(row).collect::<Vec<_>>(), &right);
    }
    if !summary.timings.is_empty() {
        body += "<h2>Timings</h2>\n";
        let row = |(phase, s): &(String, f64)| vec![phase.clone(), format!("{s:.2}")];
        body += &table(&["phase", "seconds"], &summary.timings.iter().map(row).collect::<Vec<_>>(), &[1]);
    }
    if !summary.tape.is_empty() {
        let head = ["", "operation", "reads", "shape", "floating-point operations", "bytes moved"];
        body += &folded("The network on the tape, for a batch", &table(&head, &summary.tape, &[0, 2, 3, 4, 5]));
    }
    body += "<h2>Configuration</h2>\n";
    let row = |k: &Key| Some(vec![k.name.to_owned(), (k.get)(config)?.to_string(), k.doc.trim().replace('`', "")]);
    let usual = Config::default();
    let (set, default): (Vec<&Key>, Vec<&Key>) = KEYS.iter().partition(|k| (k.get)(config) != (k.get)(&usual));
    let [set, default] = [set, default].map(|keys| keys.into_iter().filter_map(row).collect::<Vec<_>>());
    if !set.is_empty() {
        body += &list(&set);
    }
    body += &folded(&format!("{} keys with the values of the default run", default.len()), &list(&default));
    body += "<h2>Made with</h2>\n";
    let mut facts = vec![vec!["ndsm".to_owned(), env!("CARGO_PKG_VERSION").to_owned()]];
    facts.extend(summary.facts.iter().map(|(name, text)| vec![name.clone(), text.clone()]));
    body += &list(&facts);
    document(&title, &body)
}

/// A dash where there is no number.
pub fn shown(x: Option<f64>) -> String {
    x.map_or("–".to_owned(), number)
}

/// A number with four significant digits.
pub fn number(x: f64) -> String {
    if x != 0.0 && !(1e-3..1e6).contains(&x.abs()) {
        return format!("{x:.3e}");
    }
    let digits = if x == 0.0 { 0 } else { (3 - x.abs().log10().floor() as i32).clamp(0, 6) as usize };
    format!("{x:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_refers_to_nothing_outside() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("run");
        let mut config = Config::default();
        config.train.steps = 200;
        let run = RunDir::plan(Some(&out), &config, false).unwrap();
        run.create(&config, None).unwrap();
        let mut log = metrics_log::MetricsLog::open(&run.metrics(), 0).unwrap();
        for step in 1..=200 {
            log.append(&metrics_log::Step { step, loss: 1.0 / step as f64, more: vec![], groups: vec![], gains: None }).unwrap();
        }
        log.flush().unwrap();
        let metrics = vec![
            Metric {
                name: "sliced_w2".into(),
                value: Some(0.01234567),
                floor: Some(0.011),
                meaning: "<sliced> distance".into(),
                ..Metric::default()
            },
            Metric { name: "nll_exact".into(), meaning: "likelihood".into(), ..Metric::default() },
        ];
        let facts = vec![("data".to_owned(), "</table><script>alert(1)</script>".to_owned())];
        Summary { metrics, timings: vec![("training".into(), 12.345)], facts, tape: vec![] }.write(&run.summary()).unwrap();
        write(&run).unwrap();
        let page = std::fs::read_to_string(run.report()).unwrap();
        for part in ["0.01235", "0.01100", "12.35", "sde.t_min", "<svg class=\"panel\"", "data-axes", "&lt;sliced&gt;", "–"] {
            assert!(page.contains(part), "{part} is missing");
        }
        // The one script is the page's own.
        assert!(page.matches("<script").count() == 1 && !page.contains("http") && !page.contains("src=\"/") && !page.contains("stopped"));
        // Every element that is opened is closed.
        for tag in
            ["table", "tr", "td", "th", "div", "figure", "h1", "h2", "p", "body", "html", "style", "svg", "text", "details", "script"]
        {
            let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}
