use super::prelude::*;

/// Milstein's method, Ito, commutative noise (1974; Kloeden and Platen 1992, eq. 10.3.17):
///
/// x' = x + h f + sum_k sigma_k W_k + (1/2) sum_kl D sigma_k sigma_l (W_k W_l - delta_kl h).
///
/// The derivatives are those of the equation's own code, run on dual numbers.
#[derive(Debug, Clone, Copy)]
pub struct Milstein;

/// Milstein's method with the tamed drift h f/(1 + h |f|) (Wang and Gan 2013): for drifts that grow faster
/// than linearly.
#[derive(Debug, Clone, Copy)]
pub struct TamedMilstein;

enter!([Milstein, TamedMilstein] diagonal);

const ORDERS: &[Orders] = &[
    Orders::of(NoiseKind::Additive, 1.0, 1.0),
    Orders::of(NoiseKind::Scalar, 1.0, 1.0),
    Orders::of(NoiseKind::Diagonal, 1.0, 1.0),
    Orders::of(NoiseKind::Commutative, 1.0, 1.0),
];

impl Method for Milstein {
    const CLAIMS: Claims = Claims {
        name: "milstein",
        calculus: CalculusKind::Ito,
        needs: Needs::W,
        orders: ORDERS,
        invariant: None,
        drifts: 1,
        source: "Kloeden and Platen 1992, eq. 10.3.17",
    };
}

impl Method for TamedMilstein {
    const CLAIMS: Claims = Claims { name: "tamed-milstein", source: "Wang and Gan 2013", ..Milstein::CLAIMS };
}

/// Working memory.
#[derive(Debug)]
pub struct MilsteinMemory<R, A> {
    f: Vec<[R; W]>,
    g: Vec<[R; W]>,
    unit: Vec<[R; W]>,
    x: Vec<[Dual<R>; W]>,
    w: Vec<[Dual<R>; W]>,
    y: Vec<[Dual<R>; W]>,
    correction: Vec<[R; W]>,
    dual: A,
}

macro_rules! milstein {
    ($($Method:ident tamed $tamed:literal)+) => {$(
        impl<R: Real, S: Sde<R> + Sde<Dual<R>>> Integrator<R, S> for $Method
        where
            <S as Sde<R>>::Calculus: ReadsAs<Ito>,
            <S as Sde<R>>::Noise: Within<Commutative>,
        {
            type Memory = MilsteinMemory<R, <S as Sde<Dual<R>>>::Scratch>;
            fn memory(&self, sde: &S) -> Self::Memory {
                MilsteinMemory::new(sde)
            }
            #[inline(always)]
            fn step<const FMA: bool>(
                &self,
                sde: &S,
                step: &Step,
                path: Increment<'_, R>,
                x: &mut [[R; W]],
                memory: &mut Self::Memory,
                scratch: &mut <S as Sde<R>>::Scratch,
            ) {
                let m = memory;
                Sde::<R>::drift::<FMA>(sde, step.start(), x, &mut m.f, scratch);
                m.correct::<S, FMA>(sde, step, path.w, x, scratch);
                let h = if $tamed { tamed::<R, FMA>(step, &m.f) } else { step.size(|h| h) };
                let (size, half): ([R; W], _) = (step.size(|h| h), R::of(0.5));
                let diagonal = matches!(<<S as Sde<R>>::Noise as Noise>::KIND, NoiseKind::Scalar | NoiseKind::Diagonal);
                for (j, x) in x.iter_mut().enumerate() {
                    let (f, g, c) = (&m.f[j], &m.g[j], &m.correction[j]);
                    for i in 0..W {
                        // For diagonal noise `correction` still lacks its factor W^2 - h.
                        let factor = if diagonal { path.w[j][i] * path.w[j][i] - size[i] } else { R::one() };
                        x[i] = f[i].fma::<FMA>(h[i], x[i]) + g[i] + half * factor * c[i];
                    }
                }
            }
        }
    )+};
}

milstein! {
    Milstein tamed false
    TamedMilstein tamed true
}

impl<R: Real, A> MilsteinMemory<R, A> {
    fn new<S: Sde<R> + Sde<Dual<R>, Scratch = A>>(sde: &S) -> Self {
        let (d, m) = (Sde::<R>::dim(sde), Sde::<R>::noises(sde));
        let zero = |n| vec![[R::zero(); W]; n];
        let dual = |n| vec![[Dual::constant(R::zero()); W]; n];
        MilsteinMemory {
            f: zero(d),
            g: zero(d),
            unit: zero(m),
            x: dual(d),
            w: dual(m),
            y: dual(d),
            correction: zero(d),
            dual: Sde::<Dual<R>>::scratch(sde),
        }
    }

    /// `g` = sigma W, and in `correction` sum_kl D sigma_k sigma_l (W_k W_l - delta_kl h): the derivative of
    /// sigma(x) W along itself, less h times that of each column along itself. For diagonal noise sigma_j'
    /// sigma_j, from one evaluation for all columns.
    #[inline(always)]
    fn correct<S: Sde<R> + Sde<Dual<R>, Scratch = A>, const FMA: bool>(
        &mut self,
        sde: &S,
        step: &Step,
        w: &[[R; W]],
        x: &[[R; W]],
        scratch: &mut <S as Sde<R>>::Scratch,
    ) {
        let h: [R; W] = step.size(|h| h);
        self.correction.fill([R::zero(); W]);
        match <<S as Sde<R>>::Noise as Noise>::KIND {
            NoiseKind::Additive => {}
            NoiseKind::Scalar | NoiseKind::Diagonal => {
                self.unit.fill([R::one(); W]);
                self.along_itself::<S, FMA>(sde, step, x, [R::one(); W], scratch);
            }
            NoiseKind::Commutative | NoiseKind::General => {
                self.unit.copy_from_slice(w);
                self.along_itself::<S, FMA>(sde, step, x, [R::one(); W], scratch);
                for k in 0..w.len() {
                    self.unit.fill([R::zero(); W]);
                    self.unit[k] = [R::one(); W];
                    let mut minus = h;
                    for v in &mut minus {
                        *v = -*v;
                    }
                    self.along_itself::<S, FMA>(sde, step, x, minus, scratch);
                }
            }
        }
        Sde::<R>::diffuse::<FMA>(sde, step.start(), x, w, &mut self.g, scratch);
    }

    /// `correction` += factor D(sigma u)(sigma u), u = `unit`.
    #[inline(always)]
    fn along_itself<S: Sde<R> + Sde<Dual<R>, Scratch = A>, const FMA: bool>(
        &mut self,
        sde: &S,
        step: &Step,
        x: &[[R; W]],
        factor: [R; W],
        scratch: &mut <S as Sde<R>>::Scratch,
    ) {
        Sde::<R>::diffuse::<FMA>(sde, step.start(), x, &self.unit, &mut self.g, scratch);
        for ((dual, x), g) in self.x.iter_mut().zip(x).zip(&self.g) {
            for i in 0..W {
                dual[i] = Dual::new(x[i], g[i]);
            }
        }
        for (dual, u) in self.w.iter_mut().zip(&self.unit) {
            for i in 0..W {
                dual[i] = Dual::constant(u[i]);
            }
        }
        Sde::<Dual<R>>::diffuse::<FMA>(sde, step.start(), &self.x, &self.w, &mut self.y, &mut self.dual);
        for (c, y) in self.correction.iter_mut().zip(&self.y) {
            for i in 0..W {
                c[i] = factor[i].fma::<FMA>(y[i].tangent, c[i]);
            }
        }
    }
}
