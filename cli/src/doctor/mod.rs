//! `dnswatch doctor`: whether a workspace has what the rules need, and how to fix what is missing.
//!
//! `questions` says what is asked, `judge` makes findings of the answers, `report` writes them.
//! Only this file asks.

mod judge;
mod questions;
mod report;
mod times;
mod windows;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use alerting::duration;
use alerting::query::{Ask, Series};
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, bail};
use backends::amp::WorkspaceId;
use backends::clock::{Clock as _, SystemClock};
use backends::http::{self, HttpOptions};
use backends::prometheus::{Auth, Client, ClientOptions, SigV4};
use questions::{Answers, Look, Question};
use serde::Deserialize;
use tokio::time::Instant;

use crate::credentials;

/// How long one question may take, with its attempts.
const PATIENCE: Duration = Duration::from_secs(60);
/// From one look to the next.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// What `dnswatch doctor` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The Prometheus, or the AMP workspace (…/workspaces/ws-…), to look at.
    #[arg(long, env = "DNSWATCH_URL", required_unless_present = "workspace")]
    url: Option<String>,
    /// In place of --url, an AMP workspace by its ARN, or by its id with --sigv4-region.
    #[arg(long, value_name = "ARN|ID")]
    workspace: Option<WorkspaceId>,
    /// Sign for AMP in this region, with the credentials in AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. Not needed if --workspace is an ARN.
    #[arg(long, value_name = "REGION")]
    sigv4_region: Option<String>,
    /// The rule files, or folders of them, that are to work here; the shipped ones otherwise.
    #[arg(long, num_args = 1.., value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// How far back the rules ask for samples, as of `dnswatch run` and of the stack.
    #[arg(long, default_value = "1m", value_parser = duration::parse, value_name = "DURATION")]
    query_offset: Duration,
    /// Watch samples arrive for this long, to measure exactly how late they are.
    #[arg(long, default_value = "0s", value_parser = duration::parse, value_name = "DURATION")]
    watch: Duration,
    /// The clusters are EKS Auto Mode's, which have no CoreDNS pods.
    #[arg(long)]
    auto_mode: bool,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Queries, judges and reports. Fails if a problem was found.
pub(crate) fn doctor(args: &Args) -> Result<ExitCode> {
    let windows = windows::read(&args.rules)?;
    let target = Target::from_args(args)?;
    let client = target.client()?;
    let answers = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?
        .block_on(ask(&client, args.watch, args.auto_mode))?;
    let diagnosis = judge::judge(
        &answers,
        &judge::Wanted {
            query_offset: args.query_offset,
            windows,
        },
    );
    let text = match args.format {
        Format::Text => report::text(&target.url, &diagnosis),
        Format::Json => report::json(&target.url, &diagnosis)?,
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if diagnosis.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The server that is examined.
struct Target {
    url: String,
    region: Option<String>,
}

impl Target {
    fn from_args(args: &Args) -> Result<Self> {
        let Some(workspace) = &args.workspace else {
            let url = args.url.clone().context("--url is missing")?;
            let region = args.sigv4_region.clone();
            return Ok(Self { url, region });
        };
        let region = workspace.region.clone().or(args.sigv4_region.clone());
        let Some(region) = region else {
            bail!("--workspace with an id needs --sigv4-region; an ARN contains the region");
        };
        let domain = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        Ok(Self {
            url: format!(
                "https://aps-workspaces.{region}.{domain}/workspaces/{}",
                workspace.id
            ),
            region: Some(region),
        })
    }

    fn client(&self) -> Result<Client> {
        let mut options = ClientOptions::new(&self.url);
        options.jitter_seed = fastrand::u64(..);
        if let Some(region) = &self.region {
            options.auth = Auth::SigV4(SigV4::amp(region, credentials::of_environment()?));
        }
        let http = http::client(&HttpOptions::default())?;
        Client::new(http, options).context("--url")
    }
}

/// Everything that is asked, one question after the other, and then looks for the time of `watch`.
async fn ask(client: &Client, watch: Duration, auto_mode: bool) -> Result<Answers> {
    let now = whole_second(SystemClock.now());
    let mut series = BTreeMap::new();
    for question in Question::ALL {
        series.insert(question, answer(client, &question.ask(now)).await?);
    }
    let mut looks = Vec::new();
    let until = Instant::now()
        .checked_add(watch)
        .context("--watch is too long")?;
    while Instant::now() < until {
        tokio::time::sleep_until((Instant::now() + BETWEEN_LOOKS).min(until)).await;
        let at = whole_second(SystemClock.now());
        let newest = answer(client, &Look::ask(at)).await?;
        looks.push(Look { at, newest });
    }
    Ok(Answers {
        now,
        series,
        looks,
        external_labels: external_labels(client).await,
        auto_mode,
    })
}

/// The labels that the server adds to samples that it sends elsewhere (`global.external_labels`). None
/// where it does not show its configuration: AMP does not, and a proxy may hide it.
async fn external_labels(client: &Client) -> Option<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Page {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        yaml: String,
    }
    #[derive(Deserialize)]
    struct Configuration {
        #[serde(default)]
        global: Global,
    }
    #[derive(Default, Deserialize)]
    struct Global {
        #[serde(default)]
        external_labels: BTreeMap<String, String>,
    }
    let page = client
        .status_config(Instant::now() + PATIENCE)
        .await
        .ok()??;
    let page: Page = serde_json::from_slice(&page).ok()?;
    let configuration: Configuration = serde_saphyr::from_str(&page.data.yaml).ok()?;
    Some(configuration.global.external_labels)
}

async fn answer(client: &Client, ask: &Ask) -> Result<Vec<Series>> {
    let answer = client.query(ask, Instant::now() + PATIENCE).await?;
    Ok(answer.series)
}

/// Questions about whole seconds are easier to ask again by hand.
fn whole_second(now: Timestamp) -> Timestamp {
    now.align_down(Duration::from_secs(1))
}
