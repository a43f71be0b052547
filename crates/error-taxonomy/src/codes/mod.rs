//! Classes of the codes that operating systems, HTTP and databases use.
//!
//! Every function is total: a code nobody has heard of gets the class with the fewest assumptions.
//! A venue that documents more than the standard does says so afterwards, for example with
//! [`Class::with_effect`](crate::Class::with_effect).

mod io;
mod http;
mod sqlite;

pub use self::http::http;
pub use self::io::io;
pub use self::sqlite::sqlite;
