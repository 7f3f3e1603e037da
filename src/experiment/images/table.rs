//! The tables: medians over seeds, intervals, ratios paired by seed and draw.

use super::super::statistics::{Interval, median_interval};
use super::job::DATA;
use super::record::{IMAGE_METRICS, ImageRecord};
use super::{ImageCase, ImageStudy, TUNING, Variant};

/// One line: a variant on a case, with one number of solver steps.
#[derive(Debug, Clone)]
pub struct ImageRow {
    /// The case.
    pub case: ImageCase,
    /// The variant, by its name.
    pub variant: String,
    /// Which settings of its search it has.
    pub candidate: usize,
    /// Steps of the solver.
    pub solver: usize,
    /// Number of seeds.
    pub seeds: usize,
    /// Every figure, in the order of [`IMAGE_METRICS`]: median over seeds of the mean over draws.
    pub figures: [Interval; IMAGE_METRICS.len()],
}

/// The rows of all cases, in their order: of each the training images themselves, then the variants.
pub fn image_rows(study: &ImageStudy, records: &[ImageRecord]) -> Vec<ImageRow> {
    let mut rows = Vec::new();
    for case in study.cases() {
        let own: Vec<&ImageRecord> = records.iter().filter(|r| r.key.case == case.name && r.key.seed < TUNING).collect();
        let named = |variant: Variant| std::iter::once(variant.name()).chain(variant.bare(study.space));
        let names = std::iter::once(DATA.to_owned()).chain(study.variants(case.group).into_iter().flat_map(named));
        for variant in names {
            let all: Vec<&ImageRecord> = own.iter().copied().filter(|r| r.key.variant == variant).collect();
            let mut solvers: Vec<usize> = all.iter().map(|r| r.key.solver).collect();
            solvers.sort_unstable();
            solvers.dedup();
            for solver in solvers {
                let all: Vec<&ImageRecord> = all.iter().copied().filter(|r| r.key.solver == solver).collect();
                let mut seeds: Vec<u64> = all.iter().map(|r| r.key.seed).collect();
                seeds.sort_unstable();
                seeds.dedup();
                let figure = |j: usize| {
                    let mean = |seed: &u64| {
                        let values = all.iter().filter(|r| r.key.seed == *seed).map(|r| r.values[j]).filter(|v| !v.is_nan());
                        let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
                        sum / count
                    };
                    median_interval(&seeds.iter().map(mean).collect::<Vec<f64>>())
                };
                rows.push(ImageRow {
                    case: case.clone(),
                    variant: variant.clone(),
                    candidate: all[0].key.candidate,
                    solver,
                    seeds: seeds.len(),
                    figures: std::array::from_fn(figure),
                });
            }
        }
    }
    rows
}

/// Figure `j` of one (case, variant, solver) over that of another, paired by seed and draw: median and interval.
pub fn image_ratio(records: &[ImageRecord], j: usize, a: (&str, &str, usize), b: (&str, &str, usize)) -> Interval {
    let of = |(case, variant, solver): (&str, &str, usize), seed: u64, draw: u64| {
        let found = records.iter().find(|r| {
            let k = &r.key;
            (k.case.as_str(), k.variant.as_str(), k.solver, k.seed, k.draw) == (case, variant, solver, seed, draw)
        });
        found.map(|r| r.values[j])
    };
    let own = records.iter().filter(|r| (r.key.case.as_str(), r.key.variant.as_str(), r.key.solver) == a && r.key.seed < TUNING);
    let ratios: Vec<f64> = own.filter_map(|r| Some(r.values[j] / of(b, r.key.seed, r.key.draw)?)).collect();
    median_interval(&ratios)
}

impl ImageRow {
    /// The median of a figure, by its name.
    pub fn median(&self, name: &str) -> f64 {
        ImageRecord::place(name).map_or(f64::NAN, |j| self.figures[j].median)
    }

    /// Seconds that the reference and the network took.
    pub fn seconds(&self) -> f64 {
        self.median("fit_seconds") + self.median("train_seconds")
    }
}

