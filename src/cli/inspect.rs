//! `ndsm inspect`: what is in a run directory or a file, without anything being run.

use super::args::InspectArgs;
use super::metrics_log;
use super::report::number;
use super::run_dir::RunDir;
use super::summary::Summary;
use crate::config::{Config, KEYS, file};
use crate::data::{MAX_NUMBERS, npy, read_regular};
use crate::train::check_seal;
use crate::{Error, Result};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::path::Path;

/// Longest text of a metadata entry that is shown.
const WIDTH: usize = 120;

/// What is in the file or the directory, as text or as one JSON object.
///
/// # Errors
/// What is neither a run, a checkpoint, a safetensors file nor an array.
pub fn inspect(args: &InspectArgs) -> Result<String> {
    let found = if args.path.is_dir() { run(&args.path)? } else { one_file(&args.path)? };
    Ok(if args.json { found.json().to_string() } else { found.text() })
}

/// A tensor of a file.
struct Tensor {
    name: String,
    kind: String,
    shape: Vec<usize>,
}

/// What was found.
#[derive(Default)]
struct Found {
    /// What it is.
    kind: &'static str,
    facts: Vec<(String, String)>,
    tensors: Vec<Tensor>,
}

impl Found {
    fn fact(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.facts.push((name.into(), text.into()));
    }

    fn json(&self) -> Value {
        let facts: serde_json::Map<String, Value> = self.facts.iter().map(|(name, text)| (name.clone(), text.clone().into())).collect();
        let tensors: Vec<Value> = self.tensors.iter().map(|t| json!({"name": t.name, "type": t.kind, "shape": t.shape})).collect();
        json!({"kind": self.kind, "facts": facts, "tensors": tensors})
    }

    fn text(&self) -> String {
        let width = self.facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let short = |text: &str| {
            if text.chars().count() > WIDTH { format!("{}...", text.chars().take(WIDTH).collect::<String>()) } else { text.to_owned() }
        };
        let mut lines = vec![self.kind.to_owned()];
        lines.extend(self.facts.iter().map(|(name, text)| format!("{name:width$}  {}", short(text).replace('\n', " "))));
        if !self.tensors.is_empty() {
            let width = self.tensors.iter().map(|t| t.name.chars().count()).max().unwrap_or(0);
            lines.push(String::new());
            lines.push(format!("{:width$}  type  shape", "tensor"));
            lines.extend(self.tensors.iter().map(|t| format!("{:width$}  {:4}  {:?}", t.name, t.kind, t.shape)));
        }
        lines.join("\n")
    }
}

/// A run: how far it is, what its configuration sets, what it came to, and what its checkpoint holds.
fn run(dir: &Path) -> Result<Found> {
    let run = RunDir::open(dir)?;
    let config = Config::resolve(&file::read(&run.config())?)?;
    let mut found = Found { kind: "run", ..Found::default() };
    let done = if run.metrics().is_file() { metrics_log::losses(&run.metrics())?.0.last().copied().unwrap_or(0.0) } else { 0.0 };
    found.fact("steps", format!("{done} of {}", config.train.steps));
    let default = Config::default();
    for key in KEYS.iter().filter(|key| (key.get)(&config) != (key.get)(&default)) {
        found.fact(key.name, (key.get)(&config).map_or("not set".to_owned(), |v| v.to_string()));
    }
    let summary = Summary::read(&run.summary())?;
    for m in summary.metrics.iter().take(4) {
        let floor = m.floor.map_or(String::new(), |f| format!(", floor {}", number(f)));
        found.facts.extend(m.value.map(|v| (m.name.clone(), format!("{}{floor}", number(v)))));
    }
    found.facts.extend(summary.facts.iter().filter(|(name, _)| name == "verdict").cloned());
    if run.checkpoint().is_file() {
        let checkpoint = one_file(&run.checkpoint())?;
        found.facts.extend(checkpoint.facts.into_iter().map(|(name, text)| (format!("checkpoint: {name}"), text)));
        found.tensors = checkpoint.tensors;
    }
    Ok(found)
}

