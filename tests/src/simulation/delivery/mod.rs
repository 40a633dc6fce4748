//! Fault simulation of the delivery functions: the real batch, claims and turns, on a table, a queue
//! and a service that one seed makes up.
//!
//! Runs are polled by hand, as in [`super::schedule`]: between any two of their requests another
//! may continue, a request fails, its answer is lost, the run is killed, a host's clock is set.

mod net;
mod table;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use ::delivery::posted::Posted;
use ::delivery::queue::Queue;
use ::delivery::turn::Turns;
use ::delivery::{Function, Run};
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use backends::aws_time::WatchTime;
use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

use self::net::{Line, Net};
use self::table::Table;
use super::totals::Totals;
use super::world::{MINUTE, Millis, SECOND, START};

/// How long a run may live.
const LIFE: Millis = 30 * SECOND;
/// How long a record that was received is not received again.
const VISIBILITY: Millis = 60 * SECOND;
/// How long faults continue, and how long after that everything must have been sent: a record waits up
/// to 15 minutes for its next try, and more than one may follow before it is sent.
const FAULTS: Millis = 40 * MINUTE;
const PATIENCE: Millis = 180 * MINUTE;
/// A clock that is further off is wrong for certain.
const OFF: Millis = 33 * SECOND;

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// A group's turn is given back by a run that no longer holds it.
    GivenBackByAnyone,
    /// Another run's turn is not respected.
    TurnIgnored,
    /// What is claimed or taken under a clock that was ahead is waited for.
    FutureHeld,
    /// What servers say the time is is ignored.
    WitnessIgnored,
    /// What was sent is remembered for a day.
    ForgottenSoon,
    /// That something was sent is not marked.
    Unmarked,
    /// A newer notification that was begun is not remembered.
    OrderForgotten,
}

const BUGS: [Bug; 7] = [
    Bug::GivenBackByAnyone,
    Bug::TurnIgnored,
    Bug::FutureHeld,
    Bug::WitnessIgnored,
    Bug::ForgottenSoon,
    Bug::Unmarked,
    Bug::OrderForgotten,
];

type Handled =
    Pin<Box<dyn Future<Output = Result<SqsBatchResponse, ::delivery::batch::NoMessageId>>>>;

struct Live {
    future: Option<Handled>,
    host: usize,
    ends: Millis,
    records: Vec<usize>,
    /// Whether its host's clock was off at any time of its life.
    was_off: bool,
    /// Whether it was off from its begin on, and a server said so.
    was_contradicted: bool,
}

struct Record {
    visible_at: Millis,
    received: u32,
    done: bool,
    group: usize,
    sequence: u64,
    id: String,
}

struct Simulation {
    rng: Rng,
    /// Requests that arrive late: when, of which run, what.
    stragglers: Vec<(Millis, usize, String, Value)>,
    net: Arc<Mutex<Net>>,
    table: Table,
    runs: Vec<Live>,
    records: Vec<Record>,
    /// The highest sequence number of each group that was begun to be sent.
    begun: BTreeMap<String, u64>,
    /// Whether Lambda's deadline is by the host's clock, or right.
    deadline_by_host: bool,
    dateless: bool,
    quiet: bool,
    /// What was marked as sent when all was sent.
    remembered: Vec<String>,
    /// The last request that was made before each host's clock was set.
    set_at: [u64; 2],
    bug: Option<Bug>,
    aloud: bool,
    wrong: Vec<String>,
    totals: Totals,
}

fn simulate(seed: u64, bug: Option<Bug>, aloud: bool) -> (Option<String>, Totals) {
    let mut rng = Rng::with_seed(seed);
    let mut records = Vec::new();
    // Notifications of a group come one at a time, or many within minutes.
    let spread = if rng.bool() { FAULTS } else { 4 * MINUTE };
    for group in 0..2 {
        for sequence in 1..=6 {
            records.push(Record {
                visible_at: START + rng.i64(0..spread),
                received: 0,
                done: false,
                group,
                sequence,
                id: format!("{group}-{sequence}"),
            });
        }
    }
    let net = Net {
        now: START,
        ..Net::default()
    };
    let mut simulation = Simulation {
        net: Arc::new(Mutex::new(net)),
        stragglers: Vec::new(),
        table: Table::default(),
        runs: Vec::new(),
        records,
        begun: BTreeMap::new(),
        deadline_by_host: rng.bool(),
        dateless: rng.u8(..3) == 0,
        quiet: false,
        remembered: Vec::new(),
        set_at: [0; 2],
        bug,
        aloud,
        wrong: Vec::new(),
        totals: Totals::default(),
        rng,
    };
    let violation = simulation.run();
    (violation, simulation.totals)
}

