//! Encoder and score trained together (method.md, "Encoder and score together").

use super::field::ScoreField;
use super::system::is_isotropic;
use super::{Reference, Settled, Trainer};
use crate::config::Precision;
use crate::data::{Dataset, EncoderTraining, JointEncoder, NetworkEncoder};
use crate::rng::{Purpose, Stream};
use crate::sample::Field;
use crate::sde::{ComponentStep, NoiseScale, Paths, Whitening};
use crate::{Error, Real, Result};
use ndarray::Array2;

/// How often the reference is fitted again on the way: codes move, by themselves too while an encoder learns.
const ROUNDS: usize = 5;
/// Of streams that share the components' with other purposes: behind theirs.
const FIRST: u64 = 1 << 41;

/// An encoder, the law of its codes, and the parameters of a network of their score.
pub(crate) struct Together {
    pub encoder: NetworkEncoder,
    pub reference: Reference,
    pub params: Vec<f64>,
}

/// `encoder.joint` steps of both, from `encoder` and a network before its first step. Of each step's images codes
/// are drawn; the network learns from them as from any other points, and encoder and decoder descend (24) with its
/// score. The reference follows: it is fitted to the codes again in [`ROUNDS`] places, the last one after the last
/// step. `seen` is told the steps.
///
/// # Errors
/// An encoder that is not variational; training that diverges.
pub(crate) fn together(
    config: &Settled,
    reference: &Reference,
    data: &Dataset,
    encoder: NetworkEncoder,
    seen: &dyn Fn(usize),
) -> Result<Together> {
    match config.train.precision {
        Precision::F32 => run::<f32>(config, reference, data, encoder, seen),
        Precision::F64 => run::<f64>(config, reference, data, encoder, seen),
    }
    .map_err(|e| e.within("encoder and score together"))
}

fn run<R: Real>(
    config: &Settled,
    reference: &Reference,
    data: &Dataset,
    encoder: NetworkEncoder,
    seen: &dyn Fn(usize),
) -> Result<Together> {
    let e = &config.encoder;
    let how = EncoderTraining {
        latent: encoder.net().latent(),
        channels: encoder.net().width(),
        kl: Some(e.kl),
        steps: e.joint,
        batch: config.train.batch,
        rate: e.lr,
        seed: config.train.seed,
    };
    let mut own = (**config).clone();
    own.train.steps = e.joint;
    // Paths that are kept for later steps would begin at codes of an earlier encoder.
    own.train.reuse = 1;
    own.train.evaluate_every = 0;
    own.train.diagnose = false;
    let own = Settled::new(&own, reference, data.points.nrows())?;
    let (mut reference, mut state, mut done) = (reference.clone(), None, 0);
    let mut encoder = JointEncoder::new(encoder, data, how)?;
    for round in 1..=ROUNDS {
        let codes = encoder.current().encode(data.points.view())?;
        if round > 1 {
            reference = Reference::fit(codes.view(), &own)?;
        }
        let mut trainer = match state.take() {
            None => Trainer::<R>::new(&own, &reference, codes.view())?,
            Some(state) => Trainer::resume(&own, &reference, codes.view(), state)?,
        };
        let mut law = Law::new(&own, &reference, &trainer)?;
        while done < e.joint * round / ROUNDS {
            let codes = encoder.codes()?;
            let u: Vec<R> = reference.whitening.whiten(codes.view())?.iter().map(|v| R::of(*v)).collect();
            encoder.descend(law.score(&u, &trainer.state.params, done as u64)?.view())?;
            trainer.step_on(&u[..config.train.batch * codes.ncols()])?;
            done += 1;
            seen(done);
        }
        state = Some(trainer.state);
    }
    let params = state.iter().flat_map(|state| state.averaged()).map(|p| p.f64()).collect();
    let encoder = encoder.finish()?;
    let reference = Reference::fit(encoder.encode(data.points.view())?.view(), &own)?;
    Ok(Together { encoder, reference, params })
}

/// The law of the model that a trainer has come to.
struct Law<'a, R: Real> {
    config: &'a Settled,
    whitening: &'a Whitening,
    field: ScoreField<R>,
    scale: NoiseScale,
    /// The noising up to the horizon; none where it is alpha u + sbar z.
    step: Option<ComponentStep<R>>,
    /// The network's residual.
    residual: Vec<R>,
}

impl<'a, R: Real> Law<'a, R> {
    fn new(config: &'a Settled, reference: &'a Reference, trainer: &Trainer<R>) -> Result<Self> {
        let model = trainer.system.model.clone();
        let scale = model.scale;
        let field = ScoreField::new(model, trainer.system.regression, &trainer.state.params, None)?;
        let step = (!is_isotropic(config.sde.kind)).then(|| ComponentStep::new(&reference.mixture, config.sde.beta)).transpose()?;
        Ok(Law { config, whitening: &reference.whitening, field, scale, step, residual: Vec::new() })
    }

