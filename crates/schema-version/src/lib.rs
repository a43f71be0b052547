//! Database status, safe migration, and the gate in front of trading.
