//! The way from the functions to AWS, on which a seed decides what becomes of each of the ruler's
//! requests: it or its answer is lost, SNS refuses it, or the ruler is killed with -9 before or
//! after it.
//!
//! A run that is killed between two requests has done the same to the world as one that is killed
//! at the end of the first: so what is drawn for each request covers every moment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use anyhow::Result;

use super::deliveries::{Event, Publish};
use super::sandbox::Sandbox;
use crate::front::{Fate, Front, Request};

/// What a request of the ruler is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Load,
    Commit,
    Publish,
}

/// What was done to a request of the ruler, or at it to the ruler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// It was answered with 503 and went no further.
    Refused,
    /// It went nowhere, and was not answered.
    Lost,
    /// It was done, and not answered.
    AnswerLost,
    /// It went nowhere, and the ruler was killed.
    KilledBefore,
    /// It was done, and the ruler was killed before the answer.
    KilledAfter,
}

/// How often what was done to which requests.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(BTreeMap<(Step, Fault), usize>);

impl Faults {
    /// How often it was done.
    pub(super) fn count(&self, step: Step, fault: Fault) -> usize {
        self.0.get(&(step, fault)).copied().unwrap_or_default()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.0.iter();
        let faults = faults.map(|((step, fault), count)| format!("{step:?} {fault:?} {count}"));
        f.write_str(&faults.collect::<Vec<_>>().join(", "))
    }
}

impl Fault {
    /// Whether the ruler is killed.
    pub(super) fn kills(self) -> bool {
        matches!(self, Self::KilledBefore | Self::KilledAfter)
    }

    /// What happens to how many requests of a kind, and to how many in all.
    ///
    /// A kill while notifications are claimed holds their groups up until the claim runs out, two
    /// minutes later. So kills are rare enough that groups are left for the other faults.
    fn deck(step: Step) -> (&'static [(Self, usize)], usize) {
        match step {
            Step::Load => (&[(Self::KilledBefore, 1), (Self::Lost, 1)], 60),
            Step::Commit => (
                &[
                    (Self::KilledBefore, 1),
                    (Self::KilledAfter, 1),
                    (Self::AnswerLost, 3),
                ],
                40,
            ),
            Step::Publish => (
                &[
                    (Self::KilledBefore, 1),
                    (Self::KilledAfter, 1),
                    (Self::Lost, 1),
                    (Self::AnswerLost, 2),
                    (Self::Refused, 1),
                ],
                12,
            ),
        }
    }
}

/// What happens to the requests to come: drawn from a deck, so that nothing stays away for long.
struct Decks {
    dice: fastrand::Rng,
    left: BTreeMap<Step, Vec<Option<Fault>>>,
}

impl Decks {
    fn draw(&mut self, step: Step) -> Option<Fault> {
        let left = self.left.entry(step).or_default();
        if left.is_empty() {
            let (faults, size) = Fault::deck(step);
            for (fault, count) in faults {
                left.extend(std::iter::repeat_n(Some(*fault), *count));
            }
            left.resize(size, None);
            self.dice.shuffle(left);
        }
        left.pop().flatten()
    }
}

/// What fails on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failing {
    /// Nothing.
    Nothing,
    /// Requests and answers, and SNS.
    Requests,
    /// These, and the ruler is killed.
    All,
}

/// The way, until it is dropped. At first nothing fails on it.
pub(super) struct Way {
    front: Front,
    state: Arc<Mutex<State>>,
}

struct State {
    decks: Decks,
    /// The process whose children run the functions.
    parent: u32,
    /// The ruler's name; none before it is deployed.
    ruler: String,
    failing: Failing,
    is_sns_down: bool,
    faults: Faults,
    published: Vec<String>,
    events: Vec<Event>,
}

