//! The network, and its kind, width and learning rate where the configuration leaves them open: chosen from
//! the number of points, the rate from the width.
//!
//! With the time in every block a network needs fewer steps, and learns few points by heart sooner; so does a
//! wide one. In a few dimensions neither matters (method.md, "The network").

use super::Settled;
use crate::config::{Config, NARROW, NetworkKind};
use crate::nn::{Kind, Mlp, ResidualMlp, ScoreNet, Sizes};
use crate::{Error, Result};

/// Frequencies of the time's Fourier features.
const FREQUENCIES: usize = 6;
/// Dimensions from which on the points decide.
const DIRECTIONS: usize = 16;
/// Points from which on the time is put into every block, and from which on these blocks are wide.
const SOME: usize = 800;
const MANY: usize = 2000;
/// Units of a hidden layer beside [`NARROW`], and the learning rate of each that gains most: like 1/width
/// (arXiv:2203.03466), but in a few dimensions, where a narrow network is as good with the lower one.
const NARROW_RATE: f64 = 6e-3;
const WIDE: usize = 256;
const RATE: f64 = 3e-3;

/// The network of the configuration's kind and sizes for points in R^`dim`.
///
/// # Errors
/// Sizes out of range.
pub fn network(config: &Settled, dim: usize) -> Result<ScoreNet> {
    let n = &config.network;
    let kind = n.kind.architecture().ok_or_else(|| Error::refused("network.kind", "is still to be chosen"))?;
    (kind.network)(Sizes { dim, width: n.width, depth: n.depth, frequencies: FREQUENCIES, dropout: n.dropout })
}

/// Whether the number of points decides something.
pub(super) fn is_open(config: &Config) -> bool {
    config.network.kind == NetworkKind::AUTO || config.network.width == 0
}

/// Chooses what is open for `points` training points in R^`dim`, and says what and why.
pub(super) fn choose(config: &mut Config, points: usize, dim: usize) -> Option<String> {
    let open = is_open(config);
    if !open && config.train.lr > 0.0 {
        return None;
    }
    let named = |kind: Kind| NetworkKind::named(kind.name).unwrap_or_default();
    let network = &mut config.network;
    if network.kind == NetworkKind::AUTO {
        network.kind = named(if dim >= DIRECTIONS && points >= SOME { ResidualMlp::KIND } else { Mlp::KIND });
    }
    if network.width == 0 {
        let narrow = dim >= DIRECTIONS && points < if network.kind == named(Mlp::KIND) { SOME } else { MANY };
        network.width = if narrow { NARROW } else { WIDE };
    }
    let (kind, width) = (network.kind.name(), network.width);
    if config.train.lr == 0.0 {
        config.train.lr = if dim >= DIRECTIONS && width <= NARROW { NARROW_RATE } else { RATE };
    }
    let network = format!("network.kind = \"{kind}\", network.width = {width}, train.lr = {}", config.train.lr);
    Some(if open { format!("{network}, for {points} points in {dim} dimensions") } else { network })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Setting;

    #[test]
    fn the_network_follows_the_points() {
        for (points, dim, kind, width, rate) in [
            (100_000, 2, "mlp", 256, 0.003),
            (100, 2, "mlp", 256, 0.003),
            (SOME - 1, 24, "mlp", 128, 0.006),
            (SOME, 24, "residual", 128, 0.006),
            (MANY - 1, 24, "residual", 128, 0.006),
            (MANY, 24, "residual", 256, 0.003),
        ] {
            let mut config = Config::default();
            let said = choose(&mut config, points, dim).unwrap();
            let got = (config.network.kind.name(), config.network.width, config.train.lr);
            assert_eq!(got, (kind, width, rate), "{points} points, {dim} dimensions");
            let expected =
                format!("network.kind = \"{kind}\", network.width = {width}, train.lr = {rate}, for {points} points in {dim} dimensions");
            assert!(said == expected && !is_open(&config) && choose(&mut config, 0, 1).is_none(), "{said}");
        }
        // What is given stays, and the other follows it.
        let given = |key: &str, value: crate::config::Value| {
            let mut config = Config::resolve(&[Setting::new(key, value)]).unwrap();
            choose(&mut config, MANY, 24).unwrap();
            (config.network.kind.name(), config.network.width, config.train.lr)
        };
        assert_eq!(given("network.kind", "mlp".into()), ("mlp", 256, 0.003));
        assert_eq!(given("network.width", 7usize.into()), ("residual", 7, 0.006));
        assert_eq!(given("train.lr", 0.5.into()), ("residual", 256, 0.5));
    }
}