    /// What (24) descends, grad ln p at the codes whose whitened ones are `u`: s(u, t_min) - alpha(T) r(u_T, T), mapped by A^-T.
    fn score(&mut self, u: &[R], params: &[R], step: u64) -> Result<Array2<f64>> {
        let (d, sde) = (self.whitening.dim(), &self.config.sde);
        let paths = Paths { seed: self.config.train.seed, purpose: Purpose::Horizon, step: FIRST + step };
        let alpha = R::of(self.scale.alpha(sde.horizon));
        let mut late = u.to_vec();
        match &self.step {
            Some(component) => component.step(sde.horizon, &mut late, paths)?,
            None => {
                let (sbar, mut xi) = (R::of(self.scale.sbar(sde.horizon)), vec![R::zero(); u.len()]);
                Stream::new(paths.seed, paths.purpose, paths.step, 0).fill_normal(&mut xi);
                late.iter_mut().zip(&xi).for_each(|(u, xi)| *u = alpha * *u + sbar * *xi);
            }
        }
        self.field.load(params)?;
        self.residual.resize(u.len(), R::zero());
        self.field.residual(sde.horizon, &late, &mut self.residual)?;
        let mut all: Vec<f64> = self.residual.iter().map(|r| (-alpha * *r).f64()).collect();
        self.field.residual(sde.t_min, u, &mut self.residual)?;
        self.field.evaluate_guide(sde.t_min, u)?;
        all.iter_mut().zip(self.residual.iter().zip(&self.field.guide)).for_each(|(s, (r, g))| *s += (*r + *g).f64());
        let rows = Array2::from_shape_vec((u.len() / d, d), all).map_err(|e| Error::refused("joint training", e.to_string()))?;
        Ok(rows.dot(&self.whitening.inverse()))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Setting};
    use crate::data::Encoder;
    use crate::train::{Prepared, prepare};

    fn prepared(settings: &[(&str, &str)]) -> Prepared {
        let fixed = [("encoder.kind", "vae"), ("data.latent", "4"), ("encoder.channels", "4"), ("encoder.steps", "60")];
        let more = [("reference.components", "3"), ("reference.covariance", "full"), ("network.width", "16"), ("train.steps", "60")];
        let all = fixed.iter().chain(&more).chain(settings).map(|(k, v)| match (v.parse::<usize>(), v.parse::<f64>()) {
            (Ok(count), _) => Setting::new(k, count),
            (_, Ok(number)) => Setting::new(k, number),
            _ => Setting::new(k, *v),
        });
        prepare(&Config::resolve(&all.collect::<Vec<_>>()).unwrap()).unwrap()
    }

    fn network(p: &Prepared) -> &crate::data::NetworkEncoder {
        match &p.encoder {
            Encoder::Network(network) => network,
            _ => panic!("no network"),
        }
    }

    /// The steps change the encoder, keep more of the images than it did, and leave a reference of the new codes with
    /// a network that knows them: training begins with a held-out gain below 0, that of no network. Equal bits
    /// whatever the threads.
    #[test]
    fn encoder_and_score_learn_together() {
        // One component leaves the network something to learn.
        let few = [("reference.components", "1"), ("network.width", "64"), ("train.lr", "0.01")];
        let (alone, both) = (prepared(&few), prepared(&[&few[..], &[("encoder.joint", "300")]].concat()));
        let (a, b) = (network(&alone), network(&both));
        assert!(alone.start.is_none() && a.params() != b.params() && b.lost < a.lost, "{} {}", a.lost, b.lost);
        assert_eq!((b.looks.len(), b.looks.last().unwrap().step), (a.looks.len() + 1, 360));
        assert!(
            both.x == both.encoder.encode(both.data.points.view()).unwrap()
                && both.reference.mixture.means() != alone.reference.mixture.means()
        );
        let gain = |p: &Prepared| {
            let trainer = p.trainer::<f32>().unwrap();
            trainer.final_gain(&p.reference, p.held_out().unwrap().view()).unwrap()
        };
        let (nothing, begun) = (gain(&alone), gain(&both));
        assert!(nothing.value == 0.0 && begun.value < -3.0 * begun.error, "{nothing:?} {begun:?}");
        let likely = |p: &Prepared, x: &ndarray::Array2<f64>| {
            let law = p.reference.in_data_units().unwrap();
            law.log_density(x.view()).unwrap().mean().unwrap()
        };
        // Codes of the new encoder under the reference of the old one, and under their own.
        assert!(likely(&both, &both.x) > likely(&alone, &both.x) + 1.0);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let again = pool.install(|| prepared(&[&few[..], &[("encoder.joint", "300")]].concat()));
        assert!(again.encoder == both.encoder && again.start == both.start);
        for (precision, kind) in [("f32", "vp"), ("f64", "vp"), ("f32", "ve"), ("f32", "straight")] {
            let p = prepared(&[("encoder.joint", "5"), ("train.precision", precision), ("sde.kind", kind), ("reference.components", "1")]);
            assert!(p.start.is_some_and(|params| params.iter().any(|v| *v != 0.0)), "{precision} {kind}");
        }
    }

    #[test]
    fn what_is_no_law_of_codes_is_refused() {
        let settings = [("encoder.kind", "autoencoder")].map(|(k, v)| Setting::new(k, v));
        let e = Config::resolve(&[&settings[..], &[Setting::new("encoder.joint", 5usize)]].concat()).unwrap_err().to_string();
        assert!(e.contains("encoder.joint") && e.contains("vae"), "{e}");
    }
}
