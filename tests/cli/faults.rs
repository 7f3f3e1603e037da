//! What goes wrong around a run: damaged files, two programs at once, signals, places that are no files, numbers that
//! f32 cannot hold. Nothing is lost, and nothing is silently something else.

use ndsm::config::{Config, Setting};
use ndsm::rng::{Purpose, Stream};
use ndsm::sample::{BLOCK, Method};
use ndsm::train::{Checkpoint, Generator, prepare};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The rate does not go by the number of steps that are planned, so that a run may be planned longer.
const SMALL: &str = "--set data.name=four-modes --set data.n=200 --set network.width=8 --set network.depth=2 --set train.batch=64 --set train.schedule=constant --set train.warmup=0 --set train.evaluate_every=0";

fn program(dir: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ndsm"));
    command.args(arguments.split_whitespace()).current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(dir: &Path, arguments: &str) -> Output {
    program(dir, arguments).output().expect("the program starts")
}

/// Runs to a good end; returns what it said on standard error.
fn ok(dir: &Path, arguments: &str) -> String {
    let out = run(dir, arguments);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{arguments}: {said}");
    said
}

/// Runs to a refusal; returns its sentence.
fn refused(dir: &Path, arguments: &str, code: i32) -> String {
    let out = run(dir, arguments);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(code), "{arguments}: {said}");
    said
}

fn wait_for(file: &Path) {
    let started = Instant::now();
    while !file.is_file() {
        assert!(started.elapsed() < Duration::from_secs(120), "{} did not appear", file.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A training that is under way, past its first checkpoint.
fn under_way(dir: &Path, name: &str, steps: usize) -> Child {
    let arguments = format!("train {SMALL} --set train.steps={steps} --set train.checkpoint_every=20 --out {name}");
    let child = program(dir, &arguments).spawn().expect("the program starts");
    wait_for(&dir.join(name).join("checkpoint.safetensors"));
    child
}

/// Every file of a run but those with timings.
fn files(run: &Path) -> Vec<(String, Vec<u8>)> {
    let names = ["config.toml", "metrics.jsonl", "checkpoint.safetensors", "samples.npy", "pictures/samples.png", "pictures/loss.png"];
    names.iter().map(|name| ((*name).to_owned(), fs::read(run.join(name)).expect(name))).collect()
}

#[test]
fn equal_runs_leave_equal_files() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        ok(dir.path(), &format!("train {SMALL} --set train.steps=20 --set train.checkpoint_every=8 --out {name}"));
        ok(dir.path(), &format!("fit {SMALL} --out fit-{name}"));
    }
    let before = |name: &str| fs::read(dir.path().join(name).join("checkpoint.previous.safetensors")).unwrap();
    let reference = |name: &str| fs::read(dir.path().join(format!("fit-{name}/reference.safetensors"))).unwrap();
    for name in ["b", "c"] {
        assert!(files(&dir.path().join("a")) == files(&dir.path().join(name)) && before("a") == before(name), "{name}");
        assert!(reference("a") == reference(name), "{name}");
    }
}

/// With the last checkpoint damaged a run goes on from the one before, to the bytes that it would have had.
#[test]
fn a_damaged_checkpoint_costs_some_steps_and_no_run() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["whole", "damaged"] {
        ok(dir.path(), &format!("train {SMALL} --set train.steps=30 --set train.checkpoint_every=10 --out {name}"));
    }
    let last = dir.path().join("damaged/checkpoint.safetensors");
    let mut bytes = fs::read(&last).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&last, bytes).unwrap();
    let said = ok(dir.path(), "sample damaged --n 10 --out s.npy");
    assert!(said.contains("damaged/checkpoint.safetensors: is damaged") && said.contains("of step 30, is taken in its place"), "{said}");
    let said = ok(dir.path(), "train --resume --out damaged --set train.steps=45");
    assert!(said.contains("is damaged"), "{said}");
    ok(dir.path(), "train --resume --out whole --set train.steps=45");
    assert!(files(&dir.path().join("damaged")) == files(&dir.path().join("whole")));
}

