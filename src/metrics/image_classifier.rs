//! A classifier of images that the program trains itself: features in which samples are compared, and the
//! classes that they seem to be of.

use crate::nn::Classifier;
use crate::nn::replay::Replay;
use crate::optim::{Descent, Minibatch};
use crate::tape::{Recorder, Var, Workspace};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use std::collections::BTreeSet;

/// Channels behind the first convolution, and features.
const WIDTH: usize = 16;
const FEATURES: usize = 64;
/// Its training: steps, images of a step, rate, weight decay.
const STEPS: usize = 1500;
const BATCH: usize = 128;
const RATE: f64 = 2e-3;
const WEIGHT_DECAY: f64 = 0.05;
const EMA: f64 = 0.99;

/// A trained classifier. Figures in its features can be compared if its [hash](Self::hash) is the same.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageClassifier {
    net: Classifier,
    params: Vec<f32>,
    /// Of the training images: the network sees (x - mean)/scale.
    mean: f64,
    scale: f64,
    /// The label of each class, in ascending order.
    labels: Vec<u32>,
    seed: u64,
}

impl ImageClassifier {
    /// Trained on `images` [n, h w c] with their `labels`, with weights and order named by `seed`: the same for
    /// every number of threads.
    ///
    /// # Errors
    /// Images without variance, or of another size than `image` = [h, w, c]; fewer than two labels.
    pub fn fit(images: ArrayView2<f64>, labels: &[u32], image: [usize; 3], seed: u64) -> Result<Self> {
        Self::with(images, labels, image, seed, STEPS)
    }

