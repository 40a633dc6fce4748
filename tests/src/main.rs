//! The product from outside, on real parts: one test binary, one module an idea.
//!
//! What the tests stand on; each proves itself:
//! - [`parts`]: where the real programs are, and what happens where one is missing
//! - [`leash`]: a program that cannot outlive the test that started it
//! - [`samples`]: a history, written down for Prometheus to load
//! - [`prometheus`]: the real server on a history, a configuration or rules of the test's choosing
//! - [`history`]: the same history for promtool as well; [`weather`] and [`nasty`] make them up
//! - [`promtool_test`]: what we say of each tick, put to promtool
//! - [`proxy`]: a network that fails on request; [`front`] decides request by request
//! - [`ruler`]: the whole ruler on a clock that is turned by hand
//! - [`dnswatch`]: the program as a user has it
//! - [`delivery`]: an AWS around a function that hands notifications on
//!
//! What they prove:
//! - [`catalogue`]: the rules' unit tests notice a changed rule; every rule has its
//!   pages
//! - [`bad_answers`]: answers that are none change no alert and disturb no other rule
//! - [`backtest`]: `dnswatch backtest` reports what the ruler would have sent
//! - [`alertmanager`]: a running Alertmanager and amtool judge configuration, routing, the whole
//!   notification pipeline, and messages by templates
//! - [`cli`]: `dnswatch check` and `dnswatch run --once`, as a user meets them
//! - [`collect`]: every way of the samples into a workspace, run by a real Prometheus: labels, rights,
//!   the rules on what arrives
//! - [`docs`]: each guarantee names a test, each link leads somewhere
//! - [`doctor`]: each fault of a workspace is found where it is planted, and no other
//! - [`dynamodb`]: the state in DynamoDB is the old document or the new one, whatever happens
//! - [`emptied`]: files that became empty, are half written or cannot be read are never "no rules"
//! - [`exporter`]: the exporter and its image on real network devices, under a real Prometheus and
//!   under abuse; ENA's statistics as its driver's documentation has them
//! - [`incident`]: packets that are really dropped, from a real CoreDNS to a message in Slack
//! - [`no_data`]: a server that cannot be queried or has no samples never looks well
//! - [`outage`]: an outage of the backend loses no tick, and is no all-clear
//! - [`planner`], [`failing`]: the same alerts as promtool at every tick, for the starter rules and
//!   for rules that are hard to evaluate, one tick a run or many; the same failures
//! - [`timelines`]: a thousand made-up rules and histories are at every tick as promtool has them
//! - [`mutated`]: damaged rule files and templates are refused or read, and do no harm; [`fuzzed`]: so
//!   is what the fuzzers begin with and what they found
//! - [`many_rules`]: ten thousand rules are evaluated; [`hostile_templates`]: templates without end
//!   disturb no other rule
//! - [`live`]: a running Prometheus and we have the same alerts while rules fail and files change
//! - [`restored`]: a Prometheus that is stopped, killed or frozen restores as it says it does, and our
//!   ruler continues as if nothing had been
//! - [`switches`]: each switch of README's table of differences makes it Prometheus's way
//! - [`histograms`]: alerts of native histograms are as promtool has them
//! - [`expressions`]: thousands of damaged expressions are taken or refused as Prometheus does
//! - [`deployed`]: the stack on a local AWS: schedule, roles, queue; a storm notified by Slack and
//!   e-mail; deployed by a person who answers; nothing lost while the function is killed and all
//!   around it fails
//! - [`promql_narrowing`]: the questions made of an expression are accepted by Prometheus, and a
//!   narrowed expression gives the same samples
//! - [`ruler_function`]: the function, from Prometheus to a queue behind the topic, on an AWS that is strict
//! - [`rules`]: the rule catalogue is accepted by promtool, and passes its own unit tests
//! - [`sigv4`]: every signature of the client is the one that botocore computes
//! - [`simulation`]: the run keeps its invariants under every fault that a seed can think of
//! - [`sns`]: SNS, as moto has it, accepts every notification and delivers it unchanged; what SNS
//!   refuses is separated from what may work later
//! - [`stack`]: the template keeps the linters' rules, and allows what the code calls and no more
//! - [`state_file`]: the state file under `kill -9`, and under two rulers at once
//! - [`stopping`]: `dnswatch run` ends soon after it is asked to
//! - [`unreachable`]: a server that does not answer is one line, one alert, and a failed run
//! - [`subscribers`]: a topic without recipients, and a queue that loses notifications, are found
//!   and reported another way; [`dead_topics`]: topics that do not answer take no other topic's time
//! - [`telemetry`]: telemetry that stops holds an alert, and no all-clear is sent
//! - [`slack`], [`pagerduty`]: messages keep the service's rules whatever they hold, and each is
//!   sent, once, in its group's order
//!
//! A test that needs a real part begins by asking for it, and ends there without it: in CI that
//! is a failure, elsewhere it is reported by name.
//! ```ignore
//! let Some(tools) = parts::prometheus() else { return Ok(()) };
//! let prometheus = tools.server().samples(history).start().await?;
//! ```

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "all of this crate is tests, which fail by panicking with a reason"
)]

mod alertmanager;
mod backtest;
mod bad_answers;
mod catalogue;
mod cli;
mod collect;
mod dead_topics;
mod delivery;
mod deployed;
mod dnswatch;
mod docs;
mod doctor;
mod dynamodb;
mod emptied;
mod exporter;
mod expressions;
mod failing;
mod front;
mod fuzzed;
mod histograms;
mod history;
mod hostile_templates;
mod incident;
mod leash;
mod live;
mod many_rules;
mod mutated;
mod nasty;
mod no_data;
mod outage;
mod pagerduty;
mod parts;
mod planner;
mod prometheus;
mod promql_narrowing;
mod promtool_test;
mod proxy;
mod restored;
mod ruler;
mod ruler_function;
mod rules;
mod samples;
mod sigv4;
mod simulation;
mod slack;
mod sns;
mod stack;
mod state_file;
mod stopping;
mod subscribers;
mod switches;
mod telemetry;
mod templates;
mod timelines;
mod unreachable;
mod weather;
