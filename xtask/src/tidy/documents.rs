//! Rules about the documents.

use super::{Finding, Tree};
use crate::manifest;

const INDEX: &str = "docs/README.md";

/// `docs/README.md` links every other file in `docs/`.
pub fn index(tree: &Tree) -> Vec<Finding> {
    let listed: Vec<_> = match tree.files().get(INDEX) {
        Some(text) => targets(text).map(|(_, target)| format!("docs/{target}")).collect(),
        None => Vec::new(),
    };
    let files = tree.files().keys().filter(|path| path.starts_with("docs/") && *path != INDEX);
    let missing = files.filter(|path| !listed.contains(path));
    let finding = |path: &String| Finding {
        path: INDEX.to_owned(),
        line: 1,
        why: format!("the index does not link {path}"),
    };
    missing.map(finding).collect()
}

/// A relative link in a Markdown file leads to a file or folder of the tree.
pub fn links(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, text) in tree.ending(".md") {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, target) in targets(text) {
            let file = target.split('#').next().unwrap_or(target);
            let leads = resolve(folder, file).is_some_and(|file| tree.has(&file));
            if !file.is_empty() && !leads {
                let why = format!("the link leads nowhere: {target}");
                found.push(Finding { path: path.to_owned(), line, why });
            }
        }
    }
    found
}

/// `CHANGELOG.md` has a heading for the version of the workspace.
pub fn changelog(tree: &Tree) -> Vec<Finding> {
    let text = |path: &str| tree.files().get(path).map_or("", String::as_str);
    let version = manifest::value(text("Cargo.toml"), "[workspace.package]", "version");
    let heading =
        |line: &str| line.strip_prefix("## ").is_some_and(|rest| rest.split(' ').next() == version);
    if version.is_some() && text("CHANGELOG.md").lines().any(heading) {
        return Vec::new();
    }
    let version = version.unwrap_or("VERSION");
    let why = format!("no heading `## {version}` for the version of the workspace");
    vec![Finding { path: "CHANGELOG.md".to_owned(), line: 1, why }]
}

/// The targets of inline links with their lines, without those that lead out of the repository.
fn targets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    let prose = text.lines().zip(1..).filter(move |(line, _)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    let links = prose.flat_map(|(line, number)| {
        let ends = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        ends.map(move |(target, _)| (number, target))
    });
    links.filter(|(_, target)| !target.contains("://") && !target.starts_with("mailto:"))
}

/// A path relative to a folder, from the root; none where it leads above the root.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<_> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop()?;
        } else {
            parts.push(part);
        }
    }
    Some(parts.join("/"))
}
