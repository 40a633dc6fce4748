//! A write that is interrupted leaves the old document or the new one; one whose answer is lost
//! is looked up.

use alerting::timestamp::Timestamp;
use anyhow::{Context as _, Result, ensure};
use backends::state::{CommitError, StateStore as _, Version};

use super::document::{noise, storm};
use super::proxy::{Fate, Proxy};
use super::server::{Dynamo, servers, size};
use super::{WORKSPACE, chain, load};

#[tokio::test]
async fn twenty_thousand_alerts_survive_a_kill_at_every_step() -> Result<()> {
    for server in servers().await? {
        let documents =
            [1_800_000_000, 1_800_000_060].map(|at| storm(20_000, Timestamp::from_secs(at)));
        let [first, second] = documents;
        let (first, second) = (first?, second?);
        let store = server.store(WORKSPACE)?;
        store.commit(&first, None).await?;
        let items = server.items(WORKSPACE).await?;
        let stored: usize = items.iter().map(|(_, item)| size(item)).sum();
        eprintln!(
            "{}: 20,000 alerts: {} bytes, {stored} stored, {} items",
            server.name,
            first.len(),
            items.len()
        );
        ensure!(items.len() > 2, "no chunks");

        let (mut kept, mut replaced, mut finished) = (0, 0, 0);
        for step in 0.. {
            for after in [false, true] {
                let (old, version) = load(&server).await?.context("a document")?;
                let new = if old == first { &second } else { &first };
                let mut proxy = Proxy::before(&server.url).await?;
                let store = server.store_by(&proxy.url, WORKSPACE)?;
                let mut requests = 0;
                let outcome = proxy
                    .during(store.commit(new, Some(version)), async |_| {
                        requests += 1;
                        Ok(match (requests > step, after) {
                            (false, _) => Fate::Pass,
                            (true, false) => Fate::KilledBefore,
                            (true, true) => Fate::KilledAfter,
                        })
                    })
                    .await?;
                let (found, found_version) = load(&server).await?.context("a document")?;
                match outcome {
                    None if found == old => {
                        ensure!(found_version == version);
                        kept += 1;
                    }
                    None => {
                        ensure!(found == *new, "a mixture");
                        ensure!(after, "the head was not sent");
                        replaced += 1;
                    }
                    Some(outcome) => {
                        ensure!(found == *new && outcome? == found_version);
                        finished += 1;
                    }
                }
            }
            if finished > 0 {
                ensure!(kept == 2 * step - 1 && replaced == 1 && step == items.len());
                break;
            }
        }
        eprintln!(
            "{}: killed at {} moments: old {kept}, new {replaced}",
            server.name,
            kept + replaced
        );
    }
    Ok(())
}

/// What is expected of a commit whose head meets these fates, one a try.
#[derive(Debug, PartialEq)]
enum Expected {
    Committed,
    Failed(&'static str),
}

async fn check_fates(server: &Dynamo, fates: &[Fate], expected: Expected) -> Result<()> {
    let direct = server.store(WORKSPACE)?;
    let before = load(server).await?;
    let parent = before.as_ref().map(|(_, version)| *version);
    let document = noise(fastrand::u64(..), 400_000);
    let mut proxy = Proxy::before(&server.url).await?;
    let store = server.store_by(&proxy.url, WORKSPACE)?;
    let mut left = fates.iter();
    let outcome = proxy
        .during(store.commit(&document, parent), async |request| {
            let fate = request.is_commit().then(|| left.next()).flatten();
            Ok(fate.cloned().unwrap_or(Fate::Pass))
        })
        .await?
        .context("not killed")?;
    let stored = direct.load().await?;
    let what = format!("{}: {fates:?}: {outcome:?}", server.name);
    match (&outcome, &expected) {
        (Ok(version), Expected::Committed) => {
            ensure!(stored == Some((document, *version)), "{what}");
        }
        (Err(CommitError::Store(error)), Expected::Failed(why)) => {
            ensure!(chain(error).contains(why), "{what}: {}", chain(error));
        }
        _ => anyhow::bail!("{what}"),
    }
    Ok(())
}

fn said(status: u16, code: &str) -> (u16, String) {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"no"}}"#);
    (status, body)
}

