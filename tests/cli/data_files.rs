//! Files as they come: good ones are read to the last bit, bad ones are refused with one sentence and never
//! with a panic.

use flate2::{Compression, write::GzEncoder};
use ndarray::{Array2, array};
use ndsm::data::{Request, Table, cifar, csv, idx, load, npy};
use ndsm::{Error, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn put(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// A refusal: exit code 2, one line that names the file and holds `words`.
fn refused(read: fn(&Path) -> Result<Table>, path: &Path, words: &str) {
    let e = read(path).expect_err(words);
    let sentence = e.to_string();
    assert_eq!(e.exit_code(), 2, "{sentence}");
    assert!(matches!(e, Error::File { .. }) && sentence.contains(path.file_name().unwrap().to_str().unwrap()), "{sentence}");
    assert!(sentence.contains(words) && !sentence.contains('\n'), "`{sentence}` lacks `{words}`");
}

/// What no reader accepts.
fn no_reader_accepts(read: fn(&Path) -> Result<Table>) {
    let dir = folder();
    refused(read, &dir.path().join("absent"), "no such file");
    refused(read, &put(&dir, "nothing", b""), "is empty");
    for length in [1, 3, 4, 7, 9, 40] {
        let noise: Vec<u8> = (0..length).map(|i| (i * 89 + 131) as u8).collect();
        let path = put(&dir, "noise", &noise);
        assert_eq!(read(&path).unwrap_err().exit_code(), 2);
    }
    #[cfg(unix)]
    {
        let pipe = dir.path().join("pipe");
        if std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()) {
            refused(read, &pipe, "must be a regular file");
        }
        refused(read, Path::new("/dev/zero"), "must be a regular file");
    }
}

// ---- IDX ----

fn idx_images(n: u32, height: u32, width: u32, pixels: &[u8]) -> Vec<u8> {
    let header = [0x803, n, height, width].map(u32::to_be_bytes).concat();
    [&header, pixels].concat()
}

fn idx_labels(n: u32, labels: &[u8]) -> Vec<u8> {
    let header = [0x801, n].map(u32::to_be_bytes).concat();
    [&header, labels].concat()
}

#[test]
fn idx_is_read_plain_and_zipped_from_file_and_folder() {
    let pixels: Vec<u8> = (0..3 * 6).map(|i| i * 15).collect();
    let (images, labels) = (idx_images(3, 2, 3, &pixels), idx_labels(3, &[7, 0, 255]));
    let check = |path: &Path, labels: Option<Vec<u32>>| {
        let table = idx::read(path).unwrap();
        assert_eq!(table.values, Array2::from_shape_fn((3, 6), |(i, j)| (6 * i + j) as f64 * 15.0 / 255.0));
        let shape = table.images.unwrap();
        assert_eq!((shape.height, shape.width, shape.channels, shape.range), (2, 3, 1, [0.0, 1.0]));
        assert_eq!(table.labels, labels);
    };
    let dir = folder();
    let path = put(&dir, "t10k-images-idx3-ubyte.gz", &gzip(&images));
    check(&path, None);
    check(dir.path(), None);
    put(&dir, "t10k-labels-idx1-ubyte", &labels);
    check(dir.path(), Some(vec![7, 0, 255]));
    // The plain twin of a zipped file, and any other name without labels.
    check(&put(&dir, "t10k-images-idx3-ubyte", &images), Some(vec![7, 0, 255]));
    check(dir.path(), Some(vec![7, 0, 255]));
    check(&put(&dir, "anything", &images), None);
    // Two gzip members are one stream.
    check(&put(&dir, "members", &[gzip(&images[..20]), gzip(&images[20..])].concat()), None);
    // Of several sets the training set, if there is one.
    put(&dir, "other-images-idx3-ubyte", &images);
    refused(idx::read, dir.path(), "holds several sets of images (other-images-idx3-ubyte, t10k-images-idx3-ubyte)");
    put(&dir, "train-images-idx3-ubyte", &images);
    check(dir.path(), None);
}

#[test]
fn idx_refuses_what_is_not_what_its_header_claims() {
    no_reader_accepts(idx::read);
    let dir = folder();
    refused(idx::read, dir.path(), "must hold a file `*images-idx3-ubyte`");
    let images = idx_images(3, 2, 3, &[9; 18]);
    for (name, bytes, words) in [
        ("magic", [&[0, 0, 13, 3], &images[4..]].concat(), "must start with the IDX magic number 2051 (3 axes of bytes), got 3331"),
        ("labels", idx_labels(3, &[1, 2, 3]), "magic number 2051"),
        ("header", images[..10].to_vec(), "ends within its IDX header"),
        ("short", images[..30].to_vec(), "must be 34 bytes long for the 3 x 2 x 3 bytes its header claims, got 30"),
        ("long", [&images[..], &[0]].concat(), "must be 34 bytes long for the 3 x 2 x 3 bytes its header claims, got 35"),
        (
            "huge",
            idx_images(u32::MAX, u32::MAX, u32::MAX, &[0; 18]),
            "its header claims 4294967295 x 4294967295 x 4294967295 bytes, more than",
        ),
        ("large", idx_images(300_000, 28, 28, &[0; 18]), "must be 235200016 bytes long"),
        ("one", idx_images(1, 2, 3, &[0; 6]), "must hold at least 2 rows, got 1"),
        ("none", idx_images(0, 2, 3, &[]), "must hold at least 2 rows, got 0"),
        ("flat", idx_images(3, 0, 3, &[]), "at least 1 number a row, got the shape 3 x 0 x 3"),
    ] {
        refused(idx::read, &put(&dir, name, &bytes), words);
    }
    let zipped = gzip(&images);
    let mut damaged = gzip(&idx_images(30, 20, 3, &(0..1800).map(|i| (i * i / 7) as u8).collect::<Vec<_>>()));
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    for (name, bytes, words) in [
        ("short.gz", gzip(&images[..30]), "ends after 14 of the 3 x 2 x 3 bytes its header claims"),
        ("long.gz", gzip(&[&images[..], &[0]].concat()), "goes on after the 3 x 2 x 3 bytes its header claims"),
        ("large.gz", gzip(&idx_images(300_000, 28, 28, &[0; 18])), "ends after 18 of the 300000 x 28 x 28 bytes"),
        ("bomb.gz", gzip(&idx_images(2, 2, 2, &vec![0; 1 << 22])), "goes on after the 2 x 2 x 2 bytes"),
        ("cut.gz", zipped[..zipped.len() - 6].to_vec(), "ends within its gzip stream"),
        ("damaged.gz", damaged, "within its gzip stream"),
    ] {
        refused(idx::read, &put(&dir, name, &bytes), words);
    }
    let path = put(&dir, "t10k-images-idx3-ubyte", &images);
    let labels = put(&dir, "t10k-labels-idx1-ubyte", &idx_labels(2, &[1, 2]));
    let e = idx::read(&path).unwrap_err().to_string();
    assert!(e.starts_with(labels.to_str().unwrap()) && e.contains("holds 2 labels for the 3 images of"), "{e}");
}

// ---- CIFAR ----

/// The byte of image `i` at a channel, a row and a column.
fn colour(i: usize, channel: usize, row: usize, column: usize) -> u8 {
    (i * 31 + channel * 85 + row * 7 + column * 3) as u8
}

/// `n` images from the number `first` on, each behind its `labels`.
fn cifar_bytes(first: usize, labels: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, labels) in labels.iter().enumerate() {
        out.extend_from_slice(labels);
        for channel in 0..3 {
            out.extend((0..1024).map(|pixel| colour(first + i, channel, pixel / 32, pixel % 32)));
        }
    }
    out
}