impl Way {
    /// A way to the AWS at `url`, whose process is `parent`.
    pub(super) async fn start(url: &str, parent: u32, seed: u64) -> Result<Self> {
        let state = Arc::new(Mutex::new(State {
            decks: Decks {
                dice: fastrand::Rng::with_seed(seed),
                left: BTreeMap::new(),
            },
            parent,
            ruler: String::new(),
            failing: Failing::Nothing,
            is_sns_down: false,
            faults: Faults::default(),
            published: Vec::new(),
            events: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let front = Front::start(url, move |request| decide(request, &shared)).await?;
        Ok(Self { front, state })
    }

    /// Where it begins.
    pub(super) fn url(&self) -> &str {
        &self.front.url
    }

    /// Which function is the ruler.
    pub(super) fn is_of(&self, ruler: &str) {
        ruler.clone_into(&mut self.state.lock().unwrap().ruler);
    }

    /// What fails from now on.
    pub(super) fn fails(&self, failing: Failing) {
        self.state.lock().unwrap().failing = failing;
    }

    /// Whether SNS refuses everything, while requests fail and the ruler is not killed: what it
    /// refuses cannot be what the ruler is killed at.
    pub(super) fn sns_is_down(&self, is_down: bool) {
        self.state.lock().unwrap().is_sns_down = is_down;
    }

    /// What was done so far.
    pub(super) fn faults(&self) -> Faults {
        self.state.lock().unwrap().faults.clone()
    }

    /// What SNS got and who was killed, in its order.
    pub(super) fn events(&self) -> Vec<Event> {
        self.state.lock().unwrap().events.clone()
    }

    /// The forms that SNS was sent to publish, as they were sent.
    pub(super) fn published(&self) -> Vec<String> {
        self.state.lock().unwrap().published.clone()
    }
}

fn decide(request: &Request, shared: &Arc<Mutex<State>>) -> Fate {
    let body = String::from_utf8_lossy(&request.body);
    let Some(step) = step(&request.head, &body) else {
        return Fate::Pass;
    };
    let mut guard = shared.lock().unwrap();
    let state = &mut *guard;
    let sandbox = Sandbox::behind(request.peer, state.parent, &state.ruler);
    let mut fault = match step {
        _ if state.failing == Failing::Nothing => None,
        Step::Publish if state.is_sns_down && state.failing == Failing::Requests => {
            Some(Fault::Refused)
        }
        _ => state.decks.draw(step),
    };
    if sandbox.is_none() || state.failing != Failing::All {
        fault = fault.filter(|fault| !fault.kills());
    }
    let is_done = !matches!(
        fault,
        Some(Fault::Refused | Fault::Lost | Fault::KilledBefore)
    );
    if step == Step::Publish && is_done {
        let publish = Publish::read(request, sandbox);
        let publish = publish.unwrap_or_else(|error| panic!("{body}: {error:#}"));
        state.events.push(Event::Published(publish));
        state.published.push(body.into_owned());
    }
    let Some(fault) = fault else {
        if step != Step::Publish {
            return Fate::Pass;
        }
        let place = state.events.len() - 1;
        let done = Arc::clone(shared);
        return Fate::PassThen(Box::new(move || {
            if let Event::Published(publish) = &mut done.lock().unwrap().events[place] {
                publish.is_answered = true;
            }
        }));
    };
    let done = Arc::clone(shared);
    let act = move || {
        let killed = sandbox.filter(|sandbox| fault.kills() && sandbox.kill());
        if killed.is_some() || !fault.kills() {
            let mut state = done.lock().unwrap();
            *state.faults.0.entry((step, fault)).or_default() += 1;
            state.events.extend(killed.map(Event::Killed));
        }
    };
    drop(guard);
    match fault {
        Fault::AnswerLost | Fault::KilledAfter => return Fate::AnswerLost(Box::new(act)),
        _ => act(),
    }
    match fault {
        Fault::Refused => Fate::Answered((503, "text/xml", UNAVAILABLE.to_owned())),
        _ => Fate::Lost,
    }
}

const UNAVAILABLE: &str = "<ErrorResponse><Error><Type>Receiver</Type><Code>ServiceUnavailable\
    </Code><Message>As notified</Message></Error><RequestId>1</RequestId></ErrorResponse>";

/// What the ruler asks for with this request; None if it is somebody else's.
fn step(head: &str, body: &str) -> Option<Step> {
    if body.starts_with("Action=Publish&") {
        return Some(Step::Publish);
    }
    // The Slack function's items are named so.
    if body.contains("\"slack#") {
        return None;
    }
    let is = |operation: &str| {
        let target = format!("x-amz-target: DynamoDB_20120810.{operation}\r\n").to_lowercase();
        format!("{head}\r\n").to_lowercase().contains(&target)
    };
    if is("PutItem") {
        Some(Step::Commit)
    } else if is("GetItem") || is("BatchGetItem") {
        Some(Step::Load)
    } else {
        None
    }
}
