//! Templates for labels and annotations: some that people write, some that are put together at
//! random, some that fail.

use std::collections::BTreeSet;

use fastrand::Rng;

type Pairs = Vec<(String, String)>;
type Features = BTreeSet<&'static str>;

/// A label's name and its template.
const LABELS: &[(&str, &str)] = &[
    ("severity", "page"),
    (
        "severity",
        "{{ if gt $value 6.0 }}critical{{ else }}warning{{ end }}",
    ),
    // A label of the series, deleted or replaced.
    ("job", ""),
    ("job", "{{ $labels.job | toUpper }}"),
    ("node", "{{ $labels.node }}-{{ $labels.job }}"),
    ("nothing", "{{ $labels.nope }}"),
    ("metric", "{{ $labels.__name__ }}"),
    (
        "where",
        "{{ $externalLabels.cluster }}/{{ .ExternalLabels.region }}",
    ),
    (
        "level",
        "{{ if gt $value 7.0 }}high{{ else if lt $value 5.0 }}{{ else }}middle{{ end }}",
    ),
    ("value", "{{ $value | humanize }}"),
    ("whole", "{{ printf \"%.0f\" $value }}"),
    ("broken", "{{ $value | title }}"),
    (
        "asked",
        "{{ with query \"count(§s)\" }}{{ . | first | value }}{{ end }}",
    ),
    ("alertname", "of the rule"),
    ("näme with {braces}", "{{ $labels.node }}"),
];

/// Annotations that people write, or might. Where the order of an answer's series shows, they sort
/// it: promtool loads its series in an order of chance.
const ANNOTATIONS: &[&str] = &[
    "Node {{ $labels.node }} of {{ $labels.job }} is at {{ $value }}.",
    "{{ .Labels.node }} {{ .Value }} {{ .ExternalLabels.cluster }}",
    "{{ $labels }}",
    "{{ . }}",
    "{{ range $name, $text := $labels }}{{ $name }}={{ $text }},{{ end }}",
    "{{ range $n, $_ := $labels }}{{ if eq $n \"job\" }}{{ continue }}{{ end }}{{ $n }} {{ end }}",
    "{{ with $labels.nope }}{{ . }}{{ else with $labels.node }}{{ . }}!{{ else }}none{{ end }}",
    "{{ if and $labels.nope (index $labels \"x\") }}a{{ else if or $labels.nope $labels.node }}b{{ end }}",
    "{{ define \"line\" }}{{ .arg0 }}: {{ .arg1 | humanize }}{{ end }}{{ template \"line\" (args $labels.node $value) }}",
    "{{ range query \"§m\" | sortByLabel \"node\" }}{{ .Labels.node }}{{ .Labels.job | len }} {{ end }}",
    "{{ with query \"sum(§m)\" }}{{ . | first | value | printf \"%.3f\" }}{{ end }}",
    "{{ query \"§nothing\" | first | value }}",
    "{{ query \"max(§c) by (node)\" | len }} {{ query \"sum(§s)\" | first | label \"node\" }}.",
    "{{ query \"sum(\" }}",
    "{{ query \"time() % 900 * 2\" | first | value }}",
    "{{ query \"vector(1)\" | first | strvalue }}{{ (query \"§s\" | first).Labels.node }}",
    "{{ $x := 0.0 }}{{ range query \"§c\" | sortByLabel \"node\" }}{{ if gt .Value $x }}{{ $x = .Value }}{{ end }}{{ end }}{{ $x }}",
    "{{ $labels.node | reReplaceAll \"(.)\" \"$1$1-${1}x$0\" }} {{ match \"^[ab]$\" $labels.node }}",
    "{{ reReplaceAll \"(\" \"x\" $labels.node }}",
    "{{ match \"[\" \"x\" }}",
    "{{ slice $labels.job 0 1 }} {{ len $labels }} {{ index $labels \"node\" }} {{ $labels.job | len }}",
    "{{ index $labels 1 }}",
    "{{ slice $labels.node 3 }}",
    "{{ $value.Foo }}",
    "{{ template \"nope\" . }}",
    "{{ $value | humanizeDuration }} {{ $value | humanize1024 }} {{ $value | humanizePercentage }}",
    "{{ $value | humanizeTimestamp }} {{ ($value | toTime).Format \"Mon Jan 2 15:04:05.000 2006\" }}",
    "{{ (toTime $value).Unix }} {{ (1767225600.5 | toTime).Year }} {{ (toTime 1e9).Weekday }}",
    "{{ \"a.b.c:9100\" | stripPort }} {{ \"a.b.c:9100\" | stripDomain }} {{ stripDomain \"[::1]:80\" }} {{ stripDomain \"10.0.0.1:80\" }}",
    "{{ \"some words here\" | title }} {{ toUpper \"straße\" }} {{ toLower \"ÀB\" }}",
    "{{ graphLink \"up == 0\" }} {{ tableLink \"a{b='c d'}\" }}",
    "{{ parseDuration \"1h30m\" }} {{ parseDuration \"90\" }}",
    "{{ parseDuration \"1.5h\" }}",
    "{{ safeHtml \"<b>\" }} {{ html \"<a href='x'>&\" }} {{ js \"it's\" }} {{ urlquery \"a b&c\" }}",
    "{{ print $value 1 true \"x\" }}|{{ println $labels.node 2 }}|{{ printf \"%v %q %T\" $value $labels.node $value }}",
    "{{ eq $labels.node \"a\" \"b\" }} {{ ne $value 1.0 }} {{ lt 1 2 }} {{ ge 2.0 1.0 }} {{ not true }}",
    "{{ eq $value 1 }}",
    "{{ lt $labels.node 1 }}",
    "{{- /* a comment */ -}}  {{ $value -}}   \n x",
    "{{ humanize \"x\" }}",
    "{{ humanize true }}",
    "{{ (args 1 \"b\" $value).arg1 }}{{ (args).arg0 }}",
    "{{ $labels.node.nope }}",
    "{{ range $i, $e := query \"§m\" | sortByLabel \"job\" | sortByLabel \"node\" }}{{ if $i }}{{ break }}{{ end }}{{ $e.Value }}{{ else }}nothing{{ end }}",
    "{{ range 3 }}{{ . }}{{ end }}",
    "{{ call $value }}",
    "{{ block \"b\" $value }}[{{ . }}]{{ end }}",
    "",
    "plain text, {{ \"{{ }}\" }}",
];

