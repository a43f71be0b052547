use std::fs;
use std::path::Path;
use std::time::Duration;

use xtask::perf::{self, Groups, table};
use xtask::{campaign, report};

#[test]
fn a_report_is_read_by_its_keys_alone() {
    let json = r#"
        { "seed" : 1, "text": "a \"quoted\" } , [",
          "inner": { "ok": false, "list": [1, {"ok": 2}] },
          "ok":true }
    "#;
    assert_eq!(report::at(json, &["ok"]), Some("true"));
    assert_eq!(report::at(json, &["inner", "ok"]), Some("false"));
    assert_eq!(report::at(json, &["inner", "list"]), Some(r#"[1, {"ok": 2}]"#));
    assert_eq!(report::at(json, &["text", "ok"]), None);
    assert_eq!(report::at(json, &["absent"]), None);
}

#[test]
fn a_report_that_was_cut_off_says_nothing() {
    for cut in ["", "{", r#"{"ok"#, r#"{"ok":"#, r#"{"other": {"ok": true"#, r#"{"text": "ok"#] {
        assert_eq!(report::at(cut, &["ok"]), None, "{cut}");
    }
}

#[test]
fn kills_are_drawn_from_the_seed_and_fall_into_the_run() {
    let whole = Duration::from_secs(9);
    let first = campaign::moments(1, whole);
    assert_eq!(first, campaign::moments(1, whole));
    assert_ne!(first, campaign::moments(2, whole));
    assert!(first.iter().all(|moment| *moment < whole / 3));
    assert!(first.len() > 1);
}

#[test]
fn peers_are_compared_within_their_group() {
    let mut groups = Groups::new();
    groups.entry("admit".to_owned()).or_default().insert("backstop".to_owned(), 20.0);
    groups.entry("admit".to_owned()).or_default().insert("peer".to_owned(), 50.0);
    groups.entry("alone".to_owned()).or_default().insert("peer".to_owned(), 2.0e6);
    groups.entry("single".to_owned()).or_default().insert(String::new(), 3.0e3);
    let lines = table(&groups);
    let expected = [
        "admit/backstop: 20.00 ns",
        "admit/peer: 50.00 ns  2.50 x backstop",
        "alone/peer: 2.00 ms",
        "single: 3.00 us",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn figures_are_found_at_every_depth() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    for (name, median) in [("single", 3), ("admit/backstop", 20), ("admit/backstop/16", 40)] {
        let new = folder.join(name).join("new");
        fs::create_dir_all(&new).expect("the folder for tests is writable");
        let text = format!(r#"{{"mean": {{}}, "median": {{"point_estimate": {median}.0}}}}"#);
        fs::write(new.join("estimates.json"), text).expect("so is a file in it");
    }
    let lines = table(&perf::read(&folder).expect("what was written can be read"));
    let expected = ["admit/backstop: 20.00 ns", "admit/16/backstop: 40.00 ns", "single: 3.00 ns"];
    assert_eq!(lines, expected);
}