impl Simulation {
    fn now(&self) -> Millis {
        self.net.lock().expect("no run panics").now
    }

    fn log_step(&self, line: impl FnOnce() -> String) {
        if self.aloud {
            let now = self.now() - START;
            let (minutes, seconds) = (now / MINUTE, now % MINUTE / SECOND);
            eprintln!("{minutes:3}:{seconds:02}.{:03} {}", now % SECOND, line());
        }
    }

    fn chance(&mut self, per_mille: u32) -> bool {
        !self.quiet && self.rng.u32(..1000) < per_mille
    }

    fn run(&mut self) -> Option<String> {
        while self.now() < START + FAULTS {
            self.step();
            if let Some(wrong) = self.wrong.pop() {
                return Some(wrong);
            }
        }
        self.quiet = true;
        self.dateless = false;
        self.net.lock().expect("no run panics").hosts = [0, 0];
        let end = self.now() + PATIENCE;
        while self.records.iter().any(|record| !record.done) || self.is_busy() {
            self.step();
            if let Some(wrong) = self.wrong.pop() {
                return Some(wrong);
            }
            if self.now() > end {
                let left = self.records.iter().filter(|record| !record.done);
                let left: Vec<&str> = left.map(|record| record.id.as_str()).collect();
                return Some(format!("{left:?} were not sent in time"));
            }
        }
        // All that was sent is remembered for as long as a queue may keep a record.
        let ids = self.records.iter().map(|record| record.id.clone());
        self.remembered = ids.filter(|id| self.table.is_posted(id)).collect();
        self.net.lock().expect("no run panics").now += 13 * 24 * 60 * MINUTE;
        let now = self.now();
        self.table.expire(now / SECOND);
        for record in &mut self.records {
            record.done = false;
            record.visible_at = now;
        }
        while self.records.iter().any(|record| !record.done) || self.is_busy() {
            self.step();
            if let Some(wrong) = self.wrong.pop() {
                return Some(wrong);
            }
        }
        let unmarked = self
            .records
            .iter()
            .find(|one| !self.table.is_posted(&one.id));
        unmarked.map(|record| format!("{} was sent and is not marked", record.id))
    }

    fn is_busy(&self) -> bool {
        self.runs.iter().any(|run| run.future.is_some())
    }

    fn step(&mut self) {
        self.totals.count("steps");
        if self.chance(4) {
            self.set_a_clock();
        }
        if self.rng.u8(..20) == 0 {
            self.start();
        }
        let now = self.now();
        for number in 0..self.runs.len() {
            let killed = self.runs[number].ends <= now || self.chance(2);
            if self.runs[number].future.is_some() && killed {
                self.kill(number);
            }
        }
        while let Some(due) = self.due_straggler(now) {
            let (_, run, target, mut body) = self.stragglers.swap_remove(due);
            self.totals.count("requests of the dead");
            self.log_step(|| format!("a late request of run {run} arrives: {body}"));
            self.act(run, &target, &mut body);
        }
        let movable: Vec<u64> = {
            let net = self.net.lock().expect("no run panics");
            let calls = net.calls.iter().filter(|(_, call)| call.answer.is_none());
            calls.map(|(id, _)| *id).collect()
        };
        if movable.is_empty() || self.rng.bool() {
            let by = if movable.is_empty() {
                20 * SECOND
            } else {
                2 * SECOND
            };
            let by = self.rng.i64(1..by);
            self.net.lock().expect("no run panics").now += by;
        } else {
            let id = movable[self.rng.usize(..movable.len())];
            self.advance(id);
        }
    }

    fn set_a_clock(&mut self) {
        let steps = [0, 0, 10, -10, 25, -25, 600, -600, 10_800].map(|s| s * SECOND);
        let (host, ahead) = (self.rng.usize(..2), steps[self.rng.usize(..steps.len())]);
        self.totals.count("clocks set");
        self.log_step(|| format!("the clock of host {host} is now {} s ahead", ahead / SECOND));
        self.set_at[host] = self.net.lock().expect("no run panics").next;
        self.net.lock().expect("no run panics").hosts[host] = ahead;
        for run in &mut self.runs {
            run.was_off |= run.host == host && ahead.abs() > OFF;
            run.was_contradicted = false;
        }
    }

