//! Combinations that cannot work, each refused with what would.

use super::{
    Augment, Components, Config, Control, Coupling, DataConfig, DataName, EncoderKind, Grid, ObjectiveKind, Parametrisation, ReferenceKind,
    SdeKind, Spacing, Symmetry, TimeSampling, Transition, Weighting,
};
use crate::nn::{ARCHITECTURES, Kind, Sizes};
use crate::{Error, Result};

/// Most weights of a network: 1 GiB of f32 with Adam's two moments and the average.
const MAX_WEIGHTS: f64 = (1u64 << 26) as f64;
/// Units of a hidden layer of the narrowest network that is chosen where `network.width` is 0.
pub(crate) const NARROW: usize = 128;
/// Largest beta T of a process that preserves the variance: beyond it e^(-beta T) is 0 in f64.
const MAX_DECAY: f64 = 700.0;
/// Smallest noise variance, in units of the data's, at t_min: what is below is lost in the data's own
/// rounding.
const MIN_NOISE: f64 = 1e-16;
/// Fewest draws of a step that can be diagnosed: eight groups of four micro-batches of two draws.
const DIAGNOSED: usize = 64;
/// Most hidden activations of a training step, 4 GiB of f32.
const MAX_ACTIVATIONS: f64 = (1u64 << 30) as f64;

pub(super) fn check(c: &Config) -> Result<()> {
    encoder(c)?;
    labels(c)?;
    data(&c.data)?;
    reference(c)?;
    // The objective before the process: most of the process's defaults follow from it, and the key at fault
    // is the one that was set.
    objective(c)?;
    sde(c)?;
    sizes(c)
}

/// `place: problem` unless `ok`.
fn need(ok: bool, place: &str, problem: impl FnOnce() -> String) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::refused(place, problem())) }
}

fn data(d: &DataConfig) -> Result<()> {
    let name = d.name.name();
    need(d.path.is_some() || !d.name.is_file(), "data.path", || format!("data.name = \"{name}\" needs the file to read"))?;
    need(d.path.is_none() || d.name.is_file(), "data.path", || {
        format!("only data.name = {} read a file, got data.name = \"{name}\"", DataName::files())
    })?;
    if d.name.is_law() {
        need(d.n >= 2, "data.n", || format!("a law needs at least 2 points to be drawn, got {}", d.n))?;
        need(d.latent == 0, "data.latent", || format!("must be 0 for the law \"{name}\", got {}", d.latent))?;
    } else {
        need(d.n != 1, "data.n", || "must be 0 (all) or at least 2, got 1".to_owned())?;
    }
    need(d.name != DataName::Digits || d.latent <= 64, "data.latent", || format!("must be <= 64, the digits' pixels, got {}", d.latent))?;
    if d.name == DataName::Mixture {
        return mixture(d);
    }
    for (key, given) in [("data.weights", !d.weights.is_empty()), ("data.means", !d.means.is_empty()), ("data.std", !d.std.is_empty())] {
        need(!given, key, || format!("only data.name = \"mixture\" takes it, got data.name = \"{name}\""))?;
    }
    Ok(())
}

fn encoder(c: &Config) -> Result<()> {
    let (e, latent) = (&c.encoder, c.data.latent);
    let kind = e.kind.name();
    let learned = matches!(e.kind, EncoderKind::Autoencoder | EncoderKind::Vae);
    need(!learned || !c.data.name.is_law(), "encoder.kind", || {
        format!("\"{kind}\" needs points that are images, and the law \"{}\" has none", c.data.name.name())
    })?;
    need(!learned || latent > 0, "data.latent", || format!("encoder.kind = \"{kind}\" needs a latent space: must be > 0, got 0"))?;
    need(e.kind != EncoderKind::None || latent == 0, "data.latent", || format!("must be 0 with encoder.kind = \"none\", got {latent}"))?;
    need(e.joint == 0 || e.kind == EncoderKind::Vae, "encoder.joint", || {
        format!("only encoder.kind = \"vae\" is trained together with the score, got encoder.kind = \"{kind}\"")
    })?;
    need(!learned || c.train.augment == Augment::None, "train.augment", || {
        format!(
            "\"{}\" works on pixels and on principal components, not with encoder.kind = \"{kind}\"; leave it at \"none\"",
            c.train.augment.name()
        )
    })
}

