//! From the topic to Slack by a real queue, table and secret: each message once, the bad one by
//! itself into the dead letters, nothing lost when Slack or the function fails in between.

use anyhow::{Context as _, Result, ensure};
use delivery::turn::{self, Times, Turn};
use delivery::{Note, REMEMBERED};
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use super::messages::{alert, webhook};
use super::server::Instead;
use super::{WebhookWorld, webhook_world};
use crate::delivery::aws::{CANARY, MAX_RECEIVE};

const FIRING: &str = "[FIRING:1] LinkLocalThrottling prod";
const RESOLVED: &str = "[RESOLVED] LinkLocalThrottling prod";

fn notification(status: &str, id: &str, sequence: u64) -> String {
    let mut message = webhook(&[alert(status, "a")]);
    message["notificationId"] = json!(id);
    message["sequence"] = json!(sequence);
    message.to_string()
}

fn errors(log: &[Value]) -> Vec<&str> {
    log.iter()
        .filter_map(|line| line["error"].as_str())
        .collect()
}

#[tokio::test]
async fn a_bad_record_costs_only_itself() -> Result<()> {
    let Some(mut world) = webhook_world().await? else {
        return Ok(());
    };
    let malformed = r#"{"version": "4", "alerts": "none"}"#;
    world.publish(malformed).await?;
    world.publish(&notification("firing", "id-1", 1)).await?;
    world
        .publish_text("A subject", "Of <!channel> & text")
        .await?;
    world.send_raw(&notification("resolved", "id-2", 2)).await?;

    let ran = world.run().await?;
    ensure!((ran.received, ran.failed) == (4, 1));
    let mut posted = world.service.posted();
    posted.sort();
    ensure!(posted == ["A subject", FIRING, RESOLVED], "{posted:?}");
    ensure!(world.service.texts().contains("\nOf <!channel> & text\n"));
    let why = "the message has `alerts`, but is no Alertmanager webhook of version 4: \
               invalid type: string \"none\", expected a sequence";
    ensure!(errors(&ran.log) == [why], "{:?}", ran.log);

    for _ in 1..MAX_RECEIVE {
        let ran = world.run().await?;
        ensure!((ran.received, ran.failed) == (1, 1));
        ensure!(
            ran.log[0]["level"] == "ERROR" && ran.log[0]["retry_in_s"] == 0,
            "{:?}",
            ran.log
        );
    }
    // A second look finds it gone.
    ensure!(world.is_empty().await?);
    let dead = world.dead_letters().await?;
    let dead: Value = serde_json::from_str(dead.first().context("a dead letter")?)?;
    ensure!(dead["Message"] == malformed, "{dead}");
    ensure!(world.service.posted().len() == 3);
    Ok(())
}

#[tokio::test]
async fn a_notification_is_posted_once_and_never_lost() -> Result<()> {
    let Some(mut world) = webhook_world().await? else {
        return Ok(());
    };
    // Twice in a batch, and again in another; a plain text has no id but SNS's.
    world.publish(&notification("firing", "id-1", 1)).await?;
    world.publish(&notification("firing", "id-1", 1)).await?;
    let ran = world.run().await?;
    ensure!((ran.received, ran.failed) == (2, 0));
    ensure!(ran.log[1]["message"] == "posted before", "{:?}", ran.log);
    // It is remembered for as long as it may be delivered again.
    let until = Timestamp::now().checked_add(jiff::SignedDuration::try_from(REMEMBERED)?)?;
    for expires in world.expiries().await? {
        let early = until.as_second() - expires;
        ensure!((0..300).contains(&early), "{early} s too early");
    }
    world.publish(&notification("firing", "id-1", 1)).await?;
    ensure!(world.run().await?.failed == 0);
    ensure!(world.service.posted() == [FIRING]);

    // Another run is at it: it is left alone, and is received again when that claim runs out, which
    // the queue is asked.
    world
        .claimed("id-2", Timestamp::now().checked_add(10.seconds())?)
        .await?;
    world.publish(&notification("resolved", "id-2", 2)).await?;
    let ran = world.run().await?;
    ensure!((ran.received, ran.failed) == (1, 1));
    ensure!(ran.log[0]["message"] == "not tried", "{:?}", ran.log);
    ensure!(
        ran.log[0]["retry_in_s"]
            .as_u64()
            .is_some_and(|wait| (1..=10).contains(&wait))
    );
    ensure!(world.service.posted() == [FIRING]);
    // That run died before it posted, or after: then this is the one message too many.
    let ran = world.run().await?;
    ensure!((ran.received, ran.failed) == (1, 0), "{:?}", ran.log);
    ensure!(world.service.posted() == [FIRING, RESOLVED]);

    // Slack took it and the answer was lost: it is received again, once too often rather than never.
    world.service.then(&[Instead::TakeAndBreak]);
    world.publish(&notification("firing", "id-3", 3)).await?;
    let ran = world.run().await?;
    ensure!(ran.failed == 1);
    ensure!(errors(&ran.log) == ["the connection to Slack broke; it may have the message"]);
    ensure!(ran.log[0]["retry_in_s"] == 15, "{:?}", ran.log);
    world.publish(&notification("firing", "id-3", 3)).await?;
    ensure!(world.run().await?.failed == 0);
    ensure!(world.service.posted() == [FIRING, RESOLVED, FIRING, FIRING]);
    Ok(())
}

