//! A matcher that pins what is another in the next cluster: the interface's name, or the name
//! that a scrape configuration gave to a job.

use super::{Report, Rule};
use crate::promql::tree::{Expr, Matcher, Selector};

pub(super) const NAME: &str = "dns/pinned";

pub(super) fn check(rule: &Rule<'_>, report: &mut Report) {
    let Some(root) = rule.expr.root() else { return };
    root.walk(&mut |node| {
        let (Expr::Instant(selector) | Expr::Range(selector)) = &node.expr else {
            return;
        };
        for matcher in &selector.matchers {
            if let Some(message) = pinned(selector, matcher) {
                report.warn(rule.at_expr(matcher.span.start), NAME, message);
            }
        }
    });
}

fn pinned(selector: &Selector, matcher: &Matcher) -> Option<String> {
    let value = matcher.value.as_deref()?;
    if matcher.operator != "=" {
        return None;
    }
    match matcher.name.as_str() {
        "device" if is_interface(value) => Some(format!(
            "interfaces are called eth0, ens5 or enp39s0 depending on the image and the instance: \
             with device={value:?} the others are never seen; leave the matcher out"
        )),
        "job" if is_dns(selector) => Some(format!(
            "what a job is called is up to each scrape configuration: where it is not {value:?} \
             this matches nothing; leave the matcher out"
        )),
        _ => None,
    }
}

/// As the kernel or systemd names the interfaces of an EC2 instance.
fn is_interface(name: &str) -> bool {
    ["eth", "ens", "enp", "eno"]
        .iter()
        .filter_map(|kind| name.strip_prefix(kind))
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether it selects what this project's exporters and CoreDNS report.
fn is_dns(selector: &Selector) -> bool {
    let name = selector.name.as_deref().unwrap_or_default();
    ["coredns_", "node_net_ethtool", "node_ethtool_"]
        .iter()
        .any(|kind| name.starts_with(kind))
}
