//! Thousands of expressions, most of them damaged token by token, are taken or refused as
//! Prometheus 3 takes or refuses them: promtool, and where `--enable-feature` decides, a server that
//! was started with it. What only such a server takes loads, with a warning that names the flag.
//! What any server of that release takes has no such warning.
//!
//! ```text
//! DNSWATCH_EXPRESSIONS=50000    how many (5000)
//! DNSWATCH_SEED=17              of which seed (0)
//! ```

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use serde_json::json;

use crate::dnswatch::{dnswatch, output};
use crate::parts;
use crate::prometheus::PrometheusTools;

const EXPRESSIONS: usize = 5_000;

/// What the flags are called that the server is started with.
const FEATURES: &str =
    "promql-experimental-functions,promql-binop-fill-modifiers,promql-unquoted-utf8-names";
/// How promtool says that a flag is missing.
const NOT_ENABLED: [&str; 3] = ["is not enabled", "and not enabled", "must be enabled"];

/// What the list of good expressions lacks.
const MORE: &[&str] = &[
    r#"foo{"\xff"="a"}"#,
    r#"foo{"a.b"="c", ""=""}"#,
    r#"{"foo.bar"}"#,
    r#"{"foo.bar", a="b"}"#,
    r#"sum by ("a.b") (x)"#,
    r#"x * on ("a.b") group_left ("c d") y"#,
    "rate(x[1m*2])",
    "rate(x[1m+30s])",
    "rate(x[(2 ^ 3) * 1m])",
    "x offset -(1m)",
    "x offset (1m*2)",
    "x offset (1m) * 2",
    "rate(x[5m] offset (1m+1m))",
    "sum_over_time(x[5m:1m*2])",
    "sum_over_time(x[(5m):])",
    "x[5m % 2m / 3]",
    "x offset NaN",
    "x offset - -1m",
    "limitk(2, x)",
    "limit_ratio(0.5, x)",
    "info(x)",
    r#"sort_by_label(x, "a")"#,
    "mad_over_time(x[5m])",
    "1_000 > bool 0x_1F",
    "010 > bool 08",
    "x @ 1e3",
    "x @ 0x10",
    "x[1.5]",
    "x[300:30]",
    "x[5m] @ start() offset 1m",
    "x atan2 y",
    "Inf > x",
    "x > +Inf",
    "5. < x",
    ".5 < x",
    "'a'",
    "`a`",
    "x[5m]",
    "time()",
    "label_join(x, \"a\", \",\", \"b\")",
    "histogram_count(x </ 2)",
    "x >/ on (a) group_left y",
    "1 </ 2",
    "x[5m] anchored",
    "rate(x[5m] smoothed offset 1m)",
    "rate(x smoothed[5m])",
    "x anchored anchored",
    "anchored anchored",
    "sum by (anchored, step, min_of) (smoothed)",
    "first_over_time(x[5m])",
    "rate(x[step()])",
    "rate(x[5m + range()])",
    "x[range():1s]",
    "x offset -step() * 2",
    "rate(x[min_of(5m, 10m) * 2])",
    "x offset max_of(5m, step())",
    "x[max_of(5m, step()):min_of(30s, 1m)]",
    "rate(x[(0)])",
    "x offset -(1m) + 2",
    "min_of(1, 2) > bool max_of(1, end())",
    "x > start()",
    "time() - range() > step()",
    "start_timestamp(x)",
    "integral(x[5m])",
    "integral(x[5m], 60)",
    "histogram_quantiles(x, \"q\", 0.5, 0.9)",
    "ts_of_first_over_time(x[5m])",
    "double_exponential_smoothing(x[5m], 0.5, 0.5)",
    "info(x, {})",
    r#"info(x, {__name__=~"a|b", c=~".*"})"#,
    "x + fill (0) y",
    "x / on (a) group_left (b) fill_left (-1) fill_right (2) y",
    "x > bool ignoring (a) fill_right (5m) fill_left (+0x1) y",
    "fill + fill_left",
    "fill (1)",
    "größe.in.metern{straße.nr=~\"1.\"}",
    "sum by (größe, a.b) (x.y)",
    "x.5",
    "über:x{ö=\"1\"}",
    "x * on (a.b) group_left (ö) y",
];

