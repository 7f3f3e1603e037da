//! What is done with the bytes of a foreign file, and what must hold of whatever comes of it: one sentence and exit code 2, or
//! something that is sound; no panic, and no more memory than the file justifies. Shared by the fuzz targets and by
//! `tests/memory/malformed.rs`.

use crate::counting::{LIVE, PEAK};
use ndsm::config::{Config, Setting, file};
use ndsm::data::{Table, cifar, csv, idx, npy, npz, tensors};
use ndsm::train::{Checkpoint, Reference, Settled, prepare};
use ndsm::{Error, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Takes the bytes of a file in a folder of its own.
pub type Target = fn(&Path, &[u8]);

/// Every target by its name.
pub const ALL: [(&str, Target); 10] = [
    ("idx", images),
    ("cifar", colours),
    ("npy", array),
    ("npz", arrays),
    ("csv", text),
    ("safetensors", points),
    ("reference", reference),
    ("checkpoint", checkpoint),
    ("toml", configuration),
    ("set", settings),
];

/// Memory that a reader may take: what it needs for any file, and for a byte of it. A byte of text is at most a number and two
/// names, or a setting and its place in a message; a byte of a packed file is at most 1,032 bytes, each of them a number.
const FOR_ANY: usize = 8 << 20;
const FOR_A_BYTE: usize = 256;
const FOR_A_PACKED_BYTE: usize = 1032 * 3 * 8;

/// Runs the target called `name`.
pub fn run(name: &str, bytes: &[u8]) {
    let target = ALL.iter().find(|(known, _)| *known == name).expect("a target of this name").1;
    LazyLock::force(&MODEL);
    let folder = folder(name);
    let before = LIVE.get();
    PEAK.set(before);
    target(&folder, bytes);
    fs::remove_dir_all(&folder).expect("a folder of ours");
    let taken = PEAK.get() - before;
    let packed = bytes.starts_with(&[0x1f, 0x8b]) || name == "npz";
    let justified = FOR_ANY + bytes.len() * if packed { FOR_A_PACKED_BYTE } else { FOR_A_BYTE };
    assert!(taken <= justified as i64, "{name}: {taken} bytes of memory for {} of the file", bytes.len());
}

/// A file that this version writes, of a target whose corpus would age with the format.
pub fn written(name: &str) -> Option<Vec<u8>> {
    MODEL.bytes.get(name).cloned()
}

fn images(folder: &Path, bytes: &[u8]) {
    let path = put(folder, "images-idx3-ubyte", bytes);
    table(&path, idx::read(&path));
}

fn colours(folder: &Path, bytes: &[u8]) {
    let path = put(folder, "data_batch_1.bin", bytes);
    table(&path, cifar::read(&path));
}

fn array(folder: &Path, bytes: &[u8]) {
    let path = put(folder, "x.npy", bytes);
    table(&path, npy::read(&path));
    if let Err(e) = npy::read_array(&path) {
        sentence(&e);
    }
}

fn arrays(folder: &Path, bytes: &[u8]) {
    let path = put(folder, "x.npz", bytes);
    table(&path, npz::read(&path, None, None));
    table(&path, npz::read(&path, Some("x"), Some("y")));
}

fn text(folder: &Path, bytes: &[u8]) {
    let path = put(folder, "x.csv", bytes);
    table(&path, csv::read(&path));
    table(&path, csv::read_columns(&path, &["2".to_owned(), "a".to_owned()], Some("label")));
    table(&path, csv::read_columns(&path, &[], Some("1")));
}

fn points(folder: &Path, bytes: &[u8]) {
    let path = put(folder, "x.safetensors", bytes);
    table(&path, tensors::read(&path, None, None));
    table(&path, tensors::read(&path, Some("x"), Some("y")));
}

fn reference(folder: &Path, bytes: &[u8]) {
    for bytes in [bytes.to_vec(), sealed(bytes.to_vec())] {
        let path = put(folder, "r.safetensors", &bytes);
        match Reference::read(&path) {
            Ok(reference) => assert!(reference.mixture.weights().iter().all(|w| (0.0..=1.0).contains(w))),
            Err(e) => sentence(&e),
        }
    }
}

fn checkpoint(folder: &Path, bytes: &[u8]) {
    for bytes in [bytes.to_vec(), sealed(bytes.to_vec())] {
        let path = put(folder, "c.safetensors", &bytes);
        match Checkpoint::<f32>::read(&path, &MODEL.config) {
            Ok(model) => {
                if let Err(e) = model.generator().and_then(|mut generator| generator.sample(2, 0, ndsm::sample::Method::Ode, Some(2))) {
                    assert!(!e.to_string().contains('\n'), "{e}");
                }
            }
            Err(e) => sentence(&e),
        }
    }
}

fn configuration(folder: &Path, bytes: &[u8]) {
    let path = put(folder, "c.toml", bytes);
    resolved(file::read(&path), &path);
}

fn settings(folder: &Path, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    resolved(file::overrides(&text.split('\n').map(str::to_owned).collect::<Vec<_>>()), &folder.join("c.toml"));
}

/// A configuration that is accepted is the one that its own copy gives back.
fn resolved(settings: Result<Vec<Setting>>, path: &Path) {
    match settings.and_then(|settings| Config::resolve(&settings)) {
        Ok(config) => {
            fs::write(path, file::write(&config)).expect("a folder to write to");
            let again = file::read(path).and_then(|settings| Config::resolve(&settings));
            assert!(again.is_ok_and(|again| again == config), "{}", file::write(&config));
        }
        Err(e) => sentence(&e),
    }
}

/// What is read is points, and what is refused is told.
fn table(path: &Path, read: Result<Table>) {
    match read {
        Ok(Table { values, images, labels, notes }) => {
            assert!(values.nrows() >= 2 && values.ncols() >= 1 && values.iter().all(|v| v.is_finite()), "{:?}", values.dim());
            assert!(labels.is_none_or(|labels| labels.len() == values.nrows()));
            assert!(images.is_none_or(|i| i.height * i.width * i.channels == values.ncols() && i.range[0] <= i.range[1]));
            assert!(notes.iter().all(|note| !note.contains('\n')), "{notes:?}");
        }
        Err(e) => {
            sentence(&e);
            assert!(!matches!(e, Error::File { .. }) || e.to_string().contains(path.to_str().expect("a plain name")), "{e}");
        }
    }
}

/// One line and exit code 2.
fn sentence(e: &Error) {
    let text = e.to_string();
    assert!(e.exit_code() == 2 && !text.is_empty() && !text.chars().any(char::is_control), "{} {text:?}", e.exit_code());
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a folder to write to");
    path
}

/// The bytes with the hash that our files have among their metadata: FNV-1a over the length and the words of eight bytes,
/// taken with zeros in its place. Without it nothing behind the hash would be reached.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let name = b"\"hash\":\"";
    let Some(at) = bytes.windows(name.len()).position(|text| text == name).map(|at| at + name.len()) else { return bytes };
    let Some(place) = bytes.get_mut(at..at + 16) else { return bytes };
    place.fill(b'0');
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x100_0000_01b3);
    let word = |some: &[u8]| some.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let hash = bytes.chunks(8).map(word).fold(step(0xcbf2_9ce4_8422_2325, bytes.len() as u64), step);
    bytes[at..at + 16].copy_from_slice(format!("{hash:016x}").as_bytes());
    bytes
}

