//! Experiments with images, in pixels and in the latent space of an autoencoder: every method as it was
//! published and with all that can be done for a network, tuned by one search, with the references alone, few
//! points, unequal classes, approximate symmetry.
//!
//! Half of the images are seen by no method. Every training is one [`ImageJob`]; every draw of samples is one
//! [`ImageRecord`]; what is on record already is not run again.

mod case;
mod job;
mod material;
mod record;
mod search;
mod table;
mod variant;

pub use case::{Coding, ImageCase, Shape};
pub use job::{ImageJob, Judged, Shown, TUNING};
pub use record::{IMAGE_METRICS, ImageKey, ImageRecord};
pub use table::{ImageRow, image_markdown, image_ratio, image_rows, seconds_to_reach};
pub use variant::{Tool, Tools, Variant};

use super::Method;
use super::runner::side_by_side;
use crate::Result;
use crate::data::DataName;
use material::Store;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// Where images are modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSpace {
    /// In so many numbers of an autoencoder, by perceptrons.
    Latent(usize),
    /// In pixels, by U-Nets.
    Pixels,
}

/// How much of everything.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageStudy {
    /// Where the images are modelled.
    pub space: ImageSpace,
    /// Largest side of an image: larger ones are halved, squares of four pixels averaged, while their sides are
    /// even.
    pub side: usize,
    /// Steps of the optimiser after which images of twice that side are compared, too, where there are such; settings
    /// are chosen on the smaller ones.
    pub larger: Vec<usize>,
    /// Units of a hidden layer of the perceptrons, or channels of the U-Nets.
    pub width: usize,
    /// Their kind of file and where it is; without one the embedded digits.
    pub data: Option<(DataName, PathBuf)>,
    /// Steps of the optimiser that are compared.
    pub steps: Vec<usize>,
    /// Those of them at which settings are chosen, parts are taken away, few points are learned from, and solvers
    /// are swept.
    pub middle: usize,
    /// Those, beside them, at which parts are taken away, too.
    pub short: Option<usize>,
    /// Numbers of training images that are compared.
    pub counts: Vec<usize>,
    /// Training images of unequal classes.
    pub shaped: usize,
    /// Numbers of training images that are mirrored or turned; none in a latent space.
    pub oriented: Vec<usize>,
    /// Settings that the search tries for each method.
    pub budget: usize,
    /// Seeds on which they are compared; they begin at [`TUNING`].
    pub tuning_seeds: u64,
    /// Draws of samples there.
    pub tuning_draws: u64,
    /// Seeds that are reported, from 0.
    pub seeds: u64,
    /// Draws of samples there.
    pub draws: u64,
    /// Samples of a draw.
    pub samples: usize,
    /// Steps of the autoencoder, and of the classifier that judges.
    pub encoder_steps: usize,
    /// See `encoder_steps`.
    pub judge_steps: usize,
    /// Numbers of solver steps that samples are drawn with after `middle` steps.
    pub solvers: Vec<usize>,
}

/// The groups of cases, with what they ask.
pub const IMAGE_GROUPS: [(&str, &str); 7] = [
    ("full", "all training images: steps of the optimiser, evaluations of the network"),
    ("larger", "images of twice the side (in pixels)"),
    ("parts", "what each part contributes: taken away in turn, as far as the search had not left it out itself"),
    ("small-sets", "few training images"),
    ("imbalance", "classes of unequal shares"),
    ("symmetry", "images mirrored or turned in unequal shares (in pixels)"),
    ("joint", "encoder and score one after the other, or together (in a latent space; training s has the encoder's)"),
];

/// Of few images so many times fewer steps are looked at, too.
const EARLY: usize = 8;

impl ImageStudy {
    /// What `ndsm reproduce latent` runs.
    pub fn latent() -> Self {
        ImageStudy {
            space: ImageSpace::Latent(16),
            side: 64,
            larger: Vec::new(),
            width: 256,
            data: None,
            steps: vec![125, 250, 500, 1000, 2000],
            middle: 1000,
            short: Some(250),
            counts: vec![200, 500, 1000, 2000],
            shaped: 1000,
            oriented: Vec::new(),
            budget: 8,
            tuning_seeds: 1,
            tuning_draws: 2,
            seeds: 3,
            draws: 4,
            samples: 5000,
            encoder_steps: 3000,
            judge_steps: 1500,
            solvers: vec![2, 4, 8, 16, 32],
        }
    }

