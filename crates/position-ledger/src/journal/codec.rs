//! Entries as canonical bytes.
//!
//! ```text
//! version (8 bits) | length of the rest (32 bits) | fact (8 bits) | id | account | at | journaled at | cause | content
//! ```
//!
//! A fill also carries the terms of its instrument, so that an entry can be understood without the registry of its day.

use std::sync::Arc;

use backstop_clock::Timestamp;

use super::Digest;
use super::bytes::{Reader, Writer};
use super::steps::{self, VERSION};
use crate::amount::Amount;
use crate::entry::{Cause, Entry, Fact};
use crate::error::DecodeError;
use crate::fill::{Fill, Side, Source};
use crate::instrument::Instrument;
use crate::name::{Account, Currency, InstrumentId, Strategy, Text, TradeId, VenueOrderId};
use crate::order::{Event, Intent, Resolution};
use crate::pnl::Kind;

/// Bytes before the fact: the version and the length.
const HEADER: usize = 5;

/// The linear contract; other kinds will have other tags.
const LINEAR: u8 = 1;

/// The terms of an instrument on which a fill was booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    multiplier: Amount,
    settlement: Currency,
}

impl Terms {
    pub(crate) fn of(instrument: &Instrument) -> Self {
        Self { multiplier: instrument.multiplier(), settlement: instrument.quote().clone() }
    }
}

/// An entry as it was stored; a fill with its terms.
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
    writer.u8(tag(&entry.fact)).uuid(entry.id).text(entry.account.as_str());
    writer.i64(entry.at.as_millis()).i64(entry.journaled_at.as_millis());
    match &entry.cause {
        None => writer.u8(0),
        Some(Cause::Id(id)) => writer.u8(1).uuid(*id),
        Some(Cause::Text(text)) => writer.u8(2).text(text.as_str()),
    };
    write_fact(&mut writer, &entry.fact);
    if let Some(terms) = terms {
        writer.u8(LINEAR).amount(terms.multiplier).text(terms.settlement.as_str());
    }
    let mut body = writer.finish();
    // All parts are bounded, so a body is a few KiB at most.
    let length = u32::try_from(body.len().saturating_sub(HEADER)).unwrap_or(u32::MAX).to_be_bytes();
    body.iter_mut().skip(1).zip(length).for_each(|(byte, digit)| *byte = digit);
    body
}

const fn tag(fact: &Fact) -> u8 {
    match fact {
        Fact::Deposited { .. } => 1,
        Fact::Intended(_) => 2,
        Fact::Order { .. } => 3,
        Fact::Filled(_) => 4,
        Fact::Adjusted { .. } => 5,
        Fact::SnapshotTaken { .. } => 6,
    }
}

fn write_fact(writer: &mut Writer, fact: &Fact) {
    match fact {
        Fact::Deposited { currency, amount } => {
            writer.text(currency.as_str()).amount(*amount);
        }
        Fact::Intended(intent) => write_intent(writer, intent),
        Fact::Order { order_id, event } => write_event(writer.uuid(*order_id), event),
        Fact::Filled(fill) => write_fill(writer, fill),
        Fact::Adjusted { currency, amount, reason } => {
            writer.text(currency.as_str()).amount(*amount).text(reason.as_str());
        }
        Fact::SnapshotTaken { kind, of_sequence, checksum } => {
            writer.u8(kind.tag()).u64(*of_sequence).raw(checksum.as_bytes());
        }
    }
}

fn write_intent(writer: &mut Writer, intent: &Intent) {
    writer
        .uuid(intent.order_id)
        .uuid(intent.tag)
        .text(intent.instrument.as_str())
        .u8(side_tag(intent.side));
    writer.amount(intent.quantity).option_amount(intent.limit);
    writer.i64(intent.accept_by.as_millis()).text(intent.strategy.as_str());
}

fn write_event(writer: &mut Writer, event: &Event) {
    match event {
        Event::Accepted { venue_order_id } => writer.u8(1).text(venue_order_id.as_str()),
        Event::Rejected { reason } => writer.u8(2).text(reason.as_str()),
        Event::Cancelled => writer.u8(3),
        Event::Expired => writer.u8(4),
        Event::OutcomeUnknown => writer.u8(5),
        Event::Resolved(Resolution::Accepted { venue_order_id }) => {
            writer.u8(6).text(venue_order_id.as_str())
        }
        Event::Resolved(Resolution::NotApplied) => writer.u8(7),
    };
}

