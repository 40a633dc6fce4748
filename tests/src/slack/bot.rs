//! A bot keeps the first message of a group up to date and answers in its thread, in whatever
//! order the notifications come, and whatever Slack has against it.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use delivery::batch::Run;
use futures_util::future::join;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::bot_world;
use super::messages::{alert, webhook};
use super::server::{Instead, Posted};
use crate::delivery::aws::CANARY;

const FIRST: &str = "first notification";
const MORE: &str = "new alerts added";
const SOME: &str = "some alerts resolved";
const OVER: &str = "all alerts resolved";
const AGAIN: &str = "repeat interval elapsed";

/// Notification number `sequence` of a group, about so many alerts that fire; 0: one that ended.
fn notified(group: &str, sequence: u64, firing: usize, reason: &str) -> String {
    let alerts: Vec<Value> = match firing {
        0 => vec![alert("resolved", "a")],
        firing => (0..firing)
            .map(|n| alert("firing", &format!("node-{n}")))
            .collect(),
    };
    let mut message = webhook(&alerts);
    message["notificationId"] = json!(format!("{group}-{sequence}"));
    message["sequence"] = json!(sequence);
    message["groupKey"] = json!(group);
    message["notification_reason"] = json!(reason);
    message.to_string()
}

fn header(firing: usize) -> String {
    match firing {
        0 => "[RESOLVED] LinkLocalThrottling prod".to_owned(),
        firing => format!("[FIRING:{firing}] LinkLocalThrottling prod"),
    }
}

fn late(firing: usize) -> String {
    header(firing).replacen('[', "[LATE, was ", 1)
}

/// The header that a message shows now.
fn shows(posted: &Posted) -> &str {
    posted.headers.last().map_or("", String::as_str)
}

fn roots(channel: &[Posted]) -> Vec<&Posted> {
    channel
        .iter()
        .filter(|posted| posted.thread.is_none())
        .collect()
}

#[tokio::test]
async fn one_message_a_group_and_its_history_in_the_thread() -> Result<()> {
    let Some(mut world) = bot_world().await? else {
        return Ok(());
    };
    let story = [(1, FIRST), (2, MORE), (2, AGAIN), (1, SOME), (0, OVER)];
    for (at, (firing, reason)) in (1..).zip(story) {
        world.publish(&notified("g", at, firing, reason)).await?;
        let ran = world.run().await?;
        ensure!((ran.received, ran.failed) == (1, 0), "{:?}", ran.log);
        let how = if at == 1 {
            "posted"
        } else {
            "updated, and answered in the thread"
        };
        ensure!(ran.log[0]["message"] == how, "{:?}", ran.log);
    }
    let channel = world.service.channel();
    let [root, answers @ ..] = channel.as_slice() else {
        anyhow::bail!("{channel:?}");
    };
    ensure!(root.headers == [1, 2, 2, 1, 0].map(header), "{root:?}");
    let answered: Vec<(&str, bool)> = answers.iter().map(|a| (shows(a), a.for_all)).collect();
    let (two, one, over) = (header(2), header(1), header(0));
    ensure!(
        answered
            == [
                (&*two, true),
                (&*two, true),
                (&*one, false),
                (&*over, false)
            ],
        "{answered:?}"
    );
    ensure!(answers.iter().all(|a| a.thread.as_ref() == Some(&root.ts)));

    // What fires after the end is another story; another group has a message of its own.
    world.publish(&notified("g", 6, 1, FIRST)).await?;
    world.run().await?;
    world.publish(&notified("h", 1, 3, FIRST)).await?;
    world.run().await?;
    let channel = world.service.channel();
    let shown: Vec<&str> = roots(&channel).into_iter().map(shows).collect();
    ensure!(shown == [header(0), header(1), header(3)], "{shown:?}");
    Ok(())
}

