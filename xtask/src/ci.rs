//! Every check in order, stopping at the first that fails.
//!
//! The order puts what is quick before what is slow.
//! All sections that compile share their flags and profile, so that the graph is built as few times as possible.

use std::process::Command;

use crate::campaign::{self, Campaign, Subject};
use crate::project::{Package, Project};
use crate::shell::{self, Failure};
use crate::{tidy, tools};

/// One named part of the checks.
#[derive(Debug)]
pub struct Section {
    /// The name to ask for on the command line.
    pub name: &'static str,
    check: fn(&Project) -> Checked,
}

type Checked = Result<Outcome, Failure>;

/// What became of a section that found nothing wrong.
#[derive(Debug)]
enum Outcome {
    Done,
    /// It could not run as it should; the text says why.
    Missing(String),
}

/// The sections, in the order in which they run.
pub const SECTIONS: &[Section] = &[
    Section { name: "fmt", check: fmt },
    Section { name: "typos", check: typos },
    Section { name: "tidy", check: rules },
    Section { name: "clippy", check: clippy },
    Section { name: "test", check: test },
    Section { name: "doctest", check: doctest },
    Section { name: "examples", check: examples },
    Section { name: "host", check: host },
    Section { name: "features", check: features },
    Section { name: "docs", check: docs },
    Section { name: "deny", check: deny },
    Section { name: "benches", check: benches },
];

/// Seeds of the fault storm that every change has to pass.
const STORM_SEEDS: std::ops::RangeInclusive<u64> = 1..=5;
/// Seeds of the kill matrix that every change has to pass.
const KILL_SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

/// Runs the named sections, or all of them when none is named.
///
/// A missing tool is said aloud.
/// Where the environment variable `CI` is set it is a failure, for there the tools must install.
///
/// # Errors
///
/// The first section that fails, by name.
pub fn run(project: &Project, names: &[String]) -> Result<(), Failure> {
    tools::install(project)?;
    let strict = std::env::var_os("CI").is_some();
    let chosen = |section: &&Section| names.is_empty() || names.iter().any(|n| n == section.name);
    let began = shell::now();
    let mut lines = Vec::new();
    for section in SECTIONS.iter().filter(chosen) {
        println!("\n=== {}", section.name);
        let start = shell::now();
        let outcome = (section.check)(project)
            .map_err(|why| Failure::new(format!("section `{}`: {why}", section.name)))?;
        let took = start.elapsed();
        let note = match outcome {
            Outcome::Done => String::new(),
            Outcome::Missing(what) => {
                println!("!!! {what}");
                if strict {
                    return Err(Failure::new(format!("section `{}`: {what}", section.name)));
                }
                format!("  !!! {what}")
            }
        };
        println!("=== {} took {took:.1?}", section.name);
        lines.push(format!("{:>9} {:>8.1?}{note}", section.name, took));
    }
    println!("\nci, every section with its time:\n{}", lines.join("\n"));
    println!("ci took {:.1?}", began.elapsed());
    Ok(())
}

fn cargo(project: &Project, arguments: &[&str]) -> Checked {
    shell::run(project.cargo().args(arguments)).map(|()| Outcome::Done)
}

fn fmt(project: &Project) -> Checked {
    cargo(project, &["fmt", "--all", "--check"])
}

fn typos(project: &Project) -> Checked {
    if !shell::answers(project.tool("typos").arg("--version")) {
        return Ok(Outcome::Missing("typos is missing: nobody checked the spelling".to_owned()));
    }
    shell::run(&mut project.tool("typos")).map(|()| Outcome::Done)
}

fn rules(project: &Project) -> Checked {
    tidy::run(project).map(|()| Outcome::Done)
}

fn clippy(project: &Project) -> Checked {
    let what = ["clippy", "--workspace", "--all-targets", "--all-features", "--"];
    cargo(project, &[&what[..], &["-D", "warnings"]].concat())
}

fn test(project: &Project) -> Checked {
    if tools::has_cargo(project, "nextest") {
        return cargo(project, &["nextest", "run", "--workspace", "--all-features"]);
    }
    println!("cargo-nextest is missing: cargo test does the same, one program after the other");
    cargo(project, &["test", "--workspace", "--all-features", "--lib", "--bins", "--tests"])
}

fn doctest(project: &Project) -> Checked {
    cargo(project, &["test", "--workspace", "--doc", "--all-features"])
}

/// Builds all examples at once, then runs each; `cargo run -p` for each would resolve features anew each time.
fn examples(project: &Project) -> Checked {
    cargo(project, &["build", "--workspace", "--all-features", "--examples", "--bins"])?;
    let built = project.target().join("debug");
    for package in project.packages()? {
        for example in &package.examples {
            run_built(&package, &built.join("examples").join(example))?;
        }
        for bin in &package.bins {
            run_built(&package, &built.join(bin))?;
        }
    }
    Ok(Outcome::Done)
}

fn run_built(package: &Package, program: &std::path::Path) -> Result<(), Failure> {
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    shell::run(Command::new(program).current_dir(&package.folder))
}

fn host(project: &Project) -> Checked {
    for (subject, seeds) in [(Subject::Storm, STORM_SEEDS), (Subject::Kill, KILL_SEEDS)] {
        campaign::run(project, &Campaign { subject, seeds, market: None })?;
    }
    Ok(Outcome::Done)
}

/// Each feature alone, because a workspace build unites features and hides what one of them lacks.
fn features(project: &Project) -> Checked {
    if tools::has_cargo(project, "hack") {
        // Not `--no-dev-deps`: it edits the manifests while it runs, and a check builds none of them anyway.
        return cargo(project, &["hack", "check", "--each-feature", "--workspace"]);
    }
    println!("cargo-hack is missing: a plain loop over the features does the same, slower");
    for package in project.packages()? {
        let alone = ["check", "-p", &package.name, "--no-default-features"];
        cargo(project, &alone)?;
        for feature in &package.features {
            cargo(project, &[&alone[..], &["--features", feature]].concat())?;
        }
    }
    Ok(Outcome::Done)
}

fn docs(project: &Project) -> Checked {
    let mut command = project.cargo();
    command.args(["doc", "--workspace", "--no-deps", "--all-features"]);
    shell::run(command.env("RUSTDOCFLAGS", "-D warnings")).map(|()| Outcome::Done)
}

fn deny(project: &Project) -> Checked {
    if !tools::has_cargo(project, "deny") {
        let what = "cargo-deny is missing: nobody checked edges, licences and sources";
        return Ok(Outcome::Missing(what.to_owned()));
    }
    // It looks at every package of the lock file, also at those that this machine does not build.
    cargo(project, &["fetch"])?;
    // A crate that may know another need not do so.
    let what = ["deny", "--offline", "check", "--allow", "unused-wrapper"];
    cargo(project, &[&what[..], &["bans", "licenses", "sources"]].concat())
}

fn benches(project: &Project) -> Checked {
    cargo(project, &["bench", "-p", "backstop-benches", "--no-run"])
}
