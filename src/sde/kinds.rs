//! Calculus and kind of noise, as types: a method that does not fit an equation does not compile.
//!
//! An [`Sde`](super::Sde) names its [`Calculus`] and its [`Noise`]; an [`Integrator`](super::Integrator) is
//! implemented for the equations that it is right for:
//!
//! ```
//! # use ndsm::{rng::Purpose, sde::*};
//! # let (grid, paths, mut x) = ([0.0, 0.1], Paths { seed: 0, purpose: Purpose::Test, step: 0 }, [1.0f64; 3]);
//! simulate(&Milstein, &GeometricBrownian::new(vec![0.1], vec![0.5])?, &grid, &mut x, paths)?;
//! simulate(&LocalLinear, &Lorenz::classic(1.0)?, &grid, &mut x, paths)?;
//! simulate(&ExponentialEuler, &DoubleWell::new(1, 0.5)?, &grid, &mut x, paths)?;
//! simulate(&Baoab, &Underdamped::critically_damped(1, 1.0, 1.0)?, &grid, &mut x[..2], paths)?;
//! # Ok::<(), ndsm::Error>(())
//! ```
//!
//! What does not fit is not there to be called. Heun's method converges to the Stratonovich solution, and
//! this equation is Ito's:
//! ```compile_fail,E0277
//! # use ndsm::{rng::Purpose, sde::*};
//! # let (grid, paths, mut x) = ([0.0, 0.1], Paths { seed: 0, purpose: Purpose::Test, step: 0 }, [1.0f64; 3]);
//! simulate(&Heun, &GeometricBrownian::new(vec![0.1], vec![0.5])?, &grid, &mut x, paths)?;
//! # Ok::<(), ndsm::Error>(())
//! ```
//! SRA1 and ShARK are for additive noise:
//! ```compile_fail,E0277
//! # use ndsm::{rng::Purpose, sde::*};
//! # let (grid, paths, mut x) = ([0.0, 0.1], Paths { seed: 0, purpose: Purpose::Test, step: 0 }, [1.0f64; 3]);
//! simulate(&Sra1, &GeometricBrownian::new(vec![0.1], vec![0.5])?, &grid, &mut x, paths)?;
//! # Ok::<(), ndsm::Error>(())
//! ```
//!
//! ```compile_fail,E0277
//! # use ndsm::{rng::Purpose, sde::*};
//! # let (grid, paths, mut x) = ([0.0, 0.1], Paths { seed: 0, purpose: Purpose::Test, step: 0 }, [1.0f64; 3]);
//! simulate(&Shark, &GeometricBrownian::new(vec![0.1], vec![0.5])?, &grid, &mut x, paths)?;
//! # Ok::<(), ndsm::Error>(())
//! ```
//! Leimkuhler and Matthews' method too:
//! ```compile_fail,E0271
//! # use ndsm::{rng::Purpose, sde::*};
//! # let (grid, paths, mut x) = ([0.0, 0.1], Paths { seed: 0, purpose: Purpose::Test, step: 0 }, [1.0f64; 3]);
//! simulate(&LeimkuhlerMatthews, &GeometricBrownian::new(vec![0.1], vec![0.5])?, &grid, &mut x, paths)?;
//! # Ok::<(), ndsm::Error>(())
//! ```
//! SPaRK and SlowRK read the equation as Stratonovich's:
//! ```compile_fail,E0277
//! # use ndsm::{rng::Purpose, sde::*};
//! # let (grid, paths, mut x) = ([0.0, 0.1], Paths { seed: 0, purpose: Purpose::Test, step: 0 }, [1.0f64; 3]);
//! simulate(&SlowRk, &GeometricBrownian::new(vec![0.1], vec![0.5])?, &grid, &mut x, paths)?;
//! # Ok::<(), ndsm::Error>(())
//! ```
//! Kloeden and Platen's scheme for one equation does not take two with a Brownian motion each:
//! ```compile_fail,E0271
//! # use ndsm::{rng::Purpose, sde::*};
//! # let (grid, paths, mut x) = ([0.0, 0.1], Paths { seed: 0, purpose: Purpose::Test, step: 0 }, [1.0f64; 3]);
//! simulate(&KloedenPlatenScalar, &GeometricBrownian::new(vec![0.1, 0.2], vec![0.5, 0.5])?, &grid, &mut x[..2], paths)?;
//! # Ok::<(), ndsm::Error>(())
//! ```
//! Exponential Euler needs a linear part, and BAOAB positions and velocities:
//! ```compile_fail,E0277
//! # use ndsm::{rng::Purpose, sde::*};
//! # let (grid, paths, mut x) = ([0.0, 0.1], Paths { seed: 0, purpose: Purpose::Test, step: 0 }, [1.0f64; 3]);
//! simulate(&ExponentialEuler, &Lorenz::classic(1.0)?, &grid, &mut x, paths)?;
//! # Ok::<(), ndsm::Error>(())
//! ```
//!
//! ```compile_fail,E0277
//! # use ndsm::{rng::Purpose, sde::*};
//! # let (grid, paths, mut x) = ([0.0, 0.1], Paths { seed: 0, purpose: Purpose::Test, step: 0 }, [1.0f64; 3]);
//! simulate(&Baoab, &DoubleWell::new(1, 0.5)?, &grid, &mut x, paths)?;
//! # Ok::<(), ndsm::Error>(())
//! ```
//!
//! The same facts are data in [`Claims`](super::Claims), for choices made at run time.