fn labels(c: &Config) -> Result<()> {
    for (key, asked) in [("network.classes", c.network.classes > 0), ("reference.per_class", c.reference.per_class)] {
        need(!asked || !c.data.name.is_law(), key, || format!("needs labels, and the law \"{}\" has none", c.data.name.name()))?;
        need(!asked || c.encoder.joint == 0, key, || "does not go with encoder.joint, whose steps know no labels".to_owned())?;
    }
    need(!c.reference.per_class || c.reference.kind == ReferenceKind::Mixture, "reference.per_class", || {
        format!("only reference.kind = \"mixture\" is fitted class by class, got \"{}\"", c.reference.kind.name())
    })?;
    need(!c.reference.per_class || c.reference.group == "none", "reference.per_class", || {
        format!("a group ties the components of all classes; leave reference.group at \"none\", got \"{}\"", c.reference.group)
    })
}

fn mixture(d: &DataConfig) -> Result<()> {
    let k = d.means.len();
    need(k > 0, "data.means", || "data.name = \"mixture\" needs one list of numbers a component".to_owned())?;
    let dim = d.means[0].len();
    need(dim > 0, "data.means[0]", || "must have at least one number, got []".to_owned())?;
    for (i, m) in d.means.iter().enumerate() {
        need(m.len() == dim, &format!("data.means[{i}]"), || format!("must have {dim} numbers like the first, got {}", m.len()))?;
    }
    need([1, k].contains(&d.std.len()), "data.std", || format!("must have 1 or {k} numbers, as many as data.means, got {}", d.std.len()))?;
    need([0, k].contains(&d.weights.len()), "data.weights", || {
        format!("must have {k} numbers, as many as data.means, got {}", d.weights.len())
    })?;
    need(d.weights.is_empty() || d.weights.iter().sum::<f64>() > 0.0, "data.weights", || "must not all be 0".to_owned())
}

fn reference(c: &Config) -> Result<()> {
    let r = &c.reference;
    let file = r.kind == ReferenceKind::File;
    need(file == r.path.is_some(), "reference.path", || {
        let kind = r.kind.name();
        if file {
            "reference.kind = \"file\" needs the file to read".to_owned()
        } else {
            format!("only reference.kind = \"file\" reads a file, got \"{kind}\"")
        }
    })?;
    need(!file || r.group == "none", "reference.group", || format!("a reference from a file is taken as it is, got \"{}\"", r.group))?;
    need(!c.sde.kind.is_linear() || r.kind == ReferenceKind::Gaussian, "reference.kind", || {
        format!("sde.kind = \"{}\" is linear and takes \"gaussian\"; with \"mixture\" use sde.kind = \"langevin\"", c.sde.kind.name())
    })?;
    need(r.candidates.is_empty() || r.group == "auto", "reference.candidates", || {
        format!("only reference.group = \"auto\" tries candidates, got \"{}\"", r.group)
    })?;
    let custom = r.group == "custom";
    need(custom != r.generators.is_empty(), "reference.generators", || {
        let got = if custom { "none" } else { "them" };
        format!("reference.group = \"custom\" takes generators and no other does, got \"{}\" and {got}", r.group)
    })?;
    need(r.symmetry == Symmetry::Approximate || !["none", "auto"].contains(&r.group.as_str()), "reference.symmetry", || {
        format!("\"exact\" needs a group, got reference.group = \"{}\"", r.group)
    })?;
    need(c.data.latent == 0 || r.group == "none" || custom, "reference.group", || {
        format!(
            "\"{}\" acts on the data's own coordinates: use data.latent = 0, or \"custom\" with generators for the {} latent ones",
            r.group, c.data.latent
        )
    })?;
    let Components::Count(k) = r.components else {
        return need(r.kind != ReferenceKind::Gaussian, "reference.components", || {
            "reference.kind = \"gaussian\" has 1 component, got \"auto\"".to_owned()
        });
    };
    need(!file, "reference.components", || format!("a reference from a file has the components it has, got {k}; leave it out"))?;
    need(k == 1 || r.kind == ReferenceKind::Mixture, "reference.components", || {
        format!("reference.kind = \"gaussian\" has 1 component, got {k}; use reference.kind = \"mixture\"")
    })?;
    need(c.data.n == 0 || k <= c.data.n, "reference.components", || format!("must be <= data.n = {}, got {k}", c.data.n))
}

