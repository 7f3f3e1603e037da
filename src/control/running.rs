//! Control variates whose coefficients come from the batches before.

use super::Estimate;
use super::estimate::mean_variance;
use super::moments::{Moments, check};
use crate::{Error, Result};
use ndarray::{Array1, ArrayView1, ArrayView2};

/// A stream of batches: each is controlled with coefficients from those before it, the first with none. So
/// nothing is biased, and nothing is fitted twice; the right choice inside a training loop, whose law also
/// moves: old batches can be made to count less.
///
/// ```
/// use ndarray::{Array1, Array2};
/// use ndsm::control::Running;
/// use ndsm::rng::{Purpose, Stream};
/// let mut running = Running::new(1, 1e-6, 1.0)?;
/// for batch in 0..20 {
///     let mut z = vec![0.0f64; 200];
///     Stream::new(1, Purpose::Test, batch, 0).fill_normal(&mut z);
///     let y: Array1<f64> = z.iter().map(|z| z.sin() + 1.0).collect();
///     let c = Array2::from_shape_vec((200, 1), z).unwrap();
///     running.batch(y.view(), c.view())?;
/// }
/// let estimate = running.estimate().unwrap();
/// assert!((estimate.mean - 1.0).abs() < 4.0 * estimate.standard_error && estimate.gain() > 4.0);
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    ridge: f64,
    decay: f64,
    /// Of what was seen, faded.
    past: Moments,
    /// Of all samples, (plain, adjusted), not faded.
    sums: [Sums; 2],
}

/// Count, mean, sum of squared deviations.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums {
    n: f64,
    mean: f64,
    square: f64,
}

impl Sums {
    fn add(&mut self, x: f64) {
        self.n += 1.0;
        let gap = x - self.mean;
        self.mean += gap / self.n;
        self.square += gap * (x - self.mean);
    }
    fn variance(&self) -> f64 {
        self.square / (self.n - 1.0)
    }
}

impl Running {
    /// For `controls` controls; after each batch, those before it count `decay` times as much, 0 < decay <=
    /// 1.
    ///
    /// # Errors
    /// No control; a negative ridge; a decay out of its range.
    pub fn new(controls: usize, ridge: f64, decay: f64) -> Result<Self> {
        if controls == 0 {
            return Err(Error::invalid("running control variates: controls", ">= 1", controls));
        }
        if !(ridge >= 0.0 && ridge.is_finite()) {
            return Err(Error::invalid("running control variates: ridge", ">= 0", ridge));
        }
        if !(decay > 0.0 && decay <= 1.0) {
            return Err(Error::invalid("running control variates: decay", "in (0, 1]", decay));
        }
        Ok(Running { ridge, decay, past: Moments::empty(controls), sums: [Sums::default(); 2] })
    }

    /// All that it has learned as numbers, for a checkpoint; [`Running::from_numbers`] goes on from them.
    pub fn numbers(&self) -> Vec<f64> {
        let sums = self.sums.iter().flat_map(|s| [s.n, s.mean, s.square]);
        let past = [self.past.n].into_iter().chain(self.past.mean.iter().copied()).chain(self.past.square.iter().copied());
        [self.ridge, self.decay].into_iter().chain(sums).chain(past).collect()
    }

    /// What [`Running::numbers`] gave.
    ///
    /// # Errors
    /// Numbers that it did not give.
    pub fn from_numbers(numbers: &[f64]) -> Result<Self> {
        // 2 + 6 + 1 + (m + 1) + (m + 1)^2 numbers.
        let m = (1..).find(|m| 11 + 3 * m + m * m >= numbers.len()).unwrap_or(1);
        if 11 + 3 * m + m * m != numbers.len() || numbers.iter().any(|v| !v.is_finite()) {
            return Err(Error::shape("running control variates: numbers", "11 + 3 m + m^2 finite numbers, m >= 1", &[&[numbers.len()]]));
        }
        let mut running = Running::new(m, numbers[0], numbers[1])?;
        for (sums, n) in running.sums.iter_mut().zip(numbers[2..8].chunks_exact(3)) {
            *sums = Sums { n: n[0], mean: n[1], square: n[2] };
        }
        running.past.n = numbers[8];
        running.past.mean.iter_mut().zip(&numbers[9..]).for_each(|(a, b)| *a = *b);
        running.past.square.iter_mut().zip(&numbers[10 + m..]).for_each(|(a, b)| *a = *b);
        Ok(running)
    }

    /// b for the next batch, `[m]`: 0 until more than m + 1 samples were seen.
    ///
    /// # Errors
    /// None that was ever seen: the controls used are independent, and the ridge is not negative.
    pub fn coefficients(&self) -> Result<Array1<f64>> {
        let m = self.past.mean.len() - 1;
        let kept = if self.past.n > (m + 1) as f64 { self.past.select().0 } else { vec![] };
        self.past.coefficients(&kept, self.ridge)
    }

    /// Takes a batch `y` `[n]`, `c` [n, m], and returns its own estimate of E y, with the coefficients of the
    /// batches before.
    ///
    /// # Errors
    /// Shapes that do not fit; fewer than two samples; numbers that are not finite. The batch then counts for
    /// nothing.
    pub fn batch(&mut self, y: ArrayView1<f64>, c: ArrayView2<f64>) -> Result<Estimate> {
        check("running control variates", y, c)?;
        if c.ncols() + 1 != self.past.mean.len() || y.len() < 2 {
            let expected = format!("at least 2 samples [n] and {} controls [n, m]", self.past.mean.len() - 1);
            return Err(Error::shape("running control variates", expected, &[y.shape(), c.shape()]));
        }
        let adjusted = &y - &c.dot(&self.coefficients()?);
        for (y, adjusted) in y.iter().zip(&adjusted) {
            self.sums[0].add(*y);
            self.sums[1].add(*adjusted);
        }
        self.past.fade(self.decay);
        self.past.merge(&Moments::of(y, c));
        let (mean, variance) = mean_variance(adjusted.iter().copied());
        Ok(Estimate::new(mean, variance / y.len() as f64, y.len(), mean_variance(y.iter().copied()).1))
    }

    /// E y from all batches; none before the first.
    pub fn estimate(&self) -> Option<Estimate> {
        let [plain, adjusted] = self.sums;
        (adjusted.n > 1.0).then(|| Estimate::new(adjusted.mean, adjusted.variance() / adjusted.n, adjusted.n as usize, plain.variance()))
    }
}
