//! Adam, with everything that touches the parameters in one pass.

use super::Schedule;
use crate::par;
use crate::simd::{self, Kernel, W, dispatch};
use crate::{Error, Real, Result};

/// Numbers below which a second thread costs more than it saves: it has to be woken.
const PARALLEL: usize = 1 << 16;

/// Adam (Kingma and Ba, ICLR 2015, with bias correction) with decoupled weight decay (Loshchilov and Hutter,
/// "AdamW", ICLR 2019), clipping by the gradient's global norm, and an exponential moving average of the
/// parameters. With g the clipped gradient and t = 1, 2, ... the number of the step:
///
/// m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2,
/// p <- p - rate ( m/(1 - b1^t) / (sqrt(v/(1 - b2^t)) + eps) + decay p ),
/// e <- e + (1 - min(ema, (1 + t)/(10 + t))) (p - e).
///
/// The average's early steps count less, so that it does not drag the initial parameters along.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// The learning rate.
    pub schedule: Schedule,
    /// Decay of the gradient's average, in [0, 1).
    pub beta1: f64,
    /// Decay of the squares' average, in [0, 1).
    pub beta2: f64,
    /// Keeps the division finite; > 0, unit of the gradient.
    pub epsilon: f64,
    /// Decoupled weight decay, >= 0; 0 for plain Adam.
    pub weight_decay: f64,
    /// Largest norm of the gradient, > 0; a longer one is scaled down to it.
    pub clip: Option<f64>,
    /// Decay of the parameters' average, in [0, 1); None for no average.
    pub ema: Option<f64>,
}

/// What an optimiser remembers: public, for checkpoints. A run that goes on with it goes on as if it had not
/// stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct State<R> {
    /// Steps taken.
    pub step: u64,
    /// Average of the gradients.
    pub m: Vec<R>,
    /// Average of their squares.
    pub v: Vec<R>,
    /// Average of the parameters; empty without one.
    pub ema: Vec<R>,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a norm that is not finite means that nothing was done"]
pub struct Report {
    /// Norm of the gradient before clipping. If it is NaN or infinite the step changed nothing: the caller
    /// must stop.
    pub norm: f64,
    /// The learning rate of the step.
    pub rate: f64,
}

impl Adam {
    /// Adam with beta (0.9, 0.999), epsilon 1e-8, no weight decay, no clipping, no average.
    pub fn new(schedule: Schedule) -> Self {
        Adam { schedule, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, clip: None, ema: None }
    }

    /// The state before the first step from `params`.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn start<R: Real>(&self, params: &[R]) -> Result<State<R>> {
        let decay = |name: &str, x: f64| if (0.0..1.0).contains(&x) { Ok(()) } else { Err(Error::invalid(name, "in [0, 1)", x)) };
        decay("adam: beta1", self.beta1)?;
        decay("adam: beta2", self.beta2)?;
        decay("adam: ema", self.ema.unwrap_or(0.0))?;
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(Error::invalid("adam: epsilon", "a finite number > 0", self.epsilon));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return Err(Error::invalid("adam: weight decay", "a finite number >= 0", self.weight_decay));
        }
        // NaN is not above 0 either.
        if let Some(clip) = self.clip.filter(|c| c.is_nan() || *c <= 0.0) {
            return Err(Error::invalid("adam: clip", "> 0", clip));
        }
        let zeros = vec![R::zero(); params.len()];
        Ok(State { step: 0, m: zeros.clone(), v: zeros, ema: if self.ema.is_some() { params.to_vec() } else { vec![] } })
    }

    /// One step; long vectors are shared among the threads, which changes no bit. Allocates nothing on one
    /// thread. If the gradient's norm is not finite nothing is changed; the report tells.
    ///
    /// # Errors
    /// If the lengths of parameters, gradient and state differ.
    pub fn step<R: Real>(&self, params: &mut [R], grad: &[R], state: &mut State<R>) -> Result<Report> {
        let n = params.len();
        let ema = if self.ema.is_some() { n } else { 0 };
        for (name, len, expected) in
            [("gradient", grad.len(), n), ("m", state.m.len(), n), ("v", state.v.len(), n), ("average", state.ema.len(), ema)]
        {
            if len != expected {
                return Err(Error::invalid(format!("adam: {name}"), format!("{expected} numbers long"), len));
            }
        }
        let (norm, rate) = (norm(grad), self.schedule.rate(state.step));
        if !norm.is_finite() {
            return Ok(Report { norm, rate });
        }
        state.step += 1;
        let t = state.step as f64;
        let correction = |beta: f64| 1.0 / (1.0 - beta.powf(t));
        let update = Update {
            p: params,
            g: grad,
            m: &mut state.m,
            v: &mut state.v,
            ema: &mut state.ema,
            c: Constants {
                scale: R::of(self.clip.map_or(1.0, |c| if norm > c { c / norm } else { 1.0 })),
                b1: R::of(self.beta1),
                a1: R::of(1.0 - self.beta1),
                b2: R::of(self.beta2),
                a2: R::of(1.0 - self.beta2),
                m: R::of(rate * correction(self.beta1)),
                v: R::of(correction(self.beta2)),
                epsilon: R::of(self.epsilon),
                decay: R::of(rate * self.weight_decay),
                follow: R::of(1.0 - self.ema.unwrap_or(0.0).min((1.0 + t) / (10.0 + t))),
            },
        };
        update.share(rayon::current_num_threads());
        Ok(Report { norm, rate })
    }
}

