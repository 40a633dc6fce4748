//! A file without rules: it is often what a generator left behind that failed.

use super::Report;
use crate::rules::file::RuleFile;
use crate::source::{Place, SourceFile, read_yaml};

pub(super) const NAME: &str = "file/empty";

pub(super) fn check(file: &SourceFile, report: &mut Report) {
    // What does not load is an error already.
    let Ok(typed) = read_yaml::<RuleFile>(&file.text) else {
        return;
    };
    let groups = typed.and_then(|typed| typed.groups).unwrap_or_default();
    let is_empty = |rules: &Option<Vec<_>>| rules.as_ref().is_none_or(Vec::is_empty);
    if groups.iter().all(|group| is_empty(&group.value.rules)) {
        let place = Place {
            file: file.name.clone(),
            line: 1,
            column: 1,
        };
        let message = "the file holds no rule: if that is intended, delete it; a running ruler \
                       refuses a configuration that lost all of its rules";
        report.warn(place, NAME, message);
    }
}
