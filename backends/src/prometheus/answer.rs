//! What a 200 holds: an answer to the question that was asked, or a reason not to believe it.
//!
//! **Partial answers.** Prometheus, Thanos and Cortex answer with what they have and a line in
//! `warnings` when a part of the storage failed (Prometheus: a remote-read endpoint; Thanos: a
//! store; Cortex: "Query result may contain partial data."); VictoriaMetrics sets `isPartial`.
//! Series are then missing that exist, so such an answer is a failure. The engine's own remarks on
//! the expression come in the same list from newer versions; they begin with "PromQL warning: "
//! or "PromQL info: " and hold back no series: they are not failures. Where a server left out
//! warnings ("5 more warning annotations omitted"), the storage's may be among those.
//!
//! **Moments.** Every sample must lie on a moment that was asked for. Query frontends can be set to
//! move `start` and `end` to multiples of the step (Cortex's `align_queries_with_step`);
//! taken for an answer, each tick would look as if its series had gone. Instants are not moved, so
//! a range answered so is refused, and asked one by one.

use std::sync::Arc;

use alerting::labels::Labels;
use alerting::query::{Answer, Ask, At, QueryFailure, ResultType, Sample, Series};
use alerting::server::ServerTrouble;
use alerting::timestamp::Timestamp;
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::failure::Failure;
use super::json::{self, Reader};
use super::refusal::{self, ErrorBody};
use super::series::{self, Found, Outcome, Shape};
use crate::line::one_line;

/// The most characters of what a server or the JSON parser says.
const MAX_WORDS: usize = 300;

