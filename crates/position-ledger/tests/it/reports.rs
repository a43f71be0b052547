//! Snapshots as reports: scheduled, kept, published, found again, and compared with the live books.

use std::collections::BTreeMap;
use std::time::Duration;

use backstop_clock::Timestamp;
use backstop_position_ledger::error::{StoreError, TakeError};
use backstop_position_ledger::fill::Side;
use backstop_position_ledger::order::{Portfolio, Strategy};
use backstop_position_ledger::pnl::{
    Broker, Drift, Figure, Kind, Limits, MemoryStore, Query, Schedule, Scope, Snapshot, Status,
    Store, take,
};
use backstop_position_ledger::{
    Amount, Books, Durability, Fact, Ledger, MIGRATIONS, SqliteSnapshots,
};
use backstop_storage::{Database, history};
use proptest::prelude::*;

use crate::kit::{Desk, account, amount, apply, currency, fill, instrument_id, ledger};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Long 2 EUR/USD at 100 for one portfolio, and short 1 at 110 for another: 1 is held, and nobody has realized anything.
fn shared() -> Ledger {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let bought = fill("t1", "2", "100");
    let mut sold = fill("t2", "1", "110");
    sold.side = Side::Sell;
    for (fill, portfolio) in [(bought, "slow"), (sold, "fast")] {
        let entry = desk.entry(Fact::Filled(fill));
        let entry = entry.with_portfolio(Portfolio::new(portfolio).unwrap());
        let entry = entry.with_strategy(Strategy::new("trend").unwrap());
        assert!(ledger.append(&entry, Durability::Grouped).is_ok());
    }
    ledger
}

fn scope(portfolio: Option<&str>, broker: Option<&str>) -> Scope {
    Scope {
        portfolio: portfolio.map(|name| Portfolio::new(name).unwrap()),
        broker: broker.map(|name| Broker::new(name).unwrap()),
    }
}

fn marks() -> BTreeMap<backstop_position_ledger::InstrumentId, Amount> {
    BTreeMap::from([(instrument_id("EUR/USD"), amount("105"))])
}

fn snapshot(books: &Books, scope: &Scope, millis: i64, kind: Kind) -> Snapshot {
    books.snapshot_of(scope, &marks(), at(millis), kind).unwrap()
}

#[test]
fn a_portfolio_is_reported_by_its_shares() {
    let ledger = shared();
    let whole = snapshot(ledger.books(), &Scope::default(), 1, Kind::Periodic);
    let slow = snapshot(ledger.books(), &scope(Some("slow"), Some("ib")), 1, Kind::Periodic);
    let fast = snapshot(ledger.books(), &scope(Some("fast"), None), 1, Kind::Periodic);
    let usd = currency("USD");
    // The position closed half of the long; the portfolios closed nothing. All at the mark it is the same money.
    assert_eq!((whole.realized[&usd], whole.unrealized[&usd]), (amount("10"), amount("5")));
    assert_eq!((slow.realized[&usd], slow.unrealized[&usd]), (amount("0"), amount("10")));
    assert_eq!((fast.realized[&usd], fast.unrealized[&usd]), (amount("0"), amount("5")));
    assert_eq!(whole.total[&usd], amount("15"));
    assert_eq!(slow.total[&usd].checked_add(fast.total[&usd]).unwrap(), whole.total[&usd]);
    assert_eq!(slow.positions.len(), 1);
    assert_eq!(slow.positions[0].quantity, amount("2"));
    assert_eq!(slow.positions[0].strategy.as_ref().unwrap().as_str(), "trend");
    for snapshot in [&whole, &slow, &fast] {
        snapshot.verify_against(ledger.books()).unwrap();
    }
    // Whom it speaks of is sealed.
    let mut other = slow.clone();
    other.portfolio = Some(Portfolio::new("fast").unwrap());
    other.verify().unwrap_err();
    let mut other = slow;
    other.broker = None;
    other.verify().unwrap_err();
}

