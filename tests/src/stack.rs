//! `template.yaml`: by the judges that CloudFormation's people use, and against the code that it
//! deploys: [`alarms`], [`policies`] and [`numbers`] say what does not agree, and are themselves
//! tested by the faults in [`planted`].

mod alarms;
mod numbers;
mod planted;
mod policies;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use aws_lambda_events::event::sqs::SqsEvent;
use delivery::envelope::Delivery;
use delivery::message::Message;
use serde_json::Value;
use slack::render::{self, Circumstances};

use crate::parts;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const READ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/stack/read.py");

/// The SDK crates that the functions may call AWS by.
const SERVICES: [&str; 6] = ["amp", "dynamodb", "secretsmanager", "sns", "sqs", "sts"];

/// What the ruler's role may do that no call of the SDK shows.
const RULER_BESIDES: [(&str, &str); 6] = [
    (
        "aps:ListAlertManagerSilences",
        "our own client of the workspace's alert manager",
    ),
    ("aps:QueryMetrics", "our own client of the Prometheus API"),
    (
        "kms:Decrypt",
        "SNS, in the publisher's name, for an encrypted topic",
    ),
    (
        "kms:GenerateDataKey",
        "SNS, in the publisher's name, for an encrypted topic",
    ),
    ("logs:CreateLogStream", "Lambda, in the function's name"),
    ("logs:PutLogEvents", "Lambda, in the function's name"),
];

/// The same of the roles of the functions behind queues.
const QUEUE_BESIDES: [(&str, &str); 6] = [
    (
        "kms:Decrypt",
        "SQS and Secrets Manager, in the reader's name",
    ),
    ("logs:CreateLogStream", "Lambda, in the function's name"),
    ("logs:PutLogEvents", "Lambda, in the function's name"),
    (
        "sqs:DeleteMessage",
        "Lambda, which empties the queue in the function's name",
    ),
    (
        "sqs:GetQueueAttributes",
        "Lambda, which empties the queue in the function's name",
    ),
    (
        "sqs:ReceiveMessage",
        "Lambda, which empties the queue in the function's name",
    ),
];

/// Lambda sets these itself.
const LAMBDAS_OWN: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

/// Runs a judge in the project's folder, as its developers do, and shows what it said if it is not
/// content.
#[track_caller]
fn content(program: &Path, arguments: &[&str]) -> Result<Output> {
    let said = judge(program, arguments)?;
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(said)
}

fn judge(program: &Path, arguments: &[&str]) -> Result<Output> {
    Command::new(program)
        .args(arguments)
        .current_dir(ROOT)
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .env("SAM_CLI_TELEMETRY", "0")
        .output()
        .with_context(|| program.display().to_string())
}

#[test]
fn cfn_lint_has_nothing_to_say() -> Result<()> {
    let Some(cfn_lint) = parts::cfn_lint() else {
        return Ok(());
    };
    let said = content(
        &cfn_lint,
        &["--non-zero-exit-code", "informational", "template.yaml"],
    )?;
    assert!(said.stdout.is_empty(), "{said:?}");
    Ok(())
}

#[test]
fn sam_finds_it_valid() -> Result<()> {
    let Some(sam) = parts::sam() else {
        return Ok(());
    };
    content(&sam, &["validate", "--lint"])?;
    Ok(())
}

/// Every exception stands in the template, with its reason; no other is made here.
#[test]
fn checkov_finds_no_failing() -> Result<()> {
    let Some(checkov) = parts::checkov() else {
        return Ok(());
    };
    let arguments = ["--file", "template.yaml", "--framework", "cloudformation"];
    let more = ["--skip-download", "--compact", "--output", "json"];
    let said = content(&checkov, &[arguments.as_slice(), &more].concat())?;
    let report: Value = serde_json::from_slice(&said.stdout)?;
    let count = |what: &str| report["summary"][what].as_u64().context("a count");
    assert_eq!(count("failed")?, 0);
    assert_eq!(count("parsing_errors")?, 0);
    assert!(count("passed")? > 30, "{}", report["summary"]);
    let skipped = report["results"]["skipped_checks"]
        .as_array()
        .context("a list")?;
    assert_eq!(
        u64::try_from(skipped.len())?,
        count("skipped")?,
        "{skipped:?}"
    );
    for check in skipped {
        let reason = check["check_result"]["suppress_comment"].as_str();
        assert!(reason.is_some_and(|reason| reason.len() > 20), "{check}");
    }
    Ok(())
}

/// The template and the services' own names of what can be asked of them.
struct Stack {
    template: Value,
    actions: Value,
}

impl Stack {
    fn read(sam: &Path) -> Result<Self> {
        let python = sam.with_file_name("python");
        let said = content(
            &python,
            &[&[READ, "template.yaml"], SERVICES.as_slice()].concat(),
        )?;
        let mut read: Value = serde_json::from_slice(&said.stdout)?;
        Ok(Self {
            template: read["template"].take(),
            actions: read["actions"].take(),
        })
    }

