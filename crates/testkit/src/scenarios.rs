//! Runs acceptance scenarios that are kept as JSON files.
//!
//! A crate's test hands in one closure that runs one case; this module finds the files, keeps
//! going after a failure, and reports.
//!
//! ```no_run
//! use backstop_testkit::scenarios::{self, Verdict};
//!
//! // In the test `scenarios` of the crate in the folder `circuit-breaker`.
//! scenarios::run("circuit-breaker", env!("CARGO_MANIFEST_DIR"), |_file, case| {
//!     match case["kind"].as_str() {
//!         None | Some("script") => Verdict::Passed, // run it here
//!         Some("retry_around_breaker") => Verdict::Elsewhere,
//!         Some(other) => Verdict::Failed(format!("unknown kind {other:?}")),
//!     }
//! });
//! ```

use std::{
    any::Any,
    collections::BTreeSet,
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

/// The environment variable that names a folder with more scenarios.
pub const FOLDER_VARIABLE: &str = "BACKSTOP_SCENARIOS";

/// The only version of the files that this reader knows.
const FORMAT: u64 = 1;

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every expectation held.
    Passed,
    /// An expectation did not hold; the text says what was expected and what came.
    Failed(String),
    /// The crate cannot express it yet; listed by id and counted apart.
    Pending,
    /// It belongs to another crate's run; neither run nor pending here.
    Elsewhere,
}

/// One scenario file, without its cases.
#[derive(Clone, Debug)]
pub struct File {
    /// The file's name.
    pub name: String,
    /// The suite, where the format has one.
    pub theme: Option<String>,
    /// Values that stand under each case.
    pub defaults: Option<Value>,
}

impl File {
    /// The case with the file's defaults under it, one level deep.
    pub fn with_defaults(&self, case: &Value) -> Value {
        let mut merged = self.defaults.clone().unwrap_or_else(|| Value::Object(Map::new()));
        for (key, value) in case.as_object().into_iter().flatten() {
            match (merged.get_mut(key).and_then(Value::as_object_mut), value.as_object()) {
                (Some(under), Some(over)) => under.extend(over.clone()),
                _ => merged[key] = value.clone(),
            }
        }
        merged
    }
}

/// Runs every case of `<manifest_dir>/tests/scenarios` and of `$BACKSTOP_SCENARIOS/<folder>`.
///
/// Prints `scenarios: N run, M pending` and the ids that are pending.
///
/// # Panics
/// With a list of `file id: why` when a case fails, a file cannot be read, a folder holds no
/// scenario, an id stands twice in a folder, or nothing at all was run.
pub fn run(folder: &str, manifest_dir: &str, case: impl FnMut(&File, &Value) -> Verdict) {
    let mut folders = vec![Path::new(manifest_dir).join("tests").join("scenarios")];
    if let Some(more) = env::var_os(FOLDER_VARIABLE) {
        folders.push(PathBuf::from(more).join(folder));
    }
    let summary = run_folders(&folders, case);
    print(&summary);
    assert!(summary.failures.is_empty(), "failed:\n{}", summary.failures.join("\n"));
    assert!(summary.run > 0, "no scenario of {folder} was run");
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Cases run, failed ones included.
    pub run: usize,
    /// `file id` of the cases that cannot be expressed yet.
    pub pending: Vec<String>,
    /// `file id: why` of everything that went wrong.
    pub failures: Vec<String>,
}

/// Runs the cases of the given folders and collects what happened.
pub fn run_folders(folders: &[PathBuf], mut case: impl FnMut(&File, &Value) -> Verdict) -> Summary {
    let mut summary = Summary::default();
    for folder in folders {
        match json_files(folder) {
            Ok(paths) if paths.is_empty() => {
                summary.failures.push(format!("{}: holds no scenario", folder.display()));
            }
            Ok(paths) => {
                let mut ids = BTreeSet::new();
                for path in paths {
                    run_file(&path, &mut ids, &mut summary, &mut case);
                }
            }
            Err(error) => summary.failures.push(format!("{}: {error}", folder.display())),
        }
    }
    summary
}

fn json_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn run_file(
    path: &Path,
    ids: &mut BTreeSet<String>,
    summary: &mut Summary,
    case: &mut impl FnMut(&File, &Value) -> Verdict,
) {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let (file, cases) = match read(path, &name) {
        Ok(read) => read,
        Err(why) => return summary.failures.push(format!("{name}: {why}")),
    };
    for scenario in &cases {
        let Some(id) = scenario["id"].as_str() else {
            summary.failures.push(format!("{name}: a scenario has no id"));
            continue;
        };
        if !ids.insert(id.to_owned()) {
            summary.failures.push(format!("{name} {id}: the id stands twice"));
        }
        // A case that panics is one failure, and hides none of those after it.
        let played = catch_unwind(AssertUnwindSafe(|| case(&file, scenario)));
        match played.unwrap_or_else(|payload| Verdict::Failed(panicked(&*payload))) {
            Verdict::Passed => summary.run += 1,
            Verdict::Failed(why) => {
                summary.run += 1;
                summary.failures.push(format!("{name} {id}: {why}"));
            }
            Verdict::Pending => summary.pending.push(format!("{name} {id}")),
            Verdict::Elsewhere => {}
        }
    }
}

fn panicked(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a text"))
}

fn read(path: &Path, name: &str) -> Result<(File, Vec<Value>), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if value["format"].as_u64() != Some(FORMAT) {
        return Err(format!("format {} is not {FORMAT}", value["format"]));
    }
    let Value::Array(cases) = value["scenarios"].take() else {
        return Err("scenarios is no list".to_owned());
    };
    let defaults = value.get("defaults").cloned();
    let theme = value["theme"].as_str().map(str::to_owned);
    Ok((File { name: name.to_owned(), theme, defaults }, cases))
}

#[expect(clippy::print_stdout, reason = "the counts are for the reader of the test run")]
fn print(summary: &Summary) {
    println!("scenarios: {} run, {} pending", summary.run, summary.pending.len());
    for id in &summary.pending {
        println!("  pending: {id}");
    }
}
