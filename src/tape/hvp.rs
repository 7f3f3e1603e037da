//! Jacobian- and Hessian-vector products: the recorded program, replayed in dual numbers.
//!
//! Forward on [`Dual`]s gives J v beside the value. Backward on duals gives, beside the gradient g(p), its
//! derivative along v: of a scalar loss that is H v, exact to rounding (B. A. Pearlmutter, *Fast exact
//! multiplication by the Hessian*, 1994; Griewank and Walther, ch. 5: forward over reverse). Three times the
//! arithmetic of a gradient; measured for the 14-128-128-128-2 network and 256 rows
//! (`cargo bench --bench second_order`, one AVX-512 core, other work beside it) 4.9 gradients in f32 and 7.8
//! in f64: matrix products go part by part at full speed, everything else over pairs without wide vectors
//! (convolutions too: there it is slower).
//!
//! The other way would be to record the backward pass as a program and to differentiate that. Then every
//! vector-Jacobian product would have to be written a second time, in terms of recorded operations, and
//! checked a second time; the program would be three times as long and hold all its intermediates. Here the
//! products that are audited *are* what is differentiated, and memory doubles. What duals cannot give is the
//! gradient of a loss that itself contains a gradient in many directions at once; for the trace and the norms
//! that score matching needs, one direction at a time is what is asked for.
//!
//! ```
//! use ndsm::tape::{Record, Recorder, SecondOrder, Var};
//! use ndsm::{Real, Result};
//! // L(p) = sum p^4 / 12, so H = diag(p^2).
//! struct Quartic;
//! impl Record for Quartic {
//!     fn record<R: Real>(&self, r: &mut Recorder<R>) -> Result<Var> {
//!         let p = r.parameter("p", &[2])?;
//!         let p2 = r.square(p)?;
//!         let p4 = r.square(p2)?;
//!         let sum = r.sum(p4)?;
//!         r.scale(sum, 1.0 / 12.0)
//!     }
//! }
//! let mut at = SecondOrder::<f64>::new(&Quartic)?;
//! let (mut gradient, mut hv) = ([0.0; 2], [0.0; 2]);
//! let loss = at.hessian_vector(&[1.0, 3.0], &[1.0, -1.0], &mut gradient, &mut hv)?;
//! assert!((loss - 82.0 / 12.0).abs() < 1e-14);
//! assert!((gradient[1] - 9.0).abs() < 1e-14 && (hv[0] - 1.0).abs() < 1e-14 && (hv[1] + 9.0).abs() < 1e-14);
//! # Ok::<(), ndsm::Error>(())
//! ```

use super::op::elements;
use super::{Noise, Program, Recorder, Var, Workspace};
use crate::kernels::memory::zeros;
use crate::real::{Dual, Real};
use crate::{Error, Result};

/// A computation that can be recorded in any number type. Recorded twice it must give the same list.
pub trait Record {
    /// Records it, and says which variable is its result.
    ///
    /// # Errors
    /// Those of the recording.
    fn record<R: Real>(&self, r: &mut Recorder<R>) -> Result<Var>;
}

/// A program recorded in dual numbers, with the memory to replay it: J v and H v in the flat parameters.
pub struct SecondOrder<R: Real> {
    program: Program<Dual<R>>,
    ws: Workspace<Dual<R>>,
    y: Var,
    /// Elements of the result.
    size: usize,
    params: Vec<Dual<R>>,
    grad: Vec<Dual<R>>,
}

impl<R: Real> SecondOrder<R> {
    /// Records `what`. Its inputs are zero until they are set.
    ///
    /// # Errors
    /// Those of the recording; memory that cannot be had; a result that is a parameter or an input.
    pub fn new(what: &impl Record) -> Result<Self> {
        let mut r = Recorder::new();
        let y = what.record(&mut r)?;
        let size = elements(r.shape(y)?);
        r.keep(y)?;
        let program = r.finish();
        if program.inner.nodes[y.index].is_leaf() {
            return Err(Error::refused("second order: result", "must be computed by an operation"));
        }
        let n = program.parameter_count();
        Ok(SecondOrder { ws: program.workspace()?, program, y, size, params: zeros(n)?, grad: zeros(n)? })
    }

