//! One CoreDNS pod, with EKS's default Corefile (`kubernetes`, `cache`,
//! `forward . /etc/resolv.conf`, one upstream).
//!
//! What it does when packets are dropped follows CoreDNS 1.11 to 1.14
//! (plugin/forward/forward.go, plugin/pkg/proxy), as it was measured on a real
//! one (docs/incident.md): an upstream query is given up after 2 s and not
//! observed in the upstream's histogram; it is tried at most twice, or once
//! while the upstream counts as down; then the server itself answers SERVFAIL.
//! A failed query starts health checks, which leave by the same interface.
//!
//! CoreDNS 1.15 keeps such an answer in its cache for 5 s, so that a client that
//! asks again at once sends nothing more upstream. The model does not.

use std::collections::VecDeque;

use crate::histogram::Histogram;
use crate::scenario::{Load, PodSpec};

/// CoreDNS's read timeout of an upstream query, in seconds.
const READ_TIMEOUT: u64 = 2;
/// An upstream counts as down after more failed health checks in a row than
/// this (`max_fails`).
const MAX_FAILS: u64 = 2;
/// Health checks per second of an upstream that failed (every 0.5 s).
const PROBES_PER_SECOND: u64 = 2;
/// How many in a hundred of the names in `cluster.local` the cache answers.
const CLUSTER_CACHED_PERCENT: u64 = 90;
/// Capacity of each of the cache's two parts, and seconds that an entry lives.
const CACHE_CAPACITY: u64 = 9984;
const CACHE_SECONDS: u64 = 30;

/// How long an answer takes, in microseconds, by where it comes from.
const FROM_CACHE: u64 = 120;
const FROM_KUBERNETES: u64 = 400;
const FROM_UPSTREAM: u64 = 1_500;
const SECOND: u64 = 1_000_000;

/// Lookups that reach one pod in one second.
#[derive(Clone, Copy, Debug)]
pub struct Arrivals {
    /// Lookups of Service names.
    pub service_lookups: u64,
    /// Lookups of external names.
    pub external_lookups: u64,
    /// Lookups of names that the upstream cannot resolve.
    pub broken_lookups: u64,
}

/// What a query is answered with once the answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rcode {
    NoError,
    NxDomain,
    /// The upstream's own.
    ServFail,
}

/// Upstream queries that fare alike.
#[derive(Clone, Copy, Debug)]
struct Batch {
    count: u64,
    rcode: Rcode,
    /// Seconds that earlier attempts took.
    waited: u64,
    /// No further attempt follows.
    last: bool,
    /// The client asks a second time already.
    asked_again: bool,
}

/// What the pod counted. Everything but `in_flight` only grows.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Queries for A and AAAA records that came in.
    pub requests_a: u64,
    /// See `requests_a`.
    pub requests_aaaa: u64,
    /// Answers NOERROR.
    pub noerror: u64,
    /// Answers NXDOMAIN.
    pub nxdomain: u64,
    /// Answers SERVFAIL by the server itself.
    pub servfail: u64,
    /// Answers SERVFAIL that the upstream gave.
    pub servfail_upstream: u64,
    /// From query to answer.
    pub request_duration: Histogram,
    /// Upstream queries answered NOERROR.
    pub upstream_noerror: Histogram,
    /// Upstream queries answered NXDOMAIN.
    pub upstream_nxdomain: Histogram,
    /// Upstream queries answered SERVFAIL.
    pub upstream_servfail: Histogram,
    /// Upstream queries sent, retries included, health checks not.
    pub upstream_sent: u64,
    /// Those of them that were dropped.
    pub upstream_dropped: u64,
    /// Answers from the cache, positive ones.
    pub cache_hits_success: u64,
    /// Answers from the cache, negative ones.
    pub cache_hits_denial: u64,
    /// Health checks sent.
    pub healthchecks: u64,
    /// Health checks that failed.
    pub healthcheck_failures: u64,
    /// Queries that found every upstream down.
    pub healthcheck_broken: u64,
    /// Queries that wait for an upstream.
    pub in_flight: u64,
}

