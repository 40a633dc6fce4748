//! `dnswatch silence`: creates, lists and expires silences in the ruler's state.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use alerting::duration;
use alerting::matchers::{Matcher, Matchers};
use alerting::notify::silence::{self as silences, SilenceError};
use alerting::notify::{NotifyState, Silence, SilenceState};
use alerting::state::State;
use alerting::timestamp::Timestamp;
use anyhow::{Context, Result, bail};
use aws_credential_types::provider::SharedCredentialsProvider;
use backends::aws::sdk_config;
use backends::clock::{Clock, SystemClock};
use backends::http::{self, HttpOptions};
use backends::state::{CommitError, DynamoStore, FileStore, StateStore};

use crate::credentials;

/// How often a change is tried again that a run's commit got in the way of.
const MAX_RACES: usize = 20;

/// What `dnswatch silence` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Silence the alerts that match, and print the silence's id.
    Add(Add),
    /// List silences that have not expired.
    List(List),
    /// Expire silences now.
    Expire(Expire),
}

/// Where the state is.
#[derive(clap::Args)]
struct Where {
    /// The state file of `dnswatch run`.
    #[arg(long, value_name = "FILE", default_value = "dnswatch-state.json")]
    state: PathBuf,
    /// The stack's DynamoDB table, by its name or ARN (the output StateTableName); reached with
    /// the credentials in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, in
    /// AWS_REGION or the ARN's region.
    #[arg(long, value_name = "TABLE", requires = "workspace")]
    table: Option<String>,
    /// With --table: the id (ws-…) of the workspace, or the URL, that the stack queries.
    #[arg(long, value_name = "ID")]
    workspace: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct Add {
    #[command(flatten)]
    of: Where,
    /// Duration of the silence.
    #[arg(long, short, default_value = "1h", value_parser = duration::parse, value_name = "DURATION")]
    duration: Duration,
    /// From when, if not from now: 2026-11-23T06:00:00Z.
    #[arg(long, value_parser = moment, value_name = "TIME")]
    start: Option<Timestamp>,
    /// Until when, instead of for how long.
    #[arg(long, value_parser = moment, value_name = "TIME", conflicts_with = "duration")]
    end: Option<Timestamp>,
    /// Author of the silence.
    #[arg(long, short, env = "USER", value_name = "NAME")]
    author: String,
    /// Reason.
    #[arg(long, short, value_name = "TEXT")]
    comment: String,
    /// A note on it, kept with it; may be given several times.
    #[arg(long, value_parser = annotation, value_name = "NAME=TEXT")]
    annotation: Vec<(String, String)>,
    /// A further set of matchers, separated by commas: alerts that have all of them are silenced,
    /// too; may be given several times.
    #[arg(long = "or", value_name = "MATCHERS")]
    or: Vec<String>,
    /// Label matchers, for example `node=~"a|b"`; a word alone is the alert's name.
    #[arg(required = true, value_name = "MATCHER")]
    matchers: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    of: Where,
    /// Those that expired in the last five days, too.
    #[arg(long)]
    expired: bool,
}

#[derive(clap::Args)]
pub(crate) struct Expire {
    #[command(flatten)]
    of: Where,
    /// The silences, by their ids.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

fn annotation(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=TEXT".to_owned()),
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|error| format!("{error}: write for example 2026-11-23T06:00:00Z"))
}

/// Does it.
pub(crate) fn silence(command: &Command) -> Result<ExitCode> {
    let of = match command {
        Command::Add(add) => &add.of,
        Command::List(list) => &list.of,
        Command::Expire(expire) => &expire.of,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    match &of.table {
        Some(table) => runtime.block_on(carry_out(command, &dynamo(table, of)?)),
        None => runtime.block_on(carry_out(command, &FileStore::new(&of.state))),
    }
}

fn dynamo(table: &str, of: &Where) -> Result<DynamoStore<SystemClock>> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let of_arn = table
        .strip_prefix("arn:")
        .and_then(|arn| arn.split(':').nth(2));
    let region = of_arn.map(str::to_owned);
    let region = region
        .or_else(|| set("AWS_REGION"))
        .or_else(|| set("AWS_DEFAULT_REGION"))
        .context("in which region is the table? Set AWS_REGION, or name the table by its ARN")?;
    let sdk = sdk_config(
        http::client(&HttpOptions::default())?,
        &region,
        SharedCredentialsProvider::new(credentials::of_environment()?),
        set("AWS_ENDPOINT_URL").as_deref(),
    );
    let workspace = of.workspace.clone().unwrap_or_default();
    // An ARN is as good as an id.
    let workspace = match workspace.split_once("workspace/") {
        Some((arn, id)) if arn.starts_with("arn:") => id.to_owned(),
        _ => workspace,
    };
    Ok(DynamoStore::new(&sdk, table, workspace, SystemClock))
}

async fn carry_out(command: &Command, store: &impl StateStore) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let now = SystemClock.now();
    match command {
        Command::Add(add) => {
            let silence = added(add, now)?;
            change(store, |notify| silences::add(notify, silence.clone(), now)).await?;
            writeln!(out, "{}", silence.id)?;
        }
        Command::Expire(expire) => {
            change(store, |notify| {
                let mut ids = expire.ids.iter();
                ids.try_for_each(|id| silences::expire(notify, id, now))
            })
            .await?;
        }
        Command::List(list) => {
            let Some((document, _)) = store.load().await? else {
                bail!("no state found: check --state, or --table and --workspace");
            };
            let state = State::from_json(&document)?;
            write_list(&mut out, &state.notify, list.expired, now)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn added(add: &Add, now: Timestamp) -> Result<Silence> {
    let mut matchers = Matchers::default();
    for text in &add.matchers {
        let is_word = text.chars().all(|c| c.is_alphanumeric() || c == '_');
        let parsed = match is_word {
            true => Matchers::parse(&format!("alertname={text:?}")),
            // As amtool has it, a comma may be part of a value: `zone=a,b`.
            false => Matchers::parse(text).or_else(|error| {
                Matcher::parse(text)
                    .map(|one| Matchers::from_iter([one]))
                    .or(Err(error))
            }),
        };
        matchers.extend(parsed?.iter().cloned());
    }
    let or_matchers = add.or.iter().map(|set| Matchers::parse(set));
    let starts_at = add.start.unwrap_or(now).max(now);
    Ok(Silence {
        id: id(),
        matchers,
        or_matchers: or_matchers.collect::<Result<_, _>>()?,
        starts_at,
        ends_at: add.end.unwrap_or(starts_at.plus(add.duration)),
        created_by: add.author.clone(),
        comment: add.comment.clone(),
        annotations: add.annotation.iter().cloned().collect(),
    })
}

/// A random UUID, as Alertmanager's silences are called.
fn id() -> String {
    let random = fastrand::u128(..);
    let versioned = random & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{versioned:032x}");
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}

/// Changes the stored state, whatever a run commits meanwhile.
async fn change(
    store: &impl StateStore,
    change: impl Fn(&mut NotifyState) -> Result<(), SilenceError>,
) -> Result<()> {
    for _ in 0..MAX_RACES {
        let Some((document, version)) = store.load().await? else {
            bail!("no state found: check --state, or --table and --workspace");
        };
        let mut state = State::from_json(&document)?;
        change(&mut state.notify)?;
        match store.commit(&state.to_json()?, Some(version)).await {
            Ok(_) => return Ok(()),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
    bail!("other runs wrote the state first, {MAX_RACES} times in a row: try again")
}

fn write_list(
    out: &mut impl Write,
    notify: &NotifyState,
    with_expired: bool,
    now: Timestamp,
) -> Result<()> {
    let workspace = notify.workspace_silences.as_ref();
    let theirs = workspace.map_or(&[][..], |known| &known.silences);
    let all = notify.silences.iter().map(|it| (it, ""));
    let all = all.chain(
        theirs
            .iter()
            .map(|it| (it, " (of the workspace's alert manager)")),
    );
    writeln!(
        out,
        "{:36}  {:7}  {:20}  {:20}  MATCHERS",
        "ID", "STATE", "STARTS", "ENDS"
    )?;
    for (silence, of) in all {
        let state = silence.state(now);
        if state == SilenceState::Expired && !with_expired {
            continue;
        }
        writeln!(
            out,
            "{:36}  {state:7}  {:20}  {:20}  {}",
            silence.id,
            seconds(silence.starts_at),
            seconds(silence.ends_at),
            shown(&matchers(silence)),
        )?;
        writeln!(
            out,
            "{:36}  by {}: {}{of}",
            "",
            shown(&silence.created_by),
            shown(&silence.comment)
        )?;
        for (name, text) in &silence.annotations {
            writeln!(out, "{:36}  {}: {}", "", shown(name), shown(text))?;
        }
    }
    if let Some((since, error)) = workspace.and_then(|known| known.failing.as_ref()) {
        writeln!(
            out,
            "The silences of the workspace's alert manager cannot be read since {}: {}",
            seconds(*since),
            shown(error)
        )?;
    }
    Ok(())
}

/// The sets of matchers; one without any is silencing nothing, whatever it looks like.
fn matchers(silence: &Silence) -> String {
    let sets = silence.matcher_sets().filter(|set| !set.is_empty());
    let sets: Vec<String> = sets.map(ToString::to_string).collect();
    match sets.as_slice() {
        [] => "{} (silences nothing)".to_owned(),
        sets => sets.join(" or "),
    }
}

/// A moment without its milliseconds.
fn seconds(at: Timestamp) -> String {
    at.align_down(Duration::from_secs(1)).to_string()
}

/// Text of others: no escape sequence of theirs reaches the terminal.
fn shown(text: &str) -> String {
    text.replace(char::is_control, " ")
}
