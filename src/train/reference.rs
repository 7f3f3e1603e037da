//! The reference law and the whitened coordinates, fitted to the data.

use super::class_fit;
use crate::config::{self, Components, Config, Covariance, ReferenceConfig, ReferenceKind};
use crate::data::rows_by_label;
use crate::mixture::{
    Count, CovarianceKind, Criterion, FitOptions, Group, GroupTrial, Mixture, Progress, Symmetry, Trial, fit_group, fit_watched,
    refit_weights,
};
use crate::sde::Whitening;
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2};

/// Largest number of components that `reference.components = "auto"` tries.
const MOST_COMPONENTS: usize = 30;
/// Points for each number of a component's mean and full covariance from which `reference.covariance =
/// "auto"` gives every component its own (README, "Is the network worth having?").
const POINTS_PER_NUMBER: usize = 10;

/// The number of a pixel that is neither dark nor bright.
const GREY: f64 = 0.5;
/// Most numbers of a reference's matrices, and of full covariances that stand for those of low rank.
const MOST_NUMBERS: usize = 1 << 27;

/// The reference law pi and the coordinates u = A^-1 (x - mean) in which everything is simulated and learned.
#[derive(Debug, Clone)]
pub struct Reference {
    /// x <-> u, with A A^T the mobility: of [`Reference::with_mobility`].
    pub whitening: Whitening,
    /// pi in the coordinates u, floored, its weights refitted.
    pub mixture: Mixture,
    /// Standard deviation of pi along each coordinate of u.
    pub std: Array1<f64>,
    /// Height, width and channels of the points, where they are images.
    pub image: Option<[usize; 3]>,
    /// Numbers of components tried.
    pub tried: Vec<Trial>,
    /// What a reader of the fit should know, a sentence each.
    pub notes: Vec<String>,
}

impl Reference {
    /// Fits the law that `config.reference` asks for to the rows of `x` [n, d]: expectation-maximisation in
    /// x, whitening by the pooled within-component covariance, the floor C_k <- (1 - rho) C_k + rho C_bar,
    /// and expectation-maximisation on the weights alone, because the floor breaks EM's fixed point
    /// (method.md, eq. 15 and 18). With a group of symmetries the components are tied along its orbits (eq.
    /// 14), and C_bar is averaged over the group, so that the floor keeps the ties.
    ///
    /// # Errors
    /// As [`fit`](crate::mixture::fit): data without variance, more components than points; a group that does not act on the
    /// points.
    pub fn fit(x: ArrayView2<f64>, config: &Config) -> Result<Self> {
        Self::fit_images(x, None, config)
    }

    /// [`Reference::fit`] of points that are images of `image` = (height, width) pixels, the numbers of a
    /// pixel side by side, on which groups of images act; the middle grey of the group `inversion` is 1/2.
    ///
    /// # Errors
    /// As [`Reference::fit`]; with `inversion` numbers outside of [0, 1].
    pub fn fit_images(x: ArrayView2<f64>, image: Option<(usize, usize)>, config: &Config) -> Result<Self> {
        Self::fit_watched(x, image, config, &|_| {})
    }

    /// [`Reference::fit_images`], telling `watch` how far it is, as
    /// [`fit_watched`](crate::mixture::fit_watched) does; while groups are compared it is silent.
    ///
    /// # Errors
    /// As [`Reference::fit`].
    pub fn fit_watched(
        x: ArrayView2<f64>,
        image: Option<(usize, usize)>,
        config: &Config,
        watch: &(dyn Fn(&Progress) + Sync),
    ) -> Result<Self> {
        Self::fit_labelled(x, None, image, config, watch)
    }

