//! The maps (21) of a generator, from a run of its own.

use super::Generator;
use crate::mixture::{Draw, Evaluator};
use crate::rng::Purpose;
use crate::sample::{AffineMap, Gaussian, Maps, Method, MomentKind, generate};
use crate::train::system::start_std;
use crate::train::{DataMoments, moments};
use crate::{Real, Result};
use ndarray::{ArrayView1, Axis};
use std::sync::Arc;

/// Points of the run that the maps of (21) are taken from: several for each point of the data, whose own
/// error theirs is then well below, within limits, and at least so many a dimension.
const CALIBRATING: usize = 4;
const LIMITS: [usize; 2] = [4096, 16_384];
const PER_DIMENSION: usize = 20;
/// Points a dimension from which a component's points are given its moments.
const ENOUGH: usize = 4;
/// Points of the run that tells which kind of maps is needed.
const JUDGED: usize = 4096;

impl<R: Real> Generator<R> {
    /// The maps (21) of a method with so many steps (`None`: the default), if the model has them. They come
    /// from one run of some thousand points, made when they are first asked for: what they do to a point
    /// depends on that point alone.
    ///
    /// # Errors
    /// As [`Generator::sample`].
    pub fn maps(&mut self, method: Method, steps: Option<usize>) -> Result<Option<Arc<Maps>>> {
        let (Some(moments), key) = (self.moments.clone(), (method, self.steps(method, steps))) else { return Ok(None) };
        // The moments are those of all classes, each with its share and as it was learned.
        if self.class.is_some() || self.field.guidance != 1.0 {
            return Ok(None);
        }
        if let Some((_, maps)) = self.maps.iter().find(|(known, _)| *known == key) {
            return Ok(Some(maps.clone()));
        }
        let temperature = std::mem::replace(&mut self.field.temperature, 1.0);
        let labels = std::mem::take(&mut self.field.labels);
        let maps = self.calibrated(&moments, key).map(Arc::new);
        (self.field.temperature, self.field.labels) = (temperature, labels);
        let maps = maps?;
        self.maps.push((key, maps.clone()));
        Ok(Some(maps))
    }

    /// The maps of a method with so many steps, from a run of their own.
    fn calibrated(&mut self, moments: &DataMoments, key: (Method, usize)) -> Result<Maps> {
        let how = self.how(key, (moments::seed(self.config.train.seed, 1), 0));
        let d = self.whitening.dim();
        let points = (CALIBRATING * moments.points).clamp(LIMITS[0], LIMITS[1]).max(PER_DIMENSION * d);
        let (starts, components) = self.exact_starts(points, how.seed)?;
        let kind = moments.kind(self.config.calibration.moments, || {
            // The choice between kinds needs no more.
            let judged = components.len().min(JUDGED);
            let mut u = starts[..judged * d].to_vec();
            self.field.labels = self.labels(&components[..judged], (how.seed, 0));
            generate(self.reverse.as_ref(), &mut self.field, how, &mut u, &mut |_, _| {})?;
            Gaussian::of_rows(&u, d)
        })?;
        self.field.labels = self.labels(&components, (how.seed, 0));
        let (mut u, mut maps, mut failed) = (starts, Maps::none(), None);
        let law = &self.start;
        let evaluator = (!moments.components.is_empty()).then(|| Evaluator::new(law));
        let mut learn = |t: f64, u: &mut [R]| {
            if let Some(evaluator) = &evaluator {
                maps.learn_components((law, evaluator), &moments.shares(t, law.weights()), u)?;
            }
            maps.learn(kind, t, &moments.noised.at(t), u)
        };
        if kind != MomentKind::None {
            generate(self.reverse.as_ref(), &mut self.field, how, &mut u, &mut |t, u| failed = failed.take().or(learn(t, u).err()))?;
        }
        failed.map_or(Ok(maps), Err)
    }

    /// Starting points and their components, with the law's own moments, component by component, where a component has points enough: what
    /// is nearly linear in the starts then has nearly no error from their number.
    fn exact_starts(&self, n: usize, seed: u64) -> Result<(Vec<R>, Vec<usize>)> {
        let (law, d) = (&self.start, self.whitening.dim());
        let (mut x, components) = law.sample(n, seed, Purpose::Start, Draw::Systematic)?;
        for k in 0..law.components() {
            let rows: Vec<usize> = (0..n).filter(|i| components[*i] == k).collect();
            if rows.len() < ENOUGH * d || d > moments::MOST {
                continue;
            }
            let own = x.select(Axis(0), &rows);
            let wants = Gaussian { mean: law.means().row(k).to_owned(), covariance: law.covariance(k) };
            let map = AffineMap::between(MomentKind::Full, &Gaussian::of(own.view())?, &wants)?;
            let mut own: Vec<f64> = own.iter().copied().collect();
            map.apply(&mut own);
            for (i, u) in rows.into_iter().zip(own.chunks_exact(d)) {
                x.row_mut(i).assign(&ArrayView1::from(u));
            }
        }
        let widen = start_std(&self.config, self.reverse.as_ref());
        Ok((x.iter().map(|v| R::of(*v * widen)).collect(), components))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Setting};
    use crate::mixture::{Draw, Mixture};
    use crate::rng::Purpose;
    use crate::sample::Gaussian;
    use crate::train::prepare;
    use ndarray::{Array1, Array2};

    /// Starts with the law's own moments, component by component: their mean and covariance are those of the
    /// mixture with the weights that the points divide by, where a draw is off by the size of 1/sqrt(n).
    #[test]
    fn exact_starts_have_the_moments_of_the_law() {
        let settings = [("data.n", 300usize), ("reference.components", 3), ("network.width", 8), ("train.seed", 5)];
        let mut settings: Vec<Setting> = settings.iter().map(|(k, v)| Setting::new(k, *v)).collect();
        settings.extend([("data.name", "moons"), ("train.precision", "f64")].map(|(k, v)| Setting::new(k, v)));
        let prepared = prepare(&Config::resolve(&settings).unwrap()).unwrap();
        let generator = prepared.generator(&prepared.trainer::<f64>().unwrap()).unwrap();
        let (n, law) = (3000, &prepared.reference.mixture);
        let (drawn, labels) = law.sample(n, 4, Purpose::Start, Draw::Systematic).unwrap();
        let weights: Array1<f64> = (0..3).map(|k| labels.iter().filter(|l| **l == k).count() as f64 / n as f64).collect();
        let exact = Mixture::new(weights, law.means().to_owned(), law.covariances().clone()).unwrap();
        let wanted = Gaussian { mean: exact.weights().dot(&exact.means()), covariance: exact.total_covariance() };
        let off = |u: ndarray::ArrayView2<f64>| {
            let has = Gaussian::of(u).unwrap();
            let apart = |a: f64, b: f64| (a - b).abs();
            let mean = has.mean.iter().zip(&wanted.mean).map(|(a, b)| apart(*a, *b)).fold(0.0, f64::max);
            has.covariance.iter().zip(&wanted.covariance).map(|(a, b)| apart(*a, *b)).fold(mean, f64::max)
        };
        let starts = Array2::from_shape_vec((n, 2), generator.exact_starts(n, 4).unwrap().0).unwrap();
        assert!(off(starts.view()) <= 1e-10 && off(drawn.view()) >= 1e-3, "{} {}", off(starts.view()), off(drawn.view()));
    }
}
