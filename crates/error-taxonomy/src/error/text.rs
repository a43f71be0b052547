//! Texts with a limit, and texts that stay on their line.

use std::borrow::Cow;
use std::fmt::{self, Write};

use smol_str::SmolStr;

use super::Error;

/// How a text ends that was longer.
const CUT: &str = "...[cut]";

/// A message of bounded length.
#[inline]
pub(super) fn message(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.len() <= Error::MESSAGE_BYTES_MAX { text } else { cut(&text) }
}

#[cold]
fn cut(text: &str) -> Cow<'static, str> {
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

/// At most `max` bytes of what `value` displays.
pub(super) fn shown(value: &dyn fmt::Display, max: usize) -> String {
    let mut text = String::new();
    append(&mut text, value, max);
    text
}

/// Appends at most `max` bytes of what `value` displays; a longer one is not even formatted.
pub(super) fn append(text: &mut String, value: &dyn fmt::Display, max: usize) {
    let start = text.len();
    // An error is the limit, or a `Display` that gives up: in both cases something lacks.
    if write!(Limited { text, end: start + max }, "{value}").is_err() {
        let end = (start + max).saturating_sub(CUT.len());
        text.truncate(text.floor_char_boundary(end).max(start));
        text.push_str(CUT);
    }
}

/// The beginning of a text that went on, and the mark, in at most `max` bytes.
fn with_mark(text: &str, max: usize) -> SmolStr {
    let (kept, _) = text.split_at(text.floor_char_boundary(max - CUT.len()));
    SmolStr::from_iter([kept, CUT])
}

/// Takes text until the limit is reached, then refuses.
struct Limited<'a> {
    text: &'a mut String,
    /// How long the text may become.
    end: usize,
}

impl Write for Limited<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = self.end - self.text.len();
        if s.len() <= room {
            self.text.push_str(s);
            return Ok(());
        }
        let (head, _) = s.split_at(s.floor_char_boundary(room));
        self.text.push_str(head);
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
    let is_mark = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
    c.is_control() || is_mark || matches!(c, '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}')
}
