//! Sample values in JSON, which has no NaN and no infinities: there they are texts, spelt as
//! Prometheus's HTTP API spells them.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// Writes a number, or `"NaN"`, `"+Inf"`, `"-Inf"`.
pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() {
        serializer.serialize_f64(*value)
    } else if value.is_nan() {
        serializer.serialize_str("NaN")
    } else if value.is_sign_positive() {
        serializer.serialize_str("+Inf")
    } else {
        serializer.serialize_str("-Inf")
    }
}

/// Reads what [`serialize`] writes.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct NumberOrText;

    impl Visitor<'_> for NumberOrText {
        type Value = f64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number, \"NaN\", \"+Inf\" or \"-Inf\"")
        }

        fn visit_f64<E>(self, value: f64) -> Result<f64, E> {
            Ok(value)
        }

        #[expect(clippy::cast_precision_loss, reason = "a sample value is a double")]
        fn visit_u64<E>(self, value: u64) -> Result<f64, E> {
            Ok(value as f64)
        }

        #[expect(clippy::cast_precision_loss, reason = "a sample value is a double")]
        fn visit_i64<E>(self, value: i64) -> Result<f64, E> {
            Ok(value as f64)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_any(NumberOrText)
}
