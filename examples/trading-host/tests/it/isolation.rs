//! What is wrong with one instrument sets that instrument apart, and the others trade on.

use std::{collections::BTreeMap, path::Path, rc::Rc, time::Duration};

use backstop_clock::Timestamp;
use backstop_dlq::{
    DeadLetterStore as _, Letter, LetterId, Message, Reason, SqliteStore, State,
    history::{Attempts, Settlement},
};
use backstop_position_ledger::{
    Fact,
    action::Subject,
    order::{Intent, Status},
};
use backstop_storage::Database;
use rust_decimal::Decimal;
use serde_json::Value;
use tempfile::TempDir;
use trading_host::{
    events::STREAM,
    host::run as run_host,
    operator::{self, Operator},
    setup::DATABASE,
    strategy::Style,
};

use crate::{
    command_line::{host, run, told},
    proof::Doctored,
    stage::{Ending, Fate, START, Set, Stage, at, broken, contents, january},
};

/// Holds two instruments, rests in the book of the first, and wants more of both at 400 s.
fn stage() -> Stage {
    let limit = Style::Limit { price: Decimal::from(9), good_for: Duration::from_hours(1) };
    Stage::new(2, 800)
        .wishing(20, 0, 100)
        .wishing(20, 1, 100)
        .wishing_in_style(150, 0, 300, limit)
        .wishing(400, 0, 200)
        .wishing(400, 1, 200)
}

/// When and why an instrument was set apart, by the journal.
fn isolations(ending: &Ending) -> Vec<(String, Timestamp, String)> {
    let entries = ending.entries().into_iter();
    let isolated = entries.filter_map(|entry| match entry.fact {
        Fact::Isolated { subject: Subject::Instrument(id), reason } => {
            Some((id.as_str().to_owned(), entry.journaled_at, reason.to_string()))
        }
        _ => None,
    });
    isolated.collect()
}

/// How many orders came for each instrument after a moment.
fn sent_after(ending: &Ending, moment: Timestamp) -> BTreeMap<String, usize> {
    let mut sent = BTreeMap::new();
    let orders = ending.orders();
    let intents: BTreeMap<_, &Intent> =
        orders.iter().map(|order| (order.intent().tag, order.intent())).collect();
    for (_, tag) in ending.audit.submits.iter().filter(|(at, _)| *at > moment) {
        *sent.entry(intents[tag].instrument.as_str().to_owned()).or_default() += 1;
    }
    sent
}

/// What holds whenever the first instrument was set apart at about 200 s.
fn only_the_first_is_apart(ending: &Ending, alert: &str) {
    let isolations = isolations(ending);
    let [(symbol, since, reason)] = &*isolations else { panic!("{isolations:?}") };
    assert_eq!(symbol, "AAA");
    assert!(*since > at(200) && *since < at(320), "{since}");
    assert_eq!(ending.report.isolated, BTreeMap::from([("AAA".to_owned(), reason.clone())]));
    // Its order was taken from the book and no other sent; the other instrument trades on.
    let resting = ending.orders().into_iter().find(|order| order.intent().limit.is_some()).unwrap();
    assert_eq!(resting.status(), Status::Cancelled);
    assert_eq!(sent_after(ending, at(210)), BTreeMap::from([("BBB".to_owned(), 1)]));
    assert_eq!((ending.held("AAA"), ending.held("BBB")), (100.into(), 200.into()));
    assert_eq!(ending.report.halted, None);
    // A human hears of it, once, and the run is not well.
    assert_eq!(ending.alerts.len(), 1, "{:?}", ending.alerts);
    assert_eq!(ending.alerts[0].name, alert);
    assert!(ending.alerts[0].text.contains("AAA"), "{}", ending.alerts[0].text);
    assert!(ending.broken().contains(&"nothing_left_to_a_human"), "{:?}", ending.broken());
    assert!(!ending.broken().contains(&"nothing_sent_while_apart"));
    assert!(!ending.broken().contains(&"snapshots_verify"), "{:?}", ending.broken());
}

