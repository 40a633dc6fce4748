//! `alertmanager.yml`: what loads, and what is wrong with what does not, beside the verdicts of
//! the real amtool.

use std::time::Duration;

use alerting::alertmanager::{AlertmanagerConfig, load};
use alerting::config::{ConfigFiles, Settings};
use alerting::notify::{self, Receiver, Route, SnsConfig};
use alerting::source::SourceFile;
use alerting::state::State;
use alerting::timestamp::Timestamp;

/// Configurations, each under a line with what `amtool check-config` 0.35 says of it.
const VERDICTS: &str = include_str!("amtool-verdicts.txt");

fn read(text: &str) -> Result<AlertmanagerConfig, Vec<String>> {
    let file = SourceFile {
        name: "am.yml".to_owned(),
        text: text.to_owned(),
    };
    load(&file, &[]).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    assert_eq!(
        read(text).map(|_| ()),
        Err(expected.iter().map(|e| (*e).to_owned()).collect()),
        "of\n{text}"
    );
}

fn ops(sns: &[(&str, bool)]) -> Receiver {
    Receiver {
        name: "ops".to_owned(),
        sns: sns
            .iter()
            .map(|(arn, send_resolved)| SnsConfig {
                send_resolved: *send_resolved,
                ..SnsConfig::from_topic(arn.parse().expect("an ARN"))
            })
            .collect(),
        ..Receiver::default()
    }
}

const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:alerts";

const FULL: &str = "\
route:
  receiver: ops
  group_by: [alertname, cluster]
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 1d
receivers:
- name: ops
  sns_configs:
  - topic_arn: arn:aws:sns:eu-central-1:123456789012:alerts
    sigv4: {region: eu-central-1}
    send_resolved: no
  - topic_arn: arn:aws:sns:eu-central-1:123456789012:alerts
";

/// What a configuration says of routes and receivers.
fn routing(text: &str) -> Result<(Route, Vec<Receiver>), Vec<String>> {
    read(text).map(|config| (config.route, config.receivers))
}

fn full() -> (Route, Vec<Receiver>) {
    (
        Route {
            receiver: "ops".to_owned(),
            group_by: vec!["alertname".to_owned(), "cluster".to_owned()],
            group_wait: Duration::from_secs(10),
            group_interval: Duration::from_secs(60),
            repeat_interval: Duration::from_secs(24 * 60 * 60),
            ..Route::default()
        },
        vec![ops(&[(TOPIC, false), (TOPIC, true)])],
    )
}

#[test]
fn what_is_read_takes_effect_and_defaults_are_alertmanagers() {
    assert_eq!(routing(FULL), Ok(full()));
    let least = "route: {receiver: ops}\nreceivers: [{name: ops}]\n";
    let config = read(least).expect("it loads");
    assert_eq!(
        config.route,
        Route {
            receiver: "ops".to_owned(),
            group_by: Vec::new(),
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(5 * 60),
            repeat_interval: Duration::from_secs(4 * 60 * 60),
            ..Route::default()
        }
    );
    assert_eq!(config.receivers, [ops(&[])]);
}

#[test]
fn a_definition_of_amp_is_unwrapped() {
    let indented: String = FULL.lines().map(|line| format!("  {line}\n")).collect();
    let wrapped = format!(
        "template_files:\n  default_template: |\n    {{{{ define \"x\" }}}}{{{{ end }}}}\nalertmanager_config: |\n{indented}"
    );
    assert_eq!(routing(&wrapped), Ok(full()));
    let quoted = format!("alertmanager_config: {:?}\n", FULL);
    assert_eq!(routing(&quoted), Ok(full()));
}

