//! Rule files that are refused: where, and in which words.

use alerting::rules::{Defaults, SourceFile, load};

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let file = SourceFile {
        name: "rules/a.yml".to_owned(),
        text: text.to_owned(),
    };
    let found: Vec<String> = match load(&[file], Defaults::default()) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(found, expected, "of\n{text}");
}

const GOOD: &str = "
groups:
- name: g
  interval: 15s
  query_offset: 30s
  limit: 10
  labels: {team: dns}
  rules:
  - record: a:b
    expr: sum(up)
  - alert: A
    expr: up == 0
    for: 1h30m
    keep_firing_for: 5m
    labels: {severity: 1, empty: ~, yes: true}
    annotations:
      summary: '{{ $labels.instance }} is {{ $value }}'
";

#[test]
fn a_file_of_every_field_loads() {
    check(GOOD, &[]);
    check("", &[]);
    check("groups:\n", &[]);
    check(&format!("{GOOD}---\nnot: read\n"), &[]);
}

#[test]
fn of_several_documents_the_first_is_read() {
    for behind in [
        "---\nnot: read\n",
        "...\nnot: read\n",
        "...\n---\nnot: read\n",
    ] {
        let file = SourceFile {
            name: "a.yml".to_owned(),
            text: format!("{GOOD}{behind}"),
        };
        let groups = load(&[file], Defaults::default()).expect("the first is good");
        assert_eq!(groups[0].rules.len(), 1, "{behind}");
    }
}

#[test]
fn what_is_not_a_field_is_named_with_its_place() {
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    fro: 5m\n",
        &[
            "rules/a.yml:6:5: unknown field `fro`, expected one of record, alert, expr, for, \
           keep_firing_for, labels, annotations",
        ],
    );
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    expr: down\n",
        &["rules/a.yml:6:5: `expr` is set twice"],
    );
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    labels: {a: 1, a: 2}\n",
        &["rules/a.yml:6:20: `a` is set twice"],
    );
}

#[test]
fn all_errors_of_a_file_are_reported_at_once() {
    check(
        "groups:
- name: g
  interval: 5 minutes
  rules:
  - alert: A
    for: 1m1h
    labels: {__name__: x}
  - expr: up
  - alert: B
    record: b
    expr: up
  - record: c
    expr: up
    for: 1m
- name: g
- rules: []
",
        &[
            "rules/a.yml:3:13: not a valid duration: \"5 minutes\": write for example `30s`, `5m` \
             or `1h30m`",
            "rules/a.yml:5:5: a rule needs an `expr`",
            "rules/a.yml:6:10: not a valid duration: \"1m1h\": write for example `30s`, `5m` or \
             `1h30m`",
            "rules/a.yml:7:14: a rule cannot set the label `__name__`",
            "rules/a.yml:8:5: a rule needs an `alert` (or a `record`) name",
            "rules/a.yml:10:13: a rule has either `record` or `alert`, not both",
            "rules/a.yml:12:5: a recording rule cannot have `for`",
            "rules/a.yml:15:9: group name \"g\" is used twice in this file",
            "rules/a.yml:16:3: a group needs a `name`",
        ],
    );
}

#[test]
fn a_broken_template_is_placed_in_the_file() {
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations:\n      \
         summary: 'is {{ $value '\n",
        &[
            "rules/a.yml:7:16: the template of `summary` cannot be read, at its line 1, column 14: \
           unclosed action",
        ],
    );
}

#[test]
fn two_files_of_one_base_name_have_no_group_of_one_name() {
    let file = |name: &str, group: &str| SourceFile {
        name: name.to_owned(),
        text: format!("groups:\n- name: {group}\n"),
    };
    let both = [file("a/x.yml", "g"), file("b/x.yaml", "h")];
    let groups = load(&both, Defaults::default()).expect("the groups differ");
    assert_eq!(groups.len(), 2);
    let errors = load(
        &[file("a/x.yml", "g"), file("b/x.yaml", "g")],
        Defaults::default(),
    );
    assert_eq!(
        errors.expect_err("they are the same")[0].to_string(),
        "b/x.yaml:2:9: there is a group \"g\" in a/x.yml, too: groups are identified by their \
         name and their file's base name, so rename one"
    );
}

/// How many groups the first document of a text has.
#[track_caller]
fn groups(text: &str) -> usize {
    let file = SourceFile {
        name: "a.yml".to_owned(),
        text: text.to_owned(),
    };
    load(&[file], Defaults::default()).expect(text).len()
}