    /// The same, where there are `labels` with a fit to the points of each label by itself
    /// (`reference.per_class`).
    ///
    /// # Errors
    /// As [`Reference::fit`]; labels that are not as many as points.
    pub fn fit_labelled(
        x: ArrayView2<f64>,
        labels: Option<&[u32]>,
        image: Option<(usize, usize)>,
        config: &Config,
        watch: &(dyn Fn(&Progress) + Sync),
    ) -> Result<Self> {
        if let Some(labels) = labels.filter(|labels| labels.len() != x.nrows()) {
            return Err(Error::shape("labels", format!("{}, one for each point", x.nrows()), &[&[labels.len()]]));
        }
        if !inverts(&config.reference) {
            return Self::fit_centred(x, labels, image, config, watch);
        }
        if let Some(v) = x.iter().find(|v| !(0.0..=1.0).contains(*v)) {
            return Err(Error::refused(
                "reference.group",
                format!("\"inversion\" is of images whose numbers are in [0, 1], and one is {v}"),
            ));
        }
        let mut reference = Self::fit_centred((&x - GREY).view(), labels, image, config, watch)?;
        let w = &reference.whitening;
        reference.whitening = Whitening::from_parts(&w.mean() + GREY, w.factor().to_owned(), w.inverse().to_owned())?;
        Ok(reference)
    }

    /// The same of points around whose origin the group acts.
    fn fit_centred(
        x: ArrayView2<f64>,
        labels: Option<&[u32]>,
        image: Option<(usize, usize)>,
        config: &Config,
        watch: &(dyn Fn(&Progress) + Sync),
    ) -> Result<Self> {
        let r = &config.reference;
        // Of each class.
        let parts = labels.map(rows_by_label);
        let n = parts.iter().flatten().map(|(_, rows)| rows.len()).min().unwrap_or(x.nrows());
        let numbers = CovarianceKind::Full.parameters(1, x.ncols());
        let enough = n >= POINTS_PER_NUMBER * numbers;
        let kind = match r.covariance {
            Covariance::Auto if !enough => CovarianceKind::Tied,
            Covariance::Full | Covariance::Auto => CovarianceKind::Full,
            Covariance::Diagonal => CovarianceKind::Diagonal,
            Covariance::Spherical => CovarianceKind::Spherical,
            Covariance::Tied => CovarianceKind::Tied,
            Covariance::LowRank => CovarianceKind::LowRank(r.rank),
        };
        let components = match (r.kind, r.components) {
            (ReferenceKind::Gaussian, _) => Count::Fixed(1),
            (_, Components::Count(k)) => Count::Fixed(k),
            (_, Components::Auto) => Count::Auto { max: MOST_COMPONENTS.min(n) },
        };
        if let Count::Fixed(k) = components
            && k > n
        {
            let of = if parts.is_some() { " of the rarest class" } else { "" };
            return Err(Error::invalid("reference.components", format!("at most the {n} training points{of}"), k));
        }
        // The mobility, and what the fit keeps, before anything is allocated.
        let least = if let Count::Fixed(k) = components { k } else { 1 };
        let needed = x.ncols() * x.ncols() + kind.parameters(least, x.ncols());
        if needed > MOST_NUMBERS {
            let gib = |numbers: usize| format!("{:.1} GiB", numbers as f64 * 8.0 / (1u64 << 30) as f64);
            let expected = format!("of fewer numbers: matrices of {0} x {0} and {1} components take {2}", x.ncols(), least, gib(needed));
            return Err(Error::refused("data", format!("must be {expected}, at most {} is taken; choose data.latent", gib(MOST_NUMBERS))));
        }
        let criterion = match r.criterion {
            config::Criterion::Bic => Criterion::Bic,
            config::Criterion::Icl => Criterion::Icl,
        };
        let options = FitOptions {
            kind,
            components,
            criterion,
            restarts: r.restarts,
            batch: r.batch,
            seed: config.train.seed,
            ..FitOptions::default()
        };
        let exact = r.symmetry == config::Symmetry::Exact;
        let mut groups = groups(r, x.ncols(), image)?;
        let mut notes = Vec::new();
        if r.covariance == Covariance::Auto && !enough {
            notes.push(format!(
                "chosen: one covariance for all components, as {n} points are less than {POINTS_PER_NUMBER} times the {numbers} numbers of a component with its own"
            ));
        }
        let isotropy = config.sde.isotropy;
        let (law, tried, said, symmetry) = if let Some(parts) = &parts {
            let (law, said) = class_fit::fit(x, parts, &options, watch).map_err(|e| e.within("reference"))?;
            (law, Vec::new(), said, None)
        } else if r.group == "auto" {
            let found = fit_group(x, &options, &groups).map_err(|e| e.within("reference"))?;
            notes.extend(found.trials.iter().map(GroupTrial::to_string));
            notes.push(found.verdict());
            let symmetry = (found.chosen > 0).then_some(found.symmetry);
            (found.fit.mixture, found.fit.tried, found.fit.notes, symmetry)
        } else {
            let symmetry = groups.pop().filter(|g| g.order() > 1).map(|group| Symmetry { group, exact });
            let options = FitOptions { symmetry: symmetry.clone(), ..options };
            let fitted = fit_watched(x, &options, watch).map_err(|e| e.within("reference"))?;
            (fitted.mixture, fitted.tried, fitted.notes, symmetry)
        };
        let mut reference = match &symmetry {
            // Of C_bar a covariance of low rank takes a multiple of the identity, which no orthogonal map changes.
            Some(symmetry) if !matches!(kind, CovarianceKind::LowRank(_)) => {
                let pooled = symmetry.group.average(law.pooled_covariance().view());
                Self::with_mobility(&law.floored_toward(r.floor, pooled.view())?, 0.0, isotropy)?
            }
            _ => Self::with_mobility(&law, r.floor, isotropy)?,
        };
        let u = reference.whitening.whiten(x)?;
        let refitted = refit_weights(u.view(), &reference.mixture)?;
        reference.mixture = match &symmetry {
            Some(symmetry) if symmetry.exact => refitted.with_weights(symmetry.tied_weights(refitted.weights().to_owned()))?,
            _ => refitted,
        };
        reference.std = reference.mixture.total_covariance().diag().mapv(f64::sqrt);
        reference.image = image.map(|(h, w)| [h, w, x.ncols() / (h * w).max(1)]);
        reference.tried = tried;
        reference.notes = said;
        reference.notes.extend(notes);
        Ok(reference)
    }