#[test]
fn cifar_is_read_with_its_channels_last() {
    let check = |path: &Path, labels: &[u32]| {
        let table = cifar::read(path).unwrap();
        let expected = Array2::from_shape_fn((labels.len(), 3072), |(i, j)| f64::from(colour(i, j % 3, j / 96, j / 3 % 32)) / 255.0);
        assert!(table.values == expected && table.labels.unwrap() == labels);
        let shape = table.images.unwrap();
        assert_eq!(([shape.height, shape.width, shape.channels], shape.range, shape.levels), ([32, 32, 3], [0.0, 1.0], Some(256)));
    };
    let dir = folder();
    let (one, two) = (cifar_bytes(0, &[&[3], &[9], &[0]]), cifar_bytes(3, &[&[1], &[2]]));
    check(&put(&dir, "test_batch.bin", &one), &[3, 9, 0]);
    // The batches in order, plain before its zipped twin; what else is there is left alone.
    put(&dir, "data_batch_2.bin.gz", &gzip(&two));
    put(&dir, "data_batch_1.bin", &one);
    put(&dir, "data_batch_1.bin.gz", &gzip(&two));
    put(&dir, "batches.meta.txt", b"airplane");
    check(dir.path(), &[3, 9, 0, 1, 2]);
    check(&put(&dir, "anything", &gzip(&one)), &[3, 9, 0]);
    // A single record may be a file of several.
    put(&dir, "data_batch_3.bin", &cifar_bytes(5, &[&[7]]));
    check(dir.path(), &[3, 9, 0, 1, 2, 7]);
    // Of the two labels of CIFAR-100 the fine one.
    let hundred = folder();
    put(&hundred, "train.bin", &cifar_bytes(0, &[&[19, 99], &[0, 4]]));
    check(hundred.path(), &[99, 4]);
    let request = Request { name: "cifar".into(), path: Some(dir.path().to_path_buf()), ..Request::default() };
    let data = load(&request).unwrap();
    assert_eq!((data.points.dim(), data.held_out.nrows(), data.images.unwrap().channels), ((4, 3072), 2, 3));
}

