//! One row: what is written of a fill, and read back.

use backstop_clock::Timestamp;
use uuid::Uuid;

use super::key::{Id, form_of, shortest};
use super::{ALIGN, Booking, Chunk, Kept, Key};
use crate::amount::Amount;
use crate::compact::{Reader, Writer, folded, unfolded};
use crate::fill::{Fill, Side, Source};
use crate::name::{Currency, Text, TradeId};

/// What is at its default, or follows from something else, and takes no bytes.
mod flag {
    pub(super) const SELL: u8 = 1;
    pub(super) const FOUND: u8 = 1 << 1;
    pub(super) const ORDER: u8 = 1 << 2;
    pub(super) const FEE: u8 = 1 << 3;
    pub(super) const FOREIGN_FEE: u8 = 1 << 4;
    pub(super) const COST: u8 = 1 << 5;
    pub(super) const SLOT: u8 = 1 << 6;
    pub(super) const SHARE: u8 = 1 << 7;
}

/// How a fill that no stream reported was found.
const RECOVERED: u8 = 1;
const SYNTHETIC: u8 = 2;

#[inline]
pub(super) fn write(chunk: &mut Chunk, key: &Key<'_>, booking: &Booking<'_>, fill: &Fill) {
    let bit = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let flags = bit(fill.side == Side::Sell, flag::SELL)
        | bit(fill.source != Source::Stream, flag::FOUND)
        | bit(!fill.order_id.is_nil(), flag::ORDER)
        | bit(!fill.fee.is_zero(), flag::FEE)
        | bit(booking.fee_currency.is_some(), flag::FOREIGN_FEE)
        | bit(fill.cost.is_some(), flag::COST)
        | bit(booking.slot.is_some(), flag::SLOT)
        | bit(booking.share.is_some(), flag::SHARE);
    if let Id::Text(text) = key.id {
        chunk.push(form_of(text));
        chunk.extend_from_slice(text);
    }
    let start = chunk.len();
    let Some(mut writer) = Writer::behind(chunk) else { return };
    if let Id::Number(number) = key.id {
        let (bytes, used) = shortest(number);
        writer.u8(used).number(bytes, used);
    }
    writer.pair(key.pair).u8(flags).numbers(booking.sequence, folded(booking.at.as_millis()));
    if flags & flag::ORDER != 0 {
        writer.uuid(fill.order_id.into_bytes());
    }
    writer.amount(fill.quantity).amount(fill.price);
    if flags & flag::FEE != 0 {
        writer.amount(fill.fee);
    }
    if let Some(currency) = booking.fee_currency {
        writer.short_text(currency.as_str());
    }
    if let Some(cost) = fill.cost {
        writer.amount(cost);
    }
    if flags & (flag::SLOT | flag::SHARE) != 0 {
        let number = |number: Option<u32>| u64::from(number.unwrap_or(0));
        writer.numbers(number(booking.slot), number(booking.share));
    }
    let end = start.saturating_add(writer.length());
    let (tag, finding) = match &fill.source {
        // What is behind it is zero.
        Source::Stream => return chunk.truncate(end.next_multiple_of(ALIGN)),
        Source::Recovered { finding } => (RECOVERED, finding),
        Source::Synthetic { finding } => (SYNTHETIC, finding),
    };
    chunk.truncate(end);
    chunk.push(tag);
    let length = u16::try_from(finding.as_str().len()).unwrap_or(u16::MAX);
    chunk.extend_from_slice(&length.to_le_bytes());
    chunk.extend_from_slice(finding.as_str().as_bytes());
    chunk.resize(chunk.len().next_multiple_of(ALIGN), 0);
}

/// Reads a row, and leaves the reader at its end.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Kept> {
    let first = reader.u8()?;
    let trade_id = if first & Key::TEXT != 0 {
        let length = usize::from(first & !Key::TEXT).saturating_add(1);
        TradeId::new(std::str::from_utf8(reader.take(length)?).ok()?).ok()?
    } else {
        let mut bytes = [0; 8];
        let unused = 8_usize.checked_sub(first.into())?;
        bytes.get_mut(unused..)?.copy_from_slice(reader.take(first.into())?);
        TradeId::of_number(u64::from_be_bytes(bytes))
    };
    let pair = u32::from_le_bytes(reader.array()?);
    let flags = reader.u8()?;
    let has = |flag: u8| flags & flag != 0;
    let (sequence, at) = reader.numbers()?;
    let at = Timestamp::from_millis(unfolded(at));
    let order_id = if has(flag::ORDER) { Uuid::from_bytes(reader.array()?) } else { Uuid::nil() };
    let (quantity, price) = (reader.amount()?, reader.amount()?);
    let fee = if has(flag::FEE) { reader.amount()? } else { Amount::ZERO };
    let fee_currency =
        if has(flag::FOREIGN_FEE) { Some(Currency::new(reader.short_text()?).ok()?) } else { None };
    let cost = if has(flag::COST) { Some(reader.amount()?) } else { None };
    let (slot, share) = if has(flag::SLOT | flag::SHARE) { reader.numbers()? } else { (0, 0) };
    let number = |flag, number: u64| {
        if has(flag) { u32::try_from(number).ok().map(Some) } else { Some(None) }
    };
    let (slot, share) = (number(flag::SLOT, slot)?, number(flag::SHARE, share)?);
    let source = if has(flag::FOUND) {
        let tag = reader.u8()?;
        let finding = Text::new(reader.text()?).ok()?;
        match tag {
            RECOVERED => Source::Recovered { finding },
            SYNTHETIC => Source::Synthetic { finding },
            _ => return None,
        }
    } else {
        Source::Stream
    };
    let side = if has(flag::SELL) { Side::Sell } else { Side::Buy };
    Some(Kept {
        pair,
        slot,
        share,
        sequence,
        at,
        trade_id,
        order_id,
        side,
        quantity,
        price,
        cost,
        fee,
        fee_currency,
        source,
    })
}
