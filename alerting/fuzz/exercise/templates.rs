//! What is done to a text as a template, by the fuzzer and by the tests.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use alerting::labels::Labels;
use alerting::template::notification::{
    AlertData, Dot, NamedTemplates, NotificationData, NotificationTemplate,
};
use alerting::template::{Answer, Data, ParseError, Stop, Template};
use alerting::timestamp::Timestamp;

use super::places;

/// The most that a template gives out, in bytes.
const MOST: usize = 1 << 20;
/// The most that an error says of it: it may quote the template and a value.
const MOST_REPORTED: usize = 4 * MOST;

/// Expands it as an annotation and as a message: within the bounds, and the same however
/// it comes to be answered.
pub(crate) fn exercise(text: &str) {
    annotation(text);
    message(text);
}

fn annotation(text: &str) {
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => return refused(&error, text),
    };
    assert_eq!(template.source(), text);
    let at_once = expanded(&template, 0.97, 1_435_065_584_128, &answer);
    if let Err(Stop::Failed(notified)) = &at_once
        && notified.contains("takes more than")
    {
        // Once is enough of that.
        return;
    }
    assert_eq!(by_and_by(&template), at_once, "asked for one by one");
    let reads = template.reads();
    if !reads.changing && !reads.whole {
        let other = |_: &str| Some(Err("not asked".to_owned()));
        let again = expanded(&template, f64::NAN, 0, &other);
        assert_eq!(again, at_once, "it was not to change");
    }
    if template.is_constant() {
        assert!(at_once.is_ok(), "{at_once:?}");
    }
}

/// The text, or the error's: each within its bound.
fn expanded(
    template: &Template,
    value: f64,
    millis: i64,
    answers: &dyn Fn(&str) -> Option<Answer>,
) -> Result<String, Stop> {
    let labels = Labels::from_iter([
        ("__name__", "up"),
        ("instance", "a:9100"),
        ("path", "<b>\u{e9}\n"),
    ]);
    let data = Data {
        alert: "Any",
        labels: &labels,
        external_labels: &Labels::from_iter([("cluster", "prod")]),
        external_url: "http://localhost:9090/prom",
        value: value.into(),
        at: Timestamp::from_millis(millis),
    };
    let expanded = template.expand(&data, answers);
    match &expanded {
        Ok(text) => assert!(text.len() <= MOST, "{} bytes", text.len()),
        Err(Stop::Failed(notified)) => {
            assert!(notified.len() <= MOST_REPORTED, "{} bytes", notified.len());
        }
        Err(Stop::Needs(queries)) => assert!(!queries.is_empty()),
    }
    expanded
}

/// The same, as the ruler does it: each query is answered once it has been asked for.
fn by_and_by(template: &Template) -> Result<String, Stop> {
    let known: RefCell<BTreeSet<String>> = RefCell::default();
    loop {
        let answers = |query: &str| known.borrow().contains(query).then(|| answer(query))?;
        match expanded(template, 0.97, 1_435_065_584_128, &answers) {
            Err(Stop::Needs(queries)) => {
                for query in queries {
                    assert!(known.borrow_mut().insert(query), "asked for what is known");
                }
            }
            done => return done,
        }
    }
}

/// What is stored here: an error for some queries, two series for the others.
#[expect(clippy::unnecessary_wraps, reason = "as the template asks")]
fn answer(query: &str) -> Option<Answer> {
    if query.len() % 3 == 2 {
        return Some(Err("1:1: parse error".to_owned()));
    }
    let sample = |instance: &str, value| {
        (
            Labels::from_iter([("instance", instance)]),
            f64::into(value),
        )
    };
    Some(Ok(vec![sample("b", 1.5), sample("a", f64::INFINITY)]))
}

fn message(text: &str) {
    let files = NamedTemplates::new([text]);
    let template = match NotificationTemplate::parse(text) {
        Ok(template) => template,
        Err(error) => {
            assert!(files.is_err_and(|(file, notified)| file == 0 && notified == error));
            return refused(&error, text);
        }
    };
    let named = files.expect("it parses as a message");
    let labels = Labels::from_iter([("alertname", "Any"), ("severity", "page")]);
    let annotations = BTreeMap::from([("summary".to_owned(), "<b>it's\u{e9}".to_owned())]);
    let alert = |ends_at| AlertData {
        labels: &labels,
        annotations: &annotations,
        starts_at: Timestamp::from_secs(1_435_065_584),
        ends_at,
        generator_url: String::new(),
    };
    let data = NotificationData {
        receiver: "ops",
        alerts: vec![
            alert(None),
            alert(Some(Timestamp::from_secs(1_435_069_000))),
        ],
        group_labels: &labels,
        common_labels: &labels,
        common_annotations: &annotations,
        external_url: "http://localhost:9093",
        route_labels: BTreeMap::new(),
        reason: "first notification".to_owned(),
        now: Timestamp::from_secs(1_435_069_060),
    };
    let dot = Dot::new(&data);
    match template.expand(&named, &dot) {
        Ok(text) => assert!(text.len() <= MOST, "{} bytes", text.len()),
        Err(notified) => assert!(notified.len() <= MOST_REPORTED, "{} bytes", notified.len()),
    }
}

fn refused(error: &ParseError, text: &str) {
    assert!(!error.message.is_empty());
    // The text is said to be too long as a whole.
    places::check(error.line, error.column, text);
}
