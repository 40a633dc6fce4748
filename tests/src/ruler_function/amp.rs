//! The workspace's own rules and routing, from moto; its alert manager definition, which moto
//! lacks, from a page that botocore's model of the service is the judge of.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_amp::primitives::Blob;
use backends::amp::Amp;
use backends::sts::AssumedRole;
use serde_json::{Value, json};

use super::ground::{self, Ground, invoke, run_until};
use super::sent;
use crate::front::{Answer, Front, Request};
use crate::parts;

const JUDGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/amp/parse.py");

/// The answer of `DescribeAlertManagerDefinition`, as the service gives it.
fn described(definition: &str) -> String {
    json!({
        "alertManagerDefinition": {
            "createdAt": 1_700_000_000.5,
            "data": base64(definition.as_bytes()),
            "modifiedAt": 1_700_000_000.5,
            "status": {"statusCode": "ACTIVE"},
        },
    })
    .to_string()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = three
            .iter()
            .chain(&[0, 0])
            .take(3)
            .fold(0usize, |number, byte| number << 8 | usize::from(*byte));
        for place in 0..4 {
            let digit = DIGITS[number >> (18 - 6 * place) & 63];
            text.push(if place > three.len() {
                '='
            } else {
                char::from(digit)
            });
        }
    }
    text
}

fn is_definition(request: &Request) -> bool {
    let line = request.line();
    line.starts_with("GET /workspaces/") && line.ends_with("/alertmanager/definition")
}

