//! Which functions a template may call, with the types of their parameters.

/// A Go type that a parameter has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Param {
    /// `interface {}` or `reflect.Value`.
    Any,
    /// `string`.
    Str,
    /// `template.queryResult`.
    Vector,
    /// `*template.sample`.
    Sample,
    /// `int`.
    Int,
    /// `time.Duration`.
    Duration,
    /// `time.Time`.
    Time,
    /// `[]string`.
    Strings,
    /// `[]interface {}`.
    List,
}

/// Whose functions a template has beside Go's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Those for labels and annotations of alerts (as of Prometheus 3).
    Prometheus,
    /// Those for notifications (as of Alertmanager 0.35).
    Alertmanager,
}

impl Param {
    /// Go's name of the type.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Str => "string",
            Self::Vector => "template.queryResult",
            Self::Sample => "*template.sample",
            Self::Int => "int",
            Self::Duration => "time.Duration",
            Self::Time => "time.Time",
            Self::Strings => "[]string",
            Self::List => "[]interface {}",
        }
    }

    /// Whether nil is a value of the type.
    pub(super) fn can_be_nil(self) -> bool {
        matches!(
            self,
            Self::Any | Self::Vector | Self::Sample | Self::Strings | Self::List
        )
    }
}

/// The parameters of a function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signature {
    pub(super) fixed: &'static [Param],
    /// The type of any number of further ones.
    pub(super) variadic: Option<Param>,
}

const fn fixed(fixed: &'static [Param]) -> Signature {
    Signature {
        fixed,
        variadic: None,
    }
}

const fn variadic(fixed: &'static [Param]) -> Signature {
    Signature {
        fixed,
        variadic: Some(Param::Any),
    }
}

/// Every function: Go's own, then Prometheus's, then what Alertmanager has beyond those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Or,
    Not,
    Call,
    Html,
    Index,
    Slice,
    Js,
    Len,
    Print,
    Printf,
    Println,
    UrlQuery,
    Eq,
    Ge,
    Gt,
    Le,
    Lt,
    Ne,
    Query,
    First,
    Label,
    SampleValue,
    StrValue,
    Args,
    ReReplaceAll,
    SafeHtml,
    Match,
    Title,
    ToUpper,
    ToLower,
    GraphLink,
    TableLink,
    SortByLabel,
    StripPort,
    StripDomain,
    Humanize,
    Humanize1024,
    HumanizeDuration,
    HumanizePercentage,
    HumanizeTimestamp,
    ToTime,
    ToDuration,
    Now,
    PathPrefix,
    ExternalUrl,
    ParseDuration,
    UrlQueryEscape,
    Join,
    TrimSpace,
    StringSlice,
    Date,
    Tz,
    Since,
    /// `title` of Alertmanager, which makes what follows the first letter small.
    TitleLower,
    SafeUrl,
    UrlUnescape,
    ToJson,
    /// `now` of Alertmanager, which is a `time.Time`.
    NowTime,
    ToDate,
    MustToDate,
    AddDuration,
    Base64Encode,
    Base64Decode,
    List,
    Append,
    Dict,
    RouteLabels,
}

/// The function called `name`.
pub(super) fn find(dialect: Dialect, name: &str) -> Option<(Function, Signature)> {
    gos(name).or_else(|| match dialect {
        Dialect::Prometheus => prometheus(name),
        Dialect::Alertmanager => alertmanager(name),
    })
}

fn alertmanager(name: &str) -> Option<(Function, Signature)> {
    use Param::{Any, List, Str, Time};
    Some(match name {
        "toUpper" => (Function::ToUpper, fixed(&[Str])),
        "toLower" => (Function::ToLower, fixed(&[Str])),
        "title" => (Function::TitleLower, fixed(&[Str])),
        "trimSpace" => (Function::TrimSpace, fixed(&[Str])),
        "join" => (Function::Join, fixed(&[Str, Any])),
        "match" => (Function::Match, fixed(&[Str, Str])),
        "safeHtml" => (Function::SafeHtml, fixed(&[Str])),
        "safeUrl" => (Function::SafeUrl, fixed(&[Str])),
        "urlUnescape" => (Function::UrlUnescape, fixed(&[Str])),
        "reReplaceAll" => (Function::ReReplaceAll, fixed(&[Str, Str, Str])),
        "stringSlice" => (
            Function::StringSlice,
            Signature {
                fixed: &[],
                variadic: Some(Str),
            },
        ),
        "date" => (Function::Date, fixed(&[Str, Time])),
        "tz" => (Function::Tz, fixed(&[Str, Time])),
        "since" => (Function::Since, fixed(&[Time])),
        "humanizeDuration" => (Function::HumanizeDuration, fixed(&[Any])),
        "toJson" => (Function::ToJson, fixed(&[Any])),
        "now" => (Function::NowTime, fixed(&[])),
        "toDate" => (Function::ToDate, fixed(&[Str, Str])),
        "mustToDate" => (Function::MustToDate, fixed(&[Str, Str])),
        "addDuration" => (Function::AddDuration, fixed(&[Str, Time])),
        "base64encode" => (Function::Base64Encode, fixed(&[Str])),
        "base64decode" => (Function::Base64Decode, fixed(&[Str])),
        "list" => (Function::List, variadic(&[])),
        "append" => (Function::Append, variadic(&[List])),
        "dict" => (Function::Dict, variadic(&[])),
        "routeLabels" => (Function::RouteLabels, fixed(&[Str])),
        _ => return None,
    })
}

