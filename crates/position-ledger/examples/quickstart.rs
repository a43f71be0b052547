//! An order from intent to fill, kept in SQLite, and a snapshot of its profit that proves itself.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;

use backstop_clock::Timestamp;
use backstop_position_ledger::fill::{Fill, Side, TradeId};
use backstop_position_ledger::journal::verify;
use backstop_position_ledger::order::{Event, Intent, Strategy, VenueOrderId};
use backstop_position_ledger::pnl::Kind;
use backstop_position_ledger::{
    Account, Amount, Currency, Durability, Entry, Fact, Instrument, InstrumentId, Instruments,
    Ledger, SqliteJournal,
};
use backstop_storage::Database;

fn main() -> Result<(), Box<dyn Error>> {
    let (account, usd, id) =
        (Account::new("main")?, Currency::new("USD")?, InstrumentId::new("EUR/USD")?);
    let instrument =
        Instrument::new(id.clone(), usd.clone(), "0.00001".parse()?, Amount::from_int(1_000))?;
    let journal = SqliteJournal::create(Database::in_memory()?, Timestamp::EPOCH)?;
    let mut ledger = Ledger::open(Box::new(journal), Instruments::new([instrument])?)?;

    // The intent is on disk before the venue can know of the order.
    let at = Timestamp::from_millis(1_000);
    let order_id = Entry::id_at(at, [1; 10]);
    let entry =
        |number: u8, fact| Entry::new(Entry::id_at(at, [number; 10]), account.clone(), at, fact);
    let intent = Intent {
        order_id,
        tag: Entry::id_at(at, [2; 10]),
        instrument: id.clone(),
        side: Side::Buy,
        quantity: Amount::from_int(2_000),
        limit: Some("1.1".parse()?),
        accept_by: Timestamp::from_millis(6_000),
        strategy: Strategy::new("mean-reversion")?,
    };
    println!("{:?}", ledger.append(&entry(3, Fact::intended(intent)), Durability::Durable)?);

    // What the venue says can be fetched again, so it waits for the next commit.
    let accepted = Event::Accepted { venue_order_id: VenueOrderId::new("V-1")? };
    println!(
        "{:?}",
        ledger.append(&entry(4, Fact::order(order_id, accepted)), Durability::Grouped)?
    );
    let what = (Side::Buy, Amount::from_int(2_000), "1.1".parse()?);
    let fill = Fill::new(TradeId::new("T-1")?, order_id, id.clone(), what)
        .with_fee("0.05".parse()?, usd.clone());
    let filled = entry(5, Fact::Filled(fill));
    println!("{:?}", ledger.append(&filled, Durability::Grouped)?);
    println!("the same again: {:?}", ledger.append(&filled, Durability::Grouped)?);
    println!("open orders: {}", ledger.books().open_orders().count());

    let marks = BTreeMap::from([(id, "1.105".parse()?)]);
    let snapshot =
        ledger.books().snapshot(&marks, Timestamp::from_millis(9_000), Kind::Periodic)?;
    ledger.verify_snapshot(&snapshot)?;
    println!("unrealized: {} USD, fees: {} USD", snapshot.unrealized[&usd], snapshot.fees[&usd]);
    println!("checksum: {}", snapshot.checksum);

    ledger.flush()?;
    println!("the chain holds up to entry {}", verify(ledger.journal())?.sequence);
    Ok(())
}
