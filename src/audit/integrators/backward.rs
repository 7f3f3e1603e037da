//! Expectations of a method's paths without drawing any: the backward iteration
//!
//! u_N = phi,   u_n(x) = E u_{n+1}(x + step of the method from x),   E phi(x_N) = u_0(x_0),
//!
//! on a line of points, with Gauss-Hermite quadrature over W and H and cubic splines between the points. What
//! is left of both is below 1e-9, so that orders can be read off to two digits where sampling would take 1e8
//! paths.

use super::paths::Walker;
use crate::Result;
use crate::linalg::symmetric_eigen;
use crate::par;
use crate::sde::Needs;
use crate::simd::W;
use ndarray::Array2;

/// Points low, low + gap, ...
#[derive(Debug, Clone, Copy)]
pub struct Line {
    low: f64,
    gap: f64,
    count: usize,
}

impl Line {
    /// `count` points from `low` to `high`.
    pub fn new(low: f64, high: f64, count: usize) -> Self {
        Line { low, gap: (high - low) / (count - 1) as f64, count }
    }

    /// The points.
    pub fn points(&self) -> Vec<f64> {
        (0..self.count).map(|i| self.low + i as f64 * self.gap).collect()
    }

    /// Where `x` lies, in gaps from the first point; a point outside is moved to the end.
    pub fn place(&self, x: f64) -> f64 {
        ((x - self.low) / self.gap).clamp(0.0, (self.count - 1) as f64)
    }
}

/// Nodes and weights of Gauss-Hermite quadrature for N(0, 1): eigenvalues of the Jacobi matrix of the Hermite
/// polynomials, and the squared first entries of its eigenvectors (Golub and Welsch 1969).
pub fn gauss_hermite(n: usize) -> Result<Vec<[f64; 2]>> {
    let jacobi = Array2::from_shape_fn((n, n), |(i, j)| if i.abs_diff(j) == 1 { (i.max(j) as f64).sqrt() } else { 0.0 });
    let eigen = symmetric_eigen(jacobi.view())?;
    Ok((0..n).map(|q| [eigen.values[q], eigen.vectors[[0, q]].powi(2)]).collect())
}

/// (W / h^(1/2), H / h^(1/2), weight).
pub type Node = [f64; 3];

/// 12 nodes for W, and for each 7 for H, where the method uses that.
fn nodes(needs: Needs) -> Result<Vec<Node>> {
    let (w, area) = (gauss_hermite(12)?, if needs == Needs::Wh { gauss_hermite(7)? } else { vec![[0.0, 1.0]] });
    Ok(w.iter().flat_map(|w| area.iter().map(|a| [w[0], a[0] / 12f64.sqrt(), w[1] * a[1]])).collect())
}

/// One step of length `h` at time `from` from each of `points` with each of its nodes, as many for every
/// point: `seen`(number of the point, node, where it leads, what is reported of the point).
///
/// # Errors
/// Those of `nodes`.
pub fn steps(
    on: &dyn Walker,
    (from, h): (f64, f64),
    points: &[f64],
    nodes: &dyn Fn(f64) -> Result<Vec<Node>>,
    seen: &mut dyn FnMut(usize, Node, f64, f64),
) -> Result<()> {
    let root = h.sqrt();
    for (b, block) in points.chunks(W).enumerate() {
        let nodes = block.iter().map(|x| nodes(*x)).collect::<Result<Vec<_>>>()?;
        let mut start = [block[0]; W];
        start[..block.len()].copy_from_slice(block);
        for q in 0..nodes[0].len() {
            let (mut w, mut area) = ([[0.0; W]], [[0.0; W]]);
            for (i, nodes) in nodes.iter().enumerate() {
                (w[0][i], area[0][i]) = (root * nodes[q][0], root * nodes[q][1]);
            }
            let [mut next, mut reported] = [[start]; 2];
            on.walk((from, h), 1, false, (&w, &area), &mut next);
            on.walk((from, h), 0, true, (&w, &area), &mut reported);
            for (i, nodes) in nodes.iter().enumerate() {
                seen(b * W + i, nodes[q], next[0][i], reported[0][i]);
            }
        }
    }
    Ok(())
}

/// The transfer operator u -> E u(step) of one step.
#[derive(Debug)]
pub struct Transfer {
    line: Line,
    /// For each point, for each node: the weight, where the step leads, and what is reported of the point.
    nodes: Vec<Vec<[f64; 3]>>,
}

impl Transfer {
    /// Of the method `on` its scalar equation, over a step from a time and of a length, `time`.
    ///
    /// # Errors
    /// None that was ever seen (the eigenvalues of a 12 x 12 matrix).
    pub fn new(on: &dyn Walker, time: (f64, f64), line: Line) -> Result<Self> {
        let nodes = nodes(on.claims().needs)?;
        Self::with(on, time, line, &|_| Ok(nodes.clone()))
    }

