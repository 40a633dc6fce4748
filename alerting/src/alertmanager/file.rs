//! The file as its author typed it. The fields that are read are typed; of all others the name
//! and its place are kept, so that each can be refused by name.
//!
//! Merge keys (`<<`) mean what they mean to Alertmanager's reader (go.yaml.in/yaml/v2): they are
//! read where they stand, into the same fields. What follows takes the place of what is there,
//! but matchers are added to it, and so are the entries of `match`, `match_re`, `labels` and
//! `attributes`.

use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
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
    /// Takes the value of `key` off `map`; false, and nothing taken, if the key is unknown.
    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// The key whose value is read as if it stood in its place.
const MERGE_KEY: &str = "<<";

/// What a mapping is read into, key by key, and what is merged into it.
trait Filled<'de> {
    /// What is expected where there is something else.
    const EXPECTED: &'static str;

    /// Takes the value of `key` off `map`.
    fn entry<A: MapAccess<'de>>(
        &mut self,
        key: Spanned<String>,
        map: &mut A,
    ) -> Result<(), A::Error>;
}

/// Reads a mapping into what may hold something already.
struct Fill<'a, F> {
    into: &'a mut F,
    is_merged: bool,
}

impl<'de, F: Filled<'de>> DeserializeSeed<'de> for Fill<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.is_merged {
            deserializer.deserialize_any(self)
        } else {
            deserializer.deserialize_map(self)
        }
    }
}

impl<'de, F: Filled<'de>> Visitor<'de> for Fill<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_merged {
            "a mapping behind `<<`"
        } else {
            F::EXPECTED
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            if key.value == MERGE_KEY {
                map.next_value_seed(Fill {
                    into: &mut *self.into,
                    is_merged: true,
                })?;
            } else {
                self.into.entry(key, &mut map)?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut merged: A) -> Result<(), A::Error> {
        if !self.is_merged {
            return Err(A::Error::custom("expected a mapping, not a list"));
        }
        let one = Fill {
            into: &mut *self.into,
            is_merged: true,
        };
        merged.next_element_seed(one)?;
        match merged.next_element::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom(
                "a list of several mappings behind `<<` is not supported: merge one, and write \
                 the rest out",
            )),
        }
    }
}

impl<'de, T: Fields> Filled<'de> for Mapping<T> {
    const EXPECTED: &'static str = "a mapping";

    fn entry<A: MapAccess<'de>>(
        &mut self,
        key: Spanned<String>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if !self.fields.take(&key.value, map)? {
            map.next_value::<IgnoredAny>()?;
            self.others.push(key);
        }
        Ok(())
    }
}

impl<'de, T: Fields> Deserialize<'de> for Mapping<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut read = Self {
            fields: T::default(),
            others: Vec::new(),
        };
        Fill {
            into: &mut read,
            is_merged: false,
        }
        .deserialize(deserializer)?;
        Ok(read)
    }
}

/// A text that may be left out.
pub(super) type Text = Option<Spanned<String>>;
/// A list of mappings of which each may be left empty.
pub(super) type List<T> = Option<Vec<Spanned<Option<Mapping<T>>>>>;

/// Declares the fields of one mapping, by their names in the file.
macro_rules! fields {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty $(=> $how:ident)?,)* }) => {
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
                    "continue" => "continue_matching",
                    "match_equal" | "continue_matching" => return Ok(false),
                    key => key,
                };
                match key {
                    $(stringify!($field) => {
                        fields!(@set self.$field, map.next_value()? $(, $how)?);
                    })*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    };
    (@set $field:expr, $value:expr) => { $field = $value; };
    (@set $field:expr, $value:expr, $how:ident) => {{
        let later = $value;
        $how(&mut $field, later).map_err(A::Error::custom)?;
    }};
}

/// A field that holds a list, a map or a whole: how what is read adds to what a merge key brought.
trait Joined: Sized {
    /// Adds `later`.
    fn join(&mut self, later: Self) -> Result<(), String>;
}

impl<T> Joined for Vec<T> {
    fn join(&mut self, later: Self) -> Result<(), String> {
        self.extend(later);
        Ok(())
    }
}

impl Joined for Pairs {
    fn join(&mut self, later: Self) -> Result<(), String> {
        for (name, value) in later.0 {
            self.add(name, value)?;
        }
        Ok(())
    }
}

impl<T: Joined> Joined for Option<T> {
    fn join(&mut self, later: Self) -> Result<(), String> {
        match (self.as_mut(), later) {
            (Some(known), Some(later)) => known.join(later),
            (_, later) => {
                *self = later;
                Ok(())
            }
        }
    }
}

impl<T: Joined> Joined for Spanned<T> {
    fn join(&mut self, later: Self) -> Result<(), String> {
        self.value.join(later.value)
    }
}

fn add<T: Joined>(known: &mut T, later: T) -> Result<(), String> {
    known.join(later)
}

/// Alertmanager would read the one into the other, field by field.
fn once<T>(known: &mut Option<T>, later: Option<T>) -> Result<(), String> {
    if known.is_some() && later.is_some() {
        return Err(
            "a merge key sets the route that is set beside it: write it in one place".into(),
        );
    }
    *known = later;
    Ok(())
}

/// Names and texts, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Pairs(pub(super) Vec<(Spanned<String>, Spanned<String>)>);

