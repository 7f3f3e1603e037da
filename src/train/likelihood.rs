//! The likelihood of points under a trained model, by its probability flow
//! ([`crate::sample::flow_log_density`]) from t_min to the horizon, where p_T is the law that generation
//! starts from. Where the sampler maps its points (21), so does the flow. The divergence is exact, one
//! derivative of the network a dimension on dual numbers.

use super::field::ScoreField;
use super::system::{model, regression, start_std};
use super::{Reference, Settled, State};
use crate::config::{ObjectiveKind, Spacing};
use crate::mixture::Mixture;
use crate::real::Dual;
use crate::rng::{Purpose, Stream};
use crate::sample::{AffineMap, ByDuals, Field, Maps, Reverse, flow_log_density_through, sampling_times};
use crate::sde::ode::{Explicit, Velocity};
use crate::sde::{NoiseScale, Whitening};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView2};

/// Most dimensions: the divergence takes a pass for each.
const MOST: usize = 64;

/// A number and its derivative along one coordinate.
type D = Dual<f64>;

/// ln p of a trained model, in f64.
pub struct Likelihood {
    whitening: Whitening,
    start: Mixture,
    /// Standard deviations of the start in those of the reference.
    widen: f64,
    horizon: f64,
    t_min: f64,
    spacing: Spacing,
    scale: NoiseScale,
    flow: ByDuals<Flow>,
    /// The maps of the sampler backwards, from t_min to the horizon: times, maps back, ln |det A| of each.
    maps: Vec<(f64, AffineMap, f64)>,
}

impl Likelihood {
    /// The likelihood of `state`: of the parameters that [`State::generating`] names.
    ///
    /// # Errors
    /// The component flow with more than one component, whose velocity is not that of its marginals alone;
    /// more than 64 dimensions; a state of another network than the configuration's.
    pub fn new<R: Real>(config: &Settled, reference: &Reference, state: &State<R>) -> Result<Self> {
        let d = reference.whitening.dim();
        if config.objective.kind == ObjectiveKind::ComponentFlow {
            return Err(Error::refused(
                "likelihood",
                "objective.kind = \"component-flow\" learns a velocity with its own regression; use a score",
            ));
        }
        if d > MOST {
            let sentence = format!("the exact divergence takes a pass for each dimension, at most {MOST}; the reference has {d}");
            return Err(Error::refused("likelihood", sentence));
        }
        let (score, reverse) = model::<D>(config, reference)?;
        let params: Vec<D> = state.generating().iter().map(|p| Dual::constant(p.f64())).collect();
        let widen = start_std(config, reverse.as_ref());
        let scale = reverse.scale();
        let flow =
            ByDuals::new(d, Flow { field: ScoreField::new(score, regression(config), &params, state.calibration.as_ref())?, reverse });
        let (whitening, start) = (reference.whitening.clone(), reference.mixture.clone());
        let (horizon, t_min, spacing) = (config.sde.horizon, config.sde.t_min, config.sde.spacing);
        Ok(Likelihood { whitening, start, widen, horizon, t_min, spacing, scale, flow, maps: Vec::new() })
    }

    /// The likelihood of the flow with the maps (21) of a sampler by the probability flow
    /// ([`crate::train::Generator::maps`]): a jump at each of its times.
    ///
    /// # Errors
    /// Maps by component; an eigendecomposition that does not converge.
    pub fn through(mut self, maps: Option<&Maps>) -> Result<Self> {
        if maps.is_some_and(Maps::by_component) {
            return Err(Error::refused("likelihood", "calibration.moments = \"component\" maps points by no affine map; take \"full\""));
        }
        let steps = maps.map_or(&[][..], Maps::steps).iter().rev().filter(|(t, _)| *t > 0.0);
        let back = |(t, map): &(f64, AffineMap)| map.inverse().map(|(back, log_det)| (*t, back, log_det));
        self.maps = steps.map(back).collect::<Result<_>>()?;
        Ok(self)
    }

