//! An AWS of a topic, its queue with dead letters, a table and a secret, and a function on it.
//! The test stands for Lambda's poller: it receives a batch, hands it over, deletes what did not
//! fail.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_lambda_events::event::sqs::SqsEvent;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use backends::http::HttpOptions;
use delivery::environment::Environment;
use delivery::outcome::Log;
use delivery::secret::Secret;
use delivery::{Channel, Function, Run};
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::leash::Leash;

const REGION: &str = "eu-central-1";
const TABLE: &str = "state";
/// The secret's name.
pub(crate) const SECRET: &str = "secret";
/// No log, error or item may hold it: it is in every secret.
pub(crate) const CANARY: &str = "cAnArY7f3a";
/// How often a record is received before it is a dead letter.
pub(crate) const MAX_RECEIVE: usize = 3;

/// All of it, with the function on it and the server that stands in for its service.
pub(crate) struct World<S, C> {
    pub(crate) service: S,
    pub(crate) function: Function<C>,
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
    table: aws_sdk_dynamodb::Client,
    secrets: aws_sdk_secretsmanager::Client,
    topic: String,
    queue: String,
    pub(crate) queue_arn: String,
    dead: String,
    log: Arc<Mutex<Vec<String>>>,
    runs: AtomicUsize,
    _moto: Leash,
}

/// What a run did.
pub(crate) struct Ran {
    /// How many records were in the batch.
    pub(crate) received: usize,
    /// How many of them failed.
    pub(crate) failed: usize,
    /// The log's lines, in the order of the records.
    pub(crate) log: Vec<Value>,
}

impl<S, C: Channel> World<S, C> {
    /// Starts with that in the secret, and the function that `function` makes.
    pub(crate) async fn start(
        moto: &std::path::Path,
        service: S,
        secret: &str,
        function: impl FnOnce(Environment, Log) -> Result<Function<C>>,
    ) -> Result<Self> {
        let mut command = Command::new(moto);
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        let leash = Leash::start(&command)?;
        let endpoint = |line: &str| {
            let at = line.find("http://127.0.0.1:")?;
            line.get(at..)?.split_whitespace().next().map(str::to_owned)
        };
        let endpoint = leash.says(Duration::from_secs(60), endpoint).await?;
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let sdk = backends::aws::sdk_config(
            backends::http::client(&HttpOptions::default())?,
            REGION,
            SharedCredentialsProvider::new(credentials.clone()),
            Some(&endpoint),
        );
        let sns = aws_sdk_sns::Client::new(&sdk);
        let sqs = aws_sdk_sqs::Client::new(&sdk);
        let table = aws_sdk_dynamodb::Client::new(&sdk);
        let secrets = aws_sdk_secretsmanager::Client::new(&sdk);

        let (dead, dead_arn) = queue(&sqs, "dead", None).await?;
        let (queue, queue_arn) = queue(&sqs, "notifications", Some(&dead_arn)).await?;
        let topic = sns.create_topic().name("alerts").send().await?;
        let topic = topic.topic_arn().context("a topic")?.to_owned();
        let subscribe = sns.subscribe().topic_arn(&topic).protocol("sqs");
        subscribe.endpoint(&queue_arn).send().await?;
        create_table(&table).await?;
        secrets
            .create_secret()
            .name(SECRET)
            .secret_string(secret)
            .send()
            .await?;

        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        let function = function(
            Environment {
                region: REGION.to_owned(),
                credentials,
                table: TABLE.to_owned(),
                queue_url: queue.clone(),
                endpoint_url: Some(endpoint),
            },
            Arc::new(move |line: &str| {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(line.to_owned());
            }),
        )?;
        Ok(Self {
            service,
            function,
            sns,
            sqs,
            table,
            secrets,
            topic,
            queue,
            queue_arn,
            dead,
            log,
            runs: AtomicUsize::new(0),
            _moto: leash,
        })
    }

    /// Publishes as the ruler does: bodies by protocol.
    pub(crate) async fn publish(&self, message: &str) -> Result<()> {
        let bodies = json!({"default": message, "email": "for people"}).to_string();
        let publish = self.sns.publish().topic_arn(&self.topic).message(bodies);
        publish.message_structure("json").send().await?;
        Ok(())
    }

    /// Publishes a plain text.
    pub(crate) async fn publish_text(&self, subject: &str, text: &str) -> Result<()> {
        let publish = self.sns.publish().topic_arn(&self.topic);
        publish.subject(subject).message(text).send().await?;
        Ok(())
    }

