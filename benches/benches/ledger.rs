//! Booking fills: the books alone, through journals in memory and on disk, and reading them back.
//!
//! What waits for no disk is measured in time of the processor: others who use the machine at the same time take turns
//! with it, and that is no cost of ours.

use std::path::Path;
use std::time::Duration;

use backstop_clock::Timestamp;
use backstop_position_ledger::{
    Account, Amount, Books, Currency, Durability, Entry, Fact, Instrument, InstrumentId,
    Instruments, Ledger, MemoryJournal, Outcome, SqliteJournal,
    fill::{Fill, Side, TradeId},
    journal::Record,
    order::{Intent, Strategy},
    rules::Method,
};
use backstop_storage::Database;
use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput};
use rusqlite::Connection;
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;
use uuid::Uuid;

/// Positions over which the fills are spread.
const POSITIONS: u64 = 1_000;

/// Fills made at a time, outside of what is measured.
const BATCH: u64 = 1_000;

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    apply(&mut criterion);
    journal(&mut criterion);
    durable(&mut criterion);
    reading(&mut criterion);
    criterion.final_summary();
}

/// What trade ids look like.
#[derive(Clone, Copy)]
enum Ids {
    Number,
    /// Texts that rise, as those of most venues.
    Text,
    /// Texts in no order.
    Random,
}

/// Who trades how.
#[derive(Clone, Copy)]
enum Pattern {
    /// Buys and sells of varying size, so that positions grow, shrink and turn.
    Mixed,
    /// Every position is closed by its next fill and opened by the one after.
    Reopening,
    /// As `Mixed`, of a bot: fills of its own orders for a strategy, first in first out, fees in a third currency.
    Desk,
}

/// An endless stream of fills.
struct Fills {
    names: Vec<InstrumentId>,
    account: Account,
    usd: Currency,
    ids: Ids,
    pattern: Pattern,
    next: u64,
}

impl Fills {
    fn new(ids: Ids, pattern: Pattern) -> Self {
        let name = |n| InstrumentId::new(&format!("PAIR-{n:04}")).expect("a name");
        let names = (0..POSITIONS).map(name).collect();
        let (account, usd) = (Account::new("main").expect("a name"), dollars());
        Self { names, account, usd, ids, pattern, next: 0 }
    }

    fn instruments(&self) -> Instruments {
        let method = match self.pattern {
            Pattern::Desk => Method::Fifo,
            Pattern::Mixed | Pattern::Reopening => Method::Average,
        };
        let contract = |name: &InstrumentId| {
            Instrument::new(name.clone(), self.usd.clone(), amount("0.00001"), amount("0.001"))
                .expect("steps above zero")
                .with_method(method)
        };
        let known = Instruments::new(self.names.iter().map(contract)).expect("distinct names");
        known.with_currency(coins())
    }

    /// The orders that are filled, if they are known: one for each position and side, larger than all its fills.
    fn intents(&self) -> Vec<Entry> {
        let known = match self.pattern {
            Pattern::Desk => self.names.as_slice(),
            Pattern::Mixed | Pattern::Reopening => &[],
        };
        let intent = |(place, name): (u64, &InstrumentId), side| {
            let order_id = self.order_id(place, side);
            let intent = Intent {
                order_id,
                tag: order_id,
                instrument: name.clone(),
                side,
                quantity: whole(1_000_000_000),
                limit: None,
                accept_by: AT,
                strategy: Strategy::new("momentum").expect("a name"),
            };
            Entry::new(order_id, self.account.clone(), AT, Fact::intended(intent))
        };
        let both = |known| [Side::Buy, Side::Sell].map(|side| intent(known, side));
        (0..).zip(known).flat_map(both).collect()
    }

    fn order_id(&self, place: u64, side: Side) -> Uuid {
        let mut random = [9; 10];
        if matches!(self.pattern, Pattern::Desk) {
            random[0] = u8::from(side == Side::Sell);
            random[1..9].copy_from_slice(&place.to_be_bytes());
        }
        Entry::id_at(AT, random)
    }

