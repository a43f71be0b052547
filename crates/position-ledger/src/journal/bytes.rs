//! Canonical bytes: big-endian numbers, length-prefixed text, nothing optional without a tag.

use uuid::Uuid;

use crate::amount::Amount;
use crate::error::{DecodeError, NameError};

/// Builds canonical bytes.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(crate) fn uuid(&mut self, id: Uuid) -> &mut Self {
        self.raw(id.as_bytes())
    }

    pub(crate) fn amount(&mut self, amount: Amount) -> &mut Self {
        self.raw(&amount.units().to_be_bytes())
    }

    pub(crate) fn option_amount(&mut self, amount: Option<Amount>) -> &mut Self {
        match amount {
            Some(amount) => self.u8(1).amount(amount),
            None => self.u8(0),
        }
    }

    pub(crate) fn option_u64(&mut self, value: Option<u64>) -> &mut Self {
        match value {
            Some(value) => self.u8(1).u64(value),
            None => self.u8(0),
        }
    }

    /// Text of any of the bounded name types: all are shorter than 64 KiB.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        self.raw(&length.to_be_bytes()).raw(text.as_bytes())
    }

    /// Text that may be absent, behind a tag.
    pub(crate) fn option_text(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.u8(1).text(text),
            None => self.u8(0),
        }
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// The length of a list that follows.
    pub(crate) fn count(&mut self, length: usize) -> &mut Self {
        self.u64(u64::try_from(length).unwrap_or(u64::MAX))
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads canonical bytes and refuses every other form.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(crate) const fn wrong(&self, what: &'static str) -> DecodeError {
        DecodeError { what, offset: self.offset }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) =
            self.bytes.split_at_checked(length).ok_or_else(|| self.wrong("the bytes end"))?;
        self.bytes = rest;
        self.offset = self.offset.saturating_add(length);
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N)?;
        <[u8; N]>::try_from(taken).map_err(|_length| self.wrong("the bytes end"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid::from_bytes(self.array()?))
    }

    pub(crate) fn amount(&mut self) -> Result<Amount, DecodeError> {
        Amount::from_units(i128::from_be_bytes(self.array()?))
            .map_err(|_overflow| self.wrong("an amount out of range"))
    }

    pub(crate) fn option_amount(&mut self) -> Result<Option<Amount>, DecodeError> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.amount().map(Some),
            _ => Err(self.wrong("an unknown tag of an optional amount")),
        }
    }

    pub(crate) fn option_u64(&mut self) -> Result<Option<u64>, DecodeError> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.u64().map(Some),
            _ => Err(self.wrong("an unknown tag of an optional number")),
        }
    }

    /// Text in the type that `make` checks it for.
    pub(crate) fn text<T>(
        &mut self,
        make: impl FnOnce(&str) -> Result<T, NameError>,
    ) -> Result<T, DecodeError> {
        let length = u16::from_be_bytes(self.array()?);
        let taken = self.take(usize::from(length))?;
        let text =
            std::str::from_utf8(taken).map_err(|_not_utf8| self.wrong("text that is not UTF-8"))?;
        make(text).map_err(|_rule| self.wrong("a name that breaks its rule"))
    }

    pub(crate) fn option_text<T>(
        &mut self,
        make: impl FnOnce(&str) -> Result<T, NameError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.text(make).map(Some),
            _ => Err(self.wrong("an unknown tag of an optional text")),
        }
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(self.wrong("bytes after the end")) }
    }
}