/// Calls `check` with `count` random bits of the file, each of them flipped meanwhile.
fn each_with_a_flipped_bit(path: &Path, count: usize, stream: &mut Stream, mut check: impl FnMut(usize)) {
    let good = fs::read(path).unwrap();
    for _ in 0..count {
        let bit = stream.below(8 * good.len());
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(path, bad).unwrap();
        check(bit);
    }
    fs::write(path, good).unwrap();
}

/// 200 random bits of each file that a model is read from: refused, or the model is what it was.
#[test]
fn flipped_bits_are_noticed_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("data.n", 200usize), ("reference.components", 4), ("network.width", 8), ("train.steps", 5), ("train.batch", 64)];
    let mut settings: Vec<Setting> = settings.iter().map(|(key, value)| Setting::new(key, *value)).collect();
    settings.push(Setting::new("data.name", "four-modes"));
    let prepared = prepare(&Config::resolve(&settings).unwrap()).unwrap();
    let mut trainer = prepared.trainer::<f32>().unwrap();
    (0..5).for_each(|_| drop(trainer.step().unwrap()));
    Checkpoint::of(&prepared, &trainer).save(dir.path()).unwrap();
    let drawn = || Generator::<f32>::load(dir.path())?.sample(20, 1, Method::Ode, Some(4));
    let right = drawn().unwrap();
    let mut stream = Stream::new(3, Purpose::Test, 0, 0);
    let mut harmless = 0;
    for name in ["checkpoint.safetensors", "config.toml"] {
        each_with_a_flipped_bit(&dir.path().join(name), 200, &mut stream, |bit| match drawn() {
            Ok(samples) => {
                assert!(name == "config.toml" && samples == right, "bit {bit} of {name} went unnoticed");
                harmless += 1;
            }
            Err(e) => assert!(e.exit_code() == 2 && !e.to_string().contains('\n'), "bit {bit} of {name}: {e}"),
        });
    }
    // Most of a configuration is comments.
    assert!(harmless > 50 && drawn().unwrap() == right, "{harmless}");
}

/// 100 random bits of each file that only a report is made from: refused in a sentence, or a report is made.
#[test]
fn flipped_bits_in_records_are_refused_or_shown() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &format!("train {SMALL} --set train.steps=8 --out run"));
    let mut stream = Stream::new(4, Purpose::Test, 0, 0);
    for name in ["metrics.jsonl", "summary.json"] {
        each_with_a_flipped_bit(&dir.path().join("run").join(name), 100, &mut stream, |bit| {
            let out = run(dir.path(), "report run");
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            let refused = out.status.code() == Some(2) && said.lines().count() == 1 && said.contains(name);
            assert!(refused || out.status.success(), "bit {bit} of {name}: {:?} {said}", out.status);
        });
    }
}

/// A mixture in the numbers that other programs have by default.
#[test]
fn a_mixture_of_single_precision_is_a_reference() {
    use safetensors::tensor::{Dtype, TensorView};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mixture.safetensors");
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let (weights, means) = (bytes(&[0.25, 0.75]), bytes(&[-2.0, 0.5, 3.0, 1.0]));
    let covariances = bytes(&[1.0, 0.5, 0.5, 2.0, 0.25, 0.0, 0.0, 0.25]);
    let view = |shape: &[usize], bytes| TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap();
    let tensors = [
        ("mixture.weights", view(&[2], &weights)),
        ("mixture.means", view(&[2, 2], &means)),
        ("mixture.covariances", view(&[2, 2, 2], &covariances)),
    ];
    let facts = [("covariance".to_owned(), "full".to_owned())].into();
    fs::write(&path, safetensors::serialize(tensors, Some(facts)).unwrap()).unwrap();
    let law = ndsm::train::Reference::read(&path).unwrap().in_data_units().unwrap();
    let near = |got: &mut dyn Iterator<Item = f64>, right: &[f64]| got.zip(right).all(|(a, b)| (a - b).abs() <= 1e-12);
    assert!(near(&mut law.weights().iter().copied(), &[0.25, 0.75]) && near(&mut law.means().iter().copied(), &[-2.0, 0.5, 3.0, 1.0]));
    for (k, right) in [[1.0, 0.5, 0.5, 2.0], [0.25, 0.0, 0.0, 0.25]].iter().enumerate() {
        assert!(near(&mut law.covariance(k).iter().copied(), right), "{}", law.covariance(k));
    }
    ok(
        dir.path(),
        &format!("train {SMALL} --set train.steps=2 --set reference.kind=file --set reference.path=mixture.safetensors --out run"),
    );
}

