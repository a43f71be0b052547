//! Just enough of Rust's grammar to find what a file declares.

/// One declared type, trait, module or function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// `struct`, `enum`, `trait`, `mod`, `type` or `fn`.
    pub keyword: String,
    /// The declared name.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// Directly inside `impl Trait for Type`: the trait chose the name.
    pub dictated: bool,
    /// A test, whose name is a sentence.
    pub test: bool,
}

const KEYWORDS: [&str; 6] = ["struct", "enum", "trait", "mod", "type", "fn"];

/// Everything that a source text declares, in order.
///
/// # Examples
///
/// ```
/// let found = xtask::tidy::source::declarations("// struct No;\nstruct Yes;");
/// assert_eq!(found[0].name, "Yes");
/// assert_eq!(found[0].line, 2);
/// ```
pub fn declarations(text: &str) -> Vec<Declaration> {
    let code = blank_out(text);
    let tokens = tokens(&code);
    let mut found = Vec::new();
    let mut blocks = vec![false];
    let mut opens_trait_impl = None;
    let mut marked = false;
    for (at, (line, token)) in tokens.iter().enumerate() {
        let previous = at.checked_sub(1).and_then(|before| tokens.get(before)).map(|token| token.1);
        let rest = tokens.get(at + 1..).unwrap_or_default();
        match *token {
            "#" => marked |= marks_test(rest),
            "impl" if begins_statement(previous) => opens_trait_impl = Some(implements(rest)),
            "{" => blocks.push(opens_trait_impl.take().unwrap_or(false)),
            "}" => {
                blocks.pop();
                marked = false;
            }
            ";" => marked = false,
            keyword if KEYWORDS.contains(&keyword) => {
                let Some((_, name)) = rest.first().filter(|(_, next)| is_word(next)) else {
                    continue;
                };
                found.push(Declaration {
                    keyword: keyword.to_owned(),
                    name: (*name).to_owned(),
                    line: *line,
                    dictated: blocks.last().copied().unwrap_or(false),
                    test: marked,
                });
                marked = false;
            }
            _ => {}
        }
    }
    found
}

/// Whether an attribute, given without its `#`, is `test` or one that ends like it, such as `tokio::test`.
fn marks_test(attribute: &[(usize, &str)]) -> bool {
    let inside = attribute.iter().map(|(_, token)| *token).take_while(|token| *token != "]");
    let words: Vec<_> = inside.filter(|token| is_word(token)).collect();
    words.contains(&"test") && !words.contains(&"cfg") && !words.contains(&"cfg_attr")
}

fn begins_statement(previous: Option<&str>) -> bool {
    matches!(previous, None | Some("}" | "{" | ";" | "]" | "unsafe" | "default"))
}

/// Whether the head that follows `impl` names a trait; `for<'a>` does not count.
fn implements(head: &[(usize, &str)]) -> bool {
    let head: Vec<_> = head
        .iter()
        .map(|(_, token)| *token)
        .take_while(|token| *token != "{" && *token != ";")
        .collect();
    head.windows(2).any(|pair| matches!(pair, ["for", next] if *next != "<"))
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Words and single signs with their lines.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (line, number) in code.lines().zip(1..) {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = if word == 0 { first.len_utf8() } else { word };
            let (token, after) = rest.split_at(length);
            found.push((number, token));
            rest = after.trim_start();
        }
    }
    found
}

/// The same text with blanks for comments and for the contents of strings and characters.
///
/// Lines keep their numbers.
pub fn blank_out(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let length = if after_word { 0 } else { raw_string(rest) };
        let length = if length == 0 { blank_length(rest) } else { length };
        let taken = if length == 0 { first.len_utf8() } else { length };
        let (head, after) = rest.split_at(taken);
        if length == 0 {
            out.push_str(head);
        } else {
            out.extend(head.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        after_word = length == 0 && (first.is_alphanumeric() || first == '_');
        rest = after;
    }
    out
}

/// How long the comment, string or character at the start is; 0 where there is none.
fn blank_length(text: &str) -> usize {
    if text.starts_with("//") {
        text.find('\n').unwrap_or(text.len())
    } else if text.starts_with("/*") {
        block_comment(text)
    } else if let Some(inside) = text.strip_prefix('"') {
        1 + closing(inside, '"')
    } else if let Some(inside) = text.strip_prefix('\'') {
        let mut next = inside.chars();
        match (next.next(), next.next()) {
            (Some('\\'), _) => 1 + closing(inside, '\''),
            (Some(c), Some('\'')) => c.len_utf8() + 2,
            // A lifetime.
            _ => 0,
        }
    } else {
        0
    }
}

/// The length up to and with the closing sign, past escapes.
fn closing(inside: &str, sign: char) -> usize {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == sign => return at + 1,
            _ => {}
        }
    }
    inside.len()
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of `r"..."`, `br#"..."#` and their like at the start; 0 where there is none.
fn raw_string(text: &str) -> usize {
    let body = text.trim_start_matches(['b', 'c']);
    let Some(body) = body.strip_prefix('r') else { return 0 };
    let inside = body.trim_start_matches('#');
    let fence = body.len() - inside.len();
    let Some(content) = inside.strip_prefix('"') else { return 0 };
    let end = format!("\"{}", "#".repeat(fence));
    let prefix = text.len() - content.len();
    content.find(&end).map_or(text.len(), |at| prefix + at + end.len())
}
