//! TOML: reading a configuration file and `--set`, writing the resolved copy.

use super::{Config, KEYS, Setting, Value, is_read};
use crate::{Error, Result};
use std::path::Path;

/// Largest configuration file.
const MAX_BYTES: u64 = 1 << 20;

/// The settings of a file.
/// # Errors
/// A sentence that names the file, and the line where TOML itself is broken, for an unreadable file, an
/// unknown table or key (with the nearest known one), and for a value that is no number, text, truth value or
/// list.
pub fn read(path: &Path) -> Result<Vec<Setting>> {
    let size = std::fs::metadata(path).map_err(|e| Error::bad_file(path, format!("cannot be read: {e}")))?;
    if !size.is_file() {
        return Err(Error::bad_file(path, "must be a configuration file, got a directory or device"));
    }
    if size.len() > MAX_BYTES {
        return Err(Error::bad_file(path, format!("a configuration has at most {MAX_BYTES} bytes, got {}", size.len())));
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::bad_file(path, format!("cannot be read: {e}")))?;
    parse(&text, &path.display().to_string())
}

/// The settings of a TOML text.
fn parse(text: &str, origin: &str) -> Result<Vec<Setting>> {
    let tables = text.parse::<toml::Table>().map_err(|e| {
        let line = e.span().map_or(1, |s| 1 + text.bytes().take(s.start).filter(|b| *b == b'\n').count());
        Error::refused(format!("{origin}: line {line}"), one_line(e.message()))
    })?;
    let mut settings = Vec::new();
    for (table, keys) in tables {
        if !KEYS.iter().any(|k| k.name.split('.').next() == Some(table.as_str())) {
            let known = KEYS.iter().filter_map(|k| k.name.split('.').next());
            return Err(Error::refused(format!("{origin}: {table}"), format!("unknown table{}", nearest(&table, known))));
        }
        let toml::Value::Table(keys) = keys else {
            return Err(Error::invalid(format!("{origin}: {table}"), format!("a table, [{table}]"), keys));
        };
        for (key, value) in keys {
            settings.push(setting(format!("{table}.{key}"), value, origin)?);
        }
    }
    Ok(settings)
}

/// The settings of the `--set` arguments, each `table.key=value`. A value is TOML; a bare word is a text.
/// # Errors
/// As [`read`], and for a key that is given twice.
pub fn overrides(arguments: &[String]) -> Result<Vec<Setting>> {
    const ORIGIN: &str = "--set";
    let mut settings: Vec<Setting> = Vec::new();
    for argument in arguments {
        let Some((key, text)) = argument.split_once('=') else {
            return Err(Error::invalid(ORIGIN, "table.key=value", Value::from(argument.as_str())));
        };
        let (key, text) = (key.trim(), text.trim());
        if text.is_empty() {
            return Err(Error::refused(format!("{ORIGIN}: {key}"), "a value must follow the ="));
        }
        let value = match format!("x = {text}").parse::<toml::Table>() {
            Ok(mut table) if table.len() == 1 => table.remove("x").unwrap_or_else(|| text.into()),
            Err(e) if text.starts_with(['[', '{', '"', '\'']) => {
                return Err(Error::refused(format!("{ORIGIN}: {key}"), format!("{} in {text}", one_line(e.message()))));
            }
            _ => text.into(),
        };
        let new = setting(key.to_owned(), value, ORIGIN)?;
        if settings.iter().any(|s| s.key == new.key) {
            return Err(Error::refused(format!("{ORIGIN}: {key}"), "given twice"));
        }
        settings.push(new);
    }
    Ok(settings)
}

fn setting(key: String, value: toml::Value, origin: &str) -> Result<Setting> {
    if !is_read(&key) {
        return Err(Error::refused(format!("{origin}: {key}"), format!("unknown key{}", nearest(&key, KEYS.iter().map(|k| k.name)))));
    }
    let value =
        convert(value).map_err(|v| Error::invalid(format!("{origin}: {key}"), "a number, a text, true, false or a list of these", v))?;
    Ok(Setting { key, value, origin: origin.to_owned() })
}

/// Our value, or TOML's where there is none: dates and tables.
fn convert(value: toml::Value) -> std::result::Result<Value, toml::Value> {
    Ok(match value {
        toml::Value::Boolean(b) => Value::Bool(b),
        toml::Value::Integer(i) => Value::Int(i.into()),
        toml::Value::Float(x) => Value::Real(x),
        toml::Value::String(s) => Value::Text(s),
        toml::Value::Array(items) => Value::List(items.into_iter().map(convert).collect::<std::result::Result<_, _>>()?),
        other => return Err(other),
    })
}

/// `; did you mean sde.grid?`, or nothing if no name is near.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let close = |k: &str| {
        // A key without its table, or in the wrong one, is near to the key of that name.
        let last = |s: &str| s.rsplit('.').next().unwrap_or(s).to_owned();
        strsim::damerau_levenshtein(name, k).min(1 + strsim::damerau_levenshtein(&last(name), &last(k)))
    };
    // Of two keys of the same name that one whose table is near.
    let distance = |k: &&str| (close(k), strsim::damerau_levenshtein(name, k));
    known.min_by_key(distance).filter(|k| close(k) <= 1 + k.len() / 3).map_or(String::new(), |k| format!("; did you mean {k}?"))
}

