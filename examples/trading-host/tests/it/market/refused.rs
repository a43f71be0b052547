//! What is no market folder, refused by file, line, field, value and rule.

use std::fs;

use backstop_error_taxonomy::{Classify, Kind};
use trading_host::market::{Market, MarketError, Rule};

use super::{HEADER, INSTRUMENTS, folder, read};

#[test]
fn a_folder_without_its_files_is_refused() {
    let rule = |files: &[(&str, &str)]| match read(files).unwrap_err() {
        MarketError::Incomplete { path, rule } => {
            let name = path.extension().and(path.file_name()).unwrap_or_default().to_owned();
            (name.into_string().unwrap(), rule)
        }
        other => panic!("{other}"),
    };
    let instruments = ("instruments.csv", INSTRUMENTS);
    let header = INSTRUMENTS.lines().next().unwrap();
    assert_eq!(rule(&[]), (String::new(), Rule::InstrumentFile));
    assert_eq!(rule(&[instruments]), (String::new(), Rule::BarFile));
    assert_eq!(rule(&[instruments, ("bars.csv", HEADER)]), (String::new(), Rule::Empty));
    assert_eq!(rule(&[instruments, ("bars.csv", "")]), ("bars.csv".into(), Rule::Empty));
    let empty = [("instruments.csv", header), ("bars.csv", HEADER)];
    assert_eq!(rule(&empty), ("instruments.csv".into(), Rule::Empty));

    let dir = folder(&[instruments]);
    fs::create_dir(dir.path().join("bars.csv")).unwrap();
    for path in [dir.path().to_owned(), dir.path().join("nowhere")] {
        let refused = Market::read(&path).unwrap_err();
        assert!(matches!(refused, MarketError::Unreadable { .. }), "{refused}");
        assert!(refused.to_string().contains(path.to_str().unwrap()), "{refused}");
    }
}

