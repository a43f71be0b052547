//! The benchmarks, and what they say about us against the peers.
//!
//! A bench group compares when one of its functions is named `backstop` and at least one other is named after a peer.
//! Both are measured in the same run on the same machine, so that the ratio means something where the times alone do not.

#![expect(clippy::float_arithmetic, reason = "times measured by criterion are statistics")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::project::{Project, entries, unreadable};
use crate::report;
use crate::shell::{self, Failure};

/// The function of a group that is ours.
const OURS: &str = "backstop";

/// Runs all benchmarks and prints a line for each function, with the ratio to ours where there is one.
///
/// # Errors
///
/// A benchmark fails, or criterion left no figures.
pub fn run(project: &Project) -> Result<(), Failure> {
    measure(project, project.target(), &["-p", "backstop-benches"])
}

/// The same for the peers of the ledger, which are no part of the workspace.
///
/// # Errors
///
/// A benchmark fails, or criterion left no figures.
pub fn ledger_peers(project: &Project) -> Result<(), Failure> {
    // One of the peers asks for a Rust of the future, and builds without it.
    let package = ["--manifest-path", "benches/ledger-peers/Cargo.toml", "--ignore-rust-version"];
    measure(project, &project.target().join("ledger-peers"), &package)
}

fn measure(project: &Project, target: &Path, package: &[&str]) -> Result<(), Failure> {
    let figures = target.join("criterion");
    // Figures of benchmarks that are gone must not be printed with those of today.
    if figures.exists() {
        fs::remove_dir_all(&figures).map_err(|why| unreadable(&figures, &why))?;
    }
    let mut bench = project.cargo();
    bench.arg("bench").args(package);
    // Criterion would take a relative folder from where the package is.
    shell::run(bench.env("CARGO_TARGET_DIR", target))?;
    let groups = read(&figures)?;
    if groups.is_empty() {
        return Err(Failure::new(format!("criterion left nothing in {}", figures.display())));
    }
    println!();
    for line in table(&groups) {
        println!("{line}");
    }
    Ok(())
}

/// Median times in nanoseconds, by group and function.
pub type Groups = BTreeMap<String, BTreeMap<String, f64>>;

/// One line per function: the median, and how many times ours it is.
pub fn table(groups: &Groups) -> Vec<String> {
    let mut lines = Vec::new();
    for (group, functions) in groups {
        let ours = functions.get(OURS);
        for (function, median) in functions {
            let ratio = match ours {
                Some(ours) if function != OURS => format!("  {:.2} x {OURS}", median / ours),
                _ => String::new(),
            };
            let name = format!("{group}/{function}");
            lines.push(format!("{}: {}{ratio}", name.trim_end_matches('/'), time(*median)));
        }
    }
    lines
}

fn time(nanoseconds: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "us")];
    let unit = units.iter().find(|(size, _)| nanoseconds >= *size);
    let (size, name) = unit.copied().unwrap_or((1.0, "ns"));
    format!("{:.2} {name}", nanoseconds / size)
}

/// Collects every `new/estimates.json`: two folders deep for `group/function`, three where a parameter was given.
///
/// # Errors
///
/// A folder or file cannot be read.
pub fn read(folder: &Path) -> Result<Groups, Failure> {
    let mut groups = Groups::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(here) = waiting.pop() {
        let file = here.join("new/estimates.json");
        if file.is_file() {
            let text = fs::read_to_string(&file).map_err(|why| unreadable(&file, &why))?;
            let median = report::at(&text, &["median", "point_estimate"]);
            let median = median.and_then(|number| number.parse::<f64>().ok());
            let parts = here.strip_prefix(folder).ok().map(name_of);
            if let (Some(median), Some((group, function))) = (median, parts) {
                groups.entry(group).or_default().insert(function, median);
            }
        }
        waiting.extend(entries(&here)?.into_iter().filter(|path| path.is_dir()));
    }
    Ok(groups)
}

/// Group and function of a folder `group/function` or `group/function/parameter`.
///
/// A benchmark outside any group is a group with one function without a name.
/// A parameter joins the group, so that functions are compared at the same parameter.
fn name_of(folder: &Path) -> (String, String) {
    let parts: Vec<_> = folder.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    match parts.as_slice() {
        [alone] => (alone.clone(), String::new()),
        [group, function] => (group.clone(), function.clone()),
        [group, function, rest @ ..] => (format!("{group}/{}", rest.join("/")), function.clone()),
        [] => Default::default(),
    }
}
