//! The manifests and the template by the judges of their kind: kustomize, Kubernetes's schemas,
//! checkov, cfn-lint.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::manifests::{built, deploy, documents, of_kind, the, workspace_template};
use crate::parts;

/// The folders that a user applies.
const APPLIED: [&str; 2] = ["kubernetes/exporter", "kubernetes/adot"];

/// The fields of an OpenTelemetryCollector's `spec` that the manifests may use: those of the
/// operator's v1beta1 (`apis/v1beta1/common.go` and `collector_types.go`). No judge of it can be
/// installed here.
const COLLECTOR_FIELDS: [&str; 12] = [
    "affinity",
    "config",
    "deploymentUpdateStrategy",
    // Since v0.137.0.
    "dnsPolicy",
    "mode",
    "podDnsConfig",
    "podSecurityContext",
    "priorityClassName",
    "replicas",
    "resources",
    "securityContext",
    "serviceAccount",
];
/// What the AWS distribution's collector is built with, of what is used
/// (`pkg/defaultcomponents/defaults.go`).
const COMPONENTS: [(&str, &[&str]); 4] = [
    ("receivers", &["prometheus"]),
    ("processors", &["memory_limiter", "batch"]),
    ("exporters", &["prometheusremotewrite"]),
    ("extensions", &["health_check", "sigv4auth"]),
];

#[test]
fn kubernetes_own_schemas_hold_for_what_kustomize_builds() -> Result<()> {
    let Some(kubectl) = parts::kubectl() else {
        return Ok(());
    };
    for folder in APPLIED {
        let yaml = built(&kubectl, &deploy(folder))?;
        // The settings are no object of the cluster's.
        ensure!(!yaml.contains("dnswatch-settings"), "{yaml}");
        let file = tempfile::NamedTempFile::with_suffix(".yaml")?;
        std::fs::write(file.path(), &yaml)?;
        let said = Command::new(kubectl.with_file_name("kubernetes-validate"))
            .arg("--strict")
            .arg(file.path())
            .output()?;
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&said.stdout),
            String::from_utf8_lossy(&said.stderr)
        );
        ensure!(said.status.success(), "{text}");
        let (passed, others): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.contains(" passed for "));
        let objects = documents(&kubectl, &yaml)?;
        let collectors = of_kind(&objects, "OpenTelemetryCollector").len();
        ensure!(passed.len() == objects.len() - collectors, "{text}");
        ensure!(
            others
                .iter()
                .all(|line| line.contains("OpenTelemetryCollector")),
            "{text}"
        );
    }
    Ok(())
}

#[test]
fn the_collector_has_fields_and_components_that_there_are() -> Result<()> {
    let Some(kubectl) = parts::kubectl() else {
        return Ok(());
    };
    let objects = documents(&kubectl, &built(&kubectl, &deploy("kubernetes/adot"))?)?;
    let collector = the(&objects, "OpenTelemetryCollector")?;
    ensure!(collector["apiVersion"] == "opentelemetry.io/v1beta1");
    let spec = collector["spec"].as_object().context("a spec")?;
    for field in spec.keys() {
        ensure!(COLLECTOR_FIELDS.contains(&field.as_str()), "{field}");
    }
    let config = &spec["config"];
    let pipeline = &config["service"]["pipelines"]["metrics"];
    for (kind, there_are) in COMPONENTS {
        let configured = config[kind].as_object().context(kind)?;
        let configured: BTreeSet<&str> = configured.keys().map(String::as_str).collect();
        ensure!(
            configured.iter().all(|name| there_are.contains(name)),
            "{configured:?}"
        );
        let used = match kind {
            "extensions" => &config["service"]["extensions"],
            _ => &pipeline[kind],
        };
        let used: BTreeSet<&str> = used
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        ensure!(
            configured == used,
            "{kind}: {configured:?}, of which are used {used:?}"
        );
    }
    Ok(())
}

/// One place for what differs: each setting arrives where it belongs.
#[test]
fn the_settings_reach_the_objects() -> Result<()> {
    let Some(kubectl) = parts::kubectl() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let copied = Command::new("cp")
        .arg("-r")
        .arg(deploy("kubernetes"))
        .arg(folder.path())
        .status()?;
    ensure!(copied.success());
    let copy = folder.path().join("kubernetes");
    std::fs::write(
        copy.join("settings/settings.env"),
        "image=registry.example/exporter@sha256:1\ncluster=blue\nregion=ap-south-1\n\
         remote_write_url=https://example.org/api/v1/remote_write\n",
    )?;
    let objects = documents(&kubectl, &built(&kubectl, &copy.join("adot"))?)?;
    let container = &the(&objects, "DaemonSet")?["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example/exporter@sha256:1");
    let config = &the(&objects, "OpenTelemetryCollector")?["spec"]["config"];
    let exporter = &config["exporters"]["prometheusremotewrite"];
    assert_eq!(exporter["external_labels"]["cluster"], "blue");
    assert_eq!(
        exporter["endpoint"],
        "https://example.org/api/v1/remote_write"
    );
    assert_eq!(config["extensions"]["sigv4auth"]["region"], "ap-south-1");
    Ok(())
}

