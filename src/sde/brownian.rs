//! Brownian paths as functions of time: any interval, in any order, the same path every time it is asked.
//!
//! A [`Tree`] gives, for every s <= u in [t_0, t_N], three functionals of a path B,
//!
//! * W = B_u - B_s ~ N(0, h), h = u - s: the increment,
//! * H = (1/h) int (B_t - B_s - (t - s)/h W) dt ~ N(0, h/12): the space-time Levy area,
//! * K = (1/h^2) int (B_t - B_s - (t - s)/h W) (h/2 - (t - s)) dt ~ N(0, h/720): the space-time-time Levy
//!   area,
//!
//! which are independent of each other and of those of all disjoint intervals. They are a pure function of
//! (seed, purpose, step, chunk, coordinate, lane) and (s, u): nothing is stored, so the order of questions,
//! the number of threads and of other paths, and whether H and K are asked for don't change a bit of the
//! answer (at one [level](crate::simd::Level) of vectors). That is what adaptive steps, and comparisons of
//! step sizes on one path, need.
//!
//! # Law
//!
//! The caller gives times t_0 < ... < t_N. The triples (W, H, K) of the *cells* [t_n, t_{n+1}] are drawn
//! directly. Inside a cell is a binary tree: a triple is split into those of its halves by their joint law
//! given it (Foster 2020, *Numerical approximations for stochastic differential equations*; Jelincic, Tao,
//! Turner, Cass, Foster, Ni 2024). An interval is a row of whole cells and whole nodes, which Chen's relation
//! joins. So the joint law of everything that is asked is exact, at every depth: there is no tolerance below
//! which noise is used twice or interpolated. Times within a cell are rounded to 2^-48 of its length: those
//! that should be a fraction k/2^n of it, but for some roundings, are taken to be that.
//!
//! # Which grid
//!
//! The path depends on the cells: another grid is another path of the same law. One cell [0, T] serves
//! halvings of T. For N steps that aren't a power of two (or a geometric grid) give the finest grid; coarser
//! steps that end at its times are sums of cells.
//!
//! Cost of a walk from left to right, in normals per step and coordinate, and as measured in f64 with two
//! coordinates, in the time of one normal of [`Stream::fill_normal`](crate::rng::Stream::fill_normal) (1.0 ns
//! with AVX-512):
//!
//! | steps | W | W, H | W, H, K |
//! |---|---|---|---|
//! | the cells themselves | 1 normal, time 1.8 | 2 normals, 3.2 | 3 normals, 4.6 |
//! | a uniform dyadic grid in one cell | 2.5 normals, 4.4 | 2.5 normals, 4.4 | 3 normals, 5.3 |
//! | other times in a cell | up to 48 nodes, about 300 | the same | the same |
//!
//! So adaptive steps should be halved and doubled.
//!
//! ```
//! use ndsm::rng::Purpose;
//! use ndsm::sde::Paths;
//! use ndsm::sde::brownian::Tree;
//!
//! let name = Paths { seed: 0, purpose: Purpose::Brownian, step: 0 };
//! let tree = Tree::new(name, &[0.0, 1.0])?;
//! // One coordinate of paths 0 to 15.
//! let mut path = tree.cursor::<f64>(0, 1);
//! let (mut w, mut h, mut sum) = ([[0.0; 16]], [[0.0; 16]], [0.0; 16]);
//! for n in 0..8 {
//!     path.query(f64::from(n) / 8.0, f64::from(n + 1) / 8.0, &mut w, &mut h, &mut [])?;
//!     (0..16).for_each(|i| sum[i] += w[0][i]);
//! }
//! path.query(0.0, 1.0, &mut w, &mut [], &mut [])?;
//! assert!((0..16).all(|i| (w[0][i] - sum[i]).abs() < 1e-14));
//! // Beyond the last time there is no path.
//! assert!(path.query(0.5, 1.0 + f64::EPSILON, &mut w, &mut [], &mut []).is_err());
//! # Ok::<(), ndsm::Error>(())
//! ```

mod clocks;
mod coordinate;
mod cursor;
#[cfg(test)]
mod tests;
mod tree;
mod triple;
mod walk;

pub use clocks::Clocks;
pub use cursor::Cursor;
pub use tree::Tree;