    fn start(&mut self) {
        let now = self.now();
        let mut batch: Vec<usize> = (0..self.records.len())
            .filter(|at| !self.records[*at].done && self.records[*at].visible_at <= now)
            .collect();
        if batch.is_empty() {
            return;
        }
        self.rng.shuffle(&mut batch);
        batch.truncate(self.rng.usize(1..4));
        let events: Vec<Value> = batch.iter().map(|at| self.receive(*at)).collect();
        let event: SqsEvent =
            serde_json::from_value(json!({"Records": events})).expect("it is an event");
        let number = self.runs.len();
        let host = self.rng.usize(..2);
        let line = Line {
            net: Arc::clone(&self.net),
            run: number,
            host,
        };
        let ahead = line.now() - now;
        let by_host = if self.deadline_by_host { ahead } else { 0 };
        let deadline = Timestamp::from_millisecond(now + LIFE + by_host).expect("a time");
        let function = function(&line);
        let id = format!("run-{number}");
        self.totals.count("runs");
        self.log_step(|| format!("run {number} starts on host {host} with {batch:?}"));
        self.runs.push(Live {
            future: Some(Box::pin(async move {
                function.handle(event, Run { id: &id, deadline }).await
            })),
            host,
            ends: now + LIFE,
            records: batch,
            was_off: ahead.abs() > OFF,
            was_contradicted: false,
        });
        self.poll(number);
    }

    fn receive(&mut self, at: usize) -> Value {
        let now = self.now();
        let record = &mut self.records[at];
        record.visible_at = now + VISIBILITY;
        record.received += 1;
        let message = json!({
            "version": "4",
            "groupKey": format!("group-{}", record.group),
            "receiver": "ops",
            "status": "firing",
            "alerts": [{"status": "firing", "labels": {"alertname": "Dropping"}}],
            "notificationId": record.id,
            "sequence": record.sequence,
        });
        let body = json!({
            "Type": "Notification",
            "TopicArn": "arn:aws:sns:eu-central-1:123456789012:alerts",
            "MessageId": format!("sns-{}", record.id),
            "Message": message.to_string(),
        });
        json!({
            "messageId": format!("sqs-{}", record.id),
            "receiptHandle": at.to_string(),
            "body": body.to_string(),
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:queue",
            "attributes": {"ApproximateReceiveCount": record.received.to_string()},
        })
    }

    fn kill(&mut self, number: usize) {
        self.totals.count("runs killed");
        self.log_step(|| format!("run {number} is killed"));
        self.runs[number].future = None;
        let at = self.now() + self.rng.i64(0..180 * SECOND);
        let mut net = self.net.lock().expect("no run panics");
        // A request may arrive when its run is long dead.
        for call in net.calls.values() {
            if call.run == number && call.outcome.is_none() && gives_back(&call.body) {
                let late = (at, number, call.target.clone(), call.body.clone());
                self.stragglers.push(late);
            }
        }
        net.calls.retain(|_, call| call.run != number);
    }

    /// A late request that arrives now: its time has come, or another run is just sending, which is
    /// when it would do the most harm.
    fn due_straggler(&mut self, now: Millis) -> Option<usize> {
        let net = self.net.lock().expect("no run panics");
        let sending = net.calls.values().any(|call| call.target == "send");
        drop(net);
        let hurries = sending && self.rng.bool();
        let due = |one: &(Millis, usize, String, Value)| hurries || one.0 <= now;
        self.stragglers.iter().position(due)
    }

