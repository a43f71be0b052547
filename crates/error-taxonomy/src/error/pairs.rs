//! The context of an error: a few short texts in one buffer.

use std::fmt;

use smallvec::SmallVec;

use super::{Error, INLINE, Key, text};

/// Room for the values of a usual error, so that all of them take one allocation.
const TEXT_BYTES: usize = 64;

/// Pairs in the order in which they came; no key twice.
#[derive(Default)]
pub(super) struct Pairs {
    /// The values, one after the other.
    text: String,
    /// The keys, each with the end of its value.
    keys: SmallVec<[(Key, usize); INLINE]>,
}

impl Pairs {
    /// Adds a pair, unless the key has another value already or there is no room.
    pub(super) fn add(&mut self, key: Key, value: &dyn fmt::Display) -> bool {
        if let Some((_, known)) = self.iter().find(|(known, _)| **known == key) {
            return *known == *text::shown(value, Error::VALUE_BYTES_MAX);
        }
        if self.keys.len() == Error::CONTEXT_MAX {
            return false;
        }
        if self.text.capacity() == 0 {
            self.text = String::with_capacity(TEXT_BYTES);
        }
        text::append(&mut self.text, value, Error::VALUE_BYTES_MAX);
        self.keys.push((key, self.text.len()));
        true
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &str)> {
        self.keys.iter().scan(0, |start, (key, end)| {
            let value = self.text.get(*start..*end).unwrap_or_default();
            *start = *end;
            Some((key, value))
        })
    }

    #[cfg(feature = "serde")]
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
