//! One collection serves all scrapes that are waiting.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::watch;

use crate::collector::Collector;
use crate::ethtool::Ethtool;
use crate::page::Snapshot;

/// A collection answers scrapes that come within this time of its end. So drivers, some of which
/// ask the device each time, are asked at most so often, whatever the number of scrapers.
pub const REUSED_FOR: Duration = Duration::from_millis(500);

/// Where scrapes ask for a collection. The collector has a thread of its own: a driver may take
/// its time, while connections and probes are served.
#[derive(Debug, Clone)]
pub struct Scrapes {
    wake: SyncSender<()>,
    newest: watch::Receiver<Option<Arc<Snapshot>>>,
}

impl Scrapes {
    /// Starts the collector's thread, which ends with the last of these.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start<E: Ethtool + Send + 'static>(collector: Collector<E>) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let (publish, newest) = watch::channel(None);
        std::thread::Builder::new()
            .name("collector".to_owned())
            .stack_size(256 << 10)
            .spawn(move || collect(collector, &woken, &publish))?;
        Ok(Self { wake, newest })
    }

    /// A collection that is new enough: the one in hand if there is one, else the next.
    /// `None` where the collector's thread has ended.
    pub async fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let mut newest = self.newest.clone();
        // Marked as seen before it is read, so that none is missed.
        if let Some(fresh) = newest
            .borrow_and_update()
            .as_ref()
            .filter(|it| is_fresh(it))
        {
            return Some(Arc::clone(fresh));
        }
        // Where the thread is awake already, its result will do.
        let _ = self.wake.try_send(());
        newest.changed().await.ok()?;
        newest.borrow().clone()
    }

    /// Why the last collection failed, or that none has run yet; `None` if it succeeded.
    pub fn last_failure(&self) -> Option<String> {
        match &*self.newest.borrow() {
            Some(snapshot) => snapshot.failure().map(str::to_owned),
            None => Some("nothing was collected yet".to_owned()),
        }
    }
}

fn is_fresh(snapshot: &Snapshot) -> bool {
    snapshot.taken.elapsed() < REUSED_FOR
}

fn collect<E: Ethtool>(
    mut collector: Collector<E>,
    woken: &Receiver<()>,
    publish: &watch::Sender<Option<Arc<Snapshot>>>,
) {
    for () in woken {
        // Woken by a scrape that came while a collection was being made, and was served by it.
        if publish.borrow().as_ref().is_some_and(|it| is_fresh(it)) {
            continue;
        }
        let collection = collector.collect();
        let collection =
            collection.map_err(|error| format!("cannot list the network devices: {error}"));
        publish.send_replace(Some(Arc::new(Snapshot::new(collection))));
    }
}
