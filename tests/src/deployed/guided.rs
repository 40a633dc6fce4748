//! README's three commands, as a person goes through them: `sam deploy --guided` asks, and is
//! answered question by question; what was answered is kept, so that a changed threshold takes
//! `sam deploy` and no more; the test notification is sent by the command that the stack gives.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::local_aws::{Invoked, LocalAws, build};
use crate::parts;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const EMAIL: &str = "on-call@example.com";

#[tokio::test]
async fn a_person_deploys_it_by_the_readme() -> Result<()> {
    let (Some(sam), Some(ministack)) = (parts::sam(), parts::ministack()) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let project = folder.path();
    let built = project.join(".aws-sam/build");
    let to = built.clone();
    tokio::task::spawn_blocking(move || build(&to)).await??;
    let rules = lay_out(project, &built)?;
    let aws = LocalAws::start(&ministack, &sam).await?;

    let answers = |email: &str| {
        json!({
            "PrometheusUrl": "http://127.0.0.1:9",
            "Parameter Email": email,
            "Confirm changes before deploy": "y",
            // What only a local AWS takes.
            "EndpointUrl": aws.url,
            "ConfigDir": project.join("config/dnswatch"),
        })
    };
    let guided = async |email: &str| {
        let mut answers = answers(email);
        answers["Deploy this changeset?"] = json!("y");
        aws.person(project, &["deploy", "--guided"], &answers).await
    };

    // A typo is reported with the name of the parameter, and nothing is deployed.
    let slip = aws
        .person(project, &["deploy", "--guided"], &answers("nobody"))
        .await;
    let slip = slip.err().context("it was deployed")?.to_string();
    let notified =
        |line: &str| line.contains("Email") && line.contains("must be an e-mail address");
    ensure!(slip.lines().any(notified), "{slip}");
    ensure!(aws.outputs().await.is_err(), "there is a stack");

    let said = guided(EMAIL).await?;
    let done = "Successfully created/updated stack - dnswatch";
    ensure!(said.contains(done), "{said}");
    test_notification(&aws).await?;

    // The answers are kept, and the rules are all that changes.
    let text = fs::read_to_string(&rules)?;
    ensure!(text.contains("[2m]"), "{text}");
    fs::write(&rules, text.replace("[2m]", "[3m]"))?;
    let answers = json!({"Deploy this changeset?": "y"});
    let said = aws.person(project, &["deploy"], &answers).await?;
    ensure!(said.contains(done), "{said}");
    ensure!(said.contains("ConfigLayer"), "{said}");
    ensure!(!said.contains("Parameter Email ["), "{said}");
    Ok(())
}

/// What a clone has after `sam build`; its rule file.
fn lay_out(project: &Path, built: &Path) -> Result<std::path::PathBuf> {
    let repository = Path::new(REPOSITORY);
    fs::copy(
        repository.join("samconfig.toml"),
        project.join("samconfig.toml"),
    )?;
    let rules = project.join("config/dnswatch/rules");
    fs::create_dir_all(&rules)?;
    let file = rules.join("link-local.yml");
    fs::copy(repository.join("rules/link-local.yml"), &file)?;
    // It was built elsewhere: there the layer's folder has another way to it.
    let template = built.join("template.yaml");
    let text = fs::read_to_string(&template)?;
    let layer = text
        .lines()
        .find(|line| line.trim().starts_with("ContentUri:") && line.ends_with("/config"))
        .context("the layer's folder")?;
    let here = "      ContentUri: ../../config";
    fs::write(&template, text.replace(layer, here))?;
    Ok(file)
}

/// Sends the test notification with what the output `TestNotification` says, which is for the AWS
/// CLI.
async fn test_notification(aws: &LocalAws) -> Result<()> {
    let outputs = aws.outputs().await?;
    let command = outputs["TestNotification"].as_str().context("a command")?;
    let payload = command.split('\'').nth(1).context("a payload")?;
    let function = outputs["RulerFunctionName"].as_str().context("a name")?;
    ensure!(command.contains(&format!("--function-name {function} ")));
    let event: Value = serde_json::from_str(payload)?;
    let answer = match aws.invoke_with(function, &event).await? {
        Invoked::Answered(answer) => answer,
        Invoked::Failed(kind, error) => anyhow::bail!("{kind}: {error}"),
    };
    let topic = &answer["topics"][0];
    ensure!(topic["published"] == true, "{answer}");
    let subscribers = topic["subscribers"].as_array().context("subscribers")?;
    // Whether they have confirmed this AWS does not ask: it takes them as they come.
    let is_named = subscribers.iter().any(|them| them["endpoint"] == EMAIL);
    ensure!(is_named, "{answer}");
    Ok(())
}