#[tokio::test]
async fn a_lost_answer_is_found_out() -> Result<()> {
    let answered = |status, code| {
        let (status, body) = said(status, code);
        Fate::Answered(status, body)
    };
    let done_but = |status, code| {
        let (status, body) = said(status, code);
        Fate::DoneButAnswered(status, body)
    };
    let busy = || answered(400, "ProvisionedThroughputExceededException");
    let broken = || answered(500, "InternalServerError");
    for server in servers().await? {
        // The first write of all, and the ones after it, have different conditions.
        for _ in 0..2 {
            for (fates, expected) in [
                (vec![Fate::AnswerLost], Expected::Committed),
                (vec![Fate::Lost], Expected::Committed),
                (vec![Fate::Lost, Fate::AnswerLost], Expected::Committed),
                (
                    vec![Fate::AnswerLost, Fate::Lost, Fate::Lost],
                    Expected::Committed,
                ),
                (
                    vec![done_but(500, "InternalServerError")],
                    Expected::Committed,
                ),
                (
                    vec![done_but(503, "ServiceUnavailable"), busy(), busy()],
                    Expected::Committed,
                ),
                (vec![busy(), busy()], Expected::Committed),
                (
                    vec![busy(), busy(), busy()],
                    Expected::Failed("writing the state of ws-1d2c3b4a"),
                ),
                (
                    vec![Fate::Lost, Fate::Lost, Fate::Lost],
                    Expected::Failed("it is not known whether it worked"),
                ),
                (
                    vec![broken(), broken(), broken()],
                    Expected::Failed("it is not known whether it worked"),
                ),
                (
                    vec![answered(400, "AccessDeniedException")],
                    Expected::Failed("AccessDeniedException"),
                ),
            ] {
                check_fates(&server, &fates, expected).await?;
            }
        }
    }
    Ok(())
}

/// While a writer waits for its answer in vain, others continue.
async fn check_overtaken(
    server: &Dynamo,
    first: Fate,
    others: u64,
    is_expected: impl Fn(&Result<Version, CommitError>) -> bool,
) -> Result<()> {
    let direct = server.store(WORKSPACE)?;
    let parent = load(server).await?.map(|(_, version)| version);
    let mut proxy = Proxy::before(&server.url).await?;
    let store = server.store_by(&proxy.url, WORKSPACE)?;
    let (mut tries, mut last) = (0, parent);
    let outcome = proxy
        .during(store.commit(b"mine", parent), async |request| {
            if !request.is_commit() {
                return Ok(Fate::Pass);
            }
            tries += 1;
            if tries == 1 {
                return Ok(first.clone());
            }
            last = load(server).await?.map(|(_, version)| version);
            for other in 0..others {
                last = Some(direct.commit(&noise(other, 50), last).await?);
            }
            Ok(Fate::Pass)
        })
        .await?
        .context("not killed")?;
    ensure!(tries == 2);
    ensure!(
        is_expected(&outcome),
        "{}: {first:?}, then {others} others: {outcome:?}",
        server.name
    );
    ensure!(load(server).await?.map(|(_, version)| version) == last);
    Ok(())
}

#[tokio::test]
async fn who_was_overtaken_claims_no_success() -> Result<()> {
    let is_conflict = |outcome: &_| matches!(outcome, Err(CommitError::Conflict));
    let is_in_doubt = |outcome: &_| matches!(outcome, Err(CommitError::Store(_)));
    for server in servers().await? {
        server.store(WORKSPACE)?.commit(b"first", None).await?;
        // Not done, and another took the version.
        check_overtaken(&server, Fate::Lost, 1, is_conflict).await?;
        // The writer of that version is no longer known.
        check_overtaken(&server, Fate::Lost, 2, is_in_doubt).await?;
        check_overtaken(&server, Fate::AnswerLost, 1, is_in_doubt).await?;
    }
    Ok(())
}
