//! What is learned: which images, how many, in which proportions.

use crate::data::{Dataset, rows_by_label};
use crate::rng::{Purpose, Stream};
use crate::{Error, Result};
use ndarray::{Array1, Array2, Axis};
use std::collections::BTreeMap;

/// What is done with the images before anything is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// All of them.
    All,
    /// So many of the training images.
    Count(usize),
    /// Ten classes with shares that grow by equal factors, the last fifteen times the first: 2 to 27 %; so many
    /// training images, or as many as there are.
    Imbalanced(usize),
    /// Two classes, nine of the one for one of the other; so many training images, or as many as there are.
    TwoClasses(usize),
    /// Three of ten images mirrored, left and right; so many training images.
    Mirrored(usize),
    /// Shares .4, .3, .2 and .1 of the images turned by 0, 1, 2 and 3 quarters; so many training images.
    Turned(usize),
}

/// How images become points of a latent space, and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// An autoencoder, trained first.
    Autoencoder,
    /// A variational one, trained first.
    Vae,
    /// A variational one, trained first, then so many of the optimiser's steps together with the score, (24).
    Joint(usize),
}

/// Shares of mirrored and of turned images.
const MIRRORED: [f64; 2] = [0.7, 0.3];
const TURNED: [f64; 4] = [0.4, 0.3, 0.2, 0.1];
/// The largest share over the least.
const IMBALANCE: f64 = 15.0;
/// Shares of two classes.
const TWO: [f64; 2] = [0.9, 0.1];

/// One thing to learn.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageCase {
    /// Which question it belongs to.
    pub group: &'static str,
    /// Its name, in all tables.
    pub name: String,
    /// The images.
    pub shape: Shape,
    /// In a latent space, how it was made.
    pub coding: Coding,
    /// Optimiser steps of the score.
    pub steps: usize,
    /// Largest side of an image.
    pub side: usize,
}

/// Images in their proportions.
pub(super) struct Shaped {
    pub data: Dataset,
    /// Shares of the classes that are right, where they are not those of the data.
    pub shares: Option<Array1<f64>>,
    /// Images and labels that a classifier learns: all training images, in all orientations.
    pub lessons: (Array2<f64>, Vec<u32>),
}

impl Shape {
    /// How many training images there are; `None` for all.
    pub fn count(self) -> Option<usize> {
        match self {
            Shape::All => None,
            Shape::Count(n) | Shape::Imbalanced(n) | Shape::TwoClasses(n) | Shape::Mirrored(n) | Shape::Turned(n) => Some(n),
        }
    }

    /// The group of symmetries of its images, by its name, and its order.
    pub fn symmetry(self) -> (&'static str, usize) {
        match self {
            Shape::Mirrored(_) => ("mirror", 2),
            Shape::Turned(_) => ("quarter-turns", 4),
            _ => ("none", 1),
        }
    }

    /// The images of `whole` in this shape; orientations by `seed`.
    ///
    /// # Errors
    /// Too few images; no labels, or too few classes.
    pub(super) fn of(self, whole: &Dataset, seed: u64) -> Result<Shaped> {
        let (Some(labels), Some(held_out)) = (whole.labels.as_deref(), whole.held_out_labels.as_deref()) else {
            return Err(Error::refused("reproduce", "needs images with labels"));
        };
        let n = self.count().unwrap_or(whole.points.nrows());
        if n > whole.points.nrows() {
            return Err(Error::invalid("reproduce: images", format!("at least {n} for training"), whole.points.nrows()));
        }
        let lessons = (whole.points.clone(), labels.to_vec());
        match self {
            Shape::All | Shape::Count(_) => {
                let rows: Vec<usize> = (0..n).collect();
                Ok(Shaped { data: selected(whole, &rows, None), shares: None, lessons })
            }
            Shape::Imbalanced(_) | Shape::TwoClasses(_) => {
                let classes = rows_by_label(labels);
                let shares = self.class_shares(classes.len());
                let train = drawn(&classes, &shares, n)?;
                let held = drawn(&rows_by_label(held_out), &shares, held_out.len())?;
                Ok(Shaped { data: selected(whole, &train, Some(&held)), shares: Some(Array1::from(shares)), lessons })
            }
            Shape::Mirrored(_) | Shape::Turned(_) => self.oriented(whole, labels, n, seed),
        }
    }