#[test]
fn errors_are_at_their_place_in_the_file_that_was_typed() {
    let body =
        "route:\n  receiver: ops\n  group_wait: soon\nreceivers:\n- name: ops\n  colour: red\n";
    refused(
        body,
        &[
            "am.yml:3:15: not a valid duration: \"soon\": write for example `30s`, `5m` or `1h30m`",
            "am.yml:6:3: a receiver has no field `colour`: `name`, `labels`, `sns_configs` are read",
        ],
    );
    let indented: String = body.lines().map(|line| format!("    {line}\n")).collect();
    refused(
        &format!("# AMP\nalertmanager_config: |\n{indented}"),
        &[
            "am.yml:5:19: not a valid duration: \"soon\": write for example `30s`, `5m` or `1h30m`",
            "am.yml:8:7: a receiver has no field `colour`: `name`, `labels`, `sns_configs` are read",
        ],
    );
    refused(
        "alertmanager_config: 'route: {receiver: x}'\n",
        &["am.yml:1:22: in its line 1, column 19: there is no receiver \"x\" under `receivers`"],
    );
    refused(
        "alertmanager_config: ''\nroute: {receiver: a}\ncolour: red\n",
        &[
            "am.yml:1:22: the file is either an Alertmanager configuration or, with \
             `alertmanager_config`, a definition of AMP: not both",
            "am.yml:1:22: there is no `route`: write one with a `receiver`",
            "am.yml:3:1: a definition of AMP has no field `colour`: `alertmanager_config` and \
             `template_files` are read",
        ],
    );
    refused(
        "alertmanager_config: |\n  alertmanager_config: x\n  route: {receiver: a}\n  receivers: [{name: a}]\n",
        &["am.yml:2:24: a definition of AMP cannot hold another one"],
    );
}

/// Whatever amtool refuses is refused; what it accepts and we do not is refused by name.
/// or for what is no topic.
#[test]
fn nothing_is_accepted_that_amtool_refuses() {
    let mut differing = String::new();
    let mut lenient = String::new();
    let (mut ok, mut refused) = (0, 0);
    for case in VERDICTS.split("#### amtool 0.35: ").skip(1) {
        let (verdict, text) = case.split_once('\n').expect("a verdict and a text");
        match (verdict, read(text)) {
            ("ok", Ok(_)) => ok += 1,
            ("ok", Err(errors)) => differing.push_str(&format!("{}\n", errors.join("\n  "))),
            (_, Err(_)) => refused += 1,
            (verdict, Ok(_)) => lenient.push_str(&format!("{verdict}\n{text}\n")),
        }
    }
    println!("as amtool: {ok} accepted, {refused} refused");
    assert_eq!(lenient, "", "accepted, though amtool refuses it");
    assert!(ok >= 100 && refused >= 100, "{ok} {refused}");
    insta::assert_snapshot!(differing);
}