/// Every order of a story, one record a batch: the group's message shows the newest, nothing is
/// posted as news that is not, and all is posted once.
#[tokio::test]
async fn no_order_of_arrival_lets_an_older_one_overwrite_a_newer() -> Result<()> {
    let Some(world) = bot_world().await? else {
        return Ok(());
    };
    let story = [(1, FIRST), (2, MORE), (3, MORE), (0, OVER)];
    for (number, order) in orders(story.len()).into_iter().enumerate() {
        world.service.delete_all();
        let group = format!("g{number}");
        // The first comes once more at the end, as a queue may deliver it.
        for at in order.iter().chain(order.first()) {
            let (firing, reason) = story[*at];
            let message = notified(&group, *at as u64 + 1, firing, reason);
            let event = world.event(&[message])?;
            ensure!(world.hand_over(event, 30).await?.is_empty());
        }
        let log = world.notified()?;
        ensure!(log.last().context("a line")?["message"] == "posted before");

        let channel = world.service.channel();
        let roots = roots(&channel);
        ensure!(roots.len() == 1, "{order:?}: {channel:?}");
        ensure!(shows(roots[0]) == header(0), "{order:?}: {channel:?}");
        // Those that were the newest when they came, in this order; the rest as late.
        let mut newest = 0;
        let (mut as_news, mut as_late) = (Vec::new(), Vec::new());
        for at in &order {
            if *at + 1 > newest {
                newest = *at + 1;
                as_news.push(header(story[*at].0));
            } else {
                as_late.push(late(story[*at].0));
            }
        }
        ensure!(roots[0].headers == as_news, "{order:?}: {channel:?}");
        let answers = channel.iter().filter(|posted| posted.thread.is_some());
        let (mut told_late, told_news): (Vec<&str>, Vec<&str>) =
            answers.map(shows).partition(|shown| shown.contains("LATE"));
        ensure!(told_news == as_news[1..], "{order:?}: {channel:?}");
        told_late.sort_unstable();
        as_late.sort_unstable();
        ensure!(told_late == as_late, "{order:?}: {channel:?}");
    }
    Ok(())
}

fn orders(length: usize) -> Vec<Vec<usize>> {
    if length == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(length - 1);
    let with_last = |order: Vec<usize>| {
        (0..length).map(move |at| {
            let mut order = order.clone();
            order.insert(at, length - 1);
            order
        })
    };
    shorter.into_iter().flat_map(with_last).collect()
}

/// Two sandboxes at once: while one is at a group, the other leaves that group alone, and takes
/// its turn later. Together they make one message.
#[tokio::test]
async fn two_at_once_make_one_message() -> Result<()> {
    let Some(world) = bot_world().await? else {
        return Ok(());
    };
    let deadline = Timestamp::now().checked_add(30.seconds())?;
    let run = |id| Run { id, deadline };
    let go_on = Arc::new(Notify::new());
    world.service.then(&[Instead::Hold(Arc::clone(&go_on))]);
    let first = world.event(&[notified("g", 1, 1, FIRST)])?;
    let second = || world.event(&[notified("g", 2, 2, MORE), notified("h", 1, 1, FIRST)]);
    let meanwhile = async {
        world.service.holding.notified().await;
        let answer = world.function.handle(second()?, run("b")).await?;
        let log = world.notified()?;
        go_on.notify_one();
        anyhow::Ok((answer, log))
    };
    let (one, meanwhile) = join(world.function.handle(first, run("a")), meanwhile).await;
    let (two, log) = meanwhile?;
    ensure!(
        one?.batch_item_failures.is_empty(),
        "{:?}",
        world.notified()?
    );
    // The other group's was posted; this one's is received again soon, however long the turn lasts.
    ensure!(two.batch_item_failures.len() == 1, "{log:?}");
    ensure!(
        log[0]["error"] == "another run is at its group" && log[0]["retry_in_s"] == 5,
        "{log:?}"
    );
    let two = world.function.handle(second()?, run("c")).await?;
    ensure!(
        two.batch_item_failures.is_empty(),
        "{:?}",
        world.notified()?
    );
    let channel = world.service.channel();
    let shown: Vec<&str> = roots(&channel).into_iter().map(shows).collect();
    ensure!(shown == [header(1), header(2)], "{channel:?}");
    Ok(())
}

