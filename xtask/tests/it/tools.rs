use std::fs;

use xtask::arguments::USAGE;
use xtask::ci::SECTIONS;
use xtask::project::Project;

#[test]
fn every_package_is_found_in_its_manifest() {
    let project = Project::open().expect("the workspace is here");
    let packages = project.packages().expect("its manifests are readable");
    let names: Vec<_> = packages.iter().map(|package| package.name.as_str()).collect();
    for name in ["backstop-dlq", "trading-host", "embedding", "backstop-benches", "xtask"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
}

#[test]
fn the_pinned_tools_have_a_version_and_hashes() {
    let project = Project::open().expect("the workspace is here");
    let list = fs::read_to_string(project.root().join(".ci/tools.txt")).expect("the list is there");
    let pinned = list.lines().filter(|line| line.contains("==")).count();
    assert_eq!(pinned, 4);
    assert_eq!(list.matches("--hash=sha256:").count(), 3 * pinned);
}

#[test]
fn the_usage_names_every_section() {
    let told = USAGE.lines().last().expect("the usage has lines");
    let names: Vec<_> = SECTIONS.iter().map(|section| section.name).collect();
    assert!(told.ends_with(&names.join(" ")), "{told}");
}
