//! SQLite opened right, one writer thread with group commit, migrations as data.
