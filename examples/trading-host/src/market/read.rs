//! A market folder, on disk or inside the program, becomes a [`Market`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use backstop_clock::Timestamp;
use rust_decimal::Decimal;

use super::table::{self, Row, Table};
use super::{Bar, Currency, Instrument, Market, MarketError, Rule, Symbol, series};

const INSTRUMENT_FILE: &str = "instruments.csv";

const INSTRUMENT_COLUMNS: [&str; 7] =
    ["symbol", "base", "quote", "price_step", "lot_step", "multiplier", "fee_rate"];

const BAR_COLUMNS: [&str; 7] = ["time", "symbol", "open", "high", "low", "close", "volume"];

const QUOTE_COLUMNS: [&str; 4] = ["bid", "ask", "bid_size", "ask_size"];

/// The folder that is part of the program.
pub(super) fn bundled() -> Result<Market, MarketError> {
    let named = |name: &str| Path::new("bundled/2017").join(name);
    let instruments = include_str!("../../data/2017/instruments.csv");
    let equities = include_str!("../../data/2017/equities.bars.csv");
    let euro = include_str!("../../data/2017/eurusd.bars.csv");
    let mut draft = Draft::new(&named(INSTRUMENT_FILE), instruments.as_bytes())?;
    draft.add(named("equities.bars.csv"), equities.as_bytes().into())?;
    draft.add(named("eurusd.bars.csv"), euro.as_bytes().into())?;
    draft.finish(Path::new("bundled/2017"))
}

/// The folder `dir` on disk.
pub(super) fn folder(dir: &Path) -> Result<Market, MarketError> {
    let mut names = names(dir).map_err(|source| unreadable(dir, source))?;
    // The system lists a folder in any order; files of bars are read by name.
    names.sort_unstable();
    if !names.iter().any(|name| name == INSTRUMENT_FILE) {
        return Err(incomplete(dir, Rule::InstrumentFile));
    }
    names.retain(|name| name == "bars.csv" || name.ends_with(".bars.csv"));
    if names.is_empty() {
        return Err(incomplete(dir, Rule::BarFile));
    }
    let path = dir.join(INSTRUMENT_FILE);
    let text = open(&path)?;
    let mut draft = Draft::new(&path, &text)?;
    for name in names {
        let path = dir.join(name);
        let text = open(&path)?;
        draft.add(path, text.into())?;
    }
    draft.finish(dir)
}

/// Names of what `dir` holds; one that is not UTF-8 cannot be a file of the form.
fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

fn open(path: &Path) -> Result<Vec<u8>, MarketError> {
    fs::read(path).map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: io::Error) -> MarketError {
    MarketError::Unreadable { path: path.to_owned(), source }
}

fn incomplete(path: &Path, rule: Rule) -> MarketError {
    MarketError::Incomplete { path: path.to_owned(), rule }
}

/// A market whose files are not all read yet.
struct Draft {
    instruments: Vec<Instrument>,
    places: BTreeMap<Symbol, usize>,
    files: Vec<Source>,
    bars: Vec<Sourced>,
    rounded: u64,
}

/// A file of bars, kept so that a complaint can still name a line of it.
struct Source {
    path: PathBuf,
    text: Cow<'static, [u8]>,
}

/// A bar, and the file and byte where it was read.
struct Sourced {
    bar: Bar,
    file: usize,
    begin: u64,
}

impl Draft {
    /// Read `instruments.csv`.
    fn new(path: &Path, text: &[u8]) -> Result<Self, MarketError> {
        let mut instruments = Vec::new();
        let mut places = BTreeMap::new();
        let mut table = Table::open(path, text, &INSTRUMENT_COLUMNS, &[])?;
        while let Some(row) = table.next()? {
            let instrument = instrument(&row)?;
            if places.insert(instrument.symbol.clone(), instruments.len()).is_some() {
                return Err(row.refuse_field("symbol", Rule::RepeatedSymbol));
            }
            instruments.push(instrument);
        }
        if instruments.is_empty() {
            return Err(incomplete(path, Rule::Empty));
        }
        Ok(Self { instruments, places, files: Vec::new(), bars: Vec::new(), rounded: 0 })
    }

    /// Read a file of bars.
    fn add(&mut self, path: PathBuf, text: Cow<'static, [u8]>) -> Result<(), MarketError> {
        let mut table = Table::open(&path, &text, &BAR_COLUMNS, &QUOTE_COLUMNS)?;
        let file = self.files.len();
        let mut latest = None;
        while let Some(row) = table.next()? {
            let bar = self.bar(&row)?;
            if latest.is_some_and(|latest| bar.start < latest) {
                return Err(row.refuse_field("time", Rule::Order));
            }
            latest = Some(bar.start);
            self.bars.push(Sourced { bar, file, begin: row.begin() });
        }
        self.files.push(Source { path, text });
        Ok(())
    }

