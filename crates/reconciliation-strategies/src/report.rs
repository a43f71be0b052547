use crate::{
    Plan,
    coverage::{Compared, Coverage, Skipped, Status},
    findings::{Finding, Outcome},
};

/// The result of a comparison; nothing has been changed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Whether everything could be compared.
    pub status: Status,
    /// Every finding, ordered by key and kind.
    pub findings: Vec<Finding>,
    /// The repair of the findings whose outcome is `Auto`.
    pub plan: Plan,
    /// Differences that the statements are too old to judge.
    pub skipped: Vec<Skipped>,
    /// What was seen of the internal and of the external source, in this order.
    pub coverage: [Coverage; 2],
    /// How many keys were compared.
    pub compared: Compared,
}

impl Report {
    /// Findings with this outcome.
    pub fn with_outcome(&self, outcome: Outcome) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.outcome == outcome)
    }

    /// How many findings the plan repairs.
    pub fn auto_resolved(&self) -> usize {
        self.with_outcome(Outcome::Auto).count()
    }

    /// How many findings wait for a human.
    pub fn manual(&self) -> usize {
        self.with_outcome(Outcome::Manual).count()
    }

    /// Findings that something on its way may explain.
    pub fn deferred(&self) -> impl Iterator<Item = &Finding> {
        self.with_outcome(Outcome::Deferred)
    }
}
