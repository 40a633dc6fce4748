//! The first line of a notification, as `dnswatch run` writes it.

/// Alertmanager's two statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// At least one alert of the group fires.
    Firing,
    /// All alerts of the group are resolved.
    Resolved,
}

/// Reads `[FIRING:2] AlertName …` or `[RESOLVED] AlertName …`; any other line
/// is `None`.
pub fn parse(line: &str) -> Option<(Status, &str)> {
    let (status, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let status = match status.split_once(':').map_or(status, |(word, _)| word) {
        "FIRING" => Status::Firing,
        "RESOLVED" => Status::Resolved,
        _ => return None,
    };
    Some((status, rest.split_whitespace().next()?))
}

#[cfg(test)]
mod tests {
    use super::{Status, parse};

    #[track_caller]
    fn check(line: &str, expected: Option<(Status, &str)>) {
        assert_eq!(parse(line), expected, "{line}");
    }

    #[test]
    fn only_a_notifications_first_line_is_read() {
        check(
            "[FIRING:2] LinkLocalThrottling demo",
            Some((Status::Firing, "LinkLocalThrottling")),
        );
        check(
            "[RESOLVED] LinkLocalThrottling (demo warning)",
            Some((Status::Resolved, "LinkLocalThrottling")),
        );
        check("[RESOLVED] X", Some((Status::Resolved, "X")));
        check("  [FIRING:1] X", None);
        check("[FIRING:1]", None);
        check("[FIRING:1]  ", None);
        check("[PENDING] X", None);
        check("LinkLocalThrottling", None);
        check("", None);
    }
}
