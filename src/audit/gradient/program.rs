//! The gradient of any program against differences of its own forward pass.

use super::derivative::{STEP, relative, slope};
use super::{Reference, within, worse};
use crate::tape::{Program, Var, Workspace};
use crate::{Error, Result};
use std::fmt;

/// What [`Program::check_gradient`] found. Prints itself as one sentence.
#[derive(Debug, Clone)]
pub struct GradientCheck {
    /// How many derivatives were compared.
    pub compared: usize,
    /// The one that is furthest off; None if there is no parameter and no input with gradient.
    pub worst: Option<Derivative>,
}

/// dL/dx of one element x.
#[derive(Debug, Clone)]
pub struct Derivative {
    /// The parameter or input.
    pub name: String,
    /// The element, in row-major order.
    pub index: usize,
    /// By the backward pass.
    pub backward: f64,
    /// By five-point central differences.
    pub difference: f64,
    /// |backward - difference|/(|difference| + |L|): a difference of rounded losses is certain to a part of |L|.
    pub error: f64,
}

impl GradientCheck {
    /// Whether no error exceeds the bound of [`Reference::Difference`], 1e-8. NaN does.
    pub fn pass(&self) -> bool {
        self.worst.as_ref().is_none_or(|worst| within(worst.error, Reference::Difference))
    }
}

impl fmt::Display for GradientCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Derivative { name, index, backward, difference, error }) = &self.worst else {
            return write!(f, "nothing to differentiate by");
        };
        let verdict = if self.pass() { "passes" } else { "fails" };
        write!(
            f,
            "{verdict}: of {} derivatives {name}[{index}] is furthest off, {backward:e} backward and {difference:e} by differences, \
             error {error:.1e}",
            self.compared
        )
    }
}

impl Program<f64> {
    /// Compares the gradient of a scalar result with five-point central differences of the forward pass,
    /// element by element: dL/dp for every parameter, dL/dx for every one of the named `inputs` that was
    /// recorded with gradient. An input that is not named is zero. Four replays an element: for small copies
    /// of a program.
    ///
    /// Steps of 2^-11 and 2^-10 must not cross a kink, as that of |x| or of a maximum: a difference says
    /// nothing there.
    ///
    /// ```
    /// use ndsm::tape::Recorder;
    /// // L = mean sin(x w).
    /// let mut r = Recorder::<f64>::new();
    /// let (x, w) = (r.input_with_gradient("x", &[2, 3])?, r.parameter("w", &[3, 1])?);
    /// let z = r.matmul(x, w)?;
    /// let y = r.sin(z)?;
    /// let loss = r.mean(y)?;
    /// let points = [1.0, 2.0, 0.1, 0.3, -0.2, 0.7];
    /// let check = r.finish().check_gradient(&[0.5, -1.0, 2.0], &[("x", &points)], loss)?;
    /// assert!(check.pass() && check.compared == 9, "{check}");
    /// # Ok::<(), ndsm::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a length differs, no input has a name, `loss` is no scalar result, or memory cannot be had.
    pub fn check_gradient(&self, params: &[f64], inputs: &[(&str, &[f64])], loss: Var) -> Result<GradientCheck> {
        let mut ws = self.workspace()?;
        let mut given = vec![];
        for (name, values) in inputs {
            let var = self.input(name)?;
            let x = ws.input_mut(var)?;
            if x.len() != values.len() {
                return Err(Error::invalid(format!("check_gradient: input {name}"), format!("{} numbers long", x.len()), values.len()));
            }
            x.copy_from_slice(values);
            given.push((*name, var));
        }
        let elements = ws.value(loss)?.len();
        if elements != 1 {
            return Err(Error::invalid("check_gradient: elements of the loss", 1, elements));
        }
        let at = |params: &[f64], ws: &mut Workspace<f64>| {
            self.forward(params, ws)?;
            Result::Ok(ws.value(loss)?[0])
        };
        let value = at(params, &mut ws)?;
        let mut gradient = vec![0.0; params.len()];
        self.backward(params, &mut ws, &[(loss, &[1.0])], &mut gradient)?;

        let mut check = GradientCheck { compared: 0, worst: None };
        let mut moved = params.to_vec();
        for parameter in self.parameters() {
            for (index, j) in parameter.range().enumerate() {
                let difference = slope(|shift| {
                    moved[j] = params[j] + shift * STEP;
                    let y = at(&moved, &mut ws);
                    moved[j] = params[j];
                    y
                })?;
                check.compare(&parameter.name, index, gradient[j], difference, value);
            }
        }
        for (name, var) in given {
            let Ok(dx) = ws.adjoint(var).map(<[f64]>::to_vec) else { continue };
            for (index, backward) in dx.into_iter().enumerate() {
                let x = ws.input_mut(var)?[index];
                let difference = slope(|shift| {
                    ws.input_mut(var)?[index] = x + shift * STEP;
                    let y = at(params, &mut ws);
                    ws.input_mut(var)?[index] = x;
                    y
                })?;
                check.compare(name, index, backward, difference, value);
            }
        }
        Ok(check)
    }
}

impl GradientCheck {
    fn compare(&mut self, name: &str, index: usize, backward: f64, difference: f64, value: f64) {
        let error = relative(backward, difference, difference.abs() + value.abs());
        self.compared += 1;
        let before = self.worst.as_ref().map_or(-1.0, |worst| worst.error);
        if error.is_nan() || worse(before, error) > before {
            self.worst = Some(Derivative { name: name.to_string(), index, backward, difference, error });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{Activation, Recorder};

    #[test]
    fn a_network_passes_and_its_worst_derivative_is_told() {
        let mut r = Recorder::<f64>::new();
        let (x, t) = (r.input_with_gradient("x", &[3, 2]).unwrap(), r.input("t", &[3, 2]).unwrap());
        let (w, b) = (r.parameter("w", &[2, 2]).unwrap(), r.parameter("b", &[2]).unwrap());
        let y = r.linear(x, w, b, Activation::Silu).unwrap();
        let off = r.sub(y, t).unwrap();
        let square = r.square(off).unwrap();
        let loss = r.sum(square).unwrap();
        let program = r.finish();
        let (params, points) = ([0.5, -1.0, 2.0, 0.25, 0.1, -0.2], [1.0, -2.0, 0.5, 3.0, 0.0, -0.7]);
        let check = program.check_gradient(&params, &[("x", &points), ("t", &[0.3; 6])], loss).unwrap();
        // t has no gradient.
        assert!(check.pass() && check.compared == 12 && check.to_string().contains("passes: of 12 derivatives "), "{check}");

        for (result, words) in [
            (program.check_gradient(&params, &[("z", &points)], loss), "the name of one"),
            (program.check_gradient(&params, &[("x", &points[1..])], loss), "input x: must be 6 numbers long, got 5"),
            (program.check_gradient(&params[1..], &[], loss), "parameters: must be 6 numbers long, got 5"),
            (program.check_gradient(&params, &[], x), "elements of the loss: must be 1, got 6"),
        ] {
            let e = result.unwrap_err().to_string();
            assert!(e.contains(words), "{e}");
        }
    }

    #[test]
    fn nan_is_the_worst_and_fails() {
        let mut check = GradientCheck { compared: 0, worst: None };
        check.compare("p", 0, f64::NAN, 1.0, 1.0);
        check.compare("p", 1, 5.0, 1.0, 1.0);
        assert!(!check.pass() && check.worst.is_some_and(|worst| worst.index == 0));
    }
}
