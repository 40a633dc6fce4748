//! A running Prometheus that evaluates every second, and the ruler beside it on the same server: the
//! same alerts in `/api/v1/alerts`, annotations included, while a rule fails, while the rule file
//! changes, and after. What promtool does not show is seen here: a rule that continues after a failure,
//! `externalURL` and `pathPrefix`, a file that is read again.

use std::collections::BTreeSet;
use std::time::Duration;

use alerting::alert::AlertState;
use alerting::labels::Labels;
use alerting::rules::SourceFile;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use backends::clock::{Clock as _, SystemClock};

use crate::parts;
use crate::prometheus::Prometheus;
use crate::ruler::{Bench, active, as_prometheus};
use crate::timelines::remote_write;

/// Far longer than any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How far `activeAt` may be apart: evaluations are a second apart, at moments of their own. And as
/// long as a beat took, on a machine that is too busy for them.
const APART: Duration = Duration::from_millis(2_500);

const URL: &str = "http://prom.example:9090/path";

const CONFIG: &str = "
global:
  evaluation_interval: 1s
  external_labels: {cluster: prod}
rule_files: [live.yml]
";

/// The rule file: what the rule `Fires` says, its threshold, its `for`, and a label of `Keeps`.
fn rules(says: &str, threshold: u8, hold_for: &str, team: &str) -> String {
    format!(
        r#"
groups:
- name: live
  interval: 1s
  labels: {{of: group}}
  rules:
  - alert: Fires
    expr: live_m > {threshold}
    for: {hold_for}
    labels: {{level: '{{{{ if gt $value 6.0 }}}}high{{{{ end }}}}'}}
    annotations:
      says: '{says} {{{{ $value }}}} on {{{{ $labels.node }}}} of {{{{ $externalLabels.cluster }}}}'
      asks: '{{{{ query "count(live_m)" | first | value }}}}'
      fails: '{{{{ $value | title }}}}'
      where: '{{{{ externalURL }}}} {{{{ pathPrefix }}}} {{{{ $externalURL }}}}'
  - alert: Fails
    expr: live_m * on (node) group_left (zone) live_i > 5
    annotations: {{zone: '{{{{ $labels.zone }}}}'}}
  - alert: Keeps
    expr: live_m > 5
    keep_firing_for: 3s
    labels: {{team: {team}}}
"#
    )
}

struct Live {
    prometheus: Prometheus,
    bench: Bench,
    steps: usize,
    /// The longest beat so far.
    slowest: Duration,
}

/// An alert as both report it.
type Notified = (Labels, AlertState, Vec<(String, String)>);

