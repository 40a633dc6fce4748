//! From the queue to PagerDuty's incidents: opened once, resolved for real, whatever the order of
//! arrival and whatever PagerDuty has against it.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::server::{Incident, Instead, opened};
use super::{key, world};
use crate::slack::{alert, webhook};

/// Notification number `sequence` of a group.
fn notified(group: &str, sequence: u64, alerts: &[Value], reason: &str) -> String {
    let mut message = webhook(alerts);
    message["notificationId"] = json!(format!("{group}-{sequence}"));
    message["sequence"] = json!(sequence);
    message["groupKey"] = json!(group);
    message["notification_reason"] = json!(reason);
    message.to_string()
}

fn firing(group: &str, sequence: u64) -> String {
    notified(
        group,
        sequence,
        &[alert("firing", "a")],
        "first notification",
    )
}

fn resolved(group: &str, sequence: u64) -> String {
    notified(
        group,
        sequence,
        &[alert("resolved", "a")],
        "all alerts resolved",
    )
}

#[tokio::test]
async fn an_incident_is_opened_added_to_and_resolved() -> Result<()> {
    let Some(mut world) = world().await? else {
        return Ok(());
    };
    let both = [alert("firing", "a"), alert("firing", "b")];
    for (message, how) in [
        (firing("g", 1), "triggered"),
        (notified("g", 2, &both, "new alerts added"), "triggered"),
        (resolved("g", 3), "resolved"),
        (firing("g", 4), "triggered"),
        (firing("h", 1), "triggered"),
    ] {
        world.publish(&message).await?;
        let ran = world.run().await?;
        ensure!((ran.received, ran.failed) == (1, 0), "{:?}", ran.log);
        ensure!(ran.log[0]["message"] == how, "{:?}", ran.log);
    }
    let incidents = world.service.incidents();
    let [first, second, other] = incidents.as_slice() else {
        anyhow::bail!("{incidents:?}");
    };
    let title = "LinkLocalThrottling prod: a drops DNS packets";
    ensure!(first.title == title && first.is_resolved, "{first:?}");
    ensure!(
        first.log
            == [
                title,
                &format!("{title}, and more"),
                "RESOLVED: LinkLocalThrottling prod"
            ],
        "{first:?}"
    );
    ensure!(second.key == first.key && !second.is_resolved, "{second:?}");
    ensure!(other.key != first.key, "{other:?}");

    // The end is not known to be one: it says so.
    let mut gone = alert("resolved", "a");
    gone["end"] = json!("no_longer_reported");
    world
        .publish(&notified("h", 2, &[gone], "all alerts resolved"))
        .await?;
    world.run().await?;
    // What began and ended unseen opens nothing: it would wake somebody for nothing.
    let past = alert("resolved", "a");
    world
        .publish(&notified("i", 1, &[past], "ended unseen"))
        .await?;
    world.run().await?;
    let incidents = world.service.incidents();
    let last = incidents.last().context("an incident")?;
    ensure!(incidents.len() == 3 && last.is_resolved, "{incidents:?}");
    let said = "NO LONGER REPORTED: LinkLocalThrottling prod (the series disappeared, current state unknown)";
    ensure!(
        last.log.last().map(String::as_str) == Some(said),
        "{last:?}"
    );
    Ok(())
}

/// A trigger that comes after its resolve would open an incident that never closes.
#[tokio::test]
async fn an_older_event_does_not_undo_a_newer_one() -> Result<()> {
    let Some(world) = world().await? else {
        return Ok(());
    };
    for (group, order, is_open) in [
        ("a", [1, 2, 3], true),
        ("b", [2, 1, 3], true),
        ("c", [3, 1, 2], true),
        ("d", [3, 2, 1], true),
        ("e", [1, 3, 2], true),
        ("f", [2, 3, 1], true),
    ] {
        // Opened, resolved, opened again.
        for sequence in order {
            let message = match sequence {
                2 => resolved(group, sequence),
                _ => firing(group, sequence),
            };
            let event = world.event(&[message])?;
            ensure!(world.hand_over(event, 30).await?.is_empty());
        }
        let incidents = world.service.incidents();
        let open = incidents.iter().filter(|incident| !incident.is_resolved);
        let opened = opened(&incidents);
        let last = incidents.last().context("an incident")?;
        ensure!(last.is_resolved != is_open, "{group}: {incidents:?}");
        ensure!(open.count() == opened.len(), "{group}: {incidents:?}");
    }
    // And the other way round: what was resolved last stays so.
    for (group, order) in [("x", [1, 2]), ("y", [2, 1])] {
        for sequence in order {
            let message = match sequence {
                1 => firing(group, 1),
                _ => resolved(group, 2),
            };
            let event = world.event(&[message])?;
            world.hand_over(event, 30).await?;
        }
    }
    let log = world.notified()?;
    let left_out = "left out: a newer one of its group was sent";
    ensure!(
        log.last().is_some_and(|line| line["message"] == left_out),
        "{log:?}"
    );
    let incidents = world.service.incidents();
    let open = incidents.iter().filter(|incident| !incident.is_resolved);
    ensure!(open.count() == 6, "{incidents:?}");
    Ok(())
}

