//! The venue's file: the configuration, then every command that changed something, as JSON Lines.
//!
//! A line is written with one write(2) before the command is answered.
//! There is no fsync: the file has to outlive the process, not the machine.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use backstop_clock::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::VenueConfig;
use crate::{faults::ReadFault, venue::OrderRequest};

/// Longest line that is read; the longest that is written is far below it.
const LINE_LEN_MAX: u64 = 64 * 1024;

/// A request that changed the venue, with all that its outcome depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub(super) enum Command {
    Submit {
        attempt: u64,
        order: OrderRequest,
    },
    Cancel {
        client_order_id: Uuid,
    },
    /// A page of events with something on it that is different the first time.
    Page {
        after: u64,
    },
    /// A read or cancel that failed; logged because the audit counts it.
    ReadFault {
        fault: ReadFault,
    },
    /// Nothing but the time, by which something has happened that the answer tells.
    Reach,
}

/// A command and the true time at which it came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) at: Timestamp,
    #[serde(flatten)]
    pub(super) command: Command,
}

/// Open at its end.
#[derive(Debug)]
pub(super) struct CommandLog {
    path: PathBuf,
    file: File,
    /// Bytes of sound lines.
    length: u64,
}

/// The venue's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The system says no.
    #[error("{}: {source}", path.display())]
    File {
        /// The venue's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line other than a torn last one is not what the venue writes.
    #[error("{}, line {line}: {source}", path.display())]
    Broken {
        /// The venue's file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The file belongs to a venue with other settings, under which its commands mean other things.
    #[error("{}: written with {field} {found}, not {expected}", path.display())]
    OtherConfig {
        /// The venue's file.
        path: PathBuf,
        /// The first setting that differs.
        field: &'static str,
        /// In the file.
        found: String,
        /// As configured now.
        expected: String,
    },
}

impl CommandLog {
    /// Opens the file, makes it if need be, and hands each of its commands to `repeat`.
    pub(super) fn open(
        path: &Path,
        config: &VenueConfig,
        mut repeat: impl FnMut(Line),
    ) -> Result<Self, LogError> {
        let failed = |source| LogError::File { path: path.to_owned(), source };
        let mut options = File::options();
        options.read(true).append(true).create(true);
        let file = options.open(path).map_err(failed)?;
        let mut reader = BufReader::new(file);
        let (mut number, mut sound) = (0_u64, 0_u64);
        let mut text = Vec::new();
        loop {
            text.clear();
            let length = io::Read::take(&mut reader, LINE_LEN_MAX).read_until(b'\n', &mut text);
            let length = u64::try_from(length.map_err(failed)?).unwrap_or(u64::MAX);
            // A last line without its end was never answered: the process died while writing it.
            if length == 0 || (text.last() != Some(&b'\n') && length < LINE_LEN_MAX) {
                break;
            }
            number += 1;
            let broken = |source| LogError::Broken { path: path.to_owned(), line: number, source };
            if number == 1 {
                let found = serde_json::from_slice(&text).map_err(broken)?;
                agree(path, &found, config)?;
            } else {
                repeat(serde_json::from_slice(&text).map_err(broken)?);
            }
            sound += length;
        }
        let file = reader.into_inner();
        file.set_len(sound).map_err(failed)?;
        let mut log = Self { path: path.to_owned(), file, length: sound };
        if number == 0 {
            log.write(config)?;
        }
        Ok(log)
    }

    /// Writes one line; the part of a line that could not be finished is taken back.
    pub(super) fn append(&mut self, line: &Line) -> Result<(), LogError> {
        self.write(line)
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), LogError> {
        let failed = |source| LogError::File { path: self.path.clone(), source };
        let mut text = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        match self.file.write_all(&text) {
            Ok(()) => {
                self.length += u64::try_from(text.len()).unwrap_or(u64::MAX);
                Ok(())
            }
            Err(error) => {
                // If this fails too, the next start cuts the torn line off or names it.
                drop(self.file.set_len(self.length));
                Err(failed(error))
            }
        }
    }
}

/// Whether the file was written under the same settings.
fn agree(path: &Path, found: &VenueConfig, expected: &VenueConfig) -> Result<(), LogError> {
    let differs = |field, found: String, expected: String| {
        let path = path.to_owned();
        if found == expected {
            Ok(())
        } else {
            Err(LogError::OtherConfig { path, field, found, expected })
        }
    };
    differs("seed", found.seed.to_string(), expected.seed.to_string())?;
    differs("profile", found.profile.to_string(), expected.profile.to_string())?;
    differs("deposits", format!("{:?}", found.deposits), format!("{:?}", expected.deposits))?;
    let shares = (found.volume_share, expected.volume_share);
    differs("volume_share", shares.0.normalize().to_string(), shares.1.normalize().to_string())?;
    let lots = (found.unknown_volume_lots, expected.unknown_volume_lots);
    differs("unknown_volume_lots", lots.0.to_string(), lots.1.to_string())?;
    differs("span", format!("{:?}", found.span), format!("{:?}", expected.span))
}
