//! The routing key, which lets us in: the integration key of a service's "Events API v2"
//! integration.

use std::fmt;

use serde_json::Value;

/// A routing key. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RoutingKey(String);

impl RoutingKey {
    /// For the request only.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    /// Reads what the secret holds: the key, or JSON that has it as `routing_key` or
    /// `integration_key`.
    pub fn read(secret: &str) -> Result<Self, String> {
        let secret = secret.trim();
        let json = serde_json::from_str::<Value>(secret).ok();
        let text = match &json {
            Some(Value::Object(object)) => ["routing_key", "integration_key"]
                .iter()
                .find_map(|name| object.get(*name)?.as_str()),
            Some(Value::String(text)) => Some(text.as_str()),
            _ => Some(secret),
        };
        let text = text.unwrap_or_default().trim();
        if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Self(text.to_owned()));
        }
        Err(
            "the secret holds no routing key: it must be the 32 characters themselves or JSON \
             like {\"routing_key\": \"…\"}"
                .to_owned(),
        )
    }
}

impl fmt::Debug for RoutingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoutingKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_characters() {
        let key = "0123456789abcdefABCDEF0123456789";
        for good in [
            key.to_owned(),
            format!(" {key}\n"),
            format!("{key:?}"),
            format!(r#"{{"routing_key": "{key}"}}"#),
            format!(r#"{{"integration_key": "{key}"}}"#),
        ] {
            let read = RoutingKey::read(&good);
            assert!(!format!("{read:?}").contains(key), "{read:?}");
            assert_eq!(read.map(|key| key.0).as_deref(), Ok(key), "{good}");
        }
        for bad in ["", "CANARY", r#"{"key": "CANARY"}"#, &format!("{key}1")] {
            let error = RoutingKey::read(bad).unwrap_err();
            assert!(!error.contains("CANARY"), "{error}");
        }
    }
}