    fn poll(&mut self, number: usize) {
        let Some(mut future) = self.runs[number].future.take() else {
            return;
        };
        let before = self
            .net
            .lock()
            .expect("no run panics")
            .calls
            .keys()
            .last()
            .copied();
        match future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Pending => self.runs[number].future = Some(future),
            Poll::Ready(response) => {
                let failures = response.expect("records have ids").batch_item_failures;
                let failed: Vec<String> = failures
                    .into_iter()
                    .map(|failure| failure.item_identifier)
                    .collect();
                for at in self.runs[number].records.clone() {
                    let record = &mut self.records[at];
                    record.done |= !failed.contains(&format!("sqs-{}", record.id));
                }
            }
        }
        self.check_sends(number, before);
    }

    /// A run has just begun to send: may it?
    fn check_sends(&mut self, number: usize, before: Option<u64>) {
        let net = self.net.lock().expect("no run panics");
        let sends = net.calls.iter().filter(|(_, call)| call.target == "send");
        let (new, others): (Vec<_>, Vec<_>) = sends.partition(|(id, call)| {
            call.run == number && before.is_none_or(|before| **id > before)
        });
        let Some((_, call)) = new.first() else {
            return;
        };
        self.totals.count("sent");
        let body = &call.body;
        let (id, group) = (
            body["id"].as_str().unwrap_or_default(),
            body["group"].to_string(),
        );
        let sequence = body["sequence"].as_u64().unwrap_or(0);
        let run = &self.runs[number];
        let other = others
            .into_iter()
            .find(|(_, other)| other.body["group"] == body["group"]);
        if let Some((_, other)) = other
            && !run.was_off
            && !(self.deadline_by_host && self.runs[other.run].was_off)
        {
            self.wrong.push(format!(
                "run {number} and {} send of {group} at once",
                other.run
            ));
        }
        if run.was_off && run.was_contradicted {
            self.wrong.push(format!(
                "run {number} sends though its clock is off and a server showed it"
            ));
        }
        if self.table.is_posted(id) {
            self.wrong
                .push(format!("{id} is sent, and was marked as sent"));
        }
        let begun = self.begun.entry(group).or_insert(0);
        if sequence < *begun && body["late"] == json!(false) && !run.was_off {
            self.wrong
                .push(format!("{id} is sent as news after {begun}"));
        }
        // One whose clock is off, and that no server contradicted, may take another's turn: then
        // the other is late and cannot know.
        if !run.was_off {
            *begun = (*begun).max(sequence);
        }
        // What could not be marked is sent again, and the log says so when that fails.
        if self.remembered.iter().any(|known| known == id) {
            self.wrong
                .push(format!("{id} is sent again after two weeks"));
        }
    }

    /// A request acts or fails, or its answer arrives.
    fn advance(&mut self, id: u64) {
        let (run, target, mut body, outcome) = {
            let net = self.net.lock().expect("no run panics");
            let call = &net.calls[&id];
            (
                call.run,
                call.target.clone(),
                call.body.clone(),
                call.outcome.clone(),
            )
        };
        if let Some(outcome) = outcome {
            let lost = self.chance(30);
            let answer = if lost { None } else { outcome };
            self.log_step(|| format!("run {run} is answered to {target}: {answer:?}"));
            let notified = answer.as_ref().is_some_and(|(_, _, date)| date.is_some());
            self.net
                .lock()
                .expect("no run panics")
                .calls
                .get_mut(&id)
                .expect("it is")
                .answer = Some(answer);
            let live = &mut self.runs[run];
            let net = self.net.lock().expect("no run panics");
            let is_off = net.hosts[live.host].abs() > OFF;
            drop(net);
            // An exchange during which the clock was set shows a run nothing.
            let notified = notified && id > self.set_at[live.host];
            live.was_contradicted |= notified && is_off && !target.ends_with("UpdateItem");
            return self.poll(run);
        }
        if gives_back(&body) && self.chance(200) {
            return self.kill(run);
        }
        let outcome = if self.chance(40) {
            self.totals.count("requests failed");
            None
        } else {
            let now = self.now();
            self.log_step(|| format!("run {run}'s {target} takes effect: {body}"));
            let (status, answer) = self.act(run, &target, &mut body);
            let date = Timestamp::from_millisecond(now).expect("a time");
            let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let has_date =
                target != "send" && !self.dateless && self.bug != Some(Bug::WitnessIgnored);
            Some((status, answer, has_date.then_some(date)))
        };
        let mut net = self.net.lock().expect("no run panics");
        net.calls.get_mut(&id).expect("it is under way").outcome = Some(outcome);
    }

    fn act(&mut self, run: usize, target: &str, body: &mut Value) -> (u16, Value) {
        if target == "send" {
            return (200, json!({}));
        }
        if target.starts_with("AmazonSQS.") {
            let at: usize = body["ReceiptHandle"]
                .as_str()
                .and_then(|at| at.parse().ok())
                .expect("ours");
            let wait = body["VisibilityTimeout"].as_i64().expect("seconds");
            self.records[at].visible_at = self.now() + wait * SECOND;
            return (200, json!({}));
        }
        // Where the bug hides the Date from the run, it was contradicted all the same.
        if self.bug == Some(Bug::WitnessIgnored)
            && !self.dateless
            && !target.ends_with("UpdateItem")
        {
            let host = self.net.lock().expect("no run panics").hosts[self.runs[run].host];
            self.runs[run].was_contradicted |= host.abs() > OFF;
        }
        let gives_back = gives_back(body);
        match self.bug {
            Some(Bug::GivenBackByAnyone) if gives_back => {
                body.as_object_mut()
                    .expect("an object")
                    .remove("ConditionExpression");
            }
            Some(Bug::TurnIgnored) if target.ends_with("UpdateItem") && !gives_back => {
                body["ExpressionAttributeValues"][":now"] = json!({"N": "99999999999"});
            }
            Some(Bug::FutureHeld) if !body["ExpressionAttributeValues"][":longest"].is_null() => {
                body["ExpressionAttributeValues"][":longest"] = json!({"N": "99999999999"});
            }
            Some(Bug::ForgottenSoon) if !body["Item"]["posted_at"].is_null() => {
                let day = self.now() / SECOND + 24 * 3600;
                body["Item"]["expires_at"] = json!({"N": day.to_string()});
            }
            Some(Bug::Unmarked) if !body["Item"]["posted_at"].is_null() => return (200, json!({})),
            Some(Bug::OrderForgotten) if target.ends_with("UpdateItem") => {
                if let Some(condition) = body["ConditionExpression"].as_str() {
                    let any = condition.replace(
                        "#sequence <= :sequence",
                        "sequence > :now OR #sequence <= :now",
                    );
                    body["ConditionExpression"] = json!(any);
                }
            }
            _ => {}
        }
        self.table.act(target, body)
    }
}

