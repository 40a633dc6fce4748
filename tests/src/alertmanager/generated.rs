//! Made-up configurations and label sets, by a seed.

use alerting::matchers::Matchers;
use fastrand::Rng;

/// Labels that alerts have, with their values.
pub(super) const LABELS: [(&str, [&str; 3]); 4] = [
    ("alertname", ["A", "B", "Down"]),
    ("node", ["n1", "n2", "n3"]),
    ("severity", ["critical", "warning", ""]),
    ("team", ["dns", "web", "a b"]),
];

/// A label set: some of them are missing.
pub(super) fn labels(rng: &mut Rng) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    for (name, values) in LABELS {
        let value = values[rng.usize(..values.len())];
        if name == "alertname" || (!value.is_empty() && rng.u8(..4) > 0) {
            labels.push((name.to_owned(), value.to_owned()));
        }
    }
    labels
}

/// A matcher, in one of the syntaxes: as an entry of `matchers`.
pub(super) fn matcher(rng: &mut Rng) -> String {
    let (name, values) = LABELS[rng.usize(..LABELS.len())];
    let one = values[rng.usize(..values.len())];
    let two = values[rng.usize(..values.len())];
    match rng.u8(..7) {
        0 => format!("{name}=\"{one}\""),
        1 => format!("{name}!=\"{one}\""),
        2 => format!("{name}=~\"{one}|{two}\""),
        3 => format!("{name}!~\"{one}.*\""),
        4 => format!("{name}=~.+"),
        5 => format!("{{\"{name}\"=\"{one}\"}}"),
        _ => format!("{name}={}", one.replace(' ', "")),
    }
}

/// The conditions of a route, of which no two are alike.
pub(super) fn conditions(rng: &mut Rng, indent: &str, out: &mut String) {
    match rng.u8(..4) {
        0 => {
            let (name, values) = LABELS[rng.usize(..LABELS.len())];
            out.push_str(&format!(
                "{indent}match: {{{name}: '{}'}}\n",
                values[rng.usize(..3)]
            ));
        }
        1 => {
            let (name, values) = LABELS[rng.usize(..LABELS.len())];
            let value = values[rng.usize(..3)];
            out.push_str(&format!(
                "{indent}match_re: {{{name}: '{value}|n[12]|D.*'}}\n"
            ));
        }
        _ => {
            out.push_str(&format!("{indent}matchers:\n"));
            let mut all = String::new();
            for _ in 0..=rng.usize(..2) {
                // What no alert can meet is refused here, though Alertmanager takes it.
                let more = loop {
                    let more = matcher(rng);
                    let together = format!("{all}{}", more.trim_matches(['{', '}']));
                    let parsed = Matchers::parse(&together);
                    if parsed.is_ok_and(|matchers| matchers.contradiction().is_none()) {
                        break more;
                    }
                };
                out.push_str(&format!("{indent}- '{more}'\n"));
                all.push_str(&format!("{},", more.trim_matches(['{', '}'])));
            }
        }
    }
}
