//! Rules about what a package has to bring.

use std::collections::BTreeMap;

use super::{Finding, Tree};
use crate::manifest;

/// Shares code between tests and is published nowhere, so it needs neither README nor example.
const EXEMPT: &str = "crates/testkit";

/// Every package under `crates/` has a README and `examples/quickstart.rs`.
pub fn complete(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (manifest, _) in tree.ending("/Cargo.toml") {
        let folder = manifest.trim_end_matches("/Cargo.toml");
        if !folder.starts_with("crates/") || folder == EXEMPT {
            continue;
        }
        for file in ["README.md", "examples/quickstart.rs"] {
            if !tree.has(&format!("{folder}/{file}")) {
                let why = format!("this package has no {file}");
                found.push(Finding { path: manifest.to_owned(), line: 1, why });
            }
        }
    }
    found
}

/// No two packages have an example of the same name.
///
/// Cargo builds all examples of a workspace into one folder, warns when two of them meet there, and keeps the last.
/// An `[[example]]` table with `name = "dlq-quickstart"` and `path = "examples/quickstart.rs"` gives the file another name.
pub fn examples(tree: &Tree) -> Vec<Finding> {
    let mut owners: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (manifest, text) in tree.ending("/Cargo.toml") {
        let folder = manifest.trim_end_matches("/Cargo.toml");
        for name in example_names(tree, folder, text) {
            owners.entry(name).or_default().push(manifest);
        }
    }
    let mut found = Vec::new();
    for (name, manifests) in owners.iter().filter(|(_, manifests)| manifests.len() > 1) {
        for manifest in manifests {
            let why = format!("the example `{name}` has the name of another package's example");
            found.push(Finding { path: (*manifest).to_owned(), line: 1, why });
        }
    }
    found
}

fn example_names(tree: &Tree, folder: &str, manifest: &str) -> Vec<String> {
    let inside = format!("{folder}/examples/");
    let files = tree.ending(".rs").filter_map(|(path, _)| path.strip_prefix(&inside));
    let stems =
        files.filter_map(|file| file.strip_suffix(".rs")).filter(|stem| !stem.contains('/'));
    manifest::examples(manifest, stems.map(str::to_owned).collect())
}
