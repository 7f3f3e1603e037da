//! A state as tensors of a checkpoint, and back.

use super::tensors::{Reader, Tensors};
use super::{Best, Calibration, Mean, Prices, Settled, State};
use crate::control::Running;
use crate::nn::ScoreNet;
use crate::objective::{ControlState, Seen};
use crate::optim;
use crate::{Error, Real, Result};
use ndarray::Array2;

impl<R: Real> State<R> {
    /// Puts the state of the network `net` among the tensors `t`.
    pub(super) fn put(&self, t: &mut Tensors, net: &ScoreNet) {
        let o = &self.optimiser;
        let (best, none) = (&self.best, Vec::new());
        let kept = best.as_ref().map_or(&none, |best| &best.params);
        let [short, long] = self.averages.as_ref().map_or([&none; 2], |all| all.each_ref());
        for (group, values) in [
            ("model", &self.params),
            ("ema", &o.ema),
            ("average.0", short),
            ("average.1", long),
            ("best", kept),
            ("adam.m", &o.m),
            ("adam.v", &o.v),
        ] {
            for p in net.parameters().iter().filter(|_| !values.is_empty()) {
                t.put(format!("{group}.{}", p.name), &p.shape, values[p.range()].iter().copied());
            }
        }
        if let Some(best) = best {
            t.put("best.gain".to_owned(), &[2], [best.gain.value, best.gain.error]);
            t.fact("best", best.step);
        }
        if let Some(c) = &self.calibration {
            t.put("calibration.times".to_owned(), &[c.times.len()], c.times.iter().copied());
            t.put("calibration.coefficients".to_owned(), &[c.times.len(), 3], c.coefficients.concat());
            t.put("calibration.gain".to_owned(), &[2, 2], [c.plain.value, c.plain.error, c.calibrated.value, c.calibrated.error]);
        }
        match &self.control {
            ControlState::Nothing => {}
            ControlState::Network { params, optimiser } => {
                for (name, values) in [("params", params), ("m", &optimiser.m), ("v", &optimiser.v)] {
                    t.put(format!("control.{name}"), &[values.len()], values.iter().copied());
                }
            }
            ControlState::Regression(bins) => {
                let rows: Vec<Vec<f64>> = bins.iter().map(Running::numbers).collect();
                t.put("control.bins".to_owned(), &[rows.len(), rows.first().map_or(0, Vec::len)], rows.concat());
            }
        }
        let weights = self.weights.numbers();
        if !weights.is_empty() {
            t.put("weights".to_owned(), &[weights.len(), 3], weights.concat());
        }
        if let Some(Prices(prices)) = &self.prices {
            t.put("control.prices".to_owned(), &[prices.len()], prices.iter().copied());
        }
        t.fact("step", o.step);
    }

    /// The state of the network `net`, which `config` names.
    ///
    /// # Errors
    /// A file without one, or with that of another network.
    pub(super) fn read(file: &Reader, config: &Settled, net: &ScoreNet) -> Result<Self> {
        let first = &net.parameters()[0].name;
        if !file.has(&format!("model.{first}")) {
            let kind = config.network.kind.name();
            return Err(file.bad(format!("holds a network of another kind than network.kind = \"{kind}\": it lacks `model.{first}`")));
        }
        let params = parameters(file, "model", net)?;
        let ema = if file.has(&format!("ema.{first}")) { parameters(file, "ema", net)? } else { Vec::new() };
        let averages = match file.has(&format!("average.0.{first}")) {
            true => Some([parameters(file, "average.0", net)?, parameters(file, "average.1", net)?]),
            false => None,
        };
        let best = if file.has("best.gain") { Some(best(file, net)?) } else { None };
        let calibration = if file.has("calibration.times") { Some(calibration(file)?) } else { None };
        let (m, v): (Vec<R>, Vec<R>) = (parameters(file, "adam.m", net)?, parameters(file, "adam.v", net)?);
        if v.iter().any(|v| *v < R::zero()) {
            return Err(file.bad("`adam.v.*` are second moments, and one is negative"));
        }
        let optimiser = optim::State { step: file.number("step")?, m, v, ema };
        let control = control(file, optimiser.step)?;
        let prices = if file.has("control.prices") { Some(prices(file)?) } else { None };
        let weights = if file.has("weights") { weights(file)? } else { Seen::default() };
        Ok(State { params, optimiser, averages, control, weights, prices, best, calibration })
    }
}

