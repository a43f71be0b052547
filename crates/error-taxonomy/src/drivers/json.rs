//! What a reader of JSON reports.

use std::io::ErrorKind;

use crate::{Class, Kind, Transience, codes};

/// Whether a text is complete or still arriving.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum JsonMode {
    /// All of it is here, so an early end is an end.
    Whole,
    /// More may come, so an early end is read again later.
    Stream,
}

/// A failure to read JSON.
///
/// It is the class of the reading: what was read changed nothing.
/// Where the text is the answer to a request, the request itself may have taken effect, and who
/// sent it says so with [`Class::with_effect`].
///
/// | failure | kind | transience |
/// |---|---|---|
/// | syntax, data | data | permanent |
/// | early end of a whole text | data | permanent |
/// | early end of a stream | data | transient |
/// | input or output | as [`codes::io`] | |
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Json {
    /// It is no JSON.
    Syntax,
    /// It is JSON of another shape than expected.
    Data,
    /// It ends too early.
    Eof,
    /// It could not be read at all.
    Io(ErrorKind),
}

impl Json {
    /// What is known of it.
    pub const fn class(self, mode: JsonMode) -> Class {
        match (self, mode) {
            (Self::Io(kind), _) => codes::io(kind),
            (Self::Eof, JsonMode::Stream) => {
                Class::of(Kind::Data).with_transience(Transience::Transient)
            }
            (Self::Syntax | Self::Data | Self::Eof, _) => Class::of(Kind::Data),
        }
    }
}
