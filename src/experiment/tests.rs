//! The plan, and one job of every method.

use super::*;
use crate::config::Config;

#[test]
fn every_setting_that_is_searched_can_be_run() {
    for quick in [true, false] {
        let e = if quick { Experiment::QUICK } else { Experiment::FULL };
        for job in e.tuning_jobs() {
            Config::resolve(&job.settings().0).map_err(|e| e.within(format!("{} {}", job.method.name, job.candidate))).unwrap();
        }
        // Followers take the settings of another search: each of them must suit all.
        for case in cases(quick, None) {
            for method in &case.methods {
                for candidate in 0..e.budget {
                    let job = Job { case: case.clone(), method: *method, candidate, seed: 0, sweep: true };
                    Config::resolve(&job.settings().0).map_err(|e| e.within(format!("{} {candidate}", method.name))).unwrap();
                    assert_eq!(job.keys().len(), if method.network { 1 + case.sampling.len() } else { 1 });
                }
            }
        }
    }
    let names: HashSet<String> = cases(false, None).into_iter().map(|c| c.name).collect();
    assert_eq!(names.len(), cases(false, None).len());
    assert!(names.iter().all(|n| !n.contains(';')));
}

/// The published baselines, which no case has by itself: settings that can be run, and figures that are finite.
#[test]
fn published_baselines_are_methods_like_the_others() {
    let case = cases(true, None).into_iter().find(|c| c.group == "clusters").unwrap();
    let all = [Method::EDM, Method::FLOW_MATCHING, Method::FLOW_MATCHING_OT];
    let kept = [Method::EDM_KEPT, Method::FLOW_MATCHING_KEPT, Method::FLOW_MATCHING_OT_KEPT];
    for method in all.into_iter().chain(kept) {
        for latent in [0, 24] {
            for candidate in 0..60 {
                let job = Job { case: Case { latent, ..case.clone() }, method, candidate, seed: 0, sweep: false };
                let config = Config::resolve(&job.settings().0).map_err(|e| e.within(format!("{} {candidate}", method.name))).unwrap();
                assert_eq!(config.objective.coupling.name() == "optimal-transport", method.name.contains("-ot"), "{}", method.name);
            }
        }
        let e = Experiment { keys: 1, samples: 200, ..Experiment::QUICK };
        let job = Job { case: Case { steps: 8, ..case.clone() }, method, candidate: 1, seed: TUNING - 1, sweep: false };
        let records = run_job(&job, &e).unwrap();
        assert!(records.len() == 1 && records[0].values.iter().all(|v| v.is_finite()), "{records:?}");
    }
}

#[test]
fn records_survive_their_file() {
    let key = Key { case: "a, b = 1".into(), method: "ndsm".into(), candidate: 3, solver: 16, sweep: true, seed: 7 };
    let record = Record { key, values: [0.1, f64::INFINITY, 1e-17, -2.0, -1.0, 0.0, 1.0, 2.0, f64::NEG_INFINITY, 3.5] };
    let line = record.line();
    assert_eq!(Record::parse(&line), Some(record.clone()));
    for cut in 0..line.len() - 3 {
        // A line that was cut off is no record, or lacks a digit of the last value alone.
        assert!(Record::parse(&line[..cut]).is_none_or(|r| r.values[..9] == record.values[..9]));
    }
    assert_eq!(Record::parse(&Record::header()), None);
}

/// The settings of the least tuning figure are taken, on tuning seeds alone, and followers share them.
#[test]
fn the_best_settings_are_taken() {
    let e = Experiment::QUICK;
    let record = |method: &str, candidate: usize, seed: u64, w2: f64| Record {
        key: Key { case: "4 modes in 2-d".into(), method: method.into(), candidate, solver: 16, sweep: false, seed },
        values: [w2; METRICS.len()],
    };
    let tuned = [
        record("ndsm", 0, TUNING, 0.5),
        record("ndsm", 1, TUNING, 0.4),
        record("ndsm", 0, 0, 0.0),
        record("linear", 0, TUNING, f64::INFINITY),
        record("linear", 1, TUNING, 3.0),
    ];
    for job in e.jobs(&tuned).iter().filter(|j| j.case.name == "4 modes in 2-d") {
        let expected = usize::from(["linear", "ndsm"].map(Some).contains(&job.method.tuned_as));
        assert_eq!(job.candidate, expected, "{}", job.method.name);
    }
}

/// A small job of every method: finite figures, the same for one and for two threads and in a second run;
/// nothing is run twice.
#[test]
fn jobs_are_functions_of_their_seed() {
    let e = Experiment { keys: 1, samples: 200, ..Experiment::QUICK };
    let mut jobs: Vec<Job> =
        e.jobs(&[]).into_iter().filter(|j| j.seed == 0 && ["clusters", "symmetry", "less-data"].contains(&j.case.group)).collect();
    jobs.iter_mut().for_each(|j| j.case.steps = 8);
    let run = |threads: usize, known: &HashSet<Key>| {
        let mut all = Vec::new();
        e.run(&jobs, known, threads, |_, records| {
            all.extend(records);
            Ok(())
        })
        .unwrap();
        all.sort_by(|a, b| (&a.key.case, &a.key.method).cmp(&(&b.key.case, &b.key.method)));
        all
    };
    let (one, two) = (run(1, &HashSet::new()), run(2, &HashSet::new()));
    assert_eq!(one.len(), jobs.len());
    for (a, b) in one.iter().zip(&two) {
        // The likelihood is taken of methods with a search of their own and a score; without a network there is
        // no gain.
        let method = a.key.method.as_str();
        let alone = ["reference", "smoothed", "closed-form", "bridge"].iter().any(|name| method.starts_with(name));
        let likelihood = method.starts_with("reference")
            || method == "smoothed"
            || (Method::LEADERS.iter().any(|m| m.name == method) && method != "flow");
        let known = |j: usize| if j == KL { likelihood } else { j < GAIN || !alone };
        assert!(a.values.iter().enumerate().all(|(j, v)| v.is_finite() == known(j)), "{a:?}");
        let same = |v: f64, w: f64| v == w || (v.is_nan() && w.is_nan());
        assert!(a.key == b.key && a.values.iter().zip(&b.values).enumerate().all(|(j, (v, w))| j == 7 || same(*v, *w)), "{a:?} {b:?}");
    }
    assert!(run(2, &one.iter().map(|r| r.key.clone()).collect()).is_empty());
    let failed = e.run(&jobs, &HashSet::new(), 2, |_, _| Err(crate::Error::refused("disk", "is full")));
    assert_eq!(failed.unwrap_err().to_string(), "disk: is full");
    let rows = summarise(&cases(true, None), &one);
    assert_eq!(rows.len(), one.len());
    assert!(markdown(&rows).lines().count() == rows.len() + 2);
}
