//! The venue's file: what a killed venue remembers, and what it refuses to read.

use std::fs;
use std::path::Path;

use trading_host::faults::Profile;
use trading_host::market::Scripted;
use trading_host::sim_venue::{Outcome, SetupError, SimVenue};
use trading_host::venue::{Audit, Side};
use uuid::Uuid;

use super::{at, config, instrument, order, tick};

const STEPS: u64 = 400;
const STEP_S: u64 = 100;

fn open(path: &Path, seed: u64) -> Result<SimVenue, SetupError> {
    let ticks = (0..STEPS).map(|nth| tick(nth * STEP_S, "10", Some(30))).collect();
    let feed = Scripted::new(vec![instrument("AAA")], ticks);
    SimVenue::resume(Box::new(feed), &config(seed, Profile::Storm, STEPS * STEP_S), path)
}

/// Does what the step `nth` of a run does.
fn step(venue: &mut SimVenue, nth: u64) {
    let now = at(nth * STEP_S + 1);
    let limit = (nth.is_multiple_of(3)).then_some("10.00");
    let side = if nth.is_multiple_of(2) { Side::Buy } else { Side::Sell };
    drop(venue.submit(now, &order(nth.into(), side, 40, limit)));
    drop(venue.events(now, 0));
    if nth.is_multiple_of(5) {
        drop(venue.cancel(at(nth * STEP_S + 2), Uuid::from_u128(nth.saturating_sub(3).into())));
    }
    drop(venue.statement(at(nth * STEP_S + 50), None));
}

fn state(venue: &mut SimVenue, nth: u64) -> Audit {
    venue.audit(at(nth * STEP_S + 60))
}

#[test]
fn a_killed_venue_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("venue.jsonl");
    let mut venue = open(&path, 1).unwrap();
    let mut marks = Vec::new();
    for nth in 0..STEPS {
        step(&mut venue, nth);
        let length = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
        marks.push((length, state(&mut venue, nth)));
    }
    let whole = fs::read(&path).unwrap();
    let (_, last) = marks.last().unwrap();
    assert!(last.faults.iter().any(|fault| fault.kind == "malformed_event"));

    for nth in (0..STEPS).step_by(37) {
        let (length, before) = &marks[usize::try_from(nth).unwrap()];
        // The next line was under way when the process died.
        let killed = dir.path().join(format!("killed-{nth}.jsonl"));
        fs::write(&killed, &whole[..(length + 20).min(whole.len())]).unwrap();
        let mut resumed = open(&killed, 1).unwrap();
        assert_eq!(&state(&mut resumed, nth), before);
        for later in nth + 1..STEPS {
            step(&mut resumed, later);
        }
        assert_eq!(&state(&mut resumed, STEPS - 1), last);
        assert!(fs::read(&killed).unwrap() == whole);
    }
}

#[test]
fn a_killed_venue_begins_no_earlier_than_what_it_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("venue.jsonl");
    let open = || {
        let ticks = (0..STEPS).map(|nth| tick(nth * STEP_S, "10", Some(30))).collect();
        let feed = Scripted::new(vec![instrument("AAA")], ticks);
        let config = config(1, Profile::None, STEPS * STEP_S);
        SimVenue::resume(Box::new(feed), &config, &path).unwrap()
    };
    let mut venue = open();
    drop(venue.submit(at(1), &order(1, Side::Buy, 90, None)));
    let length = || fs::metadata(&path).unwrap().len();
    let submitted = length();
    // The next two ticks fill it; nobody but time has done anything.
    let told = at(2 * STEP_S + 7);
    let Outcome::Answered(Ok(page)) = venue.events(told, 0) else { panic!() };
    assert_eq!(page.head, 4);
    let after = length();
    assert!(after > submitted);
    // What is told again needs no line.
    drop(venue.statement(at(5 * STEP_S), None));
    assert_eq!(length(), after);

    drop(venue);
    let mut resumed = open();
    assert_eq!(resumed.now(), told);
    let Outcome::Answered(Ok(again)) = resumed.events(told, 0) else { panic!() };
    assert_eq!(again, page);
}

#[test]
fn a_broken_line_is_named_and_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("venue.jsonl");
    let mut venue = open(&path, 1).unwrap();
    (0..5).for_each(|nth| step(&mut venue, nth));
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines[2] = "{\"at\":1,\"command\":\"teleport\"}";
    let broken = lines.join("\n") + "\n";
    fs::write(&path, &broken).unwrap();
    let error = open(&path, 1).unwrap_err().to_string();
    assert!(error.contains("venue.jsonl, line 3: ") && error.contains("teleport"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), broken);
}

#[test]
fn a_file_of_another_seed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("venue.jsonl");
    drop(open(&path, 1).unwrap());
    let error = open(&path, 2).unwrap_err().to_string();
    assert!(error.ends_with("venue.jsonl: written with seed 1, not 2"), "{error}");
    drop(open(&path, 1).unwrap());
}

#[test]
fn a_folder_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(open(dir.path(), 1), Err(SetupError::Log(_))));
}
