//! Answers that are none: too large, cut short, of another type, about something else. Each leaves its
//! rule's alerts as they are and is reported; the other rules are not affected.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use alerting::alert::Alert;
use alerting::config::Settings;
use alerting::labels::Labels;
use alerting::rules::SourceFile;
use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use backends::prometheus::ClientOptions;

use crate::dnswatch::{dnswatch, output, said};
use crate::front::{Fate, Front, Pieces, Request};
use crate::history::{History, START};
use crate::parts;
use crate::ruler::{Bench, Notified, impatient, story};

/// How many bytes a large answer has, before it is packed.
const LARGE: usize = 200_000_000;
/// What the rulers here read of an answer at most, but for the one that is started as a program.
const MOST: usize = 1 << 20;

/// How it is said that there is no answer.
struct Case {
    rule: &'static str,
    /// What comes in the place of an answer to an instant query.
    instant: Bad,
    /// The same for a range.
    range: Bad,
    /// What the rule's failure says.
    notified: &'static str,
}

#[derive(Clone, Copy)]
enum Bad {
    /// This as a body.
    Body(&'static str),
    /// This, of a body that is to be a byte longer.
    Cut(&'static str),
    /// More than is read, in chunks; packed or not.
    Large { packed: bool },
}

const fn both(rule: &'static str, bad: Bad, notified: &'static str) -> Case {
    Case {
        rule,
        instant: bad,
        range: bad,
        notified,
    }
}

/// An answer with this as its `data`.
macro_rules! data {
    ($data:literal) => {
        concat!(r#"{"status":"success","data":{"#, $data, "}}")
    };
}

const EMPTY: &str = data!(r#""resultType":"vector","result":[]"#);
const CASES: [Case; 15] = [
    both(
        "Large",
        Bad::Large { packed: false },
        "is larger than 1048576 bytes",
    ),
    both(
        "Packed",
        Bad::Large { packed: true },
        "is larger than 1048576 bytes",
    ),
    both("CutOff", Bad::Cut(EMPTY), "(2 attempts)"),
    both(
        "CutInside",
        Bad::Body(r#"{"status":"success","data":{"resultType":"vector","result":["#),
        "is not readable: EOF",
    ),
    both("Nothing", Bad::Body(""), "is not readable: EOF"),
    both("Page", Bad::Body("<html>log in"), "is a web page"),
    both(
        "Text",
        Bad::Body(data!(r#""resultType":"string","result":[1,"x"]"#)),
        "string",
    ),
    both(
        "Streams",
        Bad::Body(data!(r#""resultType":"streams","result":[]"#)),
        "its resultType is \"streams\"",
    ),
    Case {
        rule: "OfTheOther",
        instant: Bad::Body(data!(r#""resultType":"matrix","result":[]"#)),
        range: Bad::Body(EMPTY),
        notified: "matrix",
    },
    both(
        "Untyped",
        Bad::Body(data!(r#""result":[]"#)),
        "is not readable: missing field `resultType`",
    ),
    both(
        "NoSamples",
        Bad::Body(data!(r#""resultType":"vector","result":[{"metric":{}}]"#)),
        "is not readable: a series without samples",
    ),
    both(
        "NoHistogram",
        Bad::Body(data!(
            r#""resultType":"vector","result":[{"metric":{},"histogram":[1,"12"]}]"#
        )),
        "expected a native histogram",
    ),
    both(
        "Past",
        Bad::Body(data!(
            r#""resultType":"vector","result":[{"metric":{},"value":[1700000001,"1"]}]"#
        )),
        "",
    ),
    both(
        "Partial",
        Bad::Body(concat!(
            r#"{"warnings":["a store is away"],"#,
            r#""status":"success","data":{"resultType":"vector","result":[]}}"#
        )),
        "is partial: a store is away",
    ),
    both(
        "Error",
        Bad::Body(r#"{"status":"error","errorType":"internal","error":"oh no"}"#),
        "internal: oh no",
    ),
];
/// The rule that is always answered.
const WELL: &str = "Well";

/// When answers are bad, in minutes since the start.
const DURING: std::ops::Range<u64> = 6..9;
const MINUTES: u64 = 13;

fn names() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|case| case.rule).chain([WELL])
}

fn rules() -> Vec<SourceFile> {
    let rules: Vec<String> = names()
        .map(|name| format!("  - {{alert: {name}, expr: 'm{{of=\"{name}\"}} > 5', for: 1m}}\n"))
        .collect();
    vec![SourceFile {
        name: "cases.yml".to_owned(),
        text: format!("groups:\n- name: cases\n  rules:\n{}", rules.concat()),
    }]
}

/// A whole answer that is larger than anyone wants, and how much of it was sent.
fn large(packed: bool, sent: Arc<AtomicUsize>) -> Pieces {
    static SERIES: LazyLock<String> =
        LazyLock::new(|| r#"{"metric":{"of":"x"},"value":[1700000000,"1"]},"#.repeat(1000));
    const BEGIN: &str = r#"{"status":"success","data":{"resultType":"vector","result":["#;
    const END: &str = r#"{"metric":{},"value":[1700000000,"1"]}]}}"#;
    static PACKED: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(BEGIN.as_bytes()).unwrap();
        for _ in 0..LARGE / SERIES.len() {
            gzip.write_all(SERIES.as_bytes()).unwrap();
        }
        gzip.write_all(END.as_bytes()).unwrap();
        gzip.finish().unwrap()
    });
    let chunk = |bytes: &[u8]| -> Arc<[u8]> {
        let head = format!("{:x}\r\n", bytes.len());
        [head.as_bytes(), bytes, b"\r\n"].concat().into()
    };
    let head = |more: &str| -> Arc<[u8]> {
        format!("HTTP/1.1 200 OK\r\n{more}Transfer-Encoding: chunked\r\n\r\n")
            .into_bytes()
            .into()
    };
    let count = move |piece: &Arc<[u8]>| {
        sent.fetch_add(piece.len(), Ordering::SeqCst);
    };
    let end: Arc<[u8]> = Arc::from(&b"0\r\n\r\n"[..]);
    if packed {
        let pieces = PACKED.chunks(1 << 14).map(chunk);
        let all = [head("Content-Encoding: gzip\r\n")]
            .into_iter()
            .chain(pieces);
        return Box::new(all.chain([end]).inspect(count));
    }
    let pieces = std::iter::repeat_n(chunk(SERIES.as_bytes()), LARGE / SERIES.len());
    let all = [head(""), chunk(BEGIN.as_bytes())]
        .into_iter()
        .chain(pieces);
    Box::new(all.chain([chunk(END.as_bytes()), end]).inspect(count))
}

fn fate(bad: Bad, sent: &Arc<AtomicUsize>) -> Fate {
    let reply = |body: &str, length: usize| -> Pieces {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        Box::new(std::iter::once(Arc::from(head.into_bytes())))
    };
    Fate::Sent(match bad {
        Bad::Body(body) => reply(body, body.len()),
        Bad::Cut(body) => reply(body, body.len() + 1),
        Bad::Large { packed } => large(packed, Arc::clone(sent)),
    })
}

/// What is answered to a question of one of the cases.
fn badly(request: &Request, sent: &Arc<AtomicUsize>) -> Option<Fate> {
    let body = String::from_utf8_lossy(&request.body);
    let is_about = |case: &&Case| body.contains(&format!("of%3D%22{}%22", case.rule));
    let case = CASES.iter().find(is_about)?;
    let is_range = request.line().ends_with("/query_range");
    Some(fate(if is_range { case.range } else { case.instant }, sent))
}

/// What a run left behind of each rule.
#[derive(Debug, PartialEq)]
struct Left {
    alerts: BTreeMap<Labels, Alert>,
    until: Timestamp,
    failure: Option<String>,
}

/// Runs once a minute; in some minutes the answers are bad, or not.
async fn drive(
    url: &str,
    bad: bool,
) -> Result<(Vec<BTreeMap<String, Left>>, Vec<Notified>, usize)> {
    let minute = Arc::new(AtomicUsize::new(0));
    let sent = Arc::new(AtomicUsize::new(0));
    let (now, count) = (Arc::clone(&minute), Arc::clone(&sent));
    let front = Front::start(url, move |request| {
        let is_bad = bad && DURING.contains(&(now.load(Ordering::SeqCst) as u64));
        is_bad
            .then(|| badly(request, &count))
            .flatten()
            .unwrap_or(Fate::Pass)
    })
    .await?;
    let options = ClientOptions {
        max_answer_bytes: MOST,
        request_timeout: Duration::from_secs(30),
        ..impatient(&front.url)
    };
    let settings = Settings {
        workspace: "test".to_owned(),
        ..Settings::default()
    };
    let mut bench = Bench::with_client(options, rules(), settings)?;
    bench.run_at(START.minus(Duration::from_secs(1))).await?;
    let mut left = Vec::new();
    for n in 0..MINUTES {
        minute.store(usize::try_from(n)?, Ordering::SeqCst);
        bench
            .run_at(START.plus(Duration::from_secs(60 * n + 7)))
            .await?;
        let state = bench.state().await?;
        let rules = state.rules.into_values().map(|rule| {
            let mut alerts = rule.active;
            for alert in alerts.values_mut() {
                // That it was late is all that may be different.
                alert.late = false;
            }
            let left = Left {
                alerts,
                until: rule.evaluated_until,
                failure: rule.health.failure.map(|failure| failure.error),
            };
            (rule.id.alert, left)
        });
        left.push(rules.collect());
    }
    Ok((left, bench.notified(), sent.load(Ordering::SeqCst)))
}

#[tokio::test]
async fn a_bad_answer_changes_no_alert_and_disturbs_no_other_rule() -> Result<()> {
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let mut history = History::new(Duration::from_secs(15));
    for name in names() {
        let values = (0..MINUTES * 4).map(|_| Some(100.0)).collect();
        history.push(&format!("m{{of=\"{name}\"}}"), values);
    }
    let server = tools
        .server()
        .samples(history.samples(START))
        .start()
        .await?;
    let (usual, usually_told, _) = drive(server.url(), false).await?;
    let (left, notified, sent) = drive(server.url(), true).await?;

    for (minute, (left, usual)) in (0..).zip(left.iter().zip(&usual)) {
        for name in names() {
            let (left, usual) = (&left[name], &usual[name]);
            ensure!(
                left.alerts == usual.alerts,
                "{minute} {name}: {left:#?} {usual:#?}"
            );
            ensure!(minute < 4 || !left.alerts.is_empty(), "{minute} {name}");
            let case = CASES.iter().find(|case| case.rule == name);
            match case.filter(|_| DURING.contains(&minute)) {
                Some(case) => {
                    let failure = left.failure.as_deref().unwrap_or_default();
                    ensure!(
                        !failure.is_empty() && failure.contains(case.notified),
                        "{minute} {name}: {failure:?}"
                    );
                }
                None => ensure!(left == usual, "{minute} {name}: {left:#?} {usual:#?}"),
            }
        }
    }
    // What is not read is not fetched either: what is between the two ends is little.
    ensure!(
        sent < LARGE,
        "{sent} bytes were taken of answers of {LARGE} each"
    );
    // Each alert is notified once, and so are the failures of rules and their end.
    let of_cases = |notified: &[Notified]| -> Vec<String> {
        let lines = story(notified, START).into_iter();
        lines.filter(|line| !line.contains("Dnswatch")).collect()
    };
    ensure!(
        of_cases(&notified) == of_cases(&usually_told),
        "{notified:#?}"
    );
    ensure!(!of_cases(&notified).is_empty(), "nothing is notified");
    let failing = notified.iter().find(|notified| {
        notified
            .message
            .body
            .contains("is larger than 1048576 bytes")
    });
    failing.context("an answer that is too large is reported")?;
    Ok(())
}

/// One `dnswatch run --once` that may have so much memory, in KiB.
fn run_once(url: &str, folder: &Path, most: usize) -> (bool, String) {
    let program = dnswatch().get_program().to_owned();
    let mut command = Command::new("bash");
    command
        .args(["-c", r#"ulimit -d "$0" && exec "$@""#, &most.to_string()])
        .arg(program)
        .args(["run", "--once", "--rules=rules.yml", "--state=state.json"])
        .args(["--group-wait=0s", "--group-interval=1s", "--url", url])
        .env_remove("DNSWATCH_URL")
        .env_remove("RUST_LOG")
        .current_dir(folder);
    let output = output(&mut command);
    (output.status.success(), said(&output))
}

/// As a user has it: two answers of 200 MB at once, of which each is read up to 64 MiB, while another
/// rule fires. With less memory than one of them would take up it works.
#[tokio::test(flavor = "multi_thread")]
async fn two_answers_of_200_mb_take_no_more_than_their_bound() -> Result<()> {
    /// A buffer of 64 MiB each, which may have grown to twice of that, and the program.
    const KIB: usize = (2 * 128 + 64) << 10;
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let server = tools.server().start().await?;
    let sent = Arc::new(AtomicUsize::new(0));
    let front = Front::start(server.url(), move |request| {
        let body = String::from_utf8_lossy(&request.body);
        match body.contains("query=m") {
            true => fate(
                Bad::Large {
                    packed: body.contains("packed"),
                },
                &sent,
            ),
            false => Fate::Pass,
        }
    })
    .await?;
    let folder = tempfile::tempdir()?;
    let rules = "groups:\n- name: g\n  interval: 2s\n  query_offset: 0s\n  rules:\n  \
                 - {alert: Plain, expr: 'm{of=\"plain\"} > 0'}\n  \
                 - {alert: Packed, expr: 'm{of=\"packed\"} > 0'}\n  \
                 - {alert: Well, expr: vector(42) > 41}\n";
    std::fs::write(folder.path().join("rules.yml"), rules)?;
    let mut all = String::new();
    let awaited = [
        "[FIRING:1] Well",
        "Plain",
        "Packed",
        "is larger than 67108864 bytes",
    ];
    for _ in 0..1000 {
        let (url, path) = (front.url.clone(), folder.path().to_owned());
        let run = tokio::task::spawn_blocking(move || run_once(&url, &path, KIB));
        // It fails, since rules do; but it comes to its end.
        let (_, said) = run.await?;
        ensure!(said.contains(" run due="), "{all}\n{said}");
        all.push_str(&said);
        if awaited.iter().all(|awaited| all.contains(awaited)) {
            return Ok(());
        }
    }
    anyhow::bail!("{awaited:?} were never said, but\n{all}");
}