fn sde(c: &Config) -> Result<()> {
    let s = &c.sde;
    // A horizon or a number of steps that is not given is chosen from the reference, and checked then.
    need(s.horizon == 0.0 || s.t_min < s.horizon, "sde.t_min", || format!("must be < sde.horizon = {}, got {}", s.horizon, s.t_min))?;
    let noise = match s.kind {
        SdeKind::Ve => s.beta * s.t_min * s.t_min,
        SdeKind::Straight => {
            need(s.horizon > 0.0 && s.horizon < 1.0, "sde.horizon", || {
                format!("straight paths end at 1, where nothing of the data is left: must be in (0, 1), got {}", s.horizon)
            })?;
            need(s.beta == 1.0, "sde.beta", || format!("straight paths have no rate: leave it at 1, got {}", s.beta))?;
            s.t_min * s.t_min
        }
        SdeKind::Langevin | SdeKind::Vp | SdeKind::SubVp => {
            need(s.beta * s.horizon <= MAX_DECAY, "sde.horizon", || {
                format!("sde.beta x sde.horizon must be <= {MAX_DECAY}, where nothing of the data is left, got {}", s.beta * s.horizon)
            })?;
            // The variance of "sub-vp" is the square of that of "vp".
            (s.beta * s.t_min).powi(if s.kind == SdeKind::SubVp { 2 } else { 1 })
        }
    };
    need(noise >= MIN_NOISE, "sde.t_min", || {
        format!("the noise's variance there must be >= {MIN_NOISE:e} of the data's, got {noise:.1e}; use a larger sde.t_min or sde.beta")
    })?;
    Ok(())
}

fn objective(c: &Config) -> Result<()> {
    let o = &c.objective;
    let kind = o.kind.name();
    need(o.kind != ObjectiveKind::ComponentFlow || !c.sde.kind.is_linear(), "objective.kind", || {
        format!("\"component-flow\" needs sde.kind = \"langevin\", got \"{}\"", c.sde.kind.name())
    })?;
    flow_matching(c)?;
    need((o.transition == Transition::Exact) <= c.sde.kind.is_linear(), "objective.transition", || {
        "\"exact\" needs a linear process, sde.kind = \"vp\", \"sub-vp\", \"ve\" or \"straight\"; use another with \"langevin\"".to_owned()
    })?;
    need((o.transition == Transition::Component) <= !c.sde.kind.is_linear(), "objective.transition", || {
        format!("\"component\" needs sde.kind = \"langevin\"; use \"exact\" with \"{}\"", c.sde.kind.name())
    })?;
    need(c.sde.kind != SdeKind::Straight || o.transition == Transition::Exact, "objective.transition", || {
        format!("the drift of straight paths has no bound near t = 1, got explicit steps \"{}\"; use \"exact\"", o.transition.name())
    })?;
    let smooth = matches!(o.transition, Transition::ItoTaylor | Transition::LocalLinear);
    need(smooth <= matches!(c.sde.kind, SdeKind::Langevin | SdeKind::Vp), "objective.transition", || {
        format!(
            "\"{}\" approximates a drift of the state alone; use \"exact\" or \"euler\" with \"{}\"",
            o.transition.name(),
            c.sde.kind.name()
        )
    })?;
    need(c.sde.kind != SdeKind::Ve || c.sde.spacing != Spacing::Spectral, "sde.spacing", || {
        "an exploding variance is a power of the time almost everywhere, where Heun's method has no error to leading order: use \"karras\""
            .into()
    })?;
    need(!o.kind.is_implicit() || o.control == Control::None, "objective.control", || {
        format!("objective.kind = \"{kind}\" has no target that could be controlled: use \"none\", got \"{}\"", o.control.name())
    })?;
    if c.has_chain() {
        let per_path = c.sde.grid == Grid::PerPath;
        need(per_path == (o.time_sampling == TimeSampling::LogitNormal), "objective.time_sampling", || {
            let (grid, other) = (c.sde.grid.name(), if per_path { "logit-normal" } else { "grid" });
            format!("sde.grid = \"{grid}\" of the chain takes \"{other}\", got \"{}\"", o.time_sampling.name())
        })?;
        need(c.sde.steps == 0 || c.train.times_per_path <= c.sde.steps, "train.times_per_path", || {
            format!("must be <= sde.steps = {}, the times on a path, got {}", c.sde.steps, c.train.times_per_path)
        })
    } else {
        need(matches!(o.transition, Transition::Component | Transition::Exact), "objective.transition", || {
            format!("objective.kind = \"{kind}\" needs an exact kernel; with \"{}\" use objective.kind = \"ndsm\"", o.transition.name())
        })?;
        need(o.time_sampling != TimeSampling::Grid || c.sde.grid == Grid::Uniform, "sde.grid", || {
            let (kind, grid) = (o.kind.name(), c.sde.grid.name());
            format!("objective.kind = \"{kind}\" takes no steps, and times from a \"grid\" are uniform: use \"uniform\", got \"{grid}\"")
        })
    }
}

