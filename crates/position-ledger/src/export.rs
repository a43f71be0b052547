//! The journal as CSV or JSON Lines, and back.
//!
//! Every row holds one entry in words, with its place and hashes.
//! Whoever reads it back gets the very records that were exported: the content is encoded again, and has to have the hash
//! that the row states, so an edited row is refused by its line.
//! That rows were left out, swapped or added shows when a [ledger](crate::Ledger) is opened on them.
//!
//! JSON Lines hold one object per line: `sequence`, `previous`, `hash`, `version`, `entry`, `terms`, `body`.
//! `body`, the stored bytes in hexadecimal digits, is there only for entries of earlier versions, which are not written
//! any more.
//! CSV has the columns [`COLUMNS`]; those from `instrument` to `amount` repeat what `content` says, for a spreadsheet.

use std::io::{BufRead, Read, Write};

use serde::{Deserialize, Serialize};

use crate::entry::{Cause, Entry, Fact};
use crate::error::{DecodeError, ExportError, ImportError};
use crate::journal::{Digest, Journal, PAGE, Record, Stored, Terms, VERSION, decode, encode};

/// The columns of the CSV form, in order.
pub const COLUMNS: [&str; 25] = [
    "sequence",
    "previous",
    "hash",
    "version",
    "id",
    "account",
    "strategy",
    "portfolio",
    "at_ms",
    "journaled_at_ms",
    "cause",
    "fact",
    "instrument",
    "order_id",
    "trade_id",
    "side",
    "quantity",
    "price",
    "fee",
    "fee_currency",
    "currency",
    "amount",
    "content",
    "terms",
    "body",
];

/// The longest line that is read; the longest entry has a few KiB, but for fills that name a thousand lots.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// A record in words.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    sequence: u64,
    previous: Digest,
    hash: Digest,
    version: u8,
    entry: Entry,
    terms: Option<Terms>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl Row {
    fn of(record: &Record) -> Result<Self, ExportError> {
        let Record { sequence, previous, hash, body } = record;
        let (sequence, version) = (*sequence, body.first().copied().unwrap_or(0));
        let stored = decode(body).map_err(|why| ExportError::Entry { sequence, why })?;
        let Stored { entry, terms } = stored;
        let body = (version != VERSION).then(|| hex(body));
        Ok(Self { sequence, previous: *previous, hash: *hash, version, entry, terms, body })
    }

    /// The record that was exported; or the part of the row that is not as it was.
    fn into_record(self) -> Result<Record, (&'static str, String)> {
        let body = match self.body {
            None if self.version == VERSION => encode(&self.entry, self.terms.as_ref()),
            None => {
                return Err(("body", "it is missing, and the version is not the latest".into()));
            }
            Some(digits) => {
                let body = unhex(&digits).ok_or(("body", "not hexadecimal digits".to_owned()))?;
                let stored = decode(&body).map_err(|why| ("body", why.to_string()))?;
                if body.first() != Some(&self.version) {
                    return Err(("version", "it is not that of the body".to_owned()));
                }
                if (stored.entry, stored.terms) != (self.entry, self.terms) {
                    return Err(("entry", "it does not say what the body says".to_owned()));
                }
                body
            }
        };
        let (sequence, previous, hash) = (self.sequence, self.previous, self.hash);
        if Digest::of_record(sequence, previous, &body) != hash {
            return Err(("hash", "it is not that of the content".to_owned()));
        }
        Ok(Record { sequence, previous, hash, body })
    }
}

/// Gives every record of a journal to `take`, in order.
fn each(
    journal: &dyn Journal,
    mut take: impl FnMut(&Row) -> Result<(), ExportError>,
) -> Result<u64, ExportError> {
    let mut last = 0;
    loop {
        let page = journal.read(last, PAGE)?;
        for record in &page {
            let sequence = record.sequence;
            // A damaged journal could be read in circles.
            if sequence <= last {
                let why = DecodeError { what: "its number does not follow", offset: 0 };
                return Err(ExportError::Entry { sequence, why });
            }
            take(&Row::of(record)?)?;
            last = sequence;
        }
        if page.len() < PAGE {
            return Ok(last);
        }
    }
}

/// Writes a journal as JSON Lines and gives the number of the last entry.
///
/// # Errors
///
/// [`ExportError`] when the journal cannot be read, an entry is damaged, or the lines cannot be written.
///
/// # Examples
///
/// ```
/// use backstop_position_ledger::{MemoryJournal, export};
///
/// let mut lines = Vec::new();
/// export::write_json_lines(&MemoryJournal::new(), &mut lines)?;
/// let records: Result<Vec<_>, _> = export::read_json_lines(lines.as_slice()).collect();
/// assert!(records?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_json_lines(journal: &dyn Journal, out: &mut dyn Write) -> Result<u64, ExportError> {
    each(journal, |row| {
        serde_json::to_writer(&mut *out, row).map_err(std::io::Error::from)?;
        Ok(out.write_all(b"\n")?)
    })
}

