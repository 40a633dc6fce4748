//! Being asked to stop: SIGINT (Ctrl-C), SIGTERM and SIGHUP.
//!
//! The next run is the retry, so a run that is under way need not be waited for. It gets a moment to
//! end by itself; after that the process ends, whatever it is doing: a thread of its own waits for
//! the signals, so that neither a hanging server nor an unread output can delay it.
//! The state file is replaced atomically, so an end at any moment leaves it whole.

use std::process;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How long a running evaluation may take to finish.
pub(crate) const GRACE: Duration = Duration::from_millis(1000);
/// After what time the process ends, whatever it is doing.
const LIMIT: Duration = Duration::from_millis(1500);

/// Whether the process has been asked to stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Listens from now on. `code` is what the process ends with where it must be ended.
    pub(crate) fn listen(code: u8) -> Result<Self> {
        let (asked, stop) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting the runtime for signals")?;
        let signals = {
            let _entered = runtime.enter();
            [
                listen(SignalKind::interrupt(), "Ctrl-C")?,
                listen(SignalKind::terminate(), "SIGTERM")?,
                listen(SignalKind::hangup(), "SIGHUP")?,
            ]
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                let [interrupt, terminate, hangup] = signals;
                let mut all = (interrupt, terminate, hangup);
                runtime.block_on(async {
                    any(&mut all).await;
                    asked.send_replace(true);
                    // A second one does not wait.
                    let _ = tokio::time::timeout(LIMIT, any(&mut all)).await;
                    process::exit(i32::from(code));
                });
            })
            .context("starting the thread for signals")?;
        Ok(Self(stop))
    }

    /// Waits until it has been asked.
    pub(crate) async fn asked(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            // Only the process's end takes the thread away.
            std::future::pending::<()>().await;
        }
    }
}

type Signals = (Option<Signal>, Option<Signal>, Option<Signal>);

async fn any((interrupt, terminate, hangup): &mut Signals) {
    tokio::select! {
        () = one(interrupt) => {}
        () = one(terminate) => {}
        () = one(hangup) => {}
    }
}

async fn one(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// None for one that is ignored, as `nohup` and shells have it for what runs in the background: it
/// stays so.
fn listen(kind: SignalKind, name: &str) -> Result<Option<Signal>> {
    if is_ignored(kind) {
        return Ok(None);
    }
    let listening = signal(kind).with_context(|| format!("listening for {name}"))?;
    Ok(Some(listening))
}

fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = kind.as_raw_value().saturating_sub(1).unsigned_abs();
    ignored.is_some_and(|mask| mask.checked_shr(bit).unwrap_or_default() & 1 == 1)
}