/// The answer as a whole. What is not named here is skipped, and a key that comes twice is an
/// error.
struct Envelope {
    status: String,
    data: Option<Data>,
    warnings: Option<Vec<String>>,
    is_partial: Option<bool>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum EnvelopeKey {
    Status,
    Data,
    Warnings,
    IsPartial,
    #[serde(other)]
    Other,
}

impl Envelope {
    fn read(text: &str) -> Result<Self, json::Error> {
        let (mut status, mut data) = (None, None);
        let (mut warnings, mut is_partial) = (None, None);
        let mut json = Reader::new(text);
        json.object(|json, key| {
            match key {
                EnvelopeKey::Status => json.fill(&mut status)?,
                EnvelopeKey::Data => {
                    let found = Data::read(json)?;
                    json.set(&mut data, found)?;
                }
                EnvelopeKey::Warnings => json.fill(&mut warnings)?,
                EnvelopeKey::IsPartial => json.fill(&mut is_partial)?,
                EnvelopeKey::Other => {
                    json.value::<IgnoredAny>()?;
                }
            }
            Ok(())
        })?;
        let envelope = Self {
            status: status.ok_or_else(|| json.error("missing field `status`"))?,
            data: data.flatten(),
            warnings: warnings.flatten(),
            is_partial: is_partial.flatten(),
        };
        json.end()?;
        Ok(envelope)
    }
}

struct Data {
    result_type: String,
    result: Outcome,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum DataKey {
    ResultType,
    Result,
    #[serde(other)]
    Other,
}

impl Data {
    /// None where it is `null`.
    fn read(json: &mut Reader<'_>) -> Result<Option<Self>, json::Error> {
        if json.peek() == Some(b'n') {
            return json.value::<()>().map(|()| None);
        }
        let (mut result_type, mut result) = (None, None);
        json.object(|json, key| {
            match key {
                DataKey::ResultType => json.fill(&mut result_type)?,
                DataKey::Result => {
                    let found = Outcome::read(json)?;
                    json.set(&mut result, found)?;
                }
                DataKey::Other => {
                    json.value::<IgnoredAny>()?;
                }
            }
            Ok(())
        })?;
        Ok(Some(Self {
            result_type: result_type.ok_or_else(|| json.error("missing field `resultType`"))?,
            result: result.ok_or_else(|| json.error("missing field `result`"))?,
        }))
    }
}

/// Reads `body` as what a server answered to `ask` with a 200, as
/// [`Client::query`](super::Client::query) does: the JSON of `/api/v1/query`, or of
/// `/api/v1/query_range` where a range is asked for.
///
/// # Errors
/// Where it is cut short, unreadable, partial, an error, of another type, or about other moments.
pub fn read_answer(body: &[u8], ask: &Ask) -> Result<Answer, QueryFailure> {
    read(body, ask, &[]).map_err(|failure| QueryFailure {
        kind: failure.kind,
        server: None,
        message: failure.message,
    })
}

/// The same; `secrets` are in no failure's text.
pub(super) fn read(body: &[u8], ask: &Ask, secrets: &[String]) -> Result<Answer, Failure> {
    // As a whole and first: skipped text is not checked later.
    let text = std::str::from_utf8(body)
        .map_err(|error| Failure::passing(format!("the answer is not readable: {error}")))?;
    let envelope = match Envelope::read(text) {
        Ok(envelope) => envelope,
        Err(error) => {
            if ErrorBody::read(body).is_prometheus() {
                return Err(refusal::failure(StatusCode::OK, body, secrets));
            }
            if refusal::is_web_page(body) {
                return Err(Failure::lasting(
                    "the answer is a web page: check the URL, which is what stands before \
                     /api/v1/query",
                )
                .of_server(ServerTrouble::NotAnApi));
            }
            let error = one_line(&error.to_string(), secrets, MAX_WORDS);
            return Err(
                Failure::passing(format!("the answer is not readable: {error}"))
                    .perhaps(ServerTrouble::NotAnApi),
            );
        }
    };
    match envelope.status.as_str() {
        "success" => {}
        "error" => return Err(refusal::failure(StatusCode::OK, body, secrets)),
        other => {
            let other = one_line(other, secrets, 40);
            return Err(Failure::passing(format!(
                "the answer has the status {other:?}"
            )));
        }
    }
    if let Some(reason) = partial(&envelope, secrets) {
        return Err(reason);
    }
    let data = envelope
        .data
        .ok_or_else(|| Failure::passing("the answer has no `data`"))?;
    let answer = typed(data, ask, secrets)?;
    on_the_moments(&answer, ask)?;
    Ok(answer)
}

/// How many samples the server says that it read (`totalQueryableSamples` of `stats=all`); what
/// AMP bills queries by.
pub(super) fn cost(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Answered {
        data: With,
    }
    #[derive(Deserialize)]
    struct With {
        stats: Stats,
    }
    #[derive(Deserialize)]
    struct Stats {
        samples: Samples,
    }
    #[derive(Deserialize)]
    struct Samples {
        #[serde(rename = "totalQueryableSamples")]
        total: u64,
    }
    let answered: Answered = serde_json::from_slice(body).ok()?;
    Some(answered.data.stats.samples.total)
}

/// The failure that a partial answer is.
fn partial(envelope: &Envelope, secrets: &[String]) -> Option<Failure> {
    if envelope.is_partial == Some(true) {
        return Some(Failure::passing("the answer is partial (isPartial)"));
    }
    let warnings = envelope.warnings.as_deref().unwrap_or_default();
    let storage = warnings
        .iter()
        .find(|warning| !is_the_engines(warning))
        .map(|warning| one_line(warning, secrets, MAX_WORDS))?;
    if is_omission(&storage) {
        return Some(Failure::lasting(format!(
            "the answer may be partial: {storage}, and a storage's may be among them; fix the expression, so that Prometheus returns fewer warnings: {}",
            one_line(
                warnings.first().map_or("", String::as_str),
                secrets,
                MAX_WORDS
            )
        )));
    }
    Some(Failure::passing(format!(
        "the answer is partial: {storage}"
    )))
}

/// Whether a warning is a remark on the expression (`util/annotations` in Prometheus).
fn is_the_engines(warning: &str) -> bool {
    warning.starts_with("PromQL warning: ") || warning.starts_with("PromQL info: ")
}

/// Whether it says that there are more: "5 more warning annotations omitted".
fn is_omission(warning: &str) -> bool {
    warning.starts_with(|c: char| c.is_ascii_digit()) && warning.ends_with("omitted")
}

/// The answer, if its type is one that `ask` can have, and its series are of that type.
fn typed(data: Data, ask: &Ask, secrets: &[String]) -> Result<Answer, Failure> {
    let kind = data.result_type.as_str();
    let instant = matches!(ask.at, At::Instant(_));
    match (kind, data.result) {
        ("vector", Outcome::Series(all)) if instant => shaped(all, Shape::One, ResultType::Vector),
        ("matrix", Outcome::Series(all)) if !instant => {
            shaped(all, Shape::Many, ResultType::Matrix)
        }
        ("scalar", Outcome::Pair(at, text)) if instant => {
            let value = series::value(&text).ok_or_else(|| {
                let text = one_line(&text, secrets, 40);
                Failure::passing(format!("the answer is not readable: the scalar {text:?}"))
            })?;
            let series = Series {
                labels: Labels::default(),
                samples: vec![Sample { at, value }],
            };
            Ok(Answer::new(ResultType::Scalar, vec![series]))
        }
        ("matrix" | "string", _) if instant => Err(Failure::refused(format!(
            "the expression's value is a {kind}: an alert needs an instant vector or a scalar"
        ))),
        _ => Err(Failure::lasting(format!(
            "the answer is not what was asked for: its resultType is {:?}",
            one_line(kind, secrets, 40)
        ))),
    }
}

/// The answer, if all series are written as `shape`.
fn shaped(all: Vec<Found>, shape: Shape, result_type: ResultType) -> Result<Answer, Failure> {
    if all.iter().any(|found| found.shape != shape) {
        return Err(Failure::lasting(
            "the answer is not readable: its series are not of its resultType",
        ));
    }
    let mut answer = Answer::new(result_type, Vec::with_capacity(all.len()));
    for found in all {
        if !found.histograms.is_empty() {
            let histograms = found.histograms.into_iter();
            let histograms = histograms.map(|(at, histogram)| (at, Arc::new(histogram)));
            let of_series = answer.histograms.entry(found.series.labels.clone());
            of_series.or_default().extend(histograms);
        }
        answer.series.push(found.series);
    }
    Ok(answer)
}

/// Fails if a sample is of a moment that was not asked for.
fn on_the_moments(answer: &Answer, ask: &Ask) -> Result<(), Failure> {
    let mut moments = answer
        .series
        .iter()
        .flat_map(|series| series.samples.iter())
        .map(|sample| sample.at);
    match ask.at {
        At::Instant(asked) => match moments.find(|at| *at != asked) {
            Some(at) => Err(Failure::lasting(format!(
                "the answer is about another moment: {at} where {asked} was asked for"
            ))),
            None => Ok(()),
        },
        At::Range { start, end, step } => {
            // In 64 bits: there may be millions of samples, and dividing 128 takes its time.
            let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
            let asked = |at: Timestamp| {
                let since = at.as_millis().saturating_sub(start.as_millis());
                (start..=end).contains(&at) && since % step == 0
            };
            match moments.find(|at| !asked(*at)) {
                Some(at) => Err(Failure::refused(format!(
                    "the answer is about other moments: {at} was not asked for (does a query \
                     frontend align queries with their step?)"
                ))),
                None => Ok(()),
            }
        }
    }
}