#[test]
fn only_the_first_document_counts() {
    let one = "groups:\n- name: g\n";
    for behind in [
        "",
        "---\n",
        "--- # nothing\n",
        "---\n---\n",
        "...\n",
        "...\ngroups: []\n",
        "---\ngroups: []\n",
        "---\r\nkind: other\r\n",
        "---\n{[\n",
        "...\n---\nnot: read\n",
    ] {
        for before in [
            "",
            "---\n",
            "# first\n\n---\n",
            "  # first\n--- # so\n",
            "\n\n",
        ] {
            assert_eq!(groups(&format!("{before}{one}{behind}")), 1);
        }
        assert_eq!(groups(&format!("---\n---\n{one}{behind}")), 0);
    }
    assert_eq!(groups("--- {groups: [{name: g}]}\n---\n"), 1);
    assert_eq!(
        groups("groups:\n- name: g\n  labels:\n    ---a: ...b\n- name: h\n"),
        2
    );
}

#[test]
fn a_limit_is_a_number() {
    let limit = |text: &str| format!("groups:\n- name: g\n  limit: {text}\n");
    for good in ["5", "-1", "0", "5.5", "1e2", "~", "0x10"] {
        check(&limit(good), &[]);
    }
    check(
        &limit("'5'"),
        &["rules/a.yml:3:10: `limit` must be a number, not the text \"5\""],
    );
    check(
        &limit("many"),
        &["rules/a.yml:3:10: `limit` must be a number, not the text \"many\""],
    );
}

#[test]
fn labels_are_templates_of_alerting_rules_alone() {
    let labels = "labels: {a: '{{ odd'}";
    let record = format!("- record: a:b\n    expr: up\n    {labels}");
    check(
        &format!("groups:\n- name: g\n  {labels}\n  rules:\n  {record}\n"),
        &[],
    );
    check(
        &format!("groups:\n- name: g\n  {labels}\n  rules:\n  - {{alert: A, expr: up}}\n"),
        &[
            "rules/a.yml:3:15: the template of `a` cannot be read, at its line 1, column 4: \
           function \"odd\" not defined",
        ],
    );
}

#[test]
fn what_rule_files_come_in_is_recognised() {
    check(
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nspec: {groups: []}\n",
        &[
            "rules/a.yml:1:1: this is a resource of Kubernetes: what is under the `spec` of a \
           PrometheusRule is a rule file",
        ],
    );
    check(
        "{{- if .Values.alerts }}\ngroups: []\n{{- end }}\n",
        &["rules/a.yml:1:3: this is a template of Helm: `helm template` makes YAML of it"],
    );
    check(
        "groups:\n- name: g\n  labels:\n    a: {{ $labels.a }}\n",
        &["rules/a.yml:4:8: expected a text; one that begins with `{` or `[` needs quotes"],
    );
}

/// More rules than anyone has: each with all that a rule can have, all of them with labels by one
/// anchor.
#[test]
fn ten_thousand_rules_load() {
    let mut text = "groups:\n- name: g\n  rules:\n".to_owned();
    for n in 0..10_000 {
        let labels = if n == 0 {
            "&all {severity: page, team: dns, tier: '1', area: '{{ $labels.area }}'}"
        } else {
            "*all"
        };
        text += &format!(
            "  - alert: A{n}\n    expr: up{{n=\"{n}\"}} == 0\n    for: 5m\n    keep_firing_for: 1m\n    \
             labels: {labels}\n    annotations:\n      summary: '{{{{ $labels.instance }}}} is down'\n      \
             description: '{{{{ $value }}}}'\n      runbook_url: http://example/{n}\n      note: ''\n"
        );
    }
    let file = SourceFile {
        name: "many.yml".to_owned(),
        text,
    };
    let groups = load(&[file], Defaults::default()).expect("what Prometheus takes");
    assert_eq!(groups[0].rules.len(), 10_000);
    assert_eq!(groups[0].rules[9_999].labels.len(), 4);
}

/// Aliases of aliases, of which a few lines make more than a machine holds.
#[test]
fn a_file_that_unfolds_without_end_is_refused() {
    let mut text =
        "groups:\n- name: g\n  labels:\n    a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let before = vec![format!("*a{}", n - 1); 10].join(", ");
        text += &format!("    a{n}: &a{n} [{before}]\n");
    }
    let file = SourceFile {
        name: "laughs.yml".to_owned(),
        text,
    };
    let errors = load(&[file], Defaults::default()).expect_err("no rule file");
    assert_eq!(errors[0].place.file, "laughs.yml");
}
