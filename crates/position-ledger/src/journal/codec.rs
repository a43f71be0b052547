//! Entries as canonical bytes.
//!
//! ```text
//! version (8 bits) | length of the rest (32 bits) | fact (8 bits) | id | account | at | journaled at | cause | content
//!   | terms | strategy | portfolio | more of a fill | rules | revision of a correction
//! ```
//!
//! What is booked on an instrument carries its terms and rules, so that it can be understood without the registry of its day.

use backstop_clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::Digest;
use super::bytes::{Reader, Writer};
use super::facts;
use super::steps::{self, VERSION};
use crate::amount::Amount;
use crate::entry::{Cause, Entry, Fact};
use crate::error::DecodeError;
use crate::fill::{Fill, LotChoice, LotName};
use crate::instrument::Instrument;
use crate::name::{Account, Currency, LegId, Portfolio, Strategy, Text, TradeId};
use crate::rules::{Contract, Method, Mode, Sequencing};

/// Bytes before the fact: the version and the length.
const HEADER: usize = 5;

/// Separates digests of facts from all other uses of SHA-256.
const FACT_DOMAIN: &[u8] = b"backstop.position-ledger.fact.2";

/// The terms of an instrument on which an entry was booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    contract: Contract,
    multiplier: Amount,
    settlement: Currency,
    /// None in entries of version 1, which knew one set of rules.
    rules: Option<Rules>,
}

/// How positions of an instrument are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rules {
    base: Option<Currency>,
    method: Method,
    mode: Mode,
    sequencing: Sequencing,
    fee_places: u8,
}

impl Terms {
    pub(crate) fn of(instrument: &Instrument) -> Self {
        Self {
            contract: instrument.contract(),
            multiplier: instrument.multiplier(),
            settlement: instrument.settlement().clone(),
            rules: Some(Rules {
                base: instrument.base().cloned(),
                method: instrument.method(),
                mode: instrument.mode(),
                sequencing: instrument.sequencing(),
                fee_places: u8::try_from(instrument.fee_places()).unwrap_or(u8::MAX),
            }),
        }
    }

    /// Whether an entry stored on these terms means the same on `now`.
    pub(crate) fn agree(&self, now: &Self) -> bool {
        let rules = self.rules.as_ref().is_none_or(|rules| Some(rules) == now.rules.as_ref());
        let values = (self.contract, self.multiplier) == (now.contract, now.multiplier);
        rules && values && self.settlement == now.settlement
    }
}

/// An entry as it was stored, with the terms it was booked on.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) entry: Entry,
    pub(crate) terms: Option<Terms>,
}

/// Whether the body is shorter than it says.
pub(crate) fn is_torn(body: &[u8]) -> bool {
    let Some((header, rest)) = body.split_at_checked(HEADER) else { return true };
    let length =
        header.get(1..).and_then(|length| <[u8; 4]>::try_from(length).ok()).map(u32::from_be_bytes);
    length.and_then(|length| usize::try_from(length).ok()).is_some_and(|length| rest.len() < length)
}

pub(crate) fn encode(entry: &Entry, terms: Option<&Terms>) -> Vec<u8> {
    let mut writer = Writer::with_capacity(256);
    writer.u8(VERSION).raw(&[0; 4]);
    writer.u8(facts::tag(&entry.fact)).uuid(entry.id).text(entry.account.as_str());
    writer.i64(entry.at.as_millis()).i64(entry.journaled_at.as_millis());
    match &entry.cause {
        None => writer.u8(0),
        Some(Cause::Id(id)) => writer.u8(1).uuid(*id),
        Some(Cause::Text(text)) => writer.u8(2).text(text.as_str()),
    };
    facts::write(&mut writer, &entry.fact);
    if let Some(terms) = terms {
        let contract = contract_tag(terms.contract);
        writer.u8(contract).amount(terms.multiplier).text(terms.settlement.as_str());
    }
    writer.option_text(entry.strategy.as_ref().map(Strategy::as_str));
    writer.option_text(entry.portfolio.as_ref().map(Portfolio::as_str));
    if let Fact::Filled(fill) = &entry.fact {
        write_more(&mut writer, fill);
    }
    if let Some(terms) = terms {
        write_rules(&mut writer, terms.rules.as_ref());
    }
    if let Fact::FillCorrected(correction) = &entry.fact {
        writer.option_u64(correction.revision);
    }
    let mut body = writer.finish();
    // All parts are bounded, so a body is a few KiB; with a thousand lots 200 at most.
    let length = u32::try_from(body.len().saturating_sub(HEADER)).unwrap_or(u32::MAX).to_be_bytes();
    body.iter_mut().skip(1).zip(length).for_each(|(byte, digit)| *byte = digit);
    body
}

/// The digest of what an entry says, and of whom, whenever and why it says so.
///
/// Who wanted it is part of that, but for what concerns every account: it may be reported under any.
pub(crate) fn fact_digest(entry: &Entry) -> Digest {
    let mut writer = Writer::with_capacity(128);
    // No account has an empty name.
    let account = if entry.fact.is_of_one_account() { entry.account.as_str() } else { "" };
    writer.u8(facts::tag(&entry.fact)).text(account);
    let desk = (entry.strategy.as_ref(), entry.portfolio.as_ref());
    let (strategy, portfolio) = if entry.fact.is_of_one_account() { desk } else { (None, None) };
    writer.option_text(strategy.map(Strategy::as_str));
    writer.option_text(portfolio.map(Portfolio::as_str));
    facts::write(&mut writer, &entry.fact);
    if let Fact::FillCorrected(correction) = &entry.fact {
        writer.option_u64(correction.revision);
    }
    Digest::tagged(FACT_DOMAIN, &writer.finish())
}