    fn properties(&self, resource: &str) -> &Value {
        &self.template["Resources"][resource]["Properties"]
    }

    /// The resources of a type, by their names.
    fn of_type(&self, kind: &str) -> Vec<(&str, &Value)> {
        let all = self.template["Resources"].as_object();
        let all = all.into_iter().flatten();
        all.filter(|(_, resource)| resource["Type"] == kind)
            .map(|(name, resource)| (name.as_str(), resource))
            .collect()
    }

    /// The number at a place in `Resources`; it may be written as text.
    fn number(&self, path: &str) -> f64 {
        match self.template.pointer(&format!("/Resources/{path}")) {
            Some(Value::String(text)) => text.parse().unwrap_or(f64::NAN),
            Some(value) => value.as_f64().unwrap_or(f64::NAN),
            None => f64::NAN,
        }
    }

    /// How long a record of a queue waits after each try that fails, in seconds.
    fn tries(&self, queue: &str) -> Vec<f64> {
        let count = self.number(&format!("{queue}/Properties/RedrivePolicy/maxReceiveCount"));
        (1_u32..)
            .map(|at| (at, delivery::queue::back_off(at).as_secs_f64()))
            .take_while(|(at, _)| f64::from(*at) < count)
            .map(|(_, wait)| wait)
            .collect()
    }