impl Pairs {
    fn add(&mut self, name: Spanned<String>, value: Spanned<String>) -> Result<(), String> {
        if self.0.iter().any(|(known, _)| known.value == name.value) {
            return Err(format!("`{}` is set twice", name.value));
        }
        self.0.push((name, value));
        Ok(())
    }
}

impl<'de> Filled<'de> for Pairs {
    const EXPECTED: &'static str = "a mapping of names to texts";

    fn entry<A: MapAccess<'de>>(
        &mut self,
        name: Spanned<String>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        self.add(name, map.next_value()?).map_err(A::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut pairs = Self::default();
        Fill {
            into: &mut pairs,
            is_merged: false,
        }
        .deserialize(deserializer)?;
        Ok(pairs)
    }
}

/// Any YAML, kept without its texts, which may be secrets.
#[derive(Debug)]
pub(super) enum Shape {
    /// Nothing, or an empty text.
    Empty,
    /// A text or a number.
    Scalar,
    /// A list.
    List(Vec<Self>),
    /// A mapping.
    Mapping(Vec<(String, Self)>),
}

impl Shape {
    /// The value of a key of a mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Mapping(entries) => {
                let mut entries = entries.iter();
                entries.find(|(name, _)| name == key).map(|(_, it)| it)
            }
            _ => None,
        }
    }

    /// Whether there is anything.
    pub(super) fn is_set(&self) -> bool {
        match self {
            Self::Empty => false,
            Self::Scalar => true,
            Self::List(list) => !list.is_empty(),
            Self::Mapping(entries) => !entries.is_empty(),
        }
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Looked;

        impl<'de> Visitor<'de> for Looked {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_unit<E>(self) -> Result<Shape, E> {
                Ok(Shape::Empty)
            }

            fn visit_none<E>(self) -> Result<Shape, E> {
                Ok(Shape::Empty)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
                Ok(Shape::Scalar)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
                Ok(Shape::Scalar)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
                Ok(Shape::Scalar)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
                Ok(Shape::Scalar)
            }

            fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
                Ok(if text.is_empty() {
                    Shape::Empty
                } else {
                    Shape::Scalar
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
                let mut shapes = Vec::new();
                while let Some(shape) = list.next_element()? {
                    shapes.push(shape);
                }
                Ok(Shape::List(shapes))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Shape::Mapping(entries))
            }
        }

        deserializer.deserialize_any(Looked)
    }
}

/// A list of texts.
pub(super) type Texts = Option<Vec<Spanned<String>>>;

fields! {
    /// The whole file, bare or wrapped.
    File {
        global: Option<Mapping<Global>>,
        route: Option<Mapping<Route>> => once,
        receivers: List<Receiver>,
        inhibit_rules: List<InhibitRule>,
        time_intervals: List<NamedIntervals>,
        mute_time_intervals: List<NamedIntervals>,
        templates: Texts,
        alertmanager_config: Text,
        template_files: Option<Spanned<Option<Pairs>>>,
        tracing: Option<Spanned<Option<Mapping<Tracing>>>>,
        event_recorder: Option<Spanned<Option<Mapping<EventRecorder>>>>,
    }
}

fields! {
    /// What holds for all receivers.
    Global {
        resolve_timeout: Text,
    }
}

fields! {
    /// Where Alertmanager sends its traces.
    Tracing {
        client_type: Text,
        endpoint: Text,
        compression: Text,
        timeout: Text,
    }
}

fields! {
    /// Where Alertmanager writes what happened in it.
    EventRecorder {
        file_outputs: List<EventOutput>,
        webhook_outputs: List<EventOutput>,
        kafka_outputs: List<EventOutput>,
        stdout_outputs: List<EventOutput>,
    }
}

fields! {
    /// One place that events are written to.
    EventOutput {
        name: Text,
        path: Text,
        url: Text,
        topic: Text,
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
        matchers: Option<Spanned<Option<Vec<Spanned<String>>>>> => add,
        match_equal: Option<Spanned<Option<Pairs>>> => add,
        match_re: Option<Spanned<Option<Pairs>>> => add,
        continue_matching: Option<Spanned<bool>>,
        mute_time_intervals: Option<Spanned<Option<Vec<Spanned<String>>>>>,
        active_time_intervals: Option<Spanned<Option<Vec<Spanned<String>>>>>,
        routes: List<Route>,
        labels: Option<Pairs> => add,
    }
}

fields! {
    /// A receiver.
    Receiver {
        name: Text,
        labels: Option<Pairs> => add,
        sns_configs: List<Sns>,
        pagerduty_configs: Option<Spanned<Shape>>,
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
        attributes: Option<Pairs> => add,
        use_aws_http_client: Option<Spanned<bool>>,
    }
}

fields! {
    /// How requests to a topic are signed.
    SigV4 {
        region: Text,
        role_arn: Text,
        external_id: Text,
        session_name: Text,
        service_name: Text,
        tags: Option<Pairs> => add,
    }
}

fields! {
    /// Alerts that inhibit others.
    InhibitRule {
        name: Text,
        source_match: Option<Pairs> => add,
        source_match_re: Option<Pairs> => add,
        source_matchers: Texts => add,
        target_match: Option<Pairs> => add,
        target_match_re: Option<Pairs> => add,
        target_matchers: Texts => add,
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
