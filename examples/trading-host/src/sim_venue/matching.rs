//! How orders meet the market.

use backstop_position_ledger::{Amount, error::AmountError};

use super::{account::Booking, exchange::Exchange, listing::Arrival, orders::Ordered};
use crate::venue::{Event, Trade};

impl Exchange {
    /// The market moves, and the orders that wait there trade, oldest first.
    pub(super) fn tick(&mut self) {
        let Some(tick) = self.feed.next() else { return };
        let Some(listing) = self.listings.get_mut(tick.instrument) else { return };
        listing.show(&tick);
        if listing.open.is_empty() {
            return;
        }
        for place in listing.open.clone() {
            if let Some(ordered) = self.orders.at(place).terms {
                self.trade(place, ordered, Arrival::Resting);
            }
        }
    }

    /// Trades what an order wants and the market has.
    pub(super) fn trade(&mut self, place: usize, ordered: Ordered, arrival: Arrival) {
        let Ordered { instrument, limit, rest } = ordered;
        let listing = &self.listings[instrument];
        let side = self.orders.at(place).request.side;
        let quantity = rest.min(listing.liquidity);
        let Some(price) = listing.price_for(side, limit, arrival) else { return };
        if quantity.is_zero() {
            return;
        }
        // A trade whose figures leave their range cannot be booked, so it does not come about.
        if let Err(error) = self.execute(place, ordered, quantity, price) {
            tracing::warn!(%error, place, "a trade cannot be booked");
        }
    }

    fn execute(
        &mut self,
        place: usize,
        ordered: Ordered,
        quantity: Amount,
        price: Amount,
    ) -> Result<(), AmountError> {
        let listing = &self.listings[ordered.instrument];
        let order = self.orders.at(place);
        let (value, fee) = listing.value_and_fee(quantity, price)?;
        let (instrument, side) = (ordered.instrument, order.request.side);
        let rest = ordered.rest.checked_sub(quantity)?;
        let liquidity = listing.liquidity.checked_sub(quantity)?;
        let trade = Trade {
            trade_id: format!("T{:08}", self.trades.len() + 1),
            client_order_id: order.request.client_order_id,
            symbol: listing.symbol.clone(),
            side,
            quantity: quantity.try_into()?,
            price: price.try_into()?,
            fee: fee.try_into()?,
            fee_currency: listing.quote.clone(),
            at: self.clock(),
        };
        self.account.book(&Booking { instrument, side, quantity, value, fee })?;
        let listing = &mut self.listings[instrument];
        listing.liquidity = liquidity;
        if self.orders.fill(place, rest) {
            listing.open.retain(|&open| open != place);
        }
        self.trades.push((self.now, trade.clone()));
        let symbol = trade.symbol.clone();
        self.announce(&symbol, &Event::Filled { trade });
        Ok(())
    }
}
