//! Laws on grids: what they conserve, their order, and that two of them agree.

use super::density::worst;
use super::row;
use crate::Result;
use crate::audit::Row;
use crate::sde::DoubleWell;
use crate::transition::{ChapmanKolmogorov, Drift, FokkerPlanck, Line, LocalLinear, Plane};

/// The double well's potential, at temperature D = sigma^2/2.
pub(super) fn well(x: f64) -> f64 {
    0.25 * x.powi(4) - 0.5 * x * x
}
const SIGMA: f64 = 0.8;
pub(super) const D: f64 = 0.5 * SIGMA * SIGMA;

pub fn rows() -> Result<Vec<Row>> {
    let equation = FokkerPlanck { drift: Drift::Potential(&well), diffusion: D };
    Ok(vec![conserved(&|p, time, steps| equation.evolve(p, 0.0, time, steps))?, conserved_plane()?, space()?, agree()?])
}

/// Of a scheme that moves a density in the double well over a time in so many steps: mass, sign, and that p ~
/// e^(-V/D) stays; with ends high up the walls, where densities span all that numbers can, and with ends that
/// the mass runs against.
pub(super) fn conserved(evolve: &dyn Fn(&mut Line, f64, usize) -> Result<()>) -> Result<Row> {
    let (mut mass, mut negative, mut off) = (0f64, 0, 0f64);
    for end in [4.0, 1.2] {
        let mut p = Line::new(-end, end, 801, |x| f64::from((x - 0.5).abs() < 0.05))?;
        for h in [1e-6, 1e-3, 0.1, 10.0, 1e4] {
            let before = p.mass();
            evolve(&mut p, h, 1)?;
            mass = worst(mass, p.mass() - before);
            negative += p.density().iter().filter(|p| p.is_nan() || **p < 0.0).count();
        }
        let gibbs = Line::new(-end, end, 801, |x| (-well(x) / D).exp())?;
        let mut q = gibbs.clone();
        evolve(&mut q, 10.0, 100)?;
        off = q.density().iter().zip(gibbs.density()).map(|(a, b)| (a - b) / b).fold(off, worst);
    }
    let errors = [("mass, each step", mass, 1e-13), ("cells below 0", negative as f64, 0.0), ("invariant law", off, 1e-12)];
    Ok(row("fokker-planck", "double well, h = 1e-6 to 1e4", &errors))
}

fn conserved_plane() -> Result<Row> {
    let wells = |x: f64, y: f64| 0.25 * (x * x - 1.0).powi(2) + (y - x).powi(2);
    let grid = |p: &dyn Fn(f64, f64) -> f64| Plane::new([-3.0, -4.0], [3.0, 4.0], [60, 81], p);
    let mut p = grid(&|x, y| f64::from(x.abs() < 0.2 && y.abs() < 0.2))?;
    let (mut mass, mut negative) = (0f64, 0);
    for h in [1e-4, 0.1, 100.0] {
        let before = p.mass();
        p.evolve(&wells, 0.3, 0.0, h, 1)?;
        mass = mass.max((p.mass() - before).abs());
        negative += p.density().iter().filter(|p| p.is_nan() || **p < 0.0).count();
    }
    let gibbs = grid(&|x, y| (-wells(x, y) / 0.3).exp())?;
    let mut q = gibbs.clone();
    q.evolve(&wells, 0.3, 0.0, 5.0, 10)?;
    let off = q.density().iter().zip(&gibbs.density()).map(|(a, b)| (a - b).abs() / b).fold(0.0, f64::max);
    let errors = [("mass, each step", mass, 1e-13), ("cells below 0", negative as f64, 0.0), ("invariant law", off, 1e-12)];
    Ok(row("fokker-planck 2-d", "two wells that do not separate", &errors))
}

/// E X^3 on grids of 100, 300 and 900 cells: the differences fall by 3^2.
fn space() -> Result<Row> {
    let at = |cells: usize| {
        let mut p = Line::new(-4.0, 4.0, cells, |x| (-2.0 * (x - 0.3).powi(2)).exp())?;
        FokkerPlanck { drift: Drift::Field(&|x, _| x - x.powi(3)), diffusion: D }.evolve(&mut p, 0.0, 0.5, 50)?;
        Ok::<_, crate::Error>(p.expectation(|x| x.powi(3)))
    };
    let (a, b, c) = (at(100)?, at(300)?, at(900)?);
    let slope = ((a - b) / (b - c)).ln() / 3f64.ln();
    Ok(row("fokker-planck", &format!("order in space {slope:.3}, claimed 2"), &[("order in space", (slope - 2.0).abs(), 0.1)]))
}

/// From the point 0.5 to time 1/4: Chapman-Kolmogorov, extrapolated, against Fokker-Planck, extrapolated,
/// which starts from the law after 1/256.
fn agree() -> Result<Row> {
    let grid = Line::new(-4.0, 4.0, 801, |_| 1.0)?;
    let one = LocalLinear(DoubleWell::new(1, SIGMA)?);
    let (p, score) = ChapmanKolmogorov::extrapolated(&one, 0.5, 0.0, 0.25, 16, &grid)?;
    let first = 1.0 / 256.0;
    let mut q = ChapmanKolmogorov::from_point(&one, 0.5, 0.0, first, &grid)?.law().clone();
    FokkerPlanck { drift: Drift::Potential(&well), diffusion: D }.evolve_extrapolated(&mut q, first, 0.25, 200)?;
    let square: f64 =
        p.density().iter().zip(score.iter().zip(&q.score())).filter(|(p, _)| **p > 1e-12).map(|(p, (a, b))| p * (a - b).powi(2)).sum();
    let errors = [("density, L1", p.distance(&q)?, 1e-3), ("score, L2(p)", (square * p.spacing()).sqrt(), 2e-2)];
    Ok(row("chapman-kolmogorov", "against fokker-planck, double well", &errors))
}
