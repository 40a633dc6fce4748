//! The runs that the test begins beside the schedule's.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::local_aws::Invoked;
use super::world::World;

/// What became of the invocations that the test made beside the schedule's.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// That began while another one was under way.
    pub(super) doubled: usize,
    /// That came second, so that the work was another's.
    pub(super) lost_races: usize,
    /// That did their work.
    pub(super) done: usize,
    /// Whose process was gone before the answer: Lambda's word for it is `Runtime.ExitError`.
    pub(super) died: usize,
    /// That failed otherwise.
    pub(super) failed: usize,
    /// Whose rules could not be evaluated, with the backend away.
    pub(super) blind: usize,
    /// The names of those that answered.
    pub(super) names: BTreeSet<String>,
    under_way: usize,
    is_enough: bool,
}

impl Runs {
    /// Takes what became of one. The error is a failure that nothing explains.
    fn end(&mut self, invoked: Invoked) -> Result<()> {
        self.under_way -= 1;
        match invoked {
            Invoked::Answered(answer) => return self.answered(&answer),
            Invoked::Failed(kind, _) if kind == "Runtime.ExitError" => self.died += 1,
            // Requests for the state that were lost.
            Invoked::Failed(kind, _) if kind == "StateStore" => self.failed += 1,
            // Nothing that was due could be evaluated, with the backend away.
            Invoked::Failed(kind, _) if kind == "Queries" => self.blind += 1,
            Invoked::Failed(kind, error) => bail!("{kind}: {error}"),
        }
        Ok(())
    }

    fn answered(&mut self, answer: &Value) -> Result<()> {
        let run = answer["run"].as_str().context("a run")?;
        self.names.insert(run.to_owned());
        if answer["lost_race"] == true {
            self.lost_races += 1;
        } else {
            self.done += 1;
            self.blind += usize::from(answer["rules_behind"].as_u64() > Some(0));
        }
        Ok(())
    }
}

impl World {
    /// Invokes the ruler once a second until it is enough, beside the schedule and any other caller
    /// does so: each time as much later than the others as a run takes, or less.
    pub(super) async fn invoke(&self, seed: u64) -> Result<()> {
        let mut dice = fastrand::Rng::with_seed(seed);
        while !self.runs.borrow().is_enough {
            next_second().await;
            tokio::time::sleep(Duration::from_millis(dice.u64(0..60))).await;
            {
                let mut runs = self.runs.borrow_mut();
                runs.doubled += usize::from(runs.under_way > 0);
                runs.under_way += 1;
            }
            let invoked = self.aws.invoke(&self.ruler).await?;
            self.runs.borrow_mut().end(invoked)?;
            self.look().await?;
        }
        Ok(())
    }

    /// From now on only the schedule invokes the ruler.
    pub(super) fn is_enough(&self) {
        self.runs.borrow_mut().is_enough = true;
    }
}

/// Waits for the next tick of a rule.
pub(super) async fn next_second() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    tokio::time::sleep(Duration::from_millis(1001 - u64::from(now.subsec_millis()))).await;
}
