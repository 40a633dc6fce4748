//! Notifications published through the real client: to moto's SNS, which is strict about what it
//! accepts, and on to a queue; and to a server that refuses them in SNS's words.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alerting::config::{Config, ConfigFiles, Settings};
use alerting::labels::Labels;
use alerting::notify::{
    AlertEntry, Details, Notification, NotifyReason, Outgoing, Receiver, SnsConfig,
};
use alerting::rules::RuleKey;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use backends::aws::sdk_config;
use backends::http::{self, HttpOptions};
use backends::notify::{Notifier as _, PublishError, SnsNotifier, SnsOptions};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::leash::Leash;
use crate::parts;

const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-central-1";
/// As long as a slow machine may need to start moto.
const START: Duration = Duration::from_secs(60);

/// A running moto, with a topic and a queue that is subscribed to it.
struct Moto {
    http: reqwest::Client,
    url: String,
    _process: Leash,
}

impl Moto {
    async fn start(server: &std::path::Path) -> Result<Self> {
        let mut command = Command::new(server);
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        let process = Leash::start(&command)?;
        let url = process
            .says(START, |line| {
                let (_, rest) = line.split_once("Running on ")?;
                Some(rest.trim().to_owned())
            })
            .await?;
        let moto = Self {
            http: http::client(&HttpOptions::default())?,
            url,
            _process: process,
        };
        let topic = moto
            .sns(&[("Action", "CreateTopic"), ("Name", "alerts")])
            .await?;
        ensure!(topic.contains(&topic_arn("alerts")), "{topic}");
        moto.sqs("CreateQueue", &json!({"QueueName": "alerts"}))
            .await?;
        moto.sns(&[
            ("Action", "Subscribe"),
            ("TopicArn", &topic_arn("alerts")),
            ("Protocol", "sqs"),
            (
                "Endpoint",
                &format!("arn:aws:sqs:{REGION}:{ACCOUNT}:alerts"),
            ),
        ])
        .await?;
        Ok(moto)
    }

    /// One request to SNS by hand: the answer of a success, or the error that it says.
    async fn sns(&self, form: &[(&str, &str)]) -> Result<String> {
        let answer = self
            .http
            .post(&self.url)
            .header("authorization", scope("sns"))
            .form(form)
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{status}: {text}");
        Ok(text)
    }

    async fn sqs(&self, action: &str, body: &Value) -> Result<Value> {
        let answer = self
            .http
            .post(&self.url)
            .header("authorization", scope("sqs"))
            .header("x-amz-target", format!("AmazonSQS.{action}"))
            .header("content-type", "application/x-amz-json-1.0")
            .body(body.to_string())
            .send()
            .await?;
        let text = answer.error_for_status()?.text().await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// What SNS put into the queue next.
    async fn received(&self) -> Result<Value> {
        let queue = format!("{}/{ACCOUNT}/alerts", self.url);
        let got = self
            .sqs(
                "ReceiveMessage",
                &json!({"QueueUrl": queue, "WaitTimeSeconds": 5}),
            )
            .await?;
        let message = got.pointer("/Messages/0").context("a message")?;
        let receipt = &message["ReceiptHandle"];
        self.sqs(
            "DeleteMessage",
            &json!({"QueueUrl": queue, "ReceiptHandle": receipt}),
        )
        .await?;
        let body = message["Body"].as_str().context("a body")?;
        Ok(serde_json::from_str(body)?)
    }
}

/// moto takes service and region from the signature's scope, and does not check the signature.
fn scope(service: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential=a/20260101/{REGION}/{service}/aws4_request")
}

fn topic_arn(name: &str) -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}")
}

fn notifier(url: &str, options: SnsOptions) -> Result<SnsNotifier> {
    let http = http::client(&HttpOptions::default())?;
    let credentials = Credentials::new("a", "b", None, None, "test");
    let credentials = SharedCredentialsProvider::new(credentials);
    // The topic's region counts, not the one that the ruler runs in.
    let sdk = sdk_config(http, "us-east-1", credentials, Some(url));
    Ok(SnsNotifier::new(sdk, options))
}

