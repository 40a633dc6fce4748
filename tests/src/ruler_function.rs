//! The function as Lambda drives it, on a real Prometheus and an AWS that is strict: what its
//! events come to, what it logs, and that no secret gets out.

mod amp;
mod ground;
mod quiet;
mod role;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::front::Front;
use ground::{Ground, REGION, SECRET, TOKEN, invoke, next_second, run_until, with};

fn sent(answer: &Value) -> bool {
    answer["sent"].as_u64() > Some(0)
}

#[tokio::test]
async fn an_alert_goes_from_prometheus_into_a_queue() -> Result<()> {
    let Some(ground) = Ground::prepare().await? else {
        return Ok(());
    };
    let function = ground.function(&[])?;
    let first = invoke(&function).await?;
    assert_eq!(first["first"], true, "{first}");
    assert_eq!((&first["due"], &first["sent"]), (&json!(0), &json!(0)));
    ensure!(ground.message().await?.is_none());

    let before = ground.log().len();
    next_second().await;
    let second = run_until(&function, sent).await?;
    assert_eq!(second["due"], second["evaluated"], "{second}");
    assert_eq!(
        (&second["pending"], &second["failed"]),
        (&json!(0), &json!(0))
    );
    ensure!(second["queries"]["requests"].as_u64() > Some(0), "{second}");

    let webhook = ground.webhook().await?.context("a message")?;
    assert_eq!(webhook["status"], "firing", "{webhook}");
    assert_eq!(webhook["receiver"], "team");
    let alert = &webhook["alerts"][0];
    assert_eq!(alert["labels"]["alertname"], "LinkLocalThrottling");
    assert_eq!(alert["labels"]["node"], "a");
    assert_eq!(alert["annotations"]["summary"], "packets are dropped");
    ensure!(ground.message().await?.is_none(), "notified once");

    // Another sandbox knows from the state what was notified.
    let other = ground.function(&[])?;
    next_second().await;
    let third = invoke(&other).await?;
    assert_eq!(third["sent"], 0, "{third}");

    // Each run is one line and one line of metrics.
    let lines = ground.lines_since(before);
    let (metrics, runs): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line.get("_aws").is_some());
    assert_eq!(runs.len(), metrics.len());
    ensure!(
        runs.iter()
            .all(|line| line["message"] == "run" && line["level"] == "INFO")
    );
    ensure!(
        metrics
            .iter()
            .all(|line| line["RunsSucceeded"] == 1 && line["FunctionName"] == "the-ruler")
    );
    let delivered: u64 = metrics
        .iter()
        .filter_map(|line| line["NotificationsDelivered"].as_u64())
        .sum();
    assert_eq!(delivered, 1);
    Ok(())
}