#[test]
fn a_position_that_nothing_explains() {
    for units in [-7, 7] {
        let mut stage = stage();
        stage.script.moved = Some((at(200), "AAA", units.into()));
        let ending = stage.play();
        only_the_first_is_apart(&ending, "instrument_differs");
        assert_eq!(ending.broken(), ["books_equal_venue", "nothing_left_to_a_human"]);
    }
}

#[test]
fn a_trade_of_another_content_is_of_its_instrument_alone() {
    // Told at its own price by the stream, and at another by the statement of the gap.
    let mut stage = Stage::new(2, 800).wishing(20, 0, 100).wishing(20, 1, 100).wishing(210, 1, 200);
    stage.script.restated = Some(1);
    stage.script.events.insert(6, Fate::Never);
    let ending = stage.wishing(400, 0, 200).play();
    let isolations = isolations(&ending);
    assert_eq!(isolations.len(), 1, "{isolations:?}");
    assert_eq!(isolations[0].0, "AAA");
    assert!(isolations[0].2.contains("trade_mismatch"), "{}", isolations[0].2);
    assert_eq!((ending.held("AAA"), ending.held("BBB")), (100.into(), 200.into()));
    assert_eq!((ending.report.halted.as_ref(), ending.alerts.len()), (None, 1));
}

#[test]
fn money_that_differs_for_long_beside_it_is_told_once_and_left() {
    let mut stage = Stage::new(2, 2_400).wishing(20, 0, 100).wishing(20, 1, 100);
    stage.script.moved = Some((at(200), "AAA", 7.into()));
    stage.script.drift = Some((at(400), "-12.34".parse().unwrap()));
    let ending = stage.play();
    let names: Vec<_> = ending.alerts.iter().map(|alert| alert.name).collect();
    assert_eq!(names, ["instrument_differs", "money_unexplained"]);
    let alert = &ending.alerts[1];
    assert!(alert.at > at(1_000) && alert.at < at(1_220), "{}", alert.at);
    for part in ["USD", "-12.34", "10 min", "AAA"] {
        assert!(alert.text.contains(part), "{} without {part}", alert.text);
    }
    assert_eq!((ending.adjustments().len(), ending.report.halted), (0, None));
}

#[test]
fn without_it_the_run_would_have_traded_on() {
    let ending = stage().play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!((isolations(&ending), ending.report.isolated.len()), (Vec::new(), 0));
    assert_eq!((ending.held("AAA"), ending.held("BBB")), (200.into(), 200.into()));
}

#[test]
fn an_order_that_was_sent_for_it_all_the_same_is_found() {
    let mut stage = stage();
    stage.script.moved = Some((at(200), "AAA", 7.into()));
    let Set { mut ports, venue, .. } = stage.set();
    // The first order of the run is one for the instrument.
    ports.venue = Rc::new(Doctored::new(venue, |audit| audit.submits[0].0 = at(700)));
    let report = run_host(ports, stage.settings).unwrap();
    assert!(report.isolated.contains_key("AAA"));
    assert!(broken(&report).contains(&"nothing_sent_while_apart"), "{:?}", broken(&report));
}

/// The folder of a killed run in which a letter of a symbol waits for a human.
fn with_a_quarantined_letter(market: &Path, symbol: &str) -> (TempDir, LetterId) {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--crash-at", "booked:2"];
    assert_eq!(told(&run(market, Some(folder.path()), &more)).0, None, "killed");
    let db = Database::open(&folder.path().join(DATABASE)).unwrap();
    let store = SqliteStore::open(&db).unwrap();
    let message = Message::new(STREAM, 1_000_000, b"torn".to_vec(), START);
    let message = message.with_key(symbol.as_bytes().to_vec());
    let letter = Letter::dead(message, Reason::Undecodable, Attempts::default(), START);
    pollster::block_on(store.put(&letter)).unwrap();
    let (reason, attempts) = (Reason::Undecodable, Attempts::default());
    let failed = Settlement::Failed { reason, attempts, replays_max: 1 };
    let letter = pollster::block_on(store.settle(letter.id(), failed)).unwrap();
    assert_eq!(letter.state(), State::Quarantined);
    (folder, letter.id())
}