#[test]
fn cifar_refuses_what_is_no_whole_record() {
    no_reader_accepts(cifar::read);
    let dir = folder();
    refused(cifar::read, dir.path(), "must hold files `data_batch_*.bin`, or `train.bin`");
    let good = cifar_bytes(0, &[&[3], &[9]]);
    let whole = "must be whole records of 3073 bytes (CIFAR-10) or 3074 bytes (CIFAR-100), got";
    for (name, bytes, words) in [
        ("short", good[..good.len() - 1].to_vec(), format!("{whole} 6145 bytes")),
        ("long", [&good[..], &[0]].concat(), format!("{whole} 6147 bytes")),
        ("one", good[..3073].to_vec(), "must hold at least 2 rows, got 1".into()),
        ("label", cifar_bytes(0, &[&[3], &[10]]), "record 2: the label must be below 10, got 10".into()),
        ("coarse", cifar_bytes(0, &[&[20, 1], &[3, 1]]), "record 1: the coarse label must be below 20, got 20".into()),
        ("fine", cifar_bytes(0, &[&[3, 1], &[3, 100]]), "record 2: the fine label must be below 100, got 100".into()),
        ("short.gz", gzip(&good[..4000]), format!("{whole} 4000 bytes")),
        ("empty.gz", gzip(&[]), format!("{whole} 0 bytes")),
        ("cut.gz", gzip(&good)[..60].to_vec(), "ends within its records".into()),
    ] {
        refused(cifar::read, &put(&dir, name, &bytes), &words);
    }
    // A file with a hole, as long as 2^28 numbers: refused by its length.
    let path = dir.path().join("large");
    std::fs::File::create(&path).unwrap().set_len(3073 * 87_500).unwrap();
    refused(cifar::read, &path, "holds more than the 268435456 numbers");
}

// ---- NPY ----

fn npy_bytes(version: u8, header: &str, numbers: &[u8]) -> Vec<u8> {
    let length = (header.len() as u32).to_le_bytes();
    [b"\x93NUMPY", &[version, 0][..], &length[..if version == 1 { 2 } else { 4 }], header.as_bytes(), numbers].concat()
}

fn header(descr: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}   \n")
}

#[test]
fn npy_reads_every_type_and_version() {
    let dir = folder();
    let expected = array![[0.0, 1.0, 2.0], [3.0, 4.0, 250.0]];
    let values = [0u8, 1, 2, 3, 4, 250];
    let all = |f: &dyn Fn(u8) -> Vec<u8>| values.iter().flat_map(|v| f(*v)).collect::<Vec<u8>>();
    for (descr, numbers) in [
        ("<f4", all(&|v| f32::from(v).to_le_bytes().to_vec())),
        ("<f8", all(&|v| f64::from(v).to_le_bytes().to_vec())),
        ("|u1", values.to_vec()),
        ("<i4", all(&|v| i32::from(v).to_le_bytes().to_vec())),
        ("<i8", all(&|v| i64::from(v).to_le_bytes().to_vec())),
        (">f8", all(&|v| f64::from(v).to_be_bytes().to_vec())),
        (">f4", all(&|v| f32::from(v).to_be_bytes().to_vec())),
        ("<u2", all(&|v| u16::from(v).to_le_bytes().to_vec())),
        (">i2", all(&|v| i16::from(v).to_be_bytes().to_vec())),
        ("<u4", all(&|v| u32::from(v).to_le_bytes().to_vec())),
        (">u8", all(&|v| u64::from(v).to_be_bytes().to_vec())),
        // 0, 1, 2, 3, 4 and 250 in half precision.
        ("<f2", [0u16, 0x3c00, 0x4000, 0x4200, 0x4400, 0x5bd0].iter().flat_map(|v| v.to_le_bytes()).collect()),
    ] {
        for version in [1, 2, 3] {
            let table = npy::read(&put(&dir, "x.npy", &npy_bytes(version, &header(descr, "(2, 3)"), &numbers))).unwrap();
            assert_eq!((table.values, table.images, table.labels), (expected.clone(), None, None), "{descr}");
        }
    }
    // Images: bytes are divided by 255, floats keep their values; the header's entries in another order and
    // style.
    let table = npy::read(&put(&dir, "u1.npy", &npy_bytes(1, &header("|u1", "(2, 3, 1)"), &values))).unwrap();
    assert_eq!((table.values[[1, 2]], table.images.unwrap().range), (250.0 / 255.0, [0.0, 1.0]));
    let text = "{\"shape\":(2,1,3,),\"fortran_order\":False,\"descr\":\"<i4\"}";
    let table = npy::read(&put(&dir, "i4.npy", &npy_bytes(2, text, &all(&|v| i32::from(v).to_le_bytes().to_vec())))).unwrap();
    let shape = table.images.unwrap();
    assert_eq!((table.values, shape.height, shape.width, shape.channels, shape.range), (expected.clone(), 1, 3, 1, [0.0, 250.0]));
    // The channels of a pixel, side by side.
    for (text, size) in [("(2, 1, 1, 3)", [1, 1, 3]), ("(2, 3, 1, 1)", [3, 1, 1])] {
        let table = npy::read(&put(&dir, "c.npy", &npy_bytes(1, &header("|u1", text), &values))).unwrap();
        let shape = table.images.unwrap();
        assert_eq!(([shape.height, shape.width, shape.channels], shape.levels), (size, Some(256)));
        assert_eq!(table.values, &expected / 255.0);
    }
}

