use std::cell::RefCell;
use std::panic;
use std::time::Duration;

use backstop_clock::Timestamp;
use backstop_error_taxonomy::policy::{Draft, Rule};
use backstop_error_taxonomy::recovery::{
    Call, Done, HandlerFailure, Handlers, LoopCut, LoopGuard, Outcome, Recovery, Stale, recover,
    recover_async,
};
use backstop_error_taxonomy::tally::{Over, Tally};
use backstop_error_taxonomy::{
    Action, Classify, Component, Effect, Error, HaltScope, Kind, Policy, Severity, Site, Transience,
};

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

/// A policy that always decides on one action, with everything the doer may need.
fn deciding(action: Action) -> Policy {
    let rule = Rule::new("always").act(action);
    let rule = match action {
        Action::Fallback => rule.with_fallback("mean").with_stale_max(Duration::from_mins(1)),
        Action::Degrade => rule.with_stale_max(Duration::from_mins(1)),
        Action::Compensate => rule.with_compensation("reverse_entry"),
        Action::Halt => rule.with_halt(HaltScope::Position),
        _ => rule,
    };
    Draft::new("test").with_fallback("trend", "mean").with_rule(rule).build().unwrap()
}

/// An error that came from somewhere, of high severity and unknown effect.
fn original() -> Error {
    let cause = Error::new(Kind::Connection, "cut off");
    Error::caused_by(cause, "order not confirmed").with_component(Component::EXECUTION)
}

fn broken<T>() -> Result<T, Error> {
    Err(Error::new(Kind::Config, "handler is broken"))
}

fn run(action: Action, handlers: Handlers<'_, &'static str>) -> Recovery<&'static str> {
    let (policy, error) = (deciding(action), original());
    let site = Site::new(Component::EXECUTION, "submit_order").of_strategy("trend");
    let decision = policy.decide(error.class(), &site);
    assert!(decision.action == action || action == Action::Retry);
    recover(&decision, error, handlers)
}

/// As a panic, but for the message, which would only confuse a reader.
fn fall_over(message: &'static str) -> ! {
    panic::resume_unwind(Box::new(message))
}

#[test]
fn a_doer_gets_what_it_needs() {
    let seen = RefCell::new(Vec::new());
    let note = |call: Call<'_>| {
        assert_eq!(call.error.kind(), Kind::Connection);
        let named = call.compensation().or(call.fallback()).map(str::to_owned);
        seen.borrow_mut().push((call.action, named, call.halt()));
    };
    let handlers = || {
        Handlers::new()
            .on_fallback(|call| {
                note(call);
                Ok("x")
            })
            .on_compensate(|call| {
                note(call);
                Ok(())
            })
            .on_halt(|call| {
                note(call);
                Ok(())
            })
    };
    for action in [Action::Fallback, Action::Compensate, Action::Halt] {
        assert_eq!(run(action, handlers()).failures.len(), 0);
    }
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(
        seen.into_inner(),
        [
            (Action::Fallback, named("mean"), HaltScope::Trading),
            (Action::Compensate, named("reverse_entry"), HaltScope::Trading),
            // The stand-in for the strategy is known even when nobody asks for it.
            (Action::Halt, named("mean"), HaltScope::Position),
        ]
    );
}

#[test]
fn what_works_ends_there_and_is_no_event() {
    let done = run(Action::Fallback, Handlers::new().on_fallback(|_| Ok("value")));
    assert!(matches!(done.outcome, Outcome::Recovered("value")));
    assert_eq!((done.actions, done.event), (vec![Action::Fallback], None));

    let done = run(Action::Reconcile, Handlers::new().on_reconcile(|_| Ok("filled")));
    assert!(matches!(done.outcome, Outcome::Recovered("filled")));
    assert_eq!(done.event, None);

    let done = run(Action::Continue, Handlers::new().on_continue(|_| Ok("default")));
    assert!(matches!(done.outcome, Outcome::Recovered("default")));

    for done in [
        run(Action::Continue, Handlers::new()),
        run(Action::Compensate, Handlers::new().on_compensate(|_| Ok(()))),
        run(Action::Isolate, Handlers::new().on_isolate(|_| Ok(()))),
    ] {
        assert_eq!((done.event, done.is_recovered()), (None, true));
        let Outcome::Handled(error) = done.outcome else { panic!("{:?}", done.outcome) };
        assert!(error.is_recorded(), "nobody records it later");
        assert_eq!(error.value("recovery_failed"), None);
    }
}

