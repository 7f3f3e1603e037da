//! Files that are not what they should be: those of `fuzz/corpus` with some bytes changed, 2,000 of each kind, through the
//! targets of the fuzzer (see `fuzz/README.md`).

use crate::targets;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use std::fs;
use std::path::Path;

/// Bytes and texts at which readers decide.
const TELLING: [&[u8]; 22] = [
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\n",
    b"\r\n",
    b"\"",
    b"'",
    b",",
    b";",
    b"\t",
    b"=",
    b"[",
    b"]",
    b"{",
    b"-1",
    b"1e999",
    b"nan",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"99999999999999999999",
    b"\xef\xbb\xbf",
];

/// One change of a file; places count from its beginning, around its end.
#[derive(Debug, Clone)]
enum Change {
    Flip(usize, u8),
    Put(usize, usize),
    Over(usize, usize),
    Cut(usize, usize),
    Twice(usize, usize),
    End(usize),
    Digit(usize, u8),
}

fn change() -> impl Strategy<Value = Change> {
    let (at, some) = (any::<usize>(), 1..40usize);
    prop_oneof![
        (at, 0..8u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (at, 0..TELLING.len()).prop_map(|(at, what)| Change::Put(at, what)),
        (at, 0..TELLING.len()).prop_map(|(at, what)| Change::Over(at, what)),
        (at, some.clone()).prop_map(|(at, n)| Change::Cut(at, n)),
        (at, some).prop_map(|(at, n)| Change::Twice(at, n)),
        at.prop_map(Change::End),
        (at, b'0'..=b'9').prop_map(|(at, digit)| Change::Digit(at, digit)),
    ]
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        let place = |at: usize| at % (bytes.len() + 1);
        let piece = |at: usize, n: usize| place(at)..(place(at) + n).min(bytes.len());
        match *self {
            Change::Flip(at, bit) => {
                let at = place(at);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
            }
            Change::Put(at, what) => {
                let at = place(at);
                drop(bytes.splice(at..at, TELLING[what].iter().copied()));
            }
            Change::Over(at, what) => {
                let piece = piece(at, TELLING[what].len());
                drop(bytes.splice(piece, TELLING[what].iter().copied()));
            }
            Change::Cut(at, n) => drop(bytes.drain(piece(at, n))),
            Change::Twice(at, n) => {
                let piece = piece(at, n);
                let again = bytes[piece.clone()].to_vec();
                drop(bytes.splice(piece.end..piece.end, again));
            }
            Change::End(at) => bytes.truncate(place(at)),
            // The next digit of a text.
            Change::Digit(at, digit) => {
                let at = place(at);
                let found = (at..bytes.len()).find(|i| bytes[*i].is_ascii_digit());
                found.into_iter().for_each(|i| bytes[i] = digit);
            }
        }
    }
}

/// The files to begin from.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = files.map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a file of the corpus")).chain(targets::written(name)).collect()
}

fn changed_files(name: &str) {
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "{name}");
    seeds.iter().for_each(|seed| targets::run(name, seed));
    let config = ProptestConfig { cases: 2000, rng_seed: RngSeed::Fixed(21), failure_persistence: None, ..ProptestConfig::default() };
    let cases = (0..seeds.len(), prop::collection::vec(change(), 1..6));
    let outcome = TestRunner::new(config).run(&cases, |(seed, changes)| {
        let mut bytes = seeds[seed].clone();
        changes.iter().for_each(|change| change.make(&mut bytes));
        targets::run(name, &bytes);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{name}: {e}"));
}

macro_rules! each {
    ($($test:ident: $name:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            changed_files($name);
        })+

        #[test]
        fn every_target_has_its_test() {
            assert_eq!(targets::ALL.map(|(name, _)| name), [$($name),+]);
        }
    };
}

each! {
    images: "idx",
    colour_images: "cifar",
    arrays: "npy",
    packed_arrays: "npz",
    texts: "csv",
    tensors: "safetensors",
    references: "reference",
    checkpoints: "checkpoint",
    configurations: "toml",
    settings: "set",
}
