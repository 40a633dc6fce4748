//! What is done to a text as a rule file, by the fuzzer and by the tests.

use std::collections::BTreeSet;
use std::time::Duration;

use alerting::rules::lint::{Surroundings, lint, selectors};
use alerting::rules::{Defaults, load};

use super::files;

/// Loads and lints it. Errors have their place, in the
/// order of lines; what loads is ready to run.
pub(crate) fn exercise(text: &str) {
    let file = files::file(text);
    match load(std::slice::from_ref(&file), Defaults::default()) {
        Ok(groups) => {
            let mut names = BTreeSet::new();
            let mut keys = BTreeSet::new();
            for group in &groups {
                assert_eq!(group.namespace, "any");
                assert!(!group.name.is_empty() && names.insert(&group.name));
                assert!(!group.interval.is_zero());
                for rule in &group.rules {
                    files::check(&rule.place, &file);
                    assert!(!rule.id.alert.is_empty() && !rule.expr.text().is_empty());
                    assert!(keys.insert(&rule.key), "two rules are one: {:?}", rule.id);
                    assert!(!rule.sets("__name__"));
                }
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in &errors {
                files::check(&error.place, &file);
                assert!(!error.message.is_empty());
            }
            let lines = errors.iter().map(|error| error.place.line);
            assert!(lines.is_sorted(), "{errors:?}");
        }
    }
    let surroundings = Surroundings {
        scrape_interval: Duration::from_secs(15),
    };
    for finding in lint(std::slice::from_ref(&file), surroundings) {
        files::check(&finding.place, &file);
    }
    for selects in selectors(std::slice::from_ref(&file)) {
        files::check(&selects.place, &file);
        assert!(!selects.selector.is_empty());
    }
}
