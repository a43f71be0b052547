//! Tables of venue codes.

use backstop_error_taxonomy::venue::{Ccxt, Entry, Fault, Table};
use backstop_error_taxonomy::{Class, Classify, Effect, Kind, Transience};

#[test]
fn every_class_of_ccxt_is_known() {
    assert_eq!(Ccxt::ALL.len(), 41);
    for name in Ccxt::ALL {
        assert_eq!(name.as_str().parse(), Ok(*name));
        // Only the two that mean "some error" say nothing.
        let says_nothing = name.class().kind() == Kind::Other;
        assert_eq!(says_nothing, matches!(name, Ccxt::BaseError | Ccxt::ExchangeError), "{name}");
    }
    assert!("RatelimitExceeded".parse::<Ccxt>().is_err());
}

/// The classes below `NetworkError` in ccxt, which it calls recoverable.
const RECOVERABLE: [Ccxt; 8] = [
    Ccxt::NetworkError,
    Ccxt::DDoSProtection,
    Ccxt::RateLimitExceeded,
    Ccxt::ExchangeNotAvailable,
    Ccxt::OnMaintenance,
    Ccxt::InvalidNonce,
    Ccxt::ChecksumError,
    Ccxt::RequestTimeout,
];
/// Those beside both families: not a final no, and not the network either.
const BETWEEN: [Ccxt; 4] =
    [Ccxt::OperationFailed, Ccxt::BadResponse, Ccxt::NullResponse, Ccxt::CancelPending];

fn agrees_with_ccxt(name: Ccxt) -> bool {
    let is_transient = name.class().transience() == Transience::Transient;
    is_transient == RECOVERABLE.contains(&name)
}

#[test]
fn what_ccxt_calls_recoverable_is_transient() {
    for name in Ccxt::ALL.iter().filter(|name| !BETWEEN.contains(name)) {
        assert!(agrees_with_ccxt(*name), "{name}");
    }
}

#[test]
fn every_fault_of_a_table_is_told_at_once() {
    let entries = [
        Entry::new("-1", "RateLimitExceeded"),
        Entry::new("Market is closed.", "MarketClosed"),
        Entry::new("-2", "MarketClose").with_market("spot"),
        Entry::new("-1", "rate_limited"),
        Entry::new("", "ExchangeError"),
        Entry::new("-3", "ExchangeError").with_market("two words"),
    ];
    let error = Table::new("", entries).unwrap_err();
    assert_eq!(error.class().kind(), Kind::Config);
    let every = || "every market".to_owned();
    let expected = [
        Fault::Name(String::new()),
        Fault::Code { market: every(), code: "Market is closed.".into() },
        Fault::Meaning { market: "spot".into(), code: "-2".into(), meaning: "MarketClose".into() },
        Fault::Code { market: every(), code: String::new() },
        Fault::Name("two words".into()),
        Fault::Twice { market: every(), code: "-1".into() },
    ];
    assert_eq!(error.faults(), expected);
    let told = error.to_string();
    assert!(told.contains("`MarketClose`, for code -2 in spot, is neither"), "{told}");
    assert!(told.contains("code -1 appears twice in every market"), "{told}");
}

#[test]
fn huge_tables_and_texts_are_bounded() {
    let megabyte = "x".repeat(1 << 20);
    let error = Table::new(&megabyte, [Entry::new("1", &megabyte)]).unwrap_err();
    assert!(error.to_string().len() < 1_000);

    let codes: Vec<String> = (0..=Table::CODES_MAX).map(|code| code.to_string()).collect();
    let all = |count: usize| codes[..count].iter().map(|code| Entry::new(code, "invalid"));
    assert!(Table::new("v", all(Table::CODES_MAX)).is_ok());
    let error = Table::new("v", all(Table::CODES_MAX + 1)).unwrap_err();
    assert_eq!(error.faults(), [Fault::TooMany { max: Table::CODES_MAX }]);

    let error = Table::new("v", codes.iter().map(|code| Entry::new(code, "?"))).unwrap_err();
    assert_eq!(error.faults().len() + error.dropped(), codes.len());
    assert!(error.faults().len() <= 64);
}

