//! A real HTTP DynamoDB with the table that the stack makes.

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType, TimeToLiveSpecification,
};
use aws_types::SdkConfig;
use backends::aws::sdk_config;
use backends::http::{self, HttpOptions};
use backends::state::DynamoStore;

use super::WORKSPACE;
use super::time::HandClock;
use crate::leash::Leash;
use crate::parts;

/// Far longer than a start takes on a busy machine; only a server that hangs meets it.
const START: Duration = Duration::from_secs(120);

/// The table's name.
pub(super) const TABLE: &str = "dnswatch-state";

/// An item as the SDK has it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// A server with an empty table.
pub(super) struct Dynamo {
    pub(super) name: &'static str,
    pub(super) url: String,
    pub(super) clock: HandClock,
    _process: Leash,
}

/// All the servers that can be had.
#[track_caller]
pub(super) fn servers() -> impl Future<Output = Result<Vec<Dynamo>>> {
    let moto = parts::moto().map(|program| {
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        ("moto", command)
    });
    let ministack = parts::ministack().map(|program| {
        let mut command = Command::new(program);
        command.envs([
            ("BIND_HOST", "127.0.0.1"),
            ("MINISTACK_HOST", "127.0.0.1"),
            ("GATEWAY_PORT", "0"),
            ("IOT_MTLS_ENABLED", "0"),
        ]);
        ("ministack", command)
    });
    async {
        let mut servers = Vec::new();
        for (name, command) in moto.into_iter().chain(ministack) {
            servers.push(Dynamo::start(name, &command).await?);
        }
        Ok(servers)
    }
}

impl Dynamo {
    async fn start(name: &'static str, command: &Command) -> Result<Self> {
        let process = Leash::start(command)?;
        // The kernel chooses a free port, and the log names it: no other process can take it in
        // between.
        let url = process
            .says(START, |line| {
                let (_, rest) = line.split_once("Running on ")?;
                Some(rest.split(' ').next()?.to_owned())
            })
            .await?;
        let server = Self {
            name,
            url,
            clock: HandClock::at(1_800_000_000),
            _process: process,
        };
        server.create_table().await.context(name)?;
        // moto's threads make a partition at its first use, unguarded: of chunks that are written
        // at once into a new one it may lose some. Whatever asks for an item makes it.
        server.delete(WORKSPACE, "nothing").await.context(name)?;
        Ok(server)
    }

    /// The SDK's configuration for this server, or for a proxy before it.
    pub(super) fn config(url: &str) -> Result<SdkConfig> {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        Ok(sdk_config(
            http::client(&HttpOptions::default())?,
            "eu-central-1",
            SharedCredentialsProvider::new(credentials),
            Some(url),
        ))
    }

    /// The store of a workspace.
    pub(super) fn store(&self, workspace: &str) -> Result<DynamoStore<HandClock>> {
        self.store_by(&self.url, workspace)
    }

    /// The store of a workspace, reached by `url`.
    pub(super) fn store_by(&self, url: &str, workspace: &str) -> Result<DynamoStore<HandClock>> {
        let config = Self::config(url)?;
        Ok(DynamoStore::new(
            &config,
            TABLE,
            workspace,
            self.clock.clone(),
        ))
    }

    /// The server as AWS's own client sees it.
    pub(super) fn client(&self) -> Result<Client> {
        Ok(Client::new(&Self::config(&self.url)?))
    }

    async fn create_table(&self) -> Result<()> {
        let client = self.client()?;
        let mut create = client
            .create_table()
            .table_name(TABLE)
            .billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [("id", KeyType::Hash), ("part", KeyType::Range)] {
            create = create
                .key_schema(
                    KeySchemaElement::builder()
                        .attribute_name(name)
                        .key_type(kind)
                        .build()?,
                )
                .attribute_definitions(
                    AttributeDefinition::builder()
                        .attribute_name(name)
                        .attribute_type(ScalarAttributeType::S)
                        .build()?,
                );
        }
        create.send().await?;
        let ttl = TimeToLiveSpecification::builder()
            .attribute_name("expires_at")
            .enabled(true)
            .build()?;
        client
            .update_time_to_live()
            .table_name(TABLE)
            .time_to_live_specification(ttl)
            .send()
            .await?;
        Ok(())
    }

    /// All items of a workspace, by their sort key.
    pub(super) async fn items(&self, workspace: &str) -> Result<Vec<(String, Item)>> {
        let client = self.client()?;
        let mut items = Vec::new();
        let mut from = None;
        loop {
            let page = client
                .query()
                .table_name(TABLE)
                .key_condition_expression("id = :id")
                .expression_attribute_values(":id", AttributeValue::S(workspace.to_owned()))
                .consistent_read(true)
                .set_exclusive_start_key(from)
                .send()
                .await?;
            for item in page.items.unwrap_or_default() {
                let part = item["part"].as_s().ok().context("a sort key")?.clone();
                items.push((part, item));
            }
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                ensure!(items.is_sorted_by_key(|(part, _)| part));
                return Ok(items);
            }
        }
    }

    /// Writes an item as it is.
    pub(super) async fn put(&self, item: Item) -> Result<()> {
        let put = self.client()?.put_item().table_name(TABLE);
        put.set_item(Some(item)).send().await?;
        Ok(())
    }

    /// Deletes an item.
    pub(super) async fn delete(&self, workspace: &str, part: &str) -> Result<()> {
        self.client()?
            .delete_item()
            .table_name(TABLE)
            .key("id", AttributeValue::S(workspace.to_owned()))
            .key("part", AttributeValue::S(part.to_owned()))
            .send()
            .await?;
        Ok(())
    }
}

/// What an attribute carries, in bytes.
pub(super) fn size(item: &Item) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        _ => 0,
    };
    item.iter()
        .map(|(name, attribute)| name.len() + value(attribute))
        .sum()
}