fn state_of(folder: &Path, id: LetterId) -> State {
    let db = Database::open(&folder.join(DATABASE)).unwrap();
    let store = SqliteStore::open(&db).unwrap();
    pollster::block_on(store.letter(id)).unwrap().unwrap().state()
}

#[test]
fn a_release_lets_the_letters_be_replayed_that_waited_for_a_human() {
    let market = january();
    let (folder, id) = with_a_quarantined_letter(market.path(), "EURUSD");
    let operator = || Operator::at(folder.path(), Some(market.path())).unwrap();
    let words = |words: &str| words.parse().unwrap();
    assert_eq!(operator().isolate("EURUSD", &words("it is torn")).unwrap(), None);
    assert_eq!(operator().release("AAPL", &words("never set apart")).unwrap(), None);
    let released = operator().release("EURUSD", &words("it is mended")).unwrap().unwrap();
    assert_eq!((released.letters, &*released.isolation.reason.to_string()), (1, "it is torn"));
    assert_eq!(state_of(folder.path(), id), State::Dead);
}

#[test]
fn an_interrupted_release_is_completed_by_another() {
    let market = january();
    let (folder, id) = with_a_quarantined_letter(market.path(), "EURUSD");
    let operator = || Operator::at(folder.path(), Some(market.path())).unwrap();
    let words = |words: &str| words.parse().unwrap();
    assert_eq!(operator().isolate("EURUSD", &words("it is torn")).unwrap(), None);
    // As far as it came: the letter is to be replayed, the instrument is still set apart.
    let decided = operator().release_letter(id, &words("it is mended")).unwrap();
    assert_eq!(decided.isolation.unwrap().reason.as_str(), "it is torn");
    let released = operator().release("EURUSD", &words("it is mended")).unwrap().unwrap();
    assert_eq!(released.letters, 1);
    assert_eq!(operator().release("EURUSD", &words("again")).unwrap(), None);
}

#[test]
fn a_letter_of_an_unknown_symbol_is_settled_by_its_id() {
    let market = january();
    let (folder, id) = with_a_quarantined_letter(market.path(), "ZZZ");
    let id_text = id.to_string();
    let operate = |args: &[&str]| {
        let at = ["--data-dir", folder.path().to_str().unwrap()];
        let market = ["--market", market.path().to_str().unwrap()];
        let more = if args[0] == "lift" { &[][..] } else { &market };
        let args = args.iter().chain(&at).chain(more).chain(&["--reason", "looked into"]);
        told(&host(args.copied()))
    };
    let (status, halted) = report(market.path(), folder.path());
    assert_eq!(status, Some(1));
    for words in ["\"ZZZ\"", "not traded here", "`discard --letter ID`", "`lift`"] {
        assert!(halted["halted"].as_str().unwrap().contains(words), "{}", halted["halted"]);
    }
    assert_eq!(halted["open_letters"][0]["symbol"], "ZZZ");

    // Neither instrument nor halt is what holds it.
    for command in ["isolate", "release"] {
        let (status, out, err) = operate(&[command, "--instrument", "ZZZ"]);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{command}");
        let words = "trading-host: ZZZ is not traded here; a letter that names it goes by its id\n";
        assert_eq!(err, words, "{command}");
    }
    let (_, out, _) = operate_look("letters", market.path(), folder.path());
    assert!(out.contains(&format!("{id_text} venue/1000000 of \"ZZZ\" quarantined")), "{out}");

    let (status, out, err) = operate(&["release", "--letter", &id_text]);
    assert_eq!(out, format!("released letter {id_text} of \"ZZZ\"; the next run replays it\n"));
    assert_eq!((status, state_of(folder.path(), id)), (Some(0), State::Dead), "{err}");
    let (status, _, err) = operate(&["release", "--letter", &id_text]);
    assert!(status == Some(2) && err.contains("is dead, which does not allow"), "{err}");
    let (status, out, err) = operate(&["discard", "--letter", &id_text]);
    assert!(status == Some(0) && out.starts_with("discarded letter "), "{out}{err}");
    assert_eq!(state_of(folder.path(), id), State::Discarded);
    let (status, _, err) = operate(&["discard", "--letter", &"0".repeat(32)]);
    assert!(status == Some(2) && err.contains("there is no letter 000000"), "{err}");

    assert_eq!(operate(&["lift"]).0, Some(0));
    let (status, level) = report(market.path(), folder.path());
    assert_eq!((status, level["halted"].is_null()), (Some(0), true), "{level:#}");
}

