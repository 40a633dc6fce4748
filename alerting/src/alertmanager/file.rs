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
                match key {
                    $(stringify!($field) => self.$field = map.next_value()?,)*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    };
}

fields! {
    /// The whole file, bare or wrapped.
    File {
        route: Option<Mapping<Route>>,
        receivers: List<Receiver>,
        alertmanager_config: Text,
        template_files: Option<Spanned<IgnoredAny>>,
    }
}

fields! {
    /// The root route.
    Route {
        receiver: Text,
        group_by: Option<Vec<Spanned<String>>>,
        group_wait: Text,
        group_interval: Text,
        repeat_interval: Text,
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
    }
}

fields! {
    /// How requests to a topic are signed.
    SigV4 {
        region: Text,
    }
}
