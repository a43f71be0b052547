//! What a human has to hear of.

use std::{cell::RefCell, fmt};

use backstop_clock::Timestamp;
use backstop_error_taxonomy::Severity;

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
}

/// Alerts that the log keeps, and a bounded list for the report.
#[derive(Debug, Default)]
pub struct Logged {
    recent: RefCell<Vec<Alert>>,
    dropped: std::cell::Cell<usize>,
}

/// Alerts that are kept for the report; the log has them all.
const KEPT_MAX: usize = 1_000;

impl Logged {
    /// The alerts that are kept, the oldest first.
    pub fn recent(&self) -> Vec<Alert> {
        self.recent.borrow().clone()
    }
}

impl Alerts for Logged {
    fn raise(&self, alert: Alert) {
        tracing::warn!(name = alert.name, severity = %alert.severity, text = alert.text, "alert");
        let mut recent = self.recent.borrow_mut();
        if recent.len() < KEPT_MAX {
            recent.push(alert);
        } else {
            self.dropped.set(self.dropped.get() + 1);
        }
    }

    fn raised(&self) -> usize {
        self.recent.borrow().len() + self.dropped.get()
    }
}
