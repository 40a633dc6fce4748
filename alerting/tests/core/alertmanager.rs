//! `alertmanager.yml`: what loads, and what is wrong with what does not, beside the verdicts of
//! the real amtool.

use std::time::Duration;

use alerting::alertmanager::{AlertmanagerConfig, load};
use alerting::notify::{Receiver, Route, SnsConfig};
use alerting::source::SourceFile;

/// Configurations, each under a line with what `amtool check-config` 0.25 says of it.
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
        read(text),
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
                ..SnsConfig::of(arn.parse().expect("an ARN"))
            })
            .collect(),
        terminal: false,
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

fn full() -> AlertmanagerConfig {
    AlertmanagerConfig {
        route: Route {
            receiver: "ops".to_owned(),
            group_by: vec!["alertname".to_owned(), "cluster".to_owned()],
            group_wait: Duration::from_secs(10),
            group_interval: Duration::from_secs(60),
            repeat_interval: Duration::from_secs(24 * 60 * 60),
            ..Route::default()
        },
        receivers: vec![ops(&[(TOPIC, false), (TOPIC, true)])],
    }
}

#[test]
fn what_is_read_takes_effect_and_defaults_are_alertmanagers() {
    assert_eq!(read(FULL), Ok(full()));
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
    assert_eq!(read(&wrapped), Ok(full()));
    let quoted = format!("alertmanager_config: {:?}\n", FULL);
    assert_eq!(read(&quoted), Ok(full()));
}

#[test]
fn errors_are_at_their_place_in_the_file_that_was_typed() {
    let body =
        "route:\n  receiver: ops\n  group_wait: soon\nreceivers:\n- name: ops\n  colour: red\n";
    refused(
        body,
        &[
            "am.yml:3:15: not a valid duration: \"soon\": write for example `30s`, `5m` or `1h30m`",
            "am.yml:6:3: a receiver has no field `colour`: `name`, `sns_configs` are read",
        ],
    );
    let indented: String = body.lines().map(|line| format!("    {line}\n")).collect();
    refused(
        &format!("# AMP\nalertmanager_config: |\n{indented}"),
        &[
            "am.yml:5:19: not a valid duration: \"soon\": write for example `30s`, `5m` or `1h30m`",
            "am.yml:8:7: a receiver has no field `colour`: `name`, `sns_configs` are read",
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
    let mut cases = 0;
    for case in VERDICTS.split("#### amtool 0.25: ").skip(1) {
        let (verdict, text) = case.split_once('\n').expect("a verdict and a text");
        cases += 1;
        match (verdict, read(text)) {
            ("ok", Ok(_)) => {}
            ("ok", Err(errors)) => differing.push_str(&format!("{}\n", errors.join("\n  "))),
            (refused, ours) => assert!(ours.is_err(), "amtool: {refused}\n{text}"),
        }
    }
    assert_eq!(cases, 97);
    insta::assert_snapshot!(differing, @r#"
    am.yml:1:1: `global` is not supported yet
    am.yml:1:1: `templates` is not supported yet
    am.yml:8:1: `inhibit_rules` is not supported yet
    am.yml:8:1: `time_intervals` is not supported yet
    am.yml:8:1: `mute_time_intervals` is not supported yet
    am.yml:3:3: `routes` is not supported yet
    am.yml:3:3: `routes` is not supported yet
    am.yml:3:3: `continue` is not supported yet
    am.yml:7:5: `subject` is not supported yet
    am.yml:7:5: `message` is not supported yet
    am.yml:7:5: `attributes` is not supported yet
    am.yml:7:5: `api_url` is not supported yet
    am.yml:7:5: `http_config` is not supported yet
    am.yml:6:5: `target_arn` is not supported: dnswatch publishes to topics, so write `topic_arn`
    am.yml:6:5: `phone_number` is not supported: dnswatch publishes to topics, so write `topic_arn`
    am.yml:7:13: `access_key` is not supported: dnswatch publishes with the credentials that it runs with
      am.yml:7:28: `secret_key` is not supported: dnswatch publishes with the credentials that it runs with
    am.yml:7:13: `profile` is not supported: dnswatch publishes with the credentials that it runs with
      am.yml:7:25: `role_arn` is not supported: dnswatch publishes with the credentials that it runs with
    am.yml:5:3: `webhook_configs` is not supported: dnswatch sends by `sns_configs`, and whatever else is wanted subscribes to the topic
    am.yml:5:3: `pagerduty_configs` is not supported: dnswatch sends by `sns_configs`, and whatever else is wanted subscribes to the topic
    am.yml:5:3: `email_configs` is not supported: dnswatch sends by `sns_configs`, and whatever else is wanted subscribes to the topic
    am.yml:6:16: `topic_arn` "alerts": this is no ARN of an SNS topic: write for example arn:aws:sns:eu-central-1:123456789012:alerts
    am.yml:6:16: `topic_arn` "arn:aws:sns:eu-central-1:123456789012": this is no ARN of an SNS topic: write for example arn:aws:sns:eu-central-1:123456789012:alerts
    am.yml:6:16: `topic_arn` "arn:aws:sqs:eu-central-1:123456789012:alerts": this is no ARN of an SNS topic: write for example arn:aws:sns:eu-central-1:123456789012:alerts
    am.yml:6:16: `topic_arn` "arn:aws:sns:eu-central-1:1234:alerts": this is no ARN of an SNS topic: write for example arn:aws:sns:eu-central-1:123456789012:alerts
    am.yml:6:16: `topic_arn` "arn:aws:sns::123456789012:alerts": this is no ARN of an SNS topic: write for example arn:aws:sns:eu-central-1:123456789012:alerts
    am.yml:6:16: `topic_arn` "arn:aws:sns:eu-central-1:123456789012:a b": this is no ARN of an SNS topic: write for example arn:aws:sns:eu-central-1:123456789012:alerts
    am.yml:6:16: `topic_arn` "arn:aws:sns:eu-central-1:123456789012:alerts:5f8b": this is the ARN of a subscription: leave out what follows the topic's name
    am.yml:6:16: `topic_arn` "arn:aws:sns:eu-central-1:123456789012:alerts.fifo": a FIFO topic reaches neither e-mail nor HTTPS and is not supported: use a standard one
    am.yml:6:16: `topic_arn` "{{ .CommonLabels.topic }}": templates are not supported yet: write the ARN itself
    am.yml:8:15: `region` "us-east-1" is not that of the topic arn:aws:sns:eu-central-1:123456789012:alerts: SNS would refuse the request
    "#);
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
