//! A CSV file read by column name, every complaint with its place.

use std::path::Path;

use backstop_clock::Timestamp;
use csv::{ReaderBuilder, StringRecord, Trim};
use rust_decimal::Decimal;

use super::number::{self, Number};
use super::{MarketError, Rule};

/// Most units a volume or a size may have: 10^18.
const UNITS_MAX: Decimal = Decimal::from_parts(2_808_348_672, 232_830_643, 0, false, 0);

/// A file under way.
pub(super) struct Table<'t> {
    path: &'t Path,
    text: &'t [u8],
    rows: csv::Reader<&'t [u8]>,
    /// Each column's name and place, as the header has them.
    columns: Vec<(&'static str, usize)>,
    record: StringRecord,
}

/// One row of a [`Table`].
pub(super) struct Row<'t> {
    path: &'t Path,
    text: &'t [u8],
    columns: &'t [(&'static str, usize)],
    record: &'t StringRecord,
}

impl<'t> Table<'t> {
    /// Read the header of `text`, which must have every column of `required`.
    pub(super) fn open(
        path: &'t Path,
        text: &'t [u8],
        required: &[&'static str],
        optional: &[&'static str],
    ) -> Result<Self, MarketError> {
        let mut settings = ReaderBuilder::new();
        let rows = settings.has_headers(false).flexible(true).trim(Trim::All).from_reader(text);
        let mut table = Self { path, text, rows, columns: Vec::new(), record: StringRecord::new() };
        let Some(header) = table.next()? else {
            return Err(MarketError::Incomplete { path: path.to_owned(), rule: Rule::Empty });
        };
        let mut columns: Vec<(&'static str, usize)> = Vec::new();
        for (place, name) in header.record.iter().enumerate() {
            let known = required.iter().chain(optional).find(|known| **known == name);
            let Some(known) = known else {
                return Err(header.refuse("header", name, Rule::UnknownColumn));
            };
            if columns.iter().any(|(earlier, _)| earlier == known) {
                return Err(header.refuse("header", name, Rule::RepeatedColumn));
            }
            columns.push((known, place));
        }
        for name in required {
            if !columns.iter().any(|(known, _)| known == name) {
                return Err(header.refuse("header", name, Rule::MissingColumn));
            }
        }
        table.columns = columns;
        Ok(table)
    }

    /// The next row, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, MarketError> {
        match self.rows.read_record(&mut self.record) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) => return Err(self.unread(error)),
        }
        let row =
            Row { path: self.path, text: self.text, columns: &self.columns, record: &self.record };
        if !self.columns.is_empty() && self.record.len() != self.columns.len() {
            let count = format!("{} fields", self.record.len());
            return Err(row.refuse("row", &count, Rule::FieldCount));
        }
        Ok(Some(row))
    }

    fn unread(&self, error: csv::Error) -> MarketError {
        let begin = error.position().unwrap_or_else(|| self.rows.position()).byte();
        let path = self.path.to_owned();
        match error.into_kind() {
            csv::ErrorKind::Io(source) => MarketError::Unreadable { path, source },
            other => MarketError::Field {
                path,
                line: line_at(self.text, begin),
                field: "row",
                // The reader's words; with these settings it can only be text that is not UTF-8.
                value: format!("{other:?}"),
                rule: Rule::Encoding,
            },
        }
    }
}

/// The line, from 1, of the row that the reader began at byte `begin` of `text`.
///
/// The reader's own count is of no use: it begins a row at the blank lines before it.
pub(super) fn line_at(text: &[u8], begin: u64) -> u64 {
    let begin = usize::try_from(begin).unwrap_or(usize::MAX).min(text.len());
    let (before, rest) = text.split_at(begin);
    let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    let ends = before.iter().chain(blank).filter(|byte| **byte == b'\n').count();
    u64::try_from(ends).unwrap_or(u64::MAX).saturating_add(1)
}

