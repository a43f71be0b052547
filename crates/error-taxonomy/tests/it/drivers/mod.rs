//! Errors that the drivers themselves raise, each behind its feature.

#[cfg(feature = "rdkafka")]
mod kafka;
#[cfg(feature = "reqwest")]
mod http;
#[cfg(feature = "rusqlite")]
mod lite;
#[cfg(feature = "serde_json")]
mod json;
#[cfg(feature = "sqlx")]
mod sql;
#[cfg(feature = "tokio")]
mod tasks;
