//! `ndsm audit`, as a user runs it.
#![cfg(feature = "cli")]

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
    let output = ndsm(&["audit", "--json"]);
    assert!(output.status.success());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["audit"] == "all" && json["pass"] == true && json["seconds"].is_number(), "{json}");
    let rows = json["tables"]["tape"].as_array().unwrap();
    assert_eq!(json["rows"], rows.len());
    for row in rows {
        let (error, bound) = (row["error"].as_f64().unwrap(), row["bound"].as_f64().unwrap());
        assert!(row["pass"] == true && error <= bound && row["errors"].as_array().unwrap().len() == 3, "{row}");
        assert!(!row["tried"].as_array().unwrap().is_empty() && row["note"] == "", "{row}");
    }
}

#[test]
fn other_names_are_refused() {
    for (name, words) in [("integrators", "not available yet"), ("control", "not available yet"), ("tapes", "must be one of")] {
        let output = ndsm(&["audit", name]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{text}");
        assert!(text.contains(words) && text.contains("\"tape\", \"all\"") && text.lines().count() == 1, "{text}");
    }
}
