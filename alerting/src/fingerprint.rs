//! Hashes that are stored or shown: FNV-1a, fixed for ever.
//!
//! A label set's fingerprint is the one that Prometheus and Alertmanager show
//! (`LabelSet.Fingerprint` in prometheus/common, `model/labelset.go`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const OFFSET_64: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME_64: u64 = 0x0000_0100_0000_01b3;
const OFFSET_128: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME_128: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// FNV-1a over 64 bits of sorted label pairs, shown as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of label pairs that come sorted by name.
    pub fn of<'a>(sorted_pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hash = OFFSET_64;
        let mut add = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME_64);
            }
        };
        for (name, value) in sorted_pairs {
            add(name.as_bytes());
            add(&[0xff]);
            add(value.as_bytes());
            add(&[0xff]);
        }
        Self(hash)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// FNV-1a over 128 bits of `parts`, as 32 hexadecimal digits; wide enough to name things by.
///
/// Each part is closed by a byte that UTF-8 text cannot hold, so that `["ab", "c"]` and
/// `["a", "bc"]` differ.
pub fn hash_128(parts: &[&str]) -> String {
    let mut hash = OFFSET_128;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u128::from(byte)).wrapping_mul(PRIME_128);
        }
    }
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_set_has_the_fingerprint_that_alertmanager_shows() {
        assert_eq!(Fingerprint::of([]).to_string(), "cbf29ce484222325");
        // The webhook body of an Alertmanager 0.25 for {alertname="X"}.
        let one = Fingerprint::of([("alertname", "X")]);
        assert_eq!(one.to_string().parse(), Ok(one));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(hash_128(&["ab", "c"]), hash_128(&["a", "bc"]));
        assert_eq!(hash_128(&[]), "6c62272e07bb014262b821756295c58d");
    }
}
