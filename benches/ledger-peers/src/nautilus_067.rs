//! The positions of nautilus-model 0.67.

use ahash::AHashMap;
use nautilus_core_067::{UUID4, UnixNanos};
use nautilus_model_067::enums::{LiquiditySide, OrderSide, OrderType};
use nautilus_model_067::events::OrderFilled;
use nautilus_model_067::identifiers::{
    AccountId, ClientOrderId, InstrumentId, PositionId, StrategyId, Symbol, TradeId, TraderId,
    VenueOrderId,
};
use nautilus_model_067::instruments::{CryptoPerpetual, InstrumentAny};
use nautilus_model_067::position::Position;
use nautilus_model_067::types::{Currency, Money, Price, Quantity};
use rust_decimal::Decimal;

use crate::{Deal, Held, Keeper, POSITIONS};

/// Positions by their ids, as in its cache.
#[derive(Debug)]
pub struct Nautilus067 {
    positions: AHashMap<PositionId, Position>,
    contracts: Vec<InstrumentAny>,
    names: Vec<(InstrumentId, PositionId)>,
}

impl Keeper for Nautilus067 {
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
            None,
        );
        (deal.place, fill)
    }

    fn apply(&mut self, (place, fill): &Self::Fill) {
        if let Some(position) = self.positions.get_mut(&self.names[*place].1) {
            position.try_apply(fill).expect("a fresh fill");
        } else {
            let opened = Position::new(&self.contracts[*place], fill.clone());
            self.positions.insert(opened.id, opened);
        }
    }

    fn held(&self, place: usize) -> Option<Held> {
        let position = self.positions.get(&self.names[place].1).filter(|one| one.is_open())?;
        Some(Held { quantity: position.signed_qty, average: position.avg_px_open })
    }
}

/// A linear contract with the steps of ours.
fn contract(id: InstrumentId) -> InstrumentAny {
    let usd = Currency::USD();
    let contract = CryptoPerpetual::builder()
        .instrument_id(id)
        .raw_symbol(Symbol::new("PAIR"))
        .base_currency(Currency::BTC())
        .quote_currency(usd)
        .settlement_currency(usd)
        .is_inverse(false)
        .price_precision(5)
        .size_precision(3)
        .price_increment(Price::from("0.00001"))
        .size_increment(Quantity::from("0.001"))
        .ts_event(UnixNanos::default())
        .ts_init(UnixNanos::default())
        .build()
        .expect("steps above zero");
    InstrumentAny::CryptoPerpetual(contract)
}
