//! The stored document: an example of each format that was ever written must be read.

use alerting::state::{State, StateError};

const FORMAT_1: &str = include_str!("state-format-1.json");
const FORMAT_2: &str = include_str!("state-format-2.json");

/// Reads an example, and sees that it is written back as it was, but for the format.
fn read(example: &str) -> State {
    let state = State::from_json(example.as_bytes()).expect("the example is readable");
    let written = state.to_json().expect("a state can be written");
    let mut known: serde_json::Value = serde_json::from_str(example).expect("the example is JSON");
    known["format"] = 2.into();
    let back: serde_json::Value = serde_json::from_slice(&written).expect("what we write is JSON");
    assert_eq!(back, known);
    state
}

#[test]
fn the_example_of_format_2_is_read_and_written_back_as_it_was() {
    let notify = read(FORMAT_2).notify;
    assert!(!notify.silences.is_empty());
    assert!(notify.groups.values().any(|group| !group.done.is_empty()));
    let workspace = notify.workspace_silences.expect("those of a workspace");
    assert!(!workspace.silences.is_empty() && workspace.failing.is_some());
}

#[test]
fn the_example_of_format_1_is_read_and_written_back_as_it_was() {
    let state = read(FORMAT_1);

    // The example holds something of everything that is kept.
    let rule = state.rules.values().next().expect("a rule");
    assert!(rule.health.failure.is_some() && rule.health.skipped.is_some());
    assert!(rule.active.values().any(|alert| alert.hold.is_some()));
    assert!(rule.active.values().any(|alert| alert.value.is_nan()));
    assert!(!rule.ended.is_empty());
    let notify = &state.notify;
    assert!(!notify.alerts.is_empty() && !notify.groups.is_empty() && !notify.nflog.is_empty());
    assert!(
        notify
            .outbox
            .pending()
            .iter()
            .any(|pending| pending.claim.is_some())
    );
    assert!(!notify.outbox.dead_letters().is_empty());
}

#[test]
fn a_document_of_a_later_release_or_of_none_is_refused() {
    let later = FORMAT_1.replacen("\"format\": 1", "\"format\": 99", 1);
    assert!(matches!(
        State::from_json(later.as_bytes()),
        Err(StateError::TooNew { found: 99 })
    ));
    for damaged in ["", "{}", "[]", "null", &FORMAT_1[..FORMAT_1.len() / 2]] {
        assert!(matches!(
            State::from_json(damaged.as_bytes()),
            Err(StateError::Malformed(_))
        ));
    }
}
