use backstop_clock::Timestamp;
use backstop_reconciliation_strategies::{
    Context, InFlight, Policy, Preset,
    coverage::Reason,
    limits::{Authority, Combine, Instruments, Rule, Steps, Tolerance},
    reconcile,
    rows::PositionRow,
};
use rust_decimal::{Decimal, dec};

use crate::book::{NOW, compare, compare_with, ours, position, theirs, told};

#[test]
fn each_kind_of_difference_has_its_name() {
    for (internal, external, kind) in [
        (dec!(1), dec!(2), "quantity"),
        (dec!(1), dec!(-1), "side"),
        (dec!(0), dec!(1), "missing_internal"),
        (dec!(1), dec!(0), "missing_external"),
    ] {
        let ours = ours().with_positions(position(internal));
        let report = compare(&ours, &theirs().with_positions(position(external)));
        assert_eq!(told(&report), [(kind, "manual")]);
        assert_eq!(report.findings[0].difference, Some(external - internal));
        assert!(report.plan.actions.is_empty(), "nothing is invented");
    }
}

#[test]
fn a_flat_row_and_no_row_are_the_same() {
    let flat = theirs().with_positions(vec![PositionRow::new("A", "X", Decimal::ZERO)]);
    let report = compare(&ours().with_positions(vec![]), &flat);
    assert_eq!(told(&report), []);
    let report = compare(&ours().with_positions(position(dec!(1))), &flat);
    assert_eq!(report.findings[0].external, None);
}

#[test]
fn averages_are_compared_between_equal_quantities() {
    let held = |average| vec![PositionRow::new("A", "X", dec!(10)).with_average_price(average)];
    let ours = ours().with_positions(held(dec!(100)));
    let near = theirs().with_positions(held(dec!(100.01)));
    assert_eq!(told(&compare(&ours, &near)), []);
    let far = theirs().with_positions(held(dec!(100.0101)));
    assert_eq!(told(&compare(&ours, &far)), [("average_price", "manual")]);
    let silent = theirs().with_positions(position(dec!(10)));
    assert_eq!(told(&compare(&ours, &silent)), []);
    let more = theirs()
        .with_positions(vec![PositionRow::new("A", "X", dec!(20)).with_average_price(dec!(200))]);
    assert_eq!(told(&compare(&ours, &more)), [("quantity", "manual")]);
}

#[test]
fn a_tolerance_in_steps_needs_the_steps() {
    let lot = Steps::new(dec!(0.001), dec!(0.01)).unwrap();
    let instruments = Instruments::default().with("X", lot);
    let policy = Policy::new(Preset::Full);
    let ours = ours().with_positions(position(dec!(1)));
    for (external, with_steps, without) in
        [(dec!(1.0005), 0, 1), (dec!(1.0006), 1, 1), (dec!(0.9995), 0, 1)]
    {
        let theirs = theirs().with_positions(position(external));
        let context = Context::new(NOW).with_instruments(&instruments);
        let report = reconcile(&policy, &context, &ours, &theirs).unwrap();
        assert_eq!(report.findings.len(), with_steps, "{external}");
        assert_eq!(compare_with(&policy, &ours, &theirs).findings.len(), without, "{external}");
    }
}

#[test]
fn parts_of_a_tolerance_combine_to_the_most_or_the_least() {
    let parts =
        Tolerance::exact().with_absolute(dec!(1)).unwrap().with_relative(dec!(0.1)).unwrap();
    let strict = parts.with_combine(Combine::Min);
    let none = Tolerance::exact().with_combine(Combine::Min);
    // One unit is allowed absolutely, two units relatively to 20.
    for (tolerance, internal, matches) in [
        (parts, dec!(18), true),
        (parts, dec!(17.9), false),
        (strict, dec!(19), true),
        (strict, dec!(18.9), false),
        (parts, dec!(-18), true),
        (none, dec!(19.9), false),
        (none, dec!(20), true),
    ] {
        let policy = Policy::new(Preset::Full).with_quantity(Rule::new(tolerance));
        let ours = ours().with_positions(position(internal));
        let external = if internal < dec!(0) { dec!(-20) } else { dec!(20) };
        let theirs = theirs().with_positions(position(external));
        let report = compare_with(&policy, &ours, &theirs);
        assert_eq!(report.findings.is_empty(), matches, "{tolerance:?} {internal}");
    }
}

#[test]
fn authority_accepts_our_figures() {
    let kept = Rule::new(Tolerance::exact()).with_authority(Authority::Internal);
    let policy = Policy::new(Preset::Full).with_quantity(kept).with_average_price(kept);
    let held =
        |quantity, average| vec![PositionRow::new("A", "X", quantity).with_average_price(average)];
    let ours = ours().with_positions(held(dec!(1), dec!(10)));
    let theirs = theirs().with_positions(held(dec!(2), dec!(11)));
    let report = compare_with(&policy, &ours, &theirs);
    assert_eq!(told(&report), [("quantity", "accepted"), ("average_price", "accepted")]);
}

#[test]
fn a_snapshot_older_than_the_position_decides_nothing() {
    let at = |ms| Timestamp::from_millis(ms);
    let row = PositionRow::new("A", "X", dec!(1)).with_last_activity(at(50_001));
    let ours = ours().with_positions(vec![row]);
    let mut theirs = theirs().with_positions(position(dec!(2)));
    theirs.as_of = at(50_000);
    let report = compare(&ours, &theirs);
    assert_eq!(told(&report), []);
    assert_eq!(report.skipped[0].reason, Reason::StaleSource);
    theirs.as_of = at(50_001);
    assert_eq!(told(&compare(&ours, &theirs)), [("quantity", "manual")]);
}

#[test]
fn a_fresh_fill_or_a_key_in_flight_defers_the_difference() {
    let row =
        PositionRow::new("A", "X", dec!(2)).with_last_activity(Timestamp::from_millis(95_001));
    let report =
        compare(&ours().with_positions(position(dec!(1))), &theirs().with_positions(vec![row]));
    assert_eq!(told(&report), [("quantity", "deferred")]);

    let ours = ours().with_positions(position(dec!(1)));
    let theirs = theirs().with_positions(position(dec!(2)));
    for (in_flight, outcome) in [
        (InFlight::default().with_key("A", "X"), "deferred"),
        (InFlight::default().with_trade("A", "X", "t"), "deferred"),
        (InFlight::default().with_key("B", "X").with_trade("A", "Y", "t"), "manual"),
    ] {
        let context = Context::new(NOW).with_in_flight(&in_flight);
        let report = reconcile(&Policy::new(Preset::Full), &context, &ours, &theirs).unwrap();
        assert_eq!(told(&report), [("quantity", outcome)]);
    }
}

#[test]
fn figures_beyond_exact_arithmetic_are_told_and_never_match() {
    let huge = Decimal::MAX;
    let ours = ours().with_positions(position(dec!(0.0000000000000000000000000001)));
    let report = compare(&ours, &theirs().with_positions(position(huge)));
    assert_eq!(told(&report), [("quantity", "manual")]);
    assert_eq!(report.findings[0].difference, None);
}
