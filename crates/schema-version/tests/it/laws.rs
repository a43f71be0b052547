//! Laws of the verdict over histories that nobody would write by hand.

use backstop_schema_version::{SchemaGate, Status, assess, gate};
use backstop_storage::{
    Migration,
    history::{Row, State},
};
use proptest::{prelude::*, sample::subsequence};

use crate::fixtures::{applied, migration, present, set};

const ALL: [Migration; 6] = [
    migration("0001", "SELECT 1"),
    migration("0002", "SELECT 2"),
    migration("0003", "SELECT 3"),
    migration("0004", "SELECT 4"),
    migration("0005", "SELECT 5"),
    migration("0006", "SELECT 6"),
];

#[derive(Clone, Copy, Debug)]
enum Blemish {
    None,
    Edited,
    Unfinished,
}

fn blemish() -> impl Strategy<Value = Blemish> {
    prop_oneof![
        12 => Just(Blemish::None),
        1 => Just(Blemish::Edited),
        1 => Just(Blemish::Unfinished),
    ]
}

fn row(migration: &Migration, blemish: Blemish) -> Row {
    let row = applied(migration);
    match blemish {
        Blemish::None => row,
        Blemish::Edited => Row { checksum: "v1:0".to_owned(), ..row },
        Blemish::Unfinished => Row { state: State::Started, ..row },
    }
}

/// The verdict, read off the two lists in the plainest words.
fn expected(rows: &[Row], known: &[Migration]) -> Status {
    let head = known[known.len() - 1].id;
    let has = |m: &Migration| rows.iter().any(|row| row.id == m.id);
    let has_file = |row: &Row| known.iter().any(|m| m.id == row.id);
    let unfinished = rows.iter().any(|row| row.state != State::Applied);
    let edited = rows.iter().any(|row| has_file(row) && row.checksum == "v1:0");
    let gone = rows.iter().any(|row| !has_file(row) && *row.id < *head);
    let late = known.iter().any(|m| !has(m) && rows.iter().any(|row| *row.id > *m.id));
    if unfinished || edited || gone || late {
        Status::Incompatible
    } else if rows.iter().any(|row| *row.id > *head) {
        Status::Ahead
    } else if known.iter().all(has) {
        Status::Current
    } else {
        Status::Outdated
    }
}

proptest! {
    #[test]
    fn the_verdict_is_the_plain_one(
        recorded in subsequence(&ALL[..], 0..=ALL.len()),
        known in subsequence(&ALL[..], 1..=ALL.len()),
        blemishes in prop::collection::vec(blemish(), ALL.len()),
    ) {
        let rows: Vec<Row> =
            recorded.iter().zip(blemishes).map(|(m, blemish)| row(m, blemish)).collect();
        let seen = assess(&present(rows.clone(), &[]), &set(&known));
        prop_assert_eq!(seen.status, expected(&rows, &known));
        // Without floors only a current database is traded on.
        let open = gate(&seen) == SchemaGate::ReadWrite;
        prop_assert_eq!(open, seen.status == Status::Current);
        prop_assert_eq!(open, seen.findings.is_empty() && seen.path.is_empty());
    }

    #[test]
    fn the_order_of_rows_does_not_matter(
        rows in subsequence(&ALL[..], 1..=ALL.len()).prop_shuffle(),
        known in subsequence(&ALL[..], 1..=ALL.len()),
    ) {
        let sorted: Vec<Migration> =
            ALL.into_iter().filter(|m| rows.contains(m)).collect();
        let shuffled = present(rows.iter().map(applied).collect(), &[]);
        let in_order = present(sorted.iter().map(applied).collect(), &[]);
        prop_assert_eq!(assess(&shuffled, &set(&known)), assess(&in_order, &set(&known)));
    }
}
