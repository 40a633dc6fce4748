//! What the lints find, where, and what they are silent about.

use std::time::Duration;

use alerting::rules::SourceFile;
use alerting::rules::lint::{Surroundings, lint};

/// Each finding as `line:column name`.
fn found(rules: &str) -> Vec<String> {
    let file = SourceFile {
        name: "rules.yml".to_owned(),
        text: format!("groups:\n- name: g\n  rules:\n{rules}"),
    };
    let surroundings = Surroundings {
        scrape_interval: Duration::from_secs(30),
    };
    let findings = lint(&[file], surroundings);
    let findings = findings.iter();
    findings
        .map(|finding| {
            format!(
                "{}:{} {}",
                finding.place.line, finding.place.column, finding.name
            )
        })
        .collect()
}

#[track_caller]
fn check(rules: &str, expected: &[&str]) {
    assert_eq!(found(rules), expected, "{rules}");
}

/// An alert with this expression.
#[track_caller]
fn of(expr: &str, expected: &[&str]) {
    check(&format!("  - alert: A\n    expr: {expr}\n"), expected);
}

#[test]
fn a_window_needs_two_samples() {
    of("rate(x_total[59s]) > 1", &["5:11 promql/rate"]);
    of("sum(increase(x[30s])) > 1", &["5:15 promql/rate"]);
    of("rate(x_total[1m]) > 1", &[]);
    of("max_over_time(x[30s]) > 1", &[]);
    of("rate(x_total[$__interval]) > 1", &["5:24 promql/syntax"]);
}