#[tokio::test]
async fn with_notify_off_notifications_are_logged_instead() -> Result<()> {
    let Some(ground) = Ground::prepare().await? else {
        return Ok(());
    };
    let shadow = ground.function(&[("NOTIFY", "off")])?;
    let notified = run_until(&shadow, sent).await?;
    ensure!(ground.message().await?.is_none(), "nothing goes out");
    let would = ground
        .lines_since(0)
        .into_iter()
        .find(|line| line["message"] == "NOTIFY is off: this would have been sent")
        .with_context(|| notified.to_string())?;
    assert_eq!(would["receiver"], "team");
    let subject = would["subject"].as_str().context("a subject")?;
    ensure!(subject.contains("LinkLocalThrottling"), "{subject}");

    // It has its own state, so it starts from the beginning.
    let url = ground.prometheus.url();
    ensure!(ground.state(&format!("{url}/shadow")).await?.is_some());
    ensure!(ground.state(url).await?.is_none());
    let refused = with(&shadow, &json!({"action": "test-notification"})).await;
    let error = refused.expect_err("nothing is sent").to_string();
    ensure!(error.starts_with("NOTIFY is off"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_configuration_that_does_not_load_is_reported_and_the_last_valid_one_stays() -> Result<()>
{
    let Some(ground) = Ground::prepare().await? else {
        return Ok(());
    };
    let function = ground.function(&[])?;
    run_until(&function, sent).await?;
    ground.webhook().await?.context("the alert")?;

    // The rule file and the routing, each by itself, and both repaired.
    let broken_rules = (
        "rules/dns.yml",
        "groups: [{name: dns, rule: []}]",
        "rules/dns.yml:1:",
    );
    let broken_routing = (
        "alertmanager.yml",
        "route: {receiver: nobody}",
        "alertmanager.yml:1:",
    );
    for (file, text, place) in [broken_rules, broken_routing] {
        let good = match file {
            "alertmanager.yml" => ground.alertmanager(),
            _ => ground::RULES.to_owned(),
        };
        ground.write(file, text)?;
        let refused = run_until(&function, sent).await?;
        let why = refused["configuration_refused"].as_str().context("why")?;
        ensure!(why.contains(place), "{why}");
        let webhook = ground.webhook().await?.context("an alert about it")?;
        let alert = &webhook["alerts"][0];
        assert_eq!(alert["labels"]["alertname"], "DnswatchConfigRefused");
        let description = alert["annotations"]["description"]
            .as_str()
            .context("text")?;
        ensure!(description.contains(place), "{description}");

        // The good rules are evaluated as before.
        let continue_matching = |answer: &Value| answer["evaluated"].as_u64() > Some(0);
        let evaluated = run_until(&function, continue_matching).await?;
        ensure!(
            evaluated["configuration_refused"].is_string(),
            "{evaluated}"
        );

        ground.write(file, &good)?;
        run_until(&function, sent).await?;
        let webhook = ground.webhook().await?.context("that it is over")?;
        assert_eq!(webhook["status"], "resolved", "{webhook}");
    }
    ensure!(
        ground
            .lines_since(0)
            .iter()
            .any(|line| line["level"] == "WARN")
    );
    Ok(())
}

#[tokio::test]
async fn with_no_good_configuration_at_all_the_run_fails() -> Result<()> {
    let Some(ground) = Ground::prepare().await? else {
        return Ok(());
    };
    let notified = |answer: Result<Value>| answer.expect_err("it fails").to_string();
    ground.write("rules/dns.yml", "groups: 1")?;
    let error = notified(invoke(&ground.function(&[])?).await);
    ensure!(error.contains("rules/dns.yml:1:"), "{error}");

    let empty = tempfile::tempdir()?;
    let nowhere = empty.path().display().to_string();
    let error = notified(invoke(&ground.function(&[("CONFIG_DIR", &nowhere)])?).await);
    ensure!(error.contains(&format!("{nowhere}/rules")), "{error}");

    std::fs::create_dir(empty.path().join("rules"))?;
    std::fs::write(empty.path().join("rules/dns.yml"), ground::RULES)?;
    let error = notified(invoke(&ground.function(&[("CONFIG_DIR", &nowhere)])?).await);
    ensure!(error.contains("set TOPIC_ARN"), "{error}");

    let error = notified(invoke(&ground.function(&[("STATE_TABLE", "not-there")])?).await);
    ensure!(error.contains("not-there"), "{error}");
    ensure!(!error.contains('\n'), "{error}");

    let failed = ground.lines_since(0);
    let metrics = failed.iter().filter(|line| line["RunsSucceeded"] == 0);
    assert_eq!(metrics.count(), 4);
    let lines = failed.iter().filter(|line| line["level"] == "ERROR");
    assert_eq!(lines.count(), 4);
    Ok(())
}

/// A function of so little memory takes 64 KiB of an answer: the rule fails, and the run continues.
#[tokio::test]
async fn an_answer_that_the_memory_has_no_room_for_fails_its_rule() -> Result<()> {
    let Some(ground) = Ground::prepare().await? else {
        return Ok(());
    };
    let series = |n: usize| json!({"metric": {"n": n.to_string()}, "value": [0, "1"]});
    let series: Vec<Value> = (0..2_000).map(series).collect();
    let data = json!({"resultType": "vector", "result": series});
    let answer = json!({"status": "success", "data": data}).to_string();
    ensure!(answer.len() > 64 << 10, "{}", answer.len());
    let large = Front::start(ground.prometheus_url(), move |request| {
        let is_query = request.line().contains("/api/v1/query");
        is_query.then(|| (200, "application/json", answer.clone()))
    })
    .await?;
    let url = [("PROMETHEUS_URL", large.url.as_str())];
    let little = [url[0], ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1")];
    let function = ground.function(&little)?;
    let failed = |report: &Value| report["failing"]["count"] == 1;
    let report = run_until(&function, failed).await?;
    let why = report["failing"]["texts"][0].as_str().context("why")?;
    ensure!(
        why.ends_with("the answer is larger than 65536 bytes"),
        "{why}"
    );
    Ok(())
}

#[tokio::test]
async fn a_test_notification_reports_its_outcome() -> Result<()> {
    let Some(ground) = Ground::prepare().await? else {
        return Ok(());
    };
    let sns = aws_sdk_sns::Client::new(ground.sdk());
    let subscribe = sns.subscribe().topic_arn(&ground.topic).protocol("email");
    subscribe.endpoint("someone@example.com").send().await?;
    // moto confirms at once what a person would have to, so the page says what SNS would.
    let pending = Front::start(&ground.aws, {
        let topic = ground.topic.clone();
        move |request| {
            let body = String::from_utf8_lossy(&request.body);
            body.contains("Action=ListSubscriptionsByTopic").then(|| {
                let member = |arn: &str, protocol: &str, endpoint: &str| {
                    format!(
                        "<member><SubscriptionArn>{arn}</SubscriptionArn><Protocol>{protocol}\
                         </Protocol><Endpoint>{endpoint}</Endpoint><TopicArn>{topic}</TopicArn>\
                         <Owner>123456789012</Owner></member>"
                    )
                };
                let members = [
                    member("PendingConfirmation", "email", "someone@example.com"),
                    member(
                        &format!("{topic}:1"),
                        "https",
                        "https://hooks.example.com/canary-key",
                    ),
                ]
                .concat();
                let answer = format!(
                    "<ListSubscriptionsByTopicResponse \
                     xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
                     <ListSubscriptionsByTopicResult><Subscriptions>{members}</Subscriptions>\
                     </ListSubscriptionsByTopicResult><ResponseMetadata><RequestId>1</RequestId>\
                     </ResponseMetadata></ListSubscriptionsByTopicResponse>"
                );
                (200, "text/xml", answer)
            })
        }
    })
    .await?;
    // Receivers can be tested even if the rules do not load.
    ground.write("rules/dns.yml", "groups: 1")?;
    let function = ground.function(&[("AWS_ENDPOINT_URL", &pending.url)])?;
    let answer = with(&function, &json!({"action": "test-notification"})).await?;
    let outcome = &answer["topics"][0];
    assert_eq!(outcome["published"], true, "{answer}");
    assert_eq!(outcome["subscription"], "confirmed", "{answer}");
    assert_eq!(outcome["topic"], ground.topic.as_str());
    assert_eq!(outcome["subscribers"][0]["confirmed"], false, "{answer}");
    assert_eq!(
        outcome["subscribers"][1]["endpoint"],
        "https://hooks.example.com"
    );
    let notes = outcome["notes"].as_array().context("notes")?;
    assert_eq!(notes.len(), 1, "{answer}");
    let note = notes[0].as_str().context("a note")?;
    ensure!(
        note.starts_with("email someone@example.com has not confirmed"),
        "{note}"
    );
    assert_eq!(pending.answered.lock().unwrap().len(), 1);

    let webhook = ground.webhook().await?.context("a message")?;
    let alert = &webhook["alerts"][0];
    assert_eq!(alert["labels"]["alertname"], "DnswatchTestNotification");
    assert_eq!(webhook["notificationId"], outcome["notification_id"]);
    // The alarm topic is tested, too: it has no recipient, unless that is on purpose.
    let alarms = sns.create_topic().name("alarms").send().await?;
    let alarms = alarms.topic_arn().context("a topic")?;
    for (on_purpose, level, note) in [
        ("", "WARN", "this topic has no subscription: its"),
        (alarms, "INFO", "this topic has no subscription, on purpose"),
    ] {
        let before = ground.log().len();
        let function = ground.function(&[
            ("ALARM_TOPIC_ARN", alarms),
            ("UNSUBSCRIBED_TOPIC_ARNS", on_purpose),
        ])?;
        let answer = with(&function, &json!({"action": "test-notification"})).await?;
        let outcomes = answer["topics"].as_array().context("topics")?;
        assert_eq!(outcomes.len(), 2, "{answer}");
        let words: Vec<&Value> = outcomes.iter().map(|it| &it["subscription"]).collect();
        assert_eq!(words, ["confirmed", "none"], "{answer}");
        assert_eq!(outcomes[1]["topic"], alarms, "{answer}");
        let said = outcomes[1]["notes"][0].as_str().context("a note")?;
        ensure!(said.starts_with(note), "{said}");
        assert_eq!(ground.lines_since(before)[0]["level"], level);
        while ground.message().await?.is_some() {}
    }
    // It is no alert: no state knows of it.
    ensure!(ground.state(ground.prometheus.url()).await?.is_none());

    let gone = ground.function(&[])?;
    sns.delete_topic().topic_arn(&ground.topic).send().await?;
    let answer = with(&gone, &json!({"action": "test-notification"})).await?;
    assert_eq!(answer["topics"][0]["published"], false, "{answer}");
    let note = answer["topics"][0]["notes"][0].as_str().context("why")?;
    ensure!(note.contains("NotFound"), "{note}");

    let error = with(&gone, &json!({"action": "test"})).await;
    let error = error.expect_err("there is none").to_string();
    ensure!(error.starts_with("there is no action \"test\""), "{error}");
    Ok(())
}

/// AWS reports a wrong signature by repeating what it should have been made of, and that holds
/// the session token.
#[tokio::test]
async fn no_secret_gets_out() -> Result<()> {
    let Some(ground) = Ground::prepare().await? else {
        return Ok(());
    };
    let function = ground.function(&[])?;
    run_until(&function, sent).await?;
    let envelope = ground.message().await?.context("a message")?;
    let state = ground.state(ground.prometheus.url()).await?;
    let mut all = format!("{envelope}{}", state.context("a state")?);

    // With every service, and with one service, that shows what it was sent.
    for indiscreet in ["", "dynamodb", "sns"] {
        let echo = Front::start(&ground.aws, move |request| {
            let authorization = format!("/{REGION}/{indiscreet}/aws4_request");
            let meant = indiscreet.is_empty() || request.head.contains(&authorization);
            meant.then(|| {
                let head = request.head.replace("\r\n", "\n").replace('"', "'");
                let message = format!(
                    "The request signature we calculated does not match.\n\nThe Canonical \
                     String should have been\n'{head}', secret {SECRET} {TOKEN}"
                );
                if request.head.contains("x-amz-target: DynamoDB") {
                    let body = json!({
                        "__type": "com.amazon.coral.service#InvalidSignatureException",
                        "message": message,
                    });
                    (400, "application/x-amz-json-1.0", body.to_string())
                } else {
                    let message = message.replace(['<', '&'], "");
                    let body = format!(
                        "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch\
                         </Code><Message>{message}</Message></Error></ErrorResponse>"
                    );
                    (403, "text/xml", body)
                }
            })
        })
        .await?;
        let url = [("AWS_ENDPOINT_URL", echo.url.as_str())];
        let function = ground.function(&url)?;
        // So that there is something to publish: the refusal is notified.
        ground.write("rules/dns.yml", &format!("groups: 1 # {indiscreet}"))?;
        next_second().await;
        match invoke(&function).await {
            Ok(answer) => all.push_str(&answer.to_string()),
            Err(error) => all.push_str(&format!("{error:#}{error:?}")),
        }
        let tested = with(&function, &json!({"action": "test-notification"})).await;
        all.push_str(&format!("{tested:?}"));
        ensure!(!echo.answered.lock().unwrap().is_empty(), "{indiscreet}");
        let state = ground.state(ground.prometheus.url()).await?;
        all.push_str(&state.context("a state")?.to_string());
        ground.write("rules/dns.yml", ground::RULES)?;
    }
    while let Some(envelope) = ground.message().await? {
        all.push_str(&envelope.to_string());
    }
    all.push_str(&ground.log());
    ensure!(
        all.contains("does not match"),
        "the failures are notified: {all}"
    );
    for secret in [SECRET, TOKEN, "canary"] {
        if let Some(at) = all.find(secret) {
            let from = all.floor_char_boundary(at.saturating_sub(300));
            anyhow::bail!("{secret} is in …{}", &all[from..at]);
        }
    }
    Ok(())
}