    /// Reads the reference that `ndsm fit` wrote, or of a checkpoint, or any mixture in the units of the data, of f64 or f32:
    /// a safetensors file with the tensors `mixture.weights` `[k]`, `mixture.means` `[k, d]`, `mixture.covariances`, of low
    /// rank also `mixture.loadings`, and the fact `covariance` among its metadata, the kind of the covariances.
    ///
    /// # Errors
    /// `File` (exit code 2) for what is no such file or not as it was written; what [`Mixture::new`] refuses.
    #[cfg(feature = "files")]
    pub fn read(path: &std::path::Path) -> Result<Self> {
        let bytes = super::tensors::bytes(path)?;
        super::tensors::Reader::new(&bytes, path, "reference")?.reference_or_law(0.0, 0.0)
    }

    /// The reference `mixture`, given in x, with the floor `rho`; its weights as they are. The mobility is the
    /// pooled covariance, or with covariances of low rank a multiple of the identity: any other would make
    /// them full.
    ///
    /// # Errors
    /// As [`Reference::with_mobility`].
    pub fn from_mixture(mixture: &Mixture, rho: f64) -> Result<Self> {
        Self::with_mobility(mixture, rho, if matches!(mixture.kind(), CovarianceKind::LowRank(_)) { 1.0 } else { 0.0 })
    }

