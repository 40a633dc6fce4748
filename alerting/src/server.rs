//! The server that rules are evaluated against: whether it answers at all.
//!
//! Where it does not, that is one fact, and not one for each rule: it is logged in one line and
//! raised as one alert, `DnswatchQueriesFailing`. What only some rules fail of while others are
//! answered stays with those rules.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::query::{FailureKind, QueryFailure};
use crate::state::{Failure, State};
use crate::timestamp::Timestamp;

/// What keeps a server from answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerTrouble {
    /// There is no connection to it.
    Unreachable,
    /// It refuses the credentials, or there are none.
    Denied,
    /// Something else than a Prometheus API answers: a web page, a redirect, 404.
    NotAnApi,
    /// It throttles queries: 429.
    Throttled,
    /// It answers with errors that are no expression's fault.
    Failing,
    /// It takes longer than a query may.
    TimedOut,
    /// It answers so slowly that run deadline exceeded before all rules are evaluated.
    Slow,
}

impl ServerTrouble {
    /// What the server is, as in "Prometheus at HOST unreachable".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Denied => "not accessible",
            Self::NotAnApi => "not answering as a Prometheus API",
            Self::Throttled => "throttling queries",
            Self::Failing => "answering with errors",
            Self::TimedOut => "not answering in time",
            Self::Slow => "too slow to evaluate all rules in one run",
        }
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Unreachable => {
                "Check that it is running, and that name resolution, routes, security groups and \
                 proxies let the ruler reach it."
            }
            Self::Denied => "Check the credentials and their permissions.",
            Self::NotAnApi => "Check the URL.",
            Self::Throttled => {
                "Raise its query limits (AMP: Service Quotas of the workspace), or query less: \
                 fewer rules, longer intervals, narrower selectors."
            }
            Self::Failing => "Check its own log and health.",
            Self::TimedOut | Self::Slow => {
                "Check its load. `dnswatch check --url` shows how many samples each rule reads."
            }
        }
    }
}

/// What a failed query says of the server as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFailure {
    /// What keeps it from answering.
    pub trouble: ServerTrouble,
    /// Whether any query would have failed like this. Otherwise it is the server's failure only if
    /// it answers none: a heavy query may time out by itself.
    pub is_certain: bool,
    /// What happened, in one line.
    pub cause: String,
}

/// A server that does not answer, as it is kept from run to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerDown {
    /// The first run without an answer.
    pub since: Timestamp,
    /// The server's host and path.
    pub host: String,
    /// What keeps it from answering.
    pub trouble: ServerTrouble,
    /// What happened last, in one line.
    pub cause: String,
}

impl ServerDown {
    /// One line: `Prometheus at HOST unreachable since …: CAUSE`.
    pub fn line(&self) -> String {
        format!(
            "Prometheus at {} {} since {}: {}",
            self.host,
            self.trouble.as_str(),
            self.since,
            self.cause
        )
    }
}

/// What became of a run's queries.
#[derive(Debug, Clone, Default)]
pub struct Queried {
    answered: usize,
    failed: BTreeMap<ServerTrouble, (usize, ServerFailure)>,
}

impl Queried {
    /// Takes the outcome of one query.
    pub fn note<T>(&mut self, outcome: &Result<T, QueryFailure>) {
        match outcome {
            // Who refuses an expression has read it.
            Ok(_) => self.answered += 1,
            Err(failure) if failure.kind == FailureKind::Refused => self.answered += 1,
            Err(failure) => {
                if let Some(server) = &failure.server {
                    let known = self.failed.entry(server.trouble);
                    let known = known.or_insert_with(|| (0, (**server).clone()));
                    known.0 += 1;
                    known.1.is_certain |= server.is_certain;
                }
            }
        }
    }

    /// Whether nothing was asked, or nothing came of it that says anything of the server.
    pub fn is_empty(&self) -> bool {
        self.answered == 0 && self.failed.is_empty()
    }