impl Row<'_> {
    /// The byte of the file at which the reader began it.
    pub(super) fn begin(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::byte)
    }

    /// The complaint that `field`, which holds `value`, breaks `rule`.
    pub(super) fn refuse(&self, field: &'static str, value: &str, rule: Rule) -> MarketError {
        let (path, line) = (self.path.to_owned(), line_at(self.text, self.begin()));
        MarketError::Field { path, line, field, value: value.to_owned(), rule }
    }

    /// The complaint about what stands in `field`.
    pub(super) fn refuse_field(&self, field: &'static str, rule: Rule) -> MarketError {
        self.refuse(field, self.find(field).unwrap_or_default(), rule)
    }

    /// The text of `field`; `None` if it is empty or there is no such column.
    pub(super) fn find(&self, field: &'static str) -> Option<&str> {
        let (_, place) = self.columns.iter().find(|(name, _)| *name == field)?;
        self.record.get(*place).filter(|text| !text.is_empty())
    }

    /// The text of `field`, which must not be empty.
    pub(super) fn text(&self, field: &'static str) -> Result<&str, MarketError> {
        self.find(field).ok_or_else(|| self.refuse_field(field, Rule::Missing))
    }

    /// The code in `field`, a symbol or a currency made by `new`.
    pub(super) fn code<T>(
        &self,
        field: &'static str,
        new: impl Fn(&str) -> Option<T>,
    ) -> Result<T, MarketError> {
        new(self.text(field)?).ok_or_else(|| self.refuse_field(field, Rule::Code))
    }

    /// The moment in `field`.
    pub(super) fn time(&self, field: &'static str) -> Result<Timestamp, MarketError> {
        let text = self.text(field)?;
        let refused = || self.refuse_field(field, Rule::Time);
        // An offset would parse as well, and hide that a source writes local time.
        if !text.ends_with('Z') || text.as_bytes().get(10) != Some(&b'T') {
            return Err(refused());
        }
        let at: jiff::Timestamp = text.parse().map_err(|_cause: jiff::Error| refused())?;
        if at.subsec_nanosecond() % 1_000_000 != 0 {
            return Err(refused());
        }
        Ok(Timestamp::from_millis(at.as_millisecond()))
    }

    /// The number in `field`, every digit kept and above zero.
    pub(super) fn above_zero(&self, field: &'static str) -> Result<Decimal, MarketError> {
        self.text(field)?;
        match self.not_negative(field)? {
            Some(value) if !value.is_zero() => Ok(value.normalize()),
            _ => Err(self.refuse_field(field, Rule::Positive)),
        }
    }

    /// The number in `field`, every digit kept, zero or more; `None` if unknown.
    pub(super) fn not_negative(&self, field: &'static str) -> Result<Option<Decimal>, MarketError> {
        let Some(number) = self.number(field)? else { return Ok(None) };
        let rule = match number.value {
            value if value.is_sign_negative() && !value.is_zero() => Rule::Negative,
            value if value > UNITS_MAX => Rule::Large,
            _ if !number.exact => Rule::Digits,
            value => return Ok(Some(value)),
        };
        Err(self.refuse_field(field, rule))
    }

    /// The price in `field` on its `step`, rounded ones counted; `None` if unknown.
    pub(super) fn price(
        &self,
        field: &'static str,
        step: Decimal,
        rounded: &mut u64,
    ) -> Result<Option<Decimal>, MarketError> {
        let Some(Number { value, exact }) = self.number(field)? else { return Ok(None) };
        if value.is_sign_negative() {
            return Err(self.refuse_field(field, Rule::Positive));
        }
        let price =
            number::on_step(value, step).ok_or_else(|| self.refuse_field(field, Rule::Large))?;
        if price.is_zero() {
            return Err(self.refuse_field(field, Rule::Positive));
        }
        if !exact || price != value {
            *rounded += 1;
        }
        Ok(Some(price))
    }

    fn number(&self, field: &'static str) -> Result<Option<Number>, MarketError> {
        let Some(text) = self.find(field) else { return Ok(None) };
        let number = number::decimal(text);
        number.map(Some).ok_or_else(|| self.refuse_field(field, Rule::Decimal))
    }
}