    /// Sets an input, row-major: it stands still while the parameters move along v.
    ///
    /// # Errors
    /// If there is no input of that name, or the length differs.
    pub fn set_input(&mut self, name: &str, values: &[R]) -> Result<()> {
        let x = self.slot(name, values.len())?;
        x.iter_mut().zip(values).for_each(|(x, v)| *x = Dual::constant(*v));
        Ok(())
    }

    /// Sets an input that moves along `direction` while the parameters move along v: with v = 0, J v is the
    /// derivative of the result along `direction`.
    ///
    /// # Errors
    /// If there is no input of that name, or a length differs.
    pub fn set_input_along(&mut self, name: &str, values: &[R], direction: &[R]) -> Result<()> {
        let x = self.slot(name, values.len())?;
        length(&format!("input {name}: direction"), x.len(), direction.len())?;
        x.iter_mut().zip(values.iter().zip(direction)).for_each(|(x, (v, d))| *x = Dual::new(*v, *d));
        Ok(())
    }

    /// The noise of the products from now on; None at the start.
    ///
    /// # Errors
    /// As [`Workspace::set_noise`].
    pub fn set_noise(&mut self, noise: Option<Noise>) -> Result<()> {
        self.ws.set_noise(noise)
    }

    fn slot(&mut self, name: &str, len: usize) -> Result<&mut [Dual<R>]> {
        let x = self.ws.input_mut(self.program.input(name)?)?;
        length(&format!("input {name}"), x.len(), len)?;
        Ok(x)
    }

    /// Elements of the result.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Length of the flat vector of parameters.
    pub fn parameter_count(&self) -> usize {
        self.params.len()
    }

    /// The result y(params) and its derivative along `v`, J v; both as long as the result.
    ///
    /// # Errors
    /// If a length differs.
    pub fn jacobian_vector(&mut self, params: &[R], v: &[R], y: &mut [R], jv: &mut [R]) -> Result<()> {
        length("jacobian_vector: y", self.size, y.len())?;
        length("jacobian_vector: jv", self.size, jv.len())?;
        self.forward("jacobian_vector", params, v)?;
        split(self.ws.value(self.y)?, y, jv);
        Ok(())
    }

    /// Of a scalar result L: overwrites `gradient` by dL/dparams and `hv` by the Hessian times `v`; returns
    /// L.
    ///
    /// # Errors
    /// If a length differs, or the result is no scalar.
    pub fn hessian_vector(&mut self, params: &[R], v: &[R], gradient: &mut [R], hv: &mut [R]) -> Result<R> {
        if self.size != 1 {
            return Err(Error::invalid("hessian_vector: elements of the result", 1, self.size));
        }
        length("hessian_vector: gradient", self.params.len(), gradient.len())?;
        length("hessian_vector: hv", self.params.len(), hv.len())?;
        self.forward("hessian_vector", params, v)?;
        self.grad.fill(Dual::default());
        let one = [Dual::constant(R::one())];
        self.program.backward(&self.params, &mut self.ws, &[(self.y, &one)], &mut self.grad)?;
        split(&self.grad, gradient, hv);
        Ok(self.ws.value(self.y)?[0].value)
    }

    fn forward(&mut self, place: &str, params: &[R], v: &[R]) -> Result<()> {
        length(&format!("{place}: parameters"), self.params.len(), params.len())?;
        length(&format!("{place}: v"), self.params.len(), v.len())?;
        for (p, (value, tangent)) in self.params.iter_mut().zip(params.iter().zip(v)) {
            *p = Dual::new(*value, *tangent);
        }
        self.program.forward(&self.params, &mut self.ws)
    }
}

