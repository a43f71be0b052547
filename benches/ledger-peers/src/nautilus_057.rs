//! The positions of nautilus-model 0.57.

use ahash::AHashMap;
use nautilus_core_057::{UUID4, UnixNanos};
use nautilus_model_057::enums::{LiquiditySide, OrderSide, OrderType};
use nautilus_model_057::events::OrderFilled;
use nautilus_model_057::identifiers::{
    AccountId, ClientOrderId, InstrumentId, PositionId, StrategyId, Symbol, TradeId, TraderId,
    VenueOrderId,
};
use nautilus_model_057::instruments::{CryptoPerpetual, InstrumentAny};
use nautilus_model_057::position::Position;
use nautilus_model_057::types::{Currency, Money, Price, Quantity};
use rust_decimal::Decimal;

use crate::{Deal, Held, Keeper, POSITIONS};

/// Positions by their ids, as in its cache.
#[derive(Debug)]
pub struct Nautilus057 {
    positions: AHashMap<PositionId, Position>,
    contracts: Vec<InstrumentAny>,
    names: Vec<(InstrumentId, PositionId)>,
}

impl Keeper for Nautilus057 {
    type Fill = (usize, OrderFilled);

    fn empty() -> Self {
        let name = |n| {
            let name = format!("PAIR-{n:04}.VENUE");
            (InstrumentId::from(name.as_str()), PositionId::new(format!("{name}-main")))
        };
        let names: Vec<_> = (0..POSITIONS).map(name).collect();
        let contracts = names.iter().map(|(id, _)| contract(*id)).collect();
        Self { positions: AHashMap::new(), contracts, names }
    }

    fn fill(&self, deal: &Deal) -> Self::Fill {
        let (instrument, position) = self.names[deal.place];
        let usd = Currency::USD();
        let mut id = [0; 16];
        id[8..].copy_from_slice(&deal.number.to_be_bytes());
        let at = UnixNanos::from(deal.millis() * 1_000_000);
        let fill = OrderFilled::new(
            TraderId::new("TRADER-001"),
            StrategyId::new("S-001"),
            instrument,
            ClientOrderId::new("O-1"),
            VenueOrderId::new("1"),
            AccountId::new("VENUE-main"),
            TradeId::new(deal.trade_id()),
            if deal.is_sell { OrderSide::Sell } else { OrderSide::Buy },
            OrderType::Limit,
            Quantity::from_decimal_dp(Decimal::new(i64::from(deal.lots), 3), 3).expect("in range"),
            Price::from_decimal_dp(Decimal::new(i64::from(deal.ticks), 5), 5).expect("in range"),
            usd,
            LiquiditySide::Taker,
            UUID4::from_bytes(id),
            at,
            at,
            false,
            Some(position),
            Some(Money::from_decimal(Decimal::new(5, 2), usd).expect("in range")),
        );
        (deal.place, fill)
    }

    fn apply(&mut self, (place, fill): &Self::Fill) {
        if let Some(position) = self.positions.get_mut(&self.names[*place].1) {
            position.apply(fill);
        } else {
            let opened = Position::new(&self.contracts[*place], *fill);
            self.positions.insert(opened.id, opened);
        }
    }

    fn held(&self, place: usize) -> Option<Held> {
        let position = self.positions.get(&self.names[place].1).filter(|one| one.is_open())?;
        let decimal = |float| Decimal::from_f64_retain(float).expect("finite");
        Some(Held {
            // The float carries a residue; its rounded neighbour has lost the side.
            quantity: decimal(position.signed_qty).round_dp(3),
            average: decimal(position.avg_px_open),
        })
    }
}

/// A linear contract with the steps of ours.
fn contract(id: InstrumentId) -> InstrumentAny {
    let usd = Currency::USD();
    let contract = CryptoPerpetual::new(
        id,
        Symbol::new("PAIR"),
        Currency::BTC(),
        usd,
        usd,
        false,
        5,
        3,
        Price::from("0.00001"),
        Quantity::from("0.001"),
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        UnixNanos::default(),
        UnixNanos::default(),
    );
    InstrumentAny::CryptoPerpetual(contract)
}
