//! Acceptance scenarios from JSON files; this module plays a case, its siblings judge it.

mod expect;
mod gate;

use std::collections::BTreeMap;

use backstop_clock::Timestamp;
use backstop_position_ledger::error::{AmountError, AppendError, Fault, NameError, VerifyError};
use backstop_position_ledger::fill::{Fill, Side, Source, TradeId};
use backstop_position_ledger::journal::{Checkpoint, Record, verify_against};
use backstop_position_ledger::pnl::{Kind, Snapshot};
use backstop_position_ledger::{
    Account, Amount, Books, Currency, Durability, Entry, Fact, Instrument, InstrumentId,
    Instruments, Ledger, MemoryJournal, Outcome,
};
use backstop_testkit::scenarios::{self, Verdict};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::{amount, currency, instrument_id};

#[test]
fn scenarios() {
    scenarios::run("position-ledger", env!("CARGO_MANIFEST_DIR"), |_file, case| {
        match gate::is_expressible(case) {
            Err(why) => Verdict::Failed(why),
            Ok(false) => Verdict::Pending,
            Ok(true) => match play(case) {
                Ok(()) => Verdict::Passed,
                Err(why) => Verdict::Failed(why),
            },
        }
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
        checksums.push(expect::snapshot(book.ledger.books(), &Value::Null).checksum);
    }
    let same = checksums.windows(2).all(|pair| pair[0] == pair[1]);
    expect::equal("same_checksum", end.get("same_checksum"), &json!(same))
}

/// A ledger under test, with what the events of a case keep beside it.
struct Book {
    ledger: Ledger,
    entries: u64,
    snapshots: BTreeMap<String, Snapshot>,
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

impl Book {
    fn after(case: &Value, events: &Value) -> Result<Self, String> {
        let single = case.get("instrument").map(std::slice::from_ref);
        let listed =
            single.or(case["instruments"].as_array().map(Vec::as_slice)).ok_or("no instruments")?;
        let mut contracts = Vec::new();
        let mut known = vec![];
        for row in listed {
            let steps = (amount(text(row, "price_step")?), amount(text(row, "lot_step")?));
            let id = instrument_id(text(row, "id")?);
            let contract =
                Instrument::new(id, currency(text(row, "settlement")?), steps.0, steps.1).unwrap();
            contracts.push(contract.with_multiplier(amount(text(row, "multiplier")?)).unwrap());
            known.extend([text(row, "base")?, text(row, "quote")?]);
        }
        known.extend(case["currencies"].as_array().into_iter().flatten().filter_map(Value::as_str));
        let instruments = Instruments::new(contracts).unwrap();
        let instruments =
            known.into_iter().fold(instruments, |all, code| all.with_currency(currency(code)));
        let mut book = Self {
            ledger: Ledger::open(Box::new(MemoryJournal::new()), instruments).unwrap(),
            entries: 0,
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
            "fill" => self.fill(event),
            "repeat" => self.repeat(event),
            "check" => expect::state(self.ledger.books(), expected),
            "state_at" => {
                let books =
                    self.ledger.as_of(number(event, "seq")?).map_err(|error| error.to_string())?;
                expect::state(&books, expected)
            }
            "replay" => self.replay(expected),
            "snapshot" => {
                let snapshot = expect::snapshot(self.ledger.books(), &event["marks"]);
                let length = json!(snapshot.checksum.to_string().len());
                self.snapshots.insert(text(event, "name")?.to_owned(), snapshot);
                expect::equal("checksum_hex_len", expected.get("checksum_hex_len"), &length)
            }
            "edit_snapshot" => self.edit(event),
            "validate_snapshot" => {
                let found = self.ledger.verify_snapshot(self.snapshot(event, "name")?);
                expect::validation(&found, expected)
            }
            "tamper" => self.tamper(event),
            "verify" => self.verify(event),
            other => Err(format!("unknown event {other}")),
        }
    }

    fn repeat(&mut self, event: &Value) -> Checked {
        let (times, first, step) =
            (number(event, "times")?, number(event, "first")?, number(event, "step_ms")?);
        for turn in 0..times {
            let named = event["event"].to_string().replace("{n}", &(first + turn).to_string());
            let mut named: Value =
                serde_json::from_str(&named).map_err(|error| error.to_string())?;
            named["at_ms"] = json!(number(&event["event"], "at_ms")? + turn * step);
            self.step(&named).map_err(|why| format!("turn {turn}: {why}"))?;
        }
        Ok(())
    }

    fn fill(&mut self, event: &Value) -> Checked {
        let (before, expected) = (self.ledger.books().clone(), &event["expect"]);
        let result = self.book(event);
        if !matches!(result, Ok(Outcome::Applied { .. })) && *self.ledger.books() != before {
            return Err("a fill that was not applied changed the books".to_owned());
        }
        expect::result(&result, expected)?;
        if expected.get("legs").is_none() {
            return Ok(());
        }
        let booked = self.ledger.books().fills().last().ok_or("no fill was booked")?;
        expect::legs(&booked.legs().map_err(|error| error.to_string())?, &expected["legs"])
    }

    fn book(&mut self, event: &Value) -> Result<Outcome, Rejection> {
        let instrument = event["instrument"].as_str().unwrap_or(&self.instrument).to_owned();
        let default_fee = self.quote(&instrument);
        let fee = event["fee"].as_str().unwrap_or("0");
        let fill = Fill {
            trade_id: TradeId::new(event["trade_id"].as_str().unwrap_or_default())?,
            order_id: order_id(event["order_id"].as_str().unwrap_or_default()),
            instrument: InstrumentId::new(&instrument)?,
            side: if event["side"] == "buy" { Side::Buy } else { Side::Sell },
            quantity: read("qty", event["qty"].as_str())?,
            price: read("price", event["price"].as_str())?,
            fee: read("fee", Some(fee))?,
            fee_currency: Currency::new(event["fee_currency"].as_str().unwrap_or(&default_fee))?,
            source: Source::Stream,
        };
        self.entries += 1;
        let at = Timestamp::from_millis(event["at_ms"].as_i64().unwrap_or_default());
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.entries.to_be_bytes());
        let account = Account::new(event["account"].as_str().unwrap_or("A"))?;
        let entry = Entry::new(Entry::id_at(at, random), account, at, Fact::Filled(fill));
        let version = event["expected_version"].as_u64();
        if version.is_none() {
            return Ok(self.ledger.append(&entry, Durability::Grouped)?);
        }
        let mut outcomes = self.ledger.append_all(&[entry], version, Durability::Grouped)?;
        Ok(outcomes.remove(0))
    }

    fn quote(&self, instrument: &str) -> String {
        let known = InstrumentId::new(instrument).ok();
        let known = known.and_then(|id| self.ledger.books().instruments().find(&id).cloned());
        known.map_or_else(|| "USDT".to_owned(), |contract| contract.quote().to_string())
    }

    fn replay(&self, expected: &Value) -> Checked {
        let mut replay = self.ledger.replay();
        let again = replay.run().map_err(|error| error.to_string())?;
        let checksum = |books: &Books| expect::snapshot(books, &Value::Null).checksum;
        let same = checksum(again) == checksum(self.ledger.books());
        expect::equal("same_checksum", expected.get("same_checksum"), &json!(same))?;
        expect::equal(
            "same_state",
            expected.get("same_state"),
            &json!(again == self.ledger.books()),
        )
    }

    fn snapshot(&self, event: &Value, key: &str) -> Result<&Snapshot, String> {
        self.snapshots.get(text(event, key)?).ok_or_else(|| format!("no snapshot {}", event[key]))
    }

    fn edit(&mut self, event: &Value) -> Checked {
        let mut content = serde_json::to_value(self.snapshot(event, "name")?)
            .map_err(|error| error.to_string())?;
        let pointer =
            format!("/{}", text(event, "field")?.replace(['.', '['], "/").replace(']', ""));
        let field = content.pointer_mut(&pointer).ok_or_else(|| format!("no field {pointer}"))?;
        let held = amount(field.as_str().ok_or("the field is no amount")?);
        *field = json!(held.checked_add(amount(text(event, "add")?)).unwrap());
        let mut edited: Snapshot =
            serde_json::from_value(content).map_err(|error| error.to_string())?;
        if event["reseal"] == true {
            edited.checksum = edited.seal();
        }
        self.snapshots.insert(text(event, "name")?.to_owned(), edited);
        Ok(())
    }

    fn stored(&self) -> Vec<Record> {
        let stored = || self.ledger.journal().read(0, usize::MAX).unwrap();
        self.tampered.clone().unwrap_or_else(stored)
    }

    fn tamper(&mut self, event: &Value) -> Checked {
        let mut records = self.stored();
        let place = |key: &str| number(event, key).map(|seq| usize::try_from(seq).unwrap() - 1);
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
        let found = verify_against(&MemoryJournal::from_records(self.stored()), known);
        let expected = &event["expect"];
        let (mut ok, mut bad, mut torn) = (true, Value::Null, Value::Null);
        match found {
            Ok(_) => {}
            Err(VerifyError::Broken { sequence, fault: Fault::Torn }) => torn = json!(sequence),
            Err(VerifyError::Broken { sequence, .. }) => (ok, bad) = (false, json!(sequence)),
            Err(other) => return Err(other.to_string()),
        }
        expect::equal("ok", expected.get("ok"), &json!(ok))?;
        expect::equal("first_bad_seq", expected.get("first_bad_seq"), &bad)?;
        expect::equal("torn_seq", expected.get("torn_seq"), &torn)
    }
}

/// A case names orders by text; any mapping to UUIDs that keeps them apart will do.
fn order_id(name: &str) -> Uuid {
    let spread = |hash: u128, byte: u8| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
    };
    Uuid::from_u128(name.bytes().fold(0x6c62_272e_07bb_0142, spread))
}

