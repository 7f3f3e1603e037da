//! The cases: what is learned, from how much, and with which reference.

use super::{Method, less_data};
use crate::Result;
use crate::config::Setting;
use crate::data::{Dataset, Encoder, Request, load};
use crate::mixture::{Covariances, Mixture};
use crate::rng::{Purpose, Stream};
use ndarray::{Array1, Array2, s};
use std::path::Path;

/// One thing to learn.
#[derive(Debug, Clone)]
pub struct Case {
    /// Which question it belongs to.
    pub group: &'static str,
    /// Its name, in all tables.
    pub name: String,
    /// Where it stands in its group: what varies there.
    pub at: f64,
    /// The data, by name or as a mixture.
    pub request: Request,
    /// Principal components that are the data (0: the data themselves).
    pub latent: usize,
    /// Optimiser steps.
    pub steps: usize,
    /// Numbers of solver steps that samples are also drawn with.
    pub sampling: Vec<usize>,
    /// What every method of the case sets.
    pub settings: Vec<Setting>,
    /// By how much the means of a fitted mixture are shifted along the first coordinate before anything else
    /// is done.
    pub shift: f64,
    /// What is compared.
    pub methods: Vec<Method>,
    /// The case whose search chooses the settings, where it is not its own.
    pub tuned_on: Option<String>,
}

impl Case {
    /// The points of a seed: as many as the case has for training, and fresh ones.
    ///
    /// # Errors
    /// As [`load`].
    pub fn data(&self, seed: u64) -> Result<Dataset> {
        let request = Request { seed, ..self.request.clone() };
        if self.latent == 0 {
            return load(&request);
        }
        // The components of all points that are not held out: the same coordinates whatever the number.
        let whole = load(&Request { n: None, ..request })?;
        let encoder = Encoder::fit(&whole, self.latent)?;
        let n = self.request.n.unwrap_or(whole.points.nrows()).min(whole.points.nrows());
        // Encoded together: a product may round a row by how many there are.
        let points = encoder.encode(whole.points.view())?.slice_move(s![..n, ..]);
        Ok(Dataset { points, held_out: encoder.encode(whole.held_out.view())?, images: None, labels: None, held_out_labels: None, ..whole })
    }

    /// The name of the case whose search chooses the settings.
    pub fn tuned_on(&self) -> &str {
        self.tuned_on.as_deref().unwrap_or(&self.name)
    }
}

/// Names of the groups, with what they ask.
pub const GROUPS: [(&str, &str); 7] = [
    ("clusters", "separated clusters with unequal weights: more of them, and more dimensions"),
    ("small-sets", "few data points"),
    ("few-sampling-steps", "few steps of the solver when generating"),
    ("few-optimiser-steps", "few steps of the optimiser"),
    ("symmetry", "approximate symmetry from 100 points: reference tied along orbits, untied, exactly symmetric"),
    ("misfit", "references that are wrong: too few components, shifted means, laws that no small mixture fits"),
    (
        "less-data",
        "how many points a likelihood of held-out points takes; \"kept\": a fifth of them held out, and the corrections that this allows",
    ),
];

