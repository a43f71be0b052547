//! A restart with an old schema: migrated before anything trades; a newer one is left alone.

use std::{fs, path::Path};

use backstop_clock::Timestamp;
use backstop_position_ledger::{
    Account, Amount, Currency, Durability, Entry, Fact, Ledger, Outcome, SqliteJournal,
    journal::Journal,
};
use backstop_schema_version::{
    Environment, MigrationSet, Refusal, Status,
    sqlite::{on_start, status},
};
use backstop_storage::{Database, Migration, history};
use tempfile::TempDir;
use trading_host::{
    faults::Profile,
    report::Report,
    setup::{self, DATABASE, Request, VENUE_FILE},
};

use crate::stage::{START, broken, contents, market_until};

/// What a later version of this program would have added.
const LATER: Migration = Migration {
    component: "position-ledger",
    id: "9999_margin",
    sql: "CREATE TABLE ledger_margin (account TEXT PRIMARY KEY) STRICT",
};

fn execute(data_dir: &Path, market: &TempDir) -> anyhow::Result<Report> {
    let request = Request {
        faults: Profile::None,
        seed: 1,
        data_dir: Some(data_dir.to_owned()),
        venue: None,
        market: Some(market.path().to_owned()),
    };
    setup::execute(&request, setup::settings(1)?)
}

/// A database as an older version left it: without streams, and with a deposit in the journal.
fn older(data_dir: &Path) -> Entry {
    let letters_only = &backstop_dlq::MIGRATIONS[..1];
    let set = MigrationSet::new(&[backstop_position_ledger::MIGRATIONS, letters_only]).unwrap();
    let db = Database::open(&data_dir.join(DATABASE)).unwrap();
    on_start(&db, &set, Environment::Development, START).unwrap();
    assert_eq!(status(&db, &setup::migrations().unwrap()).unwrap().status, Status::Outdated);

    let journal = SqliteJournal::open(db).unwrap();
    let market = setup::market(None).unwrap();
    let instruments = setup::instruments(&market.instruments).unwrap();
    let mut ledger = Ledger::open(Box::new(journal), instruments).unwrap();
    let currency = Currency::new("USD").unwrap();
    let deposit = Fact::Deposited { currency, amount: Amount::from_int(1_000_000) };
    let account = Account::new(setup::ACCOUNT).unwrap();
    let entry = Entry::new(Entry::id_at(START, [7; 10]), account, START, deposit);
    let outcome = ledger.append(&entry, Durability::Durable).unwrap();
    assert_eq!(outcome, Outcome::Applied { sequence: 1 });
    entry
}

#[test]
fn an_older_database_is_migrated_and_traded_on() {
    let (folder, market) = (tempfile::tempdir().unwrap(), market_until("2017-01-06"));
    let deposit = older(folder.path());
    let report = execute(folder.path(), &market).unwrap();
    assert!(report.ok, "{:?}", broken(&report));
    assert!(report.orders.accepted > 0 && report.pnl_snapshots.taken > 0);

    let db = Database::open(&folder.path().join(DATABASE)).unwrap();
    let seen = status(&db, &setup::migrations().unwrap()).unwrap();
    assert_eq!(seen.status, Status::Current);
    // What was in the journal before is its beginning still.
    let first = SqliteJournal::open(db).unwrap().read(0, 1).unwrap();
    assert_eq!(first[0].entry().unwrap(), deposit);
}

#[test]
fn a_newer_database_is_refused_before_trading_and_not_touched() {
    let (folder, market) = (tempfile::tempdir().unwrap(), market_until("2017-01-06"));
    execute(folder.path(), &market).unwrap();
    let db = Database::open(&folder.path().join(DATABASE)).unwrap();
    db.write(|c| history::apply(c, &LATER, Timestamp::EPOCH)).unwrap();
    drop(db);
    let before = contents(folder.path());

    let error = execute(folder.path(), &market).unwrap_err();
    let refusal = error.downcast_ref::<Refusal>().unwrap();
    assert_eq!(refusal.status, Status::Ahead);
    let text = error.to_string();
    assert!(text.contains("newer than this program"), "{text}");
    assert!(text.contains("component `position-ledger` has `9999_margin`"), "{text}");
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn a_database_of_somebody_else_is_refused_and_gets_no_venue() {
    let (folder, market) = (tempfile::tempdir().unwrap(), market_until("2017-01-06"));
    let db = Database::open(&folder.path().join(DATABASE)).unwrap();
    db.write(|c| c.execute_batch("CREATE TABLE invoices (id INTEGER PRIMARY KEY)")).unwrap();
    drop(db);
    let before = contents(folder.path());
    let error = execute(folder.path(), &market).unwrap_err();
    assert!(error.downcast_ref::<Refusal>().is_some(), "{error:#}");
    assert_eq!(contents(folder.path()), before);
    assert!(!folder.path().join(VENUE_FILE).exists());
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let (folder, market) = (tempfile::tempdir().unwrap(), market_until("2017-01-06"));
    fs::write(folder.path().join(DATABASE), "sequence,previous,hash,body\n".repeat(100)).unwrap();
    let before = contents(folder.path());
    let error = execute(folder.path(), &market).unwrap_err();
    assert!(format!("{error:#}").contains("not a database"), "{error:#}");
    assert_eq!(contents(folder.path()), before);
}
