//! libFuzzer on the targets of the package `backstop-fuzz`.

use std::fs;

use super::process::unwritable;
use crate::project::{Project, entries};
use crate::shell::{self, Failure};
use crate::tools;

/// Which targets to fuzz, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fuzz {
    /// One target; none for all of them in turn.
    pub target: Option<String>,
    /// How long each of them is fuzzed.
    pub seconds: u32,
}

/// The toolchain that has the sanitizers which libFuzzer builds on.
const TOOLCHAIN: &str = "nightly";

/// Fuzzes each target for the given time, starting from its corpus and from what earlier campaigns found.
///
/// New inputs go into `target/fuzz-corpus`, findings into `fuzz/artifacts`.
///
/// # Errors
///
/// The first input that breaks a target, a target that does not exist, or a compiler that lacks.
pub fn fuzz(project: &Project, order: &Fuzz) -> Result<(), Failure> {
    let targets = targets(project)?;
    let chosen = match &order.target {
        None => targets,
        Some(name) if targets.contains(name) => vec![name.clone()],
        Some(name) => {
            let known = targets.join(", ");
            return Err(Failure::new(format!("`{name}` is no fuzz target: {known}")));
        }
    };
    let nightly = ["run", TOOLCHAIN, "cargo", "--version"];
    if !shell::answers(project.tool("rustup").args(nightly)) {
        let why = format!("fuzzing needs `rustup toolchain install {TOOLCHAIN}`");
        return Err(Failure::new(why));
    }
    if !tools::has_cargo(project, "fuzz") {
        let mut install = project.cargo();
        install.args(["install", "cargo-fuzz", "--locked", "--root"]).arg(project.tools());
        shell::run(&mut install)?;
    }
    for target in chosen {
        let found = project.target().join("fuzz-corpus").join(&target);
        fs::create_dir_all(&found).map_err(|why| unwritable(&found, &why))?;
        let given = project.root().join("fuzz/corpus").join(&target);
        let mut run = project.tool("rustup");
        // Outside our own build: it has another compiler and other flags.
        run.env("CARGO_TARGET_DIR", project.target().join("fuzz")).env_remove("CARGO");
        run.args(["run", TOOLCHAIN, "cargo", "fuzz", "run", &target]).arg(&found).arg(&given);
        run.args(["--", &format!("-max_total_time={}", order.seconds), "-print_final_stats=1"]);
        shell::run(&mut run)?;
    }
    Ok(())
}

/// The names of the programs in `fuzz/fuzz_targets`.
fn targets(project: &Project) -> Result<Vec<String>, Failure> {
    let files = entries(&project.root().join("fuzz/fuzz_targets"))?;
    let stems = files.iter().filter_map(|file| file.file_stem());
    Ok(stems.map(|stem| stem.to_string_lossy().into_owned()).collect())
}
