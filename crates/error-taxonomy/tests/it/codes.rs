use std::io::{self, ErrorKind};

use backstop_error_taxonomy::{Class, Classify, Effect, Kind, Severity, Transience, codes};
use proptest::prelude::*;

#[test]
fn io_errors_classify_by_kind_whatever_their_text() {
    let plain = io::Error::from(ErrorKind::ConnectionReset);
    let worded = io::Error::new(ErrorKind::ConnectionReset, "permission denied, not found");
    assert_eq!(plain.class(), worded.class());
    assert_eq!(plain.class(), Class::of(Kind::Connection));
}

#[test]
fn a_network_that_went_away_may_have_carried_the_request() {
    for kind in [ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable, ErrorKind::NetworkDown]
    {
        assert_eq!(codes::io(kind), Class::of(Kind::Connection), "{kind}");
        assert!(!codes::io(kind).may_retry(false), "{kind}");
    }
    assert!(codes::io(ErrorKind::ConnectionRefused).may_retry(false), "nobody was there");
}

#[test]
fn a_full_disk_is_not_waited_for() {
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::ReadOnlyFilesystem] {
        let class = codes::io(kind);
        assert_eq!(class.kind(), Kind::Unavailable, "{kind}");
        assert_eq!(class.transience(), Transience::Permanent, "{kind}");
        assert_eq!(class.effect(), Effect::Unknown, "{kind}");
        assert_eq!(class.severity(), Severity::High, "{kind}");
    }
}

#[test]
fn exhausted_memory_is_critical() {
    assert_eq!(codes::io(ErrorKind::OutOfMemory).severity(), Severity::Critical);
    assert_eq!(codes::sqlite(7).severity(), Severity::Critical);
}

#[test]
fn http_takes_over_the_servers_wish() {
    let wish = std::time::Duration::from_secs(30);
    assert_eq!(codes::http(503, Some(wish)).retry_after(), Some(wish));
    assert_eq!(codes::http(503, None).retry_after(), None);
}

#[test]
fn statuses_that_are_no_failures_claim_nothing() {
    for status in [0, 100, 200, 204, 299, 600, 999, u16::MAX] {
        assert_eq!(codes::http(status, None), Class::of(Kind::Other), "{status}");
    }
    assert_eq!(codes::http(301, None).kind(), Kind::Config);
}

#[test]
fn extended_sqlite_codes_follow_their_primary_code() {
    // SQLITE_BUSY_SNAPSHOT, SQLITE_IOERR_WRITE, SQLITE_CONSTRAINT_CHECK.
    assert_eq!(codes::sqlite(517), codes::sqlite(5));
    assert_eq!(codes::sqlite(778), codes::sqlite(10));
    assert_eq!(codes::sqlite(275).kind(), Kind::Invalid);
    // SQLITE_CONSTRAINT_UNIQUE differs from the other constraints.
    assert_eq!(codes::sqlite(2067).kind(), Kind::Conflict);
}

proptest! {
    #[test]
    fn every_http_status_has_a_class(status: u16) {
        let class = codes::http(status, None);
        // No answer of a failing server may look like "certainly did not happen".
        if (500..600).contains(&status) && status != 501 {
            prop_assert_eq!(class.effect(), Effect::Unknown);
        }
    }

    #[test]
    fn every_sqlite_code_has_a_class(code: i32) {
        prop_assert!(!codes::sqlite(code).is_breaker_refusal());
    }
}