    /// [`Reference::from_mixture`] with the mobility M = (1 - s) `C_bar` + s v I, s the `isotropy` and v the mean
    /// variance within components, tr `C_bar`/d: between whitening, which lets noise of every direction die
    /// out together with what it hides, and one common scale. Directions in which images hardly vary, as the
    /// pixels of a border, need some of it: whitened alone they are as loud as all others.
    ///
    /// # Errors
    /// A mobility that is not positive definite; rho or s outside [0, 1]; covariances of low rank that would
    /// fill more than a gigabyte as full ones.
    pub fn with_mobility(mixture: &Mixture, rho: f64, isotropy: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&isotropy) {
            return Err(Error::invalid("sde.isotropy", "between 0 and 1", isotropy));
        }
        let (mean, k, d) = (mixture.total_mean(), mixture.components(), mixture.dim());
        let whitening = if isotropy == 1.0 {
            Whitening::scaled(mean.view(), mixture.pooled_variance().sqrt())?
        } else {
            if matches!(mixture.kind(), CovarianceKind::LowRank(_)) && k.saturating_mul(d * d) > MOST_NUMBERS {
                let problem = format!("makes {k} full covariances in {d} dimensions of those of low rank; with 1 they stay what they are");
                return Err(Error::refused("sde.isotropy", problem));
            }
            let mut mobility = mixture.pooled_covariance();
            if isotropy > 0.0 {
                mobility *= 1.0 - isotropy;
                let more = isotropy * mixture.pooled_variance();
                mobility.diag_mut().map_inplace(|v| *v += more);
            }
            Whitening::new(mean.view(), mobility.view())?
        };
        let mixture = mixture.affine(whitening.inverse(), whitening.shift().view())?.floored(rho)?;
        Self::from_parts(whitening, mixture)
    }

    /// The reference whose law in the coordinates u of `whitening` is `mixture`.
    ///
    /// # Errors
    /// Dimensions that differ.
    pub fn from_parts(whitening: Whitening, mixture: Mixture) -> Result<Self> {
        if whitening.dim() != mixture.dim() {
            return Err(Error::shape("reference and whitening", "one dimension", &[&[mixture.dim()], &[whitening.dim()]]));
        }
        let std = mixture.total_covariance().diag().mapv(f64::sqrt);
        Ok(Reference { whitening, mixture, std, image: None, tried: Vec::new(), notes: Vec::new() })
    }

    /// The reference in the units of the data.
    ///
    /// # Errors
    /// None that a fitted reference can meet.
    pub fn in_data_units(&self) -> Result<Mixture> {
        self.mixture.affine(self.whitening.factor(), self.whitening.mean())
    }
}

/// Whether images may be inverted about their middle grey.
fn inverts(r: &ReferenceConfig) -> bool {
    let named = |name: &str| name.split('+').any(|part| part == "inversion");
    named(&r.group) || (r.group == "auto" && r.candidates.iter().any(|name| named(name)))
}

