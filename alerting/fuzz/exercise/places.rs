//! Whether what is told of a place can be found there.

use alerting::source::Place;

/// What texts are called here.
pub(crate) const NAME: &str = "folder/any.yml";

/// The place is in the file of that text: in a line that it has, at most right behind its end. The
/// whole file is a place, too.
#[track_caller]
pub(crate) fn check(place: &Place, text: &str) {
    assert_eq!(place.file, NAME);
    if place.line == 0 {
        assert_eq!(place.column, 0, "{place}");
    } else {
        check_position(place.line, place.column, text);
    }
}

/// The same of a line and a column.
#[track_caller]
pub(crate) fn check_position(line: usize, column: usize, text: &str) {
    // What YAML takes for the end of a line.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let found = line.checked_sub(1).and_then(|n| text.split('\n').nth(n));
    let longest = found.map(|line| line.chars().count() + 1);
    assert!(
        longest.is_some_and(|longest| (1..=longest).contains(&column)),
        "{line}:{column} is nowhere in the text"
    );
}
