//! Rivals without a network: generators that know nothing but the training points (method.md, "Rivals
//! without a network"). Each has one parameter that is chosen on held-out points. [`Rival`] names them all.

mod bridge;
mod closed_form;
mod points;

pub use bridge::Bridge;
pub use closed_form::ClosedForm;
pub use points::smoothed_points;

use crate::mixture::{Draw, Mixture};
use crate::rng::Purpose;
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2};

/// A generator without a network or a reference, whose one parameter is chosen on points held out.
///
/// ```
/// use ndsm::data::{Request, load};
/// use ndsm::train::Rival;
/// let data = load(&Request { name: "moons".into(), n: Some(200), ..Request::default() })?;
/// for rival in Rival::ALL {
///     let fitted = rival.fit(data.points.view(), data.held_out.slice(ndarray::s![..200, ..]), 4, 0)?;
///     assert_eq!(fitted.sample(10, 0)?.dim(), (10, 2), "{}", rival.name());
/// }
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rival {
    /// Training points with Gaussian noise ([`smoothed_points`]).
    Smoothed,
    /// Closed-form diffusion with a smoothed score ([`ClosedForm`]).
    ClosedForm,
    /// A light Schroedinger bridge ([`Bridge`]).
    Bridge,
}

impl Rival {
    /// Every one.
    pub const ALL: [Rival; 3] = [Rival::Smoothed, Rival::ClosedForm, Rival::Bridge];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Rival::Smoothed => "smoothed",
            Rival::ClosedForm => "closed-form",
            Rival::Bridge => "bridge",
        }
    }

    /// The one that knows the rows of `x` [n, d], with the parameter that is best on `held_out` [m, d]: one
    /// width for all coordinates, which should have like scales. The bridge has `components` components.
    ///
    /// # Errors
    /// Points that do not fit each other, or are not finite; no components.
    pub fn fit(self, x: ArrayView2<f64>, held_out: ArrayView2<f64>, components: usize, seed: u64) -> Result<FittedRival> {
        Ok(match self {
            Rival::Smoothed => FittedRival::Smoothed(Box::new(smoothed_points(x, held_out)?)),
            Rival::ClosedForm => FittedRival::ClosedForm(ClosedForm::fit(x, held_out, seed)?),
            Rival::Bridge => FittedRival::Bridge(Bridge::fit(x, held_out, components, seed)?),
        })
    }
}

/// A rival that generates.
pub enum FittedRival {
    /// See [`Rival::Smoothed`].
    Smoothed(Box<Mixture>),
    /// See [`Rival::ClosedForm`].
    ClosedForm(ClosedForm),
    /// See [`Rival::Bridge`].
    Bridge(Bridge),
}

impl FittedRival {
    /// `n` samples [n, d], a function of `seed` and of nothing else.
    ///
    /// # Errors
    /// More samples than can be numbered.
    pub fn sample(&self, n: usize, seed: u64) -> Result<Array2<f64>> {
        match self {
            FittedRival::Smoothed(law) => Ok(law.sample(n, seed, Purpose::Start, Draw::Systematic)?.0),
            FittedRival::ClosedForm(model) => model.sample(n, seed),
            FittedRival::Bridge(model) => model.sample(n, seed),
        }
    }

    /// The law of the samples, where it has a density that is known.
    pub fn law(&self) -> Option<&Mixture> {
        if let FittedRival::Smoothed(law) = self { Some(law.as_ref()) } else { None }
    }
}

/// That there are points [n, d], that they have coordinates, and that all are finite.
fn check_points(place: &str, x: ArrayView2<f64>) -> Result<()> {
    if x.is_empty() {
        return Err(Error::shape(place, "points [n, d], at least one", &[x.shape()]));
    }
    match x.indexed_iter().find(|(_, x)| !x.is_finite()) {
        Some(((i, j), x)) => Err(Error::invalid(format!("{place}: point {i}, coordinate {j}"), "finite", x)),
        None => Ok(()),
    }
}

/// That `n` samples of `d` numbers can be numbered, in chunks of `rows`.
fn check_count(place: &str, n: usize, d: usize, rows: usize) -> Result<()> {
    if n.div_ceil(rows) < u32::MAX as usize && n.checked_mul(d).is_some() {
        return Ok(());
    }
    Err(Error::invalid(format!("{place}: samples"), "fewer than can be numbered", n))
}
