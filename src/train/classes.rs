//! Labels: those that a network with `network.classes` is told in training, and what the labels of the data
//! say about the components that samples of a class start in.

use super::{Reference, Settled, System};
use crate::config::Config;
use crate::data::Dataset;
use crate::mixture::{Mixture, refit_weights};
use crate::objective::Label;
use crate::rng::{Purpose, Stream};
use crate::sde::Paths;
use crate::transition::Draws;
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Points of a class that are noised up to the horizon: at least so many, all of them equally often, and at most so many
/// where there are more.
const POINTS: [usize; 2] = [1024, 8192];
/// The last level of the time law.
const LAST: f64 = 1.0 - 1e-9;
/// Streams of training steps end far below.
const STEP: u64 = 1 << 42;

/// Refuses labels that are not there, or are no classes of the network, before the work of a fit.
///
/// # Errors
/// `Invalid` with the key that asks for them.
pub(super) fn check(config: &Config, data: &Dataset) -> Result<()> {
    let classes = config.network.classes;
    let key = if classes > 0 { "network.classes" } else { "reference.per_class" };
    if classes == 0 && !config.reference.per_class {
        return Ok(());
    }
    let (Some(labels), Some(held_out)) = (&data.labels, &data.held_out_labels) else {
        return Err(Error::refused(key, format!("needs labels, and data.name = \"{}\" has none (data.label names them)", data.name)));
    };
    match labels.iter().chain(held_out).max() {
        Some(last) if classes > 0 && *last as usize >= classes => {
            Err(Error::invalid(key, format!("at least {}, as the labels go from 0 to {last}", *last as u64 + 1), classes))
        }
        _ => Ok(()),
    }
}

/// The labels of the points that a trainer has, and of those that it is watched on; of points without labels
/// none.
#[derive(Debug, Clone, Default)]
pub(super) struct PointLabels {
    pub training: Vec<u32>,
    pub held_out: Vec<u32>,
}

impl PointLabels {
    /// The labels of a step's `draws` draws, which come point by point from the data's rows `rows`: all draws
    /// of a point have its own, or with the probability `dropout` none. Nothing where points have no labels.
    pub fn of_step(&self, rows: &[usize], draws: usize, dropout: f64, (seed, step): (u64, u64), out: &mut Vec<Label>) {
        out.clear();
        if self.training.is_empty() {
            return;
        }
        let mut kept = vec![0f64; rows.len()];
        Stream::new(seed, Purpose::LabelDropout, step, 0).fill_uniform(&mut kept);
        let each = draws / rows.len();
        let label = |(row, u): (&usize, &f64)| (*u >= dropout).then(|| self.training[*row]);
        out.extend(rows.iter().zip(&kept).flat_map(|of| std::iter::repeat_n(label(of), each)));
    }
}

/// What the training points of each class say about the components of the reference.
///
/// The noising takes a class to a law of its own, of which generation must start: at the horizon that of the
/// reference with other weights, the likeliest ones for points of the class that were noised so far. With as
/// many components as classes or more the weights decide most of what a sample becomes; a reference of one
/// component leaves everything to the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    /// Probability of class and component together, [classes, k].
    joint: Array2<f64>,
}

impl Classes {
    /// From the training points `x` [n, d], in the units of the reference, and their `labels`; nothing where
    /// `network.classes` is 0.
    ///
    /// # Errors
    /// As [`System::new`]; labels that are not those of the points.
    pub fn new(config: &Settled, reference: &Reference, x: ArrayView2<f64>, labels: Option<&[u32]>) -> Result<Option<Self>> {
        let (classes, mixture) = (config.network.classes, &reference.mixture);
        if classes == 0 {
            return Ok(None);
        }
        let labels = labels.filter(|labels| labels.len() == x.nrows());
        let labels = labels.ok_or_else(|| Error::refused("network.classes", "needs a label for each training point"))?;
        let u = reference.whitening.whiten(x)?;
        let system = System::<f64>::new(config, reference)?;
        let mut joint = Array2::zeros((classes, mixture.components()));
        for class in 0..classes {
            let rows: Vec<usize> = (0..labels.len()).filter(|row| labels[*row] as usize == class).collect();
            if rows.is_empty() {
                continue;
            }
            let weights = if mixture.components() > 1 {
                let ends = at_the_horizon(&system, u.select(Axis(0), &rows).view(), (config.train.seed, class as u64))?;
                refit_weights(ends.view(), mixture)?.weights().to_owned()
            } else {
                Array1::ones(1)
            };
            let share = rows.len() as f64 / labels.len() as f64;
            joint.row_mut(class).assign(&(weights * share));
        }
        Ok(Some(Classes { joint }))
    }

    /// Those of a table of probabilities, [classes, k].
    ///
    /// # Errors
    /// Numbers that are no probabilities.
    pub fn from_joint(joint: Array2<f64>) -> Result<Self> {
        let sum = joint.sum();
        if joint.iter().all(|p| *p >= 0.0) && (sum - 1.0).abs() <= 1e-6 {
            return Ok(Classes { joint });
        }
        Err(Error::invalid("classes", "probabilities with the sum 1", sum))
    }

