//! The shortest windows that rules look at samples through.

use std::path::PathBuf;
use std::time::Duration;

use alerting::config::Settings;
use alerting::duration;
use anyhow::{Result, bail};
use backends::config_files;

/// A window, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) range: Duration,
    /// Who looks through it.
    pub(super) of: String,
}

/// The shortest ones. None where no rule looks at such samples through one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Windows {
    /// On the link-local counter, by either name.
    pub(super) link_local: Option<Window>,
    /// On CoreDNS's own metrics.
    pub(super) coredns: Option<Window>,
}

impl Windows {
    /// Those of the rules in `rules/` of this project.
    fn shipped() -> Self {
        let window = Some(Window {
            range: Duration::from_secs(120),
            of: "the shortest of the shipped rules".to_owned(),
        });
        Self {
            link_local: window.clone(),
            coredns: window,
        }
    }
}

/// The shortest windows of the rules at `paths`; of the shipped ones if there are none.
pub(super) fn read(paths: &[PathBuf]) -> Result<Windows> {
    if paths.is_empty() {
        return Ok(Windows::shipped());
    }
    let files = config_files::read(paths)?;
    let config = match Settings::default().load(&files) {
        Ok(config) => config,
        Err(errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            bail!("{}", errors.join("\n"));
        }
    };
    let mut windows = Windows {
        link_local: None,
        coredns: None,
    };
    for rule in config.groups.iter().flat_map(|group| &group.rules) {
        for text in rule.expr.ranges() {
            let Some((selector, range)) = text
                .split_once('[')
                .and_then(|(selector, rest)| Some((selector, rest.split(']').next()?)))
            else {
                continue;
            };
            // A calculation, which Prometheus 3 has, is not followed.
            let Ok(range) = duration::parse(range.trim()) else {
                continue;
            };
            let shortest = if selector.contains("linklocal_allowance_exceeded") {
                &mut windows.link_local
            } else if selector.trim_start().starts_with("coredns_") {
                &mut windows.coredns
            } else {
                continue;
            };
            if shortest.as_ref().is_none_or(|window| range < window.range) {
                *shortest = Some(Window {
                    range,
                    of: rule.id.alert.clone(),
                });
            }
        }
    }
    Ok(windows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_shipped_rule_has_a_shorter_window() {
        let rules = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../rules"));
        let (found, shipped) = (read(&[rules]).unwrap(), Windows::shipped());
        let range = |window: &Option<Window>| window.as_ref().map(|window| window.range);
        assert_eq!(range(&found.link_local), range(&shipped.link_local));
        assert!(
            range(&found.coredns) >= range(&shipped.coredns),
            "{found:?}"
        );
    }
}
