//! The workspace as its manifests describe it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::manifest;
use crate::shell::Failure;

/// The checkout this tool was built in.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
    target: PathBuf,
}

/// What the checks need to know of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The package's name, for `-p`.
    pub name: String,
    /// The package's folder.
    pub folder: PathBuf,
    /// The names in its `[features]` table, without `default`.
    pub features: Vec<String>,
    /// Its examples, by the name that cargo knows.
    pub examples: Vec<String>,
    /// The names of its programs under `src/bin`.
    pub bins: Vec<String>,
}

impl Project {
    /// Finds the workspace around this tool.
    ///
    /// # Errors
    ///
    /// The folder above this package is not the workspace any more.
    pub fn open() -> Result<Self, Failure> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = package.parent().filter(|root| root.join("Cargo.toml").is_file());
        let root = root.ok_or_else(|| Failure::new("the workspace was moved: build xtask anew"))?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
        Ok(Self { root: root.to_owned(), target: root.join(target) })
    }

    /// The workspace's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo puts what it builds.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// A cargo command in the workspace's folder, with the installed tools on its path.
    pub fn cargo(&self) -> Command {
        self.tool(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// A program in the workspace's folder, looked for among the installed tools first.
    pub fn tool(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut folders = vec![self.tools().join("bin")];
        if let Some(path) = std::env::var_os("PATH") {
            folders.extend(std::env::split_paths(&path));
        }
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        if let Ok(path) = std::env::join_paths(folders) {
            command.env("PATH", path);
        }
        command
    }

    /// Where the project installs its own tools.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// The release build of the trading host.
    pub fn host(&self) -> PathBuf {
        self.target.join("release").join(format!("trading-host{}", std::env::consts::EXE_SUFFIX))
    }

    /// Every package of the workspace, ordered by folder.
    ///
    /// # Errors
    ///
    /// A folder or manifest cannot be read.
    pub fn packages(&self) -> Result<Vec<Package>, Failure> {
        let mut folders: Vec<_> =
            ["benches", "fuzz", "xtask"].map(|folder| self.root.join(folder)).into();
        for parent in ["crates", "examples"] {
            folders.extend(entries(&self.root.join(parent))?);
        }
        folders.retain(|folder| folder.join("Cargo.toml").is_file());
        folders.sort();
        folders.into_iter().map(Package::read).collect()
    }
}

impl Package {
    fn read(folder: PathBuf) -> Result<Self, Failure> {
        let path = folder.join("Cargo.toml");
        let manifest = fs::read_to_string(&path).map_err(|why| unreadable(&path, &why))?;
        let sources = |part: &str| -> Result<Vec<String>, Failure> {
            let folder = folder.join(part);
            let found = if folder.is_dir() { entries(&folder)? } else { Vec::new() };
            Ok(found.iter().filter_map(|file| stem(file)).collect())
        };
        let name = manifest::value(&manifest, "[package]", "name").map(str::to_owned);
        let name =
            name.ok_or_else(|| Failure::new(format!("{} names no package", path.display())))?;
        let features = manifest::features(&manifest);
        let examples = manifest::examples(&manifest, sources("examples")?);
        Ok(Self { name, features, examples, bins: sources("src/bin")?, folder })
    }
}

fn stem(file: &Path) -> Option<String> {
    let rust = file.extension().is_some_and(|extension| extension == "rs");
    if rust { file.file_stem().map(|stem| stem.to_string_lossy().into_owned()) } else { None }
}

/// What a folder holds, ordered by name.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let read = fs::read_dir(folder).map_err(|why| unreadable(folder, &why))?;
    let mut found = Vec::new();
    for entry in read {
        found.push(entry.map_err(|why| unreadable(folder, &why))?.path());
    }
    found.sort();
    Ok(found)
}

/// The failure for a path that cannot be read.
pub(crate) fn unreadable(path: &Path, why: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be read: {why}", path.display()))
}
