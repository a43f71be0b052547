//! The books of backstop, without a journal.

use backstop_clock::Timestamp;
use backstop_position_ledger::{
    Account, Amount, Books, Currency, Entry, Fact, Instrument, InstrumentId, Instruments, Outcome,
    fill::{Fill, Side, TradeId},
};
use rust_decimal::Decimal;

use crate::{Deal, Held, Keeper, POSITIONS};

/// Our books.
#[derive(Debug)]
pub struct Backstop {
    books: Books,
    account: Account,
    usd: Currency,
    names: Vec<InstrumentId>,
}

impl Keeper for Backstop {
    type Fill = Entry;

    fn empty() -> Self {
        let name = |n| InstrumentId::new(&format!("PAIR-{n:04}")).expect("a name");
        let names: Vec<_> = (0..POSITIONS).map(name).collect();
        let usd = Currency::new("USD").expect("a name");
        let contract = |name: &InstrumentId| {
            Instrument::new(name.clone(), usd.clone(), parts(1, 100_000), parts(1, 1_000))
                .expect("steps above zero")
        };
        let known = Instruments::new(names.iter().map(contract)).expect("distinct names");
        let account = Account::new("main").expect("a name");
        Self { books: Books::new(known), account, usd, names }
    }

    fn fill(&self, deal: &Deal) -> Entry {
        let at = Timestamp::from_millis(i64::try_from(deal.millis()).expect("small"));
        let trade_id = TradeId::new(&deal.trade_id()).expect("a name");
        let side = if deal.is_sell { Side::Sell } else { Side::Buy };
        let what = (side, parts(deal.lots, 1_000), parts(deal.ticks, 100_000));
        let order_id = Entry::id_at(Timestamp::from_millis(1_700_000_000_000), [9; 10]);
        let fill = Fill::new(trade_id, order_id, self.names[deal.place].clone(), what)
            .with_fee(parts(5, 100), self.usd.clone());
        let mut random = [0; 10];
        random[..8].copy_from_slice(&deal.number.to_be_bytes());
        Entry::new(Entry::id_at(at, random), self.account.clone(), at, Fact::Filled(fill))
    }

    fn apply(&mut self, fill: &Entry) {
        let outcome = self.books.book(fill);
        assert!(matches!(outcome, Ok(Outcome::Applied { .. })), "{outcome:?}");
    }

    fn held(&self, place: usize) -> Option<Held> {
        let position = self.books.position(&self.account, &self.names[place])?;
        let average = position.average().expect("in range")?;
        let decimal = |amount: Amount| amount.to_string().parse::<Decimal>().expect("28 digits");
        Some(Held { quantity: decimal(position.quantity()), average: decimal(average) })
    }
}

/// `count / parts`, where the parts are a power of ten.
fn parts(count: u32, parts: u32) -> Amount {
    Decimal::new(i64::from(count), parts.ilog10()).try_into().expect("18 decimals at most")
}
