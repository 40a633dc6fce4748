//! What expressions are asked, from outside.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::labels::Labels;

mod peer;

/// The same list that is run against a real Prometheus.
const EXPRESSIONS: &str = include_str!("../../../../tests/data/expressions.txt");

fn expressions() -> impl Iterator<Item = &'static str> {
    let lines = EXPRESSIONS.lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// `node=a pod=b`
fn labels(text: &str) -> Labels {
    let pairs = text
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='));
    pairs.collect()
}

/// The questions for one alert with these labels.
#[track_caller]
fn asks(expr: &str, alert: &str, expected: &[&str]) {
    let expression = Expression::parse(expr);
    let inputs = expression.inputs().expect(expr);
    let questions = inputs.questions(&Narrowing::of([&labels(alert)]));
    assert_eq!(questions.iter().collect::<Vec<_>>(), expected, "{expr}");
}

#[test]
fn each_selector_is_asked_as_written() {
    for (expr, question) in [
        ("up == 0", "count(up)"),
        (
            "up{a='b',} offset 5m @ 100 > 0",
            "count(up{a='b',} offset 5m @ 100)",
        ),
        ("rate(x[2m] offset 1m) > 0", "count(rate(x[2m] offset 1m))"),
        (
            "quantile_over_time(0.9, x[5m]) > 1",
            "count(quantile_over_time(0.9, x[5m]))",
        ),
        ("max_over_time(rate(x[2m])[1h:]) > 1", "count(rate(x[2m]))"),
        (
            "max_over_time(rate(x[2m])[1h:5m] offset 1d) > 1",
            "count(present_over_time((rate(x[2m]))[1h:5m] offset 1d))",
        ),
        ("{\"my.metric\"} > 1", "count({\"my.metric\"})"),
        ("rate(x[5m] anchored) > 1", "count(rate(x[5m] anchored))"),
        ("x offset (1m) * 2 > 1", "count(x offset (1m) * 2)"),
        ("x offset -(1m) * 2 > 1", "count(x offset -(1m))"),
        (
            "x offset min_of(1m, 2m) * 2 > 1",
            "count(x offset min_of(1m, 2m))",
        ),
        ("start_timestamp(x) > 1", "count(x)"),
        ("histogram_count(x </ 2) > 1", "count(x)"),
        ("x.y{z.a='1'} > 1", "count(x.y{z.a='1'})"),
        ("x offset.5 > bool.5", "count(x offset.5)"),
    ] {
        asks(expr, "", &[question]);
    }
}

#[test]
fn matchers_are_added_in_every_form_of_selector() {
    for (selector, narrowed) in [
        ("x", "x{node=~\"a|\"}"),
        ("x{}", "x{node=~\"a|\"}"),
        ("x{ }", "x{node=~\"a|\" }"),
        ("x{b='c'}", "x{b='c',node=~\"a|\"}"),
        ("x{b='c', }", "x{b='c',node=~\"a|\" }"),
        ("{b='c'} offset 1m", "{b='c',node=~\"a|\"} offset 1m"),
        (
            "x{b='c' or d='e'}",
            "x{b='c',node=~\"a|\" or d='e',node=~\"a|\"}",
        ),
        ("rate(x[5m])", "rate(x{node=~\"a|\"}[5m])"),
        ("rate(x # why\n[5m])", "rate(x{node=~\"a|\"} # why\n[5m])"),
    ] {
        asks(
            selector,
            "node=a",
            &[&format!("count by (node) ({narrowed})")],
        );
    }
}