#[test]
fn without_a_condition_an_alert_always_fires() {
    let always = ["5:11 alerts/comparison"];
    of("up", &always);
    of("sum by (job) (rate(x_total[5m]))", &always);
    of("up == bool 0", &always);
    of("x > 1 or y", &always);
    of("vector(1)", &[]);
    of("absent(up)", &[]);
    of("up == 0", &[]);
    of("x unless y", &[]);
    of("count(up == 0)", &[]);
    of("job:x:rate5m", &[]);
    of(r#"ALERTS{alertname="X"}"#, &[]);
    of(r#"listener_info{operstate="down"}"#, &[]);
    of("(x > 1) / y", &[]);
}

#[test]
fn what_is_recorded_here_is_not_recorded_by_dnswatch() {
    check(
        "  - record: a:b\n    expr: up == 0\n  - alert: A\n    expr: a:b > 0\n",
        &["7:11 rules/recorded"],
    );
    check(
        "  - record: ab\n    expr: up\n  - alert: A\n    expr: ab\n",
        &["7:11 alerts/comparison", "7:11 rules/recorded"],
    );
}

#[test]
fn two_rates_are_one_series_to_or() {
    of(
        "(rate(a_in[5m]) or rate(a_out[5m])) > 1",
        &["5:30 promql/or"],
    );
    // Renamed from one release to the next: never both.
    of(
        "(rate(a_failed_b_total[5m]) or rate(a_b_failed_total[5m])) > 1",
        &[],
    );
    of(r#"(rate(a{x="1"}[5m]) or rate(b{x="2"}[5m])) > 1"#, &[]);
    of("rate(a_in[5m]) > 1 or rate(a_out[5m]) > 1", &[]);
    of(
        "absent_over_time(a_in[5m]) or absent_over_time(a_out[5m])",
        &[],
    );
}

#[test]
fn a_counter_is_compared_by_its_increase() {
    of("x_total > 5", &["5:11 promql/counter"]);
    of("5 < sum by (a) (x_total)", &["5:27 promql/counter"]);
    of(
        "node_ethtool_bw_in_allowance_exceeded > 0",
        &["5:11 promql/counter"],
    );
    of("count(x_total) > 5", &[]);
    of("x_total - x_total offset 1h > 5", &[]);
    of("x_total == 0", &[]);
    of("y == 0 and on (a) (max by (a) (x_total) > 0)", &[]);
    of("x_total > 5 and y == 0", &["5:11 promql/counter"]);
    of("minio_cluster_nodes_offline_total > 0", &[]);
    of("increase(x_total[5m]) > 5", &[]);
}

#[test]
fn neither_interface_nor_dns_job_is_pinned() {
    of(
        r#"rate(node_net_ethtool{device="eth0"}[5m]) > 0"#,
        &["5:33 dns/pinned"],
    );
    of(
        r#"rate(coredns_dns_responses_total{job="kube-dns"}[5m]) > 0"#,
        &["5:44 dns/pinned"],
    );
    of(r#"up{job="kube-dns"} == 0"#, &[]);
    of(r#"rate(x{device=~"eth0|ens5"}[5m]) > 0"#, &[]);
    of(r#"node_filesystem_avail_bytes{device="tmpfs"} < 1"#, &[]);
}

#[test]
fn labels_do_not_change_with_the_value() {
    let with =
        |label: &str| format!("  - alert: A\n    expr: up == 0\n    labels: {{v: '{label}'}}\n");
    check(&with("{{ $value }}"), &["6:17 alerts/value-in-label"]);
    check(
        &with("{{ if gt .Value 5.0 }}a{{ end }}"),
        &["6:17 alerts/value-in-label"],
    );
    check(&with("{{ $labels.job }}"), &[]);
}

#[test]
fn annotations_name_labels_that_the_result_has() {
    let with = |expr: &str, text: &str| {
        format!("  - alert: A\n    expr: {expr}\n    annotations:\n      s: \"{text}\"\n")
    };
    check(
        &with("sum by (a) (x) > 1", "{{ $labels.a }} {{ $labels.node }}"),
        &["7:10 alerts/label-dropped"],
    );
    check(&with("x > 1", "{{ $labels.node }}"), &[]);
    // Asked about first: the template is for several rules.
    check(
        &with("sum(x) > 1", "{{ with $labels.node }}{{ . }}{{ end }}"),
        &[],
    );
    check(
        &with(
            "sum(x) > 1",
            "{{ range query `up` }}{{ .Labels.node }}{{ end }}",
        ),
        &[],
    );
}

#[test]
fn what_prometheus_refuses_is_refused_at_its_place() {
    of("up ==", &["5:16 promql/syntax"]);
    of("rate(x) > 1", &["5:11 promql/syntax"]);
    of(r#"'{a=~".*"} > 1'"#, &["5:12 promql/syntax"]);
    of(r#"x{a=~"("} > 1"#, &["5:13 promql/syntax"]);
    of(r#"x{a="1" or b="2"} > 1"#, &["5:11 promql/syntax"]);
    of("x @ NaN > 1", &["5:15 promql/syntax"]);
    of("up[5m]", &["5:11 promql/type"]);
    of("info(up, target_info) > 1", &["5:11 promql/syntax"]);
    of("up[0m]", &["5:14 promql/syntax"]);
    of("rate(x[5m:-1m]) > 1", &["5:21 promql/syntax"]);
    of(r#"x{a="\c"} > 1"#, &["5:16 promql/syntax"]);
}

#[test]
fn what_waits_behind_a_flag_is_named() {
    let experimental = ["5:11 promql/experimental"];
    of("limitk(2, up) > 1", &experimental);
    of("rate(up[+5m]) > 1", &[]);
    of("min_of(1, 2) < up", &experimental);
    of("up / fill (1) up > 1", &["5:16 promql/experimental"]);
    of("up.rate > 1", &experimental);
    of("x{größe='1'} > 1", &["5:13 promql/experimental"]);
    of(
        "rate(up[max(5m, step())]) > 1",
        &["5:19 promql/experimental", "5:27 promql/release"],
    );
    of(
        "max_over_time(up[1h:5m] offset -5m) > sum by (offset) (up)",
        &[],
    );
    of(r#"info(up, {__name__="target_info"}) > 1"#, &experimental);
    of(r#"info(up, {job=~".*"}) > 1"#, &experimental);
    of("holt_winters(up[5m], 0.5, 0.5) > 1", &experimental);
    of(
        "start_timestamp(up) > 1",
        &[experimental[0], experimental[0]],
    );
}

/// What current servers know without a flag is no warning; the note names the release.
#[test]
fn what_needs_a_later_release_is_noted() {
    let at = |column: &str| format!("{column} promql/release");
    for (expr, column) in [
        ("up offset (1m + 1m) > 1", "5:21"),
        ("rate(up[2 * 5m]) > 1", "5:21"),
        ("rate(up[1h:2 * 30s]) > 1", "5:24"),
        ("rate(up[max_of(5m, 10m)]) > 1", "5:19"),
        ("rate(up[5m] anchored) > 1", "5:23"),
        ("first_over_time(up[5m]) > 1", "5:11"),
        ("histogram_count(up </ 2) > 1", "5:30"),
    ] {
        of(expr, &[&at(column)]);
    }
}

#[test]
fn places_hold_in_every_way_that_yaml_writes_a_text() {
    let with = |expr: &str| format!("  - alert: A\n    expr: {expr}\n");
    let syntax = |place: &str| vec![format!("{place} promql/syntax")];
    for (expr, place) in [
        ("up == * 1", "5:17"),
        ("'up == * 1'", "5:18"),
        ("'x{a=''b''} == * 1'", "5:26"),
        ("\"x{a=\\\"b\\\"} == * 1\"", "5:26"),
        ("|\n      up\n        == * 1", "7:12"),
        (">-\n      up\n      ==\n      * 1", "8:7"),
        ("up\n      == * 1", "6:10"),
    ] {
        assert_eq!(found(&with(expr)), syntax(place), "{expr}");
    }
}

/// What only later releases of Prometheus understand.
#[test]
fn prometheus_3_is_understood() {
    for expr in [
        r#"{"http.requests", "service.name"="a"} > 1"#,
        r#"sum by ("service.name") ({"http.requests"}) > 1"#,
        "sum(limitk(3, x)) > 1",
        "limit_ratio(0.1, x) > 1",
        r#"info(rate(x[5m]), {k8s_cluster=~".+"}) > 1"#,
        "rate(x[5m * 2]) > 1",
        "x offset (1h / 2) > 1",
        "rate(x[5m] anchored) > 1",
        "rate(x[5m] smoothed) > 1",
        "mad_over_time(x[5m]) > 1",
        "ts_of_max_over_time(x[1h]) > 1",
        "histogram_avg(x) > 1",
        "sort_by_label(x > 1, \"a\")",
        r#"x{NaN="1"} > 1"#,
        "histogram_count(x >/ 0.5) > 1",
        "rate(x[min_of(5m, 10m) * 2]) > min_of(1, 2)",
        "größe.in.metern{straße.nr=~'1.'} > 1",
        "x + on (a) group_left fill_right (0) y > 1",
    ] {
        let refused: Vec<String> = found(&format!(
            "  - alert: A\n    expr: '{}'\n",
            expr.replace('\'', "''")
        ))
        .into_iter()
        .filter(|finding| finding.contains("syntax"))
        .collect();
        assert!(refused.is_empty(), "{expr}: {refused:?}");
    }
}