#[tokio::test]
async fn each_of_slacks_errors_has_its_answer() -> Result<()> {
    let Some(world) = bot_world().await? else {
        return Ok(());
    };
    let mut sequence = 0;
    for (instead, level, wait, why) in [
        (
            Instead::Refuse("ratelimited"),
            "WARN",
            3,
            "Slack asks to wait 3 s (ratelimited)",
        ),
        (Instead::Wait(7), "WARN", 7, "Slack asks to wait 7 s (429)"),
        (
            Instead::Refuse("internal_error"),
            "WARN",
            15,
            "Slack failed: chat.postMessage: internal_error",
        ),
        (
            Instead::Say(503, "service_unavailable"),
            "WARN",
            15,
            "Slack failed: chat.postMessage: 503 service_unavailable",
        ),
        (
            Instead::Refuse("channel_not_found"),
            "ERROR",
            15,
            "Slack refused it: chat.postMessage: channel_not_found",
        ),
        (
            Instead::Refuse("invalid_auth"),
            "ERROR",
            15,
            "Slack refused it: chat.postMessage: invalid_auth",
        ),
        (
            Instead::Refuse("msg_too_long"),
            "ERROR",
            15,
            "Slack refused it: chat.postMessage: msg_too_long",
        ),
        (
            Instead::Say(200, r#"{"ok": true}"#),
            "ERROR",
            15,
            "chat.postMessage: the answer names no message, so it is not Slack's",
        ),
        (
            Instead::Say(200, r#"{"ts": "1795434510.000001"}"#),
            "WARN",
            15,
            "chat.postMessage: Slack's answer cannot be read; it may have the message",
        ),
        (
            Instead::Say(200, "<html>Sign in</html>"),
            "WARN",
            15,
            "chat.postMessage: Slack's answer cannot be read; it may have the message",
        ),
        (
            Instead::TakeAndBreak,
            "WARN",
            15,
            "the connection to Slack broke; it may have the message",
        ),
    ] {
        sequence += 1;
        world.service.then(&[instead]);
        let event = world.event(&[notified("g", sequence, 1, FIRST)])?;
        ensure!(world.hand_over(event, 30).await?.len() == 1);
        let log = world.notified()?;
        let line = &log[0];
        ensure!(
            line["error"] == why && line["level"] == level && line["retry_in_s"] == wait,
            "{why}: {line}"
        );
    }

    // The message is gone, or can no longer be changed: there is a new one.
    let mut send = async |firing: usize| -> Result<String> {
        sequence += 1;
        let event = world.event(&[notified("g", sequence, firing, MORE)])?;
        ensure!(world.hand_over(event, 30).await?.is_empty());
        let log = world.notified()?;
        Ok(log[0]["message"].as_str().unwrap_or_default().to_owned())
    };
    ensure!(send(1).await? == "posted");
    ensure!(send(2).await? == "updated, and answered in the thread");
    world.service.delete_all();
    ensure!(send(3).await? == "posted");
    world.service.then(&[Instead::Refuse("edit_window_closed")]);
    ensure!(send(4).await? == "posted");
    ensure!(send(5).await? == "updated, and answered in the thread");
    let channel = world.service.channel();
    let shown: Vec<&str> = roots(&channel).into_iter().map(shows).collect();
    ensure!(shown == [header(3), header(5)], "{shown:?}");

    // The token was changed: the new one is found at the refusal.
    let token = format!("xoxb-2-{CANARY}");
    world.service.move_to(&token);
    world
        .put_secret(&json!({"token": token}).to_string())
        .await?;
    ensure!(send(6).await? == "updated, and answered in the thread");
    Ok(())
}

/// What a text is posted as has no thread, and no group's message.
#[tokio::test]
async fn a_text_is_a_message_of_its_own() -> Result<()> {
    let Some(mut world) = bot_world().await? else {
        return Ok(());
    };
    world.publish_text("A subject", "a text").await?;
    world.publish_text("A subject", "a text").await?;
    let mut seen = 0;
    while seen < 2 {
        let ran = world.run().await?;
        ensure!(ran.failed == 0, "{:?}", ran.log);
        seen += ran.received;
    }
    let channel = world.service.channel();
    ensure!(
        roots(&channel).len() == 2 && channel.len() == 2,
        "{channel:?}"
    );
    Ok(())
}
