//! What could be wrong with a rule: each number, window and name in it, changed one at a time.

use regex::Regex;

use super::RuleText;

/// A rule with one change.
#[derive(Debug, Clone)]
pub(crate) struct Mutant {
    /// What was changed: `window 5m -> 10m`.
    pub(crate) change: String,
    pub(crate) expr: String,
    pub(crate) hold_for: Option<String>,
}

/// All mutants of a rule.
///
/// - each window, in all places at once, and `for`: half of it, twice as much
/// - each number that something is compared with, and the objective `/ 0.001`: half, twice; of 0,
///   10, and 0 included
/// - each metric by a name that does not exist, each label matcher gone, each alternative of
///   `{__name__=~"…"}` gone
/// - each label that something is renamed from by a name that does not exist
/// - the guard against momentary zeros gone
/// - what stands in for another exporter joined to it without regard to the node
pub(crate) fn of(rule: &RuleText) -> Vec<Mutant> {
    let mut all = Vec::new();
    let mut push = |change: String, expr: String| {
        all.push(Mutant {
            change,
            expr,
            hold_for: rule.hold_for.clone(),
        });
    };
    windows(&rule.expr, &mut push);
    numbers(&rule.expr, &mut push);
    names(&rule.expr, &mut push);
    alternatives(&rule.expr, &mut push);
    labels(&rule.expr, &mut push);
    matchers(&rule.expr, &mut push);
    for (part, instead, change) in [
        // No counter falls by so much.
        (" >= 0\n", " >= 1e18\n", "no guard against momentary zeros"),
        (" or on (cluster, node)", " or", "both exporters of a node"),
    ] {
        if rule.expr.contains(part) {
            push(change.to_owned(), rule.expr.replace(part, instead));
        }
    }
    if let Some(hold_for) = &rule.hold_for {
        for (was, is) in scaled_duration(hold_for) {
            all.push(Mutant {
                change: format!("for {was} -> {is}"),
                expr: rule.expr.clone(),
                hold_for: Some(is),
            });
        }
    }
    all
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern")
}

/// Half of a duration and twice as much, with what it was.
fn scaled_duration(text: &str) -> [(String, String); 2] {
    let seconds = seconds(text);
    let scaled = |seconds: u64| (text.to_owned(), format!("{seconds}s"));
    [scaled(seconds / 2), scaled(seconds * 2)]
}

fn seconds(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        unit => panic!("{unit}: a unit"),
    };
    number.parse::<u64>().expect("a number of units") * unit
}

fn windows(expr: &str, push: &mut impl FnMut(String, String)) {
    let mut seen: Vec<&str> = Vec::new();
    for found in regex(r"\[(\d+[smhd])[:\]]").captures_iter(expr) {
        let window = found.get(1).expect("a group").as_str();
        if seen.contains(&window) {
            continue;
        }
        seen.push(window);
        for (was, is) in scaled_duration(window) {
            let mutant = ["]", ":"].iter().fold(expr.to_owned(), |expr, end| {
                expr.replace(&format!("[{was}{end}"), &format!("[{is}{end}"))
            });
            push(format!("window {was} -> {is}"), mutant);
        }
    }
}

fn numbers(expr: &str, push: &mut impl FnMut(String, String)) {
    for found in regex(r"(>=|<=|>|<|/) (\d[\d.]*)").captures_iter(expr) {
        let (operator, number) = (&found[1], found.get(2).expect("a group"));
        let value: f64 = number.as_str().parse().expect("a number");
        let place = found.get(0).expect("a match").range();
        let line = expr[..place.start].lines().count();
        let mut replace = |by: String| {
            let mut mutant = expr.to_owned();
            mutant.replace_range(place.clone(), &by);
            let was = &found[0];
            push(format!("line {line}: {was} -> {by}"), mutant);
        };
        // The guard against momentary zeros.
        let is_guard = &found[0] == ">= 0" && expr[place.end..].starts_with('\n');
        if is_guard {
            continue;
        }
        if value == 0.0 {
            replace(format!("{operator} 10"));
            replace(format!("{operator}= 0"));
        } else {
            replace(format!("{operator} {}", value / 2.0));
            replace(format!("{operator} {}", value * 2.0));
        }
    }
}

fn names(expr: &str, push: &mut impl FnMut(String, String)) {
    let mut seen: Vec<String> = Vec::new();
    let pattern = regex(r#"(?:^|[^"\w|=?])(coredns_\w+|kube_\w+|\w+_allowance_exceeded|up)\b"#);
    for found in pattern.captures_iter(expr) {
        let name = &found[1];
        if seen.iter().any(|seen| seen == name) {
            continue;
        }
        seen.push(name.to_owned());
        let mutant = regex(&format!(r#"(^|[^"\w|=?]){name}\b"#)).replace_all(expr, "${1}no_such");
        push(format!("{name} -> no_such"), mutant.into_owned());
    }
}

/// The names that one selector takes, one at a time.
fn alternatives(expr: &str, push: &mut impl FnMut(String, String)) {
    for (alternative, instead) in [
        (r#""node_net_ethtool|"#, r#"""#),
        ("|(node_)?ethtool_", "|ethtool_"),
        ("|(node_)?ethtool_", "|node_ethtool_"),
        ("|((node_)?ethtool_)?", "|(node_)?ethtool_"),
        ("|((node_)?ethtool_)?", "|(ethtool_)?"),
        ("|((node_)?ethtool_)?", "|(node_ethtool_)?"),
    ] {
        if expr.contains(alternative) {
            let mutant = expr.replace(alternative, instead);
            push(format!("{alternative} -> {instead}"), mutant);
        }
    }
}

/// The labels that become `device` and `node`, one at a time.
fn labels(expr: &str, push: &mut impl FnMut(String, String)) {
    for label in ["interface", "eni", "instance", "InstanceId", "host"] {
        let quoted = format!("\"{label}\"");
        if expr.contains(&quoted) {
            let mutant = expr.replace(&quoted, "\"no_such\"");
            push(format!("label {label} -> no_such"), mutant);
        }
    }
}

fn matchers(expr: &str, push: &mut impl FnMut(String, String)) {
    let mut seen: Vec<&str> = Vec::new();
    for found in regex(r#"\w+(?:=|!=|=~|!~)"[^"]*""#).find_iter(expr) {
        let matcher = found.as_str();
        // Its alternatives are changed one at a time.
        if matcher.starts_with("__name__") || seen.contains(&matcher) {
            continue;
        }
        seen.push(matcher);
        let mutant = [
            format!("{matcher},"),
            format!(",{matcher}"),
            matcher.to_owned(),
        ]
        .iter()
        .fold(expr.to_owned(), |expr, text| expr.replace(text, ""));
        push(format!("without {matcher}"), mutant);
    }
}
