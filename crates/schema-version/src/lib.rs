//! Database status, and the gate in front of trading.

mod set;
mod finding;
mod assess;
mod gate;
mod environment;

pub use assess::{Assessment, Compatibility, Line, Status, assess};
pub use environment::Environment;
pub use finding::{Finding, Lead};
pub use gate::{Refusal, SchemaGate, gate};
pub use set::{MigrationId, MigrationSet, SetError};