    fn entry(&mut self) -> Entry {
        let n = self.next;
        self.next += 1;
        // Cheap and well spread; the same in every run.
        let chance = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let place = match self.pattern {
            Pattern::Mixed | Pattern::Desk => chance % POSITIONS,
            Pattern::Reopening => n % POSITIONS,
        };
        let is_sell = match self.pattern {
            Pattern::Mixed | Pattern::Desk => chance / POSITIONS % 2 == 1,
            Pattern::Reopening => n / POSITIONS % 2 == 1,
        };
        let lots = match self.pattern {
            Pattern::Mixed | Pattern::Desk => 1 + chance / 7 % 5_000,
            Pattern::Reopening => 250,
        };
        let thousandth = amount("0.001");
        let quantity = thousandth.checked_mul(whole(lots)).expect("in range");
        let price =
            amount("0.00001").checked_mul(whole(100_000 + chance % 9_000)).expect("in range");
        let trade_id = match self.ids {
            Ids::Number => TradeId::of_number(n),
            Ids::Text => TradeId::new(&format!("T-{n:014x}")).expect("a name"),
            // An odd factor, so that none comes twice.
            Ids::Random => {
                let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                TradeId::new(&format!("{mixed:016x}")).expect("a name")
            }
        };
        let side = if is_sell { Side::Sell } else { Side::Buy };
        let instrument = self.names[usize::try_from(place).expect("small")].clone();
        let order_id = self.order_id(place, side);
        let fee_currency = match self.pattern {
            Pattern::Desk => coins(),
            Pattern::Mixed | Pattern::Reopening => self.usd.clone(),
        };
        let fill = Fill::new(trade_id, order_id, instrument, (side, quantity, price))
            .with_fee(amount("0.05"), fee_currency);
        let at = Timestamp::from_millis(AT.as_millis() + i64::try_from(n).expect("small"));
        let mut random = [0; 10];
        random[..8].copy_from_slice(&n.to_be_bytes());
        Entry::new(Entry::id_at(at, random), self.account.clone(), at, Fact::Filled(fill))
    }

    fn batch(&mut self) -> Vec<Entry> {
        (0..BATCH).map(|_| self.entry()).collect()
    }
}

fn whole(number: u64) -> Amount {
    Amount::from_int(i64::try_from(number).expect("small"))
}

fn dollars() -> Currency {
    Currency::new("USD").expect("a name")
}

fn coins() -> Currency {
    Currency::new("BNB").expect("a name")
}

fn amount(text: &str) -> Amount {
    text.parse().expect("an amount")
}

/// The time that `take` needs for `count` fills on fresh books.
fn timed<B>(
    (ids, pattern, count): (Ids, Pattern, u64),
    open: impl Fn(Instruments) -> B,
    mut take: impl FnMut(&mut B, &Entry),
) -> Duration {
    let mut fills = Fills::new(ids, pattern);
    let mut books = open(fills.instruments());
    fills.intents().iter().for_each(|intent| take(&mut books, intent));
    let mut spent = Duration::ZERO;
    for _ in 0..count / BATCH {
        let batch = fills.batch();
        let start = worked();
        for entry in &batch {
            take(&mut books, entry);
        }
        spent += worked().saturating_sub(start);
    }
    spent
}

fn book(books: &mut Books, entry: &Entry) {
    let outcome = books.book(entry);
    assert!(matches!(outcome, Ok(Outcome::Applied { .. })), "{outcome:?}");
}

fn apply(criterion: &mut Criterion) {
    let cases = [
        ("number_ids/1M", Ids::Number, Pattern::Mixed, 1_000_000),
        ("text_ids/1M", Ids::Text, Pattern::Mixed, 1_000_000),
        ("random_ids/1M", Ids::Random, Pattern::Mixed, 1_000_000),
        ("own_orders/1M", Ids::Number, Pattern::Desk, 1_000_000),
        ("number_ids/10M", Ids::Number, Pattern::Mixed, 10_000_000),
        ("reopening/1M", Ids::Number, Pattern::Reopening, 1_000_000),
        ("reopening/10M", Ids::Number, Pattern::Reopening, 10_000_000),
    ];
    for (name, ids, pattern, count) in cases {
        let mut group = criterion.benchmark_group(format!("ledger_apply/{name}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("backstop", |bencher| {
            bencher.iter_custom(|times| {
                let spent = timed((ids, pattern, count), Books::new, book);
                share(spent, times, count)
            });
        });
        group.finish();
    }
}

/// The time that this thread has had a processor for.
fn worked() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("it began at zero")
}

/// The time that `times` calls need.
fn repeated(times: u64, mut call: impl FnMut()) -> Duration {
    let start = worked();
    (0..times).for_each(|_| call());
    worked().saturating_sub(start)
}

/// The time of one of `count` pieces, `times` times over.
fn share(spent: Duration, times: u64, count: u64) -> Duration {
    let nanos = spent.as_nanos() * u128::from(times) / u128::from(count);
    Duration::from_nanos(u64::try_from(nanos).expect("below centuries"))
}

fn journal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ledger_append_fill");
    group.throughput(Throughput::Elements(1));
    let count = 1_000_000;
    group.bench_function("backstop", |bencher| {
        bencher.iter_custom(|times| {
            let open = |known| Ledger::open(Box::new(MemoryJournal::new()), known).expect("empty");
            let spent = timed((Ids::Number, Pattern::Mixed, count), open, |ledger, entry| {
                let outcome = ledger.append(entry, Durability::Grouped);
                assert!(matches!(outcome, Ok(Outcome::Applied { .. })), "{outcome:?}");
            });
            share(spent, times, count)
        });
    });
    group.finish();
}

