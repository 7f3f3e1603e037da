//! How the files of the methods come together: a file enters its methods into sections, the registry walks
//! the files.

use super::super::kinds::{Additive, Commutative, Diagonal, Scalar};
use super::super::smooth::Second;
use super::super::{Claims, Either, Integrator, Ito, Kinetic, ReadsAs, Sde, Semilinear, Smooth, Stratonovich, Within};
use crate::Real;
use crate::real::Dual;

/// Something done with every method for the equations `S`.
pub trait Visitor<R: Real, S: Sde<R>> {
    /// Does it with `method`.
    fn visit<I: Integrator<R, S>>(&mut self, method: &I);
}

/// A section of the registry is a function that shows its methods to a visitor, for the equations `S` that
/// they are for. This writes the function with the bounds of the section.
macro_rules! section {
    (@ $(#[$doc:meta])* $vis:vis $name:ident $visitor:ident $body:block [$($S:tt)+] where [$($bound:tt)*]) => {
        $(#[$doc])*
        $vis fn $name<R: Real, S: $($S)+, V: Visitor<R, S>>($visitor: &mut V)
        where
            $($bound)*
        $body
    };
    ($(#[$doc:meta])* $vis:vis additive($v:ident) $body:block) => {
        section!(@ $(#[$doc])* $vis additive $v $body [Sde<R, Noise = Additive, Calculus = Either>] where []);
    };
    ($(#[$doc:meta])* $vis:vis smooth($v:ident) $body:block) => {
        section!(@ $(#[$doc])* $vis smooth $v $body [Smooth<R, Noise = Additive, Calculus = Either>] where []);
    };
    ($(#[$doc:meta])* $vis:vis semilinear($v:ident) $body:block) => {
        section!(@ $(#[$doc])* $vis semilinear $v $body [Semilinear<R, Noise = Additive, Calculus = Either>] where []);
    };
    ($(#[$doc:meta])* $vis:vis kinetic($v:ident) $body:block) => {
        section!(@ $(#[$doc])* $vis kinetic $v $body [Kinetic<R>] where []);
    };
    ($(#[$doc:meta])* $vis:vis diagonal($v:ident) $body:block) => {
        section!(@ $(#[$doc])* $vis diagonal $v $body [Sde<R> + Sde<Dual<R>>] where
            [<S as Sde<R>>::Noise: Within<Diagonal> + Within<Commutative>, <S as Sde<R>>::Calculus: ReadsAs<Ito>]);
    };
    ($(#[$doc:meta])* $vis:vis scalar($v:ident) $body:block) => {
        section!(@ $(#[$doc])* $vis scalar $v $body [Sde<R, Noise = Scalar> + Sde<Second<R>>] where
            [<S as Sde<R>>::Calculus: ReadsAs<Ito>]);
    };
    ($(#[$doc:meta])* $vis:vis commutative($v:ident) $body:block) => {
        section!(@ $(#[$doc])* $vis commutative $v $body [Sde<R>] where
            [S::Noise: Within<Commutative>, S::Calculus: ReadsAs<Stratonovich>]);
    };
}
pub(super) use section;

/// What a file enters into the registry: in a section that it does not name it has nothing.
pub trait File {
    /// The claims of its methods.
    const CLAIMS: &'static [Claims];
    section!(additive(_visitor) {});
    section!(smooth(_visitor) {});
    section!(semilinear(_visitor) {});
    section!(kinetic(_visitor) {});
    section!(diagonal(_visitor) {});
    section!(scalar(_visitor) {});
    section!(commutative(_visitor) {});
}

/// `enter!([Method, ...] section, ...)`: enters the methods of a file into sections; `Method = value` where
/// the type is not its value.
macro_rules! enter {
    ([$($Method:ident $(= $value:expr)?),+] $($section:ident),+) => {
        enter!(@ [$($Method),+] [$(enter!(one $Method $(= $value)?)),+] $($section),+);
    };
    (@ [$($Method:ident),+] $values:tt $($section:ident),+) => {
        /// What this file enters.
        pub(super) struct Entry;
        impl File for Entry {
            const CLAIMS: &'static [Claims] = &[$(<$Method as Method>::CLAIMS),+];
            $(section!($section(visitor) { enter!(visit visitor $values); });)+
        }
    };
    (visit $visitor:ident [$($value:expr),+]) => {
        $($visitor.visit(&$value);)+
    };
    (one $Method:ident) => { $Method };
    (one $Method:ident = $value:expr) => { $value };
}
pub(super) use enter;

/// The registry of these files: their modules, what is in them, and the sections.
macro_rules! registry {
    ($($file:ident),+ $(,)?) => {
        $(mod $file;)+
        /// The methods alone.
        pub(super) mod methods {
            $(pub use super::$file::*;)+
        }
        pub use methods::*;

        section!(
            /// Methods for additive noise.
            pub additive(visitor) { $(<$file::Entry as File>::additive(visitor);)+ }
        );
        section!(
            /// Methods for additive noise and a drift with derivatives.
            pub smooth(visitor) { $(<$file::Entry as File>::smooth(visitor);)+ }
        );
        section!(
            /// Methods for additive noise and a drift with a linear part.
            pub semilinear(visitor) { $(<$file::Entry as File>::semilinear(visitor);)+ }
        );
        section!(
            /// Methods for underdamped dynamics.
            pub kinetic(visitor) { $(<$file::Entry as File>::kinetic(visitor);)+ }
        );
        section!(
            /// Ito methods for diagonal noise.
            pub diagonal(visitor) { $(<$file::Entry as File>::diagonal(visitor);)+ }
        );
        section!(
            /// Ito methods for one equation with one Brownian motion.
            pub scalar(visitor) { $(<$file::Entry as File>::scalar(visitor);)+ }
        );
        section!(
            /// Stratonovich methods for commutative noise.
            pub commutative(visitor) { $(<$file::Entry as File>::commutative(visitor);)+ }
        );
        /// The claims of all methods, in the order of the registry.
        pub fn claims() -> Vec<Claims> {
            [$(<$file::Entry as File>::CLAIMS),+].concat()
        }
    };
}
pub(super) use registry;
