use std::fmt;

use backstop_error_taxonomy::Classify;

use crate::Message;

/// Does the work for one message.
///
/// A handler must be idempotent: a crash between its success and the commit of the position, and
/// every retry and replay, hand it the same message again.
/// What it has done must be durable when it returns, or queued on the same database as the
/// store's positions, which become durable in order.
///
/// ```
/// use std::{num::ParseIntError, str};
/// use backstop_dlq::{Handler, Message};
/// use backstop_error_taxonomy::{Class, Classify, Kind};
///
/// #[derive(Debug)]
/// struct NotANumber;
///
/// impl std::fmt::Display for NotANumber {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         f.write_str("not a number")
///     }
/// }
///
/// impl Classify for NotANumber {
///     fn class(&self) -> Class {
///         Class::of(Kind::Data)
///     }
/// }
///
/// struct Sum(i64);
///
/// impl Handler for Sum {
///     type Message = i64;
///     type Error = NotANumber;
///
///     fn decode(&self, raw: &Message) -> Result<i64, NotANumber> {
///         let text = str::from_utf8(&raw.payload).map_err(|_| NotANumber)?;
///         text.parse().map_err(|_: ParseIntError| NotANumber)
///     }
///
///     async fn handle(&mut self, number: i64, _raw: &Message) -> Result<(), NotANumber> {
///         self.0 += number;
///         Ok(())
///     }
/// }
/// ```
pub trait Handler {
    /// What the bytes mean.
    type Message;
    /// Why a message could not be decoded or handled; its class decides whether to retry.
    type Error: Classify + fmt::Display;

    /// Reads the bytes; called again for every attempt.
    ///
    /// # Errors
    /// Any error makes the message an undecodable letter, whatever its class.
    fn decode(&self, raw: &Message) -> Result<Self::Message, Self::Error>;

    /// Does the work; a panic counts as a failed attempt.
    ///
    /// # Errors
    /// A transient error is retried, any other makes the message a letter.
    fn handle(
        &mut self,
        message: Self::Message,
        raw: &Message,
    ) -> impl Future<Output = Result<(), Self::Error>>;
}