    /// What the policies of a role allow, whatever the parameters are.
    fn allowed(&self, role: &str) -> BTreeSet<String> {
        let mut allowed = BTreeSet::new();
        statements(&self.properties(role)["Policies"], &mut |statement| {
            assert_eq!(statement["Effect"], "Allow", "{statement}");
            assert_ne!(statement["Resource"], "*", "{statement}");
            match &statement["Action"] {
                Value::Array(actions) => {
                    allowed.extend(actions.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                action => allowed.extend(action.as_str().map(str::to_owned)),
            }
        });
        allowed
    }

    /// The actions behind the calls that the code of `folders` makes by the SDK: `.get_item()` in
    /// a file that names `aws_sdk_dynamodb`. Its tests are no part of it.
    fn called(&self, folders: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>> {
        let mut called = BTreeMap::new();
        for file in folders
            .iter()
            .map(|folder| rust_files(folder))
            .collect::<Result<Vec<_>>>()?
            .concat()
        {
            let text = std::fs::read_to_string(&file)?;
            let code = text
                .split("#[cfg(test)]\nmod tests")
                .next()
                .unwrap_or_default();
            for service in SERVICES {
                if !code.contains(&format!("aws_sdk_{service}")) {
                    continue;
                }
                let actions = self.actions[service].as_object().context("actions")?;
                for (method, action) in actions {
                    if code.contains(&format!(".{method}()")) {
                        let action = action.as_str().context("an action")?;
                        called.insert(action.to_owned(), file.clone());
                    }
                }
            }
            let unknown = code
                .match_indices("aws_sdk_")
                .map(|(at, name)| {
                    code[at + name.len()..]
                        .split(|c: char| !c.is_alphanumeric())
                        .next()
                })
                .find(|service| !SERVICES.map(Some).contains(service));
            ensure!(unknown.is_none(), "{}: {unknown:?}", file.display());
        }
        Ok(called)
    }
}

fn statements(value: &Value, see: &mut impl FnMut(&Value)) {
    match value {
        Value::Object(object) if object.contains_key("Effect") => see(value),
        Value::Object(object) => object.values().for_each(|value| statements(value, see)),
        Value::Array(values) => values.iter().for_each(|value| statements(value, see)),
        _ => {}
    }
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(rust_files(&path)?);
        } else if path.extension() == Some(OsStr::new("rs")) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The source of a crate, and of what it takes of `backends`: the modules that it names.
fn sources(function: &str) -> Result<Vec<PathBuf>> {
    let own = Path::new(ROOT).join("functions").join(function).join("src");
    let backends = Path::new(ROOT).join("backends/src");
    let mut own = vec![own];
    // What all functions behind queues share is theirs.
    if std::fs::read_to_string(own[0].join("main.rs"))?.contains("delivery::") {
        own.push(Path::new(ROOT).join("functions/delivery/src"));
    }
    let mut found = own.clone();
    let own: Vec<PathBuf> = own
        .iter()
        .map(|folder| rust_files(folder))
        .collect::<Result<Vec<_>>>()?
        .concat();
    for entry in std::fs::read_dir(&backends)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(OsStr::to_str).context("a name")?;
        let used = format!("backends::{name}");
        for file in &own {
            if std::fs::read_to_string(file)?.contains(&used) {
                found.push(path.clone());
                break;
            }
        }
    }
    Ok(found)
}

/// Neither more nor less than it does.
#[track_caller]
fn check_permissions(function: &str, role: &str, besides: &[(&str, &str)]) -> Result<()> {
    let Some(sam) = parts::sam() else {
        return Ok(());
    };
    let stack = Stack::read(&sam)?;
    let allowed = stack.allowed(role);
    let called = stack.called(&sources(function)?)?;
    assert!(!called.is_empty(), "no call was found");
    let mut wrong = String::new();
    for (action, file) in &called {
        if !allowed.contains(action) {
            writeln!(
                wrong,
                "{role} may not {action}, which {} calls",
                file.display()
            )?;
        }
    }
    for action in &allowed {
        let is_besides = besides.iter().any(|(known, _)| known == action);
        if !is_besides && !called.contains_key(action) {
            writeln!(wrong, "{role} may {action}, which nothing calls")?;
        }
    }
    for (action, who) in besides {
        if !allowed.contains(*action) {
            writeln!(wrong, "{role} may not {action}, which is called by {who}")?;
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    Ok(())
}

#[test]
fn the_ruler_may_do_what_it_does() -> Result<()> {
    check_permissions("ruler", "RulerRole", &RULER_BESIDES)
}

#[test]
fn the_pagerduty_function_may_do_what_it_does() -> Result<()> {
    check_permissions("pagerduty", "PagerDutyRole", &QUEUE_BESIDES)
}

#[test]
fn the_slack_function_may_do_what_it_does() -> Result<()> {
    check_permissions("slack", "SlackRole", &QUEUE_BESIDES)
}

/// A variable that the template misspells, or that nothing reads, would be a setting without
/// effect.
#[track_caller]
fn check_variables(resource: &str, files: &[&str]) -> Result<()> {
    let Some(sam) = parts::sam() else {
        return Ok(());
    };
    let stack = Stack::read(&sam)?;
    let set = stack.properties(resource)["Environment"]["Variables"]
        .as_object()
        .context("variables")?;
    let set: BTreeSet<&str> = set.keys().map(String::as_str).collect();
    let mut code = String::new();
    for file in files {
        let source = std::fs::read_to_string(Path::new(ROOT).join("functions").join(file))?;
        code.push_str(source.split("#[cfg(test)]").next().unwrap_or_default());
    }
    let read: BTreeSet<&str> = code
        .split('"')
        .filter(|text| text.contains('_'))
        .filter(|text| text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        .chain(code.contains("\"NOTIFY\"").then_some("NOTIFY"))
        .filter(|name| !LAMBDAS_OWN.contains(name))
        .collect();
    assert_eq!(set, read);
    Ok(())
}

#[test]
fn the_ruler_reads_every_variable() -> Result<()> {
    check_variables("RulerFunction", &["ruler/src/environment.rs"])
}

#[test]
fn the_slack_function_reads_every_variable() -> Result<()> {
    let files = ["slack/src/config.rs", "delivery/src/environment.rs"];
    check_variables("SlackFunction", &files)
}

#[test]
fn the_pagerduty_function_reads_every_variable() -> Result<()> {
    let files = ["pagerduty/src/config.rs", "delivery/src/environment.rs"];
    check_variables("PagerDutyFunction", &files)
}

fn event(name: &str) -> Result<Value> {
    let text = std::fs::read(Path::new(ROOT).join("events").join(name)).context("events/")?;
    serde_json::from_slice(&text).with_context(|| name.to_owned())
}

/// The samples in `events/` are what the stack itself sends.
#[test]
fn the_sample_events_are_the_stacks() -> Result<()> {
    let Some(sam) = parts::sam() else {
        return Ok(());
    };
    let stack = Stack::read(&sam)?;
    let input = stack.properties("Schedule")["Target"]["Input"].as_str();
    let input: Value = serde_json::from_str(input.context("the schedule's input")?)?;
    let keys = |value: &Value| -> Option<Vec<String>> {
        Some(value.as_object()?.keys().cloned().collect())
    };
    assert_eq!(keys(&event("schedule.json")?), keys(&input));

    let command = &stack.template["Outputs"]["TestNotification"]["Value"]["Fn::Sub"];
    let payload = command
        .as_str()
        .and_then(|command| command.split('\'').nth(1));
    let payload: Value = serde_json::from_str(payload.context("the command's payload")?)?;
    assert_eq!(event("test-notification.json")?, payload);
    Ok(())
}

/// The queue's sample is what the Slack function takes: nothing of it is passed over as text of
/// the user's own.
#[test]
fn the_sample_of_the_queue_is_read() -> Result<()> {
    let event: SqsEvent = serde_json::from_value(event("slack.json")?)?;
    let [record] = event.records.as_slice() else {
        anyhow::bail!("one record");
    };
    let delivery = Delivery::parse(record, "")?;
    let Message::Alerts(webhook) = Message::read(&delivery.message)? else {
        anyhow::bail!("alerts");
    };
    let shown = serde_json::to_value(render::alerts(
        &webhook,
        Circumstances {
            is_late: false,
            published: delivery.published,
            now: delivery.published.context("a time")?,
        },
    ))?;
    assert_eq!(
        shown["text"], "[FIRING:1] LinkLocalThrottling prod",
        "{shown}"
    );
    assert_eq!(webhook.alerts.len(), 1);
    assert!(webhook.alerts[0].is_firing());
    assert!(webhook.notification_id.is_some() && webhook.sequence == Some(1));
    Ok(())
}