/// The cases of all groups; the small ones of a quick run. With images at `data`, cases about them, too.
pub fn cases(quick: bool, data: Option<&Path>) -> Vec<Case> {
    let mut all = Vec::new();
    let usual = Method::USUAL.to_vec();
    let named = |name: &str, n: usize| Request { name: name.to_owned(), n: Some(n), ..Request::default() };
    let (points, steps) = if quick { (300, 60) } else { (1000, 500) };
    let base = |group: &'static str, name: String, at: f64, request: Request| Case {
        group,
        name,
        at,
        request,
        latent: 0,
        steps,
        sampling: Vec::new(),
        settings: Vec::new(),
        shift: 0.0,
        methods: usual.clone(),
        tuned_on: None,
    };
    let clusters: &[(usize, usize)] = if quick { &[(4, 2)] } else { &[(2, 2), (4, 2), (8, 2), (16, 2), (4, 4), (4, 8), (4, 16)] };
    for (k, d) in clusters {
        let Ok(mixture) = separated(*k, *d) else { continue };
        let request = Request { name: "mixture".to_owned(), n: Some(points), mixture: Some(mixture), ..Request::default() };
        let at = if *d == 2 { *k as f64 } else { *d as f64 };
        all.push(base("clusters", format!("{k} modes in {d}-d"), at, request));
    }
    let sizes: &[usize] = if quick { &[50] } else { &[50, 200, 1000, 5000] };
    all.extend(sizes.iter().map(|n| base("small-sets", format!("four-modes, n = {n}"), *n as f64, named("four-modes", *n))));
    let sweep = if quick { vec![5, 20] } else { vec![5, 10, 20, 50, 100, 200] };
    all.push(Case { sampling: sweep, ..base("few-sampling-steps", "four-modes, solver".to_owned(), 1.0, named("four-modes", points)) });
    let budgets: &[usize] = if quick { &[30] } else { &[100, 200, 500, 1000, 2000, 4000] };
    all.extend(budgets.iter().map(|steps| Case {
        steps: *steps,
        ..base("few-optimiser-steps", format!("four-modes, {steps} steps"), *steps as f64, named("four-modes", points))
    }));
    let symmetric = [
        ("near-c4", vec![Method::TIED_C4, Method::EXACT_C4, Method::REFERENCE_C4, Method::REFERENCE_C4_EXACT]),
        ("near-c2", vec![Method::TIED_C2, Method::EXACT_C2, Method::REFERENCE_C2]),
    ];
    for (i, (law, tied)) in symmetric.into_iter().enumerate().take(if quick { 1 } else { 2 }) {
        let mut methods = vec![Method::LINEAR, Method::COLOURED, Method::REFERENCE, Method::NDSM, Method::NDSM_KEPT];
        methods.extend(tied);
        all.push(Case { methods, ..base("symmetry", format!("{law}, n = 100"), i as f64, named(law, 100)) });
    }
    let fixed = |k: usize| vec![Setting::new("reference.components", k)];
    let two = Case { settings: fixed(2), ..base("misfit", "four-modes, k = 2".to_owned(), 0.0, named("four-modes", points)) };
    let shifted = Case { shift: 1.0, ..base("misfit", "four-modes, means shifted by 1".to_owned(), 1.0, named("four-modes", points)) };
    all.push(two);
    if !quick {
        all.push(shifted);
        all.push(base("misfit", "moons".to_owned(), 2.0, named("moons", points)));
        all.push(base("misfit", "ring".to_owned(), 3.0, named("ring", points)));
        all.push(Case { settings: fixed(2), ..base("misfit", "moons, k = 2".to_owned(), 4.0, named("moons", points)) });
    }
    all.extend(less_data::cases(quick, data));
    all
}

/// `k` modes of standard deviation .5 in R^d, at least 3 apart, with weights proportional to k, k - 1, ...,
/// 1. The places are drawn from N(0, 16 I), too near ones again; the draw depends on k and d alone.
fn separated(k: usize, d: usize) -> Result<Mixture> {
    let mut stream = Stream::new(0, Purpose::Split, 16 + k as u64, d as u32);
    let mut means = Array2::<f64>::zeros((k, d));
    for i in 0..k {
        // In two dimensions 16 discs of radius 1.5 cover a small part of the place: some draw is far enough.
        for _ in 0..10_000 {
            let place: Array1<f64> = (0..d).map(|_| 4.0 * stream.normal::<f64>()).collect();
            let near = (0..i).any(|j| (&means.row(j) - &place).mapv(|v| v * v).sum() < 9.0);
            if !near {
                means.row_mut(i).assign(&place);
                break;
            }
        }
    }
    let weights: Array1<f64> = (0..k).map(|i| (k - i) as f64).collect();
    Mixture::new(&weights / weights.sum(), means, Covariances::Spherical(Array1::from_elem(k, 0.25)))
}