fn best<R: Real>(file: &Reader, net: &ScoreNet) -> Result<Best<R>> {
    let (gain, _) = file.values::<f64>("best.gain")?;
    let [value, error] = gain[..] else { return Err(file.bad("`best.gain` must hold a gain and its error")) };
    Ok(Best { step: file.number("best")?, gain: Mean { value, error }, params: parameters(file, "best", net)? })
}

fn calibration(file: &Reader) -> Result<Calibration> {
    let (times, coefficients) = (file.values::<f64>("calibration.times")?.0, file.values::<f64>("calibration.coefficients")?.0);
    let (gain, _) = file.values::<f64>("calibration.gain")?;
    let (rows, rest) = coefficients.as_chunks::<3>();
    let increasing = times.first().is_some_and(|t| *t > 0.0) && times.windows(2).all(|t| t[0] < t[1]);
    match gain[..] {
        [plain, plain_error, value, error] if increasing && rest.is_empty() && rows.len() == times.len() => Ok(Calibration {
            times,
            coefficients: rows.to_vec(),
            plain: Mean { value: plain, error: plain_error },
            calibrated: Mean { value, error },
        }),
        _ => Err(file.bad("the `calibration.*` tensors must be increasing times, three coefficients for each, and two gains")),
    }
}

fn parameters<R: Real>(file: &Reader, group: &str, net: &ScoreNet) -> Result<Vec<R>> {
    let mut all = Vec::with_capacity(net.parameter_count());
    for p in net.parameters() {
        let name = format!("{group}.{}", p.name);
        let (values, shape) = file.values::<R>(&name)?;
        if shape != p.shape {
            return Err(file.bad(format!("`{name}` must have the shape {:?} of this configuration, got {shape:?}", p.shape)));
        }
        all.extend(values);
    }
    Ok(all)
}

/// What a control variate has learned; it takes a step with each of the optimiser's.
fn control<R: Real>(file: &Reader, step: u64) -> Result<ControlState<R>> {
    if file.has("control.bins") {
        let rows: Array2<f64> = file.of("control.bins")?;
        let bins = rows.rows().into_iter().map(|row| Running::from_numbers(&row.to_vec())).collect::<Result<_>>();
        return Ok(ControlState::Regression(bins.map_err(|e| file.bad(format!("`control.bins`: {e}")))?));
    }
    if !file.has("control.params") {
        return Ok(ControlState::Nothing);
    }
    let numbers = |name: &str| Ok(file.values::<R>(&format!("control.{name}"))?.0);
    let optimiser = optim::State { step, m: numbers("m")?, v: numbers("v")?, ema: Vec::new() };
    Ok(ControlState::Network { params: numbers("params")?, optimiser })
}

fn weights(file: &Reader) -> Result<Seen> {
    let (values, shape) = file.values::<f64>("weights")?;
    if shape.len() != 2 || shape[1] != 3 {
        return Err(file.bad(format!("`weights` has the unexpected shape {shape:?}")));
    }
    let rows = values.chunks_exact(3).map(|row| [row[0], row[1], row[2]]).collect();
    Seen::from_numbers(rows).map_err(|e: Error| file.bad(format!("`weights`: {e}")))
}

fn prices(file: &Reader) -> Result<Prices> {
    let (values, shape) = file.values::<f64>("control.prices")?;
    let bad = |_| file.bad(format!("`control.prices` has the unexpected shape {shape:?}"));
    values.try_into().map(Prices).map_err(bad)
}
