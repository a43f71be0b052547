//! One listed instrument: its terms, the market in it, and the orders that wait there.

use backstop_position_ledger::{Amount, error::AmountError};
use rust_decimal::Decimal;

use super::{SetupError, VenueConfig, orders::Ordered};
use crate::{
    market::{Instrument, Tick},
    venue::{OrderRequest, Side},
};

/// Largest order; with prices up to a million, every figure of a trade then stays in range.
const QUANTITY_MAX: i64 = 1_000_000_000_000;

/// Decimals of a fee, in the quote currency.
const FEE_DECIMALS: u32 = 8;

/// What the venue knows of one instrument.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) symbol: String,
    pub(super) quote: String,
    price_step: Amount,
    lot_step: Amount,
    multiplier: Amount,
    fee_rate: Amount,
    /// Share of a tick's units that this account may trade.
    volume_share: Amount,
    /// Units per bar where volume is unknown.
    unknown_volume: Amount,
    touch: Option<Touch>,
    /// Units that can still trade at this tick.
    pub(super) liquidity: Amount,
    /// Whether the last tick completed its bar.
    bar_over: bool,
    /// Places of the open orders, oldest first.
    pub(super) open: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Touch {
    bid: Amount,
    ask: Amount,
}

/// Whether an order was in the book when the market moved, or came to the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Resting,
    Incoming,
}

impl Listing {
    /// Lists an instrument.
    ///
    /// Lot step, price step, multiplier and fee rate must not have more decimals together than an
    /// amount holds: then value and fee of every trade are exact before the fee is rounded.
    pub(super) fn new(instrument: &Instrument, config: &VenueConfig) -> Result<Self, SetupError> {
        let symbol = instrument.symbol.as_str();
        let refused = |field, value: Decimal, rule| SetupError::Terms {
            symbol: symbol.to_owned(),
            field,
            value,
            rule,
        };
        let exact = |field, value: Decimal, is_allowed: fn(Amount) -> bool, rule| {
            let amount = Amount::try_from(value).ok().filter(|&amount| is_allowed(amount));
            amount.ok_or_else(|| refused(field, value, rule))
        };
        let (above, from) = ("must be above zero", "must be zero or more");
        let factors = [
            instrument.lot_step,
            instrument.price_step,
            instrument.multiplier,
            instrument.fee_rate,
        ];
        let decimals: u32 = factors.iter().map(|factor| factor.normalize().scale()).sum();
        if decimals > Amount::DECIMALS {
            let rule = "makes more than 18 decimals with the steps and the multiplier";
            return Err(refused("fee_rate", instrument.fee_rate, rule));
        }
        let lot_step = exact("lot_step", instrument.lot_step, Amount::is_positive, above)?;
        let lots = Amount::from_int(config.unknown_volume_lots.into());
        let unknown_volume = lot_step.checked_mul(lots);
        Ok(Self {
            symbol: symbol.to_owned(),
            quote: instrument.quote.as_str().to_owned(),
            price_step: exact("price_step", instrument.price_step, Amount::is_positive, above)?,
            lot_step,
            multiplier: exact("multiplier", instrument.multiplier, Amount::is_positive, above)?,
            fee_rate: exact("fee_rate", instrument.fee_rate, |rate| !rate.is_negative(), from)?,
            volume_share: exact(
                "volume_share",
                config.volume_share,
                |share| !share.is_negative(),
                from,
            )?,
            unknown_volume: unknown_volume
                .map_err(|_too_large| refused("lot_step", instrument.lot_step, "is too large"))?,
            touch: None,
            liquidity: Amount::ZERO,
            bar_over: true,
            open: Vec::new(),
        })
    }

    /// Moves the market to a tick.
    pub(super) fn show(&mut self, tick: &Tick) {
        let touch = Amount::try_from(tick.bid)
            .and_then(|bid| Ok(Touch { bid, ask: Amount::try_from(tick.ask)? }));
        self.touch = touch.ok();
        match tick.liquidity {
            Some(units) => self.liquidity = self.share_of(units).unwrap_or(Amount::ZERO),
            // A bar of unknown volume has its lots once, not once per tick.
            None if self.bar_over => self.liquidity = self.unknown_volume,
            None => {}
        }
        self.bar_over = tick.completes.is_some();
    }

    /// The account's share of a tick's units, rounded down to the lot step.
    fn share_of(&self, units: Decimal) -> Result<Amount, AmountError> {
        let share = Amount::try_from(units)?.mul_div(self.volume_share, Amount::ONE)?;
        let step = self.lot_step.units();
        Amount::from_units((share.units() - share.units().rem_euclid(step)).max(0))
    }

    /// Checks what depends on the instrument, or gives the reason for a no.
    pub(super) fn check(
        &self,
        instrument: usize,
        request: &OrderRequest,
    ) -> Result<Ordered, &'static str> {
        let rest = Amount::try_from(request.quantity)
            .ok()
            .filter(|units| units.is_positive() && *units <= Amount::from_int(QUANTITY_MAX))
            .filter(|units| units.is_multiple_of(self.lot_step))
            .ok_or("bad_quantity")?;
        let limit = match request.limit {
            None => None,
            Some(price) => Some(
                Amount::try_from(price)
                    .ok()
                    .filter(|price| price.is_positive() && price.is_multiple_of(self.price_step))
                    .ok_or("bad_price")?,
            ),
        };
        Ok(Ordered { instrument, limit, rest })
    }

    /// The price at which an order trades now; none if the market is not there.
    ///
    /// An incoming order takes the touch; a resting one gets its limit, no better.
    pub(super) fn price_for(
        &self,
        side: Side,
        limit: Option<Amount>,
        arrival: Arrival,
    ) -> Option<Amount> {
        let touch = self.touch?;
        let at_touch = match side {
            Side::Buy => touch.ask,
            Side::Sell => touch.bid,
        };
        let Some(limit) = limit else { return Some(at_touch) };
        let crosses = match side {
            Side::Buy => limit >= at_touch,
            Side::Sell => limit <= at_touch,
        };
        crosses.then_some(if arrival == Arrival::Resting { limit } else { at_touch })
    }

    /// Value and fee of a trade, in the quote currency.
    pub(super) fn value_and_fee(
        &self,
        quantity: Amount,
        price: Amount,
    ) -> Result<(Amount, Amount), AmountError> {
        let value = quantity.checked_mul(price)?.checked_mul(self.multiplier)?;
        Ok((value, rounded(value.checked_mul(self.fee_rate)?)?))
    }
}

/// Half up at the last decimal of a fee; fees are never below zero.
fn rounded(fee: Amount) -> Result<Amount, AmountError> {
    let step = 10_i128.pow(Amount::DECIMALS - FEE_DECIMALS);
    let steps = fee.units().checked_add(step / 2).ok_or(AmountError::Overflow)? / step;
    Amount::from_units(steps * step)
}