    /// What `ndsm reproduce images` runs.
    pub fn pixels() -> Self {
        ImageStudy {
            space: ImageSpace::Pixels,
            side: 14,
            larger: vec![500, 2000],
            width: 32,
            steps: vec![250, 500, 1000, 2000],
            middle: 500,
            short: None,
            counts: vec![200, 500, 1000, 2000],
            oriented: vec![500, 2000],
            budget: 3,
            // Of a U-Net a sample takes as long as half a hundred of a perceptron's steps.
            samples: 1000,
            solvers: vec![2, 4, 8, 16],
            ..Self::latent()
        }
    }

    /// What `--quick` runs: enough to see that everything works, too little for any conclusion.
    pub fn quick(self) -> Self {
        let (steps, counts, solvers) = (vec![20, 40], vec![200], vec![2]);
        let oriented = self.oriented.iter().take(1).map(|_| 200).collect();
        let few = ImageStudy { steps, counts, solvers, oriented, larger: Vec::new(), middle: 40, short: None, shaped: 200, ..self };
        let few = ImageStudy { budget: 1, tuning_seeds: 1, tuning_draws: 1, seeds: 1, draws: 2, samples: 300, ..few };
        match few.space {
            ImageSpace::Latent(_) => ImageStudy { width: 32, encoder_steps: 60, judge_steps: 60, ..few },
            ImageSpace::Pixels => ImageStudy { side: 8, width: 8, steps: vec![10], middle: 10, judge_steps: 60, samples: 100, ..few },
        }
    }

