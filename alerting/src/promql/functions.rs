//! The functions of PromQL: what they take and give.
//!
//! From the table in Prometheus's `promql/parser/functions.go`, 2.42 to 3.16, those behind the
//! experimental flag among them.

use super::tree::Type;

/// One function.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// One letter an argument (`s`calar, `v`ector, `m`atrix, `t`ext); `?` after a letter: may
    /// be left out; `*`: may be left out or repeated.
    takes: &'static str,
    pub(crate) gives: Type,
}

impl Function {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        FUNCTIONS.iter().find(|function| function.name == name)
    }

    /// How many arguments it needs, and how many it takes where there is a limit.
    pub(super) fn arity(&self) -> (usize, Option<usize>) {
        let letters = self.takes.chars().filter(char::is_ascii_alphabetic).count();
        let optional = self.takes.len() - letters;
        let limit = (!self.takes.ends_with('*')).then_some(letters);
        (letters - optional, limit)
    }

    /// The type of the argument at `index`.
    pub(super) fn argument(&self, index: usize) -> Option<Type> {
        let letters = || self.takes.chars().filter(char::is_ascii_alphabetic);
        let letter = letters().nth(index).or_else(|| letters().next_back())?;
        Some(match letter {
            's' => Type::Scalar,
            'v' => Type::Vector,
            'm' => Type::Matrix,
            _ => Type::Text,
        })
    }
}

const fn vector(name: &'static str, takes: &'static str) -> Function {
    Function {
        name,
        takes,
        gives: Type::Vector,
    }
}

const fn scalar(name: &'static str, takes: &'static str) -> Function {
    Function {
        name,
        takes,
        gives: Type::Scalar,
    }
}

static FUNCTIONS: &[Function] = &[
    vector("abs", "v"),
    vector("absent", "v"),
    vector("absent_over_time", "m"),
    vector("acos", "v"),
    vector("acosh", "v"),
    vector("asin", "v"),
    vector("asinh", "v"),
    vector("atan", "v"),
    vector("atanh", "v"),
    vector("avg_over_time", "m"),
    vector("ceil", "v"),
    vector("changes", "m"),
    vector("clamp", "vss"),
    vector("clamp_max", "vs"),
    vector("clamp_min", "vs"),
    vector("cos", "v"),
    vector("cosh", "v"),
    vector("count_over_time", "m"),
    vector("day_of_month", "v?"),
    vector("day_of_week", "v?"),
    vector("day_of_year", "v?"),
    vector("days_in_month", "v?"),
    vector("deg", "v"),
    vector("delta", "m"),
    vector("deriv", "m"),
    vector("double_exponential_smoothing", "mss"),
    scalar("end", ""),
    vector("exp", "v"),
    vector("first_over_time", "m"),
    vector("floor", "v"),
    vector("histogram_avg", "v"),
    vector("histogram_count", "v"),
    vector("histogram_fraction", "ssv"),
    vector("histogram_quantile", "sv"),
    vector("histogram_quantiles", "vtss?s?s?s?s?s?s?s?s?"),
    vector("histogram_stddev", "v"),
    vector("histogram_stdvar", "v"),
    vector("histogram_sum", "v"),
    vector("holt_winters", "mss"),
    vector("hour", "v?"),
    vector("idelta", "m"),
    vector("increase", "m"),
    vector("info", "vv?"),
    vector("integral", "ms?"),
    vector("irate", "m"),
    vector("label_join", "vttt*"),
    vector("label_replace", "vtttt"),
    vector("last_over_time", "m"),
    vector("ln", "v"),
    vector("log10", "v"),
    vector("log2", "v"),
    vector("mad_over_time", "m"),
    scalar("max_of", "ss"),
    vector("max_over_time", "m"),
    scalar("min_of", "ss"),
    vector("min_over_time", "m"),
    vector("minute", "v?"),
    vector("month", "v?"),
    scalar("pi", ""),
    vector("predict_linear", "ms"),
    vector("present_over_time", "m"),
    vector("quantile_over_time", "sm"),
    vector("rad", "v"),
    scalar("range", ""),
    vector("rate", "m"),
    vector("resets", "m"),
    vector("round", "vs?"),
    scalar("scalar", "v"),
    vector("sgn", "v"),
    vector("sin", "v"),
    vector("sinh", "v"),
    vector("sort", "v"),
    vector("sort_by_label", "vt*"),
    vector("sort_by_label_desc", "vt*"),
    vector("sort_desc", "v"),
    vector("sqrt", "v"),
    scalar("start", ""),
    vector("start_timestamp", "v"),
    vector("stddev_over_time", "m"),
    vector("stdvar_over_time", "m"),
    scalar("step", ""),
    vector("sum_over_time", "m"),
    vector("tan", "v"),
    vector("tanh", "v"),
    scalar("time", ""),
    vector("timestamp", "v"),
    vector("ts_of_first_over_time", "m"),
    vector("ts_of_last_over_time", "m"),
    vector("ts_of_max_over_time", "m"),
    vector("ts_of_min_over_time", "m"),
    vector("vector", "s"),
    vector("year", "v?"),
];