/// What a merge key brings is added to, as Go's reader of YAML does it; amtool shows the same tree.
#[test]
fn merge_keys_mean_what_they_mean_to_alertmanager() {
    let matchers = |text: &str| {
        let config = read(text).expect("it loads");
        let routes = config.route.routes.iter();
        routes
            .map(|route| format!("{} {}", route.matchers, route.receiver))
            .collect::<Vec<_>>()
    };
    let of = |routes: &str| {
        format!("route:\n  receiver: d\n  routes:\n{routes}receivers: [{{name: d}}, {{name: e}}]\n")
    };
    assert_eq!(
        matchers(&of(
            "  - &r\n    receiver: e\n    matchers: [a=b]\n  - <<: *r\n    matchers: [c=d]\n"
        )),
        [r#"{a="b"} e"#, r#"{a="b",c="d"} e"#]
    );
    // Read where it stands: what follows counts.
    assert_eq!(
        matchers(&of(
            "  - &r\n    receiver: e\n    match: {a: b}\n  - receiver: d\n    match: {c: d}\n    <<: *r\n  \
             - <<: *r\n    matchers: ~\n    match: ~\n"
        )),
        [r#"{a="b"} e"#, r#"{a="b",c="d"} e"#, "{} e"]
    );
    let inhibited = "route: {receiver: d}\nreceivers: [{name: d}]\ninhibit_rules:\n\
                     - &i\n  name: one\n  source_matchers: [a=b]\n  target_matchers: [c=d]\n  equal: [x]\n\
                     - <<: *i\n  source_matchers: [e=f]\n  equal: [y]\n";
    let rules = read(inhibited).expect("it loads").inhibit_rules;
    assert_eq!(rules[1].source.to_string(), r#"{a="b",e="f"}"#);
    assert_eq!(rules[1].target.to_string(), r#"{c="d"}"#);
    assert_eq!(
        (rules[1].equal.join(","), rules[1].name.as_str()),
        ("y".to_owned(), "one")
    );
    refused(
        "<<: {route: {receiver: d}}\nroute: {receiver: d}\nreceivers: [{name: d}]\n",
        &["am.yml: a merge key sets the route that is set beside it: write it in one place"],
    );
}

#[test]
fn an_empty_group_by_takes_the_place_of_the_parents() {
    let text = "route:\n  receiver: d\n  group_by: [a]\n  routes:\n  - group_by: []\n  - group_by: ~\n  \
                - {}\nreceivers: [{name: d}]\n";
    let config = read(text).expect("it loads");
    let groups: Vec<String> = config
        .route
        .routes
        .iter()
        .map(|route| route.group_by.join(","))
        .collect();
    assert_eq!(groups, ["", "a", "a"]);
}

#[test]
fn labels_of_a_route_are_handed_down() {
    let text = "route:\n  receiver: d\n  labels: {team: dns, own: x}\n  routes:\n  - labels: {own: '{{ .Status }}'}\n\
                receivers: [{name: d, labels: {name: d, team: dns}}]\n";
    let config = read(text).expect("it loads");
    let labels = |route: &Route| {
        let labels = route.labels.iter();
        labels
            .map(|(name, value)| format!("{name}={}", value.source()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(labels(&config.route), "own=x team=dns");
    assert_eq!(
        labels(&config.route.routes[0]),
        "own={{ .Status }} team=dns"
    );
    assert_eq!(config.receivers[0].labels["team"], "dns");
    refused(
        "route: {receiver: d, labels: {a: '{{ nope }}'}}\nreceivers: [{name: d}]\n",
        &[
            "am.yml:1:34: the label `a` is no template: in its line and column 1:4: function \"nope\" not defined",
        ],
    );
}

/// What loads and has no effect is named.
#[test]
fn what_is_not_used_is_named() {
    let warnings = |text: &str| {
        let config = read(text).expect("it loads");
        let warnings = config.warnings.iter();
        warnings.map(ToString::to_string).collect::<Vec<_>>()
    };
    let text = "event_recorder: {stdout_outputs: [{name: a}]}\ntracing: {endpoint: x}\nroute: {receiver: d}\n\
                receivers:\n- name: d\n  sns_configs:\n  - topic_arn: arn:aws:sns:eu-central-1:123456789012:alerts\n    \
                use_aws_http_client: true\n";
    assert_eq!(
        warnings(text),
        [
            "am.yml:1:17: `event_recorder` is not used: dnswatch records no events, its log says what it did",
            "am.yml:2:10: `tracing` is not used: dnswatch sends no traces",
            "am.yml:8:26: `use_aws_http_client` is without effect: dnswatch has one HTTP client",
        ]
    );
    assert!(warnings(FULL).is_empty());
}

/// A definition of AMP with these receivers, each a line of YAML's flow style.
fn amp(receivers: &[&str]) -> String {
    let receivers: String = receivers.iter().map(|it| format!("  - {it}\n")).collect();
    format!(
        "alertmanager_config: |\n  route:\n    receiver: ops\n    routes:\n    - receiver: page\n      \
         matchers: [severity=critical]\n  receivers:\n{receivers}"
    )
}

const SECRET: &str = "aws_secrets_manager: {secret_arn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:pd-a1b2c3', \
                      secret_key: key, refresh_interval: 5m}";

/// AMP's own alert manager sends to PagerDuty; what else its definition says is taken over.
#[test]
fn pagerduty_in_a_definition_of_amp_costs_itself_alone() {
    let sns = format!("sns_configs: [{{topic_arn: '{TOPIC}', sigv4: {{region: eu-central-1}}}}]");
    let pagerduty = format!("pagerduty_configs: [{{routing_key: {{{SECRET}}}}}]");
    let both = amp(&[
        &format!("{{name: ops, {sns}}}"),
        &format!("{{name: page, {sns}, {pagerduty}}}"),
    ]);
    let config = read(&both).expect("it loads");
    let page = &config.receivers[1];
    assert_eq!(
        (page.sns.len(), page.undelivered.join(",")),
        (1, "pagerduty_configs".to_owned())
    );
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("am.yml:9:")
            && warnings[0].contains("`pagerduty_configs` of the receiver \"page\" is not delivered by dnswatch: subscribe")
            && !warnings[0].contains("secretsmanager"),
        "{warnings:?}"
    );
    // What is malformed is named as such, and costs no more.
    for (malformed, problem) in [
        ("{routing_key: abc}", "not under `aws_secrets_manager`"),
        ("{}", "neither a `routing_key` nor"),
        (
            "{service_key: {aws_secrets_manager: {secret_arn: x}}}",
            "needs a `secret_arn` and a `secret_key`",
        ),
        (
            "{routing_key: {}, service_key: {}}",
            "both a `routing_key` and",
        ),
        ("x", "neither a `routing_key` nor"),
    ] {
        let text = amp(&[
            &format!("{{name: ops, {sns}}}"),
            &format!("{{name: page, pagerduty_configs: [{malformed}]}}"),
        ]);
        let config = read(&text).expect("it loads");
        assert!(
            config.warnings[0].message.contains(problem),
            "{malformed}: {:?}",
            config.warnings
        );
        assert!(!config.receivers[1].undelivered.is_empty());
    }
    // An empty list is none.
    let none = amp(&[
        &format!("{{name: ops, {sns}, pagerduty_configs: []}}"),
        "{name: page}",
    ]);
    assert!(read(&none).expect("it loads").warnings.is_empty());
    // Another kind that AMP may learn, and a matcher that never matches, cost no more either.
    let other = amp(&[
        &format!("{{name: ops, {sns}, slack_configs: [{{}}]}}"),
        "{name: page}",
    ]);
    let other = other.replace("severity=critical", "a=b, a=c");
    assert_eq!(read(&other).expect("it loads").warnings.len(), 2);
    // In a file of the user's own it is refused.
    let own = format!("route: {{receiver: ops}}\nreceivers: [{{name: ops, {sns}, {pagerduty}}}]\n");
    let said = read(&own).expect_err("it is refused").join("\n");
    assert!(
        said.contains("`pagerduty_configs` is not supported"),
        "{said}"
    );
}

/// Where the default receiver delivers nothing, the ruler still reaches somebody.
#[test]
fn a_default_receiver_of_pagerduty_alone_is_reported() {
    let sns = format!("sns_configs: [{{topic_arn: '{TOPIC}'}}]");
    let pagerduty = format!("pagerduty_configs: [{{routing_key: {{{SECRET}}}}}]");
    let text = amp(&[
        &format!("{{name: ops, {pagerduty}}}"),
        &format!("{{name: page, {sns}}}"),
    ]);
    let config = read(&text).expect("it loads");
    let goes = |pairs: &[(&str, &str)]| {
        let labels = pairs.iter().copied().collect();
        let routes = config.route.matching(&labels).into_iter();
        routes
            .map(|route| route.receiver.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        goes(&[("alertname", "DnswatchReceiverNotDelivered")]),
        ["page"]
    );
    assert_eq!(goes(&[("alertname", "Other")]), ["ops"]);
    assert_eq!(
        goes(&[("alertname", "Other"), ("severity", "critical")]),
        ["page"]
    );
    assert!(
        config
            .warnings
            .iter()
            .any(|it| it.message.contains("goes to \"page\"")),
        "{:?}",
        config.warnings
    );
    let text = amp(&[&format!("{{name: ops, {pagerduty}}}"), "{name: page}"]);
    let said = read(&text).expect_err("it is refused").join("\n");
    assert!(
        said.contains("no route leads to a receiver that dnswatch delivers to"),
        "{said}"
    );
}

/// What is not delivered is an alert of the ruler's, which reaches a topic.
#[test]
fn a_receiver_that_is_not_delivered_to_is_an_alert() {
    let sns = format!("sns_configs: [{{topic_arn: '{TOPIC}'}}]");
    let pagerduty = format!("pagerduty_configs: [{{routing_key: {{{SECRET}}}}}]");
    let raised = |ops: &str, page: &str| {
        let files = ConfigFiles {
            rules: Vec::new(),
            alertmanager: Some(SourceFile {
                name: "am.yml".to_owned(),
                text: amp(&[
                    &format!("{{name: ops, {ops}}}"),
                    &format!("{{name: page, {page}}}"),
                ]),
            }),
            templates: Vec::new(),
        };
        let config = Settings::default().load(&files).expect("it loads");
        let mut state = State::default();
        for seconds in [0, 60] {
            notify::plan(
                &mut state,
                &config,
                &[],
                Timestamp::from_millis(seconds * 1000),
            );
        }
        let pending = state.notify.outbox.pending().iter();
        pending
            .map(|pending| {
                let alert = &pending.alerts[0];
                let about = alert.labels.get("receiver");
                let said = alert.annotations["description"].clone();
                format!(
                    "{} about {about} by {}: {said}",
                    alert.labels.get("alertname"),
                    pending.receiver
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(raised(&sns, &sns), [""; 0]);
    assert_eq!(
        raised(&sns, &format!("{sns}, {pagerduty}")),
        [
            "DnswatchReceiverNotDelivered about page by ops: The receiver page has pagerduty_configs, \
          which dnswatch does not deliver to; its 1 topic(s) receive everything routed to it. \
          Add an SNS topic to the receiver and subscribe the missing channel to it."
        ]
    );
    let notified = raised(&pagerduty, &sns);
    assert!(
        notified.len() == 1
            && notified[0].contains("about ops by page")
            && notified[0].contains("nothing routed to it is delivered"),
        "{notified:?}"
    );
}

#[test]
fn nothing_that_is_typed_makes_it_panic_or_says_a_secret() {
    for end in 0..FULL.len() {
        let _ = read(FULL.get(..end).expect("ASCII"));
    }
    for text in [
        "\u{0}",
        "a: &a [*a]",
        "route: &a {<<: *a}",
        "? [a]\n: b",
        "route: !!binary x",
        "receivers: [[[[]]]]",
        "receivers: [~, ~]",
        "- - -",
        "route: {receiver: [a]}",
        "alertmanager_config: |\n",
        "alertmanager_config: ~",
        "alertmanager_config: |\n\n \n",
        "alertmanager_config: >\n  route:\n    receiver: a\n",
    ] {
        assert!(read(text).is_err(), "{text:?}");
    }
    let secret = "route: {receiver: a}\nreceivers:\n- name: a\n  sns_configs:\n  - topic_arn: x\n    sigv4: {access_key: AKIA1, secret_key: canary}\n";
    let said = read(secret).expect_err("it is refused").join("\n");
    assert!(said.contains("`secret_key` is not supported"), "{said}");
    assert!(
        !said.contains("canary") && !said.contains("AKIA1"),
        "{said}"
    );
}
