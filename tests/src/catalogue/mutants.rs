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
/// - each metric by a name that does not exist, each label matcher gone
/// - the guard against momentary zeros gone
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
    matchers(&rule.expr, &mut push);
    let guard = "!= bool 0";
    if rule.expr.contains(guard) {
        let always = rule.expr.replace(guard, "!= bool -1e18");
        push("no guard against momentary zeros".to_owned(), always);
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
    let pattern = regex(r"\b(?:node_(?:net_)?ethtool\w*|coredns_\w+|up\b)");
    for found in pattern.find_iter(expr) {
        let name = found.as_str();
        if seen.iter().any(|seen| seen == name) {
            continue;
        }
        seen.push(name.to_owned());
        let mutant = regex(&format!(r"\b{name}\b")).replace_all(expr, "no_such_metric");
        push(format!("{name} -> no_such_metric"), mutant.into_owned());
    }
}

fn matchers(expr: &str, push: &mut impl FnMut(String, String)) {
    let mut seen: Vec<&str> = Vec::new();
    for found in regex(r#"\w+(?:=|!=|=~|!~)"[^"]*""#).find_iter(expr) {
        let matcher = found.as_str();
        if seen.contains(&matcher) {
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