#[tokio::test]
async fn each_of_pagerdutys_answers_has_its_own() -> Result<()> {
    let Some(world) = world().await? else {
        return Ok(());
    };
    let page = "<html>R0cAnArY7f3a0123456789abcdef0123</html>";
    for (at, (instead, level, wait, why)) in (1..).zip([
        (
            Instead::Wait(Some(7)),
            "WARN",
            7,
            "PagerDuty asks to wait 7 s (429)",
        ),
        (
            Instead::Wait(None),
            "WARN",
            180,
            "PagerDuty asks to wait 180 s (429)",
        ),
        (
            Instead::Say(500, ""),
            "WARN",
            15,
            "PagerDuty failed: 500 (the answer is not PagerDuty's)",
        ),
        (
            Instead::Say(400, r#"{"status": "invalid event", "message": "Event object is invalid", "errors": ["Length of 'routing_key' is incorrect"]}"#),
            "ERROR",
            15,
            "PagerDuty refused it: 400 Event object is invalid: Length of 'routing_key' is incorrect",
        ),
        (
            Instead::Say(400, r#"{"message": "no", "errors": ["R0cAnArY7f3a0123456789abcdef0123"]}"#),
            "ERROR",
            15,
            "PagerDuty refused it: 400 no: (the key)",
        ),
        (
            Instead::Say(404, page),
            "ERROR",
            15,
            "PagerDuty refused it: 404 (the answer is not PagerDuty's)",
        ),
        (
            Instead::Say(202, page),
            "ERROR",
            15,
            "PagerDuty did not accept it: 202, and not its own answer to an event that it took",
        ),
        (
            Instead::Say(202, r#"{"status": "invalid event", "message": "no"}"#),
            "ERROR",
            15,
            "PagerDuty did not accept it: 202, and not its own answer to an event that it took",
        ),
        (
            Instead::Say(200, r#"{"status": "success", "message": "Event processed"}"#),
            "ERROR",
            15,
            "PagerDuty did not accept it: 200, and not its own answer to an event that it took",
        ),
        (
            Instead::TakeAndBreak,
            "WARN",
            15,
            "the connection to PagerDuty broke; it may have the event",
        ),
    ]) {
        world.service.then(&[instead]);
        let event = world.event(&[firing("g", at)])?;
        ensure!(world.hand_over(event, 30).await?.len() == 1);
        let log = world.notified()?;
        let line = &log[0];
        ensure!(
            line["error"] == why && line["level"] == level && line["retry_in_s"] == wait,
            "{why}: {line}"
        );
    }
    // The last was taken, and its answer lost: sent again, it opens nothing new.
    let event = world.event(&[firing("g", 10)])?;
    ensure!(world.hand_over(event, 30).await?.is_empty());
    let incidents = world.service.incidents();
    ensure!(
        incidents.len() == 1 && incidents[0].log.len() == 2,
        "{incidents:?}"
    );

    // Asked to wait, it tries none of the rest.
    world.service.then(&[Instead::Wait(Some(9))]);
    let before = world.service.requests();
    let event = world.event(&[firing("h", 1), firing("i", 1)])?;
    ensure!(world.hand_over(event, 30).await?.len() == 2);
    ensure!(world.service.requests() == before + 1);

    // The key was changed: the new one is found at the refusal.
    let new = key().replacen("R0", "R1", 1);
    world.service.move_to(&new);
    world
        .put_secret(&json!({"routing_key": new}).to_string())
        .await?;
    let event = world.event(&[resolved("g", 11)])?;
    ensure!(world.hand_over(event, 30).await?.is_empty());
    ensure!(world.service.incidents().iter().all(is_resolved));
    Ok(())
}

fn is_resolved(incident: &Incident) -> bool {
    incident.is_resolved
}

/// Two stacks that share an integration key: the same group is an incident of each, and neither
/// resolves the other's.
#[tokio::test]
async fn two_stacks_have_two_incidents() -> Result<()> {
    let Some(world) = world().await? else {
        return Ok(());
    };
    let from = |topic: &str, message: String, id: &str| {
        json!({
            "Type": "Notification",
            "MessageId": id,
            "TopicArn": format!("arn:aws:sns:eu-central-1:123456789012:{topic}"),
            "Message": message,
        })
        .to_string()
    };
    let mut other = firing("g", 1);
    other = other.replace("\"g-1\"", "\"other-1\"");
    let event = world.event(&[from("one", firing("g", 1), "1"), from("two", other, "2")])?;
    ensure!(world.hand_over(event, 30).await?.is_empty());
    let event = world.event(&[from("one", resolved("g", 2), "3")])?;
    ensure!(world.hand_over(event, 30).await?.is_empty());
    let resolved: Vec<bool> = world.service.incidents().iter().map(is_resolved).collect();
    ensure!(resolved == [true, false], "{resolved:?}");
    Ok(())
}
