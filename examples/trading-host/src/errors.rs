//! What became of failures: how many led to a result all the same, by component and kind.
//!
//! The report tells it at the end, the counter `trading_host_errors_total` of the `metrics` facade
//! meanwhile.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use backstop_clock::Timestamp;
use backstop_error_taxonomy::{
    Component, Kind,
    recovery::Recovery,
    tally::{Over, Rate, Tally},
};

use metrics::counter;

use crate::{report::Errors as Counted, trouble::DLQ};

/// Where the failures of the host happen.
const COMPONENTS: [Component; 5] =
    [Component::EXECUTION, Component::NETWORK, Component::POSITION, Component::DATA, DLQ];

/// Counts over the life of the process; handles share it.
#[derive(Debug)]
pub struct Errors(RefCell<Tally>);

impl Default for Errors {
    fn default() -> Self {
        // A window that nothing leaves.
        Self(RefCell::new(Tally::new(Duration::MAX)))
    }
}

impl Errors {
    /// A failure after which the operation came to a result.
    pub fn recovered(&self, kind: Kind, component: Component, now: Timestamp) {
        self.0.borrow_mut().recovered(kind, component, now);
        count(component, kind, "recovered");
    }

    /// A failure after which it did not.
    pub fn failed(&self, kind: Kind, component: Component, now: Timestamp) {
        self.0.borrow_mut().failed(kind, component, now);
        count(component, kind, "failed");
    }

    /// What a recovery came to.
    pub fn record<T>(&self, recovery: &Recovery<T>, now: Timestamp) {
        self.0.borrow_mut().record(recovery, now);
        let outcome = if recovery.is_recovered() { "recovered" } else { "failed" };
        count(recovery.component.unwrap_or(Component::SYSTEM), recovery.class.kind(), outcome);
    }

    /// By component and kind, where there were any.
    pub fn counted(&self, now: Timestamp) -> BTreeMap<String, BTreeMap<String, Counted>> {
        let tally = self.0.borrow();
        let mut counted: BTreeMap<String, BTreeMap<String, Counted>> = BTreeMap::new();
        let pairs =
            COMPONENTS.iter().flat_map(|place| Kind::ALL.iter().map(move |kind| (place, kind)));
        for (component, kind) in pairs {
            let Rate { recovered, failed } = tally.rate(Over::Pair(*kind, *component), now);
            if recovered + failed > 0 {
                let of_component = counted.entry(component.to_string()).or_default();
                of_component.insert(kind.to_string(), Counted { recovered, failed });
            }
        }
        counted
    }
}

fn count(component: Component, kind: Kind, outcome: &'static str) {
    let labels = [
        ("component", component.to_string()),
        ("kind", kind.to_string()),
        ("outcome", outcome.to_owned()),
    ];
    counter!("trading_host_errors_total", &labels).increment(1);
}
