//! The table: medians over seeds, intervals, differences to the linear baseline.

use super::record::{GAIN, KL, METRICS, Record};
use super::statistics::{Interval, median_interval, paired};
use super::{Case, Method, TUNING};

/// One line: a method on a case.
#[derive(Debug, Clone)]
pub struct Row {
    /// Group, case and place of the case in its group.
    pub case: Case,
    /// The method.
    pub method: &'static str,
    /// Which settings of its search it has.
    pub candidate: usize,
    /// Steps of the solver.
    pub solver: usize,
    /// Whether the row belongs to a sweep over them.
    pub sweep: bool,
    /// Number of seeds.
    pub seeds: usize,
    /// How many of them have a held-out gain above 0 by more than two standard errors.
    pub worse: usize,
    /// Every figure over the seeds, in the order of [`METRICS`].
    pub figures: [Interval; METRICS.len()],
    /// Sliced W_2 less the baseline's, paired by seed, and the P value of no difference.
    pub difference: (Interval, f64),
    /// The same of `nll_excess`.
    pub nll_difference: (Interval, f64),
}

/// The rows of all cases, in their order. The baseline is the method `linear` with the solver steps of its
/// own search, or in a sweep with the row's.
pub fn summarise(cases: &[Case], records: &[Record]) -> Vec<Row> {
    let mut rows = Vec::new();
    for case in cases {
        let own: Vec<&Record> = records.iter().filter(|r| r.key.case == case.name && r.key.seed < TUNING).collect();
        let mut solvers = vec![None];
        solvers.extend(case.sampling.iter().map(|s| Some(*s)));
        for solver in solvers {
            let of = |method: &str| -> Vec<&Record> {
                let mut all: Vec<&Record> = own
                    .iter()
                    .copied()
                    .filter(|r| r.key.method == method && r.key.sweep == solver.is_some() && solver.is_none_or(|s| s == r.key.solver))
                    .collect();
                all.sort_by_key(|r| r.key.seed);
                all
            };
            let baseline = of(Method::LINEAR.name);
            for method in &case.methods {
                let all = of(method.name);
                let Some(first) = all.first() else { continue };
                let column = |j: usize| -> Vec<f64> { all.iter().map(|r| r.values[j]).collect() };
                let against = |j: usize| {
                    let pairs = all.iter().filter_map(|r| {
                        let other = baseline.iter().find(|b| b.key.seed == r.key.seed)?;
                        Some((r.values[j], other.values[j]))
                    });
                    let (a, b): (Vec<f64>, Vec<f64>) = pairs.unzip();
                    paired(&a, &b)
                };
                rows.push(Row {
                    case: case.clone(),
                    method: method.name,
                    candidate: first.key.candidate,
                    solver: first.key.solver,
                    sweep: first.key.sweep,
                    seeds: all.len(),
                    worse: all.iter().filter(|r| r.values[GAIN] > 2.0 * r.values[GAIN + 1]).count(),
                    figures: std::array::from_fn(|j| median_interval(&column(j))),
                    difference: against(0),
                    nll_difference: against(3),
                });
            }
        }
    }
    rows
}

/// The rows of one group as a table in Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut out = String::from(
        "| case | method | solver | sliced W2 [95 %] | less linear's [95 %] | P | outliers | weights TV | NLL excess | KL | gain | memorisation | s |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for r in rows {
        let f = &r.figures;
        let shown = |v: f64, digits: usize| if v.is_nan() { String::new() } else { format!("{v:.digits$}") };
        let percent = |v: f64| if v.is_nan() { String::new() } else { format!("{:.2} %", 100.0 * v) };
        let (difference, p) = if r.method == Method::LINEAR.name {
            (String::new(), String::new())
        } else {
            let (d, p) = &r.difference;
            (format!("{:+.3} [{:+.3}, {:+.3}]", d.median, d.low, d.high), shown(*p, 3))
        };
        out += &format!(
            "| {} | {} | {} | {:.3} [{:.3}, {:.3}] | {difference} | {p} | {} | {} | {} | {} | {} | {} | {} |\n",
            r.case.name,
            r.method,
            r.solver,
            f[0].median,
            f[0].low,
            f[0].high,
            percent(f[1].median),
            shown(f[2].median, 3),
            shown(f[3].median, 3),
            shown(f[KL].median, 3),
            shown(f[GAIN].median, 3),
            shown(f[6].median, 2),
            shown(f[7].median, 2),
        );
    }
    out
}

/// The number of optimiser steps at which a method's median sliced W_2 comes down to `target`, by
/// interpolation in logarithms between the numbers that were run; `None` if it does not.
pub fn steps_to_reach(rows: &[Row], method: &str, target: f64) -> Option<f64> {
    let mut points: Vec<(f64, f64)> =
        rows.iter().filter(|r| r.method == method).map(|r| (r.case.steps as f64, r.figures[0].median)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let first = points.first()?;
    if first.1 <= target {
        return Some(first.0);
    }
    points.windows(2).find(|w| w[1].1 <= target).map(|w| {
        let share = (w[0].1 / target).ln() / (w[0].1 / w[1].1).ln();
        w[0].0 * (w[1].0 / w[0].0).powf(share)
    })
}
