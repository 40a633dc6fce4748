//! What Go and Prometheus themselves make of templates, and what no template may do.

use serde::Deserialize;

use super::{Answer, Data, Stop, Template};
use crate::labels::Labels;
use crate::timestamp::Timestamp;

mod bounds;

/// What Go's own `text/template` (1.27) made of each template: made by, and checked again by,
/// `tests/oracles/go-template`.
const GO: &str = include_str!("go.json");

/// What promtool (`test rules`) made of an annotation of the alert `Test`, whose sample has the
/// labels `__name__="m"` and `idx="0"`: 2.53 and 3.16 alike, but for Go's words on types that are
/// not comparable, which are 3.16's. `tests/src/templates.rs` asks both again.
const PROMTOOL: &str = include_str!("promtool.json");
/// The same of what 2.53 has not, or has otherwise: by promtool 3.16.
const PROMTOOL_3_16: &str = include_str!("promtool-3.16.json");

#[derive(Deserialize)]
struct Case {
    template: String,
    value: Option<String>,
    output: Option<String>,
    error: Option<String>,
    parse_error: Option<String>,
}

fn labels() -> Labels {
    Labels::from_iter([
        ("__name__", "up"),
        ("instance", "db-1.example:9100"),
        ("job", "node"),
        ("path", "/var/lib"),
        ("html", r#"<a href="x">it's & more</a>"#),
        ("unicode", "Zürich–Ω"),
        ("count", "42"),
    ])
}

fn external_labels() -> Labels {
    Labels::from_iter([("cluster", "prod"), ("region", "eu-west-1")])
}

/// The samples that the oracle's `query` gives.
fn answer(expr: &str) -> Option<Answer> {
    let sample = |pairs: &[(&str, &str)], value: f64| {
        let labels = pairs.iter().copied().collect::<Labels>();
        (labels, value.into())
    };
    Some(match expr {
        "up" => Ok(vec![
            sample(
                &[("__name__", "up"), ("instance", "b"), ("job", "node")],
                1.0,
            ),
            sample(
                &[("__name__", "up"), ("instance", "a"), ("job", "node")],
                0.0,
            ),
            sample(&[("__value__", "text"), ("instance", "c")], 2.5),
        ]),
        "none" => Ok(Vec::new()),
        _ => Err("1:1: parse error: no such query".to_owned()),
    })
}

fn expand(template: &str, value: f64) -> Result<Result<String, Stop>, super::ParseError> {
    let (labels, external_labels) = (labels(), external_labels());
    let data = Data {
        alert: "Test",
        labels: &labels,
        external_labels: &external_labels,
        external_url: "http://localhost:9090/prom",
        value: value.into(),
        at: Timestamp::from_millis(1_435_065_584_128),
    };
    Template::parse(template).map(|template| template.expand(&data, &answer))
}

/// What the oracle would have written.
fn outcome(case: &Case) -> (&'static str, String) {
    let value = case
        .value
        .as_deref()
        .map_or(0.97, |value| value.parse().expect("a float"));
    match expand(&case.template, value) {
        Ok(Ok(output)) => ("output", output),
        Ok(Err(Stop::Failed(message))) => (
            "error",
            message
                .strip_prefix("error executing template __alert_Test: ")
                .unwrap_or(&message)
                .to_owned(),
        ),
        Ok(Err(needs @ Stop::Needs(_))) => ("needs", needs.to_string()),
        Err(error) => (
            "parse_error",
            format!("template: __alert_Test:{}: {}", error.line, error.message),
        ),
    }
}

#[test]
fn gives_what_go_gives() {
    let cases: Vec<Case> = serde_json::from_str(GO).expect("a list of cases");
    assert!(cases.len() > 600, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let expected = if let Some(output) = &case.output {
            ("output", output.clone())
        } else if let Some(error) = &case.error {
            ("error", error.clone())
        } else {
            let error = case.parse_error.clone().expect("an outcome");
            // Ours name no template in the middle of a sentence.
            let error = error.replace("started at __alert_Test:", "started at line ");
            ("parse_error", error)
        };
        let actual = outcome(case);
        if actual != expected {
            wrong.push(format!(
                "{}\n    Go:   {} {:?}\n    here: {} {:?}",
                case.template, expected.0, expected.1, actual.0, actual.1
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// The answers to the queries among promtool's cases, as promtool's engine gave them.
fn promtool_answer(expr: &str) -> Option<Answer> {
    let one = |pairs: &[(&str, &str)], value: f64| {
        let labels = pairs.iter().copied().collect::<Labels>();
        Ok(vec![(labels, value.into())])
    };
    Some(match expr {
        "vector(5)" => one(&[], 5.0),
        "1" | "vector(1)" | "absent(nope)" => one(&[], 1.0),
        "nope" => Ok(Vec::new()),
        "sum(" => Err("1:5: parse error: unclosed left parenthesis".to_owned()),
        _ => one(&[("a", "b")], 1.0),
    })
}

#[test]
fn gives_what_promtool_gives() {
    let mut cases: Vec<Case> = serde_json::from_str(PROMTOOL).expect("a list of cases");
    let newer: Vec<Case> = serde_json::from_str(PROMTOOL_3_16).expect("a list of cases");
    cases.extend(newer);
    assert!(cases.len() > 800, "only {} cases", cases.len());
    let external_labels = external_labels();
    let mut wrong = Vec::new();
    for case in &cases {
        let value = case.value.clone().expect("a value");
        let labels = Labels::from_iter([("__name__", "m"), ("idx", "0")]);
        let data = Data {
            alert: "Test",
            labels: &labels,
            external_labels: &external_labels,
            external_url: "http://localhost:9090/prom",
            value: value.parse::<f64>().expect("a float").into(),
            at: Timestamp::from_millis(0),
        };
        let template = Template::parse(&case.template).expect("a template");
        let actual = match template.expand(&data, &promtool_answer) {
            Ok(text) => text,
            Err(Stop::Failed(message)) => super::failed_text(&message),
            Err(needs) => needs.to_string(),
        };
        let expected = case.output.clone().expect("an output");
        if actual != expected {
            wrong.push(format!(
                "{} of {value}\n    promtool: {expected:?}\n    here:     {actual:?}",
                case.template
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[track_caller]
fn check(template: &str, expected: Result<&str, &str>) {
    let actual = match expand(template, 0.97) {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(stop)) => Err(stop.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let expected = expected.map(str::to_owned).map_err(str::to_owned);
    assert_eq!(actual, expected, "{template}");
}

/// What neither oracle has: functions that are newer, and addresses that promtool does not give.
#[test]
fn gives_what_prometheus_3_gives() {
    check(
        "{{pathPrefix}} {{externalURL}}",
        Ok("/prom http://localhost:9090/prom"),
    );
    check("{{now}}", Ok("1.435065584128e+09"));
    check(
        "{{parseDuration \"-1h\"}} {{parseDuration \"-0s\"}}",
        Ok("-3600 0"),
    );
    check("{{90 | toDuration}}", Ok("1m30s"));
    check("{{urlQueryEscape \"a b&c\"}}", Ok("a+b%26c"));
    check(
        "{{humanizeDuration (toDuration 5400)}}",
        Err(
            "error executing template __alert_Test: template: __alert_Test:1:114: executing \
         \"__alert_Test\" at <humanizeDuration (toDuration 5400)>: error calling \
         humanizeDuration: can't convert *time.Duration to float",
        ),
    );
}

/// By `golang.org/x/text/cases` 0.22, `Title(AmericanEnglish, NoLower)`, which Prometheus 3 uses.
#[test]
fn titles_words_as_prometheus_3_does() {
    for (text, titled) in [
        ("hello world", "Hello World"),
        ("it's o'neil", "It's O'neil"),
        ("foo_bar-baz/qux", "Foo_bar-Baz/Qux"),
        ("a.b a..b a:b a::b a,b a;b", "A.b A..B A:b A::B A,B A;B"),
        ("3com 3 com x3y 1st", "3Com 3 Com X3y 1St"),
        ("HELLO wORLD", "HELLO WORLD"),
        ("école ñu ÿ αβγ ςσ", "École Ñu Ÿ Αβγ Σσ"),
        ("a'b''c a·b don’t", "A'b''C A·b Don’t"),
        ("disk full. node down", "Disk Full. Node Down"),
        (
            "(paren) [brk] {c} a@b.c a+b=c",
            "(Paren) [Brk] {C} A@B.c A+B=C",
        ),
        ("foo\tbar\nbaz _lead __x", "Foo\tBar\nBaz _Lead __X"),
        ("ß straße ǆ ﬁne ᾳ", "Ss Straße ǅ Fine ᾼ"),
        ("日本語 abc日本def", "日本語 Abc日本Def"),
        (
            "a\u{301}b c\u{ad}d a\u{200b}b a\u{a0}b",
            "A\u{301}b C\u{ad}d A\u{200b}B A\u{a0}B",
        ),
    ] {
        let actual = super::prometheus::title(text.as_bytes());
        assert_eq!(String::from_utf8_lossy(&actual), titled);
    }
}

#[test]
fn positions_of_parse_errors_are_the_users() {
    check("{{nope}}", Err("1:3: function \"nope\" not defined"));
    check("ünü\n  é{{ $x }}", Err("2:7: undefined variable \"$x\""));
    check("{{if 1}}", Err("1:9: unexpected EOF"));
}

#[test]
fn asks_for_what_it_lacks() {
    let labels = Labels::default();
    let data = Data {
        alert: "Test",
        labels: &labels,
        external_labels: &labels,
        external_url: "",
        value: 1.0.into(),
        at: Timestamp::from_millis(0),
    };
    let template =
        Template::parse(r#"{{if gt $value 5.0}}{{query "a"}}{{end}}{{query "b" | len}}"#)
            .expect("a template");
    let missing = |_: &str| None;
    assert_eq!(
        template.expand(&data, &missing),
        Err(Stop::Needs(vec!["b".to_owned()]))
    );
    let known = |expr: &str| (expr == "b").then(|| Ok(Vec::new()));
    assert_eq!(template.expand(&data, &known), Ok("0".to_owned()));
}

#[test]
fn knows_what_is_constant() {
    for (text, constant) in [
        ("", true),
        ("plain }} text", true),
        ("a{{/* comment */}}b", true),
        ("{{1}}", false),
        ("{{define \"x\"}}{{end}}a", true),
        ("a {{- $labels.job }}", false),
    ] {
        let template = Template::parse(text).expect(text);
        assert_eq!(template.is_constant(), constant, "{text}");
        assert_eq!(template.source(), text);
    }
}
