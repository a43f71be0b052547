//! A trading host that shows the backstop crates wired together.
