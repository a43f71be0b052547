use std::fs;
use std::path::Path;

use backstop_fuzz::TARGETS;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

/// How many changed inputs each target gets; the campaign is where many are tried.
const CASES: u32 = 512;

/// The inputs that are checked in for a target, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn every_target_has_its_program_and_every_program_its_target() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(manifest.join("Cargo.toml")).unwrap();
    for target in TARGETS {
        let file = format!("fuzz_targets/{}.rs", target.name);
        let source = fs::read_to_string(manifest.join(&file)).unwrap();
        let call = format!("backstop_fuzz::program!(backstop_fuzz::{});", target.name);
        assert!(source.contains(&call), "{file} does not call its target");
        assert!(text.contains(&format!("path = \"{file}\"")), "{file} is no [[bin]]");
    }
    let programs = fs::read_dir(manifest.join("fuzz_targets")).unwrap().count();
    assert_eq!(programs, TARGETS.len(), "a program without a line in TARGETS");
}

#[test]
fn every_target_bears_its_corpus() {
    for target in TARGETS {
        for bytes in corpus(target.name) {
            (target.run)(&bytes);
        }
    }
}

#[test]
fn every_target_bears_noise() {
    for target in TARGETS {
        run(&proptest::collection::vec(any::<u8>(), 0..512), target.run);
    }
}

#[test]
fn every_target_bears_changed_inputs() {
    let change = (any::<Index>(), any::<u8>(), any::<Index>(), any::<Index>());
    let changes = proptest::collection::vec(change, 0..4);
    for target in TARGETS {
        let one = proptest::sample::select(corpus(target.name));
        let inputs = (one, changes.clone())
            .prop_map(|(bytes, changes)| changes.into_iter().fold(bytes, changed));
        run(&inputs, target.run);
    }
}

/// Another byte somewhere, and a part copied in front of it: that breaks the structure too.
fn changed(mut bytes: Vec<u8>, change: (Index, u8, Index, Index)) -> Vec<u8> {
    let (at, byte, from, to) = change;
    if bytes.is_empty() {
        return bytes;
    }
    let [at, from, to] = [at, from, to].map(|index| index.index(bytes.len()));
    bytes[at] = byte;
    let part = bytes[from.min(to)..from.max(to)].to_vec();
    bytes.splice(at..at, part);
    bytes
}

fn run(inputs: &impl Strategy<Value = Vec<u8>>, target: fn(&[u8])) {
    let mut runner = TestRunner::new(Config { cases: CASES, ..Config::default() });
    let outcome = runner.run(inputs, |bytes| {
        target(&bytes);
        Ok(())
    });
    outcome.unwrap_or_else(|why| panic!("{why}"));
}
