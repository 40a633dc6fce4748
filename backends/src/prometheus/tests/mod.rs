//! The client against servers on loopback, and its reading of answers against a naive one.

mod attempts;
mod credentials;
mod cut;
#[path = "../../../fuzz/naive.rs"]
mod naive;
mod reading;
mod refusals;
mod server;
mod tls;

use std::time::Duration;

use alerting::query::{Ask, At};
use alerting::timestamp::Timestamp;
use tokio::time::Instant;

use super::{Backoff, Client, ClientOptions};

/// The moment that most tests ask about.
const AT: Timestamp = Timestamp::from_secs(1_700_000_000);

/// An instant query at [`AT`].
fn instant() -> Ask {
    Ask {
        expr: "up == 0".to_owned(),
        at: At::Instant(AT),
    }
}

/// A range query of five moments, the last of them [`AT`].
fn range() -> Ask {
    Ask {
        expr: "up == 0".to_owned(),
        at: At::Range {
            start: AT.minus(Duration::from_secs(60)),
            end: AT,
            step: Duration::from_secs(15),
        },
    }
}

/// Options whose back-off takes no time.
fn options(url: &str) -> ClientOptions {
    ClientOptions {
        backoff: Backoff {
            initial: Duration::from_millis(2),
            max: Duration::from_millis(2),
            attempts: 3,
        },
        ..ClientOptions::new(url)
    }
}

fn client(url: &str) -> Client {
    Client::new(http(), options(url)).unwrap()
}

/// A deadline that is never met.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

fn http() -> reqwest::Client {
    crate::http::client(&crate::http::HttpOptions::default()).unwrap()
}