    /// ln p at the rows of `x` [n, d], in the units of the data, by `steps` steps of the classical
    /// Runge-Kutta method, or with maps the next multiple of the sampler's. What p is the law of is the
    /// flow's end at t_min: samples have one more step behind them, over t_min, which takes that much noise
    /// away, and with maps the one at time 0.
    ///
    /// # Errors
    /// Points that do not fit; no steps; points that become NaN or infinite.
    pub fn log_density(&mut self, x: ArrayView2<f64>, steps: usize) -> Result<Array1<f64>> {
        if steps == 0 {
            return Err(Error::invalid("likelihood: steps", ">= 1", 0));
        }
        let (u, d) = (self.whitening.whiten(x)?, self.whitening.dim());
        let pieces = self.maps.len().saturating_sub(1).max(1);
        let each = steps.div_ceil(pieces);
        let mut times = sampling_times(self.spacing, self.scale, self.horizon, self.t_min, pieces * each)?;
        times.reverse();
        let last = |ends: ArrayView2<f64>| self.start.log_density((&ends / self.widen).view());
        let pieces: Vec<&[f64]> = (0..pieces).map(|i| &times[i * each..=(i + 1) * each]).collect();
        let mut back = |i: usize, paths: &mut [f64]| {
            let Some((_, map, log_det)) = self.maps.get(i) else { return };
            let mut x: Vec<f64> = paths.chunks_exact(d + 1).flat_map(|path| path[..d].to_vec()).collect();
            map.apply(&mut x);
            for (path, x) in paths.chunks_exact_mut(d + 1).zip(x.chunks_exact(d)) {
                path[..d].copy_from_slice(x);
                path[d] -= log_det;
            }
        };
        let density = flow_log_density_through(&mut self.flow, Explicit::RK4, &pieces, u.view(), &mut back, last)?;
        // du/dx = A^-1, triangular; the start is the reference, widened.
        let volume = self.whitening.inverse().diag().iter().map(|v| v.abs().ln()).sum::<f64>() - d as f64 * self.widen.ln();
        Ok(density + volume)
    }
}

/// The points `x` [n, d], whose coordinates are multiples of `step`, each spread evenly over the cell around
/// it.
pub fn dequantised(x: ArrayView2<f64>, step: f64, seed: u64) -> Array2<f64> {
    let mut stream = Stream::new(seed, Purpose::Dequantisation, 0, 0);
    x.mapv(|x| x + step * (stream.uniform::<f64>() - 0.5))
}

/// Bits that a coordinate takes, from the mean of -ln p at [`dequantised`] points of R^`d`: (mean - d ln
/// step) / (d ln 2). By Jensen's inequality no less than those of the probabilities of the cells, -log_2 P(x)
/// / d (Theis, van den Oord and Bethge 2016, arXiv:1511.01844).
pub fn bits_per_dimension(mean: f64, d: usize, step: f64) -> f64 {
    (mean / d as f64 - step.ln()) / std::f64::consts::LN_2
}

/// dx/dt of the model's probability flow.
struct Flow {
    field: ScoreField<D>,
    reverse: Box<dyn Reverse<D>>,
}

impl Velocity<D> for Flow {
    fn velocity(&mut self, t: f64, u: &[D], v: &mut [D]) -> Result<()> {
        self.field.residual(t, u, v)?;
        self.reverse.velocity(t, u, v);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Setting};
    use crate::data::{Request, load};
    use crate::mixture::Covariances;
    use crate::sample::Method;
    use crate::train::{DataMoments, Generator, Trainer};
    use ndarray::array;
    use std::sync::Arc;

    fn trained(settings: &[(&str, &str)], steps: usize) -> (Settled, Reference, Trainer<f32>) {
        let mut all = vec![Setting::new("data.name", "four-modes"), Setting::new("data.n", 500usize), Setting::new("train.batch", 64usize)];
        all.extend([Setting::new("network.width", 32usize), Setting::new("train.steps", steps.max(1))]);
        all.extend(settings.iter().map(|(k, v)| Setting::new(k, *v)));
        let config = Config::resolve(&all).unwrap();
        let data = load(&Request { name: "four-modes".into(), n: Some(500), ..Request::default() }).unwrap();
        let reference = Reference::fit(data.points.view(), &config).unwrap();
        let config = Settled::new(&config, &reference, 500).unwrap();
        let mut trainer = Trainer::<f32>::new(&config, &reference, data.points.view()).unwrap();
        (0..steps).for_each(|_| drop(trainer.step().unwrap()));
        (config, reference, trainer)
    }

    /// Of a law that is even over eight cells of the line: three bits, whatever the cells' width; and the
    /// points stay in their cells.
    #[test]
    fn bits_of_even_cells() {
        let step = 0.25f64;
        assert!((bits_per_dimension((8.0 * step).ln() * 3.0, 3, step) - 3.0).abs() <= 1e-12);
        let x = Array2::from_shape_fn((50, 3), |(i, j)| step * ((i + j) % 8) as f64);
        let moved = dequantised(x.view(), step, 1) - &x;
        assert!(moved.iter().all(|m| m.abs() < 0.5 * step) && moved.std(0.0) > 0.2 * step);
    }

