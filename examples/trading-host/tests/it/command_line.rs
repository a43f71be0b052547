//! The command line: what it explains, what it refuses, and what it shows of a finished run.

mod damage;
mod looks;
mod refusals;

use std::{
    path::Path,
    process::{Command, Output},
};

/// Runs the binary; what it reads of the environment is left out.
pub(crate) fn host<'a>(args: impl IntoIterator<Item = &'a str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trading-host"));
    command.args(args).env_remove("RUST_LOG").output().unwrap()
}

/// `run`, with a market, a data folder and more.
pub(crate) fn run(market: &Path, data_dir: Option<&Path>, more: &[&str]) -> Output {
    let mut args = vec!["run", "--market", market.to_str().unwrap()];
    args.extend(data_dir.map(|folder| ["--data-dir", folder.to_str().unwrap()]).iter().flatten());
    args.extend(more);
    host(args)
}

/// Exit status, then what was printed.
pub(crate) fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_explains_itself() {
    let (status, out, err) = told(&host(["--help"]));
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let commands = [
        "run",
        "venue",
        "letters",
        "positions",
        "reconcile",
        "snapshots",
        "verify",
        "lift",
        "isolate",
        "release",
        "discard",
    ];
    for word in commands {
        assert!(out.lines().any(|line| line.trim_start().starts_with(word)), "{word}: {out}");
    }
    assert!(out.contains("Without arguments: `run --faults storm --seed 1`"), "{out}");
    let words = out.split_whitespace().collect::<Vec<_>>().join(" ");
    for statuses in [
        "Exit status of a run: 0 when every invariant holds, 1 when one broke or trading broke off, 2",
        "Of a look (letters, positions, reconcile, snapshots, verify): 0 when all is as it should be",
        "Of lift, isolate, release and discard: 0 when it is done, 1 when nothing was to be done, 2",
    ] {
        assert!(words.contains(statuses), "{out}");
    }

    let (status, out, _) = told(&host(["run", "--help"]));
    assert_eq!(status, Some(0));
    let options =
        ["--faults", "--seed", "--data-dir", "--venue", "--market", "--report", "--halt-at"];
    for option in options {
        let mut lines = out.lines().skip_while(|line| !line.trim_start().starts_with(option));
        let explained = lines.nth(1).is_some_and(|line| line.trim().len() > 10);
        assert!(explained, "{option}: {out}");
    }
    let (status, out, _) = told(&host(["venue", "--help"]));
    assert!(status == Some(0) && out.contains("--listen <ADDR>"), "{out}");
}

#[test]
fn a_wrong_argument_is_named() {
    let wrong: [(&[&str], &str); 8] = [
        (&["walk"], "'walk'"),
        (&["run", "--foo"], "'--foo'"),
        (&["run", "--seed", "x"], "'x' for '--seed <SEED>'"),
        (&["run", "--faults", "rain"], "fault profile `rain`: must be none, calm or storm"),
        (&["run", "--report", "xml"], "[possible values: text, json]"),
        (&["run", "--crash-at", "lunch:1"], "\"lunch:1\" is no crash point"),
        (&["run", "--halt-at", "tomorrow"], "'tomorrow' for '--halt-at <RFC3339>'"),
        (&["venue"], "--listen <ADDR>"),
    ];
    for (args, expected) in wrong {
        let (status, out, err) = told(&host(args.iter().copied()));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(err.contains(expected), "{args:?}: {err}");
    }
}
