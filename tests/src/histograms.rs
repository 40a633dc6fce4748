//! Alerts of native histograms: what `$value` is and prints, by our client against a running
//! Prometheus 3, and by `promtool test rules` on the same histograms.

use std::fmt::Write as _;
use std::time::Duration;

use alerting::rules::SourceFile;
use anyhow::{Result, ensure};
use serde_json::json;

use crate::history::START;
use crate::parts;
use crate::promtool_test::{alerts, expressions};
use crate::ruler::{Bench, active, as_prometheus};
use crate::timelines::remote_write::{self, NativeHistogram};

const MINUTE: Duration = Duration::from_secs(60);
const MINUTES: u32 = 6;

/// By node: exponential buckets of both signs, a zero bucket, custom bounds, none at all.
fn histograms() -> Vec<(&'static str, NativeHistogram)> {
    let plain = NativeHistogram {
        schema: 0,
        count: 4.0,
        sum: 5.0,
        zero: (0.0, 0.0),
        negative: (0, &[]),
        positive: (0, &[1.0, 2.0, 1.0]),
        custom: &[],
    };
    vec![
        ("plain", plain),
        (
            "signs",
            NativeHistogram {
                schema: 3,
                count: 1_234_570.5,
                sum: -1.5e-7,
                zero: (0.001, 3.0),
                negative: (-2, &[1.0, 0.0, 2.5]),
                positive: (5, &[1_234_562.0]),
                custom: &[],
            },
        ),
        (
            "custom",
            NativeHistogram {
                schema: -53,
                count: 6.0,
                sum: 99.75,
                positive: (0, &[1.0, 2.0, 3.0]),
                custom: &[0.1, 25.0],
                ..plain
            },
        ),
        (
            "empty",
            NativeHistogram {
                count: 0.0,
                sum: 0.0,
                positive: (0, &[]),
                ..plain
            },
        ),
    ]
}

/// What is printed of it. Not here: what the server's API does not return (other fields, and what
/// prints them: verbs but `%v`, `%s`, `%q`, `%x`, `%T`).
const TEMPLATES: &[&str] = &[
    "{{ $value }}",
    "{{ . }}",
    "{{ .Value }}",
    "{{ printf \"%v|%s|%q|%x|%T|%30v|%.5s\" $value $value $value $value $value $value $value }}",
    "{{ print $value $value }}{{ println $value }}",
    "{{ $value | humanize }}",
    "{{ $value | humanizeDuration }}",
    "{{ $value | humanizePercentage }}",
    "{{ $value | toTime }}",
    "{{ if gt $value 3.0 }}more{{ else }}less{{ end }}",
    "{{ if $value }}true{{ end }}{{ if not $value }}false{{ end }}",
    "{{ eq $value $value }} {{ ne $value $value }}",
    "{{ eq $value 0.0 }}",
    "{{ $value.Count }} {{ $value.Sum }} {{ .Value.Count | humanize }}",
    "{{ $value.String | toUpper }} {{ $value.String | len }}",
    "{{ len $value }}",
    "{{ index $value 0 }}",
    "{{ $value | toUpper }}",
    "{{ html $value }} {{ urlquery $value }}",
    "{{ (args $value).arg0 }}",
    "{{ with query \"h{node='plain'}\" }}{{ . | first | value }}{{ (. | first).Value.Sum }}{{ end }}",
    "{{ range query \"h or f\" | sortByLabel \"node\" }}{{ .Labels.node }}={{ .Value }} {{ end }}",
    "{{ query \"h{node='plain'}\" | first | strvalue }}",
];

fn rules() -> String {
    let annotations = TEMPLATES
        .iter()
        .enumerate()
        .map(|(n, text)| (format!("a{n}"), json!(text)));
    let annotations: serde_json::Map<_, _> = annotations.collect();
    let rule = |expr: &str| {
        json!({
            "alert": "A", "expr": expr, "for": "1m", "annotations": annotations,
            "labels": {"expr": expr, "level": "{{ $value }}"},
        })
    };
    let rules = [
        rule("h"),
        rule("h or f"),
        rule("rate(h[3m])"),
        rule("sum by (x) (h{node=~'plain|signs'}) * 3"),
        rule("h and on (node) histogram_count(h) > 3"),
    ];
    json!({"groups": [{"name": "g", "interval": "1m", "rules": rules}]}).to_string()
}

#[tokio::test]
async fn alerts_of_native_histograms_are_as_promtool_has_them() -> Result<()> {
    let Some(tools) = parts::prometheus3() else {
        return Ok(());
    };
    let server = tools.server().start().await?;
    let mut input = Vec::new();
    for (node, histogram) in histograms() {
        let series = format!("h{{node=\"{node}\"}}");
        let one = histogram.in_promtool();
        let values = (0..MINUTES).fold(String::new(), |mut values, _| {
            write!(values, "{one} ").expect("a String takes all");
            values
        });
        input.push(json!({"series": series, "values": values}));
    }
    input.push(json!({"series": "f{node=\"float\"}", "values": format!("7.5x{MINUTES}")}));
    for minute in 0..MINUTES {
        let at = START.plus(MINUTE * minute);
        remote_write::send_at(server.url(), at, &[("f", &[("node", "float")], 7.5)]).await?;
        for (node, histogram) in histograms() {
            let labels = [("__name__", "h"), ("node", node)];
            remote_write::send_histogram(server.url(), at, &labels, &histogram).await?;
        }
    }

    let file = SourceFile {
        name: "h.yml".to_owned(),
        text: rules(),
    };
    let mut bench = Bench::new(server.url(), vec![file.clone()], as_prometheus())?;
    bench.run_at(START.minus(Duration::from_millis(1))).await?;
    let (mut samples, mut firing, mut texts) = (Vec::new(), Vec::new(), 0);
    // Each tick by itself, and then the rest of them at once.
    for minute in [0, 1, 2, MINUTES - 1] {
        let tick = START.plus(MINUTE * minute);
        let report = bench.run_at(tick).await?;
        ensure!(
            report.failing.is_empty() && report.server.is_none(),
            "{report:?}"
        );
        let active = active(&bench.state().await?);
        let at = format!("{}s", 60 * minute);
        samples.extend(expressions(&at, &active, START));
        firing.push(alerts(&at, &active, "A"));
        texts += active.len() * TEMPLATES.len();
    }
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join(&file.name), &file.text)?;
    let test = json!({
        "rule_files": [file.name],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": input,
            "promql_expr_test": samples,
            "alert_rule_test": firing,
        }],
    });
    let path = folder.path().join("test.yml");
    std::fs::write(&path, test.to_string())?;
    let judged = tools.promtool(["test".as_ref(), "rules".as_ref(), path.as_os_str()])?;
    ensure!(
        judged.status.success(),
        "{}{}",
        String::from_utf8_lossy(&judged.stdout),
        String::from_utf8_lossy(&judged.stderr)
    );
    eprintln!(
        "{texts} texts about native histograms, by promtool {}",
        tools.version()?
    );
    ensure!(texts >= 1_000, "{texts}");
    Ok(())
}