/// Columns first, one axis, truth values; three axes, of which the first still counts the images.
#[test]
fn npy_reads_what_people_save() {
    let dir = folder();
    let fortran = |descr: &str, shape: &str| header(descr, shape).replace("False", "True");
    let eight = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let read = |header: &str, numbers: &[u8]| npy::read(&put(&dir, "x.npy", &npy_bytes(1, header, numbers))).unwrap();
    let columns_first = read(&fortran("<f8", "(3, 2)"), &eight(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    assert_eq!(columns_first.values, array![[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]);
    let images = read(&fortran("|u1", "(2, 2, 3)"), &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    // Number i + 2 j + 4 k of image i, row j, column k.
    let exact = Array2::from_shape_fn((2, 6), |(i, pixel)| (i + 2 * (pixel / 3) + 4 * (pixel % 3)) as f64 / 255.0);
    assert_eq!((images.values, images.images.unwrap().width), (exact, 3));
    assert_eq!(read(&header("<f8", "(3,)"), &eight(&[1.0, 2.0, 3.0])).values, array![[1.0], [2.0], [3.0]]);
    let truth = read(&header("|b1", "(2, 1, 2)"), &[0, 1, 1, 1]);
    assert_eq!((truth.values, truth.images.unwrap().levels), (array![[0.0, 1.0], [1.0, 1.0]], Some(2)));
    let bad = eight(&[1.0, 2.0, f64::NAN, 4.0]);
    let path = put(&dir, "nan.npy", &npy_bytes(1, &fortran("<f8", "(2, 2)"), &bad));
    refused(npy::read, &path, "row 1, column 2: must be a finite number");
}

/// Several arrays in one file, stored or packed.
#[test]
fn npz_is_read_by_name() {
    use zip::write::SimpleFileOptions;
    let dir = folder();
    let ints = |values: &[i64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let points = npy_bytes(1, &header("<i8", "(5, 2)"), &ints(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    let labels = npy_bytes(1, &header("<i8", "(5,)"), &ints(&[3, 3, 1, 0, 3]));
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        let write = |name: &str, arrays: &[(&str, &[u8])]| {
            let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
            for (name, bytes) in arrays {
                out.start_file(format!("{name}.npy"), SimpleFileOptions::default().compression_method(method)).unwrap();
                out.write_all(bytes).unwrap();
            }
            put(&dir, name, &out.finish().unwrap().into_inner())
        };
        let one = write("one.npz", &[("x", &points)]);
        let request = |path: &Path, array: Option<&str>, label: Option<&str>| Request {
            name: "npy".into(),
            path: Some(path.to_owned()),
            array: array.map(str::to_owned),
            label: label.map(str::to_owned),
            ..Request::default()
        };
        let data = load(&request(&one, None, None)).unwrap();
        assert_eq!(data.points.sum() + data.held_out.sum(), 45.0);
        let several = write("several.npz", &[("x_train", &points), ("y_train", &labels)]);
        let data = load(&request(&several, Some("x_train"), Some("y_train"))).unwrap();
        let mut seen = [data.labels.unwrap(), data.held_out_labels.unwrap()].concat();
        seen.sort_unstable();
        assert!(seen == [0, 1, 3, 3, 3] && data.points.ncols() == 2);
        for (array, label, words) in [
            (None, None, "data.array: must be one of the arrays of"),
            (Some("x_test"), None, "x_train, y_train, got \"x_test\""),
            (Some("y_train"), Some("x_train"), "must hold 5 labels in `x_train`, one a row, got 5 rows of 2"),
        ] {
            let e = load(&request(&several, array, label)).unwrap_err();
            assert!(e.exit_code() == 2 && e.to_string().contains(words), "{e}");
        }
        let bytes = std::fs::read(&several).unwrap();
        for cut in (0..bytes.len()).step_by(7) {
            let cut = put(&dir, "cut.npz", &bytes[..cut]);
            assert_eq!(load(&request(&cut, Some("x_train"), None)).unwrap_err().exit_code(), 2);
        }
    }
    let plain = put(&dir, "plain.npy", &points);
    let e = load(&Request { name: "npy".into(), path: Some(plain), array: Some("x".into()), ..Request::default() }).unwrap_err();
    assert!(e.to_string().contains("data.array: is for an .npz file"), "{e}");
    let e = load(&Request { name: "moons".into(), label: Some("x".into()), ..Request::default() }).unwrap_err();
    assert!(e.to_string().contains("data.label: is for data.name = csv"), "{e}");
}

/// Points, labels and images of any type, by name; broken files are refused.
#[test]
fn safetensors_are_read_by_name() {
    use safetensors::tensor::{Dtype, TensorView};
    let dir = folder();
    let write = |name: &str, tensors: &[(&str, Dtype, &[usize], &[u8])]| {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| (*name, TensorView::new(*dtype, shape.to_vec(), bytes).unwrap()));
        put(&dir, name, &safetensors::serialize(views, None).unwrap())
    };
    let request = |path: &Path, array: Option<&str>, label: Option<&str>| {
        let [array, label] = [array, label].map(|name| name.map(str::to_owned));
        Request { name: "safetensors".into(), path: Some(path.to_owned()), array, label, ..Request::default() }
    };
    let single: Vec<u8> = (0..10u8).flat_map(|x| (f32::from(x) / 4.0).to_le_bytes()).collect();
    let points = ("x", Dtype::F32, &[5, 2][..], &single[..]);
    let data = load(&request(&write("one.safetensors", &[points]), None, None)).unwrap();
    assert_eq!(data.points.sum() + data.held_out.sum(), 11.25);

    let labels: Vec<u8> = [3i64, 3, 1, 0, 3].iter().flat_map(|y| y.to_le_bytes()).collect();
    let pixels = [0, 51, 102, 255, 255, 0, 0, 0];
    let (y, images) = (("y", Dtype::I64, &[5][..], &labels[..]), ("images", Dtype::U8, &[2, 2, 2][..], &pixels[..]));
    let (nan, complex) = ([0.0f64, f64::NAN].map(f64::to_le_bytes).concat(), [0u8; 4]);
    let others = [("nan", Dtype::F64, &[2, 1][..], &nan[..]), ("brain", Dtype::BF16, &[2][..], &complex[..])];
    let several = write("several.safetensors", &[points, y, images, others[0], others[1]]);
    let data = load(&request(&several, Some("x"), Some("y"))).unwrap();
    let mut seen = [data.labels.unwrap(), data.held_out_labels.unwrap()].concat();
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 3, 3, 3]);
    let table = ndsm::data::tensors::read(&several, Some("images"), None).unwrap();
    let shape = table.images.unwrap();
    assert_eq!(table.values, array![[0.0, 0.2, 0.4, 1.0], [1.0, 0.0, 0.0, 0.0]]);
    assert_eq!((shape.height, shape.width, shape.channels, shape.levels), (2, 2, 1, Some(256)));
    for (array, label, words) in [
        (None, None, "data.array: must be one of the arrays of"),
        (Some("z"), None, "brain, images, nan, x, y, got \"z\""),
        (Some("x"), Some("z"), "data.label: must be one of the arrays of"),
        (Some("x"), Some("nan"), "nan: row 2, column 1: must be a finite number, got NaN"),
        (Some("brain"), None, "its numbers must be of type f2, f4, f8, i1 to i8, u1 to u8 or b1, got BF16"),
    ] {
        let e = load(&request(&several, array, label)).unwrap_err();
        assert!(e.exit_code() == 2 && e.to_string().contains(words), "{e}");
    }
    let bytes = std::fs::read(&several).unwrap();
    for cut in (0..bytes.len()).step_by(7) {
        let cut = put(&dir, "cut.safetensors", &bytes[..cut]);
        assert_eq!(load(&request(&cut, Some("x"), None)).unwrap_err().exit_code(), 2);
    }
}

#[test]
fn npy_arrays_may_have_any_shape() {
    let dir = folder();
    let eight = |n: usize| (0..n).flat_map(|v| (v as f64).to_le_bytes()).collect::<Vec<u8>>();
    let read = |shape: &str, numbers: &[u8]| npy::read_array(&put(&dir, "array.npy", &npy_bytes(1, &header("<f8", shape), numbers)));
    for (text, shape) in
        [("()", &[][..]), ("(1,)", &[1]), ("(3,)", &[3]), ("(2, 1, 3, 2)", &[2, 1, 3, 2]), ("(9999999999999, 0)", &[9_999_999_999_999, 0])]
    {
        let x = read(text, &eight(shape.iter().product())).unwrap();
        assert!(x.shape() == shape && x.iter().enumerate().all(|(i, x)| *x == i as f64), "{text}");
    }
    for (text, numbers, words) in [
        ("(2, 2)", eight(3), "must hold 32 bytes of numbers for the shape [2, 2] of <f8, got 24"),
        ("(99999999999, 99999999999)", eight(1), "more than the 268435456 numbers"),
        ("(2, 1)", [0.0, f64::NAN].iter().flat_map(|v| v.to_le_bytes()).collect(), "row 2, column 1: must be a finite number"),
    ] {
        let e = read(text, &numbers).unwrap_err().to_string();
        assert!(e.contains(words), "{e}");
    }
}

#[test]
fn npy_writes_what_it_reads() {
    let dir = folder();
    let path = dir.path().join("samples.npy");
    let x = array![[1.5, -0.0], [f64::MIN_POSITIVE, 1e300], [std::f64::consts::PI, 5e-324]];
    // In any memory order, over an older file.
    npy::write(&path, x.t()).unwrap();
    let bits = |x: &Array2<f64>| x.mapv(f64::to_bits);
    assert_eq!(bits(&npy::read(&path).unwrap().values), bits(&x.t().to_owned()));
    let x = array![[1.5f32, -0.25], [f32::MAX, f32::MIN_POSITIVE]];
    npy::write(&path, x.view()).unwrap();
    assert_eq!(npy::read(&path).unwrap().values, x.mapv(f64::from));
}

#[test]
fn npy_refuses_what_is_not_what_its_header_claims() {
    no_reader_accepts(npy::read);
    let dir = folder();
    refused(npy::read, dir.path(), "must be a file, but is a directory");
    let eight = |n: usize| vec![0; 8 * n];
    let nan: Vec<u8> = [0.0, 1.0, 2.0, f64::NAN].iter().flat_map(|x: &f64| x.to_le_bytes()).collect();
    let infinite: Vec<u8> = [0.0, f32::NEG_INFINITY, 2.0, 1.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    for (name, bytes, words) in [
        ("magic", b"PK\x03\x04 a zip file of arrays".to_vec(), "is no .npy file"),
        ("version", npy_bytes(4, &header("<f8", "(2, 2)"), &eight(4)), "must be of .npy version 1, 2 or 3, got 4"),
        ("header", npy_bytes(1, &header("<f8", "(2, 2)"), &[])[..40].to_vec(), "ends within its .npy header"),
        ("long header", [&b"\x93NUMPY\x02\x00"[..], &u32::MAX.to_le_bytes(), b"{"].concat(), "its header claims 4294967295 bytes"),
        ("no shape", npy_bytes(1, "{'descr': '<f8', 'fortran_order': False}", &eight(4)), "must give descr, fortran_order and shape"),
        ("twice", npy_bytes(1, "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (2, 2)}", &[]), "must give descr"),
        ("negative", npy_bytes(1, &header("<f8", "(-2, 2)"), &eight(4)), "must give descr"),
        ("not a dictionary", npy_bytes(1, "print('hello')", &[]), "got `print('hello')`"),
        (
            "type",
            npy_bytes(1, &header("<M8[ns]", "(2, 2)"), &eight(4)),
            "must be of type f2, f4, f8, i1 to i8, u1 to u8 or b1, got <M8[ns]",
        ),
        ("complex", npy_bytes(1, &header("<c16", "(2, 2)"), &eight(8)), "got <c16"),
        (
            "0-d",
            npy_bytes(1, &header("<f8", "()"), &eight(1)),
            "must have 1 axis (numbers), 2 (points), 3 (grey images) or 4 (images, the last axis 1 or 3 channels), got the shape []",
        ),
        ("5-d", npy_bytes(1, &header("<f8", "(2, 1, 1, 2, 1)"), &eight(4)), "got the shape [2, 1, 1, 2, 1]"),
        ("4-d", npy_bytes(1, &header("<f8", "(2, 1, 1, 2)"), &eight(4)), "got the shape [2, 1, 1, 2]"),
        ("short", npy_bytes(1, &header("<f8", "(2, 2)"), &eight(3)), "must hold 32 bytes of numbers for the shape [2, 2] of <f8, got 24"),
        ("long", npy_bytes(1, &header("<f8", "(2, 2)"), &eight(5)), "got 40"),
        (
            "huge",
            npy_bytes(1, &header("<f8", "(99999999999, 99999999999)"), &eight(4)),
            "claims 99999999999 x 99999999999 numbers, more than",
        ),
        ("beyond", npy_bytes(1, &header("<f8", "(99999999999999999999999, 2)"), &eight(4)), "must give descr"),
        ("large", npy_bytes(1, &header("<f8", "(1000000, 100)"), &eight(4)), "must hold 800000000 bytes"),
        ("one row", npy_bytes(1, &header("<f8", "(1, 4)"), &eight(4)), "must hold at least 2 rows, got 1"),
        ("no column", npy_bytes(1, &header("<f8", "(4, 0)"), &[]), "at least 1 number a row, got the shape 4 x 0"),
        ("nan", npy_bytes(1, &header("<f8", "(2, 2)"), &nan), "row 2, column 2: must be a finite number, got NaN"),
        ("infinite", npy_bytes(1, &header("<f4", "(2, 2)"), &infinite), "row 1, column 2: must be a finite number, got -inf"),
    ] {
        refused(npy::read, &put(&dir, name, &bytes), words);
    }
}

#[test]
fn npy_is_written_whole_or_not_at_all() {
    let dir = folder();
    let x = array![[1.0, 2.0], [3.0, 4.0]];
    for path in [dir.path().join("absent/x.npy"), dir.path().to_path_buf(), PathBuf::from("/")] {
        assert_eq!(npy::write(&path, x.view()).unwrap_err().exit_code(), 2, "{}", path.display());
    }
    let path = dir.path().join("x.npy");
    npy::write(&path, x.view()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    // The numbers start at a multiple of 64, as NumPy writes them.
    assert_eq!((bytes.len(), &bytes[..10]), (128 + 32, &b"\x93NUMPY\x01\x00\x76\x00"[..]));
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["x.npy"]);
}

// ---- CSV ----

#[test]
fn csv_is_read_with_and_without_names() {
    let dir = folder();
    let expected = array![[1.0, -2.5], [3e2, 0.0]];
    for text in
        ["1,-2.5\n3e2,0\n", "x,y\n1,-2.5\n3e2,0", "\u{feff}x,\"a, b\"\r\n 1 , -2.5\r\n\r\n300,+0.0\r\n", "\"1\",\"-2.5\"\n300,-0\n\n\n"]
    {
        assert_eq!(csv::read(&put(&dir, "x.csv", text.as_bytes())).unwrap().values, expected, "{text}");
    }
    assert_eq!(csv::read(&put(&dir, "one.csv", b"5\n6\n")).unwrap().values, array![[5.0], [6.0]]);
}

/// Separators, decimal commas, names that are numbers, a column that counts the rows: read, and said.
#[test]
fn csv_is_read_as_people_write_it() {
    let dir = folder();
    let expected = array![[0.0, 0.25], [0.5, 0.75], [1.0, 1.25]];
    for (text, notes) in [
        ("a;b\n0.0;0.25\n0.5;0.75\n1.0;1.25\n", &[][..]),
        ("0.0\t0.25\n0.5\t0.75\n1.0\t1.25\n", &[]),
        ("0.0 0.25\n  0.5   0.75\n1.0 1.25\n", &[]),
        ("a;b\n0,0;0,25\n0,5;0,75\n1,0;1,25\n", &["the numbers have decimal commas"]),
        ("2019,2020\n0.0,0.25\n0.5,0.75\n1.0,1.25\n", &["line 1 (2019, 2020) was taken for the names of the columns"]),
        ("x,1\n0.0,0.25\n0.5,0.75\n1.0,1.25\n", &["line 1 (x, 1) was taken for the names of the columns"]),
        (",a,b\n0,0.0,0.25\n1,0.5,0.75\n2,1.0,1.25\n", &["column 1 counts the rows and is left out"]),
        ("Index;a;b\n1;0.0;0.25\n2;0.5;0.75\n3;1.0;1.25\n", &["column 1 (Index) counts the rows and is left out"]),
    ] {
        let table = csv::read(&put(&dir, "x.csv", text.as_bytes())).unwrap();
        assert_eq!((table.values, table.notes), (expected.clone(), notes.iter().map(|note| (*note).to_owned()).collect()), "{text}");
    }
    // What only looks so is data.
    for (text, values, notes) in [
        ("1,2\n3,4\n5,6\n", array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], 0),
        ("1,2\n3.5,4\n5,6\n", array![[1.0, 2.0], [3.5, 4.0], [5.0, 6.0]], 0),
        ("n,a\n0,5\n1,7\n", array![[0.0, 5.0], [1.0, 7.0]], 1),
    ] {
        let table = csv::read(&put(&dir, "x.csv", text.as_bytes())).unwrap();
        assert_eq!((table.values, table.notes.len()), (values, notes), "{text}");
    }
}

/// Columns by name and by number; labels are kept beside the points.
#[test]
fn csv_columns_are_chosen() {
    let dir = folder();
    let path = put(&dir, "x.csv", b"a,b,label,c\n0.0,0.25,dog,7\n0.5,0.75,cat,8\n1.0,1.25,dog,9\n");
    let read = |columns: &[&str], label: Option<&str>| {
        let columns: Vec<String> = columns.iter().map(|c| (*c).to_owned()).collect();
        csv::read_columns(&path, &columns, label)
    };
    let table = read(&[], Some("label")).unwrap();
    assert_eq!((table.values, table.labels), (array![[0.0, 0.25, 7.0], [0.5, 0.75, 8.0], [1.0, 1.25, 9.0]], Some(vec![1, 0, 1])));
    assert_eq!(table.notes, ["labels: 0 cat, 1 dog"]);
    let table = read(&["c", "1"], None).unwrap();
    assert_eq!((table.values, table.labels), (array![[7.0, 0.0], [8.0, 0.5], [9.0, 1.0]], None));
    assert_eq!(read(&["a"], Some("c")).unwrap().labels, Some(vec![7, 8, 9]));
    for (columns, label, words) in [
        (&["d"][..], None, "data.columns: must be a column of"),
        (&["0"], None, "1 to 4 (a, b, label, c), got \"0\""),
        (&[], Some("5"), "data.label: must be a column of"),
        (&["c"], Some("4"), "column 4 has the labels"),
    ] {
        let e = read(columns, label).unwrap_err();
        assert!(e.exit_code() == 2 && e.to_string().contains(words), "{e}");
    }
    let data = load(&Request {
        name: "csv".into(),
        path: Some(put(&dir, "y.csv", b"a,k\n1.5,u\n2.5,u\n3.5,v\n4.5,v\n5.5,u\n6.5,v\n")),
        label: Some("k".into()),
        held_out: Some(0.34),
        ..Request::default()
    });
    let data = data.unwrap();
    assert_eq!((data.points.dim(), data.labels.unwrap().len(), data.held_out_labels.unwrap().iter().sum::<u32>()), ((4, 1), 4, 1));
}

#[test]
fn csv_refuses_with_line_and_column() {
    no_reader_accepts(csv::read);
    let dir = folder();
    refused(csv::read, dir.path(), "must be a file, but is a directory");
    for (text, words) in [
        ("1,2\n3\n", "line 2: must have 2 fields like the first line, got 1"),
        ("x,y\n1,2\n3,4,5\n", "line 3: must have 2 fields like the first line, got 3"),
        ("x,y\n1,2\n3,four\n", "line 3, column 2: must be a number, got `four`"),
        ("1,2\n\n3,\n", "line 3, column 2: must be a number, got ``"),
        ("x,y\nz,w\n1,2\n", "line 2, column 1: must be a number, got `z`"),
        ("1;2\n3;4;5\n", "line 2: must have 2 fields like the first line, got 3"),
        ("a,b\n1,dog\n2,cat\n", "line 2, column 2: must be a number, got `dog`; a column of words is named by data.label"),
        ("1,2\n3,NaN\n", "line 2, column 2: must be a finite number, got NaN"),
        ("1,2\n-inf,3\n", "line 2, column 1: must be a finite number, got -inf"),
        ("1,2\n1e999,3\n", "line 2, column 1: must be a finite number, got inf"),
        ("x,y\n", "must hold at least 2 rows, got 0"),
        ("\n\n", "holds no line of numbers"),
        ("1,2\n", "must hold at least 2 rows, got 1"),
        ("1,2\n3,0x10\n", "column 2: must be a number, got `0x10`"),
    ] {
        refused(csv::read, &put(&dir, "x.csv", text.as_bytes()), words);
    }
    refused(csv::read, &put(&dir, "bytes.csv", b"1,2\n\xff\xfe,3\n"), "line 2: cannot be read: stream did not contain valid UTF-8");
    let long = format!("1,2\n{},3\n", "9a".repeat(1000));
    refused(csv::read, &put(&dir, "long.csv", long.as_bytes()), "got `9a9a9a9a9a9a9a9a9a9a`");
}

// ---- through `load` ----

#[test]
fn load_splits_a_file() {
    let dir = folder();
    let rows: String = (0..50).map(|i| format!("{i},{}\n", i * i)).collect();
    let path = put(&dir, "x.csv", rows.as_bytes());
    let request = Request { name: "csv".into(), path: Some(path), ..Request::default() };
    let data = load(&request).unwrap();
    assert_eq!((data.points.dim(), data.held_out.dim()), ((40, 2), (10, 2)));
    let mut met: Vec<i64> = data.points.column(0).iter().chain(data.held_out.column(0)).map(|x| *x as i64).collect();
    met.sort_unstable();
    assert!(met.into_iter().eq(0..50));
    let few = Request { path: Some(put(&dir, "few.csv", b"1\n2\n3\n")), ..request.clone() };
    assert!(load(&few).unwrap_err().to_string().ends_with("must hold at least 4 rows (2 to train on, 2 held out), got 3"));
    let many = load(&Request { n: Some(41), ..request }).unwrap_err();
    assert!(many.to_string().contains("must be at most 40, got 41") && many.exit_code() == 2, "{many}");
}

/// Any cut of a good file, and any single wrong byte, is read or refused, never a panic.
#[test]
fn cuts_and_wrong_bytes_never_panic() {
    let dir = folder();
    let images = idx_images(3, 2, 3, &[9; 18]);
    let npy = npy_bytes(1, &header("<f4", "(2, 2)"), &[0; 16]);
    type Reader = fn(&Path) -> Result<Table>;
    let good: [(Reader, Vec<u8>); 4] =
        [(idx::read, images.clone()), (idx::read, gzip(&images)), (npy::read, npy), (csv::read, b"x,\"y\"\n1,2.5\n-3,4e1\n".to_vec())];
    for (read, bytes) in good {
        for i in 0..bytes.len() {
            let _ = read(&put(&dir, "cut", &bytes[..i]));
            for wrong in [0, 0xff, bytes[i] ^ 1, bytes[i] ^ 0x80, b'"', b','] {
                let mut bytes = bytes.clone();
                bytes[i] = wrong;
                if let Err(e) = read(&put(&dir, "wrong", &bytes)) {
                    assert_eq!(e.exit_code(), 2, "{e}");
                }
            }
        }
    }
}