    /// The server as it is after these queries, if it was `before`.
    pub fn judge(
        &self,
        before: Option<ServerDown>,
        host: &str,
        now: Timestamp,
    ) -> Option<ServerDown> {
        if self.is_empty() {
            return before;
        }
        let is_down = |failure: &ServerFailure| failure.is_certain || self.answered == 0;
        let counted = self.failed.values().filter(|(_, failure)| is_down(failure));
        // That a run's time was used up is what came of another trouble, if there is one.
        let rank = |(count, failure): &&(usize, ServerFailure)| {
            (failure.trouble != ServerTrouble::Slow, *count)
        };
        let (_, worst) = counted.max_by_key(rank)?;
        Some(ServerDown {
            since: before.map_or(now, |before| before.since),
            host: host.to_owned(),
            trouble: worst.trouble,
            cause: worst.cause.clone(),
        })
    }
}

impl State {
    /// Whether a rule's failure is the server's, and reported as such.
    pub(crate) fn is_the_servers(&self, failure: &Failure) -> bool {
        failure.server.is_some() && self.server.is_some()
    }

    /// How many of the rules of `config` are not evaluated because of the server.
    pub fn rules_without_answer(&self, config: &Config) -> usize {
        let rules = config.groups.iter().flat_map(|group| &group.rules);
        rules
            .filter_map(|rule| self.rules.get(&rule.key)?.health.failure.as_ref())
            .filter(|failure| self.is_the_servers(failure))
            .count()
    }

    /// The rules that fail by themselves, as `RULE: ERROR`.
    pub fn failing_rules(&self) -> Vec<String> {
        let rules = self.rules.values();
        rules
            .filter_map(|rule| {
                let failure = rule.health.failure.as_ref()?;
                let own = !self.is_the_servers(failure);
                own.then(|| format!("{}: {}", rule.id.alert, failure.error))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn failed(trouble: ServerTrouble, is_certain: bool) -> Result<(), QueryFailure> {
        Err(QueryFailure {
            kind: FailureKind::Transient,
            message: String::new(),
            server: Some(Box::new(ServerFailure {
                trouble,
                is_certain,
                cause: format!("{trouble:?}"),
            })),
        })
    }

    #[track_caller]
    fn check(outcomes: &[Result<(), QueryFailure>], expected: Option<ServerTrouble>) {
        let mut queried = Queried::default();
        for outcome in outcomes {
            queried.note(outcome);
        }
        let down = queried.judge(None, "host", NOW);
        assert_eq!(down.map(|down| down.trouble), expected, "{outcomes:?}");
    }

    #[test]
    fn only_what_would_fail_any_query_is_the_servers_while_it_answers_some() {
        let refused = || {
            Err(QueryFailure {
                kind: FailureKind::Refused,
                message: String::new(),
                server: None,
            })
        };
        let unreachable = || failed(ServerTrouble::Unreachable, true);
        let timed_out = || failed(ServerTrouble::TimedOut, false);
        check(&[], None);
        check(&[Ok(())], None);
        check(&[unreachable()], Some(ServerTrouble::Unreachable));
        check(&[unreachable(), Ok(())], Some(ServerTrouble::Unreachable));
        check(&[timed_out()], Some(ServerTrouble::TimedOut));
        check(&[timed_out(), Ok(())], None);
        check(&[timed_out(), refused()], None);
        let slow = || failed(ServerTrouble::Slow, true);
        check(
            &[slow(), slow(), timed_out()],
            Some(ServerTrouble::TimedOut),
        );
        check(&[slow(), Ok(())], Some(ServerTrouble::Slow));
        check(
            &[timed_out(), failed(ServerTrouble::Throttled, true), Ok(())],
            Some(ServerTrouble::Throttled),
        );
    }

    #[test]
    fn it_began_with_the_first_run_and_a_run_that_asks_nothing_ends_nothing() {
        let mut queried = Queried::default();
        let before = queried.judge(None, "host", NOW);
        assert_eq!(before, None);
        queried.note(&failed(ServerTrouble::Unreachable, true));
        let down = queried.judge(None, "host", NOW);
        let later = NOW.plus(std::time::Duration::from_secs(60));
        assert_eq!(queried.judge(down.clone(), "host", later), down);
        assert_eq!(Queried::default().judge(down.clone(), "host", later), down);
        queried = Queried::default();
        queried.note(&Ok(()));
        assert_eq!(queried.judge(down, "host", later), None);
    }
}
