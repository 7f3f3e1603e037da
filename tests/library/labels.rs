//! Networks that are told labels, against classes whose laws are known.

use ndarray::{Array1, Array2, ArrayView2, Axis, array, s};
use ndsm::Error;
use ndsm::config::{Config, Setting};
use ndsm::data::Dataset;
use ndsm::mixture::{Covariances, Evaluator, Mixture};
use ndsm::rng::{Purpose, Stream};
use ndsm::sample::Method;
use ndsm::train::{Classes, Generator, Reference, Settled, Trainer};
use std::sync::Arc;

/// Share of the first class.
const SHARE: f64 = 0.7;

/// Two classes that overlap: Gaussians with covariances of their own.
fn laws() -> [Mixture; 2] {
    let one = |mean: [f64; 2], c: [[f64; 2]; 2]| {
        let covariance = Array2::from(c.to_vec()).insert_axis(Axis(0));
        Mixture::new(array![1.0], array![mean], Covariances::Full(covariance)).unwrap()
    };
    [one([-1.0, 0.0], [[0.8, 0.3], [0.3, 0.5]]), one([1.2, 0.6], [[0.3, -0.1], [-0.1, 0.9]])]
}

/// Points of both classes, by turns, with their labels; as many held out.
fn data(n: usize) -> Dataset {
    let draw = |which: u32| {
        let mut u = vec![0f64; n];
        Stream::new(which.into(), Purpose::User(0), 0, 0).fill_uniform(&mut u);
        let labels: Vec<u32> = u.iter().map(|u| u32::from(*u >= SHARE)).collect();
        let laws = laws().map(|law| law.sample(n, which.into(), Purpose::User(1), ndsm::mixture::Draw::Systematic).unwrap().0);
        let points = Array2::from_shape_fn((n, 2), |(i, j)| laws[labels[i] as usize][[i, j]]);
        (points, labels)
    };
    let ((points, labels), (held_out, held_out_labels)) = (draw(0), draw(1));
    let (labels, held_out_labels) = (Some(labels), Some(held_out_labels));
    Dataset { name: "two classes".into(), points, held_out, images: None, notes: vec![], labels, held_out_labels, law: None }
}

fn config(settings: &[(&str, &str)]) -> Config {
    let numbers = [("network.classes", 2usize), ("network.width", 48), ("network.depth", 2), ("train.steps", 1200), ("train.batch", 256)];
    // Unused: the points come from the test.
    let mut all = vec![Setting::new("data.name", "csv"), Setting::new("data.path", "none.csv")];
    all.extend(numbers.map(|(key, value)| Setting::new(key, value)));
    all.extend(settings.iter().map(|(key, value)| match (value.parse::<usize>(), *value) {
        (Ok(number), _) => Setting::new(key, number),
        (_, "true") => Setting::new(key, true),
        _ => Setting::new(key, *value),
    }));
    Config::resolve(&all).unwrap()
}

/// A model of the points and labels of `data`.
fn trained(config: &Config, data: &Dataset) -> (Reference, Trainer<f32>, Arc<Classes>) {
    let x = data.points.view();
    let labels = data.labels.as_deref().filter(|_| config.reference.per_class);
    let reference = Reference::fit_labelled(x, labels, None, config, &|_| {}).unwrap();
    let settled = Settled::new(config, &reference, x.nrows()).unwrap();
    let classes = Classes::new(&settled, &reference, x, data.labels.as_deref()).unwrap().unwrap();
    let trainer = Trainer::new(&settled, &reference, x).unwrap().labelled(data).unwrap();
    let mut trainer = trainer.watching(&reference, data.held_out.view()).unwrap();
    (0..config.train.steps).for_each(|_| drop(trainer.step().unwrap()));
    (reference, trainer, Arc::new(classes))
}

fn generator(reference: &Reference, trainer: &Trainer<f32>, classes: &Arc<Classes>) -> Generator<f32> {
    trainer.generator(reference).unwrap().knowing(Some(classes.clone()))
}

fn mean_square(x: ArrayView2<f64>) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>() / x.nrows() as f64
}