/// What botocore makes of an answer to `operation`; an error if its model would not have it.
fn judged(python: &Path, operation: &str, status: u16, body: &str) -> Result<Value> {
    let mut child = Command::new(python)
        .arg(JUDGE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let given = json!({"operation": operation, "status": status, "body": body});
    let mut input = child.stdin.take().context("stdin")?;
    writeln!(input, "{given}")?;
    drop(input);
    let said = child.wait_with_output()?;
    if !said.status.success() {
        bail!("{}", String::from_utf8_lossy(&said.stderr));
    }
    Ok(serde_json::from_slice(&said.stdout)?)
}

#[test]
fn the_stub_answers_as_the_service_model_has_it() -> Result<()> {
    let Some(python) = parts::python() else {
        return Ok(());
    };
    let operation = "DescribeAlertManagerDefinition";
    let definition = "alertmanager_config: |\n  route: {receiver: é}\n";
    let read = judged(&python, operation, 200, &described(definition))?;
    assert_eq!(read["alertManagerDefinition"]["data"], definition);
    // The judge sees what it is there to see.
    for (from, to) in [
        ("\"data\"", "\"date\""),
        ("ACTIVE", "FINE"),
        ("1700000000.5", "\"yesterday\""),
        ("{\"alertManagerDefinition\"", "{\"definition\""),
    ] {
        let changed = described(definition).replace(from, to);
        ensure!(
            judged(&python, operation, 200, &changed).is_err(),
            "{changed}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_workspace_returns_its_endpoint_rules_and_routing() -> Result<()> {
    let Some(moto) = parts::moto() else {
        return Ok(());
    };
    let (_process, url) = ground::moto(&moto).await?;
    let definition = |request: &Request| -> Option<Answer> {
        is_definition(request).then(|| (200, "application/json", described("route: {}")))
    };
    let front = Front::start(&url, definition).await?;
    let sdk = ground::sdk(&front.url)?;
    let client = aws_sdk_amp::Client::new(&sdk);
    let created = client.create_workspace().alias("dns").send().await?;
    let id = created.workspace_id().to_owned();
    for (name, data) in [("dns", ground::RULES), ("also-this", "groups: []\n")] {
        client
            .create_rule_groups_namespace()
            .workspace_id(&id)
            .name(name)
            .data(Blob::new(data))
            .send()
            .await?;
    }
    let amp = Amp::new(&sdk, &id);
    let endpoint = amp.endpoint().await?;
    let expected = format!(
        "https://aps-workspaces.{}.amazonaws.com/workspaces/{id}",
        ground::REGION
    );
    assert_eq!(endpoint.trim_end_matches('/'), expected);
    let files = amp.rule_files().await?;
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, [format!("{id}/also-this"), format!("{id}/dns")]);
    assert_eq!(files[1].text, ground::RULES);
    let definition = amp
        .alert_manager_definition()
        .await?
        .context("it is there")?;
    assert_eq!(definition.text, "route: {}");

    let nowhere = Amp::new(&sdk, "ws-00000000-0000-0000-0000-000000000000");
    for error in [
        nowhere.endpoint().await.err(),
        nowhere.rule_files().await.err(),
    ] {
        let error = error.context("there is no such workspace")?.to_string();
        ensure!(
            error.starts_with("there is no workspace ws-00000000-")
                && error.contains(ground::REGION)
                && !error.contains('\n'),
            "{error}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_function_runs_on_what_the_workspace_keeps() -> Result<()> {
    let Some(ground) = Ground::prepare().await? else {
        return Ok(());
    };
    let alertmanager = ground
        .alertmanager()
        .replace("name: team", "name: amp")
        .replace("receiver: team", "receiver: amp");
    let config = alertmanager.replace("\n", "\n  ");
    let definition = format!("alertmanager_config: |\n  {}\n", config.trim_end());
    let front = Front::start(&ground.aws, move |request| {
        is_definition(request).then(|| (200, "application/json", described(&definition)))
    })
    .await?;
    let client = aws_sdk_amp::Client::new(ground.sdk());
    let created = client.create_workspace().send().await?;
    let id = created.workspace_id().to_owned();
    client
        .create_rule_groups_namespace()
        .workspace_id(&id)
        .name("dns")
        .data(Blob::new(ground::RULES))
        .send()
        .await?;
    // What the layer has does not matter.
    ground.write("rules/dns.yml", "groups: 1")?;
    let environment = [
        ("RULES_FROM", "amp"),
        ("AMP_WORKSPACE", id.as_str()),
        ("AWS_ENDPOINT_URL", front.url.as_str()),
    ];
    let function = ground.function(&environment)?;
    run_until(&function, sent).await?;
    let webhook = ground.webhook().await?.context("a message")?;
    assert_eq!(webhook["receiver"], "amp", "{webhook}");
    assert_eq!(
        webhook["alerts"][0]["labels"]["alertname"],
        "LinkLocalThrottling"
    );
    // Run after run, it was asked once.
    assert_eq!(front.answered.lock().unwrap().len(), 1);
    ensure!(ground.state(&id).await?.is_some());

    let unknown = ground.function(&[
        ("AMP_WORKSPACE", "ws-00000000-0000-0000-0000-000000000000"),
        ("PROMETHEUS_URL", ""),
    ])?;
    let error = invoke(&unknown)
        .await
        .expect_err("it is not there")
        .to_string();
    ensure!(
        error.starts_with("there is no workspace ws-00000000-"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn a_role_is_assumed_for_as_long_as_it_says() -> Result<()> {
    let Some(moto) = parts::moto() else {
        return Ok(());
    };
    let (_process, url) = ground::moto(&moto).await?;
    let role = "arn:aws:iam::123456789012:role/reader";
    let provider = AssumedRole::new(&ground::sdk(&url)?, role, "dnswatch-ruler");
    let credentials = provider.provide_credentials().await?;
    ensure!(credentials.secret_access_key() != ground::SECRET);
    ensure!(credentials.session_token().is_some());
    let expiry = credentials.expiry().context("they expire")?;
    ensure!(expiry > std::time::SystemTime::now());

    let refusing = Front::start(&url, |_| {
        let body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>User x is not \
                    authorized\nto y</Message></Error></ErrorResponse>";
        Some((403, "text/xml", body.to_owned()))
    })
    .await?;
    let provider = AssumedRole::new(&ground::sdk(&refusing.url)?, role, "dnswatch-ruler");
    let error = provider.provide_credentials().await.expect_err("refused");
    let source = std::error::Error::source(&error)
        .context("why")?
        .to_string();
    assert_eq!(
        source,
        format!("AssumeRole of {role}: AccessDenied: User x is not authorized")
    );
    Ok(())
}
