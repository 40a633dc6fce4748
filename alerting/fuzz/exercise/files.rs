//! A text as a file that a user wrote.

use alerting::source::{Place, SourceFile};

use super::places;

/// A file with this text.
pub(crate) fn file(text: &str) -> SourceFile {
    SourceFile {
        name: "folder/any.yml".to_owned(),
        text: text.to_owned(),
    }
}

/// The place is in the file; the whole file is a place, too.
#[track_caller]
pub(crate) fn check(place: &Place, file: &SourceFile) {
    assert_eq!(place.file, file.name);
    if place.line == 0 {
        assert_eq!(place.column, 0, "{place}");
    } else {
        // What YAML takes for the end of a line.
        let text = file.text.replace("\r\n", "\n").replace('\r', "\n");
        places::check(place.line, place.column, &text);
    }
}
