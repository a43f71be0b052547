//! The few things the checks read out of a `Cargo.toml`.
//!
//! Our own manifests keep a key and its value on one line, which is all that this reader understands.

use std::collections::BTreeMap;

/// The keys and values of every table with this header, in order.
fn tables<'a>(manifest: &'a str, header: &str) -> Vec<BTreeMap<&'a str, &'a str>> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim() == header;
            if inside {
                found.push(BTreeMap::new());
            }
        } else if inside
            && !line.starts_with([' ', '\t', '#', ']'])
            && let Some((key, value)) = line.split_once('=')
            && let Some(table) = found.last_mut()
        {
            table.insert(key.trim(), value.trim().trim_matches('"'));
        }
    }
    found
}

/// One value of one table, where both are there.
pub(crate) fn value<'a>(manifest: &'a str, header: &str, key: &str) -> Option<&'a str> {
    tables(manifest, header).first().and_then(|table| table.get(key)).copied()
}

/// The names of the features, without `default`.
pub(crate) fn features(manifest: &str) -> Vec<String> {
    let tables = tables(manifest, "[features]");
    let names = tables.iter().flat_map(BTreeMap::keys).filter(|name| **name != "default");
    names.map(|name| (*name).to_owned()).collect()
}

/// The examples as cargo names them: those that the manifest lists, then each other file in `examples/`.
///
/// `stems` are the names of those files without folder and ending.
pub(crate) fn examples(manifest: &str, stems: Vec<String>) -> Vec<String> {
    let mut names = Vec::new();
    let mut claimed = Vec::new();
    for table in tables(manifest, "[[example]]") {
        let name = table.get("name").copied().unwrap_or_default();
        let file = table.get("path").map_or(name, |path| path.trim_start_matches("examples/"));
        claimed.push(file.trim_end_matches(".rs").to_owned());
        names.push(name.to_owned());
    }
    names.extend(stems.into_iter().filter(|stem| !claimed.contains(stem)));
    names
}
