//! Errors of `serde_json`.

use std::io::ErrorKind;

use serde_json::error::Category;

use crate::drivers::{Json, JsonMode};
use crate::{Class, Classify};

/// As of a whole text; who reads a stream asks [`Json::class`] with [`JsonMode::Stream`].
impl Classify for serde_json::Error {
    fn class(&self) -> Class {
        let failure = match self.classify() {
            Category::Syntax => Json::Syntax,
            Category::Data => Json::Data,
            Category::Eof => Json::Eof,
            Category::Io => Json::Io(self.io_error_kind().unwrap_or(ErrorKind::Other)),
        };
        failure.class(JsonMode::Whole)
    }
}
