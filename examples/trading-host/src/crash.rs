//! Places where a crash test ends this process, as a power cut would.

use std::{cell::Cell, str::FromStr};

use rustix::process::{Signal, getpid, kill_process};

/// Kills this process at the n-th passage of a named point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    point: String,
    nth: u32,
}

/// The points, in the order in which an order passes them.
pub const POINTS: &[&str] = &[
    "intended",
    "submitted",
    "doubted",
    "booked",
    "consumed",
    "lettered",
    "compared",
    "kept",
    "snapshot",
];

impl Passage {
    /// The process has come to a point; `passed` counts how often it has come to the chosen one.
    pub fn pass(&self, point: &str, passed: &Cell<u32>) {
        if point != self.point {
            return;
        }
        passed.set(passed.get() + 1);
        if passed.get() == self.nth
            && let Err(error) = kill_process(getpid(), Signal::KILL)
        {
            tracing::error!(%error, "the process could not kill itself");
        }
    }
}

/// A crash point that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no crash point: expected POINT:N with N from 1 and POINT one of {POINTS:?}")]
pub struct UnknownPoint(String);

impl FromStr for Passage {
    type Err = UnknownPoint;

    fn from_str(text: &str) -> Result<Self, UnknownPoint> {
        let unknown = || UnknownPoint(text.to_owned());
        let (point, passages) = text.split_once(':').ok_or_else(unknown)?;
        let nth = passages.parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(unknown)?;
        if !POINTS.contains(&point) {
            return Err(unknown());
        }
        Ok(Self { point: point.to_owned(), nth })
    }
}