/// What is put in place of a token.
const WORDS: &[&str] = &[
    "==",
    "!=",
    "=~",
    "!~",
    ">=",
    "<=",
    "=",
    ">",
    "<",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "@",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"a\"",
    "'b'",
    "`c`",
    "\"\"",
    "1",
    "0",
    "5m",
    "1m30s",
    "0s",
    "1.5",
    "1e3",
    "0x1f",
    "0x",
    "1_",
    "Inf",
    "NaN",
    "-Inf",
    "1_0",
    "and",
    "or",
    "unless",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "by",
    "without",
    "bool",
    "offset",
    "atan2",
    "sum",
    "topk",
    "quantile",
    "count_values",
    "rate",
    "up",
    "min",
    "time",
    "scalar",
    "vector",
    "absent",
    "label_replace",
    "histogram_quantile",
    "(a)",
    "()",
    "{}",
    "[5m]",
    "[5m:]",
    "[5m:1m]",
    "@ start()",
    "@ end()",
    "offset 1m",
    "offset -1m",
    "by (a)",
    "on (a)",
    "{a=\"b\"}",
    "{a=~\"b.*\"}",
    "{a=~\"b.*|\"}",
    "{\"m\"}",
    "__name__",
    "#c",
    "\\",
    "$",
    "\"\\xff\"",
    "\"\\u00e9\"",
    "limitk",
    "group",
    "-1m",
    "1y",
    "1ms",
    "9.3e9",
    "é",
    "\"é\"",
    "* 2",
    "(1m)",
    "</",
    ">/",
    "min_of",
    "MAX_OF(1m, 2m)",
    "step()",
    "range()",
    "start()",
    "end()",
    "fill(0)",
    "fill_left (1)",
    "fill_right(-1)",
    "anchored",
    "smoothed",
    "a.b",
    "ö",
    "info",
    "start_timestamp",
    "first_over_time",
    "integral",
];

/// Of releases before 3.13, which ours still reads: `min` and `max` of durations.
fn is_older(expr: &str) -> bool {
    let words: Vec<&str> = tokens(expr)
        .into_iter()
        .filter(|t| !t.trim().is_empty())
        .collect();
    let is = |word: &str, names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    let begins = words.iter().position(|word| is(word, &["[", "offset"]));
    let durations = begins.map_or(&[][..], |at| &words[at..]);
    let mut pairs = durations.windows(2);
    pairs.any(|pair| is(pair[0], &["min", "max"]) && pair[1] == "(")
}

/// Strings, words and numbers, signs, and what is between.
fn tokens(expr: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = expr;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.');
        let length = match first {
            '"' | '\'' => {
                let mut escaped = false;
                let end = rest.char_indices().skip(1).find(|(_, c)| {
                    let ends = *c == first && !escaped;
                    escaped = *c == '\\' && !escaped;
                    ends
                });
                end.map_or(rest.len(), |(at, _)| at + 1)
            }
            '`' => rest[1..].find('`').map_or(rest.len(), |at| at + 2),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c if c.is_whitespace() => rest
                .find(|c: char| !c.is_whitespace())
                .unwrap_or(rest.len()),
            '=' | '!' | '>' | '<' if rest[1..].starts_with(['=', '~']) => 2,
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after;
    }
    tokens
}

/// An expression with a few of its tokens gone, doubled, exchanged, or another's.
fn damage(rng: &mut Rng, expr: &str, other: &str) -> String {
    let mut tokens: Vec<&str> = tokens(expr);
    let other = self::tokens(other);
    for _ in 0..[1, 1, 1, 2, 2, 3][rng.usize(..6)] {
        let at = rng.usize(0..=tokens.len());
        let word = WORDS[rng.usize(..WORDS.len())];
        let from = rng.usize(..other.len());
        let piece = &other[from..(from + rng.usize(1..8)).min(other.len())];
        let is_one = at < tokens.len();
        match rng.u8(0..8) {
            0 if is_one => drop(tokens.remove(at)),
            1 => tokens.insert(at, word),
            2 if is_one => tokens[at] = word,
            3 => drop(tokens.splice(at..at, piece.iter().copied())),
            4 if is_one => {
                let with = rng.usize(..tokens.len());
                tokens.swap(at, with);
            }
            5 if is_one => tokens.insert(at, tokens[at]),
            6 => drop(tokens.splice(at..at, [" ", word, " "])),
            _ => {
                let until = (at + rng.usize(1..5)).min(tokens.len());
                tokens.splice(at..until, piece.iter().copied());
            }
        }
    }
    tokens.concat()
}

fn setting(variable: &str) -> Result<Option<usize>> {
    match std::env::var(variable) {
        Ok(text) if !text.is_empty() => Ok(Some(text.parse()?)),
        _ => Ok(None),
    }
}

/// The lists as they are, and their damaged ones.
fn expressions() -> Result<Vec<String>> {
    let list = |text: &'static str| {
        let lines = text.lines().map(str::trim);
        lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
    };
    let good: Vec<&str> = list(include_str!("../data/expressions.txt"))
        .chain(MORE.iter().copied())
        .collect();
    let bad = list(include_str!("../data/refused.txt"));
    let count = setting("DNSWATCH_EXPRESSIONS")?.unwrap_or(EXPRESSIONS);
    let rng = &mut Rng::with_seed(setting("DNSWATCH_SEED")?.unwrap_or(0) as u64);
    let mut all: Vec<String> = good.iter().copied().chain(bad).map(str::to_owned).collect();
    let mut seen: BTreeSet<String> = all.iter().cloned().collect();
    while all.len() < count {
        let one = good[rng.usize(..good.len())];
        let other = good[rng.usize(..good.len())];
        let expr = damage(rng, one, other);
        if !expr.trim().is_empty() && !is_older(&expr) && seen.insert(expr.clone()) {
            all.push(expr);
        }
    }
    Ok(all)
}

