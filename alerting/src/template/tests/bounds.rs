//! No template panics, hangs, or uses memory without bound.

use proptest::prelude::*;

use super::super::Stop;
use super::super::eval::MAX_DEPTH;
use super::super::parse::MAX_NESTING;
use super::expand;

#[track_caller]
fn fails(template: &str, message: &str) {
    match expand(template, 0.97) {
        Ok(Err(Stop::Failed(failure))) => assert!(failure.ends_with(message), "{failure}"),
        Err(error) => assert!(error.message.ends_with(message), "{error}"),
        other => panic!(
            "{:?} gave {other:?}",
            template.get(..100).unwrap_or(template)
        ),
    }
}

#[test]
fn nesting_is_bounded() {
    let parse_message = format!("nested more than {MAX_NESTING} levels deep");
    for (open, close) in [
        ("{{if 1}}", "{{end}}"),
        ("{{with 1}}", "{{end}}"),
        ("{{range 1}}", "{{end}}"),
        ("{{block \"b\" 1}}", "{{end}}"),
        ("{{if 0}}{{else if 0}}", "{{end}}"),
        ("{{if 0}}{{else}}", "{{end}}"),
    ] {
        for depth in [1_000, 10_000] {
            let template = format!("{}x{}", open.repeat(depth), close.repeat(depth));
            fails(&template, &parse_message);
        }
        // As deep as it may be; blocks of the same name are refused for another reason.
        let depth = MAX_NESTING / open.matches("if").count().max(1);
        let template = format!("{}x{}", open.repeat(depth), close.repeat(depth));
        let expanded = expand(&template, 0.0);
        assert!(
            expanded.is_ok() || open.contains("block"),
            "{open}: {expanded:?}"
        );
    }
    let parens = |depth: usize| format!("{{{{{}1{}}}}}", "(".repeat(depth), ")".repeat(depth));
    fails(&parens(100_000), &parse_message);
    assert_eq!(expand(&parens(MAX_NESTING), 0.0), Ok(Ok("1".to_owned())));
    let fields = format!("{{{{$labels{}}}}}", ".a".repeat(100_000));
    assert!(matches!(expand(&fields, 0.0), Ok(Err(Stop::Failed(_)))));
    let chain = format!(
        "{{{{if 0}}}}{}{{{{end}}}}",
        "{{else if 0}}".repeat(MAX_NESTING - 1)
    );
    assert_eq!(expand(&chain, 0.0), Ok(Ok(String::new())));
}

#[test]
fn recursion_is_bounded() {
    let message = format!("exceeded maximum template depth ({MAX_DEPTH})");
    fails(
        r#"{{define "x"}}{{template "x"}}{{end}}{{template "x"}}"#,
        &message,
    );
    let deep = 24;
    fails(
        &format!(
            r#"{{{{define "x"}}}}{}{{{{template "x" {}.{}}}}}{}{{{{end}}}}{{{{template "x" 1}}}}"#,
            "{{if 1}}{{with 1}}{{range 1}}".repeat(deep),
            "(".repeat(deep),
            ")".repeat(deep),
            "{{end}}{{end}}{{end}}".repeat(deep),
        ),
        &message,
    );
}

#[test]
fn values_inside_each_other_are_bounded() {
    fails(
        "{{$x := 0}}{{range 100000}}{{$x = args $x}}{{end}}{{$x}}",
        "args inside each other more than 100 levels deep",
    );
    fails(
        "{{$x := 0}}{{range 99}}{{$x = args $x $x}}{{end}}{{$x}}",
        "text of more than 1048576 bytes in a template",
    );
}