/// Reads JSON Lines, record by record; blank lines are passed over.
///
/// # Errors
///
/// Each item can be an [`ImportError`] naming line, field and what is wrong; after one of these nothing follows.
pub fn read_json_lines(
    mut reader: impl BufRead,
) -> impl Iterator<Item = Result<Record, ImportError>> {
    let (mut line, mut is_over) = (0_u64, false);
    std::iter::from_fn(move || {
        while !is_over {
            line = line.saturating_add(1);
            let read = read_line(&mut reader, line);
            is_over = !matches!(&read, Ok(Some(_)));
            match read {
                Ok(Some(text)) if text.trim_ascii().is_empty() => {}
                Ok(Some(text)) => {
                    let record = of_line(line, &text);
                    is_over = record.is_err();
                    return Some(record);
                }
                Ok(None) => return None,
                Err(why) => return Some(Err(why)),
            }
        }
        None
    })
}

/// The next line; none at the end.
fn read_line(reader: &mut impl BufRead, line: u64) -> Result<Option<Vec<u8>>, ImportError> {
    let mut text = Vec::new();
    let mut limited = reader.take(LINE_BYTES_MAX);
    let read = limited.read_until(b'\n', &mut text)?;
    if text.last() != Some(&b'\n') && limited.limit() == 0 {
        let why = format!("it is longer than {LINE_BYTES_MAX} bytes");
        return Err(ImportError::Row { line, field: "line", why });
    }
    Ok((read > 0).then_some(text))
}

fn of_line(line: u64, text: &[u8]) -> Result<Record, ImportError> {
    let row = serde_json::from_slice::<Row>(text).map_err(|why| ("line", why.to_string()));
    row.and_then(Row::into_record).map_err(|(field, why)| ImportError::Row { line, field, why })
}

/// Writes a journal as CSV with a header and gives the number of the last entry.
///
/// # Errors
///
/// As [`write_json_lines`].
pub fn write_csv(journal: &dyn Journal, out: &mut dyn Write) -> Result<u64, ExportError> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS)?;
    let last = each(journal, |row| Ok(writer.write_record(columns(row)?)?))?;
    writer.flush()?;
    Ok(last)
}

/// Reads CSV, record by record; the header has to be [`COLUMNS`].
///
/// # Errors
///
/// As [`read_json_lines`].
pub fn read_csv(reader: impl Read) -> impl Iterator<Item = Result<Record, ImportError>> {
    let reader = Limited { reader, left: LINE_BYTES_MAX };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(reader);
    let (mut row, mut is_begun, mut is_over) = (csv::StringRecord::new(), false, false);
    std::iter::from_fn(move || {
        while !is_over {
            let line = reader.position().line();
            reader.get_mut().left = LINE_BYTES_MAX;
            let read = match reader.read_record(&mut row) {
                Ok(false) => return None,
                Ok(true) if is_begun => of_columns(line, &row).map(Some),
                Ok(true) => of_header(line, &row).map(|()| None),
                Err(_) if reader.get_ref().left == 0 => {
                    let why = format!("it is longer than {LINE_BYTES_MAX} bytes");
                    Err(ImportError::Row { line, field: "line", why })
                }
                Err(why) => Err(why.into()),
            };
            is_begun = true;
            match read {
                Ok(None) => {}
                Ok(Some(record)) => return Some(Ok(record)),
                Err(why) => {
                    is_over = true;
                    return Some(Err(why));
                }
            }
        }
        None
    })
}

/// Fails once as many bytes were read for one row as a line may have: an open quote would take all there are.
#[derive(Debug)]
struct Limited<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let read = self.reader.by_ref().take(self.left).read(buf)?;
        self.left = self.left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

fn of_header(line: u64, row: &csv::StringRecord) -> Result<(), ImportError> {
    if row.iter().eq(COLUMNS) {
        return Ok(());
    }
    let why = format!("it has to be {}", COLUMNS.join(","));
    Err(ImportError::Row { line, field: "header", why })
}

