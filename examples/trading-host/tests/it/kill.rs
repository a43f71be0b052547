//! Processes killed with SIGKILL at every step, and started again on what they left.
//!
//! Where a series is to be killed is said by the host's crash points, or by how far the venue's
//! file has grown: never by a clock, so that a slow machine kills at the same steps.
//! Longer series over more seeds are the kill campaign's.

mod process;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use backstop_dlq::{DeadLetterStore, SqliteStore};
use backstop_storage::Database;
use tempfile::TempDir;
use trading_host::{
    chance::Chance,
    crash::POINTS,
    setup::{DATABASE, VENUE_FILE},
};

use crate::stage::market_until;
use process::{End, Host, Venue, progress};

/// Passages of each point at which a series dies, by seed.
const PASSAGES: [(u64, &[u32]); 3] = [(1, &[1, 7, 29]), (2, &[2, 11]), (3, &[3, 20])];

/// Kills from outside in one series.
const KILLS: u64 = 6;

/// Ten days: the first orders of both strategies, both outages and the drift.
fn market() -> TempDir {
    market_until("2017-01-11")
}

/// Four days of one instrument, so that every event has the same key.
fn euro() -> TempDir {
    let market = market_until("2017-01-05");
    let instruments = market.path().join("instruments.csv");
    let text = fs::read_to_string(&instruments).unwrap();
    let kept: Vec<_> = text.lines().take(2).collect();
    assert!(kept[1].starts_with("EURUSD"));
    fs::write(instruments, kept.join("\n") + "\n").unwrap();
    fs::remove_file(market.path().join("equities.bars.csv")).unwrap();
    market
}

/// Where one series keeps what it leaves.
fn folder(of: &TempDir, name: &str) -> PathBuf {
    of.path().join(name)
}

#[test]
fn killed_at_every_point_it_goes_on() {
    let (market, data) = (market(), tempfile::tempdir().unwrap());
    let mut kills = [0; POINTS.len()];
    for (seed, passages) in PASSAGES {
        for (place, point) in POINTS.iter().enumerate() {
            for nth in passages {
                let name = format!("{point}-{nth}-of-{seed}");
                let data = folder(&data, &name);
                let host = Host { seed, market: market.path().to_owned(), data, venue: None };
                kills[place] += killed_twice(&host, point, *nth);
            }
        }
    }
    let never: Vec<_> = POINTS.iter().zip(kills).filter(|(_, kills)| *kills < 2).collect();
    assert!(never.is_empty(), "points that were hardly passed: {never:?}");
}

/// Dies at a passage, then at the first one of the next run, which is often still starting.
fn killed_twice(host: &Host, point: &str, nth: u32) -> u32 {
    let context = format!("seed {}, {point}:{nth}", host.seed);
    if let End::Finished(status, _) = host.start(Some(&format!("{point}:{nth}"))).end(&context) {
        assert!(status.success(), "{context}: {status}");
        return 0;
    }
    let again = host.start(Some(&format!("{point}:1"))).end(&context);
    host.finish(&context);
    1 + u32::from(matches!(again, End::Killed))
}

#[test]
fn killed_again_and_again_while_it_starts_it_goes_on() {
    let (market, data) = (market(), tempfile::tempdir().unwrap());
    let data = folder(&data, "series");
    let host = Host { seed: 4, market: market.path().to_owned(), data, venue: None };
    // Dies with an order of unknown outcome, which every start looks up first.
    assert!(matches!(host.start(Some("doubted:1")).end("doubted"), End::Killed));
    let points = ["booked:1", "consumed:1", "compared:1", "consumed:2", "compared:2"];
    for point in points.iter().chain(&points) {
        host.start(Some(point)).end(point);
    }
    host.finish("at last");
}

