//! `summary.json`: what a run came to. `train` writes it, `report` shows it.

use crate::data::write_whole;
use crate::metrics::Measure;
use crate::train::Rival;
use crate::{Error, Result};
use serde_json::{Map, Value, json};
use std::path::Path;

/// One measured number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metric {
    /// The name in the JSON of `eval`: `sliced_w2`.
    pub name: String,
    /// Its value; `None` where it is not defined, such as a likelihood under an unknown law.
    pub value: Option<f64>,
    /// That of as many samples of the reference alone, without the network.
    pub reference: Option<f64>,
    /// Those of as many samples of each [`Rival`], where they were asked for.
    pub rivals: [Option<f64>; Rival::ALL.len()],
    /// What the training data themselves score against held-out data: differences below it mean nothing.
    /// `None` where there is none.
    pub floor: Option<f64>,
    /// The same of training data that went through the encoder and back, where there is one: what it drops.
    pub decoded: Option<f64>,
    /// 95 % interval of the value over draws, where it was asked for.
    pub interval: Option<[f64; 2]>,
    /// What it measures, in a line.
    pub meaning: String,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// Samples against the data.
    pub metrics: Vec<Metric>,
    /// Phases of the run and their seconds.
    pub timings: Vec<(String, f64)>,
    /// Facts under their names: data, dimension, components found, parameters, machine level, version.
    pub facts: Vec<(String, String)>,
    /// The network as it was recorded, a line each: number, operation, what it reads, shape, operations of a forward
    /// call, bytes that it moves.
    pub tape: Vec<Vec<String>>,
}

impl Summary {
    /// Writes the file.
    /// # Errors
    /// `File` where writing fails.
    pub fn write(&self, path: &Path) -> Result<()> {
        let metrics: Vec<Value> =
            self.metrics.iter().map(|m| json!({"name": m.name, "value": m.value, "reference": m.reference, "floor": m.floor, "decoded_floor": m.decoded, "meaning": m.meaning})).collect();
        let timings: Vec<Value> = self.timings.iter().map(|(name, s)| json!({"phase": name, "seconds": s})).collect();
        let facts: Vec<Value> = self.facts.iter().map(|(name, text)| json!({"name": name, "text": text})).collect();
        let whole = json!({"metrics": metrics, "timings": timings, "facts": facts, "tape": self.tape});
        write_whole(path, format!("{whole:#}\n").as_bytes()).map_err(|e| Error::io(path, "cannot be written", &e))
    }

    /// Reads the file; a run that was stopped before its end has none, and gets an empty summary.
    /// # Errors
    /// `File` for a file that is not what [`Summary::write`] writes.
    pub fn read(path: &Path) -> Result<Summary> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Summary::default()),
            Err(e) => return Err(Error::bad_file(path, format!("cannot be read: {e}"))),
        };
        let parsed = serde_json::from_str::<Value>(&text).ok().and_then(|v| Self::parse(&v));
        parsed.ok_or_else(|| Error::bad_file(path, "must be the summary that ndsm train writes"))
    }

    fn parse(v: &Value) -> Option<Summary> {
        let text = |v: &Value, key: &str| Some(v.get(key)?.as_str()?.to_owned());
        let list = |key: &str| v.get(key)?.as_array();
        let metric = |m: &Value| {
            Some(Metric {
                name: text(m, "name")?,
                value: m.get("value")?.as_f64(),
                reference: m.get("reference").and_then(Value::as_f64),
                rivals: Default::default(),
                floor: m.get("floor")?.as_f64(),
                decoded: m.get("decoded_floor").and_then(Value::as_f64),
                interval: None,
                meaning: text(m, "meaning")?,
            })
        };
        Some(Summary {
            metrics: list("metrics")?.iter().map(metric).collect::<Option<_>>()?,
            timings: list("timings")?.iter().map(|t| Some((text(t, "phase")?, t.get("seconds")?.as_f64()?))).collect::<Option<_>>()?,
            // Of a run of an earlier version there is none.
            tape: v.get("tape").and_then(|tape| serde_json::from_value(tape.clone()).ok()).unwrap_or_default(),
            facts: list("facts")?.iter().map(|f| Some((text(f, "name")?, text(f, "text")?))).collect::<Option<_>>()?,
        })
    }
}

/// The metrics of samples, each beside those of the reference alone and of the rivals, as many as there are.
pub fn beside(all: Vec<Vec<Measure>>) -> Vec<Metric> {
    let value = |set: usize, i: usize| all.get(set).and_then(|measures| measures[i].value);
    let metric = |(i, m): (usize, &Measure)| Metric {
        name: m.name.to_owned(),
        value: m.value,
        reference: value(1, i),
        rivals: std::array::from_fn(|rival| value(2 + rival, i)),
        floor: m.floor,
        decoded: None,
        interval: m.interval,
        meaning: m.meaning.to_owned(),
    };
    all.first().into_iter().flatten().enumerate().map(metric).collect()
}

/// The metrics as one JSON object, with more entries behind them: what `eval --json` prints. Each metric
/// stands under its name and, where it has them, its value for the reference alone under `<name>_reference`,
/// for each [`Rival`] under `<name>_smoothed`, `<name>_closed_form` and `<name>_bridge`, its floors under
/// `<name>_floor` and `<name>_decoded_floor`, its interval under `<name>_low` and `<name>_high`; null for what
/// is not defined or infinite.
pub fn json_object(metrics: &[Metric], more: &[(&str, Value)]) -> Value {
    let mut all: Map<String, Value> = metrics.iter().map(|m| (m.name.clone(), m.value.into())).collect();
    for (suffix, of) in
        [("reference", (|m| m.reference) as fn(&Metric) -> Option<f64>), ("floor", |m| m.floor), ("decoded_floor", |m| m.decoded)]
    {
        all.extend(metrics.iter().filter_map(|m| Some((format!("{}_{suffix}", m.name), of(m)?.into()))));
    }
    for (i, rival) in Rival::ALL.iter().map(|rival| rival.name()).enumerate() {
        all.extend(metrics.iter().filter_map(|m| Some((format!("{}_{}", m.name, rival.replace('-', "_")), m.rivals[i]?.into()))));
    }
    for (m, [low, high]) in metrics.iter().filter_map(|m| Some((m, m.interval?))) {
        all.insert(format!("{}_low", m.name), low.into());
        all.insert(format!("{}_high", m.name), high.into());
    }
    all.extend(more.iter().map(|(name, v)| ((*name).to_owned(), v.clone())));
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_reads_what_it_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.json");
        assert_eq!(Summary::read(&path).unwrap(), Summary::default());
        let s = Summary {
            metrics: vec![Metric { name: "mmd2".into(), value: Some(-1e-17), meaning: "a \"b\"".into(), ..Metric::default() }],
            timings: vec![("training".into(), 1.25)],
            facts: vec![("data".into(), "ring".into())],
            tape: vec![vec!["0".into(), "input x".into()]],
        };
        s.write(&path).unwrap();
        assert_eq!(Summary::read(&path).unwrap(), s);
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(Summary::read(&path).unwrap_err().exit_code(), 2);
        assert_eq!(json_object(&s.metrics, &[("n", 5.into())]).to_string(), "{\"mmd2\":-1e-17,\"n\":5}");
        let rivals = Metric { name: "w2".into(), rivals: [None, Some(2.0), Some(3.0)], ..Metric::default() };
        assert_eq!(json_object(&[rivals], &[]).to_string(), "{\"w2\":null,\"w2_bridge\":3.0,\"w2_closed_form\":2.0}");
    }
}
