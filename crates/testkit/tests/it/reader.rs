use std::{fs, path::PathBuf};

use backstop_testkit::scenarios::{Summary, Verdict, run_folders};

fn run(files: &[(&str, &str)], verdict: &Verdict) -> Summary {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    run_folders(&[folder.path().to_path_buf()], |_, _| verdict.clone())
}

const TWO: &str = r#"{"format": 1, "crate": "x", "scenarios": [{"id": "A1"}, {"id": "A2"}]}"#;

#[test]
fn every_case_is_run_and_counted() {
    let summary = run(&[("a.json", TWO), ("notes.txt", "left alone")], &Verdict::Passed);
    assert_eq!((summary.run, summary.pending.len(), summary.failures.len()), (2, 0, 0));
}

#[test]
fn one_failure_does_not_hide_the_next() {
    let summary = run(&[("a.json", TWO)], &Verdict::Failed("expected 1, came 2".to_owned()));
    let expected = ["a.json A1: expected 1, came 2", "a.json A2: expected 1, came 2"];
    assert_eq!(summary.failures, expected);
}

#[test]
fn a_case_that_panics_does_not_hide_the_next() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), TWO).unwrap();
    let summary = run_folders(&[folder.path().to_path_buf()], |_, case| {
        assert_eq!(case["id"], "A2", "no such case");
        Verdict::Passed
    });
    assert_eq!(summary.run, 2);
    assert!(summary.failures[0].starts_with("a.json A1: panicked: "), "{:?}", summary.failures);
    assert!(summary.failures[0].contains("no such case"));
    assert_eq!(summary.failures.len(), 1);
}

#[test]
fn pending_is_counted_apart_and_elsewhere_not_at_all() {
    let summary = run(&[("a.json", TWO)], &Verdict::Pending);
    assert_eq!((summary.run, summary.pending), (0, vec!["a.json A1".into(), "a.json A2".into()]));
    let summary = run(&[("a.json", TWO)], &Verdict::Elsewhere);
    assert_eq!((summary.run, summary.pending.len(), summary.failures.len()), (0, 0, 0));
}

#[test]
fn what_cannot_be_read_fails() {
    let bad = [
        "not json",
        r#"{"format": 2, "scenarios": []}"#,
        r#"{"format": 1, "scenarios": {}}"#,
        r#"{"format": 1, "scenarios": [{"title": "no id"}]}"#,
        r#"{"format": 1, "scenarios": [{"id": "A"}, {"id": "A"}]}"#,
    ];
    for text in bad {
        let summary = run(&[("a.json", text)], &Verdict::Passed);
        assert_eq!(summary.failures.len(), 1, "{text}");
    }
    assert_eq!(run(&[], &Verdict::Passed).failures.len(), 1, "an empty folder");
    let missing = run_folders(&[PathBuf::from("there/is/no/such/folder")], |_, _| Verdict::Passed);
    assert_eq!(missing.failures.len(), 1);
}
