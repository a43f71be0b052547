use std::fs;
use std::path::Path;

use xtask::campaign::{check, cut, moments};
use xtask::perf::{self, Groups, table};
use xtask::report;

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
    let first = moments(1, "outside", 9_000);
    assert_eq!(first, moments(1, "outside", 9_000));
    assert_ne!(first, moments(2, "outside", 9_000));
    assert_ne!(first, moments(1, "turns", 9_000));
    assert!(first.is_sorted() && first.iter().all(|moment| *moment < 9_000));
    assert!(first.len() > 1);
    assert!(moments(1, "outside", 0).iter().all(|moment| *moment == 0));
}

/// A report of a storm with one figure replaced.
fn storm(name: &str, figure: &str) -> String {
    let mut figures: Vec<(&str, &str)> = [
        "timeout_before_effect",
        "timeout_after_effect",
        "late_acceptance",
        "connection_reset",
        "rate_limited",
        "server_error",
        "reject",
        "duplicate_event",
        "out_of_order_event",
        "dropped_event",
        "malformed_event",
        "delayed_event",
    ]
    .map(|kind| (kind, "10"))
    .into();
    figures.extend([("outage", "2"), ("balance_drift", "1"), ("detect_s_max", "119.9")]);
    figures.extend([("recover_s_max", "299.0"), ("consistency_age_s_max", "4.999")]);
    figures.extend([("elapsed_ms", "19999"), ("recovery_rate", "0.951")]);
    figures.iter_mut().filter(|(key, _)| *key == name).for_each(|(_, value)| *value = figure);
    let (faults, rest) = figures.split_at(14);
    let text = |figures: &[(&str, &str)]| {
        let members: Vec<_> =
            figures.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        members.join(", ")
    };
    format!("{{\"faults_injected\": {{{}}}, {}}}", text(faults), text(rest))
}

#[test]
fn each_limit_of_a_storm_is_kept() {
    assert_eq!(check(&storm("", "")), Ok(()));
    let beyond = [
        ("late_acceptance", "9"),
        ("delayed_event", "0"),
        ("outage", "1"),
        ("balance_drift", "0"),
        ("detect_s_max", "120.0"),
        ("recover_s_max", "301"),
        ("consistency_age_s_max", "5.0"),
        ("elapsed_ms", "20000"),
        ("recovery_rate", "0.95"),
        ("recovery_rate", "null"),
    ];
    for (name, figure) in beyond {
        let why = check(&storm(name, figure)).expect_err(name).to_string();
        assert!(why.starts_with(name), "{why}");
    }
    assert!(check("{}").is_err());
}

#[test]
fn a_market_is_cut_to_a_period() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("market");
    fs::create_dir_all(&folder).expect("the folder for tests is writable");
    let bars = "time,symbol\n2017-02-28T23:00:00Z,A\n2017-03-01T00:00:00Z,A\n";
    for (name, text) in [("a.bars.csv", bars), ("instruments.csv", "symbol\nA\n")] {
        fs::write(folder.join(name), text).expect("so is a file in it");
    }
    let into = Path::new(env!("CARGO_TARGET_TMPDIR")).join("month");
    let month = cut(&folder, "2017-03", &into).expect("both folders are there");
    let read = |name: &str| fs::read_to_string(month.join(name)).expect("it was written");
    assert_eq!(read("a.bars.csv"), "time,symbol\n2017-03-01T00:00:00Z,A\n");
    assert_eq!(read("instruments.csv"), "symbol\nA\n");
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