/// The seconds after which the trainings of `rows`, of one variant with more and more steps, reach a Frechet distance:
/// between two of them along a line in the logarithm of the seconds. None if they never do.
pub fn seconds_to_reach(rows: &[ImageRow], distance: f64) -> Option<f64> {
    let mut points: Vec<[f64; 2]> =
        rows.iter().map(|r| [r.seconds(), r.median("fd")]).filter(|p| p.iter().all(|v| v.is_finite())).collect();
    points.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let reached = points.iter().position(|p| p[1] <= distance)?;
    let [t, fd] = points[reached];
    let Some([before, above]) = reached.checked_sub(1).map(|i| points[i]) else { return Some(t) };
    let share = (above - distance) / (above - fd);
    Some(before * (t / before).powf(share))
}

/// Columns of the table: heading, figure, factor and digits.
const COLUMNS: [(&str, &str, f64, usize); 14] = [
    ("FD raw", "fd_raw", 1.0, 2),
    ("KID x 1e3", "kernel_distance", 1e3, 2),
    ("precision", "precision", 1.0, 3),
    ("recall", "recall", 1.0, 3),
    ("density", "density", 1.0, 2),
    ("coverage", "coverage", 1.0, 3),
    ("memorisation", "memorisation", 1.0, 2),
    ("class TV", "class_tv", 1.0, 3),
    ("rarest", "rarest", 1.0, 2),
    ("variance", "variance", 1.0, 3),
    ("latent variance", "latent_variance", 1.0, 3),
    ("sliced W2", "sliced_w2", 1.0, 3),
    ("gain", "gain", 1.0, 3),
    ("training s", "train_seconds", 1.0, 1),
];

/// Rows as a table in Markdown.
pub fn image_markdown(rows: &[ImageRow]) -> String {
    let headings: String = COLUMNS.iter().map(|(heading, ..)| format!(" {heading} |")).collect();
    let mut out = format!("| case | method | evaluations | FD [95 %] |{headings}\n|{}\n", "---|".repeat(4 + COLUMNS.len()));
    for r in rows {
        let evaluations = if r.solver == 0 { String::new() } else { (2 * r.solver + 1).to_string() };
        let fd = &r.figures[0];
        out += &format!("| {} | {} | {evaluations} | {:.2} [{:.2}, {:.2}] |", r.case.name, r.variant, fd.median, fd.low, fd.high);
        for (_, name, factor, digits) in COLUMNS {
            let value = r.median(name) * factor;
            out += &if value.is_nan() { " |".to_owned() } else { format!(" {value:.digits$} |") };
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::ImageStudy;
    use super::*;

    #[test]
    fn a_distance_is_reached_between_two_trainings() {
        let case = ImageStudy::latent().cases().remove(0);
        let row = |seconds: f64, fd: f64| {
            let mut figures = [Interval { median: 0.0, low: 0.0, high: 0.0 }; IMAGE_METRICS.len()];
            for (name, value) in [("fd", fd), ("fit_seconds", 1.0), ("train_seconds", seconds - 1.0)] {
                figures[ImageRecord::place(name).unwrap()].median = value;
            }
            ImageRow { case: case.clone(), variant: "flow".into(), candidate: 0, solver: 8, seeds: 3, figures }
        };
        let rows = [row(40.0, 2.0), row(10.0, 4.0), row(160.0, 2.5)];
        // Half of the way from 4 to 2 is half of the way from 10 to 40 seconds in the logarithm.
        for (distance, seconds) in [(5.0, Some(10.0)), (4.0, Some(10.0)), (3.0, Some(20.0)), (2.0, Some(40.0)), (1.9, None)] {
            let found = seconds_to_reach(&rows, distance);
            assert!(found.zip(seconds).map_or(found == seconds, |(a, b)| (a - b).abs() <= 1e-9), "{distance}: {found:?}");
        }
        assert_eq!(seconds_to_reach(&[], 1.0), None);
    }
}
