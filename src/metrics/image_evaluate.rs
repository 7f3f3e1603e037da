//! All figures of a set of images in the features of a classifier, each beside its floor, and with an interval where
//! one is asked for.

use super::evaluate::{Measure, NEIGHBOUR, Named, POSITIVE, REAL, Resampling, SHARE, SUPPORT_POINTS, Sets};
use super::{ImageClassifier, check_pair, frechet, kernel_distance, memorisation_ratio, subset, support, total_variation};
use crate::data::Dataset;
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate, s};

const FRECHET: Named = ("feature_frechet", POSITIVE, "Frechet distance to held-out images in the features of a classifier");
const KERNEL: Named = ("feature_kernel_distance", REAL, "squared MMD there with the kernel (a . b/d + 1)^3, unbiased, 2,000 images");
const VARIANCE: Named = ("feature_variance_ratio", POSITIVE, "total variance of the features over that of held-out images; 1: none lost");
const CLASSES: [Named; 2] = [
    ("class_tv", SHARE, "total variation between the classes of the samples and of held-out images, as the classifier sees them"),
    ("rarest_class", POSITIVE, "share of the held-out images' rarest class among the samples, over that among these; 1: as in the data"),
];
const SUPPORT: [Named; 4] = [
    ("feature_precision", SHARE, "share of the samples within reach of the data in features, 2,000 images"),
    ("feature_recall", SHARE, "share of the held-out images within reach of the samples"),
    ("feature_density", POSITIVE, "samples within reach of a held-out image, over the number expected; 1: as in the data"),
    ("feature_coverage", SHARE, "share of the held-out images that have a sample in reach"),
];
const MEMORISATION: Named =
    ("feature_memorisation", POSITIVE, "distance in features to the nearest training image over that to the nearest held-out one; 1: none");

/// Images of a data set as a classifier sees them, which samples are compared with: where images are alike to the eye
/// rather than pixel by pixel.
#[derive(Debug, Clone)]
pub struct ImageFeatures<'a> {
    classifier: &'a ImageClassifier,
    /// Of the held-out and of the training images a column for each feature, and the class in the last.
    held_out: Array2<f64>,
    training: Array2<f64>,
}

impl<'a> ImageFeatures<'a> {
    /// Of the images of `data`, at least two to train on and two held out.
    ///
    /// # Errors
    /// Images of another size than the classifier's, or fewer.
    pub fn new(classifier: &'a ImageClassifier, data: &Dataset) -> Result<Self> {
        check_pair("evaluate", data.points.view(), data.held_out.view(), 2)?;
        let [held_out, training] = [&data.held_out, &data.points].map(|x| described(classifier, x.view()));
        Ok(ImageFeatures { classifier, held_out: held_out?, training: training? })
    }

    /// All figures of the images `samples` [n, d], n >= 2. Floors are those of the training images; intervals as
    /// [`evaluate`](super::evaluate) finds them, from `resamples` halves. A Frechet distance of finite samples is not 0
    /// where both have one law, but about 2 tr(C) d'/n with d' the effective number of features: compare it at equal
    /// n, with the floor in mind.
    ///
    /// # Errors
    /// Images of another size, or fewer than two; a sample that is NaN or infinite.
    pub fn evaluate(&self, samples: ArrayView2<f64>, seed: u64, resamples: usize) -> Result<Vec<Measure>> {
        self.run(samples, Resampling { seed, count: resamples, floors: true })
    }

    /// The values of [`Self::evaluate`] alone, of other images, to stand beside.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn evaluate_beside(&self, samples: ArrayView2<f64>, seed: u64) -> Result<Vec<Measure>> {
        self.run(samples, Resampling { seed, count: 0, floors: false })
    }

    fn run(&self, samples: ArrayView2<f64>, how: Resampling) -> Result<Vec<Measure>> {
        if let Some(((row, column), x)) = samples.indexed_iter().find(|(_, x)| !x.is_finite()) {
            return Err(Error::invalid(format!("evaluate: sample {row}, coordinate {column}"), "finite", x));
        }
        let (held_out, training, seed) = (&self.held_out, &self.training, how.seed);
        let samples = described(self.classifier, samples)?;
        check_pair("evaluate", samples.view(), held_out.view(), 2)?;
        let count = self.classifier.labels().len();
        let sets = |size: usize| Sets::new([samples.view(), held_out.view(), training.view()], size, seed);
        let (all, few) = (sets(usize::MAX), sets(SUPPORT_POINTS));
        let mut measures = how.measure(&[FRECHET], &all, &|x, y| Ok(vec![frechet(features(x), features(y))?]))?;
        measures.extend(how.measure(&[KERNEL], &few, &|x, y| Ok(vec![kernel_distance(features(x), features(y))?]))?);
        measures.extend(how.measure(&CLASSES, &all, &|x, y| {
            let (own, right) = (shares(x, count), shares(y, count));
            let rarer = |a: &usize, b: &usize| right[*a].total_cmp(&right[*b]);
            let rarest = (0..count).filter(|class| right[*class] > 0.0).min_by(rarer).unwrap_or(0);
            Ok(vec![total_variation(own.view(), right.view()), own[rarest] / right[rarest]])
        })?);
        let spread = |x: ArrayView2<f64>| features(x).var_axis(Axis(0), 1.0).sum();
        measures.extend(how.measure(&[VARIANCE], &all, &|x, y| Ok(vec![spread(x) / spread(y)]))?);
        if few.samples.nrows().min(few.held_out.nrows()) > 2 * NEIGHBOUR {
            measures.extend(how.measure(&SUPPORT, &few, &|x, y| {
                let s = support(features(x), features(y), NEIGHBOUR)?;
                Ok(vec![s.precision, s.recall, s.density, s.coverage])
            })?);
        }
        let seen = subset(training.view(), SUPPORT_POINTS, seed, 2);
        let alone = Sets { floor: None, ..sets(SUPPORT_POINTS) };
        measures.extend(how.measure(&[MEMORISATION], &alone, &|x, y| {
            Ok(vec![memorisation_ratio(features(x), features(seen.view()), features(y), seed)?])
        })?);
        Ok(measures)
    }
}

