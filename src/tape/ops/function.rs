//! How functions of single elements are written down: name, value, derivative, samples.

/// Types that are [`Function`](super::map::Function)s. In the expressions, `R` is the kind of numbers and `FMA` whether a fused
/// multiply-add is one instruction; y = f(x) is known to the derivative, and `reads` says which of x and y it looks at. Whatever
/// else the trait has may follow.
macro_rules! functions {
    ($(
        $(#[$doc:meta])*
        struct $f:ident $(($($attribute:ty),+))? = $name:literal, flops $flops:literal, reads $reads:ident {
            value($of:ident, $x:ident) = $value:expr;
            derivative($at:ident, $z:ident, $y:ident) = $derivative:expr;
            samples = [$($sample:expr),+ $(,)?];
            $($more:tt)*
        }
    )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $f $(($(pub $attribute),+))?;
        impl $crate::tape::ops::map::Function for $f {
            const NAME: &'static str = $name;
            const FLOPS: u64 = $flops;
            const READS: $crate::tape::op::Reads = $crate::tape::op::Reads::$reads;
            #[inline(always)]
            fn value<R: $crate::Real, const FMA: bool>($of, $x: R) -> R {
                $value
            }
            #[inline(always)]
            fn derivative<R: $crate::Real, const FMA: bool>($at, $z: R, $y: R) -> R {
                $derivative
            }
            fn samples() -> Vec<(Self, $crate::tape::ops::map::Domain, &'static [f64])> {
                vec![$($sample),+]
            }
            $($more)*
        }
    )+};
}
pub(super) use functions;