#[test]
fn a_stale_value_says_how_old_it_is_and_must_not_be_older_than_allowed() {
    let at = |age| move |_: Call<'_>| Ok(Stale::as_of("1.07", seconds(0), seconds(age)));
    let done = run(Action::Degrade, Handlers::new().on_degrade(at(60)));
    assert!(done.is_recovered());
    let Outcome::Degraded(Some(price)) = done.outcome else { panic!("{:?}", done.outcome) };
    assert_eq!((price.into_value(), price.age()), ("1.07", Duration::from_mins(1)));
    assert_eq!(done.event, Some(Severity::High), "the operation did not get its result");

    let done = run(Action::Degrade, Handlers::new().on_degrade(at(61)));
    assert!(matches!(done.failures[..], [HandlerFailure::TooOld { .. }]));
    assert_eq!(done.actions, [Action::Degrade, Action::Escalate]);
    assert!(matches!(done.outcome, Outcome::Escalated(_)));
    assert_eq!(done.event, Some(Severity::Critical));

    let done = run(Action::Degrade, Handlers::new());
    assert!(matches!(done.outcome, Outcome::Degraded(None)));
    assert!(!done.is_recovered(), "nobody got anything");
}

#[test]
fn a_fallback_is_followed_once_and_then_degrades() {
    let asked = RefCell::new(0);
    let handlers = Handlers::new()
        .on_fallback(|_| {
            *asked.borrow_mut() += 1;
            broken()
        })
        .on_degrade(|call| {
            assert_eq!(call.action, Action::Degrade);
            Ok(Stale::new("old", Duration::ZERO))
        });
    let done = run(Action::Fallback, handlers);
    assert_eq!(asked.into_inner(), 1);
    assert_eq!(done.actions, [Action::Fallback, Action::Degrade]);
    assert!(matches!(done.outcome, Outcome::Degraded(Some(_))));
    assert!(matches!(done.failures[..], [HandlerFailure::Failed { .. }]));
    assert_eq!(done.event, Some(Severity::High));

    let nobody = run(Action::Fallback, Handlers::new());
    assert_eq!(nobody.actions, [Action::Fallback, Action::Degrade]);

    let handlers = Handlers::new().on_fallback(|_| broken()).on_degrade(|_| broken());
    let done = run(Action::Fallback, handlers);
    assert_eq!(done.actions, [Action::Fallback, Action::Degrade, Action::Escalate]);
    assert_eq!((done.failures.len(), done.event), (2, Some(Severity::Critical)));
}

#[test]
fn what_a_value_stands_for_is_still_told() {
    let old = |_: Call<'_>| Ok(Stale::new("old", Duration::ZERO));
    let done = run(Action::Fallback, Handlers::new().on_fallback(|_| broken()).on_degrade(old));
    let error = done.overcome.unwrap();
    assert_eq!(error.message(), "order not confirmed", "the event can be written down");
    assert!(error.value("recovery_failed").unwrap().contains("handler is broken"));

    let done = run(Action::Reconcile, Handlers::new().on_reconcile(|_| Ok("filled")));
    assert!(done.overcome.unwrap().is_recorded(), "it is no error any more");
    let done = run(Action::Escalate, Handlers::new());
    assert!(done.overcome.is_none() && done.outcome.error().is_some());
}

/// Every action whose handler fails or is missing.
fn failing(action: Action, panics: bool) -> Recovery<&'static str> {
    fn fail<T>(panics: bool) -> Result<T, Error> {
        if panics { fall_over("handler fell over") } else { broken() }
    }
    let handlers = Handlers::new()
        .on_fallback(|_| fail(panics))
        .on_degrade(|_| fail(panics))
        .on_reconcile(|_| fail(panics))
        .on_continue(|_| fail(panics))
        .on_compensate(|_| fail(panics))
        .on_isolate(|_| fail(panics))
        .on_halt(|_| fail(panics));
    run(action, handlers)
}

#[test]
fn a_recovery_that_fails_escalates_the_original_with_both_causes() {
    for panics in [false, true] {
        for action in [
            Action::Degrade,
            Action::Reconcile,
            Action::Continue,
            Action::Compensate,
            Action::Isolate,
            Action::Halt,
        ] {
            let done = failing(action, panics);
            assert_eq!(done.actions, [action, Action::Escalate]);
            assert_eq!(done.event, Some(Severity::Critical));
            assert!(!done.is_recovered());
            let Outcome::Escalated(error) = &done.outcome else { panic!("{action}") };
            assert_eq!(error.kind(), Kind::Connection);
            assert_eq!(error.class().effect(), Effect::Unknown);
            // The source is what it was; the handler's failure is beside it.
            let source = std::error::Error::source(error).unwrap();
            assert_eq!(source.to_string(), "cut off (connection)");
            let attached = error.value("recovery_failed").unwrap();
            let expected = if panics { "handler fell over" } else { "handler is broken" };
            assert!(attached.contains(expected), "{attached}");
            assert_eq!(done.failures.len(), 1);
            assert!(error.is_recorded());
        }
    }
    let done = failing(Action::Fallback, true);
    assert_eq!(done.actions, [Action::Fallback, Action::Escalate], "a bug is not covered up");
}

