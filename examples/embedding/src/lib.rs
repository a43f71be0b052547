//! Small programs that add one backstop crate to somebody else's bot.