/// A message of a parser as part of a sentence.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The configuration as a file that gives it back, each key with its meaning.
pub fn write(config: &Config) -> String {
    let mut text = String::from("# The resolved configuration: `ndsm train --config` with this file repeats the run.\n");
    let mut table = "";
    for key in KEYS {
        let Some(value) = (key.get)(config) else { continue };
        let (head, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if head != table {
            text.push_str(&format!("\n[{head}]\n"));
            table = head;
        }
        text.push_str(&format!("{:<40} # {}\n", format!("{name} = {value}"), key.doc.trim()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse(text, "c.toml").and_then(|s| Config::resolve(&s)).unwrap_err().to_string()
    }

    fn set(arguments: &[&str]) -> Result<Config> {
        overrides(&arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>()).and_then(|s| Config::resolve(&s))
    }

    #[test]
    fn the_resolved_copy_gives_the_configuration_back() {
        let mut c = Config::default();
        assert_eq!(Config::resolve(&parse(&write(&c), "").unwrap()).unwrap(), c);
        c.data.name = crate::config::DataName::Csv;
        c.data.path = Some("a \"b\"\\\n\u{1}é/c.csv".to_owned());
        c.data.latent = 0;
        c.train.lr = 1e-17;
        c.sde.beta = 0.1 + 0.2;
        assert_eq!(Config::resolve(&parse(&write(&c), "").unwrap()).unwrap(), c);
        let law = set(&["data.name=mixture", "data.means=[[0, 1.5], [-1e-3, 2]]", "data.std=0.5"]).unwrap();
        assert_eq!(Config::resolve(&parse(&write(&law), "").unwrap()).unwrap(), law);
    }

    #[test]
    fn broken_files_are_refused_in_one_sentence_with_the_place() {
        for (text, start) in [
            ("[sde]\nbeta = -1", "c.toml: sde.beta: must be > 0, got -1"),
            ("[sde]\nbeta = \n", "c.toml: line 2: "),
            ("[sde]\nbeta = 1\nbeta = 2", "c.toml: line 3: duplicate key"),
            ("[sde]\n[sde]", "c.toml: line 2: "),
            ("[sdee]\nbeta = 1", "c.toml: sdee: unknown table; did you mean sde?"),
            ("[sde]\ngird = 1", "c.toml: sde.gird: unknown key; did you mean sde.grid?"),
            ("[train]\nwidth = 1", "c.toml: train.width: unknown key; did you mean network.width?"),
            ("[train]\nqwertyuiop = 1", "c.toml: train.qwertyuiop: unknown key"),
            ("sde = 1", "c.toml: sde: must be a table"),
            ("[sde.beta]\nx = 1", "c.toml: sde.beta: must be a number, a text"),
            ("[sde]\nbeta = 2020-01-01", "c.toml: sde.beta: must be a number, a text"),
            ("[train]\nsteps = 99999999999999999999", "c.toml: line 2: "),
        ] {
            let got = refusal(text);
            assert!(got.starts_with(start) && !got.contains('\n'), "{text:?}: {got}");
        }
        assert_eq!(refusal("[train]\nqwertyuiop = 1"), "c.toml: train.qwertyuiop: unknown key");
    }

    #[test]
    fn set_takes_toml_and_bare_words() {
        let c =
            set(&["data.name = csv", "data.path=/a/b c.csv", "sde.beta=2", "train.diagnose=true", "objective.control=\"self\""]).unwrap();
        assert_eq!((c.data.path.as_deref(), c.sde.beta, c.train.diagnose), (Some("/a/b c.csv"), 2.0, true));
        for (argument, start) in [
            ("sde.beta", "--set: must be table.key=value, got \"sde.beta\""),
            ("sde.beta=", "--set: sde.beta: a value must follow the ="),
            ("sde.beta=two", "--set: sde.beta: must be a number, got \"two\""),
            ("sde.beta=1\nx=2", "--set: sde.beta: must be a number"),
            ("data.means=[[1,2", "--set: data.means: "),
            ("beta=1", "--set: beta: unknown key; did you mean sde.beta?"),
            ("trian.steps=1", "--set: trian.steps: unknown key; did you mean train.steps?"),
            ("sde.stpes=1", "--set: sde.stpes: unknown key; did you mean sde.steps?"),
            ("=1", "--set: : unknown key"),
            ("sde.integrator=euler", "--set: sde.integrator: objective.transition = \"component\" says which steps a chain takes"),
        ] {
            let got = set(&[argument]).unwrap_err().to_string();
            assert!(got.starts_with(start) && !got.contains('\n'), "{argument:?}: {got}");
        }
        assert_eq!(set(&["sde.beta=1", "sde.beta=1"]).unwrap_err().to_string(), "--set: sde.beta: given twice");
    }

    #[test]
    fn the_example_configurations_are_good() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/configs");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 5);
        for file in files {
            read(&file).and_then(|s| Config::resolve(&s)).unwrap();
        }
    }
}
