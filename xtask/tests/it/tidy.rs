use xtask::project::Project;
use xtask::tidy::source::declarations;
use xtask::tidy::{self, Finding, Tree, documents, files, names, packages};

/// The places that a rule complains about, as `path:line`.
fn places(found: &[Finding]) -> Vec<String> {
    found.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
}

fn names_in(text: &str) -> usize {
    names::banned(&Tree::of(&[("crates/x/src/lib.rs", text)])).len()
}

#[test]
fn the_repository_keeps_its_own_rules() {
    let project = Project::open().expect("the workspace is here");
    let tree = Tree::read(project.root()).expect("its files are readable");
    assert!(tree.files().len() > 50, "the walk found only {} files", tree.files().len());
    let lines: Vec<_> = tidy::check(&tree).iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn a_banned_word_is_found_in_every_kind_of_declaration() {
    for text in [
        "pub struct OrderManager;",
        "enum DataKind { A }",
        "pub(crate) trait BaseBook {}",
        "mod utils;",
        "type NewOrder = u8;",
        "async fn fill_helper() {}",
        "pub const fn get_price() -> u8 { 0 }",
        "impl Book { fn item(&self) {} }",
        "fn outer() { struct TradeInfo; }",
        "struct OrderV2;",
    ] {
        assert_eq!(names_in(text), 1, "{text}");
    }
}

#[test]
fn what_only_looks_like_a_banned_word_passes() {
    for text in [
        "pub struct Ledger; impl Ledger { pub fn new() -> Self { Ledger } }",
        "fn base_currency() {}",
        "struct Baseline; struct Database; fn together() {}",
        "enum Severity { Info, Low }",
        "impl Iterator for Walk { type Item = u8; fn next(&mut self) -> Option<u8> { None } }",
        "// struct OrderManager;\n/* mod utils; /* nested */ fn helper() {} */",
        r##"const TEXT: &str = r#"struct OrderManager; "quoted" "#; const C: char = '"';"##,
        "#[test]\nfn a_service_that_hangs_is_left() {}",
        "// Named so because: the venue's own protocol calls it this.\nstruct VenueService;",
    ] {
        assert_eq!(names_in(text), 0, "{text}");
    }
}

#[test]
fn only_what_stands_directly_in_a_trait_impl_is_dictated() {
    let text = "impl<F> Watch for F where F: for<'a> Fn(&'a u8) { fn data(&self) { fn info() {} } }\n\
                impl<F: for<'a> Fn(&'a u8)> Book<F> { fn object(self) {} }";
    let dictated: Vec<_> =
        declarations(text).into_iter().map(|found| (found.name, found.dictated)).collect();
    let expected = [("data", true), ("info", false), ("object", false)];
    assert_eq!(dictated, expected.map(|(name, dictated)| (name.to_owned(), dictated)));
}

#[test]
fn a_long_file_needs_a_reason() {
    let long = "\n".repeat(files::LINES_MAX + 1);
    let explained = format!("{}one table of codes.\n{long}", files::LONG_BECAUSE);
    let unexplained = format!("{}\n{long}", files::LONG_BECAUSE);
    let short = "\n".repeat(files::LINES_MAX);
    let tree = Tree::of(&[
        ("a.rs", &long),
        ("b.rs", &explained),
        ("c.rs", &unexplained),
        ("d.rs", &short),
        ("e.md", &long),
    ]);
    assert_eq!(places(&files::long(&tree)), ["a.rs:1", "c.rs:1"]);
}

#[test]
fn written_files_are_ascii() {
    let tree =
        Tree::of(&[("a.rs", "fine\n// nai\u{ef}ve\n"), ("b.md", "plain"), ("c.csv", "\u{e9}")]);
    assert_eq!(places(&files::ascii(&tree)), ["a.rs:2"]);
}

#[test]
fn a_path_of_a_machine_is_found_but_not_a_folder_of_ours() {
    let mine = ["see /", "home/me/notes"].concat();
    let ours = ["crates/", "home/src and a/", "work/b"].concat();
    let tree = Tree::of(&[("a.json", &mine), ("b.md", &ours)]);
    assert_eq!(places(&files::machine_paths(&tree)), ["a.json:1"]);
}

#[test]
fn a_crate_brings_a_readme_and_a_quickstart() {
    let tree = Tree::of(&[
        ("crates/dlq/Cargo.toml", ""),
        ("crates/dlq/README.md", ""),
        ("crates/testkit/Cargo.toml", ""),
        ("crates/clock/Cargo.toml", ""),
        ("crates/clock/README.md", ""),
        ("crates/clock/examples/quickstart.rs", ""),
        ("benches/Cargo.toml", ""),
    ]);
    let found = packages::complete(&tree);
    assert_eq!(places(&found), ["crates/dlq/Cargo.toml:1"]);
    assert!(found.iter().all(|finding| finding.why.contains("quickstart")));
}

#[test]
fn two_examples_of_one_name_meet_in_the_target_folder() {
    let named = "[[example]]\nname = \"b-quickstart\"\npath = \"examples/quickstart.rs\"\n";
    let listed = "[[example]]\nname = \"quickstart\"\nrequired-features = [\"sqlite\"]\n";
    let tree = Tree::of(&[
        ("crates/a/Cargo.toml", ""),
        ("crates/a/examples/quickstart.rs", ""),
        ("crates/b/Cargo.toml", named),
        ("crates/b/examples/quickstart.rs", ""),
        ("crates/c/Cargo.toml", listed),
        ("crates/c/examples/quickstart.rs", ""),
    ]);
    let places = places(&packages::examples(&tree));
    assert_eq!(places, ["crates/a/Cargo.toml:1", "crates/c/Cargo.toml:1"]);
}

#[test]
fn the_index_links_every_document() {
    let tree = Tree::of(&[
        ("docs/README.md", "[one](one.md)\n```\n[two](design/two.md)\n```\n"),
        ("docs/one.md", ""),
        ("docs/design/two.md", ""),
    ]);
    let found = documents::index(&tree);
    assert_eq!(found.len(), 1);
    assert!(found.iter().all(|finding| finding.why.contains("docs/design/two.md")));
}

#[test]
fn a_link_leads_somewhere() {
    let text = "[up](../README.md) [part](#part) [out](https://example.org/x)\n[gone](gone.md#a)\n";
    let tree = Tree::of(&[("README.md", "[docs](docs)"), ("docs/a.md", text)]);
    assert_eq!(places(&documents::links(&tree)), ["docs/a.md:2"]);
}

#[test]
fn the_changelog_knows_the_version() {
    let manifest = "[workspace]\n[workspace.package]\nversion = \"0.2.0\"\n";
    let with = |changes: &str| {
        let tree = Tree::of(&[("Cargo.toml", manifest), ("CHANGELOG.md", changes)]);
        documents::changelog(&tree).len()
    };
    assert_eq!(with("# Changes\n\n## 0.2.0 (unreleased)\n"), 0);
    assert_eq!(with("# Changes\n\n## 0.1.0\n\nNot yet 0.2.0\n"), 1);
}