/// A column for each feature, and the class in the last.
fn described(classifier: &ImageClassifier, x: ArrayView2<f64>) -> Result<Array2<f64>> {
    let classes: Array1<f64> = classifier.classes(x)?.into_iter().map(|class| class as f64).collect();
    let rows = concatenate(Axis(1), &[classifier.features(x)?.view(), classes.insert_axis(Axis(1)).view()]);
    rows.map_err(|e| Error::refused("evaluate", e.to_string()))
}

/// All columns but that of the class.
fn features(x: ArrayView2<'_, f64>) -> ArrayView2<'_, f64> {
    let d = x.ncols() - 1;
    x.slice_move(s![.., ..d])
}

/// Shares of the classes.
fn shares(x: ArrayView2<f64>, count: usize) -> Array1<f64> {
    let mut shares = Array1::zeros(count);
    x.column(x.ncols() - 1).iter().for_each(|class| shares[*class as usize] += 1.0 / x.nrows() as f64);
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Request, load};
    use crate::metrics::ImageJudge;

    /// The figures are those of the judge of the image studies; what lies off has intervals away from the floor; one
    /// class alone is seen in the classes.
    #[test]
    fn figures_are_the_judges() {
        let data = load(&Request { name: "digits".into(), held_out: Some(0.4), ..Request::default() }).unwrap();
        let labels = data.labels.as_ref().unwrap();
        let classifier = ImageClassifier::with(data.points.view(), labels, [8, 8, 1], 0, 150).unwrap();
        let noisy = &data.held_out + &Array2::from_shape_fn(data.held_out.dim(), |(i, j)| if (7 * i + 3 * j) % 5 < 2 { 0.4 } else { -0.2 });
        let features = ImageFeatures::new(&classifier, &data).unwrap();
        let all = features.evaluate(noisy.view(), 0, 10).unwrap();
        let get = |name: &str| all.iter().find(|m| m.name == name).unwrap();
        let judge = ImageJudge::new(classifier.clone(), data.points.view(), data.held_out.view(), None).unwrap();
        let (found, floor) = (judge.judge(noisy.view(), Some(0)).unwrap(), judge.floor());
        let (pairs, least) = (found.pairs.unwrap(), floor.pairs.unwrap());
        for (name, value, floor) in [
            ("feature_frechet", found.frechet, floor.frechet),
            ("class_tv", found.class_tv, floor.class_tv),
            ("rarest_class", found.rarest, floor.rarest),
            ("feature_variance_ratio", found.variance, floor.variance),
            // No set is cut: the judge's subsets are these.
            ("feature_kernel_distance", pairs.kernel_distance, least.kernel_distance),
            ("feature_precision", pairs.precision, least.precision),
            ("feature_recall", pairs.recall, least.recall),
            ("feature_density", pairs.density, least.density),
            ("feature_coverage", pairs.coverage, least.coverage),
        ] {
            let m = get(name);
            let near = |a: Option<f64>, b: f64| (a.unwrap() - b).abs() <= 1e-9 * (1.0 + b.abs());
            assert!(near(m.value, value) && near(m.floor, floor), "{name}: {m:?} {value} {floor}");
        }
        let [low, high] = get("feature_frechet").interval.unwrap();
        assert!(low > 3.0 * floor.frechet && low < found.frechet && found.frechet < high, "{low} {high} {floor:?}");
        assert!(get("feature_memorisation").floor.is_none());
        let ones: Vec<usize> = (0..labels.len()).filter(|i| labels[*i] == 1).collect();
        let ones = features.evaluate_beside(data.points.select(Axis(0), &ones).view(), 0).unwrap();
        let tv = ones.iter().find(|m| m.name == "class_tv").unwrap();
        assert!(tv.value.unwrap() > 0.8 && tv.floor.is_none() && ones.len() == all.len());
        let mut broken = noisy;
        broken[[3, 4]] = f64::NAN;
        let e = features.evaluate(broken.view(), 0, 0).unwrap_err().to_string();
        assert!(e.contains("sample 3, coordinate 4"), "{e}");
    }
}