#[test]
fn two_programs_are_not_at_work_in_one_directory() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = under_way(dir.path(), "run", 100_000);
    let said = refused(dir.path(), "train --resume --out run", 2);
    assert!(said.contains("run: another ndsm is at work there"), "{said}");
    // The lock goes with the process, however it ends.
    first.kill().unwrap();
    first.wait().unwrap();
    let done = |run: &str| fs::read_to_string(dir.path().join(run).join("metrics.jsonl")).unwrap().lines().count();
    let steps = done("run") + 10;
    ok(dir.path(), &format!("train --resume --out run --set train.steps={steps}"));
    assert_eq!(done("run"), steps);
}

/// The first signal ends the step, keeps it and says how to go on; the run then has the bytes of one without.
#[test]
fn signals_lose_no_step() {
    let dir = tempfile::tempdir().unwrap();
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let child = under_way(dir.path(), signal, 100_000);
        let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
        let out = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(sent.success() && out.status.code() == Some(code), "{signal}: {:?} {said}", out.status);
        assert!(said.contains("interrupted; step ") && said.contains(&format!("ndsm train --resume --out {signal}")), "{said}");
        let log = fs::read_to_string(dir.path().join(signal).join("metrics.jsonl")).unwrap();
        let kept: usize = said.split("step ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert_eq!(log.lines().count(), kept, "{said}");
    }
    let kept = fs::read_to_string(dir.path().join("INT/metrics.jsonl")).unwrap().lines().count();
    let steps = format!("--set train.steps={}", kept + 15);
    ok(dir.path(), &format!("train --resume --out INT {steps}"));
    ok(dir.path(), &format!("train {SMALL} --set train.checkpoint_every=20 --out whole {steps}"));
    for (a, b) in files(&dir.path().join("INT")).iter().zip(&files(&dir.path().join("whole"))) {
        assert!(a == b, "{}", a.0);
    }
}

/// A step that takes long is not waited for after the second signal: no checkpoint is written.
#[test]
fn a_second_signal_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    // Some 1e11 operations a step.
    let large =
        "--set data.name=four-modes --set reference.components=4 --set network.width=512 --set network.depth=4 --set train.batch=20000";
    let child = program(dir.path(), &format!("train {large} --out run")).spawn().expect("the program starts");
    wait_for(&dir.path().join("run/metrics.jsonl"));
    // It listens from here on.
    std::thread::sleep(Duration::from_millis(200));
    for _ in 0..2 {
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        std::thread::sleep(Duration::from_millis(20));
    }
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(130) && !said.contains("interrupted; step"), "{:?} {said}", out.status);
    assert!(!dir.path().join("run/checkpoint.safetensors").exists());
}

/// Means of 1e8 and 1e12 with deviation 1, and numbers beyond and below the range of f32.
#[test]
fn samples_are_written_in_numbers_that_hold_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut stream = Stream::new(1, Purpose::Test, 0, 0);
    for (name, offset, scale, double) in [
        ("near", 3.0, 1.0, false),
        ("far", 1e8, 1.0, true),
        ("farther", 1e12, 1.0, true),
        ("large", 0.0, 1e39, true),
        ("small", 0.0, 1e-46, true),
    ] {
        let text: String = (0..300).map(|_| format!("{:e}\n", offset + scale * stream.normal::<f64>())).collect();
        fs::write(dir.path().join(format!("{name}.csv")), text).unwrap();
        let own = format!(
            "--set data.name=csv --set data.path={name}.csv --set reference.components=1 --set network.width=8 --set train.steps=5"
        );
        let said = ok(dir.path(), &format!("train {own} --out {name}"));
        assert_eq!(said.contains("samples are written in f64"), double, "{name}: {said}");
        ok(dir.path(), &format!("sample {name} --n 400 --out {name}.npy"));
        let x = ndsm::data::npy::read(&dir.path().join(format!("{name}.npy"))).unwrap().values;
        let header = fs::read(dir.path().join(format!("{name}.npy"))).unwrap();
        assert_eq!(String::from_utf8_lossy(&header[..60]).contains("<f8"), double, "{name}");
        let (mean, deviation) = (x.mean().unwrap(), x.std(1.0));
        // Of 400 samples a deviation is right to 4 %.
        assert!((mean - offset).abs() < 0.5 * scale && (deviation / scale - 1.0).abs() < 0.3, "{name}: {mean} {deviation}");
    }
}