/// What every store has to do.
fn contract(store: &mut dyn Store) {
    let ledger = shared();
    let books = ledger.books();
    assert_eq!(store.find(&Query::new()).unwrap(), []);
    let (slow, fast) = (scope(Some("slow"), Some("ib")), scope(Some("fast"), Some("ibkr")));
    let all = [
        snapshot(books, &Scope::default(), 10, Kind::Periodic),
        snapshot(books, &slow, 20, Kind::Periodic),
        snapshot(books, &fast, 20, Kind::EndOfDay),
        snapshot(books, &slow, 30, Kind::Reconciliation),
    ];
    for snapshot in &all {
        store.put(snapshot).unwrap();
        store.put(snapshot).unwrap();
    }
    let mut forged = all[0].clone();
    forged.total.insert(currency("USD"), amount("1000"));
    assert!(matches!(store.put(&forged), Err(StoreError::Checksum(_))));

    let find = |query: Query| -> Vec<i64> {
        let found = store.find(&query).unwrap();
        assert!(found.iter().all(|found| all.contains(&found.snapshot)));
        assert!(found.iter().all(|found| found.status == Status::Unchecked));
        found.iter().map(|found| found.snapshot.at.as_millis()).collect()
    };
    assert_eq!(find(Query::new()), [30, 20, 20, 10]);
    assert_eq!(find(Query::new().with_limit(2)), [30, 20]);
    assert_eq!(find(Query::new().with_times(at(10), at(30))), [20, 20, 10]);
    assert_eq!(find(Query::new().with_portfolio(Portfolio::new("slow").unwrap())), [30, 20]);
    assert_eq!(find(Query { portfolio: Some(None), ..Query::new() }), [10]);
    assert_eq!(find(Query::new().with_broker(Broker::new("ib").unwrap())), [30, 20]);
    assert_eq!(find(Query::new().with_kind(Kind::EndOfDay)), [20]);
    assert_eq!(find(Query::new().with_status(Status::Alert)), [] as [i64; 0]);

    let validation = all[1].validate(books, &Limits::default()).unwrap();
    store.mark(all[1].checksum, &validation, at(99)).unwrap();
    let valid = store.find(&Query::new().with_status(Status::Valid)).unwrap();
    assert_eq!(valid.len(), 1);
    assert_eq!(valid[0].snapshot, all[1]);
    assert_eq!(valid[0].validation, Some((validation.clone(), at(99))));
    let unknown = store.mark(forged.seal(), &validation, at(99));
    assert!(matches!(unknown, Err(StoreError::Unknown(_))));
}

#[test]
fn memory_keeps_the_contract_and_its_bound() {
    contract(&mut MemoryStore::new(100));
    let (ledger, mut store) = (shared(), MemoryStore::new(3));
    for millis in 0..10 {
        store.put(&snapshot(ledger.books(), &Scope::default(), millis, Kind::Periodic)).unwrap();
    }
    let kept = store.find(&Query::new()).unwrap();
    assert_eq!(kept.iter().map(|kept| kept.snapshot.at).collect::<Vec<_>>(), [at(9), at(8), at(7)]);
}

#[test]
fn sqlite_keeps_the_contract_and_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.db");
    let mut store = SqliteSnapshots::create(Database::open(&path).unwrap(), at(0)).unwrap();
    contract(&mut store);
    drop(store);
    let db = Database::open(&path).unwrap();
    let store = SqliteSnapshots::open(db.clone()).unwrap();
    assert_eq!(store.find(&Query::new()).unwrap().len(), 4);
    // Somebody edits a row: it is refused by name.
    let edit = "UPDATE ledger_pnl_snapshots SET body = replace(body, '\"kind\":\"end_of_day\"', '\"kind\":\"periodic\"')";
    db.write(|connection| connection.execute(edit, [])).unwrap();
    assert!(matches!(store.find(&Query::new()), Err(StoreError::Checksum(_))));
}

