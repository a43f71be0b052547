//! How bad it is.

use crate::names::names;

/// How bad a failure is, ordered from `Info` to `Critical`.
///
/// ```
/// use backstop_error_taxonomy::Severity;
///
/// assert!(Severity::Critical > Severity::High);
/// assert_eq!(Severity::High.to_string(), "high");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Expected; nobody needs to know.
    Info,
    /// Worth counting.
    Low,
    /// Worth a look when there is time.
    Medium,
    /// A person should look today.
    High,
    /// A person should look now.
    Critical,
}

names!("severity", Severity {
    Info => "info",
    Low => "low",
    Medium => "medium",
    High => "high",
    Critical => "critical",
});

impl Severity {
    /// The severity number of OpenTelemetry's log data model.
    ///
    /// `Info` and `Low` are INFO (9), `Medium` is WARN (13), `High` is ERROR (17) and `Critical` is
    /// FATAL (21).
    ///
    /// ```
    /// use backstop_error_taxonomy::Severity;
    ///
    /// assert_eq!(Severity::Critical.otel_number(), 21);
    /// ```
    pub const fn otel_number(self) -> u8 {
        match self {
            Self::Info | Self::Low => 9,
            Self::Medium => 13,
            Self::High => 17,
            Self::Critical => 21,
        }
    }
}
