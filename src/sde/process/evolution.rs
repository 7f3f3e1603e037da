//! The moments of a linear equation with constant matrices.

use ndarray::Array2;

/// E(h) = e^(J h) and Q(h) = int_0^h e^(J u) a e^(J^T u) du of dX = J X dt + noise of covariance a dt.
///
/// By series for a short time, then by doubling: E(2h) = E(h)^2, Q(2h) = Q(h) + E(h) Q(h) E(h)^T. No
/// exponential of -J h occurs, so a stiff J does not overflow, and Q stays positive semidefinite.
pub(super) struct Evolution {
    j: Array2<f64>,
    a: Array2<f64>,
}

/// Terms of the series: (2 |J| h)^n / n! is below rounding at |J| h <= 1/2.
const TERMS: usize = 19;

impl Evolution {
    pub fn new(j: Array2<f64>, a: Array2<f64>) -> Self {
        Evolution { j, a }
    }

    /// max_i sum_j |J_ij|.
    fn size(&self) -> f64 {
        self.j.rows().into_iter().map(|r| r.iter().map(|v| v.abs()).sum::<f64>()).fold(0.0, f64::max)
    }

    /// (E - I, Q) at `h`, |J| h <= 1/2. Q^(n+1)(0) = J Q^(n)(0) + Q^(n)(0) J^T, Q'(0) = a.
    fn short(&self, h: f64) -> (Array2<f64>, Array2<f64>) {
        let step = &self.j * h;
        let (mut power, mut term) = (step.clone(), &self.a * h);
        let (mut d, mut q) = (power.clone(), term.clone());
        for n in 2..=TERMS {
            power = power.dot(&step) / n as f64;
            let half = step.dot(&term);
            term = (&half + &half.t()) / n as f64;
            d += &power;
            q += &term;
        }
        (d, q)
    }

    /// From h to 2 h. D = E - I keeps the digits of slow directions that E itself rounds away; a fast one is
    /// off by the rounding of 1.
    fn double(d: &Array2<f64>, q: &Array2<f64>) -> (Array2<f64>, Array2<f64>) {
        let e = d + &Array2::<f64>::eye(d.nrows());
        let moved = e.dot(q).dot(&e.t());
        (d * 2.0 + d.dot(d), q + &((&moved + &moved.t()) * 0.5))
    }

    /// (E(h), Q(h)).
    pub fn over(&self, h: f64) -> (Array2<f64>, Array2<f64>) {
        let doublings = (2.0 * self.size() * h).log2().ceil().clamp(0.0, 2100.0);
        let (mut d, mut q) = self.short(h * (-doublings).exp2());
        for _ in 0..doublings as usize {
            (d, q) = Self::double(&d, &q);
        }
        (d + Array2::<f64>::eye(self.j.nrows()), q)
    }

    /// Q(infinity), if E(infinity) = 0.
    pub fn limit(&self) -> Option<Array2<f64>> {
        let (mut d, mut q) = self.short(0.5 / self.size().max(f64::MIN_POSITIVE));
        for _ in 0..200 {
            (d, q) = Self::double(&d, &q);
            if q.iter().any(|v| !v.is_finite()) {
                return None;
            }
            // What is still to come, E Q E^T, is below rounding.
            if d.indexed_iter().all(|((i, j), v)| (v + f64::from(u8::from(i == j))).abs() <= 1e-9) {
                return Some(q);
            }
        }
        None
    }
}