fn write_fill(writer: &mut Writer, fill: &Fill) {
    writer
        .text(fill.trade_id.as_str())
        .uuid(fill.order_id)
        .text(fill.instrument.as_str())
        .u8(side_tag(fill.side));
    writer
        .amount(fill.quantity)
        .amount(fill.price)
        .amount(fill.fee)
        .text(fill.fee_currency.as_str());
    match &fill.source {
        Source::Stream => writer.u8(0),
        Source::Recovered { finding } => writer.u8(1).text(finding.as_str()),
    };
}

const fn side_tag(side: Side) -> u8 {
    match side {
        Side::Buy => 1,
        Side::Sell => 2,
    }
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
    let fact = read_fact(&mut reader, tag)?;
    let terms = if matches!(fact, Fact::Filled(_)) { Some(read_terms(&mut reader)?) } else { None };
    reader.finish()?;
    Ok(Stored { entry: Entry { id, cause, account, at, journaled_at, fact }, terms })
}

fn read_fact(reader: &mut Reader<'_>, tag: u8) -> Result<Fact, DecodeError> {
    Ok(match tag {
        1 => Fact::Deposited { currency: reader.text(Currency::new)?, amount: reader.amount()? },
        2 => Fact::Intended(Arc::new(read_intent(reader)?)),
        3 => Fact::Order { order_id: reader.uuid()?, event: read_event(reader)? },
        4 => Fact::Filled(read_fill(reader)?),
        5 => Fact::Adjusted {
            currency: reader.text(Currency::new)?,
            amount: reader.amount()?,
            reason: reader.text(Text::new)?,
        },
        6 => Fact::SnapshotTaken {
            kind: Kind::from_tag(reader.u8()?)
                .ok_or_else(|| reader.wrong("an unknown kind of snapshot"))?,
            of_sequence: reader.u64()?,
            checksum: Digest::from_bytes(reader.array()?),
        },
        _ => return Err(reader.wrong("an unknown fact")),
    })
}

fn read_intent(reader: &mut Reader<'_>) -> Result<Intent, DecodeError> {
    Ok(Intent {
        order_id: reader.uuid()?,
        tag: reader.uuid()?,
        instrument: reader.text(InstrumentId::new)?,
        side: read_side(reader)?,
        quantity: reader.amount()?,
        limit: reader.option_amount()?,
        accept_by: Timestamp::from_millis(reader.i64()?),
        strategy: reader.text(Strategy::new)?,
    })
}

fn read_event(reader: &mut Reader<'_>) -> Result<Event, DecodeError> {
    Ok(match reader.u8()? {
        1 => Event::Accepted { venue_order_id: reader.text(VenueOrderId::new)? },
        2 => Event::Rejected { reason: reader.text(Text::new)? },
        3 => Event::Cancelled,
        4 => Event::Expired,
        5 => Event::OutcomeUnknown,
        6 => Event::Resolved(Resolution::Accepted {
            venue_order_id: reader.text(VenueOrderId::new)?,
        }),
        7 => Event::Resolved(Resolution::NotApplied),
        _ => return Err(reader.wrong("an unknown event of an order")),
    })
}

fn read_fill(reader: &mut Reader<'_>) -> Result<Fill, DecodeError> {
    Ok(Fill {
        trade_id: reader.text(TradeId::new)?,
        order_id: reader.uuid()?,
        instrument: reader.text(InstrumentId::new)?,
        side: read_side(reader)?,
        quantity: reader.amount()?,
        price: reader.amount()?,
        fee: reader.amount()?,
        fee_currency: reader.text(Currency::new)?,
        source: match reader.u8()? {
            0 => Source::Stream,
            1 => Source::Recovered { finding: reader.text(Text::new)? },
            _ => return Err(reader.wrong("an unknown source of a fill")),
        },
    })
}

fn read_side(reader: &mut Reader<'_>) -> Result<Side, DecodeError> {
    match reader.u8()? {
        1 => Ok(Side::Buy),
        2 => Ok(Side::Sell),
        _ => Err(reader.wrong("an unknown side")),
    }
}

fn read_terms(reader: &mut Reader<'_>) -> Result<Terms, DecodeError> {
    if reader.u8()? != LINEAR {
        return Err(reader.wrong("an unknown kind of contract"));
    }
    Ok(Terms { multiplier: reader.amount()?, settlement: reader.text(Currency::new)? })
}