fn columns(row: &Row) -> Result<[String; 25], ExportError> {
    let Row { sequence, previous, hash, version, entry, terms, body } = row;
    let text = |value: Option<&dyn ToString>| value.map(ToString::to_string).unwrap_or_default();
    let json = |part: serde_json::Result<String>| part.map_err(std::io::Error::from);
    let cause = entry.cause.as_ref().map(serde_json::to_string).transpose();
    let terms = terms.as_ref().map(serde_json::to_string).transpose();
    let head = [
        sequence.to_string(),
        previous.to_string(),
        hash.to_string(),
        version.to_string(),
        entry.id.to_string(),
        entry.account.to_string(),
        text(entry.strategy.as_ref().map(|name| name as _)),
        text(entry.portfolio.as_ref().map(|name| name as _)),
        entry.at.as_millis().to_string(),
        entry.journaled_at.as_millis().to_string(),
        cause.map_err(std::io::Error::from)?.unwrap_or_default(),
    ];
    let content = serde_json::to_value(&entry.fact).map_err(std::io::Error::from)?;
    let tail = [
        json(serde_json::to_string(&entry.fact))?,
        terms.map_err(std::io::Error::from)?.unwrap_or_default(),
        body.clone().unwrap_or_default(),
    ];
    let mut all = head.into_iter().chain(summary(&entry.fact, &content)).chain(tail);
    Ok(std::array::from_fn(|_| all.next().unwrap_or_default()))
}

/// What the columns from `fact` to `amount` say.
fn summary(fact: &Fact, content: &serde_json::Value) -> [String; 11] {
    // The name of the variant, and under it its fields.
    let (name, fields) = match content {
        serde_json::Value::Object(object) => match object.iter().next() {
            Some((name, fields)) => (name.as_str(), Some(fields)),
            None => ("", None),
        },
        serde_json::Value::String(name) => (name.as_str(), None),
        _ => ("", None),
    };
    let field = |name: &str| {
        let value = fields.and_then(|fields| fields.get(name)).and_then(serde_json::Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    [
        name.to_owned(),
        fact.instrument().map(ToString::to_string).unwrap_or_default(),
        field("order_id"),
        field("trade_id"),
        field("side"),
        field("quantity"),
        field("price"),
        field("fee"),
        field("fee_currency"),
        field("currency"),
        field("amount"),
    ]
}

fn of_columns(line: u64, row: &csv::StringRecord) -> Result<Record, ImportError> {
    let wrong = |field, why: String| ImportError::Row { line, field, why };
    let entry = || -> Result<Row, (&'static str, String)> {
        let cell = |column: &'static str| {
            let place = COLUMNS.iter().position(|name| *name == column);
            (column, place.and_then(|place| row.get(place)).unwrap_or_default())
        };
        let cause: Option<Cause> = optional(cell("cause"), |text| serde_json::from_str(text))?;
        Ok(Row {
            sequence: parsed(cell("sequence"))?,
            previous: parsed(cell("previous"))?,
            hash: parsed(cell("hash"))?,
            version: parsed(cell("version"))?,
            entry: Entry {
                id: parsed(cell("id"))?,
                cause,
                account: parsed(cell("account"))?,
                strategy: optional(cell("strategy"), str::parse)?,
                portfolio: optional(cell("portfolio"), str::parse)?,
                at: backstop_clock::Timestamp::from_millis(parsed(cell("at_ms"))?),
                journaled_at: backstop_clock::Timestamp::from_millis(parsed(cell(
                    "journaled_at_ms",
                ))?),
                fact: serde_json::from_str(cell("content").1)
                    .map_err(|why| ("content", why.to_string()))?,
            },
            terms: optional(cell("terms"), |text| serde_json::from_str(text))?,
            body: optional(cell("body"), |text| Ok::<_, std::fmt::Error>(text.to_owned()))?,
        })
    };
    let parts = entry().map_err(|(field, why)| wrong(field, why))?;
    // Columns that repeat the content have to say the same, and what is written in another way is not what was exported.
    let again = columns(&parts).map_err(|why| wrong("content", why.to_string()))?;
    for (name, (given, right)) in COLUMNS.into_iter().zip(row.iter().zip(&again)) {
        if given != right {
            return Err(wrong(name, format!("{given:?} is not {right:?}, which the content says")));
        }
    }
    parts.into_record().map_err(|(field, why)| wrong(field, why))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    (field, text): (&'static str, &str),
) -> Result<T, (&'static str, String)> {
    text.parse().map_err(|why| (field, format!("{text:?}: {why}")))
}

/// A cell that may be empty.
fn optional<T, E: std::fmt::Display>(
    (field, text): (&'static str, &str),
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, (&'static str, String)> {
    if text.is_empty() {
        return Ok(None);
    }
    parse(text).map(Some).map_err(|why| (field, format!("{text:?}: {why}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte.wrapping_shr(4), byte & 0xf]).filter_map(digit).collect()
}

fn digit(value: u8) -> Option<char> {
    char::from_digit(value.into(), 16)
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let value = |digit: &u8| match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a')?.checked_add(10),
        _ => None,
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(value(high)?.wrapping_shl(4) | value(low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}
