//! Words that say nothing about the thing they name; the glossary is `docs/naming.md`.

use super::source::{Declaration, declarations};
use super::{Finding, Tree};

/// Banned as a word of any declared type, trait, module or function, in the singular and with an `s`.
const EVERYWHERE: &[&str] = &[
    "manager",
    "service",
    "factory",
    "helper",
    "util",
    "common",
    "misc",
    "abstract",
    "impl",
    "wrapper",
    "processor",
    "engine",
    "enhanced",
    "smart",
    "intelligent",
    "unified",
    "comprehensive",
    "robust",
    "configurable",
    "enterprise",
    "modern",
    "v2",
    "data",
    "info",
    "object",
    "item",
];

/// Banned in types and traits only: as functions these do say something (`new`, `base` currency, `advanced_by`).
const IN_TYPES: &[&str] = &["new", "base", "advanced", "production", "legacy"];

/// What stands on the line above a declaration whose banned word is the right one.
const REASON: &str = "// Named so because: ";

/// No declared name carries a banned word or begins with `get_`.
///
/// Enum variants, names that a foreign trait dictates, and tests are exempt.
pub fn banned(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let in_tests = path.contains("/tests/");
        let lines: Vec<_> = text.lines().collect();
        for declared in declarations(text) {
            let sentence = declared.keyword == "fn" && (in_tests || declared.test);
            let above = declared.line.checked_sub(2).and_then(|at| lines.get(at));
            let reason = above.is_some_and(|line| line.trim_start().starts_with(REASON));
            if declared.dictated || sentence || reason {
                continue;
            }
            if let Some(why) = wrong(&declared) {
                found.push(Finding { path: path.to_owned(), line: declared.line, why });
            }
        }
    }
    found
}

fn wrong(declared: &Declaration) -> Option<String> {
    let Declaration { keyword, name, .. } = declared;
    if keyword == "fn" && name.starts_with("get_") {
        return Some(format!("`{keyword} {name}`: a reader has no `get_` before its noun"));
    }
    let is_type = keyword != "fn" && keyword != "mod";
    let is_banned = |word: &String| {
        let one = word.strip_suffix('s').unwrap_or(word);
        let in_list = |list: &[&str]| list.contains(&word.as_str()) || list.contains(&one);
        in_list(EVERYWHERE) || (is_type && in_list(IN_TYPES))
    };
    let word = words(name).into_iter().find(is_banned)?;
    Some(format!("`{keyword} {name}`: the word `{word}` is banned, see docs/naming.md"))
}

/// The words of a name in either case, in lower case.
///
/// # Examples
///
/// ```
/// assert_eq!(xtask::tidy::names::words("VenueClock"), ["venue", "clock"]);
/// assert_eq!(xtask::tidy::names::words("venue_clock"), ["venue", "clock"]);
/// ```
pub fn words(name: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            found.push(String::new());
        }
        if c != '_'
            && let Some(word) = found.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    found.retain(|word| !word.is_empty());
    found
}