#[tokio::test]
async fn slack_that_does_not_answer_is_given_up() -> Result<()> {
    let Some(mut world) = webhook_world().await? else {
        return Ok(());
    };
    world.publish(&notification("firing", "id-1", 1)).await?;
    world.service.then(&[Instead::TakeAndHang]);
    let ran = world.run_within(60).await?;
    ensure!((ran.received, ran.failed) == (1, 1));
    ensure!(errors(&ran.log) == ["Slack did not answer in time; it may have the message"]);
    ensure!(ran.log[0]["level"] == "WARN", "{:?}", ran.log);
    // The claim was given back: nothing holds up the one that is received again.
    world.publish(&notification("firing", "id-1", 1)).await?;
    ensure!(world.run().await?.failed == 0);
    ensure!(world.service.posted() == [FIRING, FIRING]);
    Ok(())
}

#[tokio::test]
async fn the_secret_is_read_again_after_five_minutes() -> Result<()> {
    let Some(world) = webhook_world().await? else {
        return Ok(());
    };
    let source = world.secret();
    let start = Timestamp::now();
    let at = |seconds: i64| source.get(start + seconds.seconds());
    world.put_secret("first").await?;
    ensure!(at(0).await? == "first");
    world.put_secret("second").await?;
    ensure!(
        at(299).await? == "first",
        "it is not asked for at each post"
    );
    ensure!(at(300).await? == "second", "the new one is used");

    // Secrets Manager fails: the one that is known continues, and is asked for each time.
    world.hide_secret().await?;
    ensure!(at(599).await? == "second");
    ensure!(at(600).await? == "second");
    world.show_secret().await?;
    world.put_secret("third").await?;
    ensure!(at(601).await? == "third");

    // A clock that was set back does not make it last longer.
    world.put_secret("fourth").await?;
    ensure!(at(-3600).await? == "fourth");
    Ok(())
}

#[tokio::test]
async fn an_older_message_does_not_pass_for_news() -> Result<()> {
    let Some(mut world) = webhook_world().await? else {
        return Ok(());
    };
    world.publish(&notification("resolved", "id-2", 2)).await?;
    ensure!(world.run().await?.failed == 0);
    world.publish(&notification("firing", "id-1", 1)).await?;
    let ran = world.run().await?;
    ensure!(ran.log[0]["message"] == "posted as late", "{:?}", ran.log);
    let late = "[LATE, was FIRING:1] LinkLocalThrottling prod";
    ensure!(world.service.posted() == [RESOLVED, late]);

    // Within a batch the order is restored; nothing is late.
    world.publish(&notification("resolved", "id-4", 4)).await?;
    world.publish(&notification("firing", "id-3", 3)).await?;
    ensure!(world.run().await?.received == 2);
    ensure!(world.service.posted() == [RESOLVED, late, FIRING, RESOLVED]);
    Ok(())
}