fn gos(name: &str) -> Option<(Function, Signature)> {
    use Param::{Any, Str};
    Some(match name {
        "and" => (Function::And, variadic(&[Any])),
        "or" => (Function::Or, variadic(&[Any])),
        "not" => (Function::Not, fixed(&[Any])),
        "call" => (Function::Call, variadic(&[Any])),
        "html" => (Function::Html, variadic(&[])),
        "index" => (Function::Index, variadic(&[Any])),
        "slice" => (Function::Slice, variadic(&[Any])),
        "js" => (Function::Js, variadic(&[])),
        "len" => (Function::Len, fixed(&[Any])),
        "print" => (Function::Print, variadic(&[])),
        "printf" => (Function::Printf, variadic(&[Str])),
        "println" => (Function::Println, variadic(&[])),
        "urlquery" => (Function::UrlQuery, variadic(&[])),
        "eq" => (Function::Eq, variadic(&[Any])),
        "ge" => (Function::Ge, fixed(&[Any, Any])),
        "gt" => (Function::Gt, fixed(&[Any, Any])),
        "le" => (Function::Le, fixed(&[Any, Any])),
        "lt" => (Function::Lt, fixed(&[Any, Any])),
        "ne" => (Function::Ne, fixed(&[Any, Any])),
        _ => return None,
    })
}

fn prometheus(name: &str) -> Option<(Function, Signature)> {
    use Param::{Any, Sample, Str, Vector};
    Some(match name {
        "query" => (Function::Query, fixed(&[Str])),
        "first" => (Function::First, fixed(&[Vector])),
        "label" => (Function::Label, fixed(&[Str, Sample])),
        "value" => (Function::SampleValue, fixed(&[Sample])),
        "strvalue" => (Function::StrValue, fixed(&[Sample])),
        "args" => (Function::Args, variadic(&[])),
        "reReplaceAll" => (Function::ReReplaceAll, fixed(&[Str, Str, Str])),
        "safeHtml" => (Function::SafeHtml, fixed(&[Str])),
        "match" => (Function::Match, fixed(&[Str, Str])),
        "title" => (Function::Title, fixed(&[Str])),
        "toUpper" => (Function::ToUpper, fixed(&[Str])),
        "toLower" => (Function::ToLower, fixed(&[Str])),
        "graphLink" => (Function::GraphLink, fixed(&[Str])),
        "tableLink" => (Function::TableLink, fixed(&[Str])),
        "sortByLabel" => (Function::SortByLabel, fixed(&[Str, Vector])),
        "stripPort" => (Function::StripPort, fixed(&[Str])),
        "stripDomain" => (Function::StripDomain, fixed(&[Str])),
        "humanize" => (Function::Humanize, fixed(&[Any])),
        "humanize1024" => (Function::Humanize1024, fixed(&[Any])),
        "humanizeDuration" => (Function::HumanizeDuration, fixed(&[Any])),
        "humanizePercentage" => (Function::HumanizePercentage, fixed(&[Any])),
        "humanizeTimestamp" => (Function::HumanizeTimestamp, fixed(&[Any])),
        "toTime" => (Function::ToTime, fixed(&[Any])),
        "toDuration" => (Function::ToDuration, fixed(&[Any])),
        "now" => (Function::Now, fixed(&[])),
        "pathPrefix" => (Function::PathPrefix, fixed(&[])),
        "externalURL" => (Function::ExternalUrl, fixed(&[])),
        "parseDuration" => (Function::ParseDuration, fixed(&[Str])),
        "urlQueryEscape" => (Function::UrlQueryEscape, fixed(&[Str])),
        _ => return None,
    })
}

/// Whether there is a function called `name`.
pub(super) fn exists(dialect: Dialect, name: &str) -> bool {
    find(dialect, name).is_some()
}
