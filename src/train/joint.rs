//! Encoder and score trained together (method.md, "Encoder and score together").

use super::field::ScoreField;
use super::{Reference, Settled, Trainer};
use crate::config::Precision;
use crate::data::{Dataset, EncoderTraining, JointEncoder, NetworkEncoder};
use crate::sample::Field;
use crate::{Real, Result};
use ndarray::Array2;

/// An encoder and the parameters of a network of the score of its codes.
pub(crate) struct Together {
    pub encoder: NetworkEncoder,
    pub params: Vec<f64>,
}

/// `encoder.joint` steps of both, from `encoder` and a network before its first step. Of each step's images codes
/// are drawn; the network learns from them as from any other points, and encoder and decoder descend with its score
/// at the codes. `seen` is told the steps.
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

fn run<R: Real>(config: &Settled, reference: &Reference, data: &Dataset, encoder: NetworkEncoder, seen: &dyn Fn(usize)) -> Result<Together> {
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
    let codes = encoder.encode(data.points.view())?;
    let mut trainer = Trainer::<R>::new(&own, reference, codes.view())?;
    let mut encoder = JointEncoder::new(encoder, data, how)?;
    let (d, whitening, t) = (trainer.system.model.dim(), &reference.whitening, own.sde.t_min);
    let mut field = ScoreField::new(trainer.system.model.clone(), trainer.system.regression, &trainer.state.params, None)?;
    let mut residual = vec![R::zero(); encoder.rows() * d];
    for step in 1..=e.joint {
        let u = whitening.whiten(encoder.codes()?.view())?;
        let u: Vec<R> = u.iter().map(|v| R::of(*v)).collect();
        field.load(&trainer.state.params)?;
        field.residual(t, &u, &mut residual)?;
        field.evaluate_guide(t, &u)?;
        let score = Array2::from_shape_fn((encoder.rows(), d), |(i, j)| (residual[i * d + j] + field.guide[i * d + j]).f64());
        // grad_z = A^-T grad_u.
        encoder.descend(score.dot(&whitening.inverse()).view())?;
        trainer.step_on(&u[..config.train.batch * d])?;
        seen(step);
    }
    let params = trainer.state.averaged().iter().map(|p| p.f64()).collect();
    Ok(Together { encoder: encoder.finish()?, params })
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Setting};
    use crate::data::Encoder;
    use crate::train::{Prepared, prepare};

    fn prepared(settings: &[(&str, &str)]) -> Prepared {
        let fixed = [("encoder.kind", "vae"), ("data.latent", "4"), ("encoder.channels", "4"), ("encoder.steps", "60")];
        let more = [("reference.components", "3"), ("reference.covariance", "full"), ("network.width", "16"), ("train.steps", "60")];
        let all = fixed.iter().chain(&more).chain(settings).map(|(k, v)| match v.parse::<usize>() {
            Ok(number) => Setting::new(k, number),
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

    /// The steps change the encoder, keep more of the images than it did, and leave a network that knows the codes:
    /// training begins with a held-out gain below 0, that of no network. Equal bits whatever the threads.
    #[test]
    fn encoder_and_score_learn_together() {
        let (alone, both) = (prepared(&[]), prepared(&[("encoder.joint", "300")]));
        let (a, b) = (network(&alone), network(&both));
        assert!(alone.start.is_none() && a.params() != b.params() && b.lost < a.lost, "{} {}", a.lost, b.lost);
        assert_eq!((b.looks.len(), b.looks.last().unwrap().step), (a.looks.len() + 1, 360));
        assert!(both.x == both.encoder.encode(both.data.points.view()).unwrap());
        let gain = |p: &Prepared| {
            let trainer = p.trainer::<f32>().unwrap();
            trainer.final_gain(&p.reference, p.held_out().unwrap().view()).unwrap()
        };
        let (nothing, begun) = (gain(&alone), gain(&both));
        assert!(nothing.value == 0.0 && begun.value < -5.0 * begun.error, "{nothing:?} {begun:?}");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let again = pool.install(|| prepared(&[("encoder.joint", "300")]));
        assert!(again.encoder == both.encoder && again.start == both.start);
        for precision in ["f32", "f64"] {
            let p = prepared(&[("encoder.joint", "3"), ("train.precision", precision), ("sde.kind", "vp")]);
            assert!(p.start.is_some_and(|params| params.iter().any(|v| *v != 0.0)), "{precision}");
        }
    }

    #[test]
    fn what_is_no_law_of_codes_is_refused() {
        let settings = [("encoder.kind", "autoencoder")].map(|(k, v)| Setting::new(k, v));
        let e = Config::resolve(&[&settings[..], &[Setting::new("encoder.joint", 5usize)]].concat()).unwrap_err().to_string();
        assert!(e.contains("encoder.joint") && e.contains("vae"), "{e}");
    }
}
