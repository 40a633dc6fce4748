//! Whether an error's place holds what the error names.

/// There is such a line in the text, and such a column in it, at most right behind its end.
#[track_caller]
pub(crate) fn check(line: usize, column: usize, text: &str) {
    let found = line.checked_sub(1).and_then(|n| text.split('\n').nth(n));
    let longest = found.map(|line| line.chars().count() + 1);
    assert!(
        longest.is_some_and(|longest| (1..=longest).contains(&column)),
        "{line}:{column} is nowhere in the text"
    );
}
