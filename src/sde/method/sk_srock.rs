use super::prelude::*;

/// SK-SROCK, Ito: the second-kind orthogonal Runge-Kutta-Chebyshev method for stiff drifts (Abdulle,
/// Almuslimani and Vilmart 2018), explicit. With s stages it is mean-square stable for h lambda up to about
/// 2 s^2, lambda the largest modulus of the eigenvalues of Df (real and negative). T_s the Chebyshev
/// polynomial, eta = 1/20, w0 = 1 + eta/s^2, w1 = T_s(w0)/T_s'(w0):
///
/// K_1 = x + (w1/w0) h f(x + (s w1/2) sigma W) + (s w1/w0) sigma W,
/// K_i = 2 w1 (T_(i-1)/T_i) h f(K_(i-1)) + 2 w0 (T_(i-1)/T_i) K_(i-1) - (T_(i-2)/T_i) K_(i-2),   x' = K_s.
#[derive(Debug, Clone, Copy)]
pub struct SkSrock {
    radius: f64,
}

const ETA: f64 = 0.05;
/// More stages than any step needs that is not better made shorter.
const MOST: usize = 1000;

impl SkSrock {
    /// For drifts whose Df has eigenvalues in [-radius, 0], 1/time.
    ///
    /// # Errors
    /// `radius` not positive.
    pub fn new(radius: f64) -> crate::Result<Self> {
        Ok(SkSrock { radius: super::super::positive("sk-srock: radius", radius)? })
    }

    /// The number of stages for a step h.
    pub fn stages(&self, h: f64) -> usize {
        let s = ((h * self.radius + 1.5) / (2.0 - 4.0 * ETA / 3.0)).sqrt() + 1.0;
        (s as usize).clamp(3, MOST)
    }
}

/// As registered: for eigenvalues down to -10.
impl Default for SkSrock {
    fn default() -> Self {
        SkSrock { radius: 10.0 }
    }
}

enter!([SkSrock = SkSrock::default()] additive, diagonal);

impl Method for SkSrock {
    const CLAIMS: Claims = Claims {
        name: "sk-srock",
        calculus: CalculusKind::Ito,
        needs: Needs::W,
        orders: EULER_ORDERS,
        invariant: Some(1.0),
        drifts: 3,
        source: "Abdulle, Almuslimani, Vilmart 2018",
    };
}

/// Working memory.
#[derive(Debug, Clone)]
pub struct Stabilised<R> {
    f: Vec<[R; W]>,
    noise: Vec<[R; W]>,
    before: Vec<[R; W]>,
    now: Vec<[R; W]>,
}

impl<R: Real, S: Sde<R>> Integrator<R, S> for SkSrock
where
    S::Calculus: ReadsAs<Ito>,
{
    type Memory = Stabilised<R>;
    fn memory(&self, sde: &S) -> Stabilised<R> {
        let zero = vec![[R::zero(); W]; sde.dim()];
        Stabilised { f: zero.clone(), noise: zero.clone(), before: zero.clone(), now: zero }
    }
    #[inline(always)]
    fn step<const FMA: bool>(
        &self,
        sde: &S,
        step: &Step,
        path: Increment<'_, R>,
        x: &mut [[R; W]],
        memory: &mut Self::Memory,
        scratch: &mut S::Scratch,
    ) {
        let Stabilised { f, noise, before, now } = memory;
        let h: [R; W] = step.size(|h| h);
        // One number of stages for the block, that of its longest step.
        let longest = (0..W).map(|i| step.end().of(i) - step.start().of(i)).fold(0.0, f64::max);
        let s = self.stages(longest);
        let (w0, sf) = (1.0 + ETA / (s * s) as f64, s as f64);
        // T_s(w0) = cosh(s a), T_s'(w0) = s sinh(s a)/sinh a, a = arcosh w0.
        let angle = w0.acosh();
        let w1 = (sf * angle).cosh() * angle.sinh() / (sf * (sf * angle).sinh());
        sde.diffuse::<FMA>(step.start(), x, path.w, noise, scratch);
        let shift = R::of(0.5 * sf * w1);
        for ((now, x), n) in now.iter_mut().zip(&*x).zip(&*noise) {
            for i in 0..W {
                now[i] = n[i].fma::<FMA>(shift, x[i]);
            }
        }
        sde.drift::<FMA>(step.start(), now, f, scratch);
        let (a, b) = (R::of(w1 / w0), R::of(sf * w1 / w0));
        before.copy_from_slice(x);
        for (j, now) in now.iter_mut().enumerate() {
            for i in 0..W {
                now[i] = (a * h[i]).fma::<FMA>(f[j][i], b.fma::<FMA>(noise[j][i], x[j][i]));
            }
        }
        // Of T_(i-2), T_(i-1), T_i only ratios are needed: u = T_(i-1)/T_i, and T_(i-2)/T_i = u times the u
        // before. c follows the times.
        let (mut u, mut c, mut c_before) = (1.0 / w0, w1 / w0, 0.0);
        for _ in 1..s {
            let next = 1.0 / (2.0 * w0 - u);
            let (p, q, r) = (2.0 * w1 * next, 2.0 * w0 * next, u * next);
            sde.drift::<FMA>(&step.at(c.min(1.0)), now, f, scratch);
            let (cp, cq, cr) = (R::of(p), R::of(q), R::of(-r));
            for j in 0..x.len() {
                for i in 0..W {
                    let value = (cp * h[i]).fma::<FMA>(f[j][i], cr.fma::<FMA>(before[j][i], cq * now[j][i]));
                    before[j][i] = now[j][i];
                    now[j][i] = value;
                }
            }
            (c, c_before) = (p + q * c - r * c_before, c);
            u = next;
        }
        x.copy_from_slice(now);
    }
}
