//! A run in one line of the log.

use std::time::Duration;

use backends::prometheus::Usage;
use backends::run::RunReport;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::log::Level;

/// How many texts of one kind a line holds.
const MAX_TEXTS: usize = 20;
/// How many characters of a text.
const MAX_TEXT: usize = 500;

/// The log line of a run that did its work.
#[derive(Debug)]
pub(crate) struct RunLogLine<'a> {
    /// The run's id.
    pub(crate) run: &'a str,
    /// What the run itself says.
    pub(crate) report: &'a RunReport,
    /// What went wrong with reading the configuration, though there is one.
    pub(crate) configuration: Option<&'a str>,
    /// How long reading it took.
    pub(crate) configuration_took: Duration,
    /// How long all of it took.
    pub(crate) took: Duration,
    /// What asking has cost.
    pub(crate) usage: Usage,
}

impl RunLogLine<'_> {
    /// Whether a person should look at it.
    pub(crate) fn level(&self) -> Level {
        let report = self.report;
        if report.evaluated_nothing() {
            return Level::Error;
        }
        let is_well = report.failing.is_empty()
            && report.server.is_none()
            && report.failed() == 0
            && report.config_refused.is_none()
            && report.published.refused.is_empty()
            && report.published.postponed.is_empty()
            && report.evaluated.skipped == 0
            && report.silences_unread.is_none()
            && report.undelivered.topics.is_empty()
            && report.undelivered.queues.is_empty()
            && report.state_ahead.is_zero()
            && !report.clock_stepped
            && report.server_clock_off_ms.is_none()
            && self.configuration.is_none();
        if is_well { Level::Info } else { Level::Warn }
    }

    /// The line's fields. Fields about trouble are present only when there is some.
    pub(crate) fn fields(&self) -> Value {
        let report = self.report;
        let took = &report.took;
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("run", json!(self.run));
        if report.first {
            put("first", json!(true));
        }
        put("due", json!(report.evaluated.due));
        put("evaluated", json!(report.evaluated.evaluated));
        put("failed", json!(report.failed()));
        put("skipped", json!(report.evaluated.skipped));
        put("rules_behind", json!(report.evaluated.stopped));
        put("lag_seconds", json!(report.lag.as_secs()));
        if !report.state_ahead.is_zero() {
            put("state_ahead_ms", json!(ms(report.state_ahead)));
        }
        if report.clock_stepped {
            put("clock_stepped", json!(true));
        }
        if let Some(off) = report.server_clock_off_ms {
            put("server_clock_off_ms", json!(off));
        }
        put("sent", json!(report.published.delivered));
        put("pending", json!(report.pending));
        put(
            "ms",
            json!({
                "total": ms(self.took),
                "configuration": ms(self.configuration_took),
                "load": ms(took.load),
                "query": ms(took.query),
                "evaluate": ms(took.evaluate),
                "commit": ms(took.commit),
                "publish": ms(took.publish),
            }),
        );
        put(
            "queries",
            json!({
                "requests": self.usage.requests,
                "retries": self.usage.retries,
                "answer_bytes": self.usage.answer_bytes,
            }),
        );
        for (name, text) in [
            ("configuration_refused", report.config_refused.as_deref()),
            ("configuration_not_refreshed", self.configuration),
            ("silences_unread", report.silences_unread.as_deref()),
        ] {
            if let Some(text) = text {
                put(name, json!(short(text)));
            }
        }
        if let Some(server) = &report.server {
            put("server", json!(short(&server.line())));
            put("rules_without_answer", json!(report.without_answer));
        }
        for (name, texts) in [
            ("failing", &report.failing),
            ("postponed", &report.published.postponed),
            ("refused", &report.published.refused),
            ("topics_without_subscribers", &report.undelivered.topics),
            ("queues_failing", &report.undelivered.queues),
            // Neither a fault nor health.
            ("subscribers_unknown", &report.undelivered.unknown),
        ] {
            if !texts.is_empty() {
                put(name, list(texts));
            }
        }
        Value::Object(fields)
    }
}

/// What was done from one count to the next.
pub(crate) fn usage_between(before: Usage, after: Usage) -> Usage {
    Usage {
        requests: after.requests.saturating_sub(before.requests),
        retries: after.retries.saturating_sub(before.retries),
        answer_bytes: after.answer_bytes.saturating_sub(before.answer_bytes),
    }
}

/// Whole milliseconds.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn list(texts: &[String]) -> Value {
    #[derive(Serialize)]
    struct List {
        count: usize,
        texts: Vec<String>,
    }
    json!(List {
        count: texts.len(),
        texts: texts
            .iter()
            .take(MAX_TEXTS)
            .map(|text| short(text))
            .collect(),
    })
}