    /// A network that says nothing yet leaves the flow of the guide alone, whose law is known: the reference;
    /// of an exploding process the Gaussian of the data, noised to t_min.
    #[test]
    fn an_untrained_model_has_the_likelihood_of_its_guide() {
        let x = array![[4.0, 3.5], [0.5, -1.0], [-4.2, 4.4]];
        for kind in ["langevin", "vp", "ve", "sub-vp", "straight"] {
            let settings: &[(&str, &str)] = &[("sde.kind", kind), ("network.parametrisation", "residual")];
            let (config, reference, trainer) = trained(settings, 0);
            let law = reference.in_data_units().unwrap();
            let exact = match kind {
                "langevin" | "vp" => law,
                _ => {
                    // In u: alpha^2 + sbar^2 at t_min, times the unit covariance.
                    let scale = trainer.system().model.scale;
                    let v = scale.alpha(config.sde.t_min).powi(2) + scale.sbar(config.sde.t_min).powi(2);
                    let stack = (law.total_covariance() * v).insert_axis(ndarray::Axis(0));
                    Mixture::new(array![1.0], law.means().to_owned(), Covariances::Full(stack)).unwrap()
                }
            };
            let got = Likelihood::new(&config, &reference, trainer.state()).unwrap().log_density(x.view(), 60).unwrap();
            for (got, exact) in got.iter().zip(exact.log_density(x.view()).unwrap()) {
                assert!((got - exact).abs() <= 1e-5 * (1.0 + exact.abs()), "{kind}: {got} {exact}");
            }
        }
    }

    /// A density integrates to 1, whatever the network has learned, and the learned one is near the law.
    #[test]
    fn a_trained_density_integrates_to_one() {
        let (config, reference, trainer) = trained(&[], 300);
        let mut likelihood = Likelihood::new(&config, &reference, trainer.state()).unwrap();
        // Cells of .25 x .25 around [-8, 8]^2: a quarter of the modes' standard deviation.
        let grid = Array2::from_shape_fn((64 * 64, 2), |(i, j)| -7.875 + 0.25 * (if j == 0 { i % 64 } else { i / 64 }) as f64);
        let p = likelihood.log_density(grid.view(), 24).unwrap().mapv(f64::exp);
        let total = p.sum() * 0.0625;
        assert!((total - 1.0).abs() <= 0.01, "{total}");
        assert!(likelihood.log_density(grid.view(), 0).is_err() && likelihood.log_density(array![[1.0]].view(), 3).is_err());
        let flow = Config::resolve(&[Setting::new("objective.kind", "component-flow")]).unwrap();
        let flow = Settled::new(&flow, &reference, 500).unwrap();
        assert!(Likelihood::new(&flow, &reference, trainer.state()).is_err());
    }

    /// With the maps (21) of a sampler, too, each of which changes volumes: of a network whose parameters are
    /// not those it has learned.
    #[test]
    fn a_density_with_maps_integrates_to_one() {
        let (config, reference, trainer) = trained(&[("calibration.moments", "full")], 300);
        let mut state = trainer.state().clone();
        state.optimiser.ema.iter_mut().for_each(|p| *p *= 0.9);
        let data = load(&Request { name: "four-modes".into(), n: Some(500), ..Request::default() }).unwrap();
        let moments = DataMoments::new(&config, &reference, data.points.view(), None).unwrap().map(Arc::new);
        let mut generator = Generator::new(&config, &reference, &state).unwrap().keeping(moments);
        let maps = generator.maps(Method::Ode, None).unwrap();
        let mut likelihood = Likelihood::new(&config, &reference, &state).unwrap().through(maps.as_deref()).unwrap();
        let grid = Array2::from_shape_fn((64 * 64, 2), |(i, j)| -7.875 + 0.25 * (if j == 0 { i % 64 } else { i / 64 }) as f64);
        let total = likelihood.log_density(grid.view(), 24).unwrap().mapv(f64::exp).sum() * 0.0625;
        let volume = likelihood.maps.iter().map(|(_, _, log_det)| log_det).sum::<f64>();
        // Without their determinants the integral would be e^volume.
        assert!((total - 1.0).abs() <= 1e-4 && volume.abs() >= 1e-3, "{total}, ln det A {volume}");
    }
}
