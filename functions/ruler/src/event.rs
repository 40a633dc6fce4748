//! What an invocation asks for.

use serde_json::Value;

/// An event that the function understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The schedule: run. It takes nothing from the event, whatever is in it.
    Run,
    /// `{"action": "test-notification"}`: send one notification to each topic, marked as a test.
    TestNotification,
}

/// An event that asks for what there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no action {0}: write {{\"action\": \"test-notification\"}}, or leave `action` out \
     for a run"
)]
pub(crate) struct NoSuchAction(String);

impl Event {
    /// Reads an event's payload.
    pub(crate) fn parse(payload: &Value) -> Result<Self, NoSuchAction> {
        match payload.get("action") {
            None => Ok(Self::Run),
            Some(Value::String(action)) if action == "test-notification" => {
                Ok(Self::TestNotification)
            }
            Some(other) => Err(NoSuchAction(other.to_string().chars().take(60).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(payload: &Value, expected: Result<Event, &str>) {
        let event = Event::parse(payload).map_err(|error| error.to_string());
        match expected {
            Ok(expected) => assert_eq!(event, Ok(expected), "{payload}"),
            Err(expected) => {
                let error = event.expect_err("it is refused");
                assert!(error.starts_with(expected), "{error}");
            }
        }
    }

    #[test]
    fn only_an_action_makes_a_difference() {
        for scheduled in [
            json!({}),
            json!(null),
            json!([1]),
            json!("x"),
            json!({"version": "0", "detail-type": "Scheduled Event", "time": "2026-01-01T00:00:00Z"}),
        ] {
            check(&scheduled, Ok(Event::Run));
        }
        check(
            &json!({"action": "test-notification"}),
            Ok(Event::TestNotification),
        );
        check(
            &json!({"action": "test_notification"}),
            Err("there is no action \"test_notification\": write"),
        );
        check(&json!({"action": 1}), Err("there is no action 1: write"));
        check(
            &json!({"action": "x".repeat(1000)}),
            Err(&format!("there is no action \"{}: write", "x".repeat(59))),
        );
    }
}
