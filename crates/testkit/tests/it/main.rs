//! The scenario reader fails where it must.

#[cfg(test)]
mod reader;
