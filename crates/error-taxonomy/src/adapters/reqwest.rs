//! Errors of reqwest.

use reqwest::Error;

use crate::drivers::{HttpClient, http_client};
use crate::{Class, Classify};

/// By what the error says of itself, in the order of [`HttpClient`].
///
/// An error of `error_for_status` has lost the headers: read `Retry-After` of the response before,
/// with [`codes::retry_after`](crate::codes::retry_after).
///
/// A client that follows redirects says "not connected" also of the host that it was sent on to,
/// after the first one has had the request: send orders with `redirect::Policy::none`.
///
/// The text of the error names the URL with its query: one that carries a key or a signature is
/// taken out with `reqwest::Error::without_url` before the error goes anywhere.
impl Classify for Error {
    fn class(&self) -> Class {
        let sign = |is_so: bool, sign: HttpClient| is_so.then_some(sign);
        let signs = [
            sign(self.is_builder(), HttpClient::Builder),
            sign(self.is_dns(), HttpClient::Dns),
            sign(self.is_connect(), HttpClient::Connect),
            self.status().map(|status| HttpClient::Status(status.as_u16())),
            sign(self.is_timeout(), HttpClient::Timeout),
            sign(self.is_redirect(), HttpClient::Redirect),
            sign(self.is_decode(), HttpClient::Decode),
            sign(self.is_body(), HttpClient::Body),
            sign(self.is_request(), HttpClient::Request),
        ];
        http_client(signs.into_iter().flatten())
    }
}