/// For moto, which is not SNS: a message that came late would be sent, and so received, twice.
fn patient() -> SnsOptions {
    SnsOptions {
        timeout: START,
        attempt_timeout: START,
        ..SnsOptions::default()
    }
}

/// A configuration whose receiver has this topic.
fn config(topic: &str) -> Result<Config> {
    let defaults = Settings::default();
    let settings = Settings {
        receivers: vec![Receiver {
            name: defaults.route.receiver.clone(),
            sns: vec![SnsConfig::from_topic(topic_arn(topic).parse()?)],
            ..Receiver::default()
        }],
        ..defaults
    };
    settings
        .load(&ConfigFiles::default())
        .map_err(|errors| anyhow::anyhow!("{errors:?}"))
}

/// A notification of alerts that have these texts as a label and as an annotation.
fn notification(texts: &[String]) -> Notification {
    let alert = |text: &String| AlertEntry {
        labels: Labels::from_iter([("alertname", text.as_str()), ("text", text)]),
        annotations: Arc::new([("summary".to_owned(), text.clone())].into()),
        value: 1.0,
        starts_at: Timestamp::from_secs(1_795_414_394),
        ends_at: None,
        end: None,
        hold: None,
        past: false,
        fired_by: [RuleKey::ruler()].into(),
        rule: RuleKey::ruler(),
    };
    let alerts: Vec<AlertEntry> = texts.iter().map(alert).collect();
    let group_labels = alerts[0].labels.without(|name| name != "alertname");
    Notification {
        id: format!("{:032x}", texts.len()),
        sequence: 1,
        receiver: "default".to_owned(),
        integration: "sns[0]".to_owned(),
        group_key: format!("{{}}:{group_labels}"),
        group_labels,
        reason: NotifyReason::FirstNotification,
        firing: alerts.len(),
        resolved: 0,
        alerts,
        truncated: 0,
        groups: 0,
        created_at: Timestamp::from_secs(1_795_414_394),
        attempts: 1,
        claim: None,
    }
}

async fn publish(
    notifier: &SnsNotifier,
    notification: &Notification,
    topic: &str,
) -> Result<Result<(), PublishError>> {
    let config = config(topic)?;
    let outgoing = Outgoing {
        notification,
        details: &Details::default(),
        config: &config,
        now: Timestamp::from_secs(1_795_414_400),
    };
    Ok(notifier.publish(&outgoing).await)
}

/// Texts that have broken someone's notification before, and as many alerts as there can be.
fn nasty() -> Vec<Vec<String>> {
    let controls: String = (0..0x20).filter_map(char::from_u32).collect();
    let texts = [
        "LinkLocalThrottling",
        "",
        " ",
        "Zürich – “Süd”",
        "数据中心",
        "سيرفر \u{202e}abc",
        "😀👩\u{200d}🚀",
        "a\r\nb\tc",
        &controls,
        "\u{7f}\u{85}\u{2028}\u{fffe}\u{ffff}\u{10ffff}",
        "\"\\{\"default\":1}&<>%+=",
        &"x".repeat(4096),
        &"é".repeat(4096),
        &"\u{1}\"".repeat(40_000),
    ];
    let mut all: Vec<Vec<String>> = texts.map(|text| vec![text.to_owned()]).into();
    all.push((0..5000).map(|at| format!("node-{at} \"é漢\"")).collect());
    all.push(
        (0..300)
            .map(|at| format!("{at}{}", "漢".repeat(1365)))
            .collect(),
    );
    all
}

