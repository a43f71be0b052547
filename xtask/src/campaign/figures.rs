//! What the reports of a campaign say, and what they must say.

use std::fmt;

use crate::report;
use crate::shell::Failure;

/// Kinds of faults that a storm over the bundled year must bring at least [`FAULTS_MIN`] times.
const FAULTS: [&str; 12] = [
    "timeout_before_effect",
    "timeout_after_effect",
    "late_acceptance",
    "connection_reset",
    "rate_limited",
    "server_error",
    "reject",
    "duplicate_event",
    "out_of_order_event",
    "dropped_event",
    "malformed_event",
    "delayed_event",
];
const FAULTS_MIN: f64 = 10.0;
/// Faults that come as often as the script says.
const FAULTS_PLANNED: [(&str, f64); 2] = [("outage", 2.0), ("balance_drift", 1.0)];

/// Figures that a storm over the bundled year must keep below.
///
/// Noticed within two minutes of simulated time, repaired within five, the books level within five seconds outside an outage, and the whole in twenty seconds of real time.
const BELOW: [(&str, f64); 4] = [
    ("detect_s_max", 120.0),
    ("recover_s_max", 300.0),
    ("consistency_age_s_max", 5.0),
    ("elapsed_ms", 20_000.0),
];
/// Share of the recoverable faults whose harm must be repaired.
const RECOVERY_RATE_MIN: f64 = 0.95;

/// Whether a storm over the bundled year was one, and was weathered as promised.
///
/// # Errors
///
/// The first figure that lacks or is beyond its limit.
pub fn check(json: &str) -> Result<(), Failure> {
    for kind in FAULTS {
        let times = number(json, &["faults_injected", kind]).unwrap_or_default();
        expect(times >= FAULTS_MIN, kind, times)?;
    }
    for (kind, least) in FAULTS_PLANNED {
        let times = number(json, &["faults_injected", kind]).unwrap_or_default();
        expect(times >= least, kind, times)?;
    }
    for (name, limit) in BELOW {
        let figure = number(json, &[name]).unwrap_or(f64::INFINITY);
        expect(figure < limit, name, figure)?;
    }
    let rate = number(json, &["recovery_rate"]).unwrap_or_default();
    expect(rate > RECOVERY_RATE_MIN, "recovery_rate", rate)
}

fn expect(holds: bool, name: &str, found: f64) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::new(format!("{name} is {found}, beyond its limit"))) }
}

fn number(json: &str, path: &[&str]) -> Option<f64> {
    report::at(json, path)?.parse().ok()
}

/// The worst figures of many reports, and how much they speak of.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    runs: u32,
    kills: u32,
    detect: f64,
    recover: f64,
    consistency: f64,
    recovery_rate: f64,
    elapsed_ms: f64,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            runs: 0,
            kills: 0,
            detect: 0.0,
            recover: 0.0,
            consistency: 0.0,
            recovery_rate: 1.0,
            elapsed_ms: 0.0,
        }
    }
}

impl Figures {
    /// Takes in the report of a run that ended well.
    pub fn add(&mut self, json: &str) {
        let worst = |before: f64, name| before.max(number(json, &[name]).unwrap_or_default());
        self.runs += 1;
        self.detect = worst(self.detect, "detect_s_max");
        self.recover = worst(self.recover, "recover_s_max");
        self.consistency = worst(self.consistency, "consistency_age_s_max");
        self.elapsed_ms = worst(self.elapsed_ms, "elapsed_ms");
        let rate = number(json, &["recovery_rate"]).unwrap_or(1.0);
        self.recovery_rate = self.recovery_rate.min(rate);
    }

    /// A process was killed.
    pub fn kill(&mut self) {
        self.kills += 1;
    }

    /// Takes in what others came to.
    pub fn join(&mut self, other: &Self) {
        self.runs += other.runs;
        self.kills += other.kills;
        self.detect = self.detect.max(other.detect);
        self.recover = self.recover.max(other.recover);
        self.consistency = self.consistency.max(other.consistency);
        self.elapsed_ms = self.elapsed_ms.max(other.elapsed_ms);
        self.recovery_rate = self.recovery_rate.min(other.recovery_rate);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, kills, detect, recover, consistency, recovery_rate, elapsed_ms } = self;
        write!(f, "{runs} runs to the end, {kills} kills; at worst ")?;
        write!(f, "noticed in {detect:.1} s, repaired in {recover:.1} s, ")?;
        write!(f, "books level in {consistency:.1} s, recovery rate {recovery_rate:.4}, ")?;
        write!(f, "a run in {elapsed_ms:.0} ms")
    }
}
