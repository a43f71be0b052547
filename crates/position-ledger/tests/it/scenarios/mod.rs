//! Acceptance scenarios from JSON files; this module plays a case, its siblings judge it.

mod events;
mod expect;
mod gate;
mod sealed;
mod shared;

use std::collections::BTreeMap;

use backstop_clock::Timestamp;
use backstop_position_ledger::error::{AppendError, Fault, VerifyError};
use backstop_position_ledger::journal::{Checkpoint, Journal, Record, verify_against};
use backstop_position_ledger::pnl::{Kind, Snapshot};
use backstop_position_ledger::{
    Account, Durability, Entry, InstrumentId, Instruments, Ledger, MemoryJournal, Outcome,
};
use backstop_testkit::scenarios::{self, Verdict};
use serde_json::{Value, json};

use crate::kit::currency;
use events::Rejection;
use shared::Shared;

#[test]
fn scenarios() {
    scenarios::run("position-ledger", env!("CARGO_MANIFEST_DIR"), |_file, case| match gate::check(
        case,
    )
    .and_then(|()| play(case))
    {
        Ok(()) => Verdict::Passed,
        Err(why) => Verdict::Failed(why),
    });
}

type Checked = Result<(), String>;

fn play(case: &Value) -> Checked {
    let end = &case["expect"];
    let Some(variants) = case.get("variants") else {
        let book = Book::after(case, &case["events"])?;
        return expect::state(book.ledger.books(), end);
    };
    let mut checksums = Vec::new();
    for variant in variants.as_array().ok_or("variants are no list")? {
        let book = Book::after(case, &variant["events"])?;
        expect::state(book.ledger.books(), end)
            .map_err(|why| format!("variant {}: {why}", variant["name"]))?;
        checksums.push(sealed::figures(book.ledger.books())?);
    }
    let same = checksums.windows(2).all(|pair| pair[0] == pair[1]);
    expect::equal("same_checksum", end.get("same_checksum"), &json!(same))
}

/// A ledger under test, with what the events of a case keep beside it.
struct Book {
    ledger: Ledger,
    snapshots: BTreeMap<String, Snapshot>,
    /// The journal with its image at each snapshot.
    images: BTreeMap<String, MemoryJournal>,
    journal: Shared,
    tampered: Option<Vec<Record>>,
    /// The instrument of events that name none.
    instrument: String,
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value[key].as_str().ok_or_else(|| format!("{key} is {}", value[key]))
}

fn number(value: &Value, key: &str) -> Result<u64, String> {
    value[key].as_u64().ok_or_else(|| format!("{key} is {}", value[key]))
}

/// When an event happened; nothing stands for the epoch.
fn time(event: &Value) -> Result<i64, String> {
    match event.get("at_ms") {
        None | Some(Value::Null) => Ok(0),
        Some(at) => at.as_i64().ok_or_else(|| format!("at_ms is {at}")),
    }
}

impl Book {
    fn after(case: &Value, events: &Value) -> Result<Self, String> {
        let single = case.get("instrument").map(std::slice::from_ref);
        let listed =
            single.or(case["instruments"].as_array().map(Vec::as_slice)).ok_or("no instruments")?;
        let (mut contracts, mut known) = (Vec::new(), Vec::new());
        for row in listed {
            contracts.push(events::instrument(row, case)?);
            known.extend([text(row, "base")?, text(row, "quote")?, text(row, "settlement")?]);
        }
        known.extend(case["currencies"].as_array().into_iter().flatten().filter_map(Value::as_str));
        let instruments = Instruments::new(contracts).unwrap();
        let instruments =
            known.into_iter().fold(instruments, |all, code| all.with_currency(currency(code)));
        let journal = Shared::default();
        let mut book = Self {
            ledger: Ledger::open(Box::new(journal.clone()), instruments).unwrap(),
            images: BTreeMap::new(),
            journal,
            snapshots: BTreeMap::new(),
            tampered: None,
            instrument: text(&listed[0], "id")?.to_owned(),
        };
        for (place, event) in events.as_array().ok_or("events are no list")?.iter().enumerate() {
            book.step(event).map_err(|why| format!("event {}: {why}", place + 1))?;
        }
        Ok(book)
    }

