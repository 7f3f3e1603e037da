//! A checkerboard: sharp edges, no mode.

use super::{Named, Plane};
use crate::rng::Stream;
use std::sync::Arc;

pub(super) const NAMED: &[Named] = &[Named { name: "checkerboard", make: || Ok(Arc::new(Checkerboard)) }];

/// Uniform on the eight dark squares of side 2 in [-4, 4]^2: those with floor(x_1 / 2) + floor(x_2 / 2) even.
///
/// p = 1/32 on them and 0 elsewhere. The gradient of ln p lives on the edges alone; off the edges the score
/// is given as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkerboard;

/// Half the side of the board.
const HALF: f64 = 4.0;
/// Side of a square.
const SIDE: f64 = 2.0;

impl Plane for Checkerboard {
    fn name(&self) -> &'static str {
        "checkerboard"
    }

    fn window(&self) -> [f64; 2] {
        [-HALF, HALF]
    }

    fn draw(&self, stream: &mut Stream) -> [f64; 2] {
        let (row, pair) = (stream.below(4), stream.below(2));
        let column = 2 * pair + row % 2;
        let mut within = |square: usize| SIDE * (square as f64 + stream.uniform::<f64>()) - HALF;
        [within(column), within(row)]
    }

    fn log_density_and_score(&self, x: [f64; 2]) -> (f64, [f64; 2]) {
        if x.iter().any(|x| x.is_nan()) {
            return (f64::NAN, [f64::NAN; 2]);
        }
        let dark = ((x[0] / SIDE).floor() + (x[1] / SIDE).floor()) % 2.0 == 0.0;
        let on = dark && x.iter().all(|x| (-HALF..HALF).contains(x));
        let area = 8.0 * SIDE * SIDE;
        (if on { -area.ln() } else { f64::NEG_INFINITY }, [0.0; 2])
    }
}