    /// Puts a message into the queue as a raw subscription does.
    pub(crate) async fn send_raw(&self, body: &str) -> Result<()> {
        self.sqs
            .send_message()
            .queue_url(&self.queue)
            .message_body(body)
            .send()
            .await?;
        Ok(())
    }

    /// Hands over the next batch, with so much time to spare.
    pub(crate) async fn run_within(&mut self, time: i64) -> Result<Ran> {
        let batch = self.receive(&self.queue).await?;
        let records: Vec<Value> = batch.iter().map(|message| self.record(message)).collect();
        let received = records.len();
        let event: SqsEvent = serde_json::from_value(json!({"Records": records}))?;
        let failed = self.hand_over(event, time).await?;
        for message in &batch {
            let id = message.message_id().unwrap_or_default();
            if !failed.iter().any(|failed| failed == id) {
                let delete = self.sqs.delete_message().queue_url(&self.queue);
                delete
                    .set_receipt_handle(message.receipt_handle.clone())
                    .send()
                    .await?;
            }
        }
        let log = self.notified()?;
        ensure!(log.len() == received, "{received} records: {log:?}");
        let items = self.table.scan().table_name(TABLE).send().await?;
        ensure!(
            !format!("{items:?}").contains(CANARY),
            "the secret is in the table"
        );
        Ok(Ran {
            received,
            failed: failed.len(),
            log,
        })
    }

    /// Hands over an event of its own: the ids of the records that failed.
    pub(crate) async fn hand_over(&self, event: SqsEvent, time: i64) -> Result<Vec<String>> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let deadline = Timestamp::now().checked_add(time.seconds())?;
        let id = format!("run-{run}");
        let run = Run { id: &id, deadline };
        let answer = self.function.handle(event, run).await?;
        let answer = serde_json::to_value(answer)?;
        Ok(answer["batchItemFailures"]
            .as_array()
            .context("failures")?
            .iter()
            .filter_map(|failure| failure["itemIdentifier"].as_str())
            .map(str::to_owned)
            .collect())
    }

    /// What the log said since it was last asked for.
    pub(crate) fn notified(&self) -> Result<Vec<Value>> {
        let log = std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner));
        for line in &log {
            ensure!(!line.contains(CANARY), "the secret is in the log: {line}");
        }
        Ok(log
            .iter()
            .map(|line| serde_json::from_str(line))
            .collect::<Result<_, _>>()?)
    }

    /// An event of these messages, as a raw subscription delivers them.
    pub(crate) fn event(&self, messages: &[String]) -> Result<SqsEvent> {
        let records = messages.iter().enumerate().map(|(at, message)| {
            json!({
                "messageId": format!("record-{at}"),
                "receiptHandle": "none",
                "body": message,
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": self.queue_arn,
                "awsRegion": REGION,
            })
        });
        let records: Vec<Value> = records.collect();
        Ok(serde_json::from_value(json!({"Records": records}))?)
    }

    /// Hands over the next batch.
    pub(crate) async fn run(&mut self) -> Result<Ran> {
        self.run_within(30).await
    }

    /// Whether there is nothing to hand over.
    pub(crate) async fn is_empty(&self) -> Result<bool> {
        let receive = self.sqs.receive_message().queue_url(&self.queue);
        let answer = receive
            .max_number_of_messages(10)
            .wait_time_seconds(0)
            .send()
            .await?;
        Ok(answer.messages.unwrap_or_default().is_empty())
    }

    /// The bodies of the dead letters.
    pub(crate) async fn dead_letters(&self) -> Result<Vec<String>> {
        let messages = self.receive(&self.dead).await?;
        Ok(messages
            .into_iter()
            .filter_map(|message| message.body)
            .collect())
    }

    /// Changes the secret.
    pub(crate) async fn put_secret(&self, secret: &str) -> Result<()> {
        self.secrets
            .put_secret_value()
            .secret_id(SECRET)
            .secret_string(secret)
            .send()
            .await?;
        Ok(())
    }

    /// The secret, as a function keeps it.
    pub(crate) fn secret(&self) -> Secret<String> {
        Secret::new(self.secrets.clone(), SECRET.to_owned(), |secret| {
            Ok(secret.to_owned())
        })
    }

    /// Takes the secret away for a while.
    pub(crate) async fn hide_secret(&self) -> Result<()> {
        self.secrets
            .delete_secret()
            .secret_id(SECRET)
            .send()
            .await?;
        Ok(())
    }

    /// Brings it back.
    pub(crate) async fn show_secret(&self) -> Result<()> {
        self.secrets
            .restore_secret()
            .secret_id(SECRET)
            .send()
            .await?;
        Ok(())
    }

    /// Puts an item that a run, which is no more, left behind: the claim of a notification.
    pub(crate) async fn claimed(&self, notification: &str, until: Timestamp) -> Result<()> {
        let text = |text: String| AttributeValue::S(text);
        let put = self.table.put_item().table_name(TABLE);
        put.item(
            "id",
            text(format!("{}#{}#{notification}", C::NAME, self.queue_arn)),
        )
        .item("part", text("posted".to_owned()))
        .item("claimed_by", text("another".to_owned()))
        .item(
            "claimed_until",
            AttributeValue::N(until.as_second().to_string()),
        )
        .send()
        .await?;
        Ok(())
    }

    /// When the items in the table expire, in seconds since the epoch: all of them do.
    pub(crate) async fn expiries(&self) -> Result<Vec<i64>> {
        let items = self.table.scan().table_name(TABLE).send().await?;
        ensure!(!items.items().is_empty(), "nothing is remembered");
        let expiry = |item: &std::collections::HashMap<String, AttributeValue>| {
            let value = item.get("expires_at").and_then(|value| value.as_n().ok());
            Ok(value.context("an item that never expires")?.parse()?)
        };
        items.items().iter().map(expiry).collect()
    }

    /// Waits up to 20 seconds for a message, then takes all that are there. A second at a time: what
    /// is silent for five the SDK takes for stalled, and the message is lost that comes then.
    async fn receive(&self, queue: &str) -> Result<Vec<Message>> {
        for _ in 0..20 {
            let receive = self
                .sqs
                .receive_message()
                .queue_url(queue)
                .max_number_of_messages(10);
            let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
            let answer = receive.wait_time_seconds(1).send().await?;
            let messages = answer.messages.unwrap_or_default();
            if !messages.is_empty() {
                return Ok(messages);
            }
        }
        Ok(Vec::new())
    }

    /// A message as Lambda hands it over.
    fn record(&self, message: &Message) -> Value {
        let attributes = message.attributes.iter().flatten();
        let attributes: serde_json::Map<String, Value> = attributes
            .map(|(name, value)| (name.as_str().to_owned(), json!(value)))
            .collect();
        json!({
            "messageId": message.message_id(),
            "receiptHandle": message.receipt_handle(),
            "body": message.body(),
            "attributes": attributes,
            "messageAttributes": {},
            "md5OfBody": message.md5_of_body(),
            "eventSource": "aws:sqs",
            "eventSourceARN": self.queue_arn,
            "awsRegion": REGION,
        })
    }
}