/// Why a fill was not taken, in the words of the format.
#[derive(Debug)]
struct Rejection {
    error: &'static str,
    field: Option<&'static str>,
    versions: Option<(u64, u64)>,
}

impl Rejection {
    const fn validation(field: &'static str) -> Self {
        Self { error: "validation", field: Some(field), versions: None }
    }

    const fn of(error: &'static str) -> Self {
        Self { error, field: None, versions: None }
    }
}

/// Reads an amount of an event; the largest ones stand for what a fill can carry.
fn read(field: &'static str, text: Option<&str>) -> Result<Amount, Rejection> {
    let parsed = match text {
        Some("MAX_QTY" | "MAX_PRICE") => Ok(Amount::MAX),
        Some(text) => text.parse(),
        None => Err(AmountError::Syntax),
    };
    parsed.map_err(|error| match error {
        AmountError::Overflow => Rejection::of("overflow"),
        _ => Rejection::validation(field),
    })
}

impl From<NameError> for Rejection {
    fn from(error: NameError) -> Self {
        Self::validation(error.what)
    }
}

impl From<AppendError> for Rejection {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Invalid(invalid) if invalid.field == "quantity" => Self::validation("qty"),
            AppendError::Invalid(invalid) => Self::validation(invalid.field),
            AppendError::UnknownInstrument(_) => Self::of("unknown_instrument"),
            AppendError::Amount { source: AmountError::Overflow, .. } => Self::of("overflow"),
            AppendError::VersionConflict { expected, actual } => {
                Self { error: "version_conflict", field: None, versions: Some((expected, actual)) }
            }
            other => panic!("not an error of the format: {other}"),
        }
    }
}

/// The occasion does not matter to a case.
const OCCASION: Kind = Kind::Periodic;