/// Sample i is the same among 1, 100 or more samples than a block has, for every method and number of threads, with
/// moments that are kept and an encoder behind it.
#[test]
fn samples_do_not_depend_on_their_number() {
    for (data, latent, precision) in [("four-modes", 0usize, "f32"), ("digits", 6, "f64"), ("digits", 6, "f32")] {
        let words = [("data.name", data), ("train.precision", precision), ("calibration.moments", "auto")];
        let mut settings: Vec<Setting> = words.iter().map(|(key, value)| Setting::new(key, *value)).collect();
        let numbers = [("reference.components", 4), ("network.width", 8), ("train.steps", 5), ("train.batch", 64), ("data.latent", latent)];
        settings.extend(
            numbers.iter().filter(|(key, value)| *key != "data.latent" || *value > 0).map(|(key, value)| Setting::new(key, *value)),
        );
        let prepared = prepare(&Config::resolve(&settings).unwrap()).unwrap();
        let draw = |n: usize, method: Method, threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let one = |prepared: &ndsm::train::Prepared| match precision {
                "f32" => prepared.generator(&prepared.trainer::<f32>().unwrap()).unwrap().sample(n, 3, method, Some(3)),
                _ => prepared.generator(&prepared.trainer::<f64>().unwrap()).unwrap().sample(n, 3, method, Some(3)),
            };
            pool.install(|| one(&prepared).unwrap())
        };
        for method in [Method::Ode, Method::Sde, Method::Pc] {
            let all = draw(BLOCK + 1100, method, 3);
            for n in [1, 100, 200, 1025, BLOCK, BLOCK + 7] {
                assert!(draw(n, method, 1) == all.slice(ndarray::s![..n, ..]), "{data} {precision} {method:?} {n}");
            }
        }
    }
}

#[test]
fn a_training_that_diverges_says_so_and_keeps_what_can_generate() {
    let dir = tempfile::tempdir().unwrap();
    let wild = "--set train.lr=10 --set train.clip=0 --set calibration.score=false --set train.keep=last";
    let said = refused(dir.path(), &format!("train {SMALL} {wild} --set train.steps=200 --set train.checkpoint_every=1 --out run"), 1);
    assert!(said.contains("step ") && said.contains("lower train.lr") && said.contains("checkpoint"), "{said}");
    if dir.path().join("run/checkpoint.safetensors").exists() {
        ok(dir.path(), "sample run --n 50 --out s.npy");
    }
}