/// What the exporter must not have, and must: the manifest's own promises.
#[test]
fn the_exporter_has_no_privileges_and_is_everywhere() -> Result<()> {
    let Some(kubectl) = parts::kubectl() else {
        return Ok(());
    };
    let objects = documents(&kubectl, &built(&kubectl, &deploy("kubernetes/exporter"))?)?;
    let pod = &the(&objects, "DaemonSet")?["spec"]["template"]["spec"];
    assert_eq!(pod["hostNetwork"], true);
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["volumes"], Value::Null);
    assert_eq!(
        pod["tolerations"],
        serde_json::json!([{"operator": "Exists"}])
    );
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    let [container] = pod["containers"]
        .as_array()
        .context("containers")?
        .as_slice()
    else {
        anyhow::bail!("one container");
    };
    let security = &container["securityContext"];
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(
        security["capabilities"],
        serde_json::json!({"drop": ["ALL"]})
    );
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], "metrics");
    }
    assert_eq!(container["ports"][0]["containerPort"], 9417);
    Ok(())
}

/// Every exception stands in the file, with its reason.
#[track_caller]
fn check_checkov(checkov: &Path, framework: &str, file: &Path, at_least: u64) -> Result<()> {
    let said = Command::new(checkov)
        .arg("--file")
        .arg(file)
        .args(["--framework", framework])
        .args(["--skip-download", "--compact", "--output", "json"])
        .output()?;
    let report: Value = serde_json::from_slice(&said.stdout)
        .with_context(|| String::from_utf8_lossy(&said.stderr).into_owned())?;
    let count = |what: &str| report["summary"][what].as_u64().context("a count");
    ensure!(
        count("failed")? == 0,
        "{}",
        report["results"]["failed_checks"]
    );
    ensure!(count("parsing_errors")? == 0, "{report}");
    ensure!(count("passed")? >= at_least, "{}", report["summary"]);
    let skipped = report["results"]["skipped_checks"]
        .as_array()
        .context("a list")?;
    for check in skipped {
        let reason = check["check_result"]["suppress_comment"].as_str();
        ensure!(reason.is_some_and(|reason| reason.len() > 20), "{check}");
    }
    Ok(())
}

#[test]
fn checkov_finds_no_failing_in_the_manifests() -> Result<()> {
    let (Some(checkov), Some(kubectl)) = (parts::checkov(), parts::kubectl()) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("adot.yaml");
    std::fs::write(&file, built(&kubectl, &deploy("kubernetes/adot"))?)?;
    check_checkov(&checkov, "kubernetes", &file, 80)
}

#[test]
fn checkov_finds_no_failing_in_the_workspace() -> Result<()> {
    let Some(checkov) = parts::checkov() else {
        return Ok(());
    };
    check_checkov(&checkov, "cloudformation", &deploy("aws/workspace.yaml"), 8)
}

#[test]
fn cfn_lint_has_nothing_to_say_of_the_workspace() -> Result<()> {
    let Some(cfn_lint) = parts::cfn_lint() else {
        return Ok(());
    };
    let said = Command::new(cfn_lint)
        .args(["--non-zero-exit-code", "informational"])
        .arg(deploy("aws/workspace.yaml"))
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .output()?;
    ensure!(said.status.success() && said.stdout.is_empty(), "{said:?}");
    Ok(())
}

/// Metrics outlive every stack; and what must be written alike in two files is.
#[test]
fn the_workspace_outlives_its_stack_and_fits_the_others() -> Result<()> {
    let (Some(sam), Some(kubectl)) = (parts::sam(), parts::kubectl()) else {
        return Ok(());
    };
    let template = workspace_template(&sam)?;
    let resources = template["Resources"].as_object().context("resources")?;
    for kept in ["Workspace", "GrafanaWorkspace", "GrafanaRole"] {
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            assert_eq!(resources[kept][policy], "Retain", "{kept}");
        }
    }
    let alerting = std::fs::read_to_string(deploy("../template.yaml"))?;
    ensure!(
        !alerting.contains("AWS::APS::"),
        "the alerting stack owns something of AMP's"
    );

    // The account that the role is for is the one that the manifests make.
    let objects = documents(&kubectl, &built(&kubectl, &deploy("kubernetes/adot"))?)?;
    let account = &the(&objects, "ServiceAccount")?["metadata"];
    let association = &resources["CollectorAssociation"]["Properties"];
    assert_eq!(association["Namespace"], account["namespace"]);
    assert_eq!(association["ServiceAccount"], account["name"]);
    let trust = &resources["CollectorRole"]["Properties"]["AssumeRolePolicyDocument"];
    let tags = &trust["Statement"][0]["Condition"]["StringEquals"];
    assert_eq!(
        tags["aws:RequestTag/kubernetes-namespace"],
        account["namespace"]
    );
    assert_eq!(
        tags["aws:RequestTag/kubernetes-service-account"],
        account["name"]
    );
    let subject = format!(
        "system:serviceaccount:{}:{}",
        account["namespace"].as_str().context("a namespace")?,
        account["name"].as_str().context("a name")?
    );
    let irsa = &resources["IrsaRole"]["Properties"]["AssumeRolePolicyDocument"]["Fn::Sub"];
    let irsa = irsa.as_str().context("a text")?;
    ensure!(irsa.contains(&subject), "{irsa}");
    serde_json::from_str::<Value>(irsa)?;
    let collector = the(&objects, "OpenTelemetryCollector")?;
    assert_eq!(collector["spec"]["serviceAccount"], account["name"]);
    Ok(())
}
