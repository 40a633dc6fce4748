//! Topics without recipients: minutes of lookups as letters, and what is sent where.

use std::collections::BTreeMap;

use alerting::config::{Config, ConfigFiles, Settings};
use alerting::notify::{
    self, Details, Found, Message, QueueFault, Receiver, SnsConfig, Subscribers, TopicArn,
    subscribers,
};
use alerting::rules::SourceFile;
use alerting::state::State;

use crate::world::{MINUTE, start};

fn arn(name: &str) -> TopicArn {
    let arn = format!("arn:aws:sns:eu-central-1:123456789012:{name}");
    arn.parse().expect("an ARN")
}

fn queue(name: &str) -> String {
    format!("arn:aws:sqs:eu-central-1:123456789012:{name}")
}

fn settings() -> Settings {
    let defaults = Settings::default();
    Settings {
        receivers: vec![Receiver {
            name: defaults.route.receiver.clone(),
            sns: vec![SnsConfig::from_topic(arn("alerts"))],
            terminal: false,
            labels: BTreeMap::new(),
            undelivered: Vec::new(),
        }],
        alarm_topic: Some(arn("alarms")),
        ..defaults
    }
}

fn load(settings: &Settings, alertmanager: Option<&str>) -> Config {
    let files = ConfigFiles {
        alertmanager: alertmanager.map(|text| SourceFile {
            name: "alertmanager.yml".to_owned(),
            text: text.to_owned(),
        }),
        ..ConfigFiles::default()
    };
    settings.load(&files).expect("it loads")
}

/// A letter: `c` confirmed, `p` pending, `n` none, `u` unknown, `g` a confirmed queue with dead
/// letters beside it.
fn found(topic: &TopicArn, letter: char) -> Found {
    let mut queues = BTreeMap::new();
    let subscribers = match letter {
        'c' => Subscribers::Confirmed,
        'p' => Subscribers::Pending,
        'n' => Subscribers::None,
        'u' => Subscribers::Unknown("AccessDenied".to_owned()),
        _ => {
            queues.insert(queue("slack"), QueueFault::DeadLetters(3));
            Subscribers::Confirmed
        }
    };
    Found {
        topic: topic.clone(),
        subscribers,
        queues,
    }
}

/// A run every five minutes. Each topic's letters are what its lookups find at each run; the last
/// one stays. Each line: the minute, the topic's name, the subject.
#[track_caller]
fn check(config: &Config, topics: &[(&str, &str)], runs: usize, expected: &[&str]) -> State {
    let mut state = State::default();
    let mut sent = Vec::new();
    for run in 0..runs {
        let now = start().plus(MINUTE * 5 * u32::try_from(run).expect("few"));
        let due = subscribers::due(&state.notify, config, now);
        let letter = |topic: &TopicArn| {
            let (_, letters) = topics
                .iter()
                .find(|(name, _)| topic.as_str().ends_with(&format!(":{name}")))
                .expect("a topic of the test");
            letters.chars().nth(run).or(letters.chars().last())
        };
        let looked_up: Vec<Found> = due
            .iter()
            .map(|sns| found(&sns.topic_arn, letter(&sns.topic_arn).expect("a letter")))
            .collect();
        subscribers::take(&mut state.notify, config, looked_up, now);
        notify::plan(&mut state, config, &[], now);
        let outbox = &mut state.notify.outbox;
        outbox.claim("run", now, now.plus(MINUTE));
        let claimed: Vec<_> = outbox.claimed_by("run", now).cloned().collect();
        for notification in &claimed {
            assert!(outbox.delivered(&notification.id, "run"));
            let receiver = config.receiver(&notification.receiver).expect("known");
            let topic = receiver.sns[0].topic_arn.as_str();
            let message = Message::from_notification(notification, &Details::default(), now);
            sent.push(format!(
                "{} {}: {}",
                run * 5,
                topic.rsplit(':').next().unwrap_or_default(),
                message.subject.replace(topic, "it")
            ));
        }
        // What is stored is all that the next run knows.
        state = State::from_json(&state.to_json().expect("JSON")).expect("a state");
    }
    sent.sort_by_key(|line| {
        let minute = line.split(' ').next().and_then(|at| at.parse::<u32>().ok());
        (minute, line.clone())
    });
    let matches = sent.len() == expected.len()
        && sent
            .iter()
            .zip(expected)
            .all(|(line, beginning)| line.starts_with(beginning));
    assert!(matches, "{sent:#?}, not {expected:#?}");
    state
}

#[test]
fn a_topic_that_lost_its_subscriber_is_reported_by_the_alarm_topic() {
    // The unsubscription is found an hour after the first look, tolerated for 15 minutes, and the
    // end of it is sent both ways.
    let lost = format!("{}{}", "c".repeat(11), "n".repeat(7));
    check(
        &load(&settings(), None),
        &[("alerts", &format!("{lost}c")), ("alarms", "c")],
        25,
        &[
            "75 alarms: [FIRING:1] DnswatchNoSubscribers",
            "75 alerts: [FIRING:1] DnswatchNoSubscribers",
            "90 alarms: [RESOLVED] DnswatchNoSubscribers",
            "90 alerts: [RESOLVED] DnswatchNoSubscribers",
        ],
    );
}