    /// Probability of class and component together, [classes, k].
    pub fn joint(&self) -> ArrayView2<'_, f64> {
        self.joint.view()
    }

    /// The share of each class.
    pub fn shares(&self) -> Array1<f64> {
        self.joint.sum_axis(Axis(1))
    }

    /// `mixture` with the weights of `class`.
    ///
    /// # Errors
    /// A class that no training point has.
    pub fn start(&self, class: u32, mixture: &Mixture) -> Result<Mixture> {
        let known = format!("one of the {} classes from 0 on that have training points", self.joint.nrows());
        let refused = || Error::invalid("class", known, class);
        let row = self.joint.outer_iter().nth(class as usize).filter(|row| row.sum() > 0.0).ok_or_else(refused)?;
        mixture.with_weights(&row / row.sum())
    }

    /// A class for each point of block number `block`, given the component that it starts in.
    pub(super) fn draw(&self, components: &[usize], (seed, block): (u64, u64)) -> Vec<u32> {
        let mut u = vec![0f64; components.len()];
        Stream::new(seed, Purpose::Label, block, 0).fill_uniform(&mut u);
        components.iter().zip(&u).map(|(k, u)| self.given(*k, *u)).collect()
    }

    /// The class at which the probabilities given component `k` add up to more than `u`.
    fn given(&self, k: usize, u: f64) -> u32 {
        let of = self.joint.column(k);
        // A component that no class comes to has the classes' shares.
        let of = if of.sum() > 0.0 { of.to_owned() } else { self.shares() };
        let (mut left, mut last) = (u * of.sum(), 0);
        for (class, p) in of.iter().enumerate().filter(|(_, p)| **p > 0.0) {
            last = class as u32;
            if left < *p {
                break;
            }
            left -= p;
        }
        last
    }
}

/// The points `u` [n, d] at the end of the noising, several times over where they are few.
fn at_the_horizon(system: &System<f64>, u: ArrayView2<f64>, (seed, number): (u64, u64)) -> Result<Array2<f64>> {
    let ((n, d), per_path, [least, most]) = (u.dim(), system.noising.draws_per_path(), POINTS);
    let every = n.div_ceil(most);
    let rows: Vec<usize> = (0..n).step_by(every).collect();
    let copies = least.div_ceil(rows.len() * per_path).max(1);
    let starts: Vec<f64> = (0..copies).flat_map(|_| &rows).flat_map(|row| u.row(*row).to_vec()).collect();
    let mut draws = Draws::new(rows.len() * copies * per_path, d);
    let paths = Paths { seed, purpose: Purpose::Noise, step: STEP + number };
    system.noising.draw(&starts, &vec![LAST; draws.len()], paths, &mut draws)?;
    let points: Vec<f64> = (0..draws.len()).flat_map(|i| draws.draw(i).plus.to_vec()).collect();
    Array2::from_shape_vec((draws.len(), d), points).map_err(|e| Error::refused("classes", e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// All draws of a point have one label or none; of many points the share of those without is the dropout's, to
    /// four standard deviations.
    #[test]
    fn a_share_of_the_points_keeps_its_label_to_itself() {
        let labels = PointLabels { training: (0..1000).collect(), held_out: vec![] };
        let rows: Vec<usize> = (0..10_000).map(|i| (7 * i) % 1000).collect();
        let mut out = vec![None; 3];
        labels.of_step(&rows, 30_000, 0.2, (5, 3), &mut out);
        assert_eq!(out.len(), 30_000);
        let mut without = 0;
        for (of, row) in out.chunks_exact(3).zip(&rows) {
            assert!(of.iter().all(|label| *label == of[0]) && [None, Some(*row as u32)].contains(&of[0]));
            without += usize::from(of[0].is_none());
        }
        assert!((without as f64 - 2000.0).abs() <= 4.0 * 40.0, "{without}");
        let first = out.clone();
        labels.of_step(&rows, 30_000, 0.2, (5, 4), &mut out);
        assert!(first != out);
        labels.of_step(&rows, 10_000, 0.0, (5, 3), &mut out);
        assert!(out.len() == 10_000 && out.iter().all(Option::is_some));
        PointLabels::default().of_step(&rows, 10_000, 0.2, (5, 3), &mut out);
        assert!(out.is_empty());
    }

    /// Classes of samples have their probabilities given the component, to four standard deviations; no class
    /// without points is drawn.
    #[test]
    fn samples_have_the_classes_of_their_components() {
        let classes = Classes::from_joint(array![[0.1, 0.3, 0.0], [0.0, 0.0, 0.0], [0.4, 0.2, 0.0]]).unwrap();
        assert!((classes.shares() - array![0.4, 0.0, 0.6]).iter().all(|e| e.abs() <= 1e-12));
        for (k, share) in [(0, 0.2), (1, 0.6), (2, 0.4)] {
            let drawn = classes.draw(&vec![k; 10_000], (1, 2));
            let first = drawn.iter().filter(|class| **class == 0).count() as f64 / 10_000.0;
            assert!((first - share).abs() <= 0.02 && drawn.iter().all(|class| *class != 1), "{k}: {first}");
            assert_eq!(classes.draw(&[k; 10], (1, 2)), drawn[..10]);
        }
        let mixture = Mixture::new(array![0.5, 0.5], array![[0.0], [1.0]], crate::mixture::Covariances::Tied(array![[1.0]])).unwrap();
        let two = Classes::from_joint(array![[0.1, 0.3], [0.6, 0.0]]).unwrap();
        assert_eq!(two.start(1, &mixture).unwrap().weights(), array![1.0, 0.0]);
        assert!(two.start(2, &mixture).is_err() && classes.start(1, &mixture).is_err());
    }
}
