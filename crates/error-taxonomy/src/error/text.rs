//! Texts with a limit, and texts that stay on their line.

use std::borrow::Cow;
use std::fmt::{self, Write};

use smol_str::{SmolStr, SmolStrBuilder};

use super::Error;

/// How a text ends that was longer.
const CUT: &str = "...[cut]";

/// A message of bounded length.
pub(super) fn message(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.len() <= Error::MESSAGE_BYTES_MAX {
        return text;
    }
    let end = text.floor_char_boundary(Error::MESSAGE_BYTES_MAX - CUT.len());
    let (kept, _) = text.split_at(end);
    // A new text, so that the megabyte is given back.
    Cow::Owned([kept, CUT].concat())
}

/// A name from the program itself, which is copied only if it is too long.
pub(super) fn name(text: &'static str) -> SmolStr {
    if text.len() <= Error::NAME_BYTES_MAX {
        SmolStr::new_static(text)
    } else {
        clipped(text, Error::NAME_BYTES_MAX)
    }
}

/// A text of at most `max` bytes.
pub(super) fn clipped(text: &str, max: usize) -> SmolStr {
    if text.len() <= max { SmolStr::new(text) } else { with_mark(text, max) }
}

/// The text of a value; a longer one is not even formatted to its end.
pub(super) fn value(value: &impl fmt::Display) -> SmolStr {
    shown(value, Error::VALUE_BYTES_MAX)
}

/// At most `max` bytes of what `value` displays.
pub(super) fn shown(value: &(impl fmt::Display + ?Sized), max: usize) -> SmolStr {
    let mut limited = Limited { kept: SmolStrBuilder::new(), max };
    // An error is the limit, or a `Display` that gives up: in both cases something lacks.
    match write!(limited, "{value}") {
        Ok(()) => limited.kept.finish(),
        Err(fmt::Error) => with_mark(limited.kept.as_str(), max),
    }
}

/// The beginning of a text that went on, and the mark, in at most `max` bytes.
fn with_mark(text: &str, max: usize) -> SmolStr {
    let (kept, _) = text.split_at(text.floor_char_boundary(max - CUT.len()));
    let mut marked = SmolStrBuilder::with_capacity(max);
    marked.push_str(kept);
    marked.push_str(CUT);
    marked.finish()
}

/// Takes text until the limit is reached, then refuses.
struct Limited {
    kept: SmolStrBuilder,
    max: usize,
}

impl Write for Limited {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = self.max - self.kept.len();
        if s.len() <= room {
            self.kept.push_str(s);
            return Ok(());
        }
        let (head, _) = s.split_at(s.floor_char_boundary(room));
        self.kept.push_str(head);
        Err(fmt::Error)
    }
}

/// Writes `text` with everything escaped that could end or rearrange a line.
///
/// A foreign text must not forge a log line, nor make it read otherwise than it is.
pub(super) fn one_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(disturbs) {
        let (plain, after) = rest.split_at(at);
        f.write_str(plain)?;
        let mut after = after.chars();
        if let Some(c) = after.next() {
            write!(f, "{}", c.escape_default())?;
        }
        rest = after.as_str();
    }
    f.write_str(rest)
}

/// Control characters, line separators, and marks that change the direction of writing.
fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