#[test]
fn an_alarm_topic_without_a_subscriber_is_reported_by_the_alert_topic() {
    check(
        &load(&settings(), None),
        &[("alerts", "c"), ("alarms", "n")],
        6,
        &["15 alerts: [FIRING:1] DnswatchNoSubscribers"],
    );
}

#[test]
fn an_address_that_is_confirmed_in_time_is_no_fault() {
    check(
        &load(&settings(), None),
        &[("alerts", "ppc"), ("alarms", "pnc")],
        30,
        &[],
    );
}

#[test]
fn where_no_topic_has_a_subscriber_only_the_report_says_so() {
    let config = load(&settings(), None);
    let state = check(
        &config,
        &[("alerts", "n"), ("alarms", "p")],
        6,
        &["15 alerts: [FIRING:2] DnswatchNoSubscribers"],
    );
    let now = start().plus(MINUTE * 25);
    let undelivered = subscribers::undelivered(&state.notify, now);
    assert_eq!(undelivered.topics.len(), 2, "{undelivered:?}");
}

#[test]
fn unknown_is_neither_a_fault_nor_health() {
    let config = load(&settings(), None);
    let state = check(&config, &[("alerts", "u"), ("alarms", "u")], 40, &[]);
    let undelivered = subscribers::undelivered(&state.notify, start().plus(MINUTE * 195));
    assert_eq!(undelivered.topics, [""; 0]);
    assert_eq!(undelivered.unknown.len(), 2, "{undelivered:?}");
    assert!(undelivered.unknown[0].ends_with("alarms: AccessDenied"));

    // It is no way either where another is known to reach somebody, and no all-clear.
    check(
        &config,
        &[("alerts", "nnnnu"), ("alarms", "c")],
        40,
        &[
            "15 alarms: [FIRING:1] DnswatchNoSubscribers",
            "15 alerts: [FIRING:1] DnswatchNoSubscribers",
        ],
    );
    // Better than nothing where there is no other.
    check(
        &config,
        &[("alerts", "n"), ("alarms", "u")],
        6,
        &[
            "15 alarms: [FIRING:1] DnswatchNoSubscribers",
            "15 alerts: [FIRING:1] DnswatchNoSubscribers",
        ],
    );
}

#[test]
fn what_is_empty_on_purpose_or_not_in_use_is_no_fault() {
    let mut settings = settings();
    settings.unsubscribed_topics.insert(arn("alarms"));
    // A receiver that no route names is not in use.
    let text = "route: {receiver: team}\nreceivers:\n\
                - {name: team, sns_configs: [{topic_arn: 'arn:aws:sns:eu-central-1:123456789012:alerts'}]}\n\
                - {name: old, sns_configs: [{topic_arn: 'arn:aws:sns:eu-central-1:123456789012:old'}]}\n";
    let config = load(&settings, Some(text));
    check(&config, &[("alerts", "c")], 6, &[]);
}

#[test]
fn another_receiver_is_a_way_where_the_alarm_topic_is_none() {
    let text = "route: {receiver: team, routes: [{receiver: other, matchers: ['team=other']}]}\n\
                receivers:\n\
                - {name: team, sns_configs: [{topic_arn: 'arn:aws:sns:eu-central-1:123456789012:alerts'}]}\n\
                - {name: other, sns_configs: [{topic_arn: 'arn:aws:sns:eu-central-1:123456789012:other'}]}\n";
    let settings = Settings {
        alarm_topic: None,
        ..settings()
    };
    let config = load(&settings, Some(text));
    check(
        &config,
        &[("alerts", "n"), ("other", "c")],
        6,
        &[
            "15 alerts: [FIRING:1]",
            "15 other: [FIRING:1] DnswatchNoSubscribers",
        ],
    );
}

#[test]
fn a_queue_that_loses_notifications_is_reported_beside_it() {
    let state = check(
        &load(&settings(), None),
        &[("alerts", "gggc"), ("alarms", "c")],
        30,
        &[
            "0 alarms: [FIRING:1] DnswatchQueueFailing",
            "5 alerts: [FIRING:1] DnswatchQueueFailing",
            "15 alarms: [RESOLVED] DnswatchQueueFailing",
            "15 alerts: [RESOLVED] DnswatchQueueFailing",
        ],
    );
    let undelivered = subscribers::undelivered(&state.notify, start().plus(MINUTE * 200));
    assert_eq!(undelivered, notify::Undelivered::default());
}

/// A look costs a request: each topic has one an hour, and one in five minutes while it has a fault.
#[test]
fn a_topic_is_looked_up_once_an_hour() {
    let config = load(&settings(), None);
    for (letter, minutes) in [('c', 60), ('u', 60), ('p', 5), ('n', 5), ('g', 5)] {
        let mut state = State::default();
        let all = subscribers::due(&state.notify, &config, start());
        assert_eq!(all.len(), 2);
        let looked_up = all.iter().map(|sns| found(&sns.topic_arn, letter));
        subscribers::take(&mut state.notify, &config, looked_up.collect(), start());
        let next = start().plus(MINUTE * minutes);
        let due = |at| subscribers::due(&state.notify, &config, at).len();
        assert_eq!((due(next.minus(MINUTE)), due(next)), (0, 2), "{letter}");
        // Looked up under a clock that was ahead.
        assert_eq!(due(start().minus(MINUTE)), 2);
    }
}
