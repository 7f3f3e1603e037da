//! The moments of a linear equation with constant matrices.

use ndarray::{Array2, ArrayView1};

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

    /// At `h`, |J| h <= 1/2. Q^(n+1)(0) = J Q^(n)(0) + Q^(n)(0) J^T, Q'(0) = a.
    fn short(&self, h: f64) -> Moments {
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
        Moments { e: &d + &Array2::<f64>::eye(d.nrows()), d, q }
    }

    /// The moments over the time `h`.
    pub fn over(&self, h: f64) -> Moments {
        let doublings = (2.0 * self.size() * h).log2().ceil().clamp(0.0, 2100.0);
        (0..doublings as usize).fold(self.short(h * (-doublings).exp2()), |moments, _| moments.doubled())
    }

    /// Q(infinity), if E(infinity) = 0.
    pub fn limit(&self) -> Option<Array2<f64>> {
        let mut moments = self.short(0.5 / self.size().max(f64::MIN_POSITIVE));
        for _ in 0..200 {
            moments = moments.doubled();
            if moments.q.iter().any(|v| !v.is_finite()) {
                return None;
            }
            // What is still to come, E Q E^T, is below rounding.
            if moments.e.iter().all(|v| v.abs() <= 1e-9) {
                return Some(moments.q);
            }
        }
        None
    }
}

/// Over one time. D and E are kept beside each other: D has the digits of slow directions that E rounds away,
/// E has those of fast ones, of which D is -1 and no more.
pub(super) struct Moments {
    /// D = E - I, right to the rounding of its size.
    pub d: Array2<f64>,
    /// E.
    pub e: Array2<f64>,
    /// Q.
    pub q: Array2<f64>,
}

impl Moments {
    /// From h to 2 h: D(2h) = 2 D + D^2. E(2h) is E^2 in the rows and columns that have decayed to 1/2, where
    /// squaring adds no error to that of its factors, and I + D(2h) in the others, where every squaring would
    /// double it.
    fn doubled(&self) -> Self {
        let (e, q) = (&self.e, &self.q);
        let moved = e.dot(q).dot(&e.t());
        let d = &self.d * 2.0 + self.d.dot(&self.d);
        let decayed = |lane: ArrayView1<f64>| lane.iter().map(|v| v.abs()).sum::<f64>() <= 0.5;
        let (rows, columns): (Vec<bool>, Vec<bool>) = (0..d.nrows()).map(|i| (decayed(e.row(i)), decayed(e.column(i)))).unzip();
        let mut doubled = e.dot(e);
        for ((i, j), e) in doubled.indexed_iter_mut().filter(|((i, j), _)| !(rows[*i] && columns[*j])) {
            *e = d[[i, j]] + f64::from(u8::from(i == j));
        }
        Moments { e: doubled, d, q: q + &((&moved + &moved.t()) * 0.5) }
    }
}