#[test]
fn time_and_memory_are_bounded() {
    let steps = "template takes more than 1000000 steps";
    let work = "template handles more than 64 MiB of text";
    let output = "template gives out more than 1048576 bytes";
    let text = "text of more than 1048576 bytes in a template";
    fails("{{range 1000000000}}{{end}}", steps);
    fails(
        "{{range 10000}}{{range 10000}}{{range 10000}}{{end}}{{end}}{{end}}",
        steps,
    );
    fails("{{range 1000000}}0123456789{{end}}", output);
    fails(r#"{{range 10}}{{printf "%200000d" 1}}{{end}}"#, output);
    fails(
        r#"{{$x := "x"}}{{range 100}}{{$x = print $x $x}}{{end}}"#,
        text,
    );
    fails(r#"{{printf "%1000000d%1000000d" 1 1}}"#, text);
    fails(
        r#"{{range 1000}}{{$x := printf "%1000000d" 1}}{{end}}"#,
        work,
    );
    fails(
        r#"{{$x := printf "%1000000d" 1}}{{range 1000}}{{if eq $x $x}}{{end}}{{end}}"#,
        work,
    );
    fails(
        r#"{{$x := printf "%60000d" 1}}{{range 1000}}{{$y := match "a" $x}}{{end}}"#,
        work,
    );
    fails(r#"{{range 1000}}{{match (print "a" .) "a"}}{{end}}"#, work);
    fails(
        r#"{{printf "%100000d" 1 | match "a"}}"#,
        "regular expression on text of more than 65536 bytes",
    );
    fails(
        r#"{{$x := printf "%1000000d" 1}}{{range 1000}}{{$y := slice $x 1}}{{end}}"#,
        work,
    );
    fails(
        r#"{{$x := printf "%1000d" 1}}{{reReplaceAll " " $x (printf "%60000d" 1)}}"#,
        text,
    );
    fails(
        &format!(
            r#"{{{{printf "%60000d" 1 | reReplaceAll "^.*$" "{}"}}}}"#,
            "$0".repeat(20)
        ),
        text,
    );
    fails(
        r#"{{match "((a{1000}){1000}){1000}" "a"}}"#,
        "expression too large: `((a{1000}){1000}){1000}`",
    );
    fails(
        &format!(r#"{{{{match "{}" "a"}}}}"#, "(".repeat(10_000)),
        "`",
    );
    fails(
        &"x".repeat((1 << 20) + 1),
        "template is longer than 1048576 bytes",
    );
    // A long list of variables, each looked for in all of them.
    let mut many = "{{$a := 1}}".to_owned();
    for at in 0..10_000 {
        many.push_str(&format!("{{{{$v{at} := $a}}}}"));
    }
    fails(&many, steps);
}

/// Pieces that templates are made of, good and bad.
fn piece() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "{{",
        "}}",
        "{{- ",
        " -}}",
        "{{/*",
        "*/}}",
        "if ",
        "else",
        "end",
        "range ",
        "with ",
        "define ",
        "template ",
        "block ",
        "break",
        "continue",
        "$x",
        "$",
        ".",
        ".a",
        ".Labels",
        "$labels",
        ".Value",
        ":= ",
        "= ",
        "|",
        "(",
        ")",
        ",",
        " ",
        "\"s\"",
        "`r`",
        "'c'",
        "nil",
        "true",
        "1",
        "-1",
        "0x1p4",
        "1i",
        "1e400",
        "print ",
        "printf ",
        "\"%v %*d %[2]s %#q\" ",
        "index ",
        "slice ",
        "len ",
        "eq ",
        "lt ",
        "and ",
        "or ",
        "not ",
        "call ",
        "query \"up\"",
        "first ",
        "value ",
        "label \"a\" ",
        "humanize ",
        "toTime ",
        "toDuration ",
        "args ",
        "reReplaceAll \"(\" ",
        "match \"[a-\" ",
        "title ",
        "\n",
        "é",
        "\u{200b}",
        "{{end}}",
        "{{if 1}}",
        "{{range 3}}",
        "{{else}}",
        "{{$x := 1}}",
        "{{$labels.job}}",
    ]);
    prop_oneof![
        9 => fixed.prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_expanded_or_refused(text in any::<String>()) {
        let _ = expand(&text, 0.97);
        let _ = expand(&format!("{{{{{text}}}}}"), f64::NAN);
    }

    #[test]
    fn any_text_of_templates_pieces_is_expanded_or_refused(
        pieces in prop::collection::vec(piece(), 0..40),
    ) {
        let _ = expand(&pieces.concat(), 0.97);
        let _ = expand(&format!("{{{{{}}}}}", pieces.join(" ")), -1e300);
    }

    #[test]
    fn any_format_prints_any_number(format in "[%#+ 0*.\\[\\]1-9-]{0,8}[a-zA-Z%é]", value: f64, int: i64) {
        let template = format!("{{{{printf {format:?} $value {int} \"s\" nil}}}}");
        let _ = expand(&template, value);
    }

    #[test]
    fn any_pattern_is_matched_or_refused(pattern in any::<String>(), text in any::<String>()) {
        use super::super::regexp;
        if let Ok(regex) = regexp::compile(&pattern) {
            let _ = regexp::replace_all(&regex, text.as_bytes(), &pattern, 1 << 20);
        }
    }

    #[test]
    fn any_moment_has_a_text(seconds in -9_223_372_036.0..9_223_372_036.0f64, layout in any::<String>()) {
        let template = format!("{{{{(toTime $value).Format {layout:?}}}}}{{{{($value | toTime).AddDate {0} {0} {0}}}}}", i64::MAX);
        let _ = expand(&template, seconds);
    }
}