/// The group that is asked for, or the candidates of `auto`.
fn groups(r: &ReferenceConfig, d: usize, image: Option<(usize, usize)>) -> Result<Vec<Group>> {
    if r.group == "custom" {
        let mut matrices = Vec::new();
        for (i, entries) in r.generators.iter().enumerate() {
            let (place, expected) = (format!("reference.generators[{i}]"), format!("{d} x {d} = {} numbers", d * d));
            let matrix = Array2::from_shape_vec((d, d), entries.clone());
            matrices.push(matrix.map_err(|_| Error::invalid(place, expected, entries.len()))?);
        }
        let views: Vec<_> = matrices.iter().map(|m| m.view()).collect();
        return Ok(vec![Group::from_matrices("custom", d, &views).map_err(|e| e.within("reference.generators"))?]);
    }
    if r.group != "auto" {
        return Ok(vec![Group::named(&r.group, d, image).map_err(|e| e.within("reference.group"))?]);
    }
    let usual: &[&str] = match (image, d) {
        (Some((h, w)), _) if h == w => &["mirror", "quarter-turns", "mirror+quarter-turns"],
        (Some(_), _) => &["mirror"],
        (None, 1) => &["negation"],
        (None, 2) => &["c2", "c3", "c4", "c5", "c6", "c8", "d2", "d4"],
        (None, 3..=5) => &["negation", "shifts", "permutations", "signs"],
        (None, _) => &["negation", "shifts"],
    };
    let given: Vec<&str> = r.candidates.iter().map(String::as_str).collect();
    let names = if given.is_empty() { usual } else { &given };
    names.iter().map(|name| Group::named(name, d, image).map_err(|e| e.within("reference.candidates"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Setting, Value};
    use crate::data::law::{Law, near_c4};
    use crate::mixture::Covariances;
    use ndarray::{Array3, array};

    fn config(settings: &[(&str, &str)]) -> Result<Config> {
        let mut all = vec![Setting::new("data.name", "near-c4")];
        all.extend(settings.iter().map(|(key, value)| Setting::new(key, *value)));
        Config::resolve(&all)
    }

    /// Floor and whitening keep what is tied: the components' images are each other's, and only the weights
    /// tell them apart.
    #[test]
    fn a_tied_reference_keeps_its_ties() {
        let x = near_c4().unwrap().sample(100, 0, 0);
        let c4 = Group::named("c4", 2, None).unwrap();
        for (symmetry, group) in [("approximate", "c4"), ("exact", "c4"), ("approximate", "auto")] {
            let config = config(&[("reference.group", group), ("reference.symmetry", symmetry)]).unwrap();
            let reference = Reference::fit(x.view(), &config).unwrap();
            let m = reference.in_data_units().unwrap();
            assert_eq!(m.components(), 4, "{:?}", reference.notes);
            for (i, g) in c4.elements().iter().enumerate() {
                assert!((g.apply(m.means().row(0)) - m.means().row(i)).iter().all(|e| e.abs() <= 1e-9));
                assert!((g.conjugate(m.covariance(0).view()) - m.covariance(i)).iter().all(|e| e.abs() <= 1e-9));
            }
            let spread = m.weights().iter().fold(0f64, |a, w| a.max((w - 0.25).abs()));
            assert_eq!(spread <= 1e-9, symmetry == "exact", "{symmetry} {group}: {spread}");
            let said = reference.notes.iter().any(|n| n.starts_with("chosen: group c4"));
            assert_eq!(said, group == "auto", "{:?}", reference.notes);
        }
    }

    /// A mobility between the pooled covariance and one common scale, by its formula; what is of low rank stays
    /// so with 1 alone, tied along a group or not.
    #[test]
    fn the_mobility_is_the_share_of_the_identity() {
        let loadings = array![[[1.0, 2.0, 0.0, 1.0]], [[0.0, -1.0, 2.0, 0.5]]];
        let low = Covariances::LowRank { loadings, noise: array![0.5, 0.2] };
        let m = Mixture::new(array![0.3, 0.7], array![[0.0, 1.0, 2.0, 0.0], [1.0, 1.0, -1.0, 0.5]], low).unwrap();
        let (pooled, v) = (m.pooled_covariance(), m.pooled_variance());
        for (s, kind) in [(0.0, CovarianceKind::Full), (0.3, CovarianceKind::Full), (1.0, CovarianceKind::LowRank(1))] {
            let reference = Reference::with_mobility(&m, 0.0, s).unwrap();
            let a = reference.whitening.factor();
            let exact = &pooled * (1.0 - s) + Array2::<f64>::eye(4) * (s * v);
            assert!((a.dot(&a.t()) - exact).iter().all(|e| e.abs() <= 1e-14), "{s}");
            assert_eq!(reference.mixture.kind(), kind);
            let back = reference.in_data_units().unwrap();
            assert!((0..2).all(|k| (back.covariance(k) - m.covariance(k)).iter().all(|e| e.abs() <= 1e-13)));
        }
        let e = Reference::with_mobility(&m, 0.0, -0.1).unwrap_err().to_string();
        assert!(e.contains("isotropy: must be between 0 and 1, got -0.1"), "{e}");
        let wide = Covariances::LowRank { loadings: Array3::ones((200, 1, 1000)), noise: Array1::ones(200) };
        let wide = Mixture::new(Array1::from_elem(200, 0.005), Array2::zeros((200, 1000)), wide).unwrap();
        let e = Reference::with_mobility(&wide, 0.0, 0.5).unwrap_err().to_string();
        assert!(e.contains("200 full covariances in 1000 dimensions"), "{e}");
    }

    #[test]
    fn orbits_of_low_rank_stay_of_low_rank() {
        let images = Array2::from_shape_fn((120, 16), |(i, j)| ((i * 7 + j * 5) % 13) as f64 * 0.1 + ((i * j) % 5) as f64);
        let settings = [("reference.group", "mirror"), ("reference.covariance", "low-rank")];
        let mut all: Vec<Setting> = settings.iter().map(|(key, value)| Setting::new(key, *value)).collect();
        all.extend(
            [("reference.components", 4usize), ("reference.rank", 2), ("data.latent", 0)].map(|(key, value)| Setting::new(key, value)),
        );
        let config = Config::resolve(&all).unwrap();
        let reference = Reference::fit_images(images.view(), Some((4, 4)), &config).unwrap();
        assert_eq!(reference.mixture.kind(), CovarianceKind::LowRank(2));
        let (m, mirror) = (reference.in_data_units().unwrap(), Group::named("mirror", 16, Some((4, 4))).unwrap());
        let g = &mirror.elements()[1];
        for k in (0..m.components()).step_by(2) {
            assert!((g.apply(m.means().row(k)) - m.means().row(k + 1)).iter().all(|e| e.abs() <= 1e-9));
            assert!((g.conjugate(m.covariance(k).view()) - m.covariance(k + 1)).iter().all(|e| e.abs() <= 1e-9));
        }
    }

    /// The inversion of dark and bright is about middle grey: components come in pairs m, 1 - m.
    #[test]
    fn inverted_images_are_orbits() {
        let images = Array2::from_shape_fn((120, 16), |(i, j)| (((i * 7 + j * 5) % 13) as f64 / 13.0 + (i % 2) as f64) / 2.0);
        let with = |group: &str, candidates: bool| {
            let mut all = vec![Setting::new("reference.group", group), Setting::new("reference.covariance", "tied")];
            all.extend([("reference.components", 3usize), ("data.latent", 0)].map(|(key, value)| Setting::new(key, value)));
            let named = Value::List(vec!["inversion".into(), "mirror".into()]);
            all.extend(candidates.then(|| Setting::new("reference.candidates", named)));
            Config::resolve(&all).unwrap()
        };
        let reference = Reference::fit_images(images.view(), Some((4, 4)), &with("mirror+inversion", false)).unwrap();
        let (law, u) = (reference.in_data_units().unwrap(), reference.whitening.whiten(images.view()).unwrap());
        assert_eq!(law.components(), 12);
        let inverted = |k: usize| law.means().row(k).mapv(|v| 1.0 - v);
        let near = |k: usize, m: &Array1<f64>| (&law.means().row(k) - m).iter().all(|e| e.abs() <= 1e-9);
        assert!((0..12).all(|k| (0..12).any(|j| near(j, &inverted(k)))));
        // The law where it is modelled is the law of the images.
        let densities = (reference.mixture.log_density(u.view()).unwrap(), law.log_density(images.view()).unwrap());
        let shift = densities.1[0] - densities.0[0];
        assert!((densities.1 - densities.0 - shift).iter().all(|e| e.abs() <= 1e-8));
        let auto = Reference::fit_images(images.view(), Some((4, 4)), &with("auto", true)).unwrap();
        assert!(auto.notes.iter().any(|note| note.contains("inversion")), "{:?}", auto.notes);
        let e = Reference::fit_images((&images * 2.0).view(), Some((4, 4)), &with("inversion", false)).unwrap_err();
        assert!(e.to_string().contains("in [0, 1]") && e.exit_code() == 2, "{e}");
    }

    /// One covariance for all components where points are few, one each where they are not: by the rule, and
    /// said.
    #[test]
    fn few_points_share_a_covariance() {
        // A mean and a covariance in the plane are five numbers.
        for (n, kind) in [(49, "tied"), (50, "full")] {
            let x = near_c4().unwrap().sample(n, 0, 0);
            let reference = Reference::fit(x.view(), &config(&[("reference.covariance", "auto")]).unwrap()).unwrap();
            assert_eq!(reference.mixture.kind().name(), kind, "{:?}", reference.notes);
            let said = reference.notes.iter().any(|note| note.contains("49 points are less than 10 times the 5 numbers"));
            assert_eq!(said, kind == "tied", "{:?}", reference.notes);
        }
        let linear = Config::resolve(&[Setting::new("sde.kind", "vp")]).unwrap();
        assert_eq!((linear.reference.covariance, Config::default().reference.covariance), (Covariance::Full, Covariance::Auto));
    }

    #[test]
    fn groups_that_cannot_be_are_refused() {
        let cases = [
            (vec![("reference.group", "e8")], "reference.group: group: must be none, c<n>"),
            (vec![("reference.group", "mirror")], "acts on images"),
            (vec![("reference.symmetry", "exact")], "reference.symmetry: \"exact\" needs a group"),
            (vec![("reference.group", "custom")], "reference.generators: reference.group = \"custom\" takes generators"),
            (vec![("reference.candidates", "c2")], "reference.candidates: only reference.group = \"auto\""),
        ];
        let x = near_c4().unwrap().sample(50, 0, 0);
        for (settings, words) in cases {
            let e = config(&settings).and_then(|c| Reference::fit(x.view(), &c).map(|_| ())).unwrap_err();
            assert!(e.to_string().contains(words) && e.exit_code() == 2, "{e} lacks {words}");
        }
    }
}
