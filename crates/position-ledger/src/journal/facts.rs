//! The content of each kind of fact as canonical bytes.

use std::sync::Arc;

use backstop_clock::Timestamp;

use super::Digest;
use super::bytes::{Reader, Writer};
use crate::action::{
    Act, Action, CashInLieu, LegId, Move, Opening, Payment, Purpose, Reach, Reference, Repair,
    Split, Subject,
};
use crate::entry::Fact;
use crate::error::DecodeError;
use crate::fill::{Correction, Fill, Side, Source, Void};
use crate::name::{Account, Currency, InstrumentId, Strategy, Text, TradeId, VenueOrderId};
use crate::order::{Event, Intent, Resolution};
use crate::pnl::Kind;

/// The number of a kind of fact; never given twice.
pub(super) const fn tag(fact: &Fact) -> u8 {
    match fact {
        Fact::Deposited { .. } => 1,
        Fact::Intended(_) => 2,
        Fact::Order { .. } => 3,
        Fact::Filled(_) => 4,
        Fact::Adjusted { .. } => 5,
        Fact::SnapshotTaken { .. } => 6,
        Fact::Withdrawn { .. } => 7,
        Fact::BalanceOpened { .. } => 8,
        Fact::MoneyMoved { .. } => 9,
        Fact::Paid(_) => 10,
        Fact::FillVoided(_) => 11,
        Fact::FillCorrected(_) => 12,
        Fact::Acted(_) => 13,
        Fact::Moved(_) => 14,
        Fact::PositionAdjusted(_) => 15,
        Fact::PositionOpened(_) => 16,
        Fact::Isolated { .. } => 17,
        Fact::Released { .. } => 18,
    }
}

/// Whether what it means depends on the terms of an instrument.
pub(crate) const fn has_terms(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Filled(_)
            | Fact::FillVoided(_)
            | Fact::FillCorrected(_)
            | Fact::Acted(_)
            | Fact::Moved(_)
            | Fact::PositionAdjusted(_)
            | Fact::PositionOpened(_)
    )
}

pub(super) fn write(writer: &mut Writer, fact: &Fact) {
    match fact {
        Fact::Deposited { currency, amount }
        | Fact::Withdrawn { currency, amount }
        | Fact::BalanceOpened { currency, amount } => {
            writer.text(currency.as_str()).amount(*amount);
        }
        Fact::MoneyMoved { currency, amount, to } => {
            writer.text(currency.as_str()).amount(*amount).text(to.as_str());
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
        Fact::Paid(payment) => write_payment(writer, payment),
        Fact::FillVoided(Void { instrument, trade_id, quantity }) => {
            writer.text(instrument.as_str()).text(trade_id.as_str()).option_amount(*quantity);
        }
        Fact::FillCorrected(Correction { instrument, trade_id, price, cost, revision: _ }) => {
            writer.text(instrument.as_str()).text(trade_id.as_str());
            writer.amount(*price).option_amount(*cost);
        }
        Fact::Acted(action) => write_action(writer, action),
        Fact::Moved(moved) => {
            write_place(writer, (&moved.id, &moved.instrument, moved.leg.as_ref()));
            writer.amount(moved.quantity).text(moved.to.as_str());
        }
        Fact::PositionAdjusted(repair) => {
            write_place(writer, (&repair.id, &repair.instrument, repair.leg.as_ref()));
            writer.amount(repair.change).amount(repair.price).text(repair.reason.as_str());
        }
        Fact::PositionOpened(opening) => {
            write_place(writer, (&opening.id, &opening.instrument, opening.leg.as_ref()));
            writer.amount(opening.quantity).amount(opening.cost);
        }
        Fact::Isolated { subject, reason } | Fact::Released { subject, reason } => {
            let instrument = match subject {
                Subject::Account => None,
                Subject::Instrument(id) => Some(id.as_str()),
            };
            writer.option_text(instrument).text(reason.as_str());
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>, tag: u8) -> Result<Fact, DecodeError> {
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
        7 => Fact::Withdrawn { currency: reader.text(Currency::new)?, amount: reader.amount()? },
        8 => {
            Fact::BalanceOpened { currency: reader.text(Currency::new)?, amount: reader.amount()? }
        }
        9 => Fact::MoneyMoved {
            currency: reader.text(Currency::new)?,
            amount: reader.amount()?,
            to: reader.text(Account::new)?,
        },
        10 => Fact::Paid(read_payment(reader)?),
        11 => Fact::FillVoided(Void {
            instrument: reader.text(InstrumentId::new)?,
            trade_id: reader.text(TradeId::new)?,
            quantity: reader.option_amount()?,
        }),
        12 => Fact::FillCorrected(Correction {
            instrument: reader.text(InstrumentId::new)?,
            trade_id: reader.text(TradeId::new)?,
            price: reader.amount()?,
            cost: reader.option_amount()?,
            // At the end of the entry.
            revision: None,
        }),
        13 => Fact::Acted(read_action(reader)?),
        _ => return read_later(reader, tag),
    })
}

fn read_later(reader: &mut Reader<'_>, tag: u8) -> Result<Fact, DecodeError> {
    Ok(match tag {
        14 => {
            let (id, instrument, leg) = read_place(reader)?;
            let (quantity, to) = (reader.amount()?, reader.text(Account::new)?);
            Fact::Moved(Move { id, instrument, leg, quantity, to })
        }
        15 => {
            let (id, instrument, leg) = read_place(reader)?;
            let (change, price) = (reader.amount()?, reader.amount()?);
            let reason = reader.text(Text::new)?;
            Fact::PositionAdjusted(Repair { id, instrument, leg, change, price, reason })
        }
        16 => {
            let (id, instrument, leg) = read_place(reader)?;
            let (quantity, cost) = (reader.amount()?, reader.amount()?);
            Fact::PositionOpened(Opening { id, instrument, leg, quantity, cost })
        }
        17 => {
            let (subject, reason) = read_subject(reader)?;
            Fact::Isolated { subject, reason }
        }
        18 => {
            let (subject, reason) = read_subject(reader)?;
            Fact::Released { subject, reason }
        }
        _ => return Err(reader.wrong("an unknown fact")),
    })
}

type Place<'a> = (&'a Reference, &'a InstrumentId, Option<&'a LegId>);