/// The file, line, field and value that `files` are refused by, and the rule.
fn refusal(files: &[(&str, &str)]) -> (String, u64, &'static str, String, Rule) {
    let error = read(files).unwrap_err();
    assert_eq!(error.class().kind(), Kind::Data);
    let text = error.to_string();
    match error {
        MarketError::Field { path, line, field, value, rule } => {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let shown = format!("{name}:{line}: {field} is {value:?}: {rule}");
            assert!(text.ends_with(&shown), "{text}");
            (name, line, field, value, rule)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_bad_row_of_bars_is_refused_by_its_place() {
    let good = "2020-01-02T00:00:00Z,AAA,1,1,1,1,\n";
    let cases = [
        ("2020-01-01T23:59:59Z,BBB,1,1,1,1,", "time", "2020-01-01T23:59:59Z", Rule::Order),
        ("2020-01-02T00:00:00Z,AAA,2,2,2,2,", "time", "2020-01-02T00:00:00Z AAA", Rule::Duplicate),
        (",AAA,1,1,1,1,", "time", "", Rule::Missing),
        ("2020-01-03,AAA,1,1,1,1,", "time", "2020-01-03", Rule::Time),
        ("2020-01-03T00:00:00,AAA,1,1,1,1,", "time", "2020-01-03T00:00:00", Rule::Time),
        ("2020-02-30T00:00:00Z,AAA,1,1,1,1,", "time", "2020-02-30T00:00:00Z", Rule::Time),
        ("2020-01-03T00:00:00+01:00,AAA,1,1,1,1,", "time", "2020-01-03T00:00:00+01:00", Rule::Time),
        ("2020-01-03T00:00:00.0001Z,AAA,1,1,1,1,", "time", "2020-01-03T00:00:00.0001Z", Rule::Time),
        ("2020-01-03T00:00:00Z,,1,1,1,1,", "symbol", "", Rule::Missing),
        ("2020-01-03T00:00:00Z,A A,1,1,1,1,", "symbol", "A A", Rule::Code),
        ("2020-01-03T00:00:00Z,CCC,1,1,1,1,", "symbol", "CCC", Rule::UnknownSymbol),
        ("2020-01-03T00:00:00Z,AAA,1,1,1,,", "close", "", Rule::Missing),
        ("2020-01-03T00:00:00Z,AAA,1,,1,1,", "high", "", Rule::Missing),
        ("2020-01-03T00:00:00Z,AAA,1,1,1,-1,", "close", "-1", Rule::Positive),
        ("2020-01-03T00:00:00Z,AAA,0,1,1,1,", "open", "0", Rule::Positive),
        ("2020-01-03T00:00:00Z,AAA,1,1,0.004,1,", "low", "0.004", Rule::Positive),
        ("2020-01-03T00:00:00Z,AAA,1,1e13,1,1,", "high", "1e13", Rule::Large),
        ("2020-01-03T00:00:00Z,AAA,abc,1,1,1,", "open", "abc", Rule::Decimal),
        ("2020-01-03T00:00:00Z,AAA,1,NaN,1,1,", "high", "NaN", Rule::Decimal),
        ("2020-01-03T00:00:00Z,AAA,1_0,1,1,1,", "open", "1_0", Rule::Decimal),
        ("2020-01-03T00:00:00Z,AAA,1.0.0,1,1,1,", "open", "1.0.0", Rule::Decimal),
        ("2020-01-03T00:00:00Z,AAA,.,1,1,1,", "open", ".", Rule::Decimal),
        ("2020-01-03T00:00:00Z,AAA,1e,1,1,1,", "open", "1e", Rule::Decimal),
        ("2020-01-03T00:00:00Z,AAA,1e99,1,1,1,", "open", "1e99", Rule::Decimal),
        ("2020-01-03T00:00:00Z,AAA,2,2,3,2,", "high", "2", Rule::HighBelowLow),
        ("2020-01-03T00:00:00Z,AAA,4,3,1,2,", "open", "4", Rule::Range),
        ("2020-01-03T00:00:00Z,AAA,2,3,1,0.5,", "close", "0.5", Rule::Range),
        ("2020-01-03T00:00:00Z,AAA,1,1,1,1,-5", "volume", "-5", Rule::Negative),
        ("2020-01-03T00:00:00Z,AAA,1,1,1,1,1e19", "volume", "1e19", Rule::Large),
        ("2020-01-03T00:00:00Z,AAA,1,1,1,1", "row", "6 fields", Rule::FieldCount),
    ];
    for (bad, field, value, rule) in cases {
        // The blank line counts, as it does in an editor.
        let text = format!("{HEADER}{good}\n{bad}\n");
        for text in [text.replace('\n', "\r\n"), text] {
            let refused = refusal(&[("instruments.csv", INSTRUMENTS), ("x.bars.csv", &text)]);
            assert_eq!(refused, ("x.bars.csv".into(), 4, field, value.into(), rule), "{bad}");
        }
    }
}

#[test]
fn a_bar_that_another_file_has_is_refused() {
    let file = |row: &str| format!("{HEADER}2020-01-01T00:00:00Z,BBB,1,1,1,1,\n{row}\n");
    let (one, other) = (
        file("2020-01-02T00:00:00Z,AAA,1,1,1,1,"),
        format!("{HEADER}2020-01-02T00:00:00Z,AAA,1,1,1,1,\n"),
    );
    let refused =
        refusal(&[("instruments.csv", INSTRUMENTS), ("bars.csv", &one), ("more.bars.csv", &other)]);
    let value = "2020-01-02T00:00:00Z AAA".into();
    assert_eq!(refused, ("more.bars.csv".into(), 2, "time", value, Rule::Duplicate));
}

#[test]
fn a_crossed_quote_is_refused() {
    let text = "time,symbol,open,high,low,close,volume,bid,ask\n\
                2020-01-03T00:00:00Z,AAA,2,2,2,2,,2.01,2.00\n";
    let refused = refusal(&[("instruments.csv", INSTRUMENTS), ("bars.csv", text)]);
    assert_eq!(refused, ("bars.csv".into(), 2, "ask", "2.00".into(), Rule::Crossed));
}

#[test]
fn a_header_of_another_form_is_refused() {
    let cases = [
        ("time,symbol,open,high,low,close", "volume", Rule::MissingColumn),
        ("time,symbol,open,high,low,close,volume,vwap", "vwap", Rule::UnknownColumn),
        ("time,symbol,open,high,low,close,volume,open", "open", Rule::RepeatedColumn),
    ];
    for (header, value, rule) in cases {
        let refused = refusal(&[("instruments.csv", INSTRUMENTS), ("bars.csv", header)]);
        assert_eq!(refused, ("bars.csv".into(), 1, "header", value.into(), rule));
    }
}

#[test]
fn bad_terms_are_refused_by_their_place() {
    let cases = [
        ("AAA,AAA,USD,0.01,1,1,0", "symbol", "AAA", Rule::RepeatedSymbol),
        ("CCC,,USD,0.01,1,1,0", "base", "", Rule::Missing),
        ("CCC,CCC,\u{20ac},0.01,1,1,0", "quote", "\u{20ac}", Rule::Code),
        ("CCC,CCC,USD,0,1,1,0", "price_step", "0", Rule::Positive),
        ("CCC,CCC,USD,0.01,-1,1,0", "lot_step", "-1", Rule::Negative),
        ("CCC,CCC,USD,0.01,1,x,0", "multiplier", "x", Rule::Decimal),
        ("CCC,CCC,USD,0.01,1,1,", "fee_rate", "", Rule::Missing),
        ("CCC,CCC,USD,0.01,1,1,1", "fee_rate", "1", Rule::Rate),
        (
            "CCC,CCC,USD,0.01000000000000000000000000000000001,1,1,0",
            "price_step",
            "0.01000000000000000000000000000000001",
            Rule::Digits,
        ),
    ];
    for (bad, field, value, rule) in cases {
        let text = format!("{INSTRUMENTS}{bad}\n");
        let refused = refusal(&[("instruments.csv", &text), ("bars.csv", HEADER)]);
        assert_eq!(refused, ("instruments.csv".into(), 4, field, value.into(), rule));
    }
}

#[test]
fn text_in_another_encoding_is_refused() {
    let dir = folder(&[("instruments.csv", INSTRUMENTS)]);
    let mut text = HEADER.as_bytes().to_vec();
    text.extend(b"2020-01-01T00:00:00Z,\xff,1,1,1,1,\n");
    fs::write(dir.path().join("bars.csv"), text).unwrap();
    let refused = Market::read(dir.path()).unwrap_err();
    assert!(
        matches!(refused, MarketError::Field { line: 2, rule: Rule::Encoding, .. }),
        "{refused}"
    );
}
