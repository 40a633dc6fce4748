//! What is done to a text as a rule file, by the fuzzer and by the tests.

use std::collections::BTreeSet;
use std::time::Duration;

use alerting::rules::lint::{Surroundings, lint, selectors};
use alerting::rules::{Defaults, SourceFile, load};

use super::places;

/// Loads it and looks for what is probably not meant. What is wrong is told with its place, in the
/// order of lines; what loads is ready to run.
pub(crate) fn exercise(text: &str) {
    let file = SourceFile {
        name: places::NAME.to_owned(),
        text: text.to_owned(),
    };
    let files = [file];
    match load(&files, Defaults::default()) {
        Ok(groups) => {
            let mut names = BTreeSet::new();
            let mut keys = BTreeSet::new();
            for group in &groups {
                assert_eq!(group.namespace, "any");
                assert!(!group.name.is_empty() && names.insert(&group.name));
                assert!(!group.interval.is_zero());
                for rule in &group.rules {
                    places::check(&rule.place, text);
                    assert!(!rule.id.alert.is_empty() && !rule.expr.text().is_empty());
                    assert!(keys.insert(&rule.key), "two rules are one: {:?}", rule.id);
                    assert!(!rule.sets("__name__"));
                }
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in &errors {
                places::check(&error.place, text);
                assert!(!error.message.is_empty());
            }
            let lines = errors.iter().map(|error| error.place.line);
            assert!(lines.is_sorted(), "{errors:?}");
        }
    }
    let surroundings = Surroundings {
        scrape_interval: Duration::from_secs(15),
    };
    for finding in lint(&files, surroundings) {
        places::check(&finding.place, text);
    }
    for selects in selectors(&files) {
        places::check(&selects.place, text);
        assert!(!selects.selector.is_empty());
    }
}