/// A rule's labels, perhaps none.
pub(super) fn labels(rng: &mut Rng, features: &mut Features) -> Pairs {
    let mut pairs: std::collections::BTreeMap<String, String> = Default::default();
    if rng.u8(0..3) > 0 {
        for _ in 0..rng.usize(1..=3) {
            let (name, text) = LABELS[rng.usize(..LABELS.len())];
            features.insert("labels");
            if text.contains("{{") {
                features.insert("label templates");
            }
            if text.contains("query") {
                features.insert("templates that query");
            }
            pairs.insert(name.to_owned(), text.to_owned());
        }
    }
    pairs.into_iter().collect()
}

/// A rule's annotations, perhaps none.
pub(super) fn annotations(rng: &mut Rng, features: &mut Features) -> Pairs {
    let mut pairs = Vec::new();
    for n in 0..rng.usize(0..=4) {
        features.insert("annotation templates");
        let text = if rng.bool() {
            ANNOTATIONS[rng.usize(..ANNOTATIONS.len())].to_owned()
        } else {
            made_up(rng)
        };
        if text.contains("query") {
            features.insert("templates that query");
        }
        pairs.push((format!("a{n}"), text));
    }
    pairs
}

fn choose<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}

/// A pipeline of functions over a value, both at random.
fn made_up(rng: &mut Rng) -> String {
    let number = number(rng);
    match rng.u8(0..7) {
        0 => format!("{{{{ printf {:?} $value }}}}", verb(rng, "vgGfFeEdxXqstTb")),
        1 => format!("{{{{ printf {:?} ({number}) }}}}", verb(rng, "vgGfFeE")),
        2 => {
            let text = choose(rng, &["a", "", "Zürich", "a\\tb", "it's <b> & more", "42"]);
            format!("{{{{ printf {:?} \"{text}\" }}}}", verb(rng, "vsqxXdTU"))
        }
        3 => {
            let whole = rng.i32(-2000..2000);
            format!("{{{{ printf {:?} {whole} }}}}", verb(rng, "vdbocxXqUtgs"))
        }
        4 => {
            let function = humanizer(rng);
            format!("{{{{ {number} | {function} }}}} {{{{ $value | {function} }}}}")
        }
        5 => {
            let (one, other) = (humanizer(rng), humanizer(rng));
            format!(
                "{{{{ $value | printf \"%.3g\" | {one} }}}} {{{{ printf \"%s\" ({other} {number}) }}}}"
            )
        }
        _ => {
            let compare = choose(rng, &["eq", "ne", "lt", "le", "gt", "ge"]);
            let (one, other) = (operand(rng), operand(rng));
            format!(
                "{{{{ if {compare} {one} {other} }}}}yes{{{{ else }}}}no {{{{ {one} }}}}{{{{ end }}}}"
            )
        }
    }
}

fn humanizer(rng: &mut Rng) -> &'static str {
    choose(
        rng,
        &[
            "humanize",
            "humanize1024",
            "humanizeDuration",
            "humanizePercentage",
            "humanizeTimestamp",
            "toTime",
        ],
    )
}

fn operand(rng: &mut Rng) -> String {
    match rng.u8(0..6) {
        0 | 1 => "$value".to_owned(),
        2 => "$labels.node".to_owned(),
        3 => "\"a\"".to_owned(),
        4 => rng.i8(..).to_string(),
        _ => number(rng),
    }
}

/// A floating-point literal of any size.
fn number(rng: &mut Rng) -> String {
    let mantissa = rng.f64() * 20.0 - 10.0;
    match rng.u8(0..4) {
        0 => format!("{mantissa:.1}"),
        1 => format!("{:.3}", mantissa * 1000.0),
        2 => format!("{mantissa:.4}e{}", rng.i8(-30..30)),
        _ => format!("{:.0}.0", mantissa * 100_000.0),
    }
}

/// A verb with flags, width and precision.
fn verb(rng: &mut Rng, verbs: &str) -> String {
    let mut text = "%".to_owned();
    for flag in ["+", "-", "#", "0", " "] {
        if rng.u8(0..5) == 0 {
            text.push_str(flag);
        }
    }
    if rng.bool() {
        text.push_str(&rng.u8(0..14).to_string());
    }
    if rng.bool() {
        text.push('.');
        text.push_str(&rng.u8(0..8).to_string());
    }
    text.push(
        rng.choice(verbs.as_bytes())
            .copied()
            .map_or('v', char::from),
    );
    text
}