#[test]
fn a_trade_that_only_a_discarded_letter_told_of_is_found_by_comparison() {
    let (market, folder) = (january(), tempfile::tempdir().unwrap());
    let (at, path) = (folder.path().to_str().unwrap(), market.path().to_str().unwrap());
    assert_eq!(
        told(&run(market.path(), Some(folder.path()), &["--crash-at", "lettered:1"])).0,
        None
    );
    let (_, listed, _) = operate_look("letters", market.path(), folder.path());
    let id = listed.split(' ').next().unwrap();
    let args = ["discard", "--data-dir", at, "--market", path, "--letter", id, "--reason", "torn"];
    let (status, _, err) = told(&host(args));
    assert_eq!(status, Some(0), "{err}");
    let (status, level) = report(market.path(), folder.path());
    // It is in the books, and the report says that no fault of the venue's explains how.
    let broken = |check: &&Value| check["holds"] != Value::Bool(true);
    let broken: Vec<_> = level["invariants"].as_array().unwrap().iter().filter(broken).collect();
    assert_eq!((status, broken.len()), (Some(1), 1), "{broken:?}");
    assert_eq!(broken[0]["name"], Value::from("every_trade_once"));
    let words = "was recovered, and had not been lost";
    assert!(broken[0]["detail"].as_str().unwrap().contains(words), "{broken:?}");
    assert_eq!(figure(&level, "/dead_letters/remaining"), 0);
}

fn operate_look(look: &str, market: &Path, folder: &Path) -> (Option<i32>, String, String) {
    let (market, folder) = (market.to_str().unwrap(), folder.to_str().unwrap());
    told(&host([look, "--data-dir", folder, "--market", market]))
}

#[test]
fn a_reason_is_kept_whole_or_refused() {
    let market = january();
    let (folder, id) = with_a_quarantined_letter(market.path(), "EURUSD");
    let before = contents(folder.path());
    let (at, id) = (folder.path().to_str().unwrap(), id.to_string());
    let (longest, too_long) = ("x".repeat(512), "x".repeat(513));
    let on: [&[&str]; 5] = [
        &["lift"],
        &["isolate", "--instrument", "EURUSD"],
        &["release", "--instrument", "EURUSD"],
        &["release", "--letter", &id],
        &["discard", "--letter", &id],
    ];
    for command in on {
        let told_of = |reason| {
            let args = command.iter().copied().chain(["--data-dir", at, "--reason", reason]);
            told(&host(args))
        };
        for (reason, words) in [
            ("", "--reason <WORDS>"),
            (" ", "a reason must not be empty"),
            (&too_long, "a reason must have at most 512 bytes, not 513"),
            ("two\nlines", "have no control characters"),
        ] {
            let (status, _, err) = told_of(reason);
            assert!(status == Some(2) && err.contains(words), "{command:?} {reason:?}: {err}");
        }
    }
    assert!(contents(folder.path()) == before);
    let words: operator::Reason = longest.parse().unwrap();
    let operator = || Operator::at(folder.path(), Some(market.path())).unwrap();
    operator().isolate("EURUSD", &words).unwrap();
    assert_eq!(operator().isolate("EURUSD", &words).unwrap().unwrap().reason.as_str(), longest);
}

