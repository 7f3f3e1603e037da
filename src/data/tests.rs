//! Names, sizes, splits and refusals of [`load`]; files are tested in `tests/cli/data_files.rs`.

use super::*;

fn request(name: &str, n: Option<usize>, seed: u64) -> Request {
    Request { name: name.into(), n, seed, ..Request::default() }
}

#[test]
fn every_law_is_reached_by_its_name() {
    for law::Named { name, .. } in law::laws() {
        let data = load(&request(name, Some(30), 2)).unwrap();
        let law = data.law.as_ref().unwrap();
        assert_eq!((data.name.as_str(), law.name(), data.points.nrows(), data.dim()), (*name, *name, 30, law.dim()));
        assert_eq!(data.held_out.nrows(), LAW_HELD_OUT);
        // The held-out draw is another one, and the same for every n.
        assert_ne!(data.held_out.row(0), data.points.row(0));
        let more = load(&request(name, None, 2)).unwrap();
        assert_eq!((more.points.nrows(), &more.held_out), (LAW_POINTS, &data.held_out));
    }
    let known: Vec<&str> = DataName::all().map(DataName::name).collect();
    let distinct: std::collections::BTreeSet<_> = known.iter().collect();
    assert_eq!(distinct.len(), known.len());
}

#[test]
fn digits_are_split_without_overlap_and_keep_their_labels() {
    let all = digits::table();
    let data = load(&request("digits", None, 5)).unwrap();
    assert_eq!((data.points.nrows(), data.held_out.nrows()), (1438, 359));
    let labels = data.labels.as_ref().unwrap();
    // Every row of the file is met once (its images are distinct), with its own label.
    let key = |row: ndarray::ArrayView1<f64>| row.iter().map(|x| (x * 16.0) as u8).collect::<Vec<u8>>();
    let file: std::collections::HashMap<_, _> = all.values.rows().into_iter().map(key).zip(all.labels.unwrap()).collect();
    assert_eq!(file.len(), digits::COUNT);
    assert!(data.points.rows().into_iter().zip(labels).all(|(row, label)| file[&key(row)] == *label));
    let met: std::collections::HashSet<_> = data.points.rows().into_iter().chain(data.held_out.rows()).map(key).collect();
    assert_eq!(met.len(), digits::COUNT);
    // Fewer points: the first of them, the same held out. Another seed: another split.
    let few = load(&request("digits", Some(100), 5)).unwrap();
    assert_eq!((few.points, few.held_out), (data.points.slice(ndarray::s![..100, ..]).to_owned(), data.held_out.clone()));
    let other = load(&request("digits", Some(0), 6)).unwrap();
    assert_ne!(other.hash(), data.hash());
    assert_eq!(load(&request("digits", Some(0), 5)).unwrap().hash(), data.hash());
}

#[test]
fn bad_requests_are_refused_with_the_key_they_concern() {
    let with_path = |name: &str| Request { path: Some("x".into()), ..request(name, None, 0) };
    for (request, words) in [
        (
            request("digit", None, 0),
            "data.name: must be one of \"digits\", \"idx\", \"cifar\", \"npy\", \"safetensors\", \"csv\", \"four-modes\", ",
        ),
        (request("", None, 0), "data.name: must be one of"),
        (request("npy", None, 0), "data.path: must be given for data.name = npy"),
        (with_path("ring"), "data.path: is for data.name = idx, cifar, npy, safetensors, csv; `ring` reads no file"),
        (with_path("digits"), "data.path: is for"),
        (request("mixture", None, 0), "data.mixture: must be given"),
        (request("digits", Some(1439), 0), "data.n: must be at most 1438, got 1439: digits has 1797 rows, of which 359 are held out"),
        (request("ring", Some(99_999_999_999), 0), "data.n: must be at most 134217728, got 99999999999"),
    ] {
        let e = load(&request).unwrap_err();
        assert!(e.to_string().starts_with(words), "{e}");
        assert_eq!(e.exit_code(), 2);
    }
}

/// Every label has its share among the points held out, to less than a row, and a share that is asked for is
/// the one that is taken.
#[test]
fn the_split_is_stratified_by_label() {
    let table = digits::table();
    let labels = table.labels.unwrap();
    for share in [None, Some(0.1), Some(0.5)] {
        let data = load(&Request { held_out: share, ..request("digits", None, 4) }).unwrap();
        let total = data.held_out.nrows() as f64;
        assert_eq!(data.held_out.nrows(), share.map_or(359, |s| (1797.0 * s).round() as usize));
        for label in 0..10 {
            let all = labels.iter().filter(|l| **l == label).count() as f64;
            let training = data.labels.as_ref().unwrap().iter().filter(|l| **l == label).count() as f64;
            assert!((all - training - all * total / 1797.0).abs() < 1.0, "{share:?}, label {label}: {training} of {all}");
        }
    }
    for share in [0.0, 1.0, -0.5, f64::NAN] {
        let e = load(&Request { held_out: Some(share), ..request("digits", None, 0) }).unwrap_err().to_string();
        assert!(e.contains("data.held_out: must be in (0, 1)"), "{e}");
    }
}
