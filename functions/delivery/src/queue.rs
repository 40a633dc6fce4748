//! When a record that was not posted is received again.

use std::time::Duration;

use aws_sdk_sqs::Client;

use crate::aws_error::why;

const SHORTEST_S: u64 = 15;
const LONGEST_S: u64 = 900;

/// The queue that the records come from.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// The queue of a URL.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Lets a received message come again after `wait` (at most 12 hours), whatever the queue's
    /// own time-out is. The error says why not.
    pub async fn put_off(&self, receipt_handle: &str, wait: Duration) -> Result<(), String> {
        let request = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(wait.as_secs()).unwrap_or(43_200).min(43_200));
        request
            .send()
            .await
            .map(|_| ())
            .map_err(|error| why(&error))
    }
}

/// How long to wait after the `received`th try: 15 s, doubled each time, at most 15 minutes.
pub fn back_off(received: u32) -> Duration {
    let doublings = received.saturating_sub(1).min(16);
    Duration::from_secs((SHORTEST_S << doublings).min(LONGEST_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time() {
        let waits = [0, 1, 2, 3, 6, 7, 8, u32::MAX].map(|n| back_off(n).as_secs());
        assert_eq!(waits, [15, 15, 30, 60, 480, 900, 900, 900]);
    }
}