fn flow_matching(c: &Config) -> Result<()> {
    let o = &c.objective;
    let matching = o.kind == ObjectiveKind::FlowMatching;
    need(matching <= (c.sde.kind == SdeKind::Straight), "objective.kind", || {
        format!("\"flow-matching\" needs sde.kind = \"straight\", got \"{}\"; with it use \"dsm\"", c.sde.kind.name())
    })?;
    need(matching || o.coupling == Coupling::Independent, "objective.coupling", || {
        format!("\"{}\" needs objective.kind = \"flow-matching\", got \"{}\"", o.coupling.name(), o.kind.name())
    })?;
    let paired = o.coupling == Coupling::OptimalTransport;
    need(!paired || matches!(o.control, Control::Antithetic | Control::None), "objective.control", || {
        let control = o.control.name();
        format!(
            "with objective.coupling = \"optimal-transport\" the noise depends on the data, and (8) does not hold: use \"antithetic\" or \"none\", got \"{control}\""
        )
    })?;
    need(!matching || c.network.parametrisation != Parametrisation::Scaled, "network.parametrisation", || {
        "\"scaled\" makes a score of the network, and objective.kind = \"flow-matching\" learns a velocity: use \"plain\" or \"residual\""
            .to_owned()
    })?;
    need(!matching || !matches!(o.weighting, Weighting::Uniform | Weighting::Likelihood), "objective.weighting", || {
        format!(
            "\"{}\" weighs the error of a score, and objective.kind = \"flow-matching\" learns a velocity: use \"network\"",
            o.weighting.name()
        )
    })
}

fn sizes(c: &Config) -> Result<()> {
    // Of a network that is still to be chosen the least: its own sizes are checked when it is.
    let n = &c.network;
    let (width, depth) = (if n.width == 0 { NARROW } else { n.width } as f64, n.depth);
    let kind = n.kind.architecture();
    let on_images = kind.is_some_and(|kind| kind.images);
    for (key, given) in
        [("network.multipliers", !n.multipliers.is_empty()), ("network.attention", n.attention), ("network.stem", n.stem > 1)]
    {
        need(!given || on_images, key, || format!("only network.kind = \"unet\" takes it, got \"{}\"", n.kind.name()))?;
    }
    need(!on_images || !c.data.name.is_law(), "network.kind", || {
        format!("\"{}\" needs points that are images, and the law \"{}\" has none", n.kind.name(), c.data.name.name())
    })?;
    need(!on_images || c.data.latent == 0, "network.kind", || {
        format!("\"{}\" needs pixels, and a latent space has none: use data.latent = 0, got {}", n.kind.name(), c.data.latent)
    })?;
    let sizes = Sizes { depth, multipliers: n.multipliers.clone(), attention: n.attention, ..Sizes::default() };
    let squares = |kind: &Kind| (kind.squares)(&sizes);
    let least = || ARCHITECTURES.iter().filter(|kind| !kind.images).map(squares).min().unwrap_or(0);
    let squares = kind.map_or_else(least, squares) as f64;
    let weights = width * width * squares;
    need(weights <= MAX_WEIGHTS, "network.width", || {
        format!("with network.depth = {depth} the network would have {weights:.1e} weights; at most {MAX_WEIGHTS:.1e} are allowed")
    })?;
    let draws = c.train.batch * c.train.times_per_path;
    need(!c.train.diagnose || draws >= DIAGNOSED, "train.diagnose", || {
        format!("needs train.batch x train.times_per_path >= {DIAGNOSED}, got {draws}")
    })?;
    // Those of images grow with their pixels, which are not known here.
    let activations = (c.train.batch * c.train.times_per_path) as f64 * width * (squares + 1.0);
    need(on_images || activations <= MAX_ACTIVATIONS, "train.batch", || {
        format!(
            "train.batch x train.times_per_path x network.width x network.depth would be {activations:.1e}; at most {MAX_ACTIVATIONS:.1e} is allowed"
        )
    })?;
    need(c.train.augment == Augment::None || !c.data.name.is_law(), "train.augment", || {
        let (kind, law) = (c.train.augment.name(), c.data.name.name());
        format!("\"{kind}\" needs images, and the law \"{law}\" has none; leave it at \"none\"")
    })?;
    need(c.train.warmup <= c.train.steps, "train.warmup", || format!("must be <= train.steps = {}, got {}", c.train.steps, c.train.warmup))
}
