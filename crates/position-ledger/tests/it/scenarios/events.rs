//! From the words of the format to instruments and facts, and from errors back to words.

use std::borrow::Cow;

use backstop_position_ledger::action::{
    Act, Action, CashInLieu, LegId, Move, Payment, Purpose, Reach, Reference, Repair, Split,
};
use backstop_position_ledger::error::{AmountError, AppendError, NameError};
use backstop_position_ledger::fill::{Correction, Fill, LotChoice, Side, TradeId, Void};
use backstop_position_ledger::rules::{Method, Mode, Sequencing};
use backstop_position_ledger::{Account, Amount, Currency, Fact, Instrument, InstrumentId, Text};
use serde_json::Value;
use uuid::Uuid;

use super::text;
use crate::kit::{amount, currency, instrument_id};

/// An instrument, with the rules of its case.
pub(super) fn instrument(row: &Value, case: &Value) -> Result<Instrument, String> {
    let (price_step, lot_step) = (amount(text(row, "price_step")?), amount(text(row, "lot_step")?));
    let (base, quote) = (currency(text(row, "base")?), currency(text(row, "quote")?));
    let settlement = currency(text(row, "settlement")?);
    let multiplier = amount(text(row, "multiplier")?);
    let contract =
        Instrument::new(instrument_id(text(row, "id")?), quote, price_step, lot_step).unwrap();
    let contract = match text(row, "kind")? {
        "linear" if row["spot"] == true => contract.spot(base),
        "linear" => contract.with_base(base),
        "inverse" => contract.inverse(base),
        _ => contract.with_base(base).and_then(|contract| contract.quanto(settlement.clone())),
    };
    let mut contract = contract.and_then(|contract| contract.with_multiplier(multiplier)).unwrap();
    if *contract.settlement() != settlement {
        return Err(format!("{} cannot settle in {settlement}", contract.id()));
    }
    if let Some(places) = row["fee_places"].as_u64() {
        contract = contract.with_fee_places(u32::try_from(places).unwrap()).unwrap();
    }
    let method = match case["method"].as_str() {
        Some("fifo") => Method::Fifo,
        Some("lifo") => Method::Lifo,
        Some("hifo") => Method::Hifo,
        Some("specific") => Method::Specific,
        _ => Method::Average,
    };
    let hedged = case["mode"] == "hedging";
    let by_time = case["order_policy"] == "event_time";
    Ok(contract
        .with_method(method)
        .with_mode(if hedged { Mode::Hedging } else { Mode::Netting })
        .with_sequencing(if by_time { Sequencing::EventTime } else { Sequencing::Arrival }))
}

/// The fact that an event states.
pub(super) fn fact(
    event: &Value,
    instrument: &str,
    terms: Option<&Instrument>,
) -> Result<Fact, Rejection> {
    let instrument = InstrumentId::new(instrument)?;
    let read = |field| amount_of(field, event[field].as_str());
    let id = || Reference::new(event["id"].as_str().unwrap_or_default());
    let leg = event["leg"].as_str().map(LegId::new).transpose()?;
    Ok(match event["do"].as_str() {
        Some("fill") => Fact::Filled(fill(event, instrument, leg)?),
        Some("void") => Fact::FillVoided(Void {
            instrument,
            trade_id: trade_id(event)?,
            quantity: event["qty"].as_str().map(|qty| amount_of("qty", Some(qty))).transpose()?,
        }),
        Some("correct") => {
            let (trade_id, price) = (trade_id(event)?, read("price")?);
            Fact::FillCorrected(Correction::new(instrument, trade_id, price))
        }
        Some("funding") => {
            let settlement = terms.map(|terms| terms.settlement().clone());
            Fact::Paid(Payment {
                id: id()?,
                purpose: Purpose::Funding,
                instrument: Some(instrument),
                leg,
                currency: settlement.unwrap_or_else(|| currency("XXX")),
                amount: read("amount")?,
            })
        }
        Some("income") => {
            action(event, instrument, leg, Act::Dividend { per_unit: read("per_unit")? })?
        }
        Some("settlement") => {
            action(event, instrument, leg, Act::Settlement { price: read("price")? })?
        }
        Some("split") => {
            let step = terms.map_or(Amount::ONE, Instrument::lot_step);
            let cash = event["cash_in_lieu_price"].as_str();
            let price =
                cash.map(|price| amount_of("cash_in_lieu_price", Some(price))).transpose()?;
            let whole = event["whole"].as_str().map(|whole| amount_of("whole", Some(whole)));
            let whole = whole.transpose()?.unwrap_or(step);
            let in_lieu = price.map(|price| CashInLieu { whole, price });
            let act = Act::Split(Split { new: read("new")?, old: read("old")?, in_lieu });
            action(event, instrument, leg, act)?
        }
        Some("transfer") => Fact::Moved(Move {
            id: id()?,
            instrument,
            leg,
            quantity: read("qty")?,
            to: Account::new(event["to_account"].as_str().unwrap_or_default())
                .map_err(|_name| Rejection::validation("to_account"))?,
        }),
        Some("adjust") => Fact::PositionAdjusted(Repair {
            id: id()?,
            instrument,
            leg,
            change: read("qty_change")?,
            price: read("price")?,
            reason: Text::new(event["reason"].as_str().unwrap_or_default())
                .map_err(|_name| Rejection::validation("reason"))?,
        }),
        other => panic!("the gate let {other:?} pass"),
    })
}