pub(crate) fn short(text: &str) -> String {
    backends::line::one_line(text, &[], MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use alerting::evaluation::Progress;
    use backends::publish::Published;
    use backends::run::Timings;

    use super::*;
    use crate::log::tests::written;

    fn line(report: &RunReport, configuration: Option<&str>) -> String {
        let millis = Duration::from_millis;
        let line = RunLogLine {
            run: "00000000000000ff",
            report,
            configuration,
            configuration_took: millis(1),
            took: millis(250),
            usage: usage_between(
                Usage {
                    requests: 10,
                    retries: 1,
                    answer_bytes: 100,
                },
                Usage {
                    requests: 13,
                    retries: 1,
                    answer_bytes: 4196,
                },
            ),
        };
        written(|log| log.line(line.level(), "run", line.fields()))
    }

    #[test]
    fn a_run_is_one_line() {
        let millis = Duration::from_millis;
        let mut report = RunReport {
            evaluated: Progress {
                due: 6,
                evaluated: 6,
                ..Progress::default()
            },
            published: Published {
                delivered: 2,
                ..Published::default()
            },
            took: Timings {
                load: millis(20),
                query: millis(100),
                evaluate: millis(3),
                commit: millis(25),
                publish: millis(90),
            },
            ..RunReport::default()
        };
        let expected = concat!(
            r#"{"level":"INFO","message":"run","due":6,"evaluated":6,"failed":0,"lag_seconds":0,"#,
            r#""ms":{"commit":25,"configuration":1,"evaluate":3,"load":20,"publish":90,"#,
            r#""query":100,"total":250},"pending":0,"#,
            r#""queries":{"answer_bytes":4096,"requests":3,"retries":0},"#,
            r#""rules_behind":0,"run":"00000000000000ff","sent":2,"skipped":0}"#,
            "\n"
        );
        assert_eq!(line(&report, None), expected);

        report.first = true;
        report.evaluated.due = 7;
        report.evaluated.failed = 1;
        report.evaluated.skipped = 12;
        report.evaluated.stopped = 1;
        report.lag = Duration::from_secs(90);
        report.pending = 1;
        report.config_refused = Some("rules/a.yml:3:5: bad\nindeed".to_owned());
        report.failing = vec!["A: down".to_owned(); 30];
        report.failing[1] = "é".repeat(MAX_TEXT + 1);
        report.published.postponed = vec!["id1: throttled".to_owned()];
        report.published.refused = vec!["id2: too long".to_owned()];
        let line: Value = serde_json::from_str(&line(&report, Some("AMP is away"))).expect("JSON");
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["failing"]["count"], 30);
        let texts = line["failing"]["texts"].as_array().expect("a list");
        assert_eq!(texts.len(), MAX_TEXTS);
        let long = texts[1].as_str().expect("a text");
        assert_eq!(long.chars().count(), MAX_TEXT + 1);
        for (name, expected) in [
            ("first", json!(true)),
            ("skipped", json!(12)),
            ("rules_behind", json!(1)),
            ("lag_seconds", json!(90)),
            ("pending", json!(1)),
            (
                "configuration_refused",
                json!("rules/a.yml:3:5: bad indeed"),
            ),
            ("configuration_not_refreshed", json!("AMP is away")),
            (
                "postponed",
                json!({"count": 1, "texts": ["id1: throttled"]}),
            ),
            ("refused", json!({"count": 1, "texts": ["id2: too long"]})),
        ] {
            assert_eq!(line[name], expected, "{name}");
        }
    }

    /// Whatever else is well, each trouble by itself makes a line that a person should look at.
    #[track_caller]
    fn check_level(expected: &str, trouble: impl FnOnce(&mut RunReport)) {
        let mut report = RunReport::default();
        trouble(&mut report);
        let line: Value = serde_json::from_str(&line(&report, None)).expect("JSON");
        assert_eq!(line["level"], expected, "{line}");
    }

    #[test]
    fn each_trouble_alone_is_a_warning() {
        let text = || vec!["why".to_owned()];
        check_level("INFO", |_| {});
        check_level("INFO", |it| it.first = true);
        check_level("WARN", |it| it.failing = text());
        check_level("WARN", |it| it.config_refused = Some("why".to_owned()));
        check_level("WARN", |it| it.silences_unread = Some("why".to_owned()));
        check_level("WARN", |it| it.published.refused = text());
        check_level("WARN", |it| it.published.postponed = text());
        check_level("WARN", |it| it.evaluated.skipped = 1);
        check_level("WARN", |it| it.evaluated.failed = 1);
        check_level("ERROR", |it| it.evaluated.due = 1);
        check_level("WARN", |it| it.undelivered.topics = text());
        check_level("WARN", |it| it.undelivered.queues = text());
        // Neither a fault nor health.
        check_level("INFO", |it| it.undelivered.unknown = text());
        let line: Value =
            serde_json::from_str(&line(&RunReport::default(), Some("AMP is away"))).expect("JSON");
        assert_eq!(line["level"], "WARN", "{line}");
    }
}