#[test]
fn labels_are_followed_to_the_selector_they_come_from() {
    let node = "node=n zone=z";
    for (expr, questions) in [
        (
            "sum by (node) (x)",
            &["count by (node) (x{node=~\"n|\"})"][..],
        ),
        (
            "sum without (zone) (x)",
            &["count by (node) (x{node=~\"n|\"})"],
        ),
        ("sum(x)", &["count(x)"]),
        (
            "topk by (zone) (1, x)",
            &["count by (node,zone) (x{node=~\"n|\",zone=~\"z|\"})"],
        ),
        (
            "count_values by (node) (\"zone\", x)",
            &["count by (node) (x{node=~\"n|\"})"],
        ),
        (
            "x * on (node) group_left (zone) y",
            &[
                "count by (node) (x{node=~\"n|\"})",
                "count by (node,zone) (y{node=~\"n|\",zone=~\"z|\"})",
            ],
        ),
        (
            "x > scalar(y)",
            &[
                "count by (node,zone) (x{node=~\"n|\",zone=~\"z|\"})",
                "count(y)",
            ],
        ),
        (
            "sum by (node) (x) unless y",
            &["count by (node) (x{node=~\"n|\"})"],
        ),
        (
            "x and on (zone) y",
            &[
                "count by (node,zone) (x{node=~\"n|\",zone=~\"z|\"})",
                "count by (zone) (y{zone=~\"z|\"})",
            ],
        ),
        // The label is made of another one, which is asked for and rewritten here.
        (
            r#"sum by (node) (label_replace(x, "node", "$1", "instance", "(.*):.*"))"#,
            &["count by (instance,node) (x)"],
        ),
        (
            r#"sum by (node) (label_replace(sum by (instance) (x), "node", "$1", "instance", "(.*):.*"))"#,
            &["count by (instance) (x)"],
        ),
        (
            r#"label_join(x, "node", "/", "a", "b")"#,
            &["count by (a,b,node,zone) (x{zone=~\"z|\"})"],
        ),
        (
            r#"label_join(x, "node", "/", "a", "")"#,
            &["count by (a,node,zone) (x{zone=~\"z|\"})"],
        ),
        (
            r#"label_replace(x, "node", "$1", "a", "(")"#,
            &["count by (zone) (x{zone=~\"z|\"})"],
        ),
        ("info(x)", &["count(x)"]),
        (
            "histogram_quantile(0.9, x)",
            &["count by (node,zone) (x{node=~\"n|\",zone=~\"z|\"})"],
        ),
        ("absent(x{node=\"n\"})", &[]),
        (
            "x + fill_right(0) y",
            &["count by (node,zone) (x{node=~\"n|\",zone=~\"z|\"})"],
        ),
    ] {
        asks(expr, node, questions);
    }
    asks(
        "(sum(rate(a[1m])) or vector(0)) / sum(b)",
        "",
        &["count(b)"],
    );
    let many: Vec<Labels> = (0..101).map(|n| labels(&format!("node={n}"))).collect();
    let expression = Expression::parse("x");
    let questions = expression
        .inputs()
        .expect("a selector")
        .questions(&Narrowing::of(&many));
    assert!(questions.contains("count by (node) (x)"), "{questions:?}");
}

/// Whether an alert's series are there, if the metrics have these series: `metric:labels`, each
/// input's metric being one letter.
#[track_caller]
fn covers(expr: &str, alert: &str, series: &[&str], expected: bool) {
    let expression = Expression::parse(expr);
    let inputs = expression.inputs().expect(expr);
    let alert = labels(alert);
    let narrowing = Narrowing::of([&alert]);
    let mut answers: Answers = BTreeMap::new();
    for question in inputs.questions(&narrowing) {
        let found = series.iter().filter_map(|one| {
            let (metric, pairs) = one.split_once(':')?;
            let names = |text: &str| {
                text.contains(&format!("({metric}{{")) || text.contains(&format!("({metric})"))
            };
            names(&question).then(|| labels(pairs))
        });
        let found = found.collect();
        answers.insert(question, found);
    }
    let presence = inputs.presence(&narrowing, &answers);
    assert_eq!(presence.covers(&alert), expected, "{expr} {answers:?}");
}