#[test]
fn killed_between_a_letter_and_the_one_parked_behind_it_it_goes_on() {
    let (market, data) = (euro(), tempfile::tempdir().unwrap());
    let mut orphans = 0;
    for nth in 1..=8 {
        let context = format!("booked:{nth}");
        let data = folder(&data, &context);
        // In this seed a fill comes damaged as the fourth event, and another right behind it.
        let host = Host { seed: 111, market: market.path().to_owned(), data, venue: None };
        assert!(matches!(host.start(Some(&context)).end(&context), End::Killed));
        let db = Database::open(&host.data.join(DATABASE)).unwrap();
        let stats = pollster::block_on(SqliteStore::open(&db).unwrap().stats()).unwrap();
        drop(db);
        orphans += u32::from(stats.dead == 0 && stats.parked > 0);
        host.finish(&context);
    }
    assert!(orphans > 0, "no letter was left parked behind nothing: another seed may do it");
}

#[test]
fn killed_from_outside_it_goes_on() {
    let (market, data) = (market(), tempfile::tempdir().unwrap());
    for seed in 1..=3 {
        let host = |name| {
            let data = folder(&data, &format!("{name}-{seed}"));
            Host { seed, market: market.path().to_owned(), data, venue: None }
        };
        let whole = host("whole");
        whole.finish("undisturbed");
        let length = progress(&whole.data);
        let host = host("killed");
        let file = host.data.join(VENUE_FILE);
        let mut kills = 0;
        for moment in moments(seed, length) {
            let context = format!("seed {seed}, {moment} bytes");
            kills += u32::from(host.start(None).reaches(&file, moment, &context));
        }
        assert!(kills > 1, "seed {seed}: killed {kills} times");
        host.finish(&format!("seed {seed}"));
    }
}

#[test]
fn host_and_venue_killed_in_turns_go_on() {
    let (market, data) = (market(), tempfile::tempdir().unwrap());
    for seed in 1..=2 {
        let mut pair = Pair::start(seed, market.path(), &data);
        let length = {
            let data = folder(&data, &format!("whole-{seed}"));
            let whole = Host { data, venue: None, ..pair.host.clone() };
            whole.finish("undisturbed");
            progress(&whole.data)
        };
        let mut host = pair.host.start(None);
        for (turn, moment) in moments(seed, length).into_iter().enumerate() {
            let context = format!("seed {seed}, turn {turn}, {moment} bytes");
            if !host.reaches(&pair.file, moment, &context) {
                break;
            }
            // The host alone, the venue alone while the host goes on, then both.
            if turn % 3 != 0 {
                pair.restart_venue();
            }
            if turn % 3 != 1 {
                drop(host);
                host = pair.host.start(None);
            }
        }
        drop(host);
        pair.host.finish(&format!("seed {seed}"));
    }
}

/// A host and a venue in processes of their own.
struct Pair {
    host: Host,
    venue: Option<Venue>,
    /// The venue's folder and file.
    folder: PathBuf,
    file: PathBuf,
}

impl Pair {
    fn start(seed: u64, market: &Path, data: &TempDir) -> Self {
        let place = folder(data, &format!("venue-{seed}"));
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let venue = Venue::start(seed, market, &place, any);
        let host = Host {
            seed,
            market: market.to_owned(),
            data: folder(data, &format!("host-{seed}")),
            venue: Some(venue.address),
        };
        Self { host, venue: Some(venue), file: place.join(VENUE_FILE), folder: place }
    }

    /// Kills the venue and starts it on the same port and data.
    fn restart_venue(&mut self) {
        let Some(address) = self.host.venue else { return };
        // The old one must be gone before the new one takes its port.
        self.venue = None;
        self.venue = Some(Venue::start(self.host.seed, &self.host.market, &self.folder, address));
    }
}

/// Lengths of the venue's file at which a series is killed, ascending.
fn moments(seed: u64, length: u64) -> Vec<u64> {
    let chance = Chance::new(seed);
    let mut moments: Vec<_> =
        (0..KILLS).map(|nth| chance.within(0..=length, "kill_at", [], nth)).collect();
    moments.sort_unstable();
    moments
}