    /// Shares of `count` classes, in the order of their labels.
    fn class_shares(self, count: usize) -> Vec<f64> {
        let weights: Vec<f64> = match self {
            // Those that look alike where there are ten digits.
            Shape::TwoClasses(_) => {
                let [a, b] = if count > 8 { [3, 8] } else { [0, 1] };
                (0..count)
                    .map(|j| {
                        if j == a {
                            TWO[0]
                        } else if j == b {
                            TWO[1]
                        } else {
                            0.0
                        }
                    })
                    .collect()
            }
            _ => (0..count).map(|j| IMBALANCE.powf(j as f64 / (count.max(2) - 1) as f64)).collect(),
        };
        let total: f64 = weights.iter().sum();
        weights.iter().map(|w| w / total).collect()
    }

    /// The first `n` training images and all that are held out, each in an orientation of its own; the labels tell
    /// class and orientation.
    fn oriented(self, whole: &Dataset, labels: &[u32], n: usize, seed: u64) -> Result<Shaped> {
        let shape = whole.images.ok_or_else(|| Error::refused("reproduce", "needs images"))?;
        let (h, w, c) = (shape.height, shape.width, shape.channels);
        let shares: &[f64] = if matches!(self, Shape::Mirrored(_)) { &MIRRORED } else { &TURNED };
        if shares.len() > 2 && h != w {
            return Err(Error::invalid("reproduce: images", "square, to be turned", format!("{h} x {w}")));
        }
        let from = |orientation: usize, i: usize, j: usize| match (shares.len(), orientation) {
            (_, 0) => (i, j),
            (2, _) => (i, w - 1 - j),
            (_, 1) => (w - 1 - j, i),
            (_, 2) => (h - 1 - i, w - 1 - j),
            _ => (j, h - 1 - i),
        };
        let orient = |x: ndarray::ArrayView1<'_, f64>, orientation: usize| -> Vec<f64> {
            let pixel = |k: usize| {
                let (i, j) = from(orientation, k / c / w, k / c % w);
                x[(i * w + j) * c + k % c]
            };
            (0..x.len()).map(pixel).collect()
        };
        let all = |x: &Array2<f64>, chunk: u32| {
            let mut stream = Stream::new(seed, Purpose::Split, 32, chunk);
            let chosen: Vec<usize> = (0..x.nrows()).map(|_| stream.weighted(shares)).collect();
            let rows: Vec<f64> = x.outer_iter().zip(&chosen).flat_map(|(x, o)| orient(x, *o)).collect();
            (Array2::from_shape_vec(x.dim(), rows).unwrap_or_else(|_| x.clone()), chosen)
        };
        let count = shares.len() as u32;
        let ((points, chosen), (held_out, _)) = (all(&whole.points, 0), all(&whole.held_out, 1));
        let oriented: Vec<u32> = labels.iter().zip(&chosen).map(|(label, o)| label * count + *o as u32).collect();
        let lessons: Vec<f64> =
            whole.points.outer_iter().flat_map(|x| (0..shares.len()).flat_map(move |o| orient(x, o)).collect::<Vec<f64>>()).collect();
        let lessons = Array2::from_shape_vec((whole.points.nrows() * shares.len(), whole.dim()), lessons)
            .map_err(|e| Error::refused("reproduce", e.to_string()))?;
        let named = labels.iter().flat_map(|label| (0..count).map(move |o| label * count + o)).collect();
        let classes = rows_by_label(labels);
        let total = labels.len() as f64;
        let right = classes.values().flat_map(|rows| shares.iter().map(move |share| rows.len() as f64 / total * share)).collect();
        let rows: Vec<usize> = (0..n).collect();
        let data = Dataset { points, held_out, labels: Some(oriented), ..whole.clone() };
        Ok(Shaped { data: selected(&data, &rows, None), shares: Some(right), lessons: (lessons, named) })
    }
}