    fn step(&mut self, event: &Value) -> Checked {
        let expected = &event["expect"];
        match text(event, "do")? {
            "repeat" => self.repeat(event),
            "check" => expect::state(self.ledger.books(), expected),
            "state_at" => {
                let books =
                    self.ledger.as_of(number(event, "seq")?).map_err(|error| error.to_string())?;
                expect::state(&books, expected)
            }
            "replay" => self.replay(event),
            "restore" => {
                self.ledger = self.resumed(text(event, "name")?)?;
                expect::state(self.ledger.books(), expected)
            }
            "snapshot" => {
                let snapshot = expect::snapshot(self.ledger.books(), &event["marks"])?;
                let length = json!(snapshot.checksum.to_string().len());
                self.snapshots.insert(text(event, "name")?.to_owned(), snapshot);
                self.ledger.keep_image().map_err(|error| error.to_string())?;
                let kept = self.journal.copy();
                self.images.insert(text(event, "name")?.to_owned(), kept);
                expect::equal("checksum_hex_len", expected.get("checksum_hex_len"), &length)?;
                expect::state(self.ledger.books(), expected)
            }
            "edit_snapshot" => {
                let edited = sealed::edited(self.snapshot(event, "name")?, event)?;
                self.snapshots.insert(text(event, "name")?.to_owned(), edited);
                Ok(())
            }
            "validate_snapshot" => {
                let found = self.ledger.verify_snapshot(self.snapshot(event, "name")?);
                sealed::validation(&found, expected)
            }
            "tamper" => self.tamper(event),
            "verify" => self.verify(event),
            _ => self.entry(event),
        }
    }

    fn repeat(&mut self, event: &Value) -> Checked {
        let (times, first) = (number(event, "times")?, event["first"].as_u64().unwrap_or(1));
        let step = event["step_ms"].as_i64().unwrap_or_default();
        let mut at = time(&event["event"])?;
        for turn in 0..times {
            let named = event["event"].to_string().replace("{n}", &(first + turn).to_string());
            let mut named: Value =
                serde_json::from_str(&named).map_err(|error| error.to_string())?;
            named["at_ms"] = json!(at);
            self.step(&named).map_err(|why| format!("turn {turn}: {why}"))?;
            at += step;
        }
        Ok(())
    }

    fn entry(&mut self, event: &Value) -> Checked {
        let (version, expected) = (self.ledger.version(), &event["expect"]);
        // Where it is expected to be booked, anything else is a failure already.
        let is_awaited =
            ["applied", "voided", "recorded"].iter().any(|is| expected["result"] == *is);
        let before = (!is_awaited).then(|| self.ledger.books().clone());
        let result = self.book(event, time(event)?);
        let booked = matches!(
            result,
            Ok(Outcome::Applied { .. } | Outcome::Voided { .. } | Outcome::Recorded { .. })
        );
        if !booked && before.is_some_and(|before| *self.ledger.books() != before) {
            return Err("an event that was not booked changed the books".to_owned());
        }
        if booked && self.ledger.version() != version + 1 {
            return Err("an event that was booked is not one entry".to_owned());
        }
        expect::result(&result, expected)?;
        if expected.get("legs").is_none() {
            return Ok(());
        }
        let booked = self.ledger.books().fills().last().ok_or("no fill was booked")?;
        let (id, trade_id) = (&booked.fill.instrument, &booked.fill.trade_id);
        let legs = self.ledger.books().legs(&booked.account, id, trade_id);
        let legs = legs.map_err(|error| error.to_string())?.ok_or("no legs")?;
        expect::legs(&legs, &expected["legs"])
    }

