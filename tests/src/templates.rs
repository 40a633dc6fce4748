//! The recorded cases of `alerting/src/template/tests`, asked again: promtool still makes of each
//! template what is recorded.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::json;

use crate::dnswatch::said;
use crate::parts;
use crate::prometheus::PrometheusTools;

const BOTH: &str = include_str!("../../alerting/src/template/tests/promtool.json");
const SINCE_3_16: &str = include_str!("../../alerting/src/template/tests/promtool-3.16.json");

/// Go's newer words name the types that cannot be compared.
const OTHER_WORDS: &str = "incompatible types for comparison: int and string";

#[derive(Deserialize)]
struct Case {
    template: String,
    value: String,
    output: String,
}

/// Has promtool compare an alert a case with what is recorded, all of one value in one test.
fn ask(tools: &PrometheusTools, cases: &[Case]) -> Result<()> {
    let mut by_value: BTreeMap<&str, Vec<(usize, &Case)>> = BTreeMap::new();
    for (number, case) in cases.iter().enumerate() {
        by_value
            .entry(&case.value)
            .or_default()
            .push((number, case));
    }
    let folder = tempfile::tempdir()?;
    let mut command = vec!["test".to_owned(), "rules".to_owned()];
    for (at, (value, cases)) in by_value.iter().enumerate() {
        let rules = cases.iter().map(|(number, case)| {
            let labels = json!({"n": number.to_string()});
            json!({"alert": "Test", "expr": "m", "labels": labels, "annotations": {"a": case.template}})
        });
        let rules = json!({"groups": [{"name": "g", "rules": rules.collect::<Vec<_>>()}]});
        let expected = cases.iter().map(|(number, case)| {
            let labels = json!({"n": number.to_string(), "idx": "0"});
            json!({"exp_labels": labels, "exp_annotations": {"a": case.output}})
        });
        let test = json!({
            "rule_files": [format!("rules{at}.yml")],
            "tests": [{
                "interval": "1m",
                "external_labels": {"cluster": "prod", "region": "eu-west-1"},
                "external_url": "http://localhost:9090/prom",
                "input_series": [{"series": "m{idx=\"0\"}", "values": value}],
                "alert_rule_test": [{
                    "eval_time": "0m", "alertname": "Test", "exp_alerts": expected.collect::<Vec<_>>(),
                }],
            }],
        });
        std::fs::write(
            folder.path().join(format!("rules{at}.yml")),
            rules.to_string(),
        )?;
        let path = folder.path().join(format!("test{at}.yml"));
        std::fs::write(&path, test.to_string())?;
        command.push(path.to_string_lossy().into_owned());
    }
    let output = tools.promtool(command)?;
    let version = tools.version()?;
    ensure!(
        output.status.success(),
        "promtool {version}: {}",
        said(&output)
    );
    eprintln!("{} templates, by promtool {version}", cases.len());
    Ok(())
}

#[test]
fn promtool_makes_of_each_template_what_is_recorded() -> Result<()> {
    let (Some(older), Some(current)) = (parts::prometheus(), parts::prometheus3()) else {
        return Ok(());
    };
    let mut both: Vec<Case> = serde_json::from_str(BOTH)?;
    ask(&current, &both)?;
    ask(&current, &serde_json::from_str::<Vec<Case>>(SINCE_3_16)?)?;
    let all = both.len();
    both.retain(|case| !case.output.contains(OTHER_WORDS));
    ensure!(both.len() + 1 == all, "{} of {all}", both.len());
    ask(&older, &both)
}