fn trade_id(event: &Value) -> Result<TradeId, NameError> {
    TradeId::new(event["trade_id"].as_str().unwrap_or_default())
}

fn action(
    event: &Value,
    instrument: InstrumentId,
    leg: Option<LegId>,
    act: Act,
) -> Result<Fact, Rejection> {
    let id = Reference::new(event["id"].as_str().unwrap_or_default())?;
    // What happens to an instrument happens to all who hold it, unless an account is named.
    let reach = if event["account"].is_string() { Reach::Account } else { Reach::Everyone };
    Ok(Fact::Acted(Action { id, instrument, leg, reach, act }))
}

fn fill(event: &Value, instrument: InstrumentId, leg: Option<LegId>) -> Result<Fill, Rejection> {
    let side = match event["side"].as_str() {
        Some("buy") => Side::Buy,
        Some("sell") => Side::Sell,
        _ => return Err(Rejection::validation("side")),
    };
    let what = (
        side,
        amount_of("qty", event["qty"].as_str())?,
        amount_of("price", event["price"].as_str())?,
    );
    let order_id = order_id(event["order_id"].as_str().unwrap_or_default());
    let mut fill = Fill::new(trade_id(event)?, order_id, instrument, what);
    fill.fee = amount_of("fee", event["fee"].as_str().or(Some("0")))?;
    fill.fee_currency = event["fee_currency"]
        .as_str()
        .map(Currency::new)
        .transpose()
        .map_err(|_name| Rejection::validation("fee_currency"))?;
    fill.cost = event["cost"].as_str().map(|cost| amount_of("cost", Some(cost))).transpose()?;
    fill.leg = leg;
    for lot in event["lots"].as_array().into_iter().flatten() {
        let quantity = amount_of("lots", lot["qty"].as_str())?;
        fill.lots.push(LotChoice::of_trade(trade_id(lot)?, quantity));
    }
    Ok(fill)
}

/// A case names orders by text; any mapping to UUIDs that keeps them apart will do.
fn order_id(name: &str) -> Uuid {
    let spread = |hash: u128, byte: u8| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
    };
    Uuid::from_u128(name.bytes().fold(0x6c62_272e_07bb_0142, spread))
}

/// Reads an amount of an event; the largest ones stand for what a fill can carry.
fn amount_of(field: &'static str, text: Option<&str>) -> Result<Amount, Rejection> {
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

/// Why an event was not taken, in the words of the format.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) error: &'static str,
    pub(super) field: Option<Cow<'static, str>>,
    pub(super) versions: Option<(u64, u64)>,
}

impl Rejection {
    const fn validation(field: &'static str) -> Self {
        Self { error: "validation", field: Some(Cow::Borrowed(field)), versions: None }
    }

    const fn of(error: &'static str) -> Self {
        Self { error, field: None, versions: None }
    }
}

impl From<NameError> for Rejection {
    fn from(error: NameError) -> Self {
        Self::validation(word(error.what))
    }
}

impl From<AppendError> for Rejection {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Invalid(invalid) => Self::validation(word(invalid.field)),
            AppendError::UnknownInstrument(_) => Self::of("unknown_instrument"),
            AppendError::Amount { source: AmountError::Overflow, .. } => Self::of("overflow"),
            AppendError::VersionConflict { expected, actual } => {
                Self { error: "version_conflict", field: None, versions: Some((expected, actual)) }
            }
            AppendError::DuplicateVoid { .. } => Self::of("duplicate_void"),
            AppendError::StaleVoid { .. } => Self::of("stale_void"),
            AppendError::ExcessVoid { .. } => Self::of("excess_void"),
            AppendError::UnknownTrade(_) => Self::of("unknown_trade"),
            AppendError::VoidedTrade(_) => Self::of("voided_trade"),
            AppendError::LotRequired { .. } => Self::of("lot_required"),
            AppendError::LotUnavailable { .. } => Self::of("lot_unavailable"),
            AppendError::LotQuantity { .. } => Self::of("lot_quantity_mismatch"),
            AppendError::InsufficientQuantity { .. } => Self::of("insufficient_quantity"),
            other => Self { error: "other", field: Some(other.to_string().into()), versions: None },
        }
    }
}

/// The word of the format for a field of ours.
pub(super) fn word(field: &'static str) -> &'static str {
    match field {
        "quantity" => "qty",
        "change" => "qty_change",
        "to" => "to_account",
        "at" => "at_ms",
        field => field,
    }
}
