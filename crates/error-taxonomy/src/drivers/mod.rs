//! The tables behind the errors of drivers, whatever the driver.
//!
//! A driver reports more than the codes of the other side: its pool was empty, its queue full, the
//! answer could not be read.
//! Each enum names such failures and states their class; the implementations of
//! [`Classify`](crate::Classify) for sqlx, reqwest, rdkafka and the others, which are features, say
//! only which failure it was.
//! Use an enum for a driver that has no feature here.
//!
//! ```
//! use backstop_error_taxonomy::{Effect, Kind, drivers::Database};
//!
//! // Nothing was sent, so waiting for the pool costs nobody anything.
//! let class = Database::PoolTimedOut.class();
//! assert_eq!((class.kind(), class.effect()), (Kind::Unavailable, Effect::NotApplied));
//! assert!(class.may_retry(false));
//! ```

mod database;
mod http_client;
mod json;
mod kafka;
mod librdkafka;
mod task;

pub use self::database::Database;
pub use self::http_client::{HttpClient, http_client};
pub use self::json::{Json, JsonMode};
pub use self::kafka::{KafkaClient, KafkaTransaction};
pub use self::librdkafka::librdkafka;
pub use self::task::{Task, elapsed};