#[tokio::test]
async fn retry_after_is_kept_by_the_queue() -> Result<()> {
    let Some(mut world) = webhook_world().await? else {
        return Ok(());
    };
    for number in 1..=3 {
        world
            .publish(&notification("firing", &format!("id-{number}"), number))
            .await?;
    }
    world.service.then(&[Instead::Wait(1)]);
    let ran = world.run().await?;
    ensure!((ran.received, ran.failed) == (3, 3));
    ensure!(
        world.service.requests() == 1,
        "the others were tried as well"
    );
    ensure!(
        ran.log.iter().all(|line| line["retry_in_s"] == 1),
        "{:?}",
        ran.log
    );
    // By its own time-out the queue would keep them for half a day.
    let mut left = 3;
    while left > 0 {
        let ran = world.run().await?;
        ensure!(ran.received > 0 && ran.failed == 0, "{:?}", ran.log);
        left -= ran.received;
    }
    ensure!(world.service.posted() == [FIRING, FIRING, FIRING]);

    // A run that has no time left takes on nothing.
    world.publish(&notification("resolved", "id-4", 4)).await?;
    let ran = world.run_within(4).await?;
    ensure!(ran.failed == 1 && world.service.requests() == 4);
    ensure!(errors(&ran.log) == ["the run's time is used"]);
    let ran = world.run().await?;
    ensure!((ran.received, ran.failed) == (1, 0));
    Ok(())
}

