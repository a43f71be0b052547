//! Consume, retry, dead-letter, park and replay, without losing a message.