#[derive(Clone, Copy)]
struct Constants<R> {
    scale: R,
    b1: R,
    a1: R,
    b2: R,
    a2: R,
    m: R,
    v: R,
    epsilon: R,
    decay: R,
    follow: R,
}

struct Update<'a, R> {
    p: &'a mut [R],
    g: &'a [R],
    m: &'a mut [R],
    v: &'a mut [R],
    ema: &'a mut [R],
    c: Constants<R>,
}

impl<R: Real> Update<'_, R> {
    /// Runs on about so many threads.
    fn share(self, threads: usize) {
        let n = self.p.len();
        if threads <= 1 || n < PARALLEL {
            return dispatch(self);
        }
        let Update { p, g, m, v, ema, c } = self;
        let (half, ema_half) = (n / 2, ema.len() / 2);
        let ((p, p2), (g, g2)) = (p.split_at_mut(half), g.split_at(half));
        let ((m, m2), (v, v2), (ema, ema2)) = (m.split_at_mut(half), v.split_at_mut(half), ema.split_at_mut(ema_half));
        let (left, right) = (Update { p, g, m, v, ema, c }, Update { p: p2, g: g2, m: m2, v: v2, ema: ema2, c });
        let (mut left, mut right) = (Some(left), Some(right));
        let mut left = || left.take().map_or((), |left| left.share(threads.div_ceil(2)));
        let mut right = || right.take().map_or((), |right| right.share(threads / 2));
        par::both(&mut left, &mut right);
    }
}

impl<R: Real> Kernel for Update<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Update { p, g, m, v, ema, c } = self;
        let one = |p: &mut R, g: &R, m: &mut R, v: &mut R| {
            let g = *g * c.scale;
            *m = m.fma::<FMA>(c.b1, c.a1 * g);
            *v = v.fma::<FMA>(c.b2, c.a2 * g * g);
            *p -= c.m * *m / ((*v * c.v).sqrt() + c.epsilon) + c.decay * *p;
        };
        let rows = p.iter_mut().zip(g).zip(m.iter_mut()).zip(v.iter_mut());
        if ema.is_empty() {
            rows.for_each(|(((p, g), m), v)| one(p, g, m, v));
        } else {
            rows.zip(ema).for_each(|((((p, g), m), v), e)| {
                one(p, g, m, v);
                *e = (*p - *e).fma::<FMA>(c.follow, *e);
            });
        }
    }
}