impl Counters {
    /// Queries that came in.
    pub fn requests(&self) -> u64 {
        self.requests_a + self.requests_aaaa
    }

    /// Answers of all kinds.
    pub fn responses(&self) -> u64 {
        self.noerror + self.nxdomain + self.servfail + self.servfail_upstream
    }
}

/// A CoreDNS pod.
#[derive(Clone, Debug)]
pub struct CoreDns {
    /// Where it runs.
    pub spec: PodSpec,
    /// Position of its interface among the cluster's.
    pub eni: usize,
    /// What its page shows.
    pub counters: Counters,
    /// Entries in the cache, positive and negative.
    pub cache_entries: (u64, u64),
    sending: Vec<Batch>,
    probes: u64,
    waiting: VecDeque<(u64, Batch)>,
    ask_again: Vec<(Rcode, u64)>,
    probing: bool,
    fails: u64,
    rounding: u64,
}

impl CoreDns {
    /// A pod that has seen nothing yet.
    pub fn new(spec: PodSpec, eni: usize) -> Self {
        Self {
            spec,
            eni,
            counters: Counters::default(),
            cache_entries: (0, 0),
            sending: Vec::new(),
            probes: 0,
            waiting: VecDeque::new(),
            ask_again: Vec::new(),
            probing: false,
            fails: 0,
            rounding: 0,
        }
    }

    /// Takes in one second's queries, answers what it can and lays out what has
    /// to go upstream.
    pub fn receive(&mut self, now: u64, arrivals: Arrivals, load: &Load) {
        self.sending.clear();
        self.probes = if self.probing { PROBES_PER_SECOND } else { 0 };
        self.give_up(now);
        for (rcode, count) in std::mem::take(&mut self.ask_again) {
            self.take_in(count);
            self.forward(rcode, count, true);
        }
        // A resolver asks for A and AAAA of every name that it tries.
        let services = 2 * arrivals.service_lookups;
        let external = 2 * arrivals.external_lookups;
        let searched = external * u64::from(load.cluster_suffixes);
        let foreign = external * u64::from(load.vpc_suffixes);
        let broken = 2 * arrivals.broken_lookups;
        self.take_in(services + searched + foreign + external + broken);
        self.answer_for_cluster(Rcode::NoError, services);
        self.answer_for_cluster(Rcode::NxDomain, searched);
        let percent = u64::from(load.cached_percent.min(100));
        let found = self.percent_of(foreign, percent);
        self.answer(Rcode::NxDomain, found, FROM_CACHE);
        self.forward(Rcode::NxDomain, foreign - found, false);
        let found = self.percent_of(external, percent);
        self.answer(Rcode::NoError, found, FROM_CACHE);
        self.forward(Rcode::NoError, external - found, false);
        self.forward(Rcode::ServFail, broken, false);
    }

    /// Sizes of the flows that this pod sends this second.
    pub fn flows(&self) -> impl Iterator<Item = u64> {
        self.sending
            .iter()
            .map(|batch| batch.count)
            .chain([self.probes])
    }

    /// Learns how many packets of each of its [`flows`](Self::flows) got
    /// through, to an upstream that may answer none of them.
    pub fn settle(
        &mut self,
        now: u64,
        passed: &mut impl Iterator<Item = u64>,
        upstream_down: bool,
    ) {
        let answered = |through: u64| if upstream_down { 0 } else { through };
        for batch in std::mem::take(&mut self.sending) {
            let through = passed.next().unwrap_or(0).min(batch.count);
            let dropped = batch.count - through;
            self.counters.upstream_sent += batch.count;
            self.counters.upstream_dropped += dropped;
            let answered = answered(through);
            self.counters.in_flight -= answered;
            let observed = match batch.rcode {
                Rcode::NoError => &mut self.counters.upstream_noerror,
                Rcode::NxDomain => &mut self.counters.upstream_nxdomain,
                Rcode::ServFail => &mut self.counters.upstream_servfail,
            };
            observed.observe(FROM_UPSTREAM, answered);
            self.respond(batch.rcode, answered, FROM_UPSTREAM + batch.waited * SECOND);
            self.keep_in_cache(batch.rcode, answered);
            if answered < batch.count {
                let lost = Batch {
                    count: batch.count - answered,
                    ..batch
                };
                self.waiting.push_back((now + READ_TIMEOUT, lost));
                self.probing = true;
            }
        }
        let through = answered(passed.next().unwrap_or(0).min(self.probes));
        self.counters.healthchecks += self.probes;
        self.counters.healthcheck_failures += self.probes - through;
        if through > 0 {
            self.fails = 0;
            self.probing = false;
        } else {
            self.fails += self.probes;
        }
        self.cache_entries.0 -= self.cache_entries.0 / CACHE_SECONDS;
        self.cache_entries.1 -= self.cache_entries.1 / CACHE_SECONDS;
    }

