//! Classes of the codes that operating systems, protocols and databases use.
//!
//! Every function is total: a code nobody has heard of gets the class with the fewest assumptions.
//! Where an answer always carries a code, success included, a code of success has no class.
//! A venue that documents more than the standard does says so afterwards, for example with
//! [`Class::with_effect`](crate::Class::with_effect).
//!
//! | function | codes |
//! |---|---|
//! | [`io`] | `std::io::ErrorKind` |
//! | [`http`], [`retry_after`] | status and `Retry-After` |
//! | [`grpc`] | gRPC, by number; by name through [`Grpc`] |
//! | [`sqlstate`] | SQL databases, PostgreSQL foremost |
//! | [`sqlite`] | `SQLite`, primary and extended |
//! | [`kafka`] | the Kafka protocol, by number; by name through [`kafka_code`] |

use crate::{Class, Effect, Kind, Transience};

mod io;
mod http;
mod grpc;
mod sqlstate;
mod sqlite;
mod kafka;

pub use self::grpc::{Grpc, grpc};
pub use self::http::{http, retry_after};
pub use self::io::io;
pub use self::kafka::{kafka, kafka_code, kafka_name};
pub use self::sqlite::sqlite;
pub use self::sqlstate::sqlstate;

/// A refusal that will be repeated: nothing happened.
pub(crate) const fn no(kind: Kind) -> Class {
    Class::of(kind).with_transience(Transience::Permanent).with_effect(Effect::NotApplied)
}

/// A refusal that may pass: nothing happened.
pub(crate) const fn again(kind: Kind) -> Class {
    Class::of(kind).with_transience(Transience::Transient).with_effect(Effect::NotApplied)
}
