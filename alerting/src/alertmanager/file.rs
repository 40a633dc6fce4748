//! The file as its author typed it. The fields that are read are typed; of all others the name
//! and its place are kept, so that each can be refused by name.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

/// A mapping: the fields that are read, and the names of the others.
#[derive(Debug, Default)]
pub(super) struct Mapping<T> {
    pub(super) fields: T,
    pub(super) others: Vec<Spanned<String>>,
}

/// The fields of a mapping that are read.
pub(super) trait Fields: Default {
    /// Takes the value of `key` off `map`; false, and nothing taken, if it is none of the fields.
    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
}

impl<'de, T: Fields> Deserialize<'de> for Mapping<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyByKey<T>(PhantomData<T>);

        impl<'de, T: Fields> Visitor<'de> for KeyByKey<T> {
            type Value = Mapping<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Mapping<T>, A::Error> {
                let mut read = Mapping {
                    fields: T::default(),
                    others: Vec::new(),
                };
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    if !read.fields.take(&key.value, &mut map)? {
                        map.next_value::<IgnoredAny>()?;
                        read.others.push(key);
                    }
                }
                Ok(read)
            }
        }

        deserializer.deserialize_map(KeyByKey(PhantomData))
    }
}

/// A text that may be left out.
pub(super) type Text = Option<Spanned<String>>;
/// A list of mappings of which each may be left empty.
pub(super) type List<T> = Option<Vec<Spanned<Option<Mapping<T>>>>>;

/// Declares the fields of one mapping, by their names in the file.
macro_rules! fields {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        // `match` and `continue` are words of Rust.
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name {
            $(pub(super) $field: $type,)*
        }

        impl Fields for $name {
            fn take<'de, A: MapAccess<'de>>(
                &mut self,
                key: &str,
                map: &mut A,
            ) -> Result<bool, A::Error> {
                let key = match key {
                    "match" => "match_equal",
                    "continue" => "goes_on",
                    "match_equal" | "goes_on" => return Ok(false),
                    key => key,
                };
                match key {
                    $(stringify!($field) => self.$field = map.next_value()?,)*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    };
}

/// Names and texts, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Pairs(pub(super) Vec<(Spanned<String>, Spanned<String>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairByPair;

        impl<'de> Visitor<'de> for PairByPair {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of names to texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairByPair)
    }
}

/// A list of texts.
pub(super) type Texts = Option<Vec<Spanned<String>>>;

fields! {
    /// The whole file, bare or wrapped.
    File {
        global: Option<Mapping<Global>>,
        route: Option<Mapping<Route>>,
        receivers: List<Receiver>,
        inhibit_rules: List<InhibitRule>,
        time_intervals: List<NamedIntervals>,
        mute_time_intervals: List<NamedIntervals>,
        templates: Texts,
        alertmanager_config: Text,
        template_files: Option<Spanned<Option<Pairs>>>,
    }
}

fields! {
    /// What holds for all receivers.
    Global {
        resolve_timeout: Text,
    }
}

fields! {
    /// A node of the routing tree.
    Route {
        receiver: Text,
        group_by: Option<Vec<Spanned<String>>>,
        group_wait: Text,
        group_interval: Text,
        repeat_interval: Text,
        matchers: Option<Spanned<Option<Vec<Spanned<String>>>>>,
        match_equal: Option<Spanned<Option<Pairs>>>,
        match_re: Option<Spanned<Option<Pairs>>>,
        goes_on: Option<Spanned<bool>>,
        mute_time_intervals: Option<Spanned<Option<Vec<Spanned<String>>>>>,
        active_time_intervals: Option<Spanned<Option<Vec<Spanned<String>>>>>,
        routes: List<Route>,
    }
}

fields! {
    /// A receiver.
    Receiver {
        name: Text,
        sns_configs: List<Sns>,
    }
}

fields! {
    /// One topic of a receiver.
    Sns {
        topic_arn: Text,
        send_resolved: Option<bool>,
        sigv4: Option<Mapping<SigV4>>,
        subject: Text,
        message: Text,
        attributes: Option<Pairs>,
    }
}

fields! {
    /// How requests to a topic are signed.
    SigV4 {
        region: Text,
        role_arn: Text,
        external_id: Text,
    }
}

fields! {
    /// Alerts that inhibit others.
    InhibitRule {
        source_match: Option<Pairs>,
        source_match_re: Option<Pairs>,
        source_matchers: Texts,
        target_match: Option<Pairs>,
        target_match_re: Option<Pairs>,
        target_matchers: Texts,
        equal: Texts,
    }
}

fields! {
    /// Times with a name.
    NamedIntervals {
        name: Text,
        time_intervals: List<Interval>,
    }
}

fields! {
    /// A recurring time.
    Interval {
        times: List<Times>,
        weekdays: Texts,
        days_of_month: Texts,
        months: Texts,
        years: Texts,
        location: Text,
    }
}

fields! {
    /// A time of day.
    Times {
        start_time: Text,
        end_time: Text,
    }
}