/// In a linear process every law is known: a network that is told the class has the score of the class, without
/// the label that of both, and between them guidance draws its line. What is between the two scores is what a
/// label is worth; the error is a small share of it. Told the wrong class it is far off.
#[test]
fn the_score_of_a_class_is_that_of_its_law() {
    let data = data(6000);
    for kind in ["mlp", "residual"] {
        let config = config(&[("sde.kind", "vp"), ("network.kind", kind)]);
        let (reference, trainer, classes) = trained(&config, &data);
        let (whitening, t) = (&reference.whitening, 0.4f64);
        let alpha = (-t / 2.0).exp();
        let noised = |law: &Mixture| {
            let u = law.affine(whitening.inverse(), whitening.shift().view()).unwrap();
            let u = u.marginal(alpha, 1.0 - alpha * alpha).unwrap();
            u.affine(whitening.factor(), whitening.mean()).unwrap()
        };
        let laws = laws();
        let both = Mixture::union(&[(SHARE, &laws[0]), (1.0 - SHARE, &laws[1])]).unwrap();
        let x = noised(&both).sample(1000, 7, Purpose::User(2), ndsm::mixture::Draw::Systematic).unwrap().0;
        let exact = |law: &Mixture| {
            let points: Vec<f64> = x.iter().copied().collect();
            let mut score = vec![0.0; points.len()];
            Evaluator::new(&noised(law)).score(&points, &mut score).unwrap();
            Array2::from_shape_vec(x.dim(), score).unwrap()
        };
        let marginal = exact(&both);
        let new = || generator(&reference, &trainer, &classes);
        let untold = new().score(t, x.view()).unwrap();
        let share = mean_square((&untold - &marginal).view()) / mean_square(marginal.view());
        assert!(share <= 0.06, "{kind}, no label: {share}");
        for class in 0..2u32 {
            let own = exact(&laws[class as usize]);
            let worth = mean_square((&own - &marginal).view());
            let told = new().of_class(class).unwrap().score(t, x.view()).unwrap();
            let share = mean_square((&told - &own).view()) / worth;
            assert!(share <= 0.1, "{kind}, class {class}: {share}");
            let other = new().of_class(1 - class).unwrap().score(t, x.view()).unwrap();
            assert!(mean_square((&other - &own).view()) / worth >= 0.5, "{kind}, class {class}");
            for w in [0.0, 0.5, 1.0, 3.0] {
                let guided = new().of_class(class).unwrap().guided(w).unwrap().score(t, x.view()).unwrap();
                let line = &untold + &((&told - &untold) * w);
                assert!((guided - &line).iter().zip(&line).all(|(e, s)| e.abs() <= 1e-4 * (1.0 + s.abs())), "{kind}, guidance {w}");
            }
        }
        let gains = trainer.class_gains().unwrap();
        assert_eq!(gains.iter().map(|gain| gain.class).collect::<Vec<_>>(), [0, 1]);
        // The label is worth more than chance, of either class.
        for gain in gains {
            assert!(gain.told.value + 3.0 * gain.told.error < gain.untold.value, "{kind}: {gain:?}");
        }
    }
}

/// Samples of a class have its mean and covariance, of a mixture and of a linear process, with a reference for
/// all classes and with one for each, by the flow and by the equation; all samples together have the classes'
/// shares. Means of 4,000 samples lie within 0.06 of a class's with 99.9 % each (standard deviation .95 at most),
/// the rest of the bound is the network's.
#[test]
fn samples_of_a_class_have_its_moments() {
    let data = data(6000);
    let mixture = ("sde.kind", "langevin");
    let cases = [
        vec![("sde.kind", "vp")],
        vec![mixture, ("reference.components", "2")],
        vec![mixture, ("reference.components", "2"), ("objective.kind", "component-flow")],
        vec![mixture, ("reference.components", "1"), ("reference.per_class", "true")],
    ];
    for settings in cases {
        let (reference, trainer, classes) = trained(&config(&settings), &data);
        let share = classes.shares()[0];
        assert!((share - SHARE).abs() <= 0.02, "{share}");
        for method in [Method::Ode, Method::Sde] {
            if method == Method::Sde && settings.contains(&("objective.kind", "component-flow")) {
                continue;
            }
            for (class, law) in laws().iter().enumerate() {
                let mut generator = generator(&reference, &trainer, &classes).of_class(class as u32).unwrap();
                let x = generator.sample(4000, 3, method, None).unwrap();
                let mean = x.mean_axis(Axis(0)).unwrap();
                let centred = &x - &mean;
                let covariance = centred.t().dot(&centred) / 4000.0;
                let off = (&mean - &law.total_mean()).iter().fold(0.0, |a: f64, e| a.max(e.abs()));
                let spread = (&covariance - &law.total_covariance()).iter().fold(0.0, |a: f64, e| a.max(e.abs()));
                assert!(off <= 0.15 && spread <= 0.15, "{settings:?}, {method:?}, class {class}: {off} {spread}\n{covariance}");
            }
            let mut all = generator(&reference, &trainer, &classes);
            let x = all.sample(4000, 3, method, None).unwrap();
            let both = Mixture::union(&[(SHARE, &laws()[0]), (1.0 - SHARE, &laws()[1])]).unwrap();
            let off = (x.mean_axis(Axis(0)).unwrap() - both.total_mean()).iter().fold(0.0, |a: f64, e| a.max(e.abs()));
            assert!(off <= 0.1, "{settings:?}, {method:?}: {off}");
            // Row i is the same for every n.
            assert_eq!(all.sample(7, 3, method, None).unwrap(), x.slice(s![..7, ..]));
        }
    }
}

