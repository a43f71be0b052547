//! What the errors of other crates are, each behind the feature of its name.
//!
//! They say which failure it was; the tables of `codes` and `drivers` say what that means.

#[cfg(feature = "rdkafka")]
mod rdkafka;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "rusqlite")]
mod rusqlite;
#[cfg(feature = "serde_json")]
mod serde_json;
#[cfg(feature = "sqlx")]
mod sqlx;
#[cfg(feature = "tokio")]
mod tokio;