#[test]
fn what_nobody_does_is_escalated() {
    for action in [Action::Compensate, Action::Isolate, Action::Halt, Action::Reconcile] {
        let done = run(action, Handlers::new());
        assert_eq!(done.actions, [action, Action::Escalate]);
        assert!(matches!(done.failures[..], [HandlerFailure::Missing { .. }]));
    }
}

#[test]
fn escalating_and_halting_end_with_the_error() {
    let told = RefCell::new(0);
    let tell = |_: Call<'_>| {
        *told.borrow_mut() += 1;
        Ok(())
    };
    let done = run(Action::Escalate, Handlers::new().on_escalate(tell));
    assert!(matches!(done.outcome, Outcome::Escalated(_)));
    assert_eq!((done.event, told.into_inner()), (Some(Severity::High), 1));

    let done = run(Action::Escalate, Handlers::new().on_escalate(|_| broken()));
    assert_eq!(done.actions, [Action::Escalate], "there is nobody else to tell");
    assert_eq!(done.event, Some(Severity::Critical));

    let done = run(Action::Halt, Handlers::new().on_halt(|_| Ok(())));
    assert!(matches!(done.outcome, Outcome::Halted(_)));

    for action in [Action::Propagate, Action::Retry] {
        let done = run(action, Handlers::new().on_reconcile(|_| Ok("looked up")));
        if action == Action::Propagate {
            assert!(matches!(done.outcome, Outcome::Returned(_)));
            assert_eq!(done.event, Some(Severity::High));
        } else {
            // The rule said retry; the money rule made it a look-up.
            assert!(matches!(done.outcome, Outcome::Recovered("looked up")));
        }
    }
}

#[test]
fn a_failure_that_was_recorded_is_no_event_again() {
    let policy = deciding(Action::Escalate);
    let error = original();
    let decision = policy.decide(error.class(), &Site::new(Component::API, "x"));
    assert!(error.record_once());
    let done = recover(&decision, error, Handlers::<()>::new());
    assert_eq!(done.event, None);
    // That its recovery failed is new.
    let policy = deciding(Action::Compensate);
    let Outcome::Escalated(error) = done.outcome else { panic!("escalated") };
    let decision = policy.decide(error.class(), &Site::new(Component::API, "x"));
    let done = recover(&decision, error, Handlers::<()>::new().on_compensate(|_| broken()));
    assert_eq!(done.event, Some(Severity::Critical));
}

#[test]
fn async_doers_take_the_same_course() {
    let policy = deciding(Action::Compensate);
    let decide = |error: &Error| policy.decide(error.class(), &Site::new(Component::API, "x"));
    let error = original();
    let decision = decide(&error);
    let done = pollster::block_on(recover_async(&decision, error, async |call| {
        assert_eq!(call.compensation(), Some("reverse_entry"));
        std::future::ready(Ok(Done::<()>::Nothing)).await
    }));
    assert!(matches!(done.outcome, Outcome::Handled(_)));

    let error = original();
    let decision = decide(&error);
    let done =
        pollster::block_on(recover_async(&decision, error, async |call| match call.action {
            Action::Compensate => {
                std::future::ready(()).await;
                fall_over("in the middle")
            }
            _ => Ok(Done::<()>::NotMine),
        }));
    assert_eq!(done.actions, [Action::Compensate, Action::Escalate]);
    assert!(matches!(&done.failures[..], [HandlerFailure::Panicked { message, .. }]
        if message == "in the middle"));

    let error = original();
    let decision = decide(&error);
    let not_mine = async |_: Call<'_>| Ok(Done::<()>::NotMine);
    let done = pollster::block_on(recover_async(&decision, error, not_mine));
    assert!(matches!(done.failures[..], [HandlerFailure::Missing { .. }]));
}

#[test]
fn an_async_recovery_can_be_moved_between_threads() {
    fn is_send(_: &impl Send) {}
    let policy = Policy::default();
    let error = original();
    let decision = policy.decide(error.class(), &Site::new(Component::API, "x"));
    let doing = async |_: Call<'_>| Ok(Done::<()>::Nothing);
    is_send(&recover_async(&decision, error, doing));
}