    /// Its cases.
    pub fn cases(&self) -> Vec<ImageCase> {
        let middle = self.middle;
        let case = |group: &'static str, name: String, shape: Shape, steps: usize| {
            let coding = Coding::Autoencoder;
            ImageCase { group, name, shape, coding, steps, side: self.side }
        };
        let mut all: Vec<ImageCase> =
            self.steps.iter().map(|steps| case("full", format!("all, {steps} steps"), Shape::All, *steps)).collect();
        // The embedded digits have no larger ones.
        for steps in self.larger.iter().filter(|_| self.data.is_some()) {
            let name = format!("larger, {steps} steps");
            all.push(ImageCase { side: 2 * self.side, ..case("larger", name, Shape::All, *steps) });
        }
        all.extend(self.short.into_iter().chain([middle]).map(|steps| case("parts", format!("parts, {steps} steps"), Shape::All, steps)));
        for n in &self.counts {
            all.push(case("small-sets", format!("{n} images"), Shape::Count(*n), middle));
            // Stopped early: who learns long copies, so that methods are compared where they copy alike.
            let few = (middle / EARLY).max(1);
            all.push(case("small-sets", format!("{n} images, {few} steps"), Shape::Count(*n), few));
        }
        all.push(case("imbalance", "ten classes".to_owned(), Shape::Imbalanced(self.shaped), middle));
        all.push(case("imbalance", "two classes".to_owned(), Shape::TwoClasses(self.shaped), middle));
        for n in &self.oriented {
            all.push(case("symmetry", format!("{n} images, some mirrored"), Shape::Mirrored(*n), middle));
            all.push(case("symmetry", format!("{n} images, some turned"), Shape::Turned(*n), middle));
        }
        if let ImageSpace::Latent(_) = self.space {
            let joint = Coding::Joint(middle / 2);
            for (name, coding) in [("autoencoder", Coding::Autoencoder), ("vae", Coding::Vae), ("vae, joint", joint)] {
                all.push(ImageCase { coding, ..case("joint", name.to_owned(), Shape::All, middle) });
            }
        }
        all
    }

    /// The names of the groups that it has cases of.
    pub fn groups(&self) -> Vec<&'static str> {
        let cases = self.cases();
        IMAGE_GROUPS.iter().map(|(name, _)| *name).filter(|name| cases.iter().any(|case| case.group == *name)).collect()
    }

    /// What a group compares.
    pub fn variants(&self, group: &str) -> Vec<Variant> {
        let with = |tools: Tools| move |method: Method| Variant { method, tools, tied: false };
        let rivals = [Method::WHITE_VP, Method::COLOURED, Method::EDM, Method::FLOW_MATCHING];
        let own = [Method::NDSM, Method::KERNEL, Method::FLOW];
        let pixels = self.space == ImageSpace::Pixels;
        let mut all: Vec<Variant> = vec![with(Tools::All)(Method::REFERENCE)];
        match group {
            "parts" => {
                for method in [Method::COLOURED, Method::FLOW] {
                    all.extend([Tools::All, Tools::Published].map(|tools| with(tools)(method)));
                    all.extend(Tool::of(self.space).iter().map(|tool| with(Tools::Without(*tool))(method)));
                }
            }
            // In pixels a training takes minutes.
            "full" | "larger" if pixels => {
                all.extend([Method::WHITE_VP, Method::COLOURED, Method::NDSM, Method::FLOW].map(with(Tools::All)));
                all.extend(rivals.map(with(Tools::Published)));
            }
            "full" => {
                all.extend(rivals.into_iter().chain(own).map(with(Tools::All)));
                all.extend(rivals.map(with(Tools::Published)));
                let more = [Method::WHITE_VE, Method::FLOW_MATCHING_OT];
                all.extend(more.map(with(Tools::All)));
                all.extend(more.into_iter().chain(own).map(with(Tools::Published)));
            }
            "joint" => all.extend([Method::WHITE_VP, Method::FLOW].map(with(Tools::All))),
            "symmetry" => {
                all.extend([Method::COLOURED, Method::FLOW].map(with(Tools::All)));
                all.extend([Method::REFERENCE, Method::FLOW].map(|method| Variant { tied: true, ..with(Tools::All)(method) }));
            }
            _ => {
                all.extend([Method::WHITE_VP, Method::COLOURED, Method::NDSM, Method::FLOW].map(with(Tools::All)));
                all.push(with(Tools::Published)(Method::WHITE_VP));
            }
        }
        all
    }

    /// Every variant that has a search of its own.
    fn leaders(&self) -> Vec<Variant> {
        let mut all: Vec<Variant> = Vec::new();
        for variant in self.groups().into_iter().flat_map(|group| self.variants(group)) {
            let leader = variant.leader();
            if !all.contains(&leader) {
                all.push(leader);
            }
        }
        all
    }

    /// The trainings whose figures choose the settings.
    pub fn tuning_jobs(&self) -> Vec<ImageJob> {
        let case = ImageCase {
            group: "full",
            name: "tuning".to_owned(),
            shape: Shape::All,
            coding: Coding::Autoencoder,
            steps: self.middle,
            side: self.side,
        };
        let mut jobs = Vec::new();
        // One setting needs no search.
        if self.budget < 2 {
            return jobs;
        }
        for variant in self.leaders() {
            for candidate in 0..variant.candidates(self.budget) {
                for seed in TUNING..TUNING + self.tuning_seeds {
                    jobs.push(ImageJob { case: case.clone(), variant, candidate, seed, sweep: Vec::new() });
                }
            }
        }
        jobs
    }

    /// The trainings that are reported, each with the settings of the least mean Frechet distance on the tuning
    /// seeds.
    pub fn jobs(&self, tuned: &[ImageRecord]) -> Vec<ImageJob> {
        let mut sums: HashMap<(&str, usize), (f64, f64)> = HashMap::new();
        for r in tuned.iter().filter(|r| r.key.case == "tuning") {
            let sum = sums.entry((&r.key.variant, r.key.candidate)).or_default();
            *sum = (sum.0 + if r.values[0].is_finite() { r.values[0] } else { f64::INFINITY }, sum.1 + 1.0);
        }
        let best = |leader: Variant| {
            let name = leader.name();
            let mean = |candidate: usize| sums.get(&(&name, candidate)).map_or(f64::INFINITY, |(sum, count)| sum / count);
            (0..leader.candidates(self.budget)).min_by(|a, b| mean(*a).total_cmp(&mean(*b))).unwrap_or(0)
        };
        let mut jobs = Vec::new();
        for case in self.cases() {
            // A latent space that a network is trained with is that network's alone.
            let alone = matches!(case.coding, Coding::Joint(_));
            for variant in self.variants(case.group).into_iter().filter(|variant| variant.method.network || !alone) {
                let candidate = best(variant.leader());
                let sweep = if case.group == "full" && case.steps == self.middle { self.solvers.clone() } else { Vec::new() };
                for seed in 0..self.seeds {
                    jobs.push(ImageJob { case: case.clone(), variant, candidate, seed, sweep: sweep.clone() });
                }
            }
        }
        jobs
    }

    /// Runs the jobs that `known` does not hold, one a thread, and hands what each one [found](Judged) to `done` as
    /// it ends. The figures do not depend on the number of threads; the seconds do.
    ///
    /// # Errors
    /// The first error of a job or of `done`; jobs that have begun are finished, no other is begun.
    pub fn run(
        &self,
        jobs: &[ImageJob],
        known: &HashSet<ImageKey>,
        threads: usize,
        mut done: impl FnMut(&ImageJob, Judged) -> Result<()> + Send,
    ) -> Result<()> {
        let todo: Vec<&ImageJob> = jobs.iter().filter(|job| !job.keys(self).iter().all(|key| known.contains(key))).collect();
        let store = Store::default();
        side_by_side(&todo, threads, |job| job::run(job, self, &store), |job, found| done(job, found))
    }
}