    /// Ends the attempts whose time is up: tries once more, or answers SERVFAIL,
    /// upon which the client asks a second time.
    fn give_up(&mut self, now: u64) {
        while let Some((_, batch)) = self.waiting.pop_front_if(|(due, _)| *due <= now) {
            let waited = batch.waited + READ_TIMEOUT;
            if batch.last {
                self.counters.servfail += batch.count;
                self.counters.in_flight -= batch.count;
                self.counters
                    .request_duration
                    .observe(waited * SECOND, batch.count);
                if !batch.asked_again {
                    self.ask_again.push((batch.rcode, batch.count));
                }
            } else {
                self.attempt(Batch {
                    waited,
                    last: true,
                    ..batch
                });
            }
        }
    }

    fn forward(&mut self, rcode: Rcode, count: u64, asked_again: bool) {
        self.counters.in_flight += count;
        let last = self.fails > MAX_FAILS;
        self.attempt(Batch {
            count,
            rcode,
            waited: 0,
            last,
            asked_again,
        });
    }

    fn attempt(&mut self, batch: Batch) {
        if batch.count == 0 {
            return;
        }
        if self.fails > MAX_FAILS {
            self.counters.healthcheck_broken += batch.count;
        }
        self.sending.push(batch);
    }

    fn take_in(&mut self, queries: u64) {
        self.counters.requests_a += queries - queries / 2;
        self.counters.requests_aaaa += queries / 2;
    }

    fn answer_for_cluster(&mut self, rcode: Rcode, count: u64) {
        let found = self.percent_of(count, CLUSTER_CACHED_PERCENT);
        self.answer(rcode, found, FROM_CACHE);
        self.respond(rcode, count - found, FROM_KUBERNETES);
        self.keep_in_cache(rcode, count - found);
    }

    /// Answers from the cache.
    fn answer(&mut self, rcode: Rcode, count: u64, micros: u64) {
        match rcode {
            Rcode::NoError => self.counters.cache_hits_success += count,
            Rcode::NxDomain => self.counters.cache_hits_denial += count,
            Rcode::ServFail => {}
        }
        self.respond(rcode, count, micros);
    }

    fn respond(&mut self, rcode: Rcode, count: u64, micros: u64) {
        match rcode {
            Rcode::NoError => self.counters.noerror += count,
            Rcode::NxDomain => self.counters.nxdomain += count,
            Rcode::ServFail => self.counters.servfail_upstream += count,
        }
        self.counters.request_duration.observe(micros, count);
    }

    fn keep_in_cache(&mut self, rcode: Rcode, count: u64) {
        let entries = match rcode {
            Rcode::NoError => &mut self.cache_entries.0,
            Rcode::NxDomain => &mut self.cache_entries.1,
            Rcode::ServFail => return,
        };
        *entries = (*entries + count).min(CACHE_CAPACITY);
    }

    /// `percent` in a hundred of `count`; what rounding leaves is carried on.
    fn percent_of(&mut self, count: u64, percent: u64) -> u64 {
        let hundredths = count * percent + self.rounding;
        let whole = (hundredths / 100).min(count);
        self.rounding = (hundredths - whole * 100).min(99);
        whole
    }
}