#[tokio::test]
async fn the_webhook_can_be_changed_while_it_runs() -> Result<()> {
    let Some(mut world) = webhook_world().await? else {
        return Ok(());
    };
    let publish = async |world: &WebhookWorld, n: u64| {
        world
            .publish(&notification("firing", &format!("id-{n}"), n))
            .await
    };
    publish(&world, 1).await?;
    ensure!(world.run().await?.failed == 0);

    // Revoked, with no new one: refused, with that reason.
    let path = format!("/services/T0/B1/{CANARY}");
    world.service.move_to(&path);
    publish(&world, 2).await?;
    let ran = world.run().await?;
    ensure!(ran.failed == 1 && errors(&ran.log) == ["Slack refused it: 404 no_service"]);
    ensure!(ran.log[0]["level"] == "ERROR", "{:?}", ran.log);

    // A new one, found at the refusal.
    let url = format!("{}{path}", world.service.origin);
    world.put_secret(&json!({"url": url}).to_string()).await?;
    publish(&world, 3).await?;
    ensure!(world.run().await?.failed == 0);

    // Slack's error word is reported, but nothing longer: a page could hold the address.
    for (instead, level, why) in [
        (
            Instead::Say(400, "invalid_payload"),
            "ERROR",
            "Slack refused it: 400 invalid_payload",
        ),
        (
            Instead::Say(500, "rollup_error"),
            "WARN",
            "Slack failed: 500 rollup_error",
        ),
        (
            Instead::Say(502, "<html>/services/T0/B1/cAnArY7f3a</html>"),
            "WARN",
            "Slack failed: 502 (with an answer that is no word of Slack's)",
        ),
        // What answers 200 is not for that Slack: a proxy, a trigger, nothing at all.
        (
            Instead::Say(200, "<html>Sign in</html>"),
            "ERROR",
            "Slack did not accept it: 200 (with an answer that is no word of Slack's)",
        ),
        (
            Instead::Say(200, r#"{"ok":true}"#),
            "ERROR",
            "Slack did not accept it: 200 (with an answer that is no word of Slack's)",
        ),
        (
            Instead::Say(200, ""),
            "ERROR",
            "Slack did not accept it: 200 (with an answer that is no word of Slack's)",
        ),
        (
            Instead::Say(200, "no_service"),
            "ERROR",
            "Slack did not accept it: 200 no_service",
        ),
        (
            Instead::Say(302, "found"),
            "ERROR",
            "Slack refused it: 302 found",
        ),
    ] {
        world.service.then(&[instead]);
        publish(&world, 4).await?;
        let ran = world.run().await?;
        ensure!(
            ran.failed == 1 && errors(&ran.log) == [why],
            "{:?}",
            ran.log
        );
        ensure!(ran.log[0]["level"] == level, "{:?}", ran.log);
    }

    // Neither does it count as posted: it is received again, and then it is.
    publish(&world, 4).await?;
    ensure!(world.run().await?.failed == 0);

    // A secret that leads elsewhere is refused: nothing is posted to it. The refusal of the old
    // one makes it be read.
    world
        .put_secret(&format!("https://example.com/{CANARY}"))
        .await?;
    world
        .service
        .then(&[Instead::Say(403, "action_prohibited")]);
    publish(&world, 5).await?;
    ensure!(errors(&world.run().await?.log) == ["Slack refused it: 403 action_prohibited"]);
    publish(&world, 5).await?;
    let ran = world.run().await?;
    let origin = &world.service.origin;
    let why = format!("the URL in the webhook's secret does not begin with {origin}/");
    ensure!(errors(&ran.log) == [why], "{:?}", ran.log);
    ensure!(world.service.posted() == [FIRING, FIRING, FIRING]);
    Ok(())
}

/// A run that lost its group's turn gives back nothing: the turn is another's by now. And the turn is
/// one of its queue: the same group of two stacks has two.
#[tokio::test]
async fn a_turn_is_given_back_only_by_the_run_that_has_it() -> Result<()> {
    let Some(world) = webhook_world().await? else {
        return Ok(());
    };
    let turns = &world.function.turns;
    let now = Timestamp::now();
    let until = |seconds: i64| now.checked_add(seconds.seconds());
    let key = |queue: &str| turn::group_key("slack", queue, "topic", "team", "{}:{}");
    let group = key("arn:aws:sqs:eu-central-1:123456789012:one");
    let taken = |note: Option<&str>| Turn::Taken {
        is_late: false,
        note: note.map(str::to_owned),
    };
    let times = |now: Timestamp, until: Timestamp| Times {
        now,
        until,
        longest: Timestamp::MAX,
    };
    ensure!(
        turns
            .take(&group, 1, "slow", times(now, until(10)?))
            .await?
            == taken(None)
    );
    // It takes longer than it may live; another run takes over and is at it.
    let later = until(11)?;
    ensure!(
        turns
            .take(&group, 2, "next", times(later, until(60)?))
            .await?
            == taken(None)
    );
    let stolen = Note::Set("of the slow one".to_owned());
    ensure!(
        turns
            .give_back(&group, "slow", &stolen, later)
            .await
            .is_err()
    );
    let third = turns
        .take(&group, 3, "third", times(later, until(90)?))
        .await?;
    ensure!(
        third == Turn::Held(Timestamp::from_second(until(60)?.as_second())?),
        "{third:?}"
    );
    let noted = Note::Set("of the next one".to_owned());
    turns.give_back(&group, "next", &noted, later).await?;
    let third = turns
        .take(&group, 3, "third", times(later, until(90)?))
        .await?;
    ensure!(third == taken(Some("of the next one")), "{third:?}");

    turns.give_back(&group, "third", &Note::Keep, later).await?;

    // What was taken under a clock that was ahead stops nothing, where that is known.
    let known = Times {
        longest: until(200)?,
        ..times(later, until(120)?)
    };
    let ahead = turns.take(&group, 4, "ahead", times(later, until(3600)?));
    ensure!(ahead.await? == taken(Some("of the next one")));
    let fourth = turns.take(&group, 4, "waits", times(later, until(120)?));
    ensure!(matches!(fourth.await?, Turn::Held(_)));
    let fourth = turns.take(&group, 4, "knows", known).await?;
    ensure!(fourth == taken(Some("of the next one")), "{fourth:?}");

    // Another stack's queue.
    let other = key("arn:aws:sqs:eu-central-1:123456789012:two");
    ensure!(
        turns
            .take(&other, 1, "other", times(later, until(60)?))
            .await?
            == taken(None)
    );
    Ok(())
}
