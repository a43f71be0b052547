//! Reading single values out of the host's JSON report.
//!
//! The report is one object.
//! A reader of a hundred lines keeps this package free of dependencies; it trusts that the text is JSON and looks only for what it is asked.

/// The raw text of the value at a path of keys, or nothing where the path does not lead.
///
/// Keys are compared as they are written, so a key with an escape is not found.
///
/// # Examples
///
/// ```
/// let json = r#"{"orders": {"intended": 12}, "note": "}", "ok": true}"#;
/// assert_eq!(xtask::report::at(json, &["orders", "intended"]), Some("12"));
/// assert_eq!(xtask::report::at(json, &["ok"]), Some("true"));
/// assert_eq!(xtask::report::at(json, &["fills"]), None);
/// ```
pub fn at<'a>(json: &'a str, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(json, |value, key| member(value, key)).map(str::trim)
}

fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let mut rest = object.trim_start().strip_prefix('{')?;
    loop {
        rest = rest.trim_start().strip_prefix('"')?;
        let end = closing_quote(rest)?;
        let (name, after) = (rest.get(..end)?, rest.get(end + 1..)?);
        let after = after.trim_start().strip_prefix(':')?.trim_start();
        let (value, after) = after.split_at_checked(value_length(after)?)?;
        if name == key {
            return Some(value);
        }
        rest = after.trim_start().strip_prefix(',')?;
    }
}

/// The offset of the quote that ends a string whose opening quote was taken off.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

/// How many bytes the value at the start of the text takes.
fn value_length(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => at += 1 + closing_quote(text.get(at + 1..)?)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b',' | b'}' | b']' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
    (depth == 0 && at > 0).then_some(at)
}