#[tokio::test]
async fn sns_accepts_every_notification_and_delivers_it_unchanged() -> Result<()> {
    let Some(server) = parts::moto() else {
        return Ok(());
    };
    let moto = Moto::start(&server).await?;
    let notifier = notifier(&moto.url, patient())?;
    for texts in nasty() {
        let notification = notification(&texts);
        publish(&notifier, &notification, "alerts")
            .await?
            .with_context(|| format!("{:.80?}", texts[0]))?;
        let delivered = moto.received().await?;

        let config = config("alerts")?;
        let sent = Outgoing {
            notification: &notification,
            details: &Details::default(),
            config: &config,
            now: Timestamp::from_secs(1_795_414_400),
        }
        .sns();
        let document: Value = serde_json::from_str(&sent.document)?;
        ensure!(
            delivered["Message"] == document["default"],
            "{delivered:.200?}"
        );
        ensure!(
            delivered["Subject"] == sent.subject.as_str(),
            "{delivered:.200?}"
        );
        let body = delivered["Message"].as_str().context("a message")?;
        let body: Value = serde_json::from_str(body)?;
        ensure!(body["notificationId"] == notification.id.as_str());
    }

    // The judge refuses what it is there to refuse.
    let arn = topic_arn("alerts");
    for (message, subject) in [
        ("{\"email\":\"no default\"}", "a"),
        ("{\"default\":", "a"),
        ("{\"default\":\"a\"}", "a".repeat(101).as_str()),
        (
            format!("{{\"default\":\"{}\"}}", "a".repeat(262_144)).as_str(),
            "a",
        ),
    ] {
        let form = [
            ("Action", "Publish"),
            ("TopicArn", &arn),
            ("MessageStructure", "json"),
            ("Message", message),
            ("Subject", subject),
        ];
        let refused = moto.sns(&form).await;
        ensure!(refused.is_err(), "{refused:?}");
    }

    let missing = publish(&notifier, &notification(&["a".to_owned()]), "elsewhere").await?;
    ensure!(
        matches!(&missing, Err(PublishError::Transient(said)) if said.contains("elsewhere: NotFound")),
        "{missing:?}"
    );
    Ok(())
}

/// What somebody who controls labels would write, as labels and annotations of up to three alerts:
/// for people and machines by the topic's protocols, and for Amazon Q.
#[tokio::test]
async fn sns_accepts_whatever_labels_hold_for_every_reader() -> Result<()> {
    let Some(server) = parts::moto() else {
        return Ok(());
    };
    let moto = Moto::start(&server).await?;
    let notifier = notifier(&moto.url, patient())?;
    let mut runner = TestRunner::deterministic();
    let texts = proptest::collection::vec(crate::slack::hostile(), 1..4);
    for _ in 0..60 {
        let texts = texts
            .new_tree(&mut runner)
            .map_err(|e| anyhow::anyhow!("{e}"))?;
        let notification = notification(&texts.current());
        for is_for_q in [false, true] {
            let mut config = config("alerts")?;
            if is_for_q {
                config.amazon_q.insert(topic_arn("alerts").parse()?);
            }
            let outgoing = Outgoing {
                notification: &notification,
                details: &Details::default(),
                config: &config,
                now: Timestamp::from_secs(1_795_414_400),
            };
            notifier.publish(&outgoing).await?;
            let sent = outgoing.sns();
            ensure!(sent.is_json != is_for_q);
            let message = if is_for_q {
                sent.document
            } else {
                let document: Value = serde_json::from_str(&sent.document)?;
                document["default"]
                    .as_str()
                    .context("a default")?
                    .to_owned()
            };
            let delivered = moto.received().await?;
            ensure!(
                delivered["Message"] == message.as_str(),
                "{delivered:.200?}"
            );
            ensure!(
                delivered["Subject"] == sent.subject.as_str(),
                "{delivered:.200?}"
            );
            ensure!(serde_json::from_str::<Value>(&message)?.is_object());
        }
    }
    Ok(())
}

/// A server that answers every request with one error of SNS's.
async fn refusing(status: &str, code: &str, said: &str) -> Result<(String, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let body = format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error>\
         <Type>Sender</Type><Code>{code}</Code><Message>{said}</Message></Error>\
         <RequestId>1</RequestId></ErrorResponse>"
    );
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::SeqCst);
            let _ = answer_one(stream, &answer).await;
        }
    });
    Ok((url, count))
}

async fn answer_one(mut stream: TcpStream, answer: &str) -> Result<()> {
    let mut seen = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await?;
        seen.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&seen);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let head = head.to_ascii_lowercase();
            let length = head.split_once("content-length: ").map(|(_, rest)| rest);
            let length = length.and_then(|rest| rest.lines().next()?.trim().parse().ok());
            length.is_some_and(|length: usize| body.len() >= length)
        });
        if whole || read == 0 {
            break;
        }
    }
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

