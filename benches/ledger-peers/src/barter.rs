//! The positions of barter 0.14.

use barter::engine::state::position::PositionManager;
use barter_execution::order::id::{OrderId, StrategyId};
use barter_execution::trade::{AssetFees, Trade, TradeId};
use barter_instrument::Side;
use barter_instrument::asset::QuoteAsset;
use barter_instrument::instrument::InstrumentIndex;
use chrono::DateTime;
use rust_decimal::Decimal;

use crate::{Deal, Held, Keeper, POSITIONS};

/// A position for each instrument, found by number as its engine does.
#[derive(Debug)]
pub struct Barter {
    positions: Vec<PositionManager>,
}

impl Keeper for Barter {
    type Fill = Trade<QuoteAsset, InstrumentIndex>;

    fn empty() -> Self {
        Self { positions: (0..POSITIONS).map(|_| PositionManager::default()).collect() }
    }

    fn fill(&self, deal: &Deal) -> Self::Fill {
        let at = i64::try_from(deal.millis()).ok().and_then(DateTime::from_timestamp_millis);
        Trade {
            id: TradeId::new(deal.trade_id()),
            order_id: OrderId::new("O-1"),
            instrument: InstrumentIndex(deal.place),
            strategy: StrategyId::unknown(),
            time_exchange: at.expect("in range"),
            side: if deal.is_sell { Side::Sell } else { Side::Buy },
            price: Decimal::new(i64::from(deal.ticks), 5),
            quantity: Decimal::new(i64::from(deal.lots), 3),
            fees: AssetFees::quote_fees(Decimal::new(5, 2)),
        }
    }

    fn apply(&mut self, fill: &Self::Fill) {
        // Its host takes the closed position over for statistics; nobody keeps it here.
        drop(self.positions[fill.instrument.index()].update_from_trade(fill));
    }

    fn held(&self, place: usize) -> Option<Held> {
        let position = self.positions[place].current.as_ref()?;
        let quantity = match position.side {
            Side::Buy => position.quantity_abs,
            Side::Sell => -position.quantity_abs,
        };
        Some(Held { quantity, average: position.price_entry_average })
    }
}
