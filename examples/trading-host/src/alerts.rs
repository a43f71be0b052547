//! What a human has to hear of.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
};

use backstop_clock::Timestamp;
use backstop_error_taxonomy::Severity;

/// A moment as a human reads it: RFC 3339, UTC.
pub fn utc(at: Timestamp) -> String {
    // Outside of the years that have four digits the count of milliseconds says as much.
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map_or_else(|_outside| at.to_string(), |at| at.to_string())
}

/// One thing that a human has to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// When it was raised.
    pub at: Timestamp,
    /// How bad.
    pub severity: Severity,
    /// A stable word, for example `reconciliation_manual`.
    pub name: &'static str,
    /// What happened.
    pub text: String,
}

/// Takes alerts to a human.
pub trait Alerts: fmt::Debug {
    /// Must not fail and must not wait: trading does not stand still for a pager.
    fn raise(&self, alert: Alert);

    /// How many were raised.
    fn raised(&self) -> usize;

    /// The last ones in words, for the report.
    fn last(&self) -> Vec<String>;
}

/// Alerts go to the log; the last ones are kept for the report.
#[derive(Debug, Default)]
pub struct Logged {
    recent: RefCell<VecDeque<Alert>>,
    raised: Cell<usize>,
}

/// Alerts that are kept for the report; the log has them all.
const KEPT_MAX: usize = 20;

impl Alerts for Logged {
    fn raise(&self, alert: Alert) {
        let at = utc(alert.at);
        tracing::warn!(%at, name = alert.name, severity = %alert.severity, text = alert.text, "alert");
        self.raised.set(self.raised.get() + 1);
        let mut recent = self.recent.borrow_mut();
        if recent.len() == KEPT_MAX {
            recent.pop_front();
        }
        recent.push_back(alert);
    }

    fn raised(&self) -> usize {
        self.raised.get()
    }

    fn last(&self) -> Vec<String> {
        let recent = self.recent.borrow();
        let in_words = |alert: &Alert| format!("{} {}: {}", utc(alert.at), alert.name, alert.text);
        recent.iter().map(in_words).collect()
    }
}
