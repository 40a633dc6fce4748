//! Silences: a running Alertmanager takes and refuses what `dnswatch silence` does, and what its
//! API says of those that it took is read as it meant it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use alerting::matchers::{MatchOp, Matcher, Matchers};
use alerting::notify::silence::{self, SilenceError};
use alerting::notify::{NotifyState, Silence};
use alerting::timestamp::Timestamp;
use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::server::Alertmanager;
use crate::parts;

/// Sets of matchers.
const SETS: &[&str] = &[
    "a=b",
    r#"severity!="critical""#,
    r#"a!="""#,
    r#"a!~".+""#,
    r#"a!~".*""#,
    r#"a=~".*""#,
    r#"a=~".+""#,
    r#"a=~"|b""#,
    r#"a="""#,
    r#"a="",b="c""#,
    r#"a="",b=~".*""#,
    r#"a!=b,a!=c"#,
    r#""a b"="c d",ü=~"x|y""#,
    "a=~\"b|c\",a!=b",
];

/// Those that Alertmanager takes, though they can never match.
const NEVER: &[&str] = &["a=b,a=c", "a=b,a!=b", r#"a=~"b|c",a!~"[bc]""#];

fn body(matchers: &Matchers, at: &str, from: Timestamp, to: Timestamp) -> Value {
    let matchers: Vec<Value> = matchers.iter().map(written).collect();
    json!({
        "matchers": matchers, "startsAt": from.to_string(), "endsAt": to.to_string(),
        "createdBy": "ana", "comment": at, "annotations": {"ticket": at, "ü": "\u{1}\n"},
    })
}

fn written(matcher: &Matcher) -> Value {
    json!({
        "name": matcher.name(), "value": matcher.value(),
        "isRegex": matches!(matcher.op(), MatchOp::Regexp | MatchOp::NotRegexp),
        "isEqual": matches!(matcher.op(), MatchOp::Equal | MatchOp::Regexp),
    })
}

#[tokio::test]
async fn silences_are_taken_and_read_as_alertmanager_has_them() -> Result<()> {
    let Some(tools) = parts::alertmanager() else {
        return Ok(());
    };
    println!("{}", tools.version()?);
    let config = "route: {receiver: d}\nreceivers: [{name: d}]\n";
    let server = Alertmanager::start(&tools, config, &[], "http://am.example").await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = Timestamp::from_millis(i64::try_from(now.as_millis())?);
    let end = now.plus(Duration::from_secs(3600));
    let mut notify = NotifyState::default();
    let (mut taken, mut refused) = (0, 0);
    for (at, set) in SETS.iter().chain(NEVER).enumerate() {
        let matchers = Matchers::parse(set)?;
        let theirs = server
            .post("silences", &body(&matchers, set, now, end))
            .await;
        let silence = Silence {
            id: at.to_string(),
            matchers,
            or_matchers: Vec::new(),
            starts_at: now,
            ends_at: end,
            created_by: "ana".to_owned(),
            comment: (*set).to_owned(),
            annotations: BTreeMap::new(),
        };
        let ours = silence::add(&mut notify, silence, now);
        if NEVER.contains(set) {
            ensure!(theirs.is_ok(), "{set}: {theirs:?}");
            ensure!(matches!(ours, Err(SilenceError::NeverMatches(_))), "{set}");
        } else {
            ensure!(theirs.is_ok() == ours.is_ok(), "{set}: {theirs:?} {ours:?}");
        }
        if theirs.is_ok() {
            taken += 1;
        } else {
            refused += 1;
        }
    }
    let text = server.get("silences").await?;
    let read = silence::of_api(text.as_bytes()).map_err(anyhow::Error::msg)?;
    ensure!(read.len() == taken, "{} {taken}", read.len());
    for silence in &read {
        let meant = Matchers::parse(&silence.comment)?;
        ensure!(silence.matchers == meant, "{} {meant}", silence.matchers);
        ensure!(silence.annotations["ticket"] == silence.comment);
        ensure!(silence.annotations["ü"] == "\u{1}\n" && silence.created_by == "ana");
        ensure!(silence.or_matchers.is_empty() && silence.ends_at == end);
    }
    println!("silences: {taken} taken, {refused} refused");
    ensure!(taken >= 10 && refused >= 4, "{taken} {refused}");
    Ok(())
}