#[test]
fn recoveries_that_lead_to_recoveries_end_by_depth() {
    fn deeper(guard: &LoopGuard, policy: &Policy, depth: &RefCell<u32>) -> Recovery<()> {
        *depth.borrow_mut() += 1;
        let error = original();
        let decision = policy.decide(error.class(), &Site::new(Component::API, "x"));
        let again = |_: Call<'_>| match deeper(guard, policy, depth).outcome {
            Outcome::Escalated(error) => Err(error),
            _ => Ok(()),
        };
        guard.recover(seconds(0), &decision, error, Handlers::new().on_compensate(again))
    }
    let (guard, depth) = (LoopGuard::default(), RefCell::new(0));
    let done = deeper(&guard, &deciding(Action::Compensate), &depth);
    assert_eq!(depth.into_inner(), 4, "three recoveries, and one that was cut");
    assert_eq!(done.event, Some(Severity::Critical));
    let Outcome::Escalated(error) = done.outcome else { panic!("escalated") };
    assert!(error.value("recovery_failed").is_some());
    assert!(guard.enter(seconds(0)).is_ok(), "every depth was given back");
}

#[test]
fn an_attempt_that_is_repeated_is_no_event_and_no_recovery() {
    let policy = Policy::default();
    let site = Site::new(Component::DATA, "fetch").idempotent();
    let guard = LoopGuard::new(1, Duration::from_secs(10));
    let mut tally = Tally::new(Duration::from_mins(1));
    for attempt in 1..=3 {
        let error = Error::new(Kind::Timeout, "late").with_component(Component::DATA);
        let decision = policy.decide(error.class(), &site.with_attempt(attempt, 4));
        assert_eq!(decision.action, Action::Retry);
        let done = guard.recover(seconds(0), &decision, error, Handlers::<()>::new());
        tally.record(&done, seconds(0));
        assert_eq!((done.event, done.is_open(), done.is_recovered()), (None, true, false));
        let Outcome::Returned(error) = done.outcome else { panic!("{:?}", done.outcome) };
        assert!(!error.is_recorded(), "the last attempt may have to be");
    }
    assert_eq!(tally.rate(Over::All, seconds(0)).share(), None);
    let error = Error::new(Kind::Timeout, "late");
    let decision = policy.decide(error.class(), &site.with_attempt(4, 4));
    for _ in 0..2 {
        let error = Error::new(Kind::Timeout, "late");
        let done = guard.recover(seconds(0), &decision, error, Handlers::<()>::new());
        assert_eq!((done.event, done.is_open()), (Some(Severity::High), false));
        let returned = done.outcome.error().unwrap().class();
        assert_eq!(returned.transience(), Transience::Exhausted, "no outer layer starts over");
        assert!(done.failures.is_empty(), "handing on is not cut");
        tally.record(&done, seconds(0));
    }
    assert_eq!(tally.rate(Over::All, seconds(0)).failed, 2);
}

#[test]
fn recoveries_are_cut_by_rate() {
    let guard = LoopGuard::new(2, Duration::from_secs(10));
    let policy = deciding(Action::Compensate);
    let run = |now| {
        let error = original();
        let decision = policy.decide(error.class(), &Site::new(Component::API, "x"));
        guard.recover(now, &decision, error, Handlers::<()>::new().on_compensate(|_| Ok(())))
    };
    assert!(run(seconds(0)).is_recovered());
    assert!(run(seconds(5)).is_recovered());
    let cut = run(seconds(9));
    let expected = LoopCut::Rate { max: 2, window: Duration::from_secs(10) };
    assert!(matches!(cut.failures[..], [HandlerFailure::Cut(cut)] if cut == expected));
    assert_eq!((cut.actions, cut.event), (vec![Action::Escalate], Some(Severity::Critical)));
    assert!(run(seconds(10)).is_recovered(), "the first has left the window");
    // A clock that steps back does not lock everybody out.
    assert!(run(seconds(-3_600)).is_recovered());
    assert_eq!(expected.class().kind(), Kind::Internal);
}

#[test]
fn a_guarded_async_recovery_is_cut_too() {
    let guard = LoopGuard::new(1, Duration::from_secs(10));
    let policy = deciding(Action::Isolate);
    let run = || {
        let error = original();
        let decision = policy.decide(error.class(), &Site::new(Component::API, "x"));
        let isolate = async |_: Call<'_>| Ok(Done::<()>::Nothing);
        pollster::block_on(guard.recover_async(seconds(0), &decision, error, isolate))
    };
    assert!(run().is_recovered());
    assert!(matches!(run().failures[..], [HandlerFailure::Cut(LoopCut::Rate { .. })]));
}