/// A model small enough that its files are a few kB.
struct Model {
    config: Settled,
    bytes: BTreeMap<&'static str, Vec<u8>>,
}

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let numbers = [("data.n", 60usize), ("reference.components", 2), ("network.width", 4), ("network.depth", 1), ("train.steps", 2)];
    let mut settings: Vec<Setting> = numbers.map(|(key, value)| Setting::new(key, value)).into();
    settings.extend([("data.name", "four-modes"), ("network.kind", "mlp")].map(|(key, value)| Setting::new(key, value)));
    settings.extend([("train.batch", 60usize), ("train.warmup", 1), ("sde.steps", 4)].map(|(key, value)| Setting::new(key, value)));
    let model = || -> Result<Model> {
        let prepared = prepare(&Config::resolve(&settings)?)?;
        let mut trainer = prepared.trainer::<f32>()?;
        trainer.step()?;
        let folder = folder("model");
        let paths = ["reference", "checkpoint"].map(|name| (name, folder.join(format!("{name}.safetensors"))));
        prepared.write_reference(&paths[0].1)?;
        Checkpoint::of(&prepared, &trainer).write(&paths[1].1)?;
        let bytes = paths.into_iter().map(|(name, path)| (name, fs::read(path).expect("a file just written"))).collect();
        fs::remove_dir_all(&folder).expect("a folder of ours");
        Ok(Model { config: prepared.config.clone(), bytes })
    };
    model().expect("a model")
});

/// A folder for the files of one run of a target, in memory where there is a place for that.
fn folder(name: &str) -> PathBuf {
    let shared = Path::new("/dev/shm");
    let parent = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    let folder = parent.join(format!("ndsm-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder to write to");
    folder
}
