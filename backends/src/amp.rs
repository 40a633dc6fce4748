//! What is asked of Amazon Managed Service for Prometheus beside queries: where a workspace
//! answers, and the rules and the alert manager definition that are kept in it.

use std::fmt;
use std::str::FromStr;

use alerting::rules::SourceFile;
use aws_sdk_amp::Client;
use aws_sdk_amp::error::ProvideErrorMetadata;
use aws_sdk_amp::primitives::Blob;
use aws_sdk_amp::types::RuleGroupsNamespaceStatusCode;
use aws_types::SdkConfig;

use crate::aws::reason;

/// How many namespaces of rule groups are read; beyond that nothing is.
const MAX_NAMESPACES: usize = 1000;
/// The code of an error about something that is not there.
const NOT_FOUND: &str = "ResourceNotFoundException";

/// A workspace's id, and its region if known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceId {
    /// `ws-…`.
    pub id: String,
    /// The region, known of an ARN.
    pub region: Option<String>,
}

/// A text that names no workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write the workspace's ARN (arn:aws:aps:REGION:ACCOUNT:workspace/ws-…) or its id (ws-…), as \
     the console shows them"
)]
pub struct NoWorkspace;

impl FromStr for WorkspaceId {
    type Err = NoWorkspace;

    fn from_str(text: &str) -> Result<Self, NoWorkspace> {
        let text = text.trim();
        let (id, region) = match text.split(':').collect::<Vec<_>>().as_slice() {
            [id] => (*id, None),
            ["arn", partition, "aps", region, account, resource]
                if partition.starts_with("aws")
                    && is_name(region)
                    && account.len() == 12
                    && account.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                let id = resource.strip_prefix("workspace/").ok_or(NoWorkspace)?;
                (id, Some((*region).to_owned()))
            }
            _ => return Err(NoWorkspace),
        };
        let named = id.strip_prefix("ws-").is_some_and(is_name);
        if !named || id.len() > 64 {
            return Err(NoWorkspace);
        }
        Ok(Self {
            id: id.to_owned(),
            region,
        })
    }
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.bytes().all(fits)
}