use std::fmt;

/// In which sense the stochastic integral is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalculusKind {
    /// Ito: the integrand is taken at the start of each step.
    Ito,
    /// Stratonovich: at the middle.
    Stratonovich,
    /// The noise is additive, and both are the same.
    Either,
}

/// A type that stands for a [`CalculusKind`].
pub trait Calculus {
    /// Which.
    const KIND: CalculusKind;
}
/// An equation of this calculus may be read in the calculus `C`.
pub trait ReadsAs<C>: Calculus {}

/// The Ito integral.
#[derive(Debug, Clone, Copy)]
pub struct Ito;
/// The Stratonovich integral.
#[derive(Debug, Clone, Copy)]
pub struct Stratonovich;
/// Additive noise: Ito and Stratonovich agree.
#[derive(Debug, Clone, Copy)]
pub struct Either;

impl Calculus for Ito {
    const KIND: CalculusKind = CalculusKind::Ito;
}
impl Calculus for Stratonovich {
    const KIND: CalculusKind = CalculusKind::Stratonovich;
}
impl Calculus for Either {
    const KIND: CalculusKind = CalculusKind::Either;
}
impl ReadsAs<Ito> for Ito {}
impl ReadsAs<Ito> for Either {}
impl ReadsAs<Stratonovich> for Stratonovich {}
impl ReadsAs<Stratonovich> for Either {}

/// How the noise enters sigma(x, t) dB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseKind {
    /// sigma(t) does not depend on x.
    Additive,
    /// One equation with one Brownian motion.
    Scalar,
    /// Coordinate j has its own Brownian motion, and its own coefficient sigma_j(x_j, t).
    Diagonal,
    /// The columns of sigma commute as vector fields: D sigma_k sigma_l = D sigma_l sigma_k.
    Commutative,
    /// Anything.
    General,
}

/// A type that stands for a [`NoiseKind`].
pub trait Noise {
    /// Which.
    const KIND: NoiseKind;
}
/// Noise of this kind is noise of the kind `K` too.
pub trait Within<K>: Noise {}

macro_rules! kinds {
    ($($(#[$doc:meta])* $Kind:ident: $($Wider:ident)+;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $Kind;
        impl Noise for $Kind {
            const KIND: NoiseKind = NoiseKind::$Kind;
        }
        $(impl Within<$Wider> for $Kind {})+
    )+};
}

kinds! {
    /// [`NoiseKind::Additive`]. A scheme for diagonal noise meets a constant sigma, of which only its
    /// products with W and H are left.
    Additive: Additive Diagonal Commutative General;
    /// [`NoiseKind::Scalar`].
    Scalar: Scalar Diagonal Commutative General;
    /// [`NoiseKind::Diagonal`].
    Diagonal: Diagonal Commutative General;
    /// [`NoiseKind::Commutative`].
    Commutative: Commutative General;
    /// [`NoiseKind::General`].
    General: General;
}

impl fmt::Display for CalculusKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CalculusKind::Ito => "Ito",
            CalculusKind::Stratonovich => "Stratonovich",
            CalculusKind::Either => "either",
        })
    }
}

impl fmt::Display for NoiseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoiseKind::Additive => "additive",
            NoiseKind::Scalar => "scalar",
            NoiseKind::Diagonal => "diagonal",
            NoiseKind::Commutative => "commutative",
            NoiseKind::General => "general",
        })
    }
}
