//! What is done to a text as `alertmanager.yml`, by the fuzzer and by the tests.

use std::collections::BTreeSet;

use alerting::alertmanager::{AlertmanagerConfig, load};
use alerting::notify::Route;
use alerting::timestamp::Timestamp;

use super::files;

/// Loads it. Errors have their place, in the order of lines; in what loads every name
/// leads to what is called so.
pub(crate) fn exercise(text: &str) {
    let file = files::file(text);
    match load(&file, &[]) {
        Ok(config) => {
            let mut receivers = BTreeSet::new();
            for receiver in &config.receivers {
                assert!(!receiver.name.is_empty() && receivers.insert(&receiver.name));
            }
            let mut keys = BTreeSet::new();
            check(&config.route, &config, &mut keys);
            let now = Timestamp::from_secs(1_435_065_584);
            for intervals in config.time_intervals.values().flatten() {
                let _ = intervals.contains(now);
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in &errors {
                files::check(&error.place, &file);
                assert!(!error.message.is_empty());
            }
            assert!(errors.is_sorted(), "{errors:?}");
        }
    }
}

fn check(route: &Route, config: &AlertmanagerConfig, keys: &mut BTreeSet<String>) {
    let mut receivers = config.receivers.iter();
    assert!(receivers.any(|receiver| receiver.name == route.receiver));
    assert!(!route.group_interval.is_zero() && !route.repeat_interval.is_zero());
    assert!(
        keys.insert(route.key.clone()),
        "two nodes are one: {}",
        route.key
    );
    let names = route.mute_time_intervals.iter();
    for name in names.chain(&route.active_time_intervals) {
        assert!(config.time_intervals.contains_key(name), "{name}");
    }
    for below in &route.routes {
        check(below, config, keys);
    }
}