fn write_place(writer: &mut Writer, (id, instrument, leg): Place<'_>) {
    writer.text(id.as_str()).text(instrument.as_str()).option_text(leg.map(LegId::as_str));
}

type OwnPlace = (Reference, InstrumentId, Option<LegId>);

fn read_place(reader: &mut Reader<'_>) -> Result<OwnPlace, DecodeError> {
    let id = reader.text(Reference::new)?;
    Ok((id, reader.text(InstrumentId::new)?, reader.option_text(LegId::new)?))
}

fn read_subject(reader: &mut Reader<'_>) -> Result<(Subject, Text), DecodeError> {
    let subject =
        reader.option_text(InstrumentId::new)?.map_or(Subject::Account, Subject::Instrument);
    Ok((subject, reader.text(Text::new)?))
}

fn write_payment(writer: &mut Writer, payment: &Payment) {
    let purpose = match payment.purpose {
        Purpose::Fee => 1,
        Purpose::Rebate => 2,
        Purpose::Funding => 3,
        Purpose::Interest => 4,
    };
    writer.text(payment.id.as_str()).u8(purpose);
    writer.option_text(payment.instrument.as_ref().map(InstrumentId::as_str));
    writer.option_text(payment.leg.as_ref().map(LegId::as_str));
    writer.text(payment.currency.as_str()).amount(payment.amount);
}

fn read_payment(reader: &mut Reader<'_>) -> Result<Payment, DecodeError> {
    Ok(Payment {
        id: reader.text(Reference::new)?,
        purpose: match reader.u8()? {
            1 => Purpose::Fee,
            2 => Purpose::Rebate,
            3 => Purpose::Funding,
            4 => Purpose::Interest,
            _ => return Err(reader.wrong("an unknown purpose")),
        },
        instrument: reader.option_text(InstrumentId::new)?,
        leg: reader.option_text(LegId::new)?,
        currency: reader.text(Currency::new)?,
        amount: reader.amount()?,
    })
}

fn write_action(writer: &mut Writer, action: &Action) {
    write_place(writer, (&action.id, &action.instrument, action.leg.as_ref()));
    writer.u8(if action.reach == Reach::Account { 1 } else { 2 });
    match &action.act {
        Act::Settlement { price } => writer.u8(1).amount(*price),
        Act::Delivery { price, into } => writer.u8(2).amount(*price).text(into.as_str()),
        Act::Split(Split { new, old, in_lieu }) => {
            writer.u8(3).amount(*new).amount(*old);
            match in_lieu {
                Some(CashInLieu { whole, price }) => writer.u8(1).amount(*whole).amount(*price),
                None => writer.u8(0),
            }
        }
        Act::Dividend { per_unit } => writer.u8(4).amount(*per_unit),
    };
}

fn read_action(reader: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let (id, instrument, leg) = read_place(reader)?;
    let reach = match reader.u8()? {
        1 => Reach::Account,
        2 => Reach::Everyone,
        _ => return Err(reader.wrong("an unknown reach")),
    };
    let act = match reader.u8()? {
        1 => Act::Settlement { price: reader.amount()? },
        2 => Act::Delivery { price: reader.amount()?, into: reader.text(InstrumentId::new)? },
        3 => {
            let (new, old) = (reader.amount()?, reader.amount()?);
            let in_lieu = match reader.u8()? {
                0 => None,
                1 => Some(CashInLieu { whole: reader.amount()?, price: reader.amount()? }),
                _ => return Err(reader.wrong("an unknown tag of cash in lieu")),
            };
            Act::Split(Split { new, old, in_lieu })
        }
        4 => Act::Dividend { per_unit: reader.amount()? },
        _ => return Err(reader.wrong("an unknown act")),
    };
    Ok(Action { id, instrument, leg, reach, act })
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
        // No currency is that of settlement.
        .text(fill.fee_currency.as_ref().map_or("", Currency::as_str));
    match &fill.source {
        Source::Stream => writer.u8(0),
        Source::Recovered { finding } => writer.u8(1).text(finding.as_str()),
        Source::Synthetic { finding } => writer.u8(2).text(finding.as_str()),
    };
}

const fn side_tag(side: Side) -> u8 {
    match side {
        Side::Buy => 1,
        Side::Sell => 2,
    }
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
        fee_currency: reader.text(|text| match text {
            "" => Ok(None),
            text => Currency::new(text).map(Some),
        })?,
        cost: None,
        leg: None,
        lots: Vec::new(),
        source: match reader.u8()? {
            0 => Source::Stream,
            1 => Source::Recovered { finding: reader.text(Text::new)? },
            2 => Source::Synthetic { finding: reader.text(Text::new)? },
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
