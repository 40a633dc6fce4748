//! The time that an AWS service says: the `Date` of its answers.

use std::fmt;
use std::sync::Arc;

use alerting::timestamp::Timestamp;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Layer, Storable, StoreReplace};
use reqwest::header::{AGE, DATE, HeaderMap, HeaderValue};

use crate::clock::{Clock, SystemClock};
use crate::server_time::{LastAnswer, ServerTime};

/// Keeps the time of each answer of a client that it is given to, a refusal's too: with a clock that
/// is far off, a refused signature is all that there is.
#[derive(Clone)]
pub struct WatchTime {
    last: LastAnswer,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl fmt::Debug for WatchTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchTime").finish_non_exhaustive()
    }
}

impl Default for WatchTime {
    fn default() -> Self {
        Self::new(|| SystemClock.now())
    }
}

/// When a request was sent.
#[derive(Debug)]
struct AskedAt(Timestamp);

impl Storable for AskedAt {
    type Storer = StoreReplace<Self>;
}

impl WatchTime {
    /// Compares with that clock, this host's.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            last: LastAnswer::default(),
            now: Arc::new(now),
        }
    }

    /// The last answer's time since it was last taken.
    pub fn take(&self) -> Option<ServerTime> {
        self.last.take()
    }
}

impl Intercept for WatchTime {
    fn name(&self) -> &'static str {
        "WatchTime"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut layer = Layer::new("WatchTime");
        layer.store_put(AskedAt((self.now)()));
        config.push_layer(layer);
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(AskedAt(asked_at)) = config.load::<AskedAt>() else {
            return Ok(());
        };
        let mut headers = HeaderMap::new();
        for name in [DATE, AGE] {
            for value in context.response().headers().get_all(name.as_str()) {
                if let Ok(value) = HeaderValue::from_str(value) {
                    headers.append(&name, value);
                }
            }
        }
        let time = ServerTime::from_headers(&headers, *asked_at, (self.now)());
        self.last.note(time);
        Ok(())
    }
}