#[test]
fn an_alert_needs_its_own_series() {
    covers("x", "node=a", &["x:node=a"], true);
    covers("x", "node=a", &["x:node=b"], false);
    covers("x", "node=a", &["x:"], false);
    covers("x", "", &["x:"], true);
    covers("x", "", &[], false);
    covers("x / y", "node=a", &["x:node=a"], false);
    covers("x / y", "node=a", &["x:node=a", "y:node=a"], true);
    covers("x or y", "node=a", &["y:node=a"], true);
    covers("x unless y", "node=a", &["x:node=a"], true);
    covers("x or vector(0)", "node=a", &["x:node=b"], false);
    covers("x or vector(0)", "", &[], true);
    covers("x or sum(y)", "node=a", &["y:"], false);
    covers("x and on () absent(y)", "node=a", &["x:node=a"], true);
    covers("x and on () hour() > 8", "node=a", &["x:node=a"], true);
    covers("absent(y{node=\"a\"}) or x", "node=b", &[], false);
    covers("absent(y{node=\"a\"}) or x", "node=a", &[], true);
    let made = r#"sum by (node) (label_replace(x, "node", "$1", "i", "(.*):1"))"#;
    covers(made, "node=a", &["x:i=a:1"], true);
    covers(made, "node=a", &["x:i=b:1"], false);
    covers(made, "node=a", &["x:i=b:2 node=a"], true);
    let joined = r#"sum by (node) (label_join(x, "node", "/", "i", "j"))"#;
    covers(joined, "node=a/b", &["x:i=a j=b"], true);
    covers(joined, "node=a/b", &["x:i=a j=c"], false);
}

#[test]
fn an_unanswered_question_covers_nothing() {
    let expression = Expression::parse("x");
    let inputs = expression.inputs().expect("a selector");
    let presence = inputs.presence(&Narrowing::none(), &Answers::new());
    assert!(!presence.covers(&Labels::default()));
}

#[test]
fn what_is_compared_with_a_number() {
    for (expr, compared) in [
        ("up == 0", Some("up")),
        ("((0 < (a / b)))", Some("(a / b)")),
        ("a > 5 * 60", Some("a")),
        ("a > -1", Some("a")),
        ("a > bool 1", None),
        ("a > b", None),
        ("a > scalar(b)", None),
        ("a > 1 and b", None),
        ("a + 1", None),
        ("1 > bool 2", None),
    ] {
        assert_eq!(Expression::parse(expr).compared(), compared, "{expr}");
    }
}

#[test]
fn narrowing_leaves_alone_what_would_change_the_sample() {
    let long = Narrowing::of([&labels(&format!("node={}", "n".repeat(8000)))]);
    let wide = format!("x{}", " + x".repeat(100));
    let narrowed = Expression::parse(&wide).narrowed(Part::Whole, &long);
    assert_eq!(narrowed, Some(wide));
    let narrowing = Narrowing::of([&labels("node=n zone=z")]);
    for (expr, narrowed) in [
        ("topk(1, x)", "topk(1, x)"),
        (
            "topk by (node) (1, x)",
            "topk by (node) (1, x{node=~\"n|\"})",
        ),
        (
            "x and absent(y{node=\"n\"})",
            "x{node=~\"n|\",zone=~\"z|\"} and absent(y{node=\"n\"})",
        ),
        (
            "x or on (node) y",
            "x{node=~\"n|\"} or on (node) y{node=~\"n|\",zone=~\"z|\"}",
        ),
        (
            r#"label_replace(x, "node", "$1", "zone", "(.*)")"#,
            r#"label_replace(x{zone=~"z|"}, "node", "$1", "zone", "(.*)")"#,
        ),
        (
            "count_values by (zone) (\"node\", x)",
            "count_values by (zone) (\"node\", x{zone=~\"z|\"})",
        ),
        ("x > scalar(y)", "x{node=~\"n|\",zone=~\"z|\"} > scalar(y)"),
        (
            "# first\nsum by (zone) (x)",
            "sum by (zone) (x{zone=~\"z|\"})",
        ),
    ] {
        let found = Expression::parse(expr).narrowed(Part::Whole, &narrowing);
        assert_eq!(found.as_deref(), Some(narrowed), "{expr}");
    }
    let compared = Expression::parse("x > 1").narrowed(Part::Compared, &narrowing);
    assert_eq!(compared.as_deref(), Some("x{node=~\"n|\",zone=~\"z|\"}"));
}