/// What is said of each of the rules `E0`, `E1`, … that is refused.
fn refused(said: &[u8]) -> BTreeMap<usize, String> {
    let text = String::from_utf8_lossy(said);
    let of = |line: &str| {
        let (_, rest) = line.split_once("\"E")?;
        let number = rest.split('"').next()?.parse().ok()?;
        Some((number, line.to_owned()))
    };
    text.lines().filter_map(of).collect()
}

/// Whether a server that knows `FEATURES` takes each of these.
async fn taken(tools: &PrometheusTools, asked: &[&str]) -> Result<Vec<bool>> {
    let flag = format!("--enable-feature={FEATURES}");
    let server = tools.server().flag(&flag).start().await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut taken = Vec::new();
    for expr in asked {
        let url = format!("{}/api/v1/format_query", server.url());
        let url = reqwest::Url::parse_with_params(&url, [("query", expr)])?;
        let status = http.get(url).send().await?.status();
        ensure!(
            status.is_success() || status.as_u16() == 400,
            "{expr}: {status}"
        );
        taken.push(status.is_success());
    }
    Ok(taken)
}

#[tokio::test]
async fn damaged_expressions_are_taken_or_refused_as_prometheus_3_does() -> Result<()> {
    let Some(tools) = parts::prometheus3() else {
        return Ok(());
    };
    let all = expressions()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("rules.yml");
    // Each rule on a line of its own, from the fourth on.
    let rules = all
        .iter()
        .enumerate()
        .map(|(number, expr)| json!({"alert": format!("E{number}"), "expr": expr}));
    let rules: Vec<String> = rules.map(|rule| format!("  - {rule}\n")).collect();
    std::fs::write(
        &path,
        format!("groups:\n- name: g\n  rules:\n{}", rules.concat()),
    )?;

    let check = [
        "check".as_ref(),
        "rules".as_ref(),
        "--lint=none".as_ref(),
        path.as_os_str(),
    ];
    let said = tools.promtool(check)?;
    let theirs = refused(&[said.stdout, said.stderr].concat());
    let said = output(dnswatch().args(["check", "--format=json"]).arg(&path));
    let mut ours = BTreeMap::new();
    let (mut warned, mut ill_typed) = (BTreeSet::new(), BTreeSet::new());
    for line in String::from_utf8(said.stdout)?.lines() {
        let finding: serde_json::Value = serde_json::from_str(line)?;
        let line = usize::try_from(finding["line"].as_u64().context("a line")?)?;
        let message = finding["message"].as_str().context("a message")?.to_owned();
        if finding["severity"] == "error" {
            ours.insert(line - 4, message);
        } else if finding["severity"] == "warning" && message.contains("--enable-feature") {
            warned.insert(line - 4);
        } else if finding["name"] == "promql/type" {
            // It fails at every evaluation: nothing more is said of it.
            ill_typed.insert(line - 4);
        }
    }

    // Where a flag may decide.
    let unsure: Vec<usize> = (0..all.len())
        .filter(|n| {
            theirs.get(n).is_some_and(|said| {
                NOT_ENABLED.iter().any(|words| said.contains(words)) || !ours.contains_key(n)
            })
        })
        .collect();
    let asked: Vec<&str> = unsure.iter().map(|n| all[*n].as_str()).collect();
    let taken = taken(&tools, &asked).await?;
    let by_flag: BTreeSet<usize> = unsure
        .iter()
        .zip(taken)
        .filter_map(|(n, taken)| taken.then_some(*n))
        .collect();
    let mut wrong = Vec::new();
    for (n, expr) in all.iter().enumerate() {
        let is_taken = !theirs.contains_key(&n) || by_flag.contains(&n);
        if is_taken == ours.contains_key(&n) {
            let (ours, theirs) = (ours.get(&n), theirs.get(&n));
            wrong.push(format!("{expr:?}: ours: {ours:?}; theirs: {theirs:?}"));
        } else if is_taken && !ill_typed.contains(&n) && warned.contains(&n) != by_flag.contains(&n)
        {
            wrong.push(format!("{expr:?}: warned: {}", warned.contains(&n)));
        }
    }
    let version = tools.version()?;
    eprintln!(
        "{} expressions, by Prometheus {version}: {} are taken, {} more by a flag, {} refused",
        all.len(),
        all.len() - theirs.len(),
        by_flag.len(),
        theirs.len() - by_flag.len()
    );
    ensure!(
        wrong.is_empty(),
        "{} differ: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(40)]
    );
    ensure!(all.len() - theirs.len() > all.len() / 10 && by_flag.len() >= 15);
    Ok(())
}