    /// By nodes that depend on where a step starts.
    ///
    /// # Errors
    /// Those of `nodes`.
    pub fn with(on: &dyn Walker, time: (f64, f64), line: Line, nodes: &(dyn Fn(f64) -> Result<Vec<Node>> + Sync)) -> Result<Self> {
        let points = line.points();
        let mut all = vec![vec![]; points.len()];
        par::try_each((par::chunks_mut(&mut all, W), par::chunks(&points, W)), |_, (all, points)| {
            steps(on, time, points, nodes, &mut |i, node, next, reported| all[i].push([node[2], line.place(next), reported]))
        })?;
        Ok(Transfer { line, nodes: all })
    }

    /// u_N(x) = E phi(what is reported of x).
    pub fn end(&self, phi: &dyn Fn(f64) -> f64) -> Vec<f64> {
        self.nodes.iter().map(|nodes| nodes.iter().map(|[weight, _, x]| weight * phi(*x)).sum()).collect()
    }

    /// u_n from u_{n+1}.
    pub fn apply(&self, u: &[f64]) -> Vec<f64> {
        let spline = Spline::new(u);
        let mean = |i: usize| self.nodes[i].iter().map(|[weight, place, _]| weight * spline.at(*place)).sum();
        par::map(self.nodes.len(), mean)
    }

    /// u(x).
    pub fn at(&self, u: &[f64], x: f64) -> f64 {
        Spline::new(u).at(self.line.place(x))
    }

    /// E phi(x_N) from x_0 = `start` after `count` steps.
    pub fn expectation(&self, count: usize, start: f64, phi: &dyn Fn(f64) -> f64) -> f64 {
        let u = (0..count).fold(self.end(phi), |u, _| self.apply(&u));
        self.at(&u, start)
    }
}

/// E phi(x_N) from x_0 = `start`, with `count` steps of length h = 1/count; the equation is autonomous.
///
/// # Errors
/// As [`Transfer::new`].
pub fn expectation(on: &dyn Walker, count: usize, line: Line, start: f64, phi: &dyn Fn(f64) -> f64) -> Result<f64> {
    Ok(Transfer::new(on, (0.0, 1.0 / count as f64), line)?.expectation(count, start, phi))
}

/// A natural cubic spline through the values at 0, 1, 2, ...: each with a sixth of its second derivative.
struct Spline(Vec<[f64; 2]>);

impl Spline {
    /// s_{i-1} + 4 s_i + s_{i+1} = u_{i-1} - 2 u_i + u_{i+1}, s = 0 at both ends, by elimination.
    fn new(u: &[f64]) -> Self {
        let n = u.len();
        let mut knots: Vec<[f64; 2]> = u.iter().map(|u| [*u, 0.0]).collect();
        let mut above = vec![0.0; n];
        for i in 1..n - 1 {
            let pivot = 1.0 / (4.0 - above[i - 1]);
            above[i] = pivot;
            knots[i][1] = (u[i - 1] - 2.0 * u[i] + u[i + 1] - knots[i - 1][1]) * pivot;
        }
        for i in (1..n - 1).rev() {
            knots[i][1] -= above[i] * knots[i + 1][1];
        }
        Spline(knots)
    }

    #[inline]
    fn at(&self, place: f64) -> f64 {
        let i = (place as usize).min(self.0.len() - 2);
        let ([u, s], [v, t]) = (self.0[i], self.0[i + 1]);
        let b = place - i as f64;
        let a = 1.0 - b;
        a * u + b * v + (a * a * a - a) * s + (b * b * b - b) * t
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadrature_and_splines_are_accurate() {
        // E Z^2k = (2k - 1)!! up to degree 23; E e^Z = e^(1/2).
        let nodes = gauss_hermite(12).unwrap();
        let mean = |f: &dyn Fn(f64) -> f64| nodes.iter().map(|[z, w]| w * f(*z)).sum::<f64>();
        let mut moment = 1.0;
        for k in 0..12 {
            assert!((mean(&|z: f64| z.powi(2 * k)) / moment - 1.0).abs() <= 1e-12, "{k}");
            moment *= f64::from(2 * k + 1);
        }
        assert!((mean(&f64::exp) - 0.5f64.exp()).abs() <= 1e-12);
        let line = Line::new(-4.0, 4.0, 1601);
        let spline = Spline::new(&line.points().iter().map(|x| x.sin()).collect::<Vec<_>>());
        let worst = (0..2000).map(|i| -1.0 + 1e-3 * f64::from(i)).map(|x| (spline.at(line.place(x)) - x.sin()).abs()).fold(0.0, f64::max);
        assert!(worst <= 5e-12, "{worst:e}");
    }
}