/// Groups of a hundred fills, each group durable before the next: through the ledger, and as bare rows.
///
/// In short rounds, because what else uses the disk changes from second to second: the functions of one round can be
/// compared, those of two cannot.
fn durable(criterion: &mut Criterion) {
    const GROUP: usize = 100;
    let mut group = criterion.benchmark_group("ledger_durable_100");
    group.throughput(Throughput::Elements(100));
    group.sample_size(20).warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(1)).sampling_mode(SamplingMode::Flat);
    for round in 1..=5 {
        // On the disk of the target folder; a temporary folder may be in memory.
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let mut fills = Fills::new(Ids::Number, Pattern::Mixed);
        // One database at a time: SQLite shares its page cache among all that are open.
        let mut ledger = ledger_at(&folder.path().join("ledger.db"), &fills);
        group.bench_function(BenchmarkId::new("backstop", round), |bencher| {
            bencher.iter_batched(
                || (0..GROUP).map(|_| fills.entry()).collect::<Vec<_>>(),
                |entries| {
                    let outcomes = ledger.append_all(&entries, None, Durability::Durable);
                    assert_eq!(outcomes.map(|outcomes| outcomes.len()).ok(), Some(GROUP));
                },
                BatchSize::SmallInput,
            );
        });
        drop(ledger);
        let bare = bare(&folder.path().join("bare.db"));
        let mut fills = Fills::new(Ids::Number, Pattern::Mixed);
        let mut source =
            Ledger::open(Box::new(MemoryJournal::new()), fills.instruments()).expect("empty");
        group.bench_function(BenchmarkId::new("rusqlite", round), |bencher| {
            bencher.iter_batched(
                || {
                    let entries: Vec<_> = (0..GROUP).map(|_| fills.entry()).collect();
                    let before = source.version();
                    source.append_all(&entries, None, Durability::Grouped).expect("fresh fills");
                    source.journal().read(before, GROUP).expect("in memory")
                },
                |rows| insert(&bare, &rows),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn ledger_at(path: &Path, fills: &Fills) -> Ledger {
    let db = Database::open(path).expect("a fresh file");
    let journal = SqliteJournal::create(db, AT).expect("a fresh database");
    Ledger::resume(Box::new(journal), fills.instruments()).expect("an own journal")
}

/// The table of the journal on a connection with the same settings, and nothing else.
fn bare(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a fresh file");
    connection.pragma_update(None, "journal_mode", "wal").expect("a file on a disk");
    connection.pragma_update(None, "synchronous", "full").expect("a setting");
    let table = "CREATE TABLE journal (sequence INTEGER PRIMARY KEY, previous BLOB NOT NULL, hash BLOB NOT NULL,
                 body BLOB NOT NULL) STRICT";
    connection.execute_batch(table).expect("a fresh database");
    connection
}

fn insert(connection: &Connection, rows: &[Record]) {
    connection.execute_batch("BEGIN IMMEDIATE").expect("no other writer");
    {
        let mut statement = connection
            .prepare_cached("INSERT INTO journal VALUES (?1, ?2, ?3, ?4)")
            .expect("a statement");
        for row in rows {
            let sequence = i64::try_from(row.sequence).expect("small");
            let (previous, hash) = (row.previous.as_bytes(), row.hash.as_bytes());
            statement.execute((sequence, previous, hash, &row.body)).expect("a fresh row");
        }
    }
    connection.execute_batch("COMMIT").expect("a disk");
}

/// Reading back: from the start, from an image and a tail, and the proof that nothing was lost.
fn reading(criterion: &mut Criterion) {
    let count = 1_000_000;
    let mut fills = Fills::new(Ids::Number, Pattern::Mixed);
    let mut ledger =
        Ledger::open(Box::new(MemoryJournal::new()), fills.instruments()).expect("empty");
    for _ in 0..count / BATCH {
        for entry in fills.batch() {
            assert!(ledger.append(&entry, Durability::Grouped).is_ok());
        }
    }
    let mut group = criterion.benchmark_group("ledger_replay");
    group.throughput(Throughput::Elements(count));
    group.bench_function("verified", |bencher| {
        bencher.iter_custom(|times| repeated(times, || assert!(ledger.replay().run().is_ok())));
    });
    group.bench_function("unverified", |bencher| {
        let replay = || assert!(ledger.replay().without_verification().run().is_ok());
        bencher.iter_custom(|times| repeated(times, replay));
    });
    group.bench_function("conservation", |bencher| {
        let check = || assert_eq!(ledger.books().check_conservation(), Ok(()));
        bencher.iter_custom(|times| repeated(times, check));
    });
    group.finish();
    drop(ledger);

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let mut fills = Fills::new(Ids::Number, Pattern::Mixed);
    let mut ledger = ledger_at(&path, &fills);
    for step in 0..110 {
        if step == 100 {
            ledger.keep_image().expect("a disk");
        }
        ledger.append_all(&fills.batch(), None, Durability::Grouped).expect("fresh fills");
    }
    ledger.flush().expect("a disk");
    drop(ledger);
    let mut group = criterion.benchmark_group("ledger_open");
    group.bench_function("image_100k_tail_10k", |bencher| {
        bencher.iter_batched(
            || (),
            |()| {
                let ledger = ledger_at(&path, &fills);
                assert_eq!(ledger.version(), 110_000);
                ledger
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}