impl<R: Real> Program<R> {
    /// The input of that name.
    ///
    /// # Errors
    /// If there is none; the sentence has the names that there are.
    pub fn input(&self, name: &str) -> Result<Var> {
        let inputs = || self.inner.nodes.iter().enumerate().filter(|(_, node)| node.is_leaf() && node.parameter.is_none());
        let found = inputs().find(|(_, node)| node.name == name);
        found.map(|(index, _)| Var { tape: self.inner.tape, index }).ok_or_else(|| {
            let names: Vec<String> = inputs().map(|(_, node)| format!("\"{}\"", node.name)).collect();
            let known = if names.is_empty() { "none".to_string() } else { names.join(", ") };
            Error::invalid("input", format!("the name of one (there is {known})"), format!("\"{name}\""))
        })
    }
}

fn split<R: Real>(duals: &[Dual<R>], values: &mut [R], tangents: &mut [R]) {
    for (d, (value, tangent)) in duals.iter().zip(values.iter_mut().zip(tangents)) {
        (*value, *tangent) = (d.value, d.tangent);
    }
}

pub(super) fn length(place: &str, expected: usize, got: usize) -> Result<()> {
    if expected == got { Ok(()) } else { Err(Error::invalid(place, format!("{expected} numbers long"), got)) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::tape::Activation;

    fn draw(n: usize, chunk: u32) -> Vec<f64> {
        let mut x = vec![0.0; n];
        Stream::new(11, Purpose::Test, 0, chunk).fill_normal(&mut x);
        x
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// p A p^T / 2.
    struct Quadratic(usize);
    impl Record for Quadratic {
        fn record<R: Real>(&self, r: &mut Recorder<R>) -> Result<Var> {
            let (a, p) = (r.input("a", &[self.0, self.0])?, r.parameter("p", &[1, self.0])?);
            let pa = r.matmul(p, a)?;
            let pap = r.row_dot(pa, p)?;
            let sum = r.sum(pap)?;
            r.scale(sum, 0.5)
        }
    }

    /// The mean over rows of ln(1 + e^(x p)).
    struct Logistic(usize, usize);
    impl Record for Logistic {
        fn record<R: Real>(&self, r: &mut Recorder<R>) -> Result<Var> {
            let (x, p) = (r.input("x", &[self.0, self.1])?, r.parameter("p", &[self.1, 1])?);
            let z = r.matmul(x, p)?;
            let losses = r.softplus(z)?;
            r.mean(losses)
        }
    }

    /// 3 -> 5 -> 4 -> 2 over 7 rows; its result, or the mean square of it.
    struct Mlp {
        loss: bool,
    }
    impl Record for Mlp {
        fn record<R: Real>(&self, r: &mut Recorder<R>) -> Result<Var> {
            let mut x = r.input("x", &[7, 3])?;
            for (i, o, activation) in [(3, 5, Activation::Silu), (5, 4, Activation::Tanh), (4, 2, Activation::Identity)] {
                let (w, b) = (r.parameter(&format!("w{i}"), &[i, o])?, r.parameter(&format!("b{i}"), &[o])?);
                x = r.linear(x, w, b, activation)?;
            }
            if !self.loss {
                return Ok(x);
            }
            let square = r.square(x)?;
            r.mean(square)
        }
    }

    /// A product (loss, gradient, H v) at (x, p, v) against the plain program in f64: its value and gradient to
    /// the first bound, and differences of its gradient, of order 4, to the second.
    pub fn check_product(
        net: &impl Record,
        noise: Option<Noise>,
        [x, p, v]: [&[f64]; 3],
        (loss, g, hv): (f64, &[f64], &[f64]),
        bounds: [f64; 2],
    ) {
        let mut r = Recorder::<f64>::new();
        let y = net.record(&mut r).unwrap();
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(program.input("x").unwrap()).unwrap().copy_from_slice(x);
        ws.set_noise(noise).unwrap();
        let mut gradient = |shift: f64| {
            let p: Vec<f64> = p.iter().zip(v).map(|(p, v)| p + shift * v).collect();
            let mut g = vec![0.0; p.len()];
            program.forward(&p, &mut ws).unwrap();
            program.backward(&p, &mut ws, &[(y, &[1.0])], &mut g).unwrap();
            (ws.value(y).unwrap()[0], g)
        };
        let (plain, plain_gradient) = gradient(0.0);
        assert!((loss - plain).abs() <= bounds[0] * plain, "{loss} {plain}");
        const H: f64 = 1.0 / 8192.0;
        let (p1, m1, p2, m2) = (gradient(H).1, gradient(-H).1, gradient(2.0 * H).1, gradient(-2.0 * H).1);
        let largest = hv.iter().fold(0.0, |m: f64, h| m.max(h.abs()));
        for i in 0..p.len() {
            assert!((g[i] - plain_gradient[i]).abs() <= bounds[0] * (1.0 + g[i].abs()), "{i}: {} {}", g[i], plain_gradient[i]);
            let d = (8.0 * (p1[i] - m1[i]) - (p2[i] - m2[i])) / (12.0 * H);
            assert!((hv[i] - d).abs() <= bounds[1] * largest, "{i}: {} {d}", hv[i]);
        }
    }

    /// (loss, gradient, H v).
    fn product(at: &mut SecondOrder<f64>, p: &[f64], v: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
        let (mut g, mut hv) = (vec![f64::NAN; p.len()], vec![f64::NAN; p.len()]);
        let loss = at.hessian_vector(p, v, &mut g, &mut hv).unwrap();
        (loss, g, hv)
    }

    #[test]
    fn a_quadratic_form_has_its_matrix() {
        let n = 6;
        let (a, p, v) = (draw(n * n, 0), draw(n, 1), draw(n, 2));
        let mut at = SecondOrder::new(&Quadratic(n)).unwrap();
        at.set_input("a", &a).unwrap();
        let (loss, g, hv) = product(&mut at, &p, &v);
        let symmetric = |i: usize, j: usize| 0.5 * (a[i * n + j] + a[j * n + i]);
        for i in 0..n {
            let (mut want, mut slope) = (0.0, 0.0);
            for j in 0..n {
                want += symmetric(i, j) * v[j];
                slope += symmetric(i, j) * p[j];
            }
            assert!((hv[i] - want).abs() <= 1e-14 * 10.0 && (g[i] - slope).abs() <= 1e-14 * 10.0, "{hv:?} {g:?}");
        }
        assert!((loss - 0.5 * dot(&g, &p)).abs() <= 1e-14 * 10.0);
    }

    #[test]
    fn the_logistic_loss_has_its_hessian() {
        let (n, d) = (13, 4);
        let (x, p, v) = (draw(n * d, 0), draw(d, 1), draw(d, 2));
        let mut at = SecondOrder::new(&Logistic(n, d)).unwrap();
        at.set_input("x", &x).unwrap();
        let (_, _, hv) = product(&mut at, &p, &v);
        // H = X^T diag(s (1 - s)) X / n.
        let mut want = vec![0.0; d];
        for row in x.chunks_exact(d) {
            let s = 1.0 / (1.0 + (-dot(row, &p)).exp());
            let c = s * (1.0 - s) * dot(row, &v) / n as f64;
            want.iter_mut().zip(row).for_each(|(w, x)| *w += c * x);
        }
        assert!(hv.iter().zip(&want).all(|(h, w)| (h - w).abs() <= 1e-14), "{hv:?} {want:?}");
    }

    #[test]
    fn a_network_has_the_derivative_of_its_gradient_and_it_is_symmetric() {
        let mut at = SecondOrder::new(&Mlp { loss: true }).unwrap();
        let n = at.parameter_count();
        let (x, p, u, v) = (draw(21, 0), draw(n, 1), draw(n, 2), draw(n, 3));
        at.set_input("x", &x).unwrap();
        let (loss, g, hv) = product(&mut at, &p, &v);
        let (_, _, hu) = product(&mut at, &p, &u);
        let size = dot(&u, &u).sqrt() * dot(&hv, &hv).sqrt();
        assert!((dot(&u, &hv) - dot(&v, &hu)).abs() <= 1e-13 * size, "{} {}", dot(&u, &hv), dot(&v, &hu));

        check_product(&Mlp { loss: true }, None, [&x, &p, &v], (loss, &g, &hv), [1e-14, 1e-10]);
    }

    #[test]
    fn jacobian_vector_products_move_parameters_and_inputs() {
        let mut at = SecondOrder::new(&Mlp { loss: false }).unwrap();
        let (n, m) = (at.parameter_count(), at.size());
        let (x, dx, p, v) = (draw(21, 0), draw(21, 1), draw(n, 2), draw(n, 3));
        let mut along = |shift: f64| {
            let moved = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + shift * b).collect::<Vec<f64>>();
            at.set_input_along("x", &moved(&x, &dx), &dx).unwrap();
            let (mut y, mut jv) = (vec![f64::NAN; m], vec![f64::NAN; m]);
            at.jacobian_vector(&moved(&p, &v), &v, &mut y, &mut jv).unwrap();
            (y, jv)
        };
        const H: f64 = 1.0 / 8192.0;
        let (p1, m1, p2, m2) = (along(H).0, along(-H).0, along(2.0 * H).0, along(-2.0 * H).0);
        let (_, jv) = along(0.0);
        for i in 0..m {
            let d = (8.0 * (p1[i] - m1[i]) - (p2[i] - m2[i])) / (12.0 * H);
            assert!((jv[i] - d).abs() <= 1e-10 * (1.0 + d.abs()), "{i}: {} {d}", jv[i]);
        }
    }

    #[test]
    fn wrong_use_is_an_error_with_a_sentence() {
        struct Bare;
        impl Record for Bare {
            fn record<R: Real>(&self, r: &mut Recorder<R>) -> Result<Var> {
                r.parameter("p", &[1])
            }
        }
        let mut scalar = SecondOrder::<f64>::new(&Quadratic(2)).unwrap();
        let mut rows = SecondOrder::<f64>::new(&Mlp { loss: false }).unwrap();
        let n = rows.parameter_count();
        let two = [0.0; 2];
        for (result, words) in [
            (SecondOrder::<f64>::new(&Bare).map(|_| ()), "must be computed by an operation"),
            (scalar.set_input("b", &two), "the name of one (there is \"a\"), got \"b\""),
            (scalar.set_input("a", &two), "input a: must be 4 numbers long, got 2"),
            (scalar.set_input_along("a", &[0.0; 4], &two), "direction: must be 4 numbers long, got 2"),
            (scalar.hessian_vector(&two, &[0.0], &mut [0.0; 2], &mut [0.0; 2]).map(|_| ()), "v: must be 2 numbers long, got 1"),
            (scalar.hessian_vector(&two, &two, &mut [0.0; 2], &mut [0.0]).map(|_| ()), "hv: must be 2 numbers long, got 1"),
            (scalar.jacobian_vector(&two[1..], &two, &mut [0.0], &mut [0.0]), "parameters: must be 2 numbers long, got 1"),
            (scalar.jacobian_vector(&two, &two, &mut [0.0; 2], &mut [0.0]), "y: must be 1 numbers long, got 2"),
            (
                rows.hessian_vector(&vec![0.0; n], &vec![0.0; n], &mut vec![0.0; n], &mut vec![0.0; n]).map(|_| ()),
                "elements of the result: must be 1, got 14",
            ),
        ] {
            let e = result.unwrap_err().to_string();
            assert!(e.contains(words), "{e}");
        }
    }
}