    /// The same with `steps` steps of training.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn with(images: ArrayView2<f64>, labels: &[u32], image: [usize; 3], seed: u64, steps: usize) -> Result<Self> {
        let (n, d) = images.dim();
        if labels.len() != n || image.iter().product::<usize>() != d {
            return Err(Error::shape(
                "classifier",
                format!("images of {image:?} and a label for each"),
                &[images.shape(), &[labels.len()]],
            ));
        }
        let classes: Vec<u32> = labels.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if classes.len() < 2 {
            return Err(Error::invalid("classifier: labels", "of at least two classes", classes.len()));
        }
        let mean = images.mean().unwrap_or(0.0);
        let scale = images.mapv(|v| (v - mean).powi(2)).mean().unwrap_or(0.0).sqrt();
        if scale.is_nan() || scale <= 0.0 {
            return Err(Error::refused("classifier", "the images are all the same"));
        }
        let net = Classifier::new(image, WIDTH, FEATURES, classes.len())?;
        let mut fitted = ImageClassifier { params: net.init(seed), net, mean, scale, labels: classes, seed };
        let descent = Descent { steps, batch: BATCH, rate: RATE, weight_decay: WEIGHT_DECAY, ema: EMA, seed };
        let mut r = Recorder::<f32>::new();
        let (x, logits) = fitted.record(&mut r, descent.block(), true)?;
        let label = r.input("labels", &[descent.block()])?;
        let each = r.cross_entropy(logits, label)?;
        let (loss, program) = (r.mean(each)?, r.finish());
        let rows = fitted.inputs(images);
        let numbers: Vec<f32> = labels.iter().map(|l| fitted.labels.binary_search(l).unwrap_or(0) as f32).collect();
        let fill = |batch: Minibatch<'_>, ws: &mut Workspace<f32>| {
            for (x, row) in ws.input_mut(x)?.chunks_exact_mut(d).zip(batch.rows) {
                x.copy_from_slice(&rows[row * d..][..d]);
            }
            ws.input_mut(label)?.iter_mut().zip(batch.rows).for_each(|(label, row)| *label = numbers[*row]);
            Ok(())
        };
        fitted.params = descent.run((&program, loss), fitted.params.clone(), n, &fill, &mut |_, _, _| Ok(()))?;
        Ok(fitted)
    }

    /// The labels of the classes, in ascending order.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }
    /// The seed that it was trained with.
    pub fn seed(&self) -> u64 {
        self.seed
    }
    /// FNV-1a over its parameters and standardisation: equal for equal features.
    pub fn hash(&self) -> u64 {
        let words = self.params.iter().map(|p| u64::from(p.to_bits())).chain([self.mean.to_bits(), self.scale.to_bits()]);
        crate::hash::fnv1a(words)
    }

    /// The features of images: [n, d] -> [n, features].
    ///
    /// # Errors
    /// Images of another size.
    pub fn features(&self, images: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.evaluate(images, false, self.net.features())
    }

    /// The most likely class of each image, as a number in 0..classes.
    ///
    /// # Errors
    /// As [`Self::features`].
    pub fn classes(&self, images: ArrayView2<f64>) -> Result<Vec<usize>> {
        let logits = self.evaluate(images, true, self.net.classes())?;
        let best = |row: ndarray::ArrayView1<'_, f64>| row.iter().enumerate().fold(0, |best, (j, v)| if *v > row[best] { j } else { best });
        Ok(logits.outer_iter().map(best).collect())
    }

    /// Shares of the classes among images.
    ///
    /// # Errors
    /// As [`Self::features`].
    pub fn shares(&self, images: ArrayView2<f64>) -> Result<Array1<f64>> {
        let mut shares = Array1::zeros(self.labels.len());
        self.classes(images)?.into_iter().for_each(|class| shares[class] += 1.0 / images.nrows() as f64);
        Ok(shares)
    }

    /// Share of the images whose label is found.
    ///
    /// # Errors
    /// As [`Self::features`].
    pub fn accuracy(&self, images: ArrayView2<f64>, labels: &[u32]) -> Result<f64> {
        let right = self.classes(images)?.into_iter().zip(labels).filter(|(class, label)| self.labels[*class] == **label).count();
        Ok(right as f64 / images.nrows() as f64)
    }

    fn record(&self, r: &mut Recorder<f32>, n: usize, logits: bool) -> Result<(Var, Var)> {
        let ([h, w, c], declared) = (self.net.image(), self.net.declare(r, "")?);
        let x = r.input("x", &[n, h * w * c])?;
        let images = r.reshape(x, &[n, h, w, c])?;
        let features = self.net.record_features(r, &declared, images)?;
        // All parameters stand on the tape either way.
        Ok((x, if logits { self.net.record_logits(r, &declared, features)? } else { features }))
    }

    fn evaluate(&self, images: ArrayView2<f64>, logits: bool, columns: usize) -> Result<Array2<f64>> {
        let d: usize = self.net.image().iter().product();
        if images.ncols() != d {
            return Err(Error::shape("classifier", format!("images of {d} numbers"), &[images.shape()]));
        }
        let mut out = vec![0.0; images.nrows() * columns];
        Replay::new(&|r, n| self.record(r, n, logits), &self.params)?.run(&self.inputs(images), &mut out)?;
        let out = out.into_iter().map(f64::from).collect();
        Array2::from_shape_vec((images.nrows(), columns), out).map_err(|e| Error::refused("classifier", e.to_string()))
    }

    fn inputs(&self, images: ArrayView2<f64>) -> Vec<f32> {
        images.axis_iter(Axis(0)).flat_map(|row| row.iter().map(|v| ((v - self.mean) / self.scale) as f32).collect::<Vec<f32>>()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Request, load};
    use ndarray::s;

    #[test]
    fn digits_are_told_apart_whatever_the_threads() {
        let data = load(&Request { name: "digits".into(), ..Request::default() }).unwrap();
        let labels = data.labels.as_ref().unwrap();
        let run = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let part = data.points.slice(s![..1200, ..]);
            pool.install(|| ImageClassifier::with(part, &labels[..1200], [8, 8, 1], seed, 200)).unwrap()
        };
        let classifier = run(1, 0);
        assert!(classifier == run(2, 0) && classifier.hash() == run(2, 0).hash() && classifier.hash() != run(2, 1).hash());
        let (rest, truth) = (data.points.slice(s![1200.., ..]), &labels[1200..]);
        let accuracy = classifier.accuracy(rest, truth).unwrap();
        assert!(accuracy > 0.93, "{accuracy}");
        let shares = classifier.shares(rest).unwrap();
        assert!((shares.sum() - 1.0).abs() <= 1e-12 && shares.len() == 10 && classifier.labels() == (0..10).collect::<Vec<u32>>());
        // An image has one row of features.
        let (all, one) = (classifier.features(rest).unwrap(), classifier.features(rest.slice(s![7..8, ..])).unwrap());
        assert!(all.dim() == (rest.nrows(), 64) && one.row(0) == all.row(7));
    }

    #[test]
    fn what_cannot_be_learned_is_refused() {
        let images = Array2::from_shape_fn((4, 4), |(i, j)| (i * j) as f64);
        let fit =
            |images: &Array2<f64>, labels: &[u32], image| ImageClassifier::fit(images.view(), labels, image, 0).unwrap_err().to_string();
        assert!(fit(&images, &[1; 4], [2, 2, 1]).contains("at least two classes"));
        assert!(fit(&images, &[1, 2, 3], [2, 2, 1]).contains("a label for each"));
        assert!(fit(&images, &[1, 2, 3, 4], [2, 3, 1]).contains("images of [2, 3, 1]"));
        assert!(fit(&Array2::ones((4, 4)), &[1, 2, 3, 4], [2, 2, 1]).contains("all the same"));
    }
}