    /// One row of bars; its end is set when all rows are known.
    fn bar(&mut self, row: &Row<'_>) -> Result<Bar, MarketError> {
        let start = row.time("time")?;
        let symbol = row.code("symbol", Symbol::new)?;
        let Some(&instrument) = self.places.get(&symbol) else {
            return Err(row.refuse_field("symbol", Rule::UnknownSymbol));
        };
        let step = self.instruments[instrument].price_step;
        let rounded = &mut self.rounded;
        let Some(close) = row.price("close", step, rounded)? else {
            return Err(row.refuse_field("close", Rule::Missing));
        };
        let [open, high, low] = range(row, close, step, rounded)?;
        let (bid, ask) = (row.price("bid", step, rounded)?, row.price("ask", step, rounded)?);
        if let (Some(bid), Some(ask)) = (bid, ask)
            && ask < bid
        {
            return Err(row.refuse_field("ask", Rule::Crossed));
        }
        Ok(Bar {
            instrument,
            start,
            end: start,
            open,
            high,
            low,
            close,
            volume: row.not_negative("volume")?,
            bid,
            ask,
            bid_size: row.not_negative("bid_size")?,
            ask_size: row.not_negative("ask_size")?,
        })
    }

    /// Merge the files by time, then instrument, and measure the bars.
    fn finish(mut self, dir: &Path) -> Result<Market, MarketError> {
        if self.bars.is_empty() {
            return Err(incomplete(dir, Rule::Empty));
        }
        self.bars.sort_by_key(|read| (read.bar.start, read.bar.instrument, read.file, read.begin));
        let place = |bar: &Bar| (bar.start, bar.instrument);
        let twice = self.bars.windows(2).find(|pair| place(&pair[0].bar) == place(&pair[1].bar));
        if let Some([_, second]) = twice {
            return Err(self.duplicate(second));
        }
        let starts = self.bars.iter().map(|read| (read.bar.instrument, read.bar.start));
        let lengths = series::lengths(self.instruments.len(), starts);
        let mut bars: Vec<Bar> = self.bars.into_iter().map(|read| read.bar).collect();
        for bar in bars.iter_mut().filter(|bar| !bar.is_close_only()) {
            bar.end = bar.start.saturating_add(lengths[bar.instrument]);
        }
        Ok(Market { instruments: self.instruments, bars, rounded: self.rounded })
    }

    fn duplicate(&self, second: &Sourced) -> MarketError {
        let Source { path, text } = &self.files[second.file];
        MarketError::Field {
            path: path.clone(),
            line: table::line_at(text, second.begin),
            field: "time",
            value: format!("{} {}", rfc3339(second.bar.start), self.symbol(&second.bar)),
            rule: Rule::Duplicate,
        }
    }

    fn symbol(&self, bar: &Bar) -> &Symbol {
        &self.instruments[bar.instrument].symbol
    }
}

/// One row of `instruments.csv`.
fn instrument(row: &Row<'_>) -> Result<Instrument, MarketError> {
    row.text("fee_rate")?;
    let fee_rate = row.not_negative("fee_rate")?.unwrap_or_default();
    if fee_rate >= Decimal::ONE {
        return Err(row.refuse_field("fee_rate", Rule::Rate));
    }
    Ok(Instrument {
        symbol: row.code("symbol", Symbol::new)?,
        base: row.code("base", Currency::new)?,
        quote: row.code("quote", Currency::new)?,
        price_step: row.above_zero("price_step")?,
        lot_step: row.above_zero("lot_step")?,
        multiplier: row.above_zero("multiplier")?,
        fee_rate,
    })
}

/// Open, high and low, which may only be unknown together: then the close is all there is.
fn range(
    row: &Row<'_>,
    close: Decimal,
    step: Decimal,
    rounded: &mut u64,
) -> Result<[Decimal; 3], MarketError> {
    let fields = ["open", "high", "low"];
    if fields.iter().all(|field| row.find(field).is_none()) {
        return Ok([close; 3]);
    }
    let mut known = [close; 3];
    for (field, known) in fields.into_iter().zip(&mut known) {
        let price = row.price(field, step, rounded)?;
        *known = price.ok_or_else(|| row.refuse_field(field, Rule::Missing))?;
    }
    let [open, high, low] = known;
    if high < low {
        return Err(row.refuse_field("high", Rule::HighBelowLow));
    }
    for (field, price) in [("open", open), ("close", close)] {
        if price < low || price > high {
            return Err(row.refuse_field(field, Rule::Range));
        }
    }
    Ok(known)
}

fn rfc3339(at: Timestamp) -> String {
    let known = jiff::Timestamp::from_millisecond(at.as_millis());
    known.map_or_else(|_| at.to_string(), |known| known.to_string())
}