/// Whether a request gives a group's turn back.
fn gives_back(body: &Value) -> bool {
    let update = body["UpdateExpression"].as_str();
    update.is_some_and(|text| text.contains("REMOVE"))
}

fn function(line: &Line) -> Function<Line> {
    let clock = line.clone();
    let time = WatchTime::new(move || alerting::timestamp::Timestamp::from_millis(clock.now()));
    let sdk = line.sdk();
    let once = aws_sdk_dynamodb::config::retry::RetryConfig::disabled();
    let table = aws_sdk_dynamodb::config::Builder::from(&sdk)
        .retry_config(once.clone())
        .interceptor(time.clone());
    let table = aws_sdk_dynamodb::Client::from_conf(table.build());
    let queue = aws_sdk_sqs::config::Builder::from(&sdk).retry_config(once);
    let queue = aws_sdk_sqs::Client::from_conf(queue.build());
    let clock = line.clone();
    Function {
        channel: line.clone(),
        posted: Posted::new(table.clone(), "state".to_owned()),
        turns: Turns::new(table, "state".to_owned()),
        queue: Queue::new(queue, "https://sqs.example/queue".to_owned()),
        log: Arc::new(|_: &str| {}),
        time,
        now: Arc::new(move || Timestamp::from_millisecond(clock.now()).expect("a time")),
    }
}

fn seeds() -> u64 {
    super::number("DNSWATCH_DELIVERY_SEEDS").unwrap_or(40)
}

#[test]
fn every_fault_leaves_each_notification_sent_in_turn() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    if let Some(seed) = super::number("DNSWATCH_DELIVERY_SEED") {
        assert_eq!(simulate(seed, None, true).0, None, "seed {seed}");
        return;
    }
    let mut totals = Totals::default();
    for seed in 0..seeds() {
        let (violation, of_seed) = simulate(seed, None, false);
        assert_eq!(violation, None, "seed {seed}");
        totals.add(&of_seed);
    }
    eprintln!("{totals}");
}

#[test]
fn planted_bugs_of_delivery_are_found() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    for bug in BUGS {
        let found = (0..1_500).find_map(|seed| Some((seed, simulate(seed, Some(bug), false).0?)));
        let (seed, what) = found.unwrap_or_else(|| panic!("{bug:?} is not found"));
        eprintln!("{bug:?}: found in seed {seed}: {what}");
    }
}
