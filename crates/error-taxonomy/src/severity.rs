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