#[test]
fn what_knows_its_query_is_not_a_range() {
    for (expr, same) in [
        ("up == 0", true),
        ("up @ 100", true),
        ("up{end=\"start()\"}", true),
        ("up @ end()", false),
        ("rate(x[5m] @ start())", false),
        ("max_over_time(x[5m:1m] @ end())", false),
        ("rate(x[step()])", false),
        ("rate(x[min_of(5m, 10m)])", true),
        ("x > min_of(1, 2)", true),
        ("x > end()", false),
        ("up @ nonsense", false),
    ] {
        assert_eq!(
            Expression::parse(expr).range_equals_instants(),
            same,
            "{expr}"
        );
    }
}

#[test]
fn without_a_selector_there_is_nothing_to_ask() {
    for expr in ["vector(1)", "hour() > 8", "1 > bool 2", "rate(", ""] {
        assert!(Expression::parse(expr).inputs().is_none(), "{expr}");
    }
}

#[test]
fn an_error_has_its_place() {
    for (expr, error) in [
        ("", "1:1: unexpected end, expected an expression"),
        ("up >", "1:5: unexpected end, expected an expression"),
        ("up\n  == foo(x)", "2:6: unknown function `foo`"),
        ("up == 'é' ; x", "1:11: unexpected character \";\""),
        (
            "rate(x)",
            "1:1: `rate`: expected range vector, not instant vector",
        ),
        ("clamp(x)", "1:1: `clamp` takes 3 arguments, 1 given"),
        ("1 > 2", "1:3: a comparison of two scalars needs `bool`"),
        (
            "x[5m]",
            "1:1: gives a range vector, which no alert can come from",
        ),
        ("x{a=\"b}", "1:5: string without its closing quote"),
        (
            "{a=\"\"}",
            "1:1: a selector needs a name or a matcher that does not match the empty string",
        ),
        ("x[5x]", "1:3: not a number or duration"),
        ("x offset 1m offset 2m", "1:22: `offset` is given twice"),
        (
            "max_over_time(x[5m:] offset 1m offset 2m)",
            "1:41: `offset` is given twice",
        ),
        (
            "sum by (NaN) (x)",
            "1:9: unexpected `NaN`, expected a label name",
        ),
        (
            "sum by (without) (x)",
            "1:9: unexpected `without`, expected a label name",
        ),
        (
            "x anchored smoothed",
            "1:20: `anchored` and `smoothed` exclude each other",
        ),
        (
            "x + fill (1) fill_left (2) y",
            "1:14: unknown function `fill_left`",
        ),
        (
            "x and fill (1) y",
            "1:3: `and`, `or` and `unless` do not fill",
        ),
        (
            "info(x, ({a='b'}))",
            "1:1: `info`: the second argument is label matchers only",
        ),
        (
            "x[-5m]",
            "1:3: unexpected `-`, expected a length of time that is more than nothing",
        ),
        ("x </ bool 2", "1:3: `bool` is for comparisons only"),
        (
            "a and on (b) group_left c",
            "1:3: `and`, `or` and `unless` do not group",
        ),
    ] {
        let found = Expression::parse(expr)
            .parse_error()
            .map(ToString::to_string);
        assert_eq!(found.as_deref(), Some(error), "{expr}");
    }
}