#[test]
fn markets_are_kept_apart() {
    let entries = [
        Entry::new("7", "RequestTimeout"),
        Entry::new("7", "MarketClosed").with_market("option"),
        Entry::new("8", "unavailable").with_market("spot").with_effect(Effect::NotApplied),
        Entry::new("9", "data").with_transience(Transience::Transient),
    ];
    let table = Table::new("v", entries).unwrap();
    assert_eq!(table.class("7").kind(), Kind::Timeout);
    assert_eq!(table.class_in("spot", "7").kind(), Kind::Timeout);
    assert_eq!(table.class_in("option", "7").kind(), Kind::Precondition);
    assert_eq!(table.class_in("spot", "8").effect(), Effect::NotApplied);
    assert_eq!(table.class_in("option", "8"), Class::of(Kind::Other));
    assert_eq!(table.class("9").transience(), Transience::Transient);
    assert_eq!(table.codes().count(), 4);
    assert_eq!(table.venue(), "v");
}

mod files {
    use backstop_error_taxonomy::venue::BINANCE;

    use super::*;

    #[test]
    fn binance_is_read_whole() {
        let table: Table = toml::from_str(BINANCE).unwrap();
        let count = |market| table.codes().filter(|(of, ..)| *of == market).count();
        let parts = ["", "spot", "linear", "inverse", "option", "portfolioMargin"].map(count);
        assert_eq!(parts, [116, 299, 93, 48, 163, 169]);
        assert_eq!(table.codes().count(), 888);
    }

    #[test]
    fn the_markets_of_binance_differ() {
        let table: Table = toml::from_str(BINANCE).unwrap();
        assert_eq!(table.class_in("option", "-1008").kind(), Kind::RateLimited);
        assert_eq!(table.class_in("spot", "-1008").kind(), Kind::Unavailable);
        assert_eq!(table.class_in("linear", "-5021").kind(), Kind::Rejected);
    }

    #[test]
    fn what_may_have_happened_at_binance_is_not_called_undone() {
        let table: Table = toml::from_str(BINANCE).unwrap();
        for market in ["", "spot", "linear", "inverse", "option", "portfolioMargin"] {
            // Execution status unknown; no answer from the backend; rejected, perhaps as a
            // duplicate.
            for code in ["-1006", "-1007", "-2010"] {
                let effect = table.class_in(market, code).effect();
                assert_eq!(effect, Effect::Unknown, "{code} in {market}");
            }
        }
        let taken = [("linear", "-4116"), ("inverse", "-4111"), ("portfolioMargin", "-4115")];
        for (market, code) in taken {
            assert_eq!(table.class_in(market, code).effect(), Effect::Applied, "{code}");
        }
    }

    #[test]
    fn ccxts_families_agree() {
        // By the names in the file, each counted as often as it is there.
        let (mut agreed, mut all) = (0_u32, 0_u32);
        for line in BINANCE.lines().filter(|line| line.starts_with('"')) {
            let name = line.split('"').nth(3).unwrap().parse::<Ccxt>().unwrap();
            if !BETWEEN.contains(&name) {
                all += 1;
                agreed += u32::from(agrees_with_ccxt(name));
            }
        }
        assert!(all > 800, "{all}");
        assert!(agreed * 100 >= all * 99, "{agreed} of {all}");
    }

    #[test]
    fn a_file_of_another_form_is_refused() {
        let refused = |text: &str| toml::from_str::<Table>(text).unwrap_err().to_string();
        assert!(refused("venue = 'v'\n[code]\n'1' = 'invalid'").contains("unknown field `code`"));
        assert!(refused("[codes]").contains("missing field `venue`"));
        assert!(refused("venue = 'v'\n[markets.'']\n'1' = 'auth'").contains("no name"));
        let code = |meaning: &str| refused(&format!("venue = 'v'\n[codes]\n'1' = {meaning}"));
        assert!(code("{ class = 'auth', note = 'x' }").contains("unknown field `note`"));
        assert!(code("{ class = 'auth', effect = 'x' }").contains("`x` is no effect"));
        assert!(code("{ effect = 'applied' }").contains("missing field `class`"));
        assert!(code("7").contains("expected a ccxt class, a kind, or a map"));
        let both = refused("venue = 'v'\n[codes]\n'1' = 'a'\n'2' = 'b'");
        assert!(both.contains("code 1") && both.contains("code 2"), "{both}");
    }

    #[test]
    fn a_code_given_twice_in_json_is_seen() {
        let text = r#"{"venue": "v", "codes": {"1": "auth", "1": "invalid"}}"#;
        let refused = serde_json::from_str::<Table>(text).unwrap_err().to_string();
        assert!(refused.contains("code 1 appears twice"), "{refused}");
    }
}