    fn book(&mut self, event: &Value, at: i64) -> Result<Outcome, Rejection> {
        let instrument = event["instrument"].as_str().unwrap_or(&self.instrument);
        let known = InstrumentId::new(instrument).ok();
        let terms = known.and_then(|id| self.ledger.books().instruments().find(&id).cloned());
        let fact = events::fact(event, instrument, terms.as_ref())?;
        let at = Timestamp::from_millis(at);
        // By the entry it will be: what is refused leaves no trace, not even in the ids of later ones.
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.ledger.version().to_be_bytes());
        let account = Account::new(event["account"].as_str().unwrap_or("A"))?;
        let entry = Entry::new(Entry::id_at(at, random), account, at, fact);
        let version = event["expected_version"].as_u64();
        if version.is_none() {
            return Ok(self.ledger.append(&entry, Durability::Grouped)?);
        }
        match self.ledger.append_all(&[entry], version, Durability::Grouped) {
            // A group of one that conflicts is a conflict.
            Err(AppendError::GroupConflict { difference, .. }) => Ok(Outcome::Conflict(difference)),
            outcomes => Ok(outcomes?.remove(0)),
        }
    }

    /// A ledger on the image of a snapshot, without anything that came later.
    fn resumed(&mut self, name: &str) -> Result<Ledger, String> {
        let kept = self.images.get(name).ok_or_else(|| format!("no snapshot {name}"))?.clone();
        self.journal = Shared::of(kept);
        let instruments = self.ledger.books().instruments().clone();
        Ledger::resume(Box::new(self.journal.clone()), instruments)
            .map_err(|error| error.to_string())
    }

    fn replay(&self, event: &Value) -> Checked {
        let (expected, live) = (&event["expect"], self.ledger.books());
        let again = match text(event, "from")? {
            "start" => {
                let mut replay = self.ledger.replay();
                replay.run().map_err(|error| error.to_string())?;
                replay.into_books()
            }
            name => {
                let mut journal =
                    self.images.get(name).ok_or_else(|| format!("no snapshot {name}"))?.clone();
                let after = journal.head().unwrap().sequence;
                let tail = self.ledger.journal().read(after, usize::MAX).unwrap();
                journal.append(tail, Durability::Grouped).unwrap();
                let resumed = Ledger::resume(Box::new(journal), live.instruments().clone());
                resumed.map_err(|error| error.to_string())?.books().clone()
            }
        };
        if let Some(wanted) = expected.get("same_checksum") {
            let taken = |books| expect::snapshot(books, &Value::Null);
            let same = taken(&again)?.checksum == taken(live)?.checksum;
            expect::equal("same_checksum", Some(wanted), &json!(same))?;
        }
        expect::equal("same_state", expected.get("same_state"), &json!(again == *live))?;
        expect::state(&again, expected)
    }

    fn snapshot(&self, event: &Value, key: &str) -> Result<&Snapshot, String> {
        self.snapshots.get(text(event, key)?).ok_or_else(|| format!("no snapshot {}", event[key]))
    }

    fn stored(&self) -> Vec<Record> {
        self.ledger.journal().read(0, usize::MAX).unwrap()
    }

    /// Each damage is done to a copy of what is stored.
    fn tamper(&mut self, event: &Value) -> Checked {
        let mut records = self.stored();
        let all = records.len();
        let place = |key: &str| {
            let seq = usize::try_from(number(event, key)?).unwrap();
            let place = seq.checked_sub(1).filter(|place| *place < all);
            place.ok_or_else(|| format!("no entry {seq}"))
        };
        match text(event, "kind")? {
            "flip_byte" => {
                let body = &mut records[place("seq")?].body;
                let middle = body.len() / 2;
                body[middle] ^= 0x01;
            }
            "delete" => drop(records.remove(place("seq")?)),
            "swap" => records.swap(place("seq")?, place("with_seq")?),
            "torn_tail" => {
                let body = &mut records.last_mut().ok_or("an empty journal")?.body;
                body.truncate(body.len() / 2);
            }
            "cut_tail" => drop(records.pop()),
            other => return Err(format!("unknown damage {other}")),
        }
        self.tampered = Some(records);
        Ok(())
    }

    fn verify(&self, event: &Value) -> Checked {
        let known = match event.get("against") {
            Some(_) => self.snapshot(event, "against")?.checkpoint(),
            None => Checkpoint::START,
        };
        let mut records = self.tampered.clone().unwrap_or_else(|| self.stored());
        let check = |records: &[Record]| {
            verify_against(&MemoryJournal::from_records(records.to_vec()), known)
        };
        let (mut found, mut torn) = (check(&records), Value::Null);
        if let Err(VerifyError::Broken { sequence, fault: Fault::Torn }) = found {
            // It is cut off, and the rest is judged.
            torn = json!(sequence);
            records.pop();
            found = check(&records);
        }
        let expected = &event["expect"];
        let (ok, bad) = match found {
            Ok(_) => (true, Value::Null),
            Err(VerifyError::Broken { sequence, .. }) => (false, json!(sequence)),
            Err(other) => return Err(other.to_string()),
        };
        expect::equal("ok", expected.get("ok"), &json!(ok))?;
        expect::equal("first_bad_seq", expected.get("first_bad_seq"), &bad)?;
        expect::equal("torn_seq", expected.get("torn_seq"), &torn)
    }
}

/// The occasion does not matter to a case.
const OCCASION: Kind = Kind::Periodic;
