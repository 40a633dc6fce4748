//! `alertmanager.yml`: what loads, and what is wrong with what does not, beside the verdicts of
//! the real amtool.

use std::time::Duration;

use alerting::alertmanager::{AlertmanagerConfig, load};
use alerting::notify::{Receiver, Route, SnsConfig};
use alerting::source::SourceFile;

/// Configurations, each under a line with what `amtool check-config` 0.28 says of it.
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
    let mut lenient = String::new();
    let (mut ok, mut refused) = (0, 0);
    for case in VERDICTS.split("#### amtool 0.28: ").skip(1) {
        let (verdict, text) = case.split_once('\n').expect("a verdict and a text");
        match (verdict, read(text)) {
            ("ok", Ok(_)) => ok += 1,
            ("ok", Err(errors)) => differing.push_str(&format!("{}\n", errors.join("\n  "))),
            (_, Err(_)) => refused += 1,
            // Alertmanager has it since 0.29.
            (verdict, Ok(_)) if verdict.contains("field external_id not found") => refused += 1,
            (verdict, Ok(_)) => lenient.push_str(&format!("{verdict}\n{text}\n")),
        }
    }
    println!("as amtool: {ok} accepted, {refused} refused");
    assert_eq!(lenient, "", "accepted, though amtool refuses it");
    assert!(ok >= 100 && refused >= 100, "{ok} {refused}");
    insta::assert_snapshot!(differing);
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
