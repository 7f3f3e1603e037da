//! The value of `stop_gradient`.

use super::moves::Moves;
use crate::Real;
use crate::kernels::copy::copy_or_add;
use crate::tape::sample::{Checked, Refusal, Sample};
use crate::tape::{Recorder, Var};

impl<R: Real> Recorder<R> {
    /// x, with the adjoint stopped: what lies behind it gets no gradient through it, and a seed cannot sit on
    /// it. (Replayed in [dual numbers](crate::real::Dual), the value's tangent passes: H v is the derivative
    /// of the gradient that is computed.)
    ///
    /// # Errors
    /// If the variable is another recorder's.
    #[track_caller]
    pub fn stop_gradient(&mut self, x: Var) -> crate::Result<Var> {
        let y = self.apply(Stop, &[x])?;
        self.inner.nodes[y.index].needs_gradient = false;
        Ok(y)
    }
}

/// x itself, any shape. The recorder marks its node as one that needs no gradient: there the adjoint stops,
/// and not in the vector-Jacobian product, which is that of the copy that it is. It is not fused with
/// anything, so that it stays a node.
#[derive(Clone, Copy)]
pub struct Stop;

impl Moves for Stop {
    const NAME: &'static str = "stop_gradient";
    fn shape(&self, x: &[usize]) -> Result<Vec<usize>, String> {
        Ok(x.to_vec())
    }
    fn apply<R: Real>(&self, _shapes: [&[usize]; 2], x: &[R], y: &mut [R]) {
        y.copy_from_slice(x);
    }
    fn adjoint<R: Real>(&self, _shapes: [&[usize]; 2], dy: &[R], dx: &mut [R], add: bool) {
        copy_or_add(dy, dx, add);
    }
}

impl Checked for Stop {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [&[usize]; 4] = [&[3, 5], &[2, 1, 7], &[0, 4], &[]];
        let mut all: Vec<_> = shapes.iter().map(|s| (Stop, vec![Sample::normal(s, 0)])).collect();
        all.push((Stop, vec![Sample::points(&[-800.0, 0.0, 800.0])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        vec![(Stop, vec![vec![2], vec![2]], "one input")]
    }
}

#[cfg(test)]
mod tests {
    use crate::tape::Recorder;

    #[test]
    fn the_adjoint_stops_in_fused_and_in_plain_programs() {
        for plain in [false, true] {
            let mut r = Recorder::<f64>::new();
            let x = r.input_with_gradient("x", &[2]).unwrap();
            let e = r.exp(x).unwrap();
            let stopped = r.stop_gradient(e).unwrap();
            let y = r.mul(stopped, x).unwrap();
            let program = if plain { r.finish_plain() } else { r.finish() };
            let mut ws = program.workspace().unwrap();
            ws.input_mut(x).unwrap().copy_from_slice(&[0.5, -1.0]);
            program.forward(&[], &mut ws).unwrap();
            program.backward(&[], &mut ws, &[(y, &[1.0, 2.0])], &mut []).unwrap();
            // d(stop(e^x) x) = e^x dx.
            let e = [0.5f64.exp(), (-1f64).exp()];
            assert_eq!(ws.value(y).unwrap(), [0.5 * e[0], -e[1]]);
            assert_eq!(ws.adjoint(x).unwrap(), [e[0], 2.0 * e[1]]);
            // Nothing is computed for it, and a seed on it is refused.
            let refused = program.backward(&[], &mut ws, &[(stopped, &[1.0; 2])], &mut []);
            assert!(refused.is_err_and(|e| e.to_string().contains("seed")));
        }
    }
}
