//! A bot with a legacy positions log and a paper wallet reads both as books, and mends the one that missed a trade.
#![expect(clippy::print_stdout, reason = "the program shows what happened")]

use anyhow::{Context as _, ensure};
use backstop_clock::Timestamp;
use backstop_position_ledger::action::{Opening, Reference, Repair};
use backstop_position_ledger::fill::{Fill, Side, TradeId};
use backstop_position_ledger::{
    Account, Amount, Books, Currency, Entry, Fact, Instrument, InstrumentId, Instruments, Text,
};
use backstop_reconciliation_strategies::{
    Context, Policy, Preset, Report, Statement, reconcile, rows::PositionRow,
};
use rust_decimal::Decimal;
use uuid::Uuid;

/// What an earlier version of the bot left: a line per position and change; it missed the second sale.
const LOG: &str = "\
at_ms,kind,symbol,quantity,price
1000,open,EUR/USD,2000,1.10
2000,sell,EUR/USD,500,1.12
";

const INSTRUMENT: &str = "EUR/USD";

/// A book of its own: an account that is simulated, or that a file speaks for.
fn book() -> anyhow::Result<Books> {
    let (id, usd) = (InstrumentId::new(INSTRUMENT)?, Currency::new("USD")?);
    let contract = Instrument::new(id, usd, "0.00001".parse()?, Amount::from_int(100))?;
    Ok(Books::new(Instruments::new([contract])?))
}

/// Each line is an entry; the number of the line is the id of what the log never gave one.
fn read_log(log: &str) -> anyhow::Result<Books> {
    let mut books = book()?;
    for (line, text) in (1_u64..).zip(log.lines().skip(1)) {
        let fields: Vec<_> = text.split(',').collect();
        let [at, kind, symbol, quantity, price] = fields[..] else {
            anyhow::bail!("line {line}: {text}");
        };
        let (quantity, price) =
            (Amount::read("quantity", quantity)?, Amount::read("price", price)?);
        let instrument = InstrumentId::new(symbol)?;
        let fact = if kind == "open" {
            let (id, cost) = (Reference::new(&line.to_string())?, quantity.checked_mul(price)?);
            Fact::PositionOpened(Opening { id, instrument, leg: None, quantity, cost })
        } else {
            let side = if kind == "buy" { Side::Buy } else { Side::Sell };
            let id = TradeId::of_number(line);
            Fact::Filled(Fill::new(id, Uuid::nil(), instrument, (side, quantity, price)))
        };
        enter(&mut books, at.parse()?, fact).with_context(|| format!("line {line}"))?;
    }
    Ok(books)
}

fn enter(books: &mut Books, at: i64, fact: Fact) -> anyhow::Result<()> {
    let at = Timestamp::from_millis(at);
    let id = Entry::id_at(at, [u8::try_from(books.sequence())?; 10]);
    let outcome = books.book(&Entry::new(id, Account::new("main")?, at, fact))?;
    println!("{outcome:?}");
    Ok(())
}

/// The mapping from the ledger's records to those of reconciliation.
fn rows(source: &'static str, books: &Books) -> anyhow::Result<Statement<'static>> {
    let now = Timestamp::from_millis(60_000);
    let held = books.statement(now, now).positions.into_iter().map(|row| {
        let quantity = Decimal::try_from(row.quantity)?;
        let names = (row.account.to_string(), row.instrument.to_string());
        let held = PositionRow::new(names.0, names.1, quantity);
        // One that no decimal states is not compared.
        let average = row.average.and_then(|average| Decimal::try_from(average).ok());
        Ok(match average {
            Some(average) => held.with_average_price(average),
            None => held,
        })
    });
    let held = held.collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Statement::new(source, now).with_version(books.sequence()).with_positions(held))
}

fn compare(log: &Books, wallet: &Books) -> anyhow::Result<Report> {
    let (policy, now) = (Policy::new(Preset::Full), Context::new(Timestamp::from_millis(60_000)));
    Ok(reconcile(&policy, &now, &rows("log", log)?, &rows("wallet", wallet)?)?)
}

fn main() -> anyhow::Result<()> {
    let mut log = read_log(LOG)?;
    let mut wallet = read_log(&format!("{LOG}3000,sell,EUR/USD,300,1.13\n"))?;
    let breaks = compare(&log, &wallet)?;
    println!("{:?}", breaks.findings);
    ensure!(breaks.findings.len() == 1, "the log missed a sale");

    // The repair is an entry with its reason, at the log's own average: it invents no profit.
    let (id, account) = (InstrumentId::new(INSTRUMENT)?, Account::new("main")?);
    let quantity = |books: &Books| books.net_quantity(&account, &id)?.context("no position");
    let change = quantity(&wallet)?.checked_sub(quantity(&log)?)?;
    let average = log.position(&account, &id).context("no position")?.average()?;
    let reason = Text::clipped(&format!("{:?}", breaks.findings[0].id));
    let (price, reference) = (average.context("flat")?, Reference::new("repair-1")?);
    let repair = Repair { id: reference, instrument: id.clone(), leg: None, change, price, reason };
    enter(&mut log, 60_000, Fact::PositionAdjusted(repair))?;
    ensure!(compare(&log, &wallet)?.findings.is_empty(), "the second run is silent");

    // The wallet goes on by itself, like any other book.
    let sale = (Side::Sell, quantity(&wallet)?, "1.2".parse()?);
    let fill = Fill::new(TradeId::new("paper-1")?, Uuid::nil(), id.clone(), sale);
    enter(&mut wallet, 61_000, Fact::Filled(fill))?;
    ensure!(quantity(&wallet)?.is_zero(), "the wallet is flat");
    wallet.check_conservation()?;
    Ok(log.check_conservation()?)
}
