//! Another account's topic: published to by the role that `sigv4` names, and by nothing else.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};

use super::ground::{self, Ground, next_second, run_until};
use super::sent;
use crate::front::{Answer, Front, Request};

const ROLE: &str = "arn:aws:iam::210987654321:role/dnswatch-publishes";

/// The access key that a request is signed with.
fn access_key(request: &Request) -> Option<&str> {
    let (_, rest) = request.head.split_once("Credential=")?;
    Some(rest.split_once('/')?.0)
}

#[tokio::test]
async fn another_accounts_topic_is_published_to_by_its_role() -> Result<()> {
    let Some(ground) = Ground::prepare().await? else {
        return Ok(());
    };
    let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
    let all = Arc::clone(&seen);
    let aws = Front::start(&ground.aws, move |request: &Request| {
        all.lock().unwrap().push(request.clone());
        None::<Answer>
    })
    .await?;
    ground.write(
        "alertmanager.yml",
        &format!(
            "route: {{receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1s, \
             repeat_interval: 1s}}\n\
             receivers: [{{name: team, sns_configs: [{{topic_arn: '{}', \
             sigv4: {{region: {}, role_arn: '{ROLE}', external_id: ours}}}}]}}]\n",
            ground.topic,
            ground::REGION
        ),
    )?;
    let function = ground.function(&[("AWS_ENDPOINT_URL", &aws.url)])?;
    for _ in 0..2 {
        run_until(&function, sent).await?;
        ground.webhook().await?.context("a message")?;
        next_second().await;
    }
    let seen = seen.lock().unwrap();
    let with = |action: &str| {
        let action = format!("Action={action}&");
        let is = move |request: &&Request| String::from_utf8_lossy(&request.body).contains(&action);
        seen.iter().filter(is).collect::<Vec<_>>()
    };
    let assumed = with("AssumeRole");
    ensure!(assumed.len() == 1, "once for many: {}", assumed.len());
    ensure!(
        access_key(assumed[0]) == Some("AKIDEXAMPLE"),
        "{:?}",
        assumed[0].head
    );
    let asked = String::from_utf8_lossy(&assumed[0].body);
    ensure!(
        asked.contains("role%2Fdnswatch-publishes") && asked.contains("ExternalId=ours"),
        "{asked}"
    );
    let published = with("Publish");
    ensure!(published.len() == 2, "{}", published.len());
    for request in published {
        let key = access_key(request).context("a signature")?;
        // Temporary keys begin so.
        ensure!(key.starts_with("ASIA"), "{key}");
        ensure!(
            !request.head.contains(ground::TOKEN),
            "our own session's token"
        );
    }
    for secret in [ground::SECRET, ground::TOKEN] {
        ensure!(!ground.log().contains(secret), "a secret in the log");
    }
    Ok(())
}
