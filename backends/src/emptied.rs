//! Refuses a configuration that lost all its rules or its routing.
//!
//! A generator that failed, a full disk or a folder that was mounted empty leave files that load and
//! say nothing. With them every alert would end as "rule removed", and nothing would fire again. So
//! a configuration is refused that has no alerting rule, that lost its routing, or in which a rule
//! file is blank that had rules. A rule file that is gone while others remain is how rules are
//! removed; so is one that says `groups: []`.

use alerting::config::{Config, ConfigFiles};
use alerting::rules::{Defaults, load};
use alerting::source::SourceFile;

/// The last good configuration.
pub(crate) struct Last {
    /// As it was written.
    pub(crate) files: ConfigFiles,
    /// As it ran, if it still loads.
    pub(crate) config: Option<Config>,
}

/// Why `files`, which load as `config`, are refused after `last`, the last good ones, if so.
/// `allow` is what the user sets if it is intended.
pub(crate) fn refusal(
    files: &ConfigFiles,
    config: &Config,
    last: Option<&Last>,
    allow: &str,
) -> Option<String> {
    if config.groups.iter().all(|group| group.rules.is_empty()) {
        let which = match files.rules.as_slice() {
            [one] => format!("{} holds", one.name),
            _ => format!("the {} rule files hold", files.rules.len()),
        };
        return Some(format!(
            "{which} no alerting rule. If that is intended, set {allow}"
        ));
    }
    let last = last?;
    for file in files.rules.iter().filter(|file| is_blank(&file.text)) {
        let mut before = last.files.rules.iter();
        let before = before.find(|before| base_name(before) == base_name(file));
        let rules = before.map_or(0, alerting_rules);
        if rules > 0 {
            return Some(format!(
                "{} is empty; it held {rules} alerting rule(s). To remove them, delete the file or \
                 write `groups: []`",
                file.name
            ));
        }
    }
    if let Some(before) = &last.files.alertmanager
        && files.alertmanager.is_none()
    {
        return Some(format!(
            "{} is gone: its routes and receivers would be lost. If that is intended, set {allow}",
            before.name
        ));
    }
    if !notifies(config) && last.config.as_ref().is_some_and(notifies) {
        return Some(format!(
            "no route leads to a receiver that notifies anybody any more. If that is intended, set \
             {allow}"
        ));
    }
    None
}

/// Whether any route leads to a receiver that has a channel.
fn notifies(config: &Config) -> bool {
    config.route.nodes().iter().any(|route| {
        let receiver = config.receiver(&route.receiver);
        receiver.is_some_and(|receiver| receiver.terminal || !receiver.sns.is_empty())
    })
}

/// A file is the same wherever the folder is.
fn base_name(file: &SourceFile) -> &str {
    file.name.rsplit('/').next().unwrap_or(&file.name)
}

/// Whether a file has nothing but blanks, comments and document markers.
fn is_blank(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    text.lines().map(str::trim).all(|line| {
        line.is_empty() || line.starts_with('#') || matches!(line, "---" | "..." | "null" | "~")
    })
}

fn alerting_rules(file: &SourceFile) -> usize {
    let groups = load(std::slice::from_ref(file), Defaults::default()).unwrap_or_default();
    groups.iter().map(|group| group.rules.len()).sum()
}

#[cfg(test)]
mod tests {
    use alerting::config::Settings;

    use super::*;

    const RULES: &str = "groups: [{name: g, rules: [{alert: A, expr: up == 0}]}]";
    const RECORDS: &str = "groups: [{name: g, rules: [{record: a:b, expr: up}]}]";
    const NOWHERE: &str = "route: {receiver: a}\nreceivers: [{name: a}]";
    const ROUTES: &str = "route: {receiver: a}\nreceivers: [{name: a, sns_configs: [{topic_arn: \
                          'arn:aws:sns:eu-west-1:123456789012:alerts'}]}]";

    fn files(rules: &[(&str, &str)], alertmanager: Option<&str>) -> ConfigFiles {
        let file = |name: &str, text: &str| SourceFile {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        ConfigFiles {
            rules: rules.iter().map(|(name, text)| file(name, text)).collect(),
            alertmanager: alertmanager.map(|text| file("alertmanager.yml", text)),
            templates: Vec::new(),
        }
    }

    #[track_caller]
    fn check(new: &ConfigFiles, last: Option<&ConfigFiles>, expected: Option<&str>) {
        let config = Settings::default().load(new).expect("it loads");
        let last = last.map(|files| Last {
            files: files.clone(),
            config: Settings::default().load(files).ok(),
        });
        let found = refusal(new, &config, last.as_ref(), "--allow-empty");
        match expected {
            None => assert_eq!(found, None),
            Some(expected) => assert!(
                found.as_ref().is_some_and(|found| found.contains(expected)),
                "{found:?}"
            ),
        }
    }

    #[test]
    fn every_loss_is_reported() {
        let two = files(&[("a.yml", RULES), ("b.yml", RULES)], Some(ROUTES));
        check(&two, None, None);
        check(&two, Some(&two), None);
        for text in ["", "groups: []", "groups:", RECORDS] {
            let none = Some("a.yml holds no alerting rule");
            check(&files(&[("a.yml", text)], None), None, none);
            check(&files(&[("a.yml", text)], None), Some(&two), none);
        }
        let both = files(&[("a.yml", ""), ("b.yml", "")], None);
        check(&both, Some(&two), Some("the 2 rule files hold no alerting"));

        for text in ["", " \n# rules\n---\n", "\u{feff}"] {
            let blank = files(&[("a.yml", text), ("b.yml", RULES)], Some(ROUTES));
            check(&blank, Some(&two), Some("a.yml is empty; it held 1"));
            check(&blank, Some(&blank), None);
            check(&blank, None, None);
        }
        let said = files(&[("a.yml", "groups: []"), ("b.yml", RULES)], Some(ROUTES));
        check(&said, Some(&two), None);
        check(&files(&[("b.yml", RULES)], Some(ROUTES)), Some(&two), None);

        let unrouted = files(&[("a.yml", RULES), ("b.yml", RULES)], None);
        check(&unrouted, Some(&two), Some("alertmanager.yml is gone"));
        check(&two, Some(&unrouted), None);
        check(&unrouted, None, None);
        let nowhere = files(&[("a.yml", RULES), ("b.yml", RULES)], Some(NOWHERE));
        check(&nowhere, Some(&two), Some("no route leads to a receiver"));
        check(&nowhere, Some(&nowhere), None);
    }
}