/// `n` rows, or as many as the scarcest class allows, of each class its share, in the order that they had.
fn drawn(classes: &BTreeMap<u32, Vec<usize>>, shares: &[f64], n: usize) -> Result<Vec<usize>> {
    let most = |(rows, share): (&Vec<usize>, &f64)| if *share > 0.0 { rows.len() as f64 / share } else { f64::INFINITY };
    let n = classes.values().zip(shares).map(most).fold(n as f64, f64::min);
    let mut rows: Vec<usize> =
        classes.values().zip(shares).flat_map(|(own, share)| own[..((share * n) as usize).min(own.len())].to_vec()).collect();
    if rows.len() < 20 {
        return Err(Error::invalid("reproduce: images", "at least 20 in these proportions", rows.len()));
    }
    rows.sort_unstable();
    Ok(rows)
}

/// These training images, and these or all of those held out.
fn selected(data: &Dataset, rows: &[usize], held_out: Option<&[usize]>) -> Dataset {
    Dataset {
        points: data.points.select(Axis(0), rows),
        held_out: held_out.map_or_else(|| data.held_out.clone(), |rows| data.held_out.select(Axis(0), rows)),
        labels: data.labels.as_ref().map(|labels| rows.iter().map(|row| labels[*row]).collect()),
        ..data.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Request, load};

    fn digits() -> Dataset {
        load(&Request { name: "digits".into(), held_out: Some(0.3), ..Request::default() }).unwrap()
    }

    #[test]
    fn classes_have_their_shares() {
        let data = digits();
        for (shape, least, most) in [(Shape::Imbalanced(400), 0.018, 0.27), (Shape::TwoClasses(100), 0.1, 0.9)] {
            let shaped = shape.of(&data, 0).unwrap();
            let (labels, shares) = (shaped.data.labels.unwrap(), shaped.shares.unwrap());
            let n = labels.len() as f64;
            for (label, rows) in rows_by_label(&labels) {
                assert!((rows.len() as f64 / n - shares[label as usize]).abs() <= 0.01, "{shape:?} {label}");
            }
            let positive = shares.iter().copied().filter(|s| *s > 0.0);
            assert!((positive.clone().fold(1.0, f64::min) - least).abs() < 0.002 && (positive.fold(0.0, f64::max) - most).abs() < 0.005);
            assert!(
                (shares.sum() - 1.0).abs() < 1e-12 && shaped.data.held_out.nrows() > 40 && shaped.lessons.0.nrows() == data.points.nrows()
            );
        }
        assert!(Shape::Count(10_000).of(&data, 0).is_err());
    }

    #[test]
    fn orientations_are_those_of_images() {
        let data = digits();
        for (shape, shares) in [(Shape::Mirrored(600), &MIRRORED[..]), (Shape::Turned(600), &TURNED[..])] {
            let shaped = shape.of(&data, 3).unwrap();
            assert!((shaped.shares.as_ref().unwrap().sum() - 1.0).abs() < 1e-12);
            let count = shares.len() as u32;
            let mut seen = vec![0.0; shares.len()];
            for (row, label) in shaped.data.labels.as_ref().unwrap().iter().enumerate() {
                assert_eq!(label / count, data.labels.as_ref().unwrap()[row]);
                let orientation = (label % count) as usize;
                seen[orientation] += 1.0 / 600.0;
                // The image is the lesson of its orientation.
                assert_eq!(shaped.data.points.row(row), shaped.lessons.0.row(row * shares.len() + orientation));
                let original = data.points.row(row);
                let (i, j) = (row % 8, row / 8 % 8);
                let there = match (shares.len(), orientation) {
                    (_, 0) => i * 8 + j,
                    (2, _) => i * 8 + 7 - j,
                    // A quarter turn to the right: the first row comes from the first column, bottom up.
                    (_, 1) => (7 - j) * 8 + i,
                    (_, 2) => (7 - i) * 8 + 7 - j,
                    _ => j * 8 + 7 - i,
                };
                assert_eq!(shaped.data.points[[row, i * 8 + j]], original[there]);
            }
            // Four standard errors of 600 draws.
            assert!(seen.iter().zip(shares).all(|(s, p)| (s - p).abs() <= 4.0 * (p * (1.0 - p) / 600.0).sqrt()), "{seen:?}");
        }
    }
}