/// One number of a report.
fn figure(report: &Value, pointer: &str) -> u64 {
    report.pointer(pointer).unwrap().as_u64().unwrap()
}

fn report(market: &Path, folder: &Path) -> (Option<i32>, Value) {
    let more = ["--seed", "1", "--report", "json"];
    let (status, out, err) = told(&run(market, Some(folder), &more));
    (status, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")))
}

#[test]
fn an_operator_sets_apart_and_releases_between_two_runs() {
    let (market, folder) = (january(), tempfile::tempdir().unwrap());
    let more = ["--seed", "1", "--crash-at", "booked:2"];
    let (status, ..) = told(&run(market.path(), Some(folder.path()), &more));
    assert_eq!(status, None, "killed");
    let operate = |command, symbol, reason| {
        let at = folder.path().to_str().unwrap();
        let market = market.path().to_str().unwrap();
        let args = [command, "--data-dir", at, "--market", market, "--instrument", symbol];
        told(&host(args.into_iter().chain(["--reason", reason])))
    };
    let (status, out, err) = operate("release", "EURUSD", "no reason");
    assert_eq!((status, out.trim()), (Some(1), "EURUSD is not set apart"), "{err}");
    let (status, out, err) = operate("isolate", "EURUSD", "its feed looks wrong");
    assert_eq!((status, out.trim()), (Some(0), "set EURUSD apart"), "{err}");
    let (status, out, _) = operate("isolate", "EURUSD", "again");
    assert!(status == Some(1) && out.contains("its feed looks wrong"), "{out}");
    let (status, _, err) = operate("isolate", "XAUUSD", "not traded here");
    assert!(status == Some(2) && err.contains("XAUUSD"), "{err}");

    // What was on its way waits in letters; nothing more is sent, and the others trade on.
    let (status, held_back) = report(market.path(), folder.path());
    assert_eq!(held_back["isolated"]["EURUSD"], Value::from("its feed looks wrong"));
    // Whoever was told of it may not have heard: the next process tells it again.
    let told_again = held_back["last_alerts"][0].as_str().unwrap();
    assert!(told_again.contains("still_apart: EURUSD") && told_again.contains("looks wrong"));
    let broken: Vec<_> = held_back["invariants"].as_array().unwrap().iter().collect();
    let broken = |name: &str| {
        broken.iter().any(|check| check["name"] == name && check["holds"] == Value::Bool(false))
    };
    assert!(!broken("nothing_sent_while_apart") && !broken("snapshots_verify"));
    assert_eq!((status, held_back["halted"].is_null()), (Some(1), true));
    assert!(broken("every_trade_once") && figure(&held_back, "/dead_letters/remaining") > 0);
    assert_eq!(figure(&held_back, "/reconciliation/manual"), 0);
    // It was not tried in vain until it would have waited for a human.
    assert_eq!(held_back["open_letters"][0]["state"], Value::from("dead"));

    // Released, the letters are booked, and everything holds.
    let (status, out, err) = operate("release", "EURUSD", "the feed is right");
    assert!(status == Some(0) && out.starts_with("released EURUSD, set apart since"), "{out}{err}");
    let (status, level) = report(market.path(), folder.path());
    assert_eq!(status, Some(0), "{level:#}");
    assert_eq!(figure(&level, "/dead_letters/remaining"), 0);
    assert!(figure(&level, "/fills/total") > figure(&held_back, "/fills/total"));
    assert_eq!(level["isolated"], Value::Object(serde_json::Map::new()));
}
