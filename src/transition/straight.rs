//! Straight paths between data and noise, with their velocity: the draws of flow matching.

use super::TimeLaw;
use super::draws::{Draw, DrawMut, Draws, FIELDS, Noising, Starts, check_finish, check_start};
use crate::config::Coupling;
use crate::metrics::assignment;
use crate::par;
use crate::sde::Paths;
use crate::simd::W;
use crate::{Real, Result};

/// Points that are paired with as much noise at a time, as many as Tong et al. pair of images: an assignment costs like
/// their cube, for 128 a quarter of a millisecond in 24 dimensions and two in the plane.
const GROUP: usize = 128;

/// X_t = (1 - t) x_0 + t z, and its velocity dX_t/dt = z - x_0, the target (eq. 23).
///
/// With [`Coupling::OptimalTransport`] the noise of a batch's draws is dealt out anew: x_0 gets the z of the
/// assignment with the least sum of |x_0 - z|^2 among the draws i, i + g, i + 2g, ... of n, g = n/128 rounded
/// up, so that neighbours, which may be copies of one point, are in different groups (Tong et al. 2024;
/// Pooladian et al. 2023). All noise is dealt out once: that of a random draw is N(0, I), and p_1 what it was.
/// The antithetic pair is then x_0 with its own of the z, and x_0 with its own of the -z, by an assignment
/// of their own: each is a draw of the coupling, while x_0 with -z of the first would be of none.
#[derive(Debug, Clone)]
pub struct StraightKernel {
    dim: usize,
    times: TimeLaw,
    coupling: Coupling,
}

impl StraightKernel {
    /// Paths in `dim` dimensions, at times drawn from `times`.
    pub fn new(dim: usize, times: TimeLaw, coupling: Coupling) -> Self {
        StraightKernel { dim, times, coupling }
    }

    /// Deals the noise out: `draws` have x_0 in `mean`, z in `target_plus` and -z in `target_minus`.
    fn pair<R: Real>(&self, draws: &mut Draws<R>) {
        let (n, d) = (draws.len(), self.dim);
        let groups = n.div_ceil(GROUP);
        let of = |g: usize| (g..n).step_by(groups);
        let dealt = par::map(groups, |g| {
            let rows: Vec<Draw<'_, R>> = of(g).map(|i| draws.draw(i)).collect();
            // |x|^2 and |z|^2 are the same for all assignments; of -z the costs have the other sign.
            let product =
                |(x, z): (&Draw<'_, R>, &Draw<'_, R>)| x.mean.iter().zip(z.target_plus).map(|(x, z)| x.f64() * z.f64()).sum::<f64>();
            let minus: Vec<f64> = rows.iter().flat_map(|x| rows.iter().map(move |z| (x, z))).map(product).collect();
            let plus: Vec<f64> = minus.iter().map(|c| -c).collect();
            [assignment(&plus), assignment(&minus)]
        });
        let noise = draws.clone();
        for (g, [plus, minus]) in dealt.into_iter().enumerate() {
            for ((i, plus), minus) in of(g).zip(plus).zip(minus) {
                let to = DrawMut::of(draws.parts_mut().0, i, d);
                to.target_plus.copy_from_slice(noise.draw(g + groups * plus).target_plus);
                to.target_minus.copy_from_slice(noise.draw(g + groups * minus).target_minus);
            }
        }
    }
}

impl<R: Real> Noising<R> for StraightKernel {
    fn dim(&self) -> usize {
        self.dim
    }

    fn importance(&self, t: f64) -> f64 {
        self.times.importance(t)
    }

    fn step_length(&self, t: f64) -> f64 {
        t
    }

    fn draws_per_path(&self) -> usize {
        1
    }

    fn start(&self, x0: &[R], u: &[f64], _paths: Paths, out: &mut Starts<R>) -> Result<()> {
        check_start("straight paths", self, x0, u, out)?;
        out.set_starts(x0, u, &self.times);
        Ok(())
    }