#[test]
fn what_would_be_lost_is_said_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    ok(place, &format!("train {SMALL} --set train.steps=20 --set train.checkpoint_every=10 --out run"));
    let said = refused(place, "train --resume --out run --set train.steps=10", 2);
    assert!(said.contains("train.steps: must be >= 20, the steps that run has made, got 10"), "{said}");
    // A log that lost its end.
    let log = place.join("run/metrics.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.lines().take(7).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let said = ok(place, "train --resume --out run --set train.steps=22");
    assert!(said.contains("metrics.jsonl: ends at step 7; it lacks the steps to 20"), "{said}");
    // Places for samples.
    fs::write(place.join("table.csv"), "1,2\n").unwrap();
    std::os::unix::fs::symlink("table.csv", place.join("link.npy")).unwrap();
    assert!(Command::new("mkfifo").arg(place.join("pipe")).status().unwrap().success());
    for (out, words) in [
        ("table.csv", "is there already and holds no array"),
        ("run/checkpoint.safetensors", "is there already and holds no array"),
        ("run/config.toml", "is there already and holds no array"),
        ("link.npy", "must be a file to write, got a link, device or pipe"),
        ("pipe", "must be a file to write, got a link, device or pipe"),
        ("/dev/null", "must be a file to write, got a link, device or pipe"),
        ("run", "must be a file to write, got a directory"),
    ] {
        let said = refused(place, &format!("sample run --n 10 --out {out}"), 2);
        assert!(said.contains(words) && said.lines().count() == 1, "{out}: {said}");
    }
    ok(place, "sample run --n 10 --out s.npy");
    let said = ok(place, "sample run --n 20 --out s.npy");
    assert!(said.contains("s.npy: is there already and will be replaced"), "{said}");
    // Standard output has the array, and nothing else.
    let out = run(place, "sample run --n 20 --out -");
    assert!(out.status.success() && out.stdout == fs::read(place.join("s.npy")).unwrap());
}

/// A full disk, a pipe whose reader is gone.
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &format!("train {SMALL} --set train.steps=3 --out run"));
    for arguments in ["eval run --n 100 --json", "sample run --n 5000 --out -"] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let out = program(dir.path(), arguments).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(1) && said.contains("standard output"), "{arguments}: {said}");
        let mut child = program(dir.path(), arguments).spawn().unwrap();
        drop(child.stdout.take());
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success() && out.stderr.is_empty(), "{arguments}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

/// A write that ends early at any length, with an error (the limit's signal is ignored) or with the death of the program
/// (it is not): the run still has a whole checkpoint, its own or the one before.
#[test]
fn a_write_that_ends_early_leaves_a_whole_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &format!("train {SMALL} --set train.steps=8 --set train.checkpoint_every=4 --out good"));
    let good = dir.path().join("good");
    // The shell counts in blocks of 512 bytes.
    let blocks = fs::metadata(good.join("checkpoint.safetensors")).unwrap().len() / 512 + 2;
    let (mut failures, mut deaths) = (0, 0);
    for trap in ["trap '' XFSZ;", ""] {
        for most in 1..=blocks {
            let run = dir.path().join("run");
            let _ = fs::remove_dir_all(&run);
            fs::create_dir_all(run.join("pictures")).unwrap();
            for file in ["config.toml", "metrics.jsonl", "checkpoint.safetensors", "checkpoint.previous.safetensors"] {
                fs::copy(good.join(file), run.join(file)).unwrap();
            }
            let resume = "train --resume --set train.steps=12 --set train.checkpoint_every=2 --out run";
            let script = format!("{trap} ulimit -f {most}; exec {} {resume}", env!("CARGO_BIN_EXE_ndsm"));
            let out = Command::new("sh").args(["-c", &script]).current_dir(dir.path()).output().unwrap();
            match out.status.code() {
                Some(1) => failures += 1,
                None => deaths += 1,
                code => assert_eq!(code, Some(0), "{script}: {}", String::from_utf8_lossy(&out.stderr)),
            }
            let _ = fs::remove_file(dir.path().join("s.npy"));
            ok(dir.path(), "sample run --n 3 --steps 2 --out s.npy");
        }
    }
    assert!(failures > 10 && deaths > 10, "{failures} {deaths}");
}

/// Killed 20 times wherever it was, the run ends with the bytes of one that was not.
#[test]
fn twenty_kills_change_no_byte() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = |name: &str| format!("train {SMALL} --set train.steps=1500 --set train.checkpoint_every=50 --out {name} --resume");
    ok(dir.path(), &arguments("whole"));
    let mut stream = Stream::new(11, Purpose::Test, 0, 0);
    for _ in 0..20 {
        let mut child = program(dir.path(), &arguments("killed")).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(5 + stream.below(120) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    ok(dir.path(), &arguments("killed"));
    assert!(files(&dir.path().join("killed")) == files(&dir.path().join("whole")));
    let left: Vec<_> = fs::read_dir(dir.path().join("killed")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with("tmp") && !name.to_string_lossy().starts_with(".tmp")), "{left:?}");
}
