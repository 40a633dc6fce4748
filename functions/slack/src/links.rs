//! Links to what is on the web, and to nothing else.

use reqwest::Url;

use crate::escape;

/// The longest address that is shown as a link; a message holds several.
const LONGEST: usize = 1_500;

/// A link in Slack's markup. None if `address` is no absolute http or https URL, which includes
/// everything that a browser would run rather than visit; then there is nothing to click.
///
/// A link and not a button: a click on a button is also sent to the Slack app, which for an
/// incoming webhook has no handler, and Slack then shows a warning beside it
/// (slackapi/node-slack-sdk#869).
pub fn link(label: &str, address: &str) -> Option<String> {
    if address.trim().is_empty() {
        return None;
    }
    let url = Url::parse(address.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return None;
    }
    // The parser has encoded controls and angle brackets of the path already; the bar would end
    // the address.
    let address = url.as_str().replace('|', "%7C");
    let address = escape::plain(&address, usize::MAX, escape::Lines::One);
    if escape::length(&address) > LONGEST {
        return Some(format!("{label}: the link is too long for Slack"));
    }
    Some(format!("<{address}|{label}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expected: Option<&str>) {
        assert_eq!(link("Runbook", address).as_deref(), expected);
    }

    #[test]
    fn only_the_web_is_linked() {
        check(
            "https://a.example/r?x=1&y=2#z",
            Some("<https://a.example/r?x=1&amp;y=2#z|Runbook>"),
        );
        check(
            "https://a.example/|x>y<!channel>",
            Some("<https://a.example/%7Cx%3Ey%3C!channel%3E|Runbook>"),
        );
        check("HTTP://a.example", Some("<http://a.example/|Runbook>"));
        check(
            "https://a.example/a\nb",
            Some("<https://a.example/ab|Runbook>"),
        );
        for nothing in [
            "",
            " ",
            "javascript:alert(1)",
            "data:text/html,x",
            "/relative",
            "slack://open",
            "ftp://a.example/",
            "https://",
        ] {
            check(nothing, None);
        }
        let long = format!("https://a.example/{}", "x".repeat(LONGEST));
        check(&long, Some("Runbook: the link is too long for Slack"));
    }
}