/// A request to AMP failed.
#[derive(Debug, thiserror::Error)]
pub enum AmpError {
    /// There is no such workspace where it was looked for.
    #[error(
        "there is no workspace {workspace} in {region} for the account that asks: compare the id \
         and the region with the console's"
    )]
    NoSuchWorkspace {
        /// The workspace's id.
        workspace: String,
        /// The region that was asked.
        region: String,
    },
    /// The request failed.
    #[error("{doing}: {reason}")]
    Failed {
        /// What was asked, by the name of the operation, and of what.
        doing: String,
        /// What went wrong.
        reason: String,
    },
    /// What is stored cannot be used.
    #[error("{what} {problem}")]
    Unreadable {
        /// What is stored.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// One workspace's control plane.
#[derive(Debug, Clone)]
pub struct Amp {
    client: Client,
    workspace: String,
    region: String,
}

impl Amp {
    /// The workspace with the id `workspace` (`ws-…`) in the region of `config`.
    pub fn new(config: &SdkConfig, workspace: impl Into<String>) -> Self {
        Self {
            client: Client::new(config),
            workspace: workspace.into(),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// `DescribeWorkspace`: what queries are sent to.
    pub async fn endpoint(&self) -> Result<String, AmpError> {
        let described = self
            .client
            .describe_workspace()
            .workspace_id(&self.workspace)
            .send()
            .await
            .map_err(|error| {
                if error.code() == Some(NOT_FOUND) {
                    self.no_such_workspace()
                } else {
                    self.failed("DescribeWorkspace", reason(&error))
                }
            })?;
        described
            .workspace()
            .and_then(|workspace| workspace.prometheus_endpoint())
            .filter(|endpoint| !endpoint.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| AmpError::Unreadable {
                what: format!("the workspace {}", self.workspace),
                problem: "has no endpoint yet: it is being created, or its creation failed"
                    .to_owned(),
            })
    }

    /// `ListRuleGroupsNamespaces` and `DescribeRuleGroupsNamespace`: the rule files that the
    /// workspace's own ruler evaluates, each named by the workspace and its namespace, in the
    /// order of their names. Namespaces that were never created or are going are left out.
    pub async fn rule_files(&self) -> Result<Vec<SourceFile>, AmpError> {
        let mut files = Vec::new();
        for name in self.namespaces().await? {
            files.extend(self.rule_file(&name).await?);
        }
        Ok(files)
    }

    async fn namespaces(&self) -> Result<Vec<String>, AmpError> {
        let mut names = Vec::new();
        let mut pages = self
            .client
            .list_rule_groups_namespaces()
            .workspace_id(&self.workspace)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                if error.code() == Some(NOT_FOUND) {
                    self.no_such_workspace()
                } else {
                    self.failed("ListRuleGroupsNamespaces", reason(&error))
                }
            })?;
            for namespace in page.rule_groups_namespaces() {
                let status = namespace.status().map(|status| status.status_code());
                if !matches!(
                    status,
                    Some(
                        RuleGroupsNamespaceStatusCode::Deleting
                            | RuleGroupsNamespaceStatusCode::CreationFailed
                    )
                ) {
                    names.push(namespace.name().to_owned());
                }
            }
            if names.len() > MAX_NAMESPACES {
                return Err(AmpError::Unreadable {
                    what: format!("the workspace {}", self.workspace),
                    problem: format!("has more than {MAX_NAMESPACES} namespaces of rule groups"),
                });
            }
        }
        names.sort();
        Ok(names)
    }

    /// None if it went since it was listed.
    async fn rule_file(&self, name: &str) -> Result<Option<SourceFile>, AmpError> {
        let described = self
            .client
            .describe_rule_groups_namespace()
            .workspace_id(&self.workspace)
            .name(name)
            .send()
            .await;
        let described = match described {
            Ok(described) => described,
            Err(error) if error.code() == Some(NOT_FOUND) => return Ok(None),
            Err(error) => {
                let doing = format!("DescribeRuleGroupsNamespace of {name}");
                return Err(self.failed(&doing, reason(&error)));
            }
        };
        let namespace = described
            .rule_groups_namespace()
            .ok_or_else(|| self.empty_answer(&format!("the namespace {name}")))?;
        let file = format!("{}/{name}", self.workspace);
        let text = text(namespace.data(), || format!("the rule file {file}"))?;
        Ok(Some(SourceFile { name: file, text }))
    }

    /// `DescribeAlertManagerDefinition`: the definition as it was uploaded, None if there is
    /// none. It is YAML whose `alertmanager_config` holds the alertmanager.yml as a text.
    pub async fn alert_manager_definition(&self) -> Result<Option<SourceFile>, AmpError> {
        let described = self
            .client
            .describe_alert_manager_definition()
            .workspace_id(&self.workspace)
            .send()
            .await;
        let described = match described {
            Ok(described) => described,
            Err(error) if error.code() == Some(NOT_FOUND) => return Ok(None),
            Err(error) => {
                return Err(self.failed("DescribeAlertManagerDefinition", reason(&error)));
            }
        };
        let definition = described
            .alert_manager_definition()
            .ok_or_else(|| self.empty_answer("the alert manager definition"))?;
        let name = format!("{}/alertmanager.yml", self.workspace);
        let text = text(definition.data(), || {
            format!("the alert manager definition of {}", self.workspace)
        })?;
        Ok(Some(SourceFile { name, text }))
    }

    fn no_such_workspace(&self) -> AmpError {
        AmpError::NoSuchWorkspace {
            workspace: self.workspace.clone(),
            region: self.region.clone(),
        }
    }

    /// Only an error says that something is not there.
    fn empty_answer(&self, what: &str) -> AmpError {
        AmpError::Unreadable {
            what: format!("{what} of the workspace {}", self.workspace),
            problem: "was answered without its content".to_owned(),
        }
    }

    fn failed(&self, operation: &str, reason: String) -> AmpError {
        AmpError::Failed {
            doing: format!("{operation} in the workspace {}", self.workspace),
            reason,
        }
    }
}

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

fn text(data: &Blob, what: impl Fn() -> String) -> Result<String, AmpError> {
    std::str::from_utf8(data.as_ref())
        .map(str::to_owned)
        .map_err(|_| AmpError::Unreadable {
            what: what(),
            problem: "is not UTF-8 text".to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, Option<&str>)>) {
        let found = text.parse::<WorkspaceId>().ok();
        let found = found
            .as_ref()
            .map(|workspace| (workspace.id.as_str(), workspace.region.as_deref()));
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn a_workspace_is_named_by_its_arn_or_its_id() {
        let id = "ws-0a1b2c3d-1234-5678-9abc-0123456789ab";
        check(id, Some((id, None)));
        check(&format!(" {id}\n"), Some((id, None)));
        for (arn, region) in [
            (
                "arn:aws:aps:eu-west-1:123456789012:workspace/",
                Some("eu-west-1"),
            ),
            (
                "arn:aws-us-gov:aps:us-gov-west-1:123456789012:workspace/",
                Some("us-gov-west-1"),
            ),
            ("arn:aws:sns:eu-west-1:123456789012:workspace/", None),
            ("arn:aws:aps:eu-west-1:12345678901:workspace/", None),
            ("arn:aws:aps::123456789012:workspace/", None),
            ("arn:aws:aps:eu-west-1:123456789012:topic/", None),
            ("arn:aws:aps:eu-west-1:123456789012:workspace/x", None),
            ("https://aps-workspaces.eu-west-1.amazonaws.com/", None),
        ] {
            let expected = region.map(|region| (id, Some(region)));
            check(&format!("{arn}{id}"), expected);
        }
        check("", None);
        check("ws-", None);
        check("ws-1/x", None);
        check("my-alias", None);
        check(&format!("ws-{}", "a".repeat(99)), None);
    }
}
