//! Samples of images, judged in the features of a classifier.

use super::{ImageClassifier, frechet, kernel_distance, memorisation_ratio, subset, support, total_variation};
use crate::Result;
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Points of each set that enter the metrics over pairs, and the neighbour that a support's balls reach to.
const PAIRS: usize = 2_000;
const NEIGHBOUR: usize = 5;

/// Figures of a set of images, in features; see [`ImageJudge`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageFigures {
    /// [Frechet distance](frechet) to the held-out images ("FD").
    pub frechet: f64,
    /// Total variation between the shares of the classes and those of the judge.
    pub class_tv: f64,
    /// Share of the class that the judge has least of, but some, over that share.
    pub rarest: f64,
    /// Sum of the features' variances over that of the held-out images.
    pub variance: f64,
    /// What takes longer, where it was asked for.
    pub pairs: Option<PairFigures>,
}

/// Figures over pairs of at most 2,000 images of each set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairFigures {
    /// [Kernel distance](kernel_distance).
    pub kernel_distance: f64,
    /// See [`super::Support`].
    pub precision: f64,
    /// See [`super::Support`].
    pub recall: f64,
    /// See [`super::Support`].
    pub density: f64,
    /// See [`super::Support`].
    pub coverage: f64,
    /// See [`memorisation_ratio`].
    pub memorisation: f64,
}

/// A classifier, and the features of the images that samples are compared with.
///
/// The Frechet distance of two samples of n images of one law is not 0 but about 2 tr(C) d'/n, d' the effective
/// number of features: compare it with the [floor](ImageJudge::floor), training images against held-out ones,
/// and at equal n alone.
#[derive(Debug, Clone)]
pub struct ImageJudge {
    classifier: ImageClassifier,
    /// Features of the training images and of those held out.
    training: Array2<f64>,
    held_out: Array2<f64>,
    /// Shares of the classes that are right.
    shares: Array1<f64>,
    floor: ImageFigures,
}

impl ImageJudge {
    /// The judge with these `training` and `held_out` images, [n, d] and [m, d]. The right shares of the classes
    /// are `shares`, or those that the classifier sees among the held-out images.
    ///
    /// # Errors
    /// Images of another size than the classifier's, or fewer than 7 in a set.
    pub fn new(
        classifier: ImageClassifier,
        training: ArrayView2<f64>,
        held_out: ArrayView2<f64>,
        shares: Option<Array1<f64>>,
    ) -> Result<Self> {
        let shares = shares.map_or_else(|| classifier.shares(held_out), Ok)?;
        let [seen, unseen] = [training, held_out].map(|x| classifier.features(x));
        let nothing = ImageFigures { frechet: 0.0, class_tv: 0.0, rarest: 0.0, variance: 0.0, pairs: None };
        let mut judge = ImageJudge { classifier, training: seen?, held_out: unseen?, shares, floor: nothing };
        judge.floor = judge.judge(training, Some(0))?;
        Ok(judge)
    }

    /// The classifier.
    pub fn classifier(&self) -> &ImageClassifier {
        &self.classifier
    }

    /// The figures of the training images: those of images as good as data, up to the sizes of the sets, but
    /// for their memorisation.
    pub fn floor(&self) -> &ImageFigures {
        &self.floor
    }

    /// The figures of `images` [n, d]; those over pairs if `pairs` names their subsets.
    ///
    /// # Errors
    /// Images of another size, or too few of them.
    pub fn judge(&self, images: ArrayView2<f64>, pairs: Option<u64>) -> Result<ImageFigures> {
        let features = self.classifier.features(images)?;
        let found = self.classifier.shares(images)?;
        let there = (0..self.shares.len()).filter(|class| self.shares[*class] > 0.0);
        let rarest = there.min_by(|a, b| self.shares[*a].total_cmp(&self.shares[*b])).unwrap_or(0);
        Ok(ImageFigures {
            frechet: frechet(features.view(), self.held_out.view())?,
            class_tv: total_variation(found.view(), self.shares.view()),
            rarest: found[rarest] / self.shares[rarest],
            variance: features.var_axis(Axis(0), 1.0).sum() / self.held_out.var_axis(Axis(0), 1.0).sum(),
            pairs: pairs.map(|seed| self.over_pairs(features.view(), seed)).transpose()?,
        })
    }

    fn over_pairs(&self, features: ArrayView2<f64>, seed: u64) -> Result<PairFigures> {
        let [x, training, held_out] =
            [(features, 0), (self.training.view(), 1), (self.held_out.view(), 2)].map(|(set, which)| subset(set, PAIRS, seed, 10 + which));
        let found = support(x.view(), held_out.view(), NEIGHBOUR)?;
        Ok(PairFigures {
            kernel_distance: kernel_distance(x.view(), held_out.view())?,
            precision: found.precision,
            recall: found.recall,
            density: found.density,
            coverage: found.coverage,
            memorisation: memorisation_ratio(x.view(), training.view(), held_out.view(), seed)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Request, load};
    use ndarray::s;

    /// Held-out images are like the data; noisy ones, and those of one class, are not, each in its figures.
    #[test]
    fn what_is_wrong_is_seen_where_it_is_wrong() {
        let data = load(&Request { name: "digits".into(), held_out: Some(0.5), ..Request::default() }).unwrap();
        let labels = data.labels.as_ref().unwrap();
        let classifier = ImageClassifier::with(data.points.view(), labels, [8, 8, 1], 0, 150).unwrap();
        let (known, fresh) = (data.held_out.slice(s![..450, ..]), data.held_out.slice(s![450.., ..]));
        let judge = ImageJudge::new(classifier, data.points.view(), known, None).unwrap();
        let good = judge.judge(fresh, Some(0)).unwrap();
        let noisy = &fresh + &Array2::from_shape_fn(fresh.dim(), |(i, j)| if (7 * i + 3 * j) % 5 < 2 { 0.4 } else { -0.2 });
        let noisy = judge.judge(noisy.view(), Some(0)).unwrap();
        let ones: Vec<usize> = (0..labels.len()).filter(|i| labels[*i] == 1).collect();
        let ones = judge.judge(data.points.select(Axis(0), &ones).view(), Some(0)).unwrap();
        let (pairs, bad, few) = (good.pairs.unwrap(), noisy.pairs.unwrap(), ones.pairs.unwrap());
        assert!(noisy.frechet > 3.0 * good.frechet && ones.frechet > 3.0 * good.frechet, "{good:?} {noisy:?} {ones:?}");
        assert!(good.class_tv < 0.1 && ones.class_tv > 0.8 && (good.variance - 1.0).abs() < 0.15 && ones.variance < 0.75);
        assert!(pairs.precision > 0.8 && bad.precision < pairs.precision && few.recall < 0.3 && pairs.recall > 0.8);
        assert!(pairs.kernel_distance < bad.kernel_distance && (pairs.memorisation - 1.0).abs() < 0.1 && few.memorisation < 0.5);
        // Half of the training images are their own nearest neighbours: the others are cut away.
        assert!(judge.floor().pairs.unwrap().memorisation < 0.6 && judge.floor().frechet < 3.0 * good.frechet);
        let given = ImageJudge::new(judge.classifier().clone(), data.points.view(), known, Some(Array1::from_elem(10, 0.1))).unwrap();
        assert!(given.judge(fresh, None).unwrap().pairs.is_none() && (given.judge(fresh, None).unwrap().rarest - 1.0).abs() < 0.5);
    }
}