impl Live {
    /// Continues, with these samples, until both have the same alerts, `firing` and `pending` of them.
    /// Since when each is active, by both.
    async fn until(
        &mut self,
        samples: &[remote_write::NamedSample<'_>],
        firing: usize,
        pending: usize,
    ) -> Result<Vec<(Labels, Timestamp, Timestamp)>> {
        let began = SystemClock.now();
        let mut beat = tokio::time::interval(Duration::from_millis(200));
        loop {
            beat.tick().await;
            let now = SystemClock.now();
            remote_write::send_at(self.prometheus.url(), now, samples).await?;
            self.bench.run_at(now).await?;
            let (ours, our_since) = self.ours().await?;
            let (theirs, their_since) = self.theirs().await?;
            self.slowest = self.slowest.max(SystemClock.now().since(now));
            let fire = ours
                .iter()
                .filter(|notified| notified.1 == AlertState::Firing);
            let fire = fire.count();
            if ours == theirs && fire == firing && ours.len() == firing + pending {
                self.steps += 1;
                let both = our_since.into_iter().zip(their_since);
                return Ok(both
                    .map(|((l, ours), (_, theirs))| (l, ours, theirs))
                    .collect());
            }
            ensure!(
                now.since(began) < PATIENCE,
                "{firing} are to fire, {pending} to be pending; ours: {ours:#?}\nPrometheus's: {theirs:#?}"
            );
        }
    }

    async fn ours(&self) -> Result<(BTreeSet<Notified>, Vec<(Labels, Timestamp)>)> {
        let active = active(&self.bench.state().await?);
        let mut since: Vec<_> = active
            .iter()
            .map(|a| (a.labels.clone(), a.active_at))
            .collect();
        since.sort();
        let notified = active
            .into_iter()
            .map(|a| (a.labels, a.state, a.annotations));
        Ok((notified.collect(), since))
    }

    async fn theirs(&self) -> Result<(BTreeSet<Notified>, Vec<(Labels, Timestamp)>)> {
        let served = self.prometheus.alerts().await?;
        let mut since: Vec<_> = served
            .iter()
            .map(|a| (a.labels.clone(), a.active_at))
            .collect();
        since.sort();
        let notified = served
            .into_iter()
            .map(|a| (a.labels, a.state, a.annotations));
        Ok((notified.collect(), since))
    }

    /// Why the rule `Fails` fails, by both.
    async fn failure(&self) -> Result<(String, String)> {
        let state = self.bench.state().await?;
        let ours = state.rules.values().find(|rule| rule.id.alert == "Fails");
        let ours = ours.and_then(|rule| rule.health.failure.as_ref());
        let rules = self.prometheus.api("rules", &[]).await?;
        let rules = rules["groups"][0]["rules"].as_array().context("rules")?;
        let theirs = rules.iter().find(|rule| rule["name"] == "Fails");
        let theirs = theirs.and_then(|rule| rule["lastError"].as_str());
        Ok((
            ours.map(|failure| failure.error.clone())
                .unwrap_or_default(),
            theirs.unwrap_or_default().to_owned(),
        ))
    }

    /// Both read this rule file from now on.
    async fn change(&mut self, text: String) -> Result<()> {
        self.prometheus.reload("live.yml", &text).await?;
        self.bench.files = files(text);
        Ok(())
    }
}

fn files(text: String) -> Vec<SourceFile> {
    let name = "live.yml".to_owned();
    vec![SourceFile { name, text }]
}

#[tokio::test]
async fn a_running_prometheus_has_the_same_alerts_at_the_same_time() -> Result<()> {
    let Some(tools) = parts::prometheus3() else {
        return Ok(());
    };
    let text = rules("first", 5, "2s", "one");
    let prometheus = tools
        .server()
        .config(CONFIG)
        .file("live.yml", &text)
        .flag(&format!("--web.external-url={URL}"))
        .flag("--web.route-prefix=/")
        .start()
        .await?;
    let mut settings = as_prometheus();
    settings.evaluation.external.labels = Labels::from_iter([("cluster", "prod")]);
    settings.evaluation.external.url = URL.to_owned();
    let bench = Bench::new(prometheus.url(), files(text), settings)?;
    let mut live = Live {
        prometheus,
        bench,
        steps: 0,
        slowest: Duration::ZERO,
    };
    let (a, b): (&[_], &[_]) = (&[("node", "a")], &[("node", "b")]);
    let (one, two): (&[_], &[_]) = (
        &[("node", "a"), ("zone", "1")],
        &[("node", "a"), ("zone", "2")],
    );

    let burning = [("live_m", a, 7.0), ("live_m", b, 1.0), ("live_i", one, 1.0)];
    let began = live.until(&burning, 3, 0).await?;
    for (labels, ours, theirs) in &began {
        ensure!(
            ours.since(*theirs).max(theirs.since(*ours)) <= APART + live.slowest,
            "{labels}: {ours}, {theirs}, slowest beat {:?}",
            live.slowest
        );
    }

    // The join is ambiguous: the rule fails, and its alert stays as it is.
    let ambiguous = [burning[0], burning[1], burning[2], ("live_i", two, 1.0)];
    let deadline = SystemClock.now().plus(PATIENCE);
    loop {
        let still = live.until(&ambiguous, 3, 0).await?;
        ensure!(still == began, "{still:?} {began:?}");
        let (ours, theirs) = live.failure().await?;
        let fails = |error: &str| error.contains("found duplicate series for the match group");
        if fails(&ours) && fails(&theirs) {
            break;
        }
        ensure!(SystemClock.now() < deadline, "{ours:?} {theirs:?}");
    }

    // Expression and annotations change under the alert `Fires`; `Keeps` is another rule now.
    live.change(rules("second", 4, "2s", "two")).await?;
    let changed = live.until(&ambiguous, 3, 0).await?;
    for ((labels, ours, theirs), (before, our_before, their_before)) in changed.iter().zip(&began) {
        let is_same = labels == before;
        ensure!(is_same == (labels.get("alertname") != "Keeps"), "{labels}");
        ensure!(
            is_same == (ours == our_before),
            "{labels}: {ours} {our_before}"
        );
        ensure!(
            is_same == (theirs == their_before),
            "{labels}: {theirs} {their_before}"
        );
    }

    // A firing alert whose `for` was raised is pending again (Prometheus 3.11), active since it was,
    // and fires again once it is lowered.
    live.change(rules("second", 4, "3h", "two")).await?;
    let fires = changed
        .iter()
        .filter(|one| one.0.get("alertname") == "Fires");
    let (fires, all) = (fires.count(), changed.len());
    ensure!(fires > 0 && fires < all, "{fires} of {all}");
    let raised = live.until(&ambiguous, all - fires, fires).await?;
    ensure!(raised == changed, "{raised:?} {changed:?}");
    live.change(rules("second", 4, "2s", "two")).await?;
    let lowered = live.until(&ambiguous, all, 0).await?;
    ensure!(lowered == changed, "{lowered:?} {changed:?}");

    // All is well again: the ambiguity ends (its series by its value), `keep_firing_for` is over.
    let over = [
        ("live_m", a, 1.0),
        ("live_m", b, 1.0),
        ("live_i", one, 1.0),
        ("live_i", two, f64::from_bits(0x7ff0_0000_0000_0002)),
    ];
    live.until(&over, 0, 0).await?;
    ensure!(live.failure().await? == (String::new(), String::new()));
    eprintln!("{} looks by Prometheus {}", live.steps, tools.version()?);
    Ok(())
}