    fn finish(&self, starts: &Starts<R>, paths: Paths, out: &mut Draws<R>) -> Result<()> {
        check_finish("straight paths", self, starts, out)?;
        let d = self.dim;
        let (rows, spans) = starts.parts();
        let (values, times) = out.parts_mut();
        times.iter_mut().zip(spans).for_each(|(t, [_, to])| *t = *to);
        par::each((par::chunks_mut(values, W * FIELDS * d), par::chunks(rows, W * d)), |chunk, (values, rows)| {
            let mut normals = paths.stream(chunk);
            for (i, row) in rows.chunks_exact(d).enumerate() {
                let draw = DrawMut::of(values, i, d);
                draw.mean.copy_from_slice(row);
                normals.fill_normal(draw.target_plus);
                draw.target_minus.iter_mut().zip(&*draw.target_plus).for_each(|(minus, z)| *minus = -*z);
            }
        });
        if self.coupling == Coupling::OptimalTransport {
            self.pair(out);
        }
        let (values, times) = out.parts_mut();
        par::each((par::chunks_mut(values, W * FIELDS * d), par::chunks(times, W)), |_, (values, times)| {
            for (i, t) in times.iter().enumerate() {
                let draw = DrawMut::of(values, i, d);
                let (alpha, t) = (R::of(1.0 - t), R::of(*t));
                for j in 0..d {
                    let (x, plus, minus) = (draw.mean[j], draw.target_plus[j], draw.target_minus[j]);
                    draw.mean[j] = alpha * x;
                    draw.plus[j] = draw.mean[j] + t * plus;
                    draw.minus[j] = draw.mean[j] + t * minus;
                    draw.target_plus[j] = plus - x;
                    draw.target_minus[j] = minus - x;
                }
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::sde::NoiseScale;

    fn kernel(dim: usize, coupling: Coupling) -> StraightKernel {
        StraightKernel::new(dim, TimeLaw::uniform(NoiseScale::Straight, 0.002, 0.998).unwrap(), coupling)
    }

    fn drawn(kernel: &StraightKernel, x0: &[f64], step: u64) -> Draws<f64> {
        let n = x0.len() / kernel.dim;
        let u: Vec<f64> = (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect();
        let mut draws = Draws::new(n, kernel.dim);
        kernel.draw(x0, &u, Paths { seed: 2, purpose: Purpose::Noise, step }, &mut draws).unwrap();
        draws
    }

    fn normals(n: usize) -> Vec<f64> {
        let mut x = vec![0.0; n];
        Stream::new(9, Purpose::Test, 0, 0).fill_normal(&mut x);
        x
    }

    /// x_0 and the z of both points, from a draw's fields, which belong together.
    fn ends(draws: &Draws<f64>, i: usize) -> [Vec<f64>; 3] {
        let (draw, t) = (draws.draw(i), draws.times()[i]);
        let x0: Vec<f64> = draw.mean.iter().map(|m| m / (1.0 - t)).collect();
        let [plus, minus] = [(draw.plus, draw.target_plus), (draw.minus, draw.target_minus)].map(|(x, y)| {
            let z: Vec<f64> = y.iter().zip(&x0).map(|(y, x0)| y + x0).collect();
            let off = x.iter().zip(&x0).zip(&z).map(|((x, x0), z)| (x - (1.0 - t) * x0 - t * z).abs()).fold(0.0, f64::max);
            assert!(off <= 1e-12, "draw {i}: {off}");
            z
        });
        [x0, plus, minus]
    }

    /// Pairs of both signs on straight paths; dealt out, each noise is used once in its group, the same ones as
    /// without, and no exchange of two makes a group's pairs nearer.
    #[test]
    fn noise_is_dealt_out_once_and_best() {
        for (n, d) in [(1, 2), (100, 3), (600, 2)] {
            let x = normals(n * d);
            let [plain, paired] = [Coupling::Independent, Coupling::OptimalTransport].map(|coupling| {
                let draws = drawn(&kernel(d, coupling), &x, 0);
                (0..n).map(|i| ends(&draws, i)).collect::<Vec<_>>()
            });
            let groups = n.div_ceil(GROUP);
            for sign in [1, 2] {
                assert!(plain.iter().all(|[_, plus, minus]| plus.iter().zip(minus).all(|(p, m)| (p + m).abs() <= 1e-12)));
                for g in 0..groups {
                    let rows: Vec<usize> = (g..n).step_by(groups).collect();
                    assert!(rows.len() <= GROUP);
                    let sorted = |all: &[[Vec<f64>; 3]]| {
                        let mut first: Vec<f64> = rows.iter().map(|i| all[*i][sign][0]).collect();
                        first.sort_by(f64::total_cmp);
                        first
                    };
                    assert!(sorted(&plain).iter().zip(sorted(&paired)).all(|(a, b)| (a - b).abs() <= 1e-12));
                    let near = |i: usize, j: usize| -> f64 { paired[i][0].iter().zip(&paired[j][sign]).map(|(x, z)| x * z).sum() };
                    for (k, i) in rows.iter().enumerate() {
                        for j in &rows[..k] {
                            assert!(near(*i, *i) + near(*j, *j) >= near(*i, *j) + near(*j, *i) - 1e-12, "{i} and {j} of {n}");
                        }
                    }
                }
            }
        }
    }

    /// On the line the best pairs of a group are those of equal rank.
    #[test]
    fn on_the_line_pairs_have_equal_rank() {
        let draws = drawn(&kernel(1, Coupling::OptimalTransport), &normals(GROUP), 1);
        let mut all: Vec<[f64; 3]> = (0..GROUP).map(|i| ends(&draws, i).map(|v| v[0])).collect();
        all.sort_by(|a, b| a[0].total_cmp(&b[0]));
        assert!(all.windows(2).all(|w| w[0][1] <= w[1][1] && w[0][2] <= w[1][2]));
    }

    /// Over many batches the noise of a given row is N(0, 1), paired or not: its first four moments within 4.42
    /// standard errors, 1e-5 each; and with a row that is far out it is not.
    #[test]
    fn noise_stays_normal_over_the_rows() {
        let of = |row: Option<usize>| {
            let mut sums = [[0.0; 2]; 4];
            for step in 0..200 {
                let draws = drawn(&kernel(1, Coupling::OptimalTransport), &normals(64), step);
                for i in (0..64).filter(|i| row.is_none_or(|row| row == *i)) {
                    let z = ends(&draws, i)[1][0];
                    for (k, (sum, exact)) in sums.iter_mut().zip([0.0, 1.0, 0.0, 3.0]).enumerate() {
                        let off = z.powi(k as i32 + 1) - exact;
                        *sum = [sum[0] + off, sum[1] + off * off];
                    }
                }
            }
            sums.map(|[sum, square]| sum.abs() / square.sqrt()).into_iter().fold(0.0, f64::max)
        };
        let first = normals(64).iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i);
        assert!(of(None) <= 4.42 && of(first) > 4.42, "{} {}", of(None), of(first));
    }
}