/// The Euclidean norm: squares in f64, where none of a finite f32 overflows, added in [`W`] spans of equal
/// length, each in [`W`] interleaved sums, both folded in halves.
fn norm<R: Real>(x: &[R]) -> f64 {
    struct Squares<'a, R>(&'a [R]);
    impl<R: Real> Kernel for Squares<'_, R> {
        const VECTORS: bool = R::VECTORS;
        type Output = f64;
        #[inline(always)]
        fn run<const FMA: bool>(self) -> f64 {
            let (blocks, tail) = self.0.as_chunks::<W>();
            let mut last = [R::zero(); W];
            last[..tail.len()].copy_from_slice(tail);
            let mut sums = [0.0; W];
            for x in blocks {
                add::<R, FMA>(x, &mut sums);
            }
            add::<R, FMA>(&last, &mut sums);
            // Hidden from the compiler, which would cut the loop above into the halves that the sum begins
            // with.
            simd::sum(std::hint::black_box(sums))
        }
    }
    #[inline(always)]
    fn add<R: Real, const FMA: bool>(x: &[R; W], sums: &mut [f64; W]) {
        for i in 0..W {
            sums[i] = x[i].f64().fma::<FMA>(x[i].f64(), sums[i]);
        }
    }
    let span = x.len().div_ceil(W).max(1);
    let mut sums = [0.0; W];
    if rayon::current_num_threads() == 1 || x.len() < PARALLEL {
        sums.iter_mut().zip(x.chunks(span)).for_each(|(s, x)| *s = dispatch(Squares(x)));
    } else {
        par::each((par::chunks_mut(&mut sums, 1), par::chunks(x, span)), |_, (s, x)| s[0] = dispatch(Squares(x)));
    }
    simd::sum(sums).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Decay;
    use crate::rng::{Purpose, Stream};

    fn full() -> Adam {
        let schedule = Schedule::new(0.01, 3, 20, Decay::Cosine).unwrap();
        Adam { weight_decay: 0.1, clip: Some(2.0), ema: Some(0.9), ..Adam::new(schedule) }
    }

    fn gradient(step: u64) -> [f64; 37] {
        let mut g = [0.0; 37];
        Stream::new(1, Purpose::Test, step, 0).fill_normal(&mut g);
        g
    }

    /// The documented formulas, one number at a time.
    #[test]
    fn twenty_steps_follow_the_formulas() {
        let adam = full();
        let start = gradient(99);
        let mut p = start;
        let mut state = adam.start(&p).unwrap();
        let (mut q, mut m, mut v, mut e) = (start, [0.0; 37], [0.0; 37], start);
        for step in 0..20 {
            let g = gradient(step);
            let report = adam.step(&mut p, &g, &mut state).unwrap();
            let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt();
            assert!((report.norm - norm).abs() <= 1e-14 * norm && report.rate == adam.schedule.rate(step));
            let t = (step + 1) as i32;
            for i in 0..37 {
                let g = g[i] * (2.0 / norm).min(1.0);
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let (mh, vh) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.999f64.powi(t)));
                q[i] -= report.rate * (mh / (vh.sqrt() + 1e-8) + 0.1 * q[i]);
                e[i] += (1.0 - 0.9f64.min((1.0 + f64::from(t)) / (10.0 + f64::from(t)))) * (q[i] - e[i]);
                assert!((p[i] - q[i]).abs() <= 1e-12 && (state.ema[i] - e[i]).abs() <= 1e-12, "step {step}, number {i}");
            }
        }
        assert_eq!(state.step, 20);
    }

    #[test]
    fn a_gradient_that_is_not_finite_changes_nothing() {
        let adam = full();
        let mut p = gradient(0);
        let mut state = adam.start(&p).unwrap();
        for bad in [f64::NAN, f64::INFINITY] {
            let (before, mut g) = ((p, state.clone()), gradient(1));
            g[36] = bad;
            let report = adam.step(&mut p, &g, &mut state).unwrap();
            assert!(!report.norm.is_finite() && before == (p, state.clone()));
        }
        // The square of a large f32 is no infinity.
        assert!((norm(&[1e30f32, 1e30]) - 2f64.sqrt() * 1e30).abs() <= 1e24);
    }

    #[test]
    fn adam_finds_a_minimum_in_f32() {
        // min |p - (1, -2, 3)|^2; at the end of a cosine the steps vanish.
        let adam = Adam::new(Schedule::new(0.1, 10, 1000, Decay::Cosine).unwrap());
        let (mut p, target) = ([0f32; 3], [1.0, -2.0, 3.0]);
        let mut state = adam.start(&p).unwrap();
        for _ in 0..1000 {
            let g: [f32; 3] = std::array::from_fn(|i| 2.0 * (p[i] - target[i]));
            let _ = adam.step(&mut p, &g, &mut state).unwrap();
        }
        assert!(p.iter().zip(target).all(|(p, t)| (p - t).abs() <= 1e-3), "{p:?}");
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let n = 2 * PARALLEL + 12_345;
        let mut start = vec![0f32; n];
        Stream::new(1, Purpose::Test, 0, 1).fill_normal(&mut start);
        for adam in [full(), Adam { ema: None, ..full() }] {
            let run = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let (mut p, mut state) = (start.clone(), adam.start(&start).unwrap());
                let g: Vec<f32> = start.iter().rev().copied().collect();
                let report = pool.install(|| adam.step(&mut p, &g, &mut state)).unwrap();
                (p, state, report)
            };
            let one = run(1);
            let exact = start.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            assert!((one.2.norm - exact).abs() <= 1e-12 * exact && one.0 != start);
            assert!(one == run(2) && one == run(3));
        }
    }

    #[test]
    fn bad_settings_and_lengths_are_refused() {
        let bad = [
            (Adam { beta1: 1.0, ..full() }, "adam: beta1: must be in [0, 1), got 1"),
            (Adam { beta2: -0.1, ..full() }, "beta2"),
            (Adam { ema: Some(f64::NAN), ..full() }, "ema"),
            (Adam { epsilon: 0.0, ..full() }, "epsilon"),
            (Adam { weight_decay: -1.0, ..full() }, "weight decay"),
            (Adam { clip: Some(0.0), ..full() }, "clip"),
        ];
        for (adam, words) in bad {
            let e = adam.start(&[0f32; 2]).unwrap_err().to_string();
            assert!(e.contains(words), "{e}");
        }
        let mut state = full().start(&[0f32; 2]).unwrap();
        assert!(full().step(&mut [0f32; 2], &[0.0; 3], &mut state).is_err());
        assert!(full().step(&mut [0f32; 3], &[0.0; 3], &mut state).is_err());
    }
}