/// The weights with which a class starts are those that its points have at the horizon: of modes that lie apart,
/// that of a class each, its own alone.
#[test]
fn a_class_starts_in_its_own_modes() {
    let n = 600;
    let mode = |i: usize| i % 3;
    let mut points = vec![0.0; 2 * n];
    Stream::new(0, Purpose::User(0), 0, 0).fill_normal(&mut points);
    let mut points = Array2::from_shape_vec((n, 2), points).unwrap();
    points.outer_iter_mut().enumerate().for_each(|(i, mut x)| x[0] += 30.0 * mode(i) as f64);
    // Two modes are of one class.
    let labels: Vec<u32> = (0..n).map(|i| u32::from(mode(i) == 2)).collect();
    let config = config(&[("reference.components", "3")]);
    let reference = Reference::fit(points.view(), &config).unwrap();
    let settled = Settled::new(&config, &reference, n).unwrap();
    let classes = Classes::new(&settled, &reference, points.view(), Some(&labels)).unwrap().unwrap();
    let mean = |class| classes.start(class, &reference.in_data_units().unwrap()).unwrap().total_mean()[0];
    assert!((mean(0) - 15.0).abs() <= 0.5 && (mean(1) - 60.0).abs() <= 0.5, "{} {}", mean(0), mean(1));
    let total: Array1<f64> = classes.joint().sum_axis(Axis(0));
    assert!((total - reference.mixture.weights()).iter().all(|e| e.abs() <= 1e-3));
    assert!(Classes::from_joint(array![[0.5, 0.6]]).is_err() && Classes::from_joint(array![[1.5, -0.5]]).is_err());
}

#[test]
fn labels_that_cannot_be_are_refused() {
    let data = data(200);
    let config = config(&[("sde.kind", "vp"), ("train.steps", "10")]);
    let reference = Reference::fit(data.points.view(), &config).unwrap();
    let settled = Settled::new(&config, &reference, 200).unwrap();
    let trainer = || Trainer::<f32>::new(&settled, &reference, data.points.view()).unwrap();
    let refused = |e: Error, words: &str| assert!(e.to_string().contains(words) && e.exit_code() == 2, "{e}");
    refused(trainer().step().unwrap_err(), "the trainer was told no labels");
    let without = Dataset { labels: None, ..data.clone() };
    refused(trainer().labelled(&without).err().unwrap(), "network.classes: needs labels");
    let third = Dataset { labels: Some(vec![2; 200]), ..data.clone() };
    refused(trainer().labelled(&third).err().unwrap(), "network.classes: must be at least 3, as the labels go from 0 to 2, got 2");
    let (reference, trainer, classes) = trained(&config, &data);
    let new = || generator(&reference, &trainer, &classes);
    refused(new().of_class(2).err().unwrap(), "class: must be one of the 2 classes from 0 on");
    refused(new().guided(-1.0).err().unwrap(), "guidance: must be in [0, 100], got -1");
    refused(new().guided(f64::NAN).err().unwrap(), "guidance");
    refused(trainer.generator(&reference).unwrap().of_class(0).err().unwrap(), "trained without network.classes");
    refused(trainer.generator(&reference).unwrap().guided(2.0).err().unwrap(), "trained without network.classes");
}