/// A file by the name that it has.
fn one_file(path: &Path) -> Result<Found> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("safetensors") => tensors(path),
        Some("npy") => array(path),
        _ => Err(Error::bad_file(path, "must be a run directory, or a file whose name ends in .safetensors or .npy")),
    }
}

fn tensors(path: &Path) -> Result<Found> {
    let bytes = read_regular(path, 16 * MAX_NUMBERS as u64)?;
    let refuse = |e: safetensors::SafeTensorError| Error::bad_file(path, format!("is not a whole safetensors file: {e}"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(refuse)?;
    let file = SafeTensors::deserialize(&bytes).map_err(refuse)?;
    let mut found = Found { kind: "safetensors", ..Found::default() };
    found.fact("bytes", bytes.len().to_string());
    let mut facts: Vec<(String, String)> = header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    facts.sort();
    if facts.iter().any(|(name, _)| name == "hash") {
        found.fact("seal", check_seal(&bytes).map_or_else(str::to_owned, |()| "whole: its hash is that of its bytes".to_owned()));
    }
    found.facts.extend(facts);
    let mut all: Vec<Tensor> =
        file.tensors().into_iter().map(|(name, t)| Tensor { name, kind: format!("{:?}", t.dtype()), shape: t.shape().to_vec() }).collect();
    // Numbers within names count as numbers: layers.10 comes behind layers.9.
    all.sort_by_cached_key(|t| natural(&t.name));
    let weights: usize = all.iter().filter(|t| t.name.starts_with("model.")).map(|t| t.shape.iter().product::<usize>()).sum();
    if weights > 0 {
        found.fact("weights of the network", weights.to_string());
    }
    found.tensors = all;
    Ok(found)
}

/// The parts of a name between dots, numbers by their size.
fn natural(name: &str) -> Vec<(u64, String)> {
    name.split('.').map(|part| part.parse::<u64>().map_or((u64::MAX, part.to_owned()), |n| (n, String::new()))).collect()
}

fn array(path: &Path) -> Result<Found> {
    let x = npy::read_array(path)?;
    let mut found = Found { kind: "npy", ..Found::default() };
    found.fact("shape", format!("{:?}", x.shape()));
    let (low, high) = x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    if low <= high {
        found.fact("range", format!("{} to {}", number(low), number(high)));
        found.fact("mean", number(x.mean().unwrap_or(f64::NAN)));
        found.fact("standard deviation", number(x.std(0.0)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(path: &Path, json: bool) -> Result<String> {
        inspect(&InspectArgs { path: path.to_owned(), json })
    }

    #[test]
    fn files_say_what_is_in_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        npy::write(&path, ndarray::array![[1.0, 2.0], [3.0, 6.0]].view()).unwrap();
        let text = look(&path, false).unwrap();
        assert!(text.contains("[2, 2]") && text.contains("1.000 to 6.000") && text.contains("3.000"), "{text}");
        let path = dir.path().join("x.safetensors");
        let data = [0u8; 8];
        let view = |n: usize| safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![n], &data[..4 * n]).unwrap();
        let meta = [("note".to_owned(), "a\nb".repeat(80))].into_iter().collect();
        safetensors::serialize_to_file([("layers.10.b", view(1)), ("layers.9.b", view(2))], Some(meta), &path).unwrap();
        let text = look(&path, false).unwrap();
        assert!(
            text.find("layers.9.b").unwrap() < text.find("layers.10.b").unwrap() && text.contains("...") && !text.contains("seal"),
            "{text}"
        );
        let json: Value = serde_json::from_str(&look(&path, true).unwrap()).unwrap();
        assert_eq!((json["kind"].as_str(), json["tensors"][0]["shape"][0].as_u64()), (Some("safetensors"), Some(2)));
        std::fs::write(&path, "{").unwrap();
        let e = look(&path, false).unwrap_err();
        assert!(e.exit_code() == 2 && e.to_string().contains("not a whole safetensors file"), "{e}");
        for wrong in ["none", "none.npy"] {
            assert_eq!(look(&dir.path().join(wrong), false).unwrap_err().exit_code(), 2);
        }
        assert!(look(dir.path(), false).unwrap_err().to_string().contains("config.toml"));
    }
}