/// A queue whose messages stay hidden for half a day, unless the function says otherwise.
async fn queue(
    sqs: &aws_sdk_sqs::Client,
    name: &str,
    dead: Option<&str>,
) -> Result<(String, String)> {
    let redrive = dead.map(|dead| {
        json!({"deadLetterTargetArn": dead, "maxReceiveCount": MAX_RECEIVE}).to_string()
    });
    let mut create = sqs.create_queue().queue_name(name);
    create = create.attributes(QueueAttributeName::VisibilityTimeout, "43200");
    if let Some(redrive) = redrive {
        create = create.attributes(QueueAttributeName::RedrivePolicy, redrive);
    }
    let url = create.send().await?.queue_url.context("a queue")?;
    let get = sqs.get_queue_attributes().queue_url(&url);
    let attributes = get
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await?;
    let arn = attributes.attributes.context("attributes")?;
    let arn = arn
        .get(&QueueAttributeName::QueueArn)
        .context("an ARN")?
        .clone();
    Ok((url, arn))
}

/// The state's table, as the template makes it.
async fn create_table(client: &aws_sdk_dynamodb::Client) -> Result<()> {
    let mut create = client.create_table().table_name(TABLE);
    for (name, kind) in [("id", KeyType::Hash), ("part", KeyType::Range)] {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        let attribute = attribute.attribute_type(ScalarAttributeType::S).build()?;
        let key = KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()?;
        create = create.attribute_definitions(attribute).key_schema(key);
    }
    create
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await?;
    Ok(())
}
