//! The lines that a program logs through `tracing`.
//!
//! ```
//! let lines = backstop_testkit::log::lines(|| tracing::warn!(venue = "north", "no answer"));
//! assert_eq!(lines.len(), 1);
//! assert!(lines[0].starts_with("WARN") && lines[0].contains("no answer venue=\"north\""));
//! ```

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{Level, subscriber};

/// What `work` logs on this thread, from level debug on, without times and colours.
pub fn lines(work: impl FnOnce()) -> Vec<String> {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::DEBUG)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    subscriber::with_default(subscriber, work);
    let written = log.0.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&written).lines().map(|line| line.trim_start().to_owned()).collect()
}

/// Bytes that a subscriber writes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
