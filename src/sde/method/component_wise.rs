use super::prelude::*;

use crate::sde::Langevin;
use crate::sde::component_step::{ComponentMemory, ComponentStep, lane, move_lane};

/// The component-wise exact step (15) for Langevin dynamics toward a mixture: the component k of a path is
/// drawn by its responsibilities, then x takes the exact Ornstein-Uhlenbeck step of component k with the
/// normals W / h^(1/2). The uniform number that picks k is Phi((12/h)^(1/2) H): H is independent of W.
///
/// Leaves the mixture invariant for every h; weak order 1; no strong order, since k jumps.
#[derive(Debug, Clone)]
pub struct ComponentWise<R: Real>(ComponentStep<R>);

impl<R: Real> ComponentWise<R> {
    /// The step that belongs to `sde`.
    ///
    /// # Errors
    /// A covariance whose eigendecomposition does not converge.
    pub fn new(sde: &Langevin<R>) -> crate::Result<Self> {
        Ok(ComponentWise(ComponentStep::new(sde.mixture(), sde.beta())?))
    }
}

/// Its equation is the one that it was made for: it stands in no section.
pub(super) struct Entry;
impl File for Entry {
    const CLAIMS: &'static [Claims] = &[ComponentWise::<f64>::CLAIMS];
}

impl<R: Real> Method for ComponentWise<R> {
    const CLAIMS: Claims = Claims {
        name: "component",
        calculus: CalculusKind::Either,
        needs: Needs::Wh,
        orders: &[Orders::of(NoiseKind::Additive, 0.0, 1.0)],
        invariant: Some(f64::INFINITY),
        drifts: 0,
        source: "method.md, eq. 15",
    };
}

impl<R: Real> Integrator<R, Langevin<R>> for ComponentWise<R> {
    type Memory = ComponentMemory<R>;
    fn memory(&self, _sde: &Langevin<R>) -> ComponentMemory<R> {
        ComponentMemory::new(&self.0)
    }
    #[inline(always)]
    fn step<const FMA: bool>(
        &self,
        _sde: &Langevin<R>,
        step: &Step,
        path: Increment<'_, R>,
        x: &mut [[R; W]],
        block: &mut ComponentMemory<R>,
        _scratch: &mut Vec<[R; W]>,
    ) {
        let h: [R; W] = step.size(|h| h);
        let inverse: [R; W] = step.size(|h| h.sqrt().recip());
        let mut u = [R::zero(); W];
        for i in 0..W {
            // The areas of the first coordinate: the others are not needed.
            u[i] = (R::of(12f64.sqrt()) * inverse[i] * path.h[0][i]).normal_law_lane::<FMA>().0;
        }
        block.x.copy_from_slice(x);
        let k = self.0.choose::<FMA>(&block.x, &u, &mut block.r, &mut block.scratch);
        for (z, w) in block.z.iter_mut().zip(path.w) {
            for i in 0..W {
                z[i] = inverse[i] * w[i];
            }
        }
        for i in 0..W {
            lane::<R, FMA>(&self.0, block, k[i], i, h[i]);
            move_lane::<R, FMA>(&self.0, block, i);
        }
        x.copy_from_slice(&block.x);
    }
}