#[test]
fn newer_syntax_is_read() {
    for expr in [
        "up offset +1m",
        "up > 5m",
        "up > 1_000",
        "up offset (5m * 2)",
        "rate(x[5m * 2])",
        "rate(x[max(step(), 5m)])",
        "up anchored",
        "{\"my.metric\", \"a.b\"=\"c\"}",
        "sum by (\"a.b\") (x)",
        "a / on (b) group_left (c) fill (0) d",
        "a + fill_left (-1) fill_right (2) b",
        "first_over_time(x[5m])",
        "info(x, {a=\"b\"})",
        "info(x, {})",
        "histogram_count(x </ 2) > 1",
        "x >/ on (a) group_left y",
        "1 </ 2",
        "rate(x[(0)])",
        "rate(x[min_of(1m, step())])",
        "min_of(1, 2) > bool max_of(1, end())",
        "rate(x smoothed[5m])",
        "anchored anchored",
        "fill + fill",
        "größe.in.metern{straße.nr=~\"1.\"}",
    ] {
        let expression = Expression::parse(expr);
        assert_eq!(expression.parse_error(), None, "{expr}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |n: usize| format!("{}x{}", "(".repeat(n), ")".repeat(n));
    let chain = |n: usize| format!("x{}", " + x".repeat(n));
    let signs = |n: usize| format!("{}x", "-".repeat(n));
    let powers = |n: usize| format!("x{}", " ^ x".repeat(n));
    let joins = |n: usize| {
        let before = "label_join(".repeat(n);
        format!(
            "{before}x{}",
            ", \"a\", \"\", \"a\", \"a\", \"a\", \"a\")".repeat(n)
        )
    };
    type Make<'a> = &'a dyn Fn(usize) -> String;
    let calls: [(&str, Make<'_>, usize); 5] = [
        ("parentheses", &nested, 40),
        ("a chain", &chain, 390),
        ("signs", &signs, 90),
        ("powers", &powers, 40),
        ("calls", &joins, 40),
    ];
    for (what, make, most) in calls {
        let expression = Expression::parse(&make(most));
        assert_eq!(expression.parse_error(), None, "{what}");
        let narrowing = Narrowing::of([&labels("a=b")]);
        expression.inputs().expect(what).questions(&narrowing);
        for many in [most * 3, 100_000] {
            assert!(!Expression::parse(&make(many)).is_understood(), "{what}");
        }
    }
}

#[test]
fn without_narrowing_nothing_changes() {
    for expr in expressions() {
        let narrowed = Expression::parse(expr).narrowed(Part::Whole, &Narrowing::none());
        let code = expr.split(" #").next();
        assert_eq!(narrowed.as_deref(), code, "{expr}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        pieces in proptest::collection::vec(
            prop_oneof![
                proptest::sample::select(vec![
                    "(", ")", "[", "]", "{", "}", ",", ":", "=", "=~", ">", "-", "^", "@", " ",
                    "sum", "by", "on", "or", "offset", "x", "rate", "label_replace", "5m", "1e",
                    "0x", ".", "\"", "'", "`", "\\", "é", "#", "\n", "fill", "bool", "absent",
                ]).prop_map(str::to_owned),
                ".{0,3}",
            ],
            0..30,
        )
    ) {
        let expression = Expression::parse(&pieces.concat());
        let narrowing = Narrowing::of([&labels("a=b")]);
        if let Some(inputs) = expression.inputs() {
            inputs.questions(&narrowing);
        }
        expression.narrowed(Part::Compared, &narrowing);
    }

    /// A part cut out of a valid expression is mostly broken in an interesting way.
    #[test]
    fn a_mangled_expression_is_read_or_refused(
        expr in proptest::sample::select(expressions().collect::<Vec<_>>()),
        from in 0_usize..60, length in 0_usize..12,
    ) {
        let kept = expr.chars().enumerate();
        let kept = kept.filter(|(at, _)| *at < from || *at >= from + length);
        let expression = Expression::parse(&kept.map(|(_, c)| c).collect::<String>());
        expression.narrowed(Part::Whole, &Narrowing::of([&labels("node=b")]));
    }
}
