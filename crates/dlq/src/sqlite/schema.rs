use backstop_storage::Migration;

/// The schema of letters, positions and internal streams, in order.
///
/// ```
/// assert!(backstop_dlq::MIGRATIONS.iter().all(|m| m.component == "dlq"));
/// ```
pub const MIGRATIONS: &[Migration] = &[
    Migration { component: "dlq", id: "0001_letters", sql: LETTERS },
    Migration { component: "dlq", id: "0002_log", sql: LOG },
];

const LETTERS: &str = "
CREATE TABLE dlq_letters (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    stream TEXT NOT NULL,
    partition INTEGER NOT NULL,
    position INTEGER NOT NULL,
    key BLOB,
    payload BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    behind BLOB CHECK (behind IS NULL OR length(behind) = 16),
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    replays INTEGER NOT NULL,
    put_at_ms INTEGER NOT NULL,
    settled_at_ms INTEGER,
    note TEXT
) STRICT;

CREATE INDEX dlq_letters_by_state ON dlq_letters (state, sequence);

-- What blocks a key; settled letters, which are most, stay out of it.
CREATE INDEX dlq_letters_open ON dlq_letters (stream, partition, key, position)
    WHERE state IN ('dead', 'parked', 'quarantined');

CREATE TABLE dlq_letter_headers (
    sequence INTEGER NOT NULL REFERENCES dlq_letters (sequence),
    ordinal INTEGER NOT NULL,
    name TEXT NOT NULL,
    value BLOB,
    PRIMARY KEY (sequence, ordinal)
) STRICT, WITHOUT ROWID;

-- The first and the last attempts of each letter.
CREATE TABLE dlq_letter_attempts (
    sequence INTEGER NOT NULL REFERENCES dlq_letters (sequence),
    number INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    transience TEXT NOT NULL,
    effect TEXT NOT NULL,
    severity TEXT NOT NULL,
    retry_after_ms INTEGER,
    breaker_refusal INTEGER NOT NULL CHECK (breaker_refusal IN (0, 1)),
    text TEXT NOT NULL,
    PRIMARY KEY (sequence, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE dlq_letter_edits (
    sequence INTEGER NOT NULL REFERENCES dlq_letters (sequence),
    ordinal INTEGER NOT NULL,
    payload BLOB NOT NULL,
    editor TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (sequence, ordinal)
) STRICT, WITHOUT ROWID;

-- The first position of each partition that is not settled.
CREATE TABLE dlq_positions (
    stream TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY (stream, partition)
) STRICT, WITHOUT ROWID;
";

const LOG: &str = "
-- The position that a stream's next record gets; it outlives the records.
CREATE TABLE dlq_streams (
    stream TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE dlq_records (
    stream TEXT NOT NULL REFERENCES dlq_streams (stream),
    position INTEGER NOT NULL,
    key BLOB,
    payload BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (stream, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE dlq_record_headers (
    stream TEXT NOT NULL,
    position INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    name TEXT NOT NULL,
    value BLOB,
    PRIMARY KEY (stream, position, ordinal),
    FOREIGN KEY (stream, position) REFERENCES dlq_records (stream, position)
) STRICT, WITHOUT ROWID;
";