/// SNS's own codes, and what they mean for a notification: `tries` is how often one publish asks.
#[tokio::test]
async fn only_what_is_wrong_with_the_message_is_given_up() -> Result<()> {
    let forbidden = "User: arn:aws:iam::1:role/r is not authorized to perform: SNS:Publish";
    for (status, code, said, refused, tries) in [
        (
            "400 Bad Request",
            "InvalidParameter",
            "Invalid parameter: Subject",
            true,
            1,
        ),
        (
            "400 Bad Request",
            "ParameterValueInvalid",
            "Message too long",
            true,
            1,
        ),
        ("400 Bad Request", "ValidationException", "no", true, 1),
        (
            "400 Bad Request",
            "InvalidParameter",
            "Invalid parameter: TopicArn",
            false,
            1,
        ),
        ("403 Forbidden", "AuthorizationError", forbidden, false, 1),
        (
            "404 Not Found",
            "NotFound",
            "Topic does not exist",
            false,
            1,
        ),
        (
            "403 Forbidden",
            "ExpiredToken",
            "The security token is expired",
            false,
            1,
        ),
        (
            "403 Forbidden",
            "InvalidClientTokenId",
            "The token is invalid",
            false,
            1,
        ),
        (
            "403 Forbidden",
            "SignatureDoesNotMatch",
            "Check your key",
            false,
            1,
        ),
        ("400 Bad Request", "KMSAccessDenied", "no", false, 1),
        ("400 Bad Request", "KMSDisabled", "no", false, 1),
        ("400 Bad Request", "KMSNotFound", "no", false, 1),
        ("400 Bad Request", "EndpointDisabled", "no", false, 1),
        ("400 Bad Request", "KMSThrottling", "slow", false, 1),
        ("400 Bad Request", "Throttling", "Rate exceeded", false, 3),
        ("500 Internal Server Error", "InternalError", "no", false, 3),
        (
            "503 Service Unavailable",
            "ServiceUnavailable",
            "no",
            false,
            3,
        ),
    ] {
        let (url, count) = refusing(status, code, said).await?;
        let notifier = notifier(&url, SnsOptions::default())?;
        let outcome = publish(&notifier, &notification(&["a".to_owned()]), "alerts").await?;
        let expected = format!("publishing to {}: {code}: {said}", topic_arn("alerts"));
        let expected = if refused {
            PublishError::Refused(expected)
        } else {
            PublishError::Transient(expected)
        };
        ensure!(outcome == Err(expected), "{outcome:?}");
        let asked = count.load(Ordering::SeqCst);
        ensure!(asked == tries, "{code}: asked {asked} times");
    }
    Ok(())
}

#[tokio::test]
async fn what_does_not_answer_may_answer_later() -> Result<()> {
    // The kernel accepts the connection, and nothing reads it.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let silent = format!("http://{}", listener.local_addr()?);
    let closed = TcpListener::bind("127.0.0.1:0").await?;
    let closed_port = format!("http://{}", closed.local_addr()?);
    drop(closed);
    let options = SnsOptions {
        timeout: Duration::from_millis(900),
        attempt_timeout: Duration::from_millis(300),
        attempts: 2,
    };
    for url in [silent, closed_port] {
        let notifier = notifier(&url, options.clone())?;
        let outcome = publish(&notifier, &notification(&["a".to_owned()]), "alerts").await?;
        ensure!(
            matches!(outcome, Err(PublishError::Transient(_))),
            "{outcome:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn drops_a_notification_whose_receiver_was_removed() -> Result<()> {
    let notifier = notifier("http://127.0.0.1:1", SnsOptions::default())?;
    let mut notification = notification(&["a".to_owned()]);
    notification.integration = "sns[1]".to_owned();
    let outcome = publish(&notifier, &notification, "alerts").await?;
    ensure!(
        matches!(&outcome, Err(PublishError::Refused(said)) if said.contains("sns[1] of the receiver default")),
        "{outcome:?}"
    );
    Ok(())
}
