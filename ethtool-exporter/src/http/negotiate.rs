//! What a client would have: which format, and whether packed.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AsHeaderName};

use crate::exposition::Format;

/// The format that the client would rather have. Who does not ask for OpenMetrics gets
/// Prometheus's own, since people and scripts expect it.
pub fn format(headers: &HeaderMap) -> Format {
    let mut text = None;
    let mut any = None;
    let mut open_metrics = None;
    for (range, quality) in preferences(headers, ACCEPT) {
        let mut parameters = range.split(';').map(str::trim);
        let media_type = parameters.next().unwrap_or_default();
        let version = parameters
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("version"))
            .map(|(_, version)| version.trim().trim_matches('"'));
        let is = |wanted: &str| media_type.eq_ignore_ascii_case(wanted);
        let preference = match version {
            None | Some("1.0.0") if is("application/openmetrics-text") => &mut open_metrics,
            None | Some("0.0.4") if is("text/plain") => &mut text,
            _ if is("text/*") || is("*/*") => &mut any,
            _ => continue,
        };
        *preference = Some(quality).max(*preference);
    }
    let text = text.or(any).unwrap_or(0);
    match open_metrics {
        Some(quality) if quality > 0 && quality >= text => Format::OpenMetrics,
        _ => Format::Text,
    }
}

/// Whether the client takes gzip.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut gzip = None;
    let mut any = None;
    for (coding, quality) in preferences(headers, ACCEPT_ENCODING) {
        let coding = coding.trim();
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            gzip = Some(quality);
        } else if coding == "*" {
            any = Some(quality);
        }
    }
    gzip.or(any).unwrap_or(0) > 0
}

/// The members of a list, each with its quality in thousandths, taken off.
fn preferences(headers: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = (&str, u16)> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|member| {
            // `q` comes last; the parameters that RFC 9110 allows after it are not used in
            // practice.
            let quality = member.rsplit_once(';').and_then(|(rest, last)| {
                let (name, quality) = last.split_once('=')?;
                let is_quality = name.trim().eq_ignore_ascii_case("q");
                is_quality.then(|| (rest, thousandths(quality.trim())))
            });
            quality.unwrap_or((member, 1000))
        })
}

/// `0.5` is 500. What is no quality counts as none: the client would rather not.
fn thousandths(quality: &str) -> u16 {
    let (whole, decimals) = quality.split_once('.').unwrap_or((quality, ""));
    let is_number = decimals.len() <= 3 && decimals.bytes().all(|it| it.is_ascii_digit());
    match (whole, format!("{decimals:0<3}").parse::<u16>()) {
        ("0", Ok(thousandths)) if is_number => thousandths,
        ("1", Ok(0)) if is_number => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[track_caller]
    fn check_format(accept: &str, expected: Format) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        assert_eq!(format(&headers), expected, "{accept}");
    }

    #[track_caller]
    fn check_gzip(accept: &str, expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(accept).unwrap());
        assert_eq!(takes_gzip(&headers), expected, "{accept}");
    }

    #[test]
    fn a_scraper_gets_what_it_would_rather_have() {
        // Prometheus 2.53, Prometheus 2.42, an older one, a browser, curl.
        for accept in [
            "application/openmetrics-text;version=1.0.0;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "Application/OpenMetrics-Text",
        ] {
            check_format(accept, Format::OpenMetrics);
        }
        for accept in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "*/*",
            "",
            ";;;,=,q=1",
            "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.8",
            "application/openmetrics-text;version=1.0.0;q=0",
            "application/openmetrics-text;version=1.0.0;q=banana",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;version=2.0.0",
        ] {
            check_format(accept, Format::Text);
        }
        assert_eq!(format(&HeaderMap::new()), Format::Text);
    }

    #[test]
    fn it_is_packed_only_for_who_can_unpack_it() {
        for accept in [
            "gzip",
            "gzip, deflate, br",
            "br;q=1, GZIP;q=0.001",
            "*",
            "*;q=0.5",
        ] {
            check_gzip(accept, true);
        }
        for accept in [
            "",
            "identity",
            "gzip;q=0",
            "gzip;q=0.000, *",
            "br, *;q=0",
            "gzip;q=2",
        ] {
            check_gzip(accept, false);
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