#[test]
fn a_damaged_row_spoils_no_other() {
    let db = Database::in_memory().unwrap();
    let mut store = SqliteSnapshots::create(db.clone(), at(0)).unwrap();
    let ledger = shared();
    let taken: Vec<_> = [1, 2, 3, 4]
        .map(|millis| snapshot(ledger.books(), &Scope::default(), millis, Kind::EndOfDay))
        .into();
    for snapshot in &taken {
        store.put(snapshot).unwrap();
    }
    let edits = "
        UPDATE ledger_pnl_snapshots SET body = '{}' WHERE at_ms = 2;
        UPDATE ledger_pnl_snapshots SET body = CAST(x'7bff' AS TEXT) WHERE at_ms = 3;";
    db.write(move |connection| connection.execute_batch(edits)).unwrap();
    assert!(matches!(store.find(&Query::new()), Err(StoreError::Unreadable { .. })));
    let (mut whole, mut damaged) = (Vec::new(), Vec::new());
    for row in store.find_each(&Query::new()).unwrap() {
        match row {
            Ok(stored) => whole.push(stored.snapshot),
            Err(row) => damaged.push(row),
        }
    }
    assert_eq!(whole, [taken[3].clone(), taken[0].clone()]);
    for (row, snapshot) in damaged.iter().zip([&taken[2], &taken[1]]) {
        assert_eq!((&row.checksum, row.at), (&snapshot.checksum.to_string(), snapshot.at));
        assert_eq!(row.kind, Some(Kind::EndOfDay));
        assert!(row.error.to_string().contains(&row.checksum), "{}", row.error);
    }
    assert_eq!(damaged.len(), 2);
    // Memory has nothing to lose on its own.
    let mut memory = MemoryStore::new(9);
    memory.put(&taken[0]).unwrap();
    assert_eq!(memory.find_each(&Query::new()).unwrap().len(), 1);
}

#[test]
fn sqlite_finds_by_portfolio_and_by_broker_through_their_indexes() {
    let db = Database::in_memory().unwrap();
    history::create(&db, MIGRATIONS, at(0)).unwrap();
    for (column, index) in [("portfolio", "by_portfolio"), ("broker", "by_broker")] {
        let query = format!(
            "EXPLAIN QUERY PLAN SELECT body FROM ledger_pnl_snapshots
             WHERE at_ms >= 1 AND at_ms < 2 AND {column} = 'x' ORDER BY at_ms DESC, checksum LIMIT 9"
        );
        let plan = move |connection: &rusqlite::Connection| {
            connection.query_row(&query, [], |row| row.get::<_, String>("detail"))
        };
        let plan = db.read(plan).unwrap();
        assert!(plan.contains(index), "{plan}");
    }
}

