//! A variational encoder that is trained beside the law of its codes (method.md, "Encoder and score together").

use super::encoder_training::{Judges, Loss, Prior};
use super::{Dataset, EncoderLook, EncoderTraining, NetworkEncoder};
use crate::optim::{Descending, Minibatch};
use crate::tape::Workspace;
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2};

/// The streams of codes begin behind those of the training before.
const FIRST: u64 = 1 << 40;

/// A variational encoder and its decoder that descend, per image, |x' - x|^2/V + kl (E ln q(z|x) - E ln p(z)), p a law
/// of codes of which the score is given: a step draws [codes](Self::codes) and [descends](Self::descend) with the
/// score there, the whole gradient of - ln p at the codes.
///
/// ```
/// use ndsm::data::{EncoderTraining, JointEncoder, NetworkEncoder, Request, load};
/// let digits = load(&Request { name: "digits".into(), ..Request::default() })?;
/// let how = EncoderTraining { latent: 4, channels: 4, kl: Some(1e-3), steps: 3, batch: 16, rate: 2e-3, seed: 0 };
/// let encoder = NetworkEncoder::fit(&digits, how, &mut |_| {})?;
/// let mut joint = JointEncoder::new(encoder, &digits, how)?;
/// for _ in 0..how.steps {
///     let codes = joint.codes()?;
///     joint.descend((-&codes).view())?; // the score of N(0, I)
/// }
/// let encoder = joint.finish()?;
/// assert_eq!(encoder.encode(digits.points.view())?.dim(), (1438, 4));
/// # Ok::<(), ndsm::Error>(())
/// ```
pub struct JointEncoder<'a> {
    encoder: NetworkEncoder,
    how: EncoderTraining,
    weight: f32,
    loss: Loss,
    descending: Descending,
    images: Vec<f32>,
    judges: Judges<'a>,
    codes: Vec<f32>,
    last: f64,
}

impl<'a> JointEncoder<'a> {
    /// `encoder` as it is, before `how.steps` more steps on the images of `data`; of `how` the sizes of the network
    /// are not read.
    ///
    /// # Errors
    /// An encoder that is not variational, or of other data; settings out of range.
    pub fn new(encoder: NetworkEncoder, data: &'a Dataset, how: EncoderTraining) -> Result<Self> {
        let (Some(weight), true) = (how.kl, encoder.net.is_variational()) else {
            return Err(Error::refused("encoder", "must be variational to be trained beside the law of its codes"));
        };
        encoder.check(data.points.view(), encoder.mean.len())?;
        let descent = how.descent();
        let loss = Loss::record(&encoder.net, descent.block(), Some(Prior { weight, normal: false }))?;
        let descending = Descending::new(descent, (&loss.program, loss.loss), encoder.params.clone(), data.points.nrows())?;
        let (images, judges) = (encoder.inputs(data.points.view()), Judges::new(data, encoder.mean.view()));
        let codes = vec![0.0; descending.rows() * encoder.net.latent()];
        Ok(JointEncoder { encoder, how, weight: weight as f32, loss, descending, images, judges, codes, last: f64::NAN })
    }

    /// The encoder with the averaged parameters so far.
    pub fn current(&mut self) -> &NetworkEncoder {
        self.descending.averaged().clone_into(&mut self.encoder.params);
        &self.encoder
    }

    /// Images of a step.
    pub fn rows(&self) -> usize {
        self.descending.rows()
    }

    /// Codes of the next step's images, each drawn from its law: [rows, latent].
    ///
    /// # Errors
    /// None that this can meet.
    pub fn codes(&mut self) -> Result<Array2<f64>> {
        let JointEncoder { how, loss, descending, images, codes, .. } = self;
        let fill = |batch: Minibatch<'_>, ws: &mut Workspace<f32>| {
            loss.fill(images, Minibatch { step: FIRST + batch.step, ..batch }, how.seed, ws)
        };
        descending.forward(&fill, loss.code, codes)?;
        let latent = self.encoder.net.latent();
        Ok(Array2::from_shape_fn((self.rows(), latent), |(i, j)| f64::from(self.codes[i * latent + j])))
    }

    /// The step at these codes, `score` [rows, latent] the score of the law there. The loss but for E ln p.
    ///
    /// # Errors
    /// A score of another shape; a loss or a gradient that is not finite.
    pub fn descend(&mut self, score: ArrayView2<f64>) -> Result<f64> {
        let expected = (self.rows(), self.encoder.net.latent());
        if score.dim() != expected {
            return Err(Error::shape("joint encoder: score", format!("[{}, {}]", expected.0, expected.1), &[score.shape()]));
        }
        let pull: Vec<f32> = score.iter().map(|s| -self.weight * *s as f32).collect();
        self.last = self.descending.backward(self.loss.code, &pull)?;
        Ok(self.last)
    }

    /// The encoder with the averaged parameters; its [looks](NetworkEncoder::looks) have one more.
    ///
    /// # Errors
    /// None that this can meet.
    pub fn finish(self) -> Result<NetworkEncoder> {
        let mut encoder = self.encoder;
        self.descending.averaged().clone_into(&mut encoder.params);
        let step = encoder.looks.last().map_or(0, |look| look.step) + self.how.steps;
        encoder.lost = self.judges.lost(&encoder)?;
        encoder.looks.push(EncoderLook { step, loss: self.last, lost: encoder.lost });
        Ok(encoder)
    }
}
