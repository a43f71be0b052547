use std::path::PathBuf;

use xtask::arguments::Command;
use xtask::campaign::{Campaign, Fuzz, Subject};

fn parse(line: &str) -> Result<Command, String> {
    Command::parse(line.split_whitespace().map(str::to_owned))
}

#[test]
fn a_campaign_has_inclusive_seeds_and_perhaps_a_market() {
    let asked = parse("campaign kill --seeds 1..30 --market prices");
    let market = Some(PathBuf::from("prices"));
    let campaign = Campaign { subject: Subject::Kill, seeds: 1..=30, market };
    assert_eq!(asked, Ok(Command::Campaign(campaign)));
}

#[test]
fn fuzzing_has_a_time_and_perhaps_a_target() {
    let fuzz = |target: Option<&str>, seconds| {
        Ok(Command::Fuzz(Fuzz { target: target.map(str::to_owned), seconds }))
    };
    assert_eq!(parse("campaign fuzz --seconds 300"), fuzz(None, 300));
    let one = parse("campaign fuzz --target error_json --seconds 1");
    assert_eq!(one, fuzz(Some("error_json"), 1));
}

#[test]
fn the_checks_can_be_narrowed_to_sections() {
    let sections = vec!["fmt".to_owned(), "docs".to_owned()];
    assert_eq!(parse("ci fmt docs"), Ok(Command::Ci { sections }));
    assert_eq!(parse("ci"), Ok(Command::Ci { sections: Vec::new() }));
}

#[test]
fn the_peers_of_the_ledger_are_measured_apart() {
    assert_eq!(parse("perf"), Ok(Command::Perf));
    assert_eq!(parse("perf ledger-peers"), Ok(Command::LedgerPeers));
}

#[test]
fn what_is_wrong_is_named() {
    for (line, named) in [
        ("", "missing"),
        ("cl", "`cl`"),
        ("ci everything", "`everything`"),
        ("tidy now", "`now`"),
        ("perf fast", "`fast`"),
        ("perf ledger-peers twice", "`twice`"),
        ("campaign", "storm, kill, ledger-kill or fuzz"),
        ("campaign ledger-kill --seeds 1..2 --market prices", "`--market`"),
        ("campaign calm --seeds 1..2", "`calm`"),
        ("campaign storm", "`--seeds` is missing"),
        ("campaign storm --seeds", "`--seeds` needs a value"),
        ("campaign storm --seeds 5..1", "5..1"),
        ("campaign storm --seeds all", "all"),
        ("campaign storm --seeds 1..2 --speed 3", "`--speed`"),
        ("campaign fuzz", "`--seconds` is missing"),
        ("campaign fuzz --seconds 0", "--seconds 0"),
        ("campaign fuzz --seconds soon", "soon"),
        ("campaign fuzz --seeds 1..2", "`--seeds`"),
    ] {
        let why = parse(line).expect_err(line);
        assert!(why.contains(named), "{line}: {why}");
    }
}
