//! `ndsm audit`, as a user runs it.

use std::process::{Command, Output};

fn ndsm(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ndsm")).args(arguments).output().expect("the program starts")
}

#[test]
fn the_tape_passes_and_says_what_was_tried() {
    let output = ndsm(&["audit", "tape"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty() && !text.contains("FAIL"), "{text}");
    for part in ["linear ", "matmul ", "3x5,5x2", "dual", "1e-12", "pass"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn json_is_one_object() {
    let output = ndsm(&["audit", "--quick", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["audit"] == "all" && json["pass"] == true && json["seconds"].is_number(), "{json}");
    let of = |subject: &str| json["tables"][subject].as_array().unwrap();
    let (tape, integrators) = (of("tape"), of("integrators"));
    let all = ["tape", "integrators", "transitions", "scores", "control", "generalisation"].iter().map(|s| of(s).len()).sum::<usize>();
    assert_eq!(json["rows"], all);
    for row in tape {
        let (error, bound) = (row["error"].as_f64().unwrap(), row["bound"].as_f64().unwrap());
        assert!(row["pass"] == true && error <= bound && row["errors"].as_array().unwrap().len() == 3, "{row}");
        assert!(!row["tried"].as_array().unwrap().is_empty() && row["note"] == "", "{row}");
    }
    for row in integrators.iter().filter(|row| row["order"]["error"] != 0.0 && row["order"].is_object()) {
        let order = |key: &str| row["order"][key].as_f64().unwrap_or_else(|| panic!("{key} of {row}"));
        assert!(row["pass"] == true && (order("measured") - order("claim")).abs() <= 0.12, "{row}");
        assert!(row["order"]["curve"]["h"].as_array().unwrap().len() >= 3, "{row}");
    }
}

#[test]
fn integrators_show_claim_and_measurement_and_leave_pictures() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("audit");
    let output = ndsm(&["audit", "integrators", "--quick", "--out", dir.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty() && !text.contains("FAIL"), "{text}");
    for part in ["claim", "sra1 ", "1.5 exactly", "strong, additive: order conditions", "weak, additive: double well", " +- "] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let page = std::fs::read_to_string(dir.join("index.html")).unwrap();
    let pictures = std::fs::read_dir(&dir).unwrap().filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "png")).count();
    assert!(pictures >= 8 && page.matches("<figure").count() == pictures, "{pictures}");
    assert!(dir.join("strong-additive-log-verhulst.png").is_file());
}

#[test]
fn other_names_are_refused() {
    let output = ndsm(&["audit", "tapes"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{text}");
    let names = "\"tape\", \"integrators\", \"transitions\", \"scores\", \"control\", \"generalisation\", \"all\"";
    assert!(text.contains("must be one of") && text.contains(names) && text.lines().count() == 1, "{text}");
}