pub(crate) fn decode(body: &[u8]) -> Result<Stored, DecodeError> {
    let body = &*steps::latest(body)?;
    let mut reader = Reader::new(body);
    reader.u8()?;
    let length = u32::from_be_bytes(reader.array()?);
    if usize::try_from(length).ok() != body.len().checked_sub(HEADER) {
        return Err(reader.wrong("a length that is not that of the body"));
    }
    let tag = reader.u8()?;
    let id = reader.uuid()?;
    let account = reader.text(Account::new)?;
    let at = Timestamp::from_millis(reader.i64()?);
    let journaled_at = Timestamp::from_millis(reader.i64()?);
    let cause = match reader.u8()? {
        0 => None,
        1 => Some(Cause::Id(reader.uuid()?)),
        2 => Some(Cause::Text(reader.text(Text::new)?)),
        _ => return Err(reader.wrong("an unknown cause")),
    };
    let mut fact = facts::read(&mut reader, tag)?;
    let mut terms = facts::has_terms(&fact).then(|| read_terms(&mut reader)).transpose()?;
    let strategy = reader.option_text(Strategy::new)?;
    let portfolio = reader.option_text(Portfolio::new)?;
    if let Fact::Filled(fill) = &mut fact {
        read_more(&mut reader, fill)?;
    }
    if let Some(terms) = &mut terms {
        terms.rules = read_rules(&mut reader)?;
    }
    if let Fact::FillCorrected(correction) = &mut fact {
        correction.revision = reader.option_u64()?;
    }
    reader.finish()?;
    let entry = Entry { id, cause, account, strategy, portfolio, at, journaled_at, fact };
    Ok(Stored { entry, terms })
}

fn write_more(writer: &mut Writer, fill: &Fill) {
    writer.option_amount(fill.cost).option_text(fill.leg.as_ref().map(LegId::as_str));
    writer.u16(u16::try_from(fill.lots.len()).unwrap_or(u16::MAX));
    for lot in &fill.lots {
        match &lot.lot {
            LotName::Trade(trade_id) => writer.text(trade_id.as_str()),
            // No trade has an empty id.
            LotName::Entry(sequence) => writer.text("").u64(*sequence),
        }
        .amount(lot.quantity);
    }
}

fn read_more(reader: &mut Reader<'_>, fill: &mut Fill) -> Result<(), DecodeError> {
    fill.cost = reader.option_amount()?;
    fill.leg = reader.option_text(LegId::new)?;
    for _ in 0..reader.u16()? {
        let trade_id = reader.text(|text| match text {
            "" => Ok(None),
            text => TradeId::new(text).map(Some),
        })?;
        let lot = match trade_id {
            Some(trade_id) => LotName::Trade(trade_id),
            None => LotName::Entry(reader.u64()?),
        };
        fill.lots.push(LotChoice { lot, quantity: reader.amount()? });
    }
    Ok(())
}

fn read_terms(reader: &mut Reader<'_>) -> Result<Terms, DecodeError> {
    let contract = match reader.u8()? {
        1 => Contract::Linear,
        2 => Contract::Spot,
        3 => Contract::Inverse,
        4 => Contract::Quanto,
        _ => return Err(reader.wrong("an unknown kind of contract")),
    };
    let (multiplier, settlement) = (reader.amount()?, reader.text(Currency::new)?);
    Ok(Terms { contract, multiplier, settlement, rules: None })
}

const fn contract_tag(contract: Contract) -> u8 {
    match contract {
        Contract::Linear => 1,
        Contract::Spot => 2,
        Contract::Inverse => 3,
        Contract::Quanto => 4,
    }
}

fn write_rules(writer: &mut Writer, rules: Option<&Rules>) {
    let Some(rules) = rules else {
        writer.u8(0);
        return;
    };
    let method = match rules.method {
        Method::Average => 1,
        Method::Fifo => 2,
        Method::Lifo => 3,
        Method::Hifo => 4,
        Method::Specific => 5,
    };
    let mode = if rules.mode == Mode::Netting { 1 } else { 2 };
    let sequencing = if rules.sequencing == Sequencing::Arrival { 1 } else { 2 };
    writer.u8(1).option_text(rules.base.as_ref().map(Currency::as_str));
    writer.u8(method).u8(mode).u8(sequencing).u8(rules.fee_places);
}

fn read_rules(reader: &mut Reader<'_>) -> Result<Option<Rules>, DecodeError> {
    match reader.u8()? {
        0 => return Ok(None),
        1 => {}
        _ => return Err(reader.wrong("an unknown tag of rules")),
    }
    let base = reader.option_text(Currency::new)?;
    let method = match reader.u8()? {
        1 => Method::Average,
        2 => Method::Fifo,
        3 => Method::Lifo,
        4 => Method::Hifo,
        5 => Method::Specific,
        _ => return Err(reader.wrong("an unknown method")),
    };
    let mode = match reader.u8()? {
        1 => Mode::Netting,
        2 => Mode::Hedging,
        _ => return Err(reader.wrong("an unknown mode")),
    };
    let sequencing = match reader.u8()? {
        1 => Sequencing::Arrival,
        2 => Sequencing::EventTime,
        _ => return Err(reader.wrong("an unknown sequencing")),
    };
    Ok(Some(Rules { base, method, mode, sequencing, fee_places: reader.u8()? }))
}