#[test]
fn a_snapshot_is_kept_before_it_is_published() {
    let ledger = shared();
    let snapshot = snapshot(ledger.books(), &Scope::default(), 1, Kind::Periodic);
    let mut store = MemoryStore::new(10);
    let refused = take(&snapshot, &mut store, &mut |_: &Snapshot| Err("the stream is down".into()));
    assert!(matches!(refused, Err(TakeError::Published(_))));
    assert_eq!(store.find(&Query::new()).unwrap().len(), 1);
    // Again, with the stream up: kept once, published.
    let mut told = 0;
    take(&snapshot, &mut store, &mut |_: &Snapshot| {
        told += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!((told, store.find(&Query::new()).unwrap().len()), (1, 1));
}

#[test]
fn small_drift_is_accepted_and_large_drift_is_an_alert() {
    let mut ledger = shared();
    let taken = snapshot(ledger.books(), &Scope::default(), 1, Kind::Periodic);
    let unlimited = Limits { quantity: Amount::MAX, money: Amount::MAX };
    let of = |ledger: &Ledger, limits| taken.validate(ledger.books(), &limits).unwrap();
    assert_eq!(of(&ledger, Limits::default()).status, Status::Valid);

    let mut desk = Desk::default();
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t3", "0.5", "100")));
    let found = of(&ledger, unlimited);
    assert_eq!((found.status, found.sequence), (Status::Accepted, 3));
    let quantity = Drift {
        figure: Figure::Quantity,
        account: account(),
        instrument: Some(instrument_id("EUR/USD")),
        leg: None,
        strategy: None,
        currency: currency("USD"),
        recorded: Some(amount("1")),
        live: Some(amount("1.5")),
        difference: amount("0.5"),
    };
    assert_eq!(found.drifts[0], quantity);
    let cost = &found.drifts[1];
    assert_eq!(
        (cost.figure, cost.difference, found.drifts.len()),
        (Figure::OpenCost, amount("50"), 2)
    );
    // A drift equal to the limit is within it; the unit beside it is not.
    let limits = Limits { quantity: amount("0.5"), money: amount("50") };
    assert_eq!(of(&ledger, limits).status, Status::Accepted);
    let less = Limits { quantity: amount("0.499999999999999999"), ..limits };
    assert_eq!(of(&ledger, less).status, Status::Alert);
    let less = Limits { money: amount("49.999999999999999999").min(amount("49.99")), ..limits };
    assert_eq!(of(&ledger, less).status, Status::Alert);

    let mut forged = taken.clone();
    forged.positions[0].quantity = amount("1.5");
    let found = forged.validate(ledger.books(), &unlimited).unwrap();
    assert_eq!((found.status, found.drifts.len()), (Status::Broken, 0));
}

#[test]
fn a_position_that_only_one_side_knows_is_a_drift() {
    let ledger = shared();
    let taken = snapshot(ledger.books(), &Scope::default(), 1, Kind::Periodic);
    let empty = crate::kit::ledger();
    let found = taken.validate(empty.books(), &Limits::default()).unwrap();
    assert_eq!(found.status, Status::Alert);
    assert!(found.drifts.iter().all(|drift| drift.live.is_none() && drift.recorded.is_some()));
    let nothing = snapshot(empty.books(), &Scope::default(), 1, Kind::Periodic);
    let found = nothing.validate(ledger.books(), &Limits::default()).unwrap();
    assert!(found.drifts.iter().all(|drift| drift.recorded.is_none() && drift.live.is_some()));
}

#[test]
fn a_schedule_is_on_its_grid_and_ends_every_day_once() {
    let hour = Duration::from_hours(1);
    let hours = |hours: i64| at(hours * 3_600_000);
    let mut schedule = Schedule::new(hour, hours(10)).unwrap().with_day_end(22 * hour);
    assert_eq!(schedule.next(), hours(11));
    assert_eq!(schedule.due(hours(10)), None);
    // Late by a bit, then by hours: one each, and the grid stays.
    assert_eq!(schedule.due(at(11 * 3_600_000 + 5)), Some(Kind::Periodic));
    assert_eq!(schedule.due(at(14 * 3_600_000 + 5)), Some(Kind::Periodic));
    assert_eq!(schedule.due(at(14 * 3_600_000 + 6)), None);
    assert_eq!(schedule.next(), hours(15));
    // At the end of the day both are due.
    assert_eq!(schedule.due(hours(22)), Some(Kind::EndOfDay));
    assert_eq!(schedule.due(hours(22)), Some(Kind::Periodic));
    assert_eq!(schedule.due(hours(22)), None);
    // Three days later there is one end of a day, not three.
    assert_eq!(schedule.due(hours(22 + 72)), Some(Kind::EndOfDay));
    assert_eq!(schedule.due(hours(22 + 72)), Some(Kind::Periodic));
    assert_eq!(schedule.due(hours(22 + 72)), None);
    assert_eq!(Schedule::new(Duration::ZERO, at(0)).unwrap_err().field, "every");
}

proptest! {
    /// Whenever it is asked, a schedule gives as many snapshots as intervals have ended, less those that were slept through.
    #[test]
    fn a_schedule_gives_one_snapshot_for_each_interval_that_was_seen_to_end(every in 1_u64..50, steps in prop::collection::vec(0_i64..120, 1..60)) {
        let mut schedule = Schedule::new(Duration::from_millis(every), at(0)).unwrap();
        let (mut now, mut seen) = (0_i64, 0_i64);
        for step in steps {
            now += step;
            let interval = now / i64::try_from(every).unwrap();
            prop_assert_eq!(schedule.due(at(now)).is_some(), interval > seen);
            prop_assert_eq!(schedule.due(at(now)), None);
            prop_assert!(schedule.next() > at(now));
            seen = interval;
        }
    }
}
