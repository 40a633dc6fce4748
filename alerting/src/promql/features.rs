//! Parts of the language that not every server knows: behind a flag, or of a later release.

/// Such a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    /// A length of time that is calculated: `[5m * 2]`, `offset (1h / 2)`.
    DurationExpression,
    /// `min` and `max` of lengths of time, which later releases call `min_of` and `max_of`.
    OldDurationFunction,
    /// `anchored` and `smoothed`.
    ExtendedRangeSelectors,
    /// `fill (0)`.
    Fill,
    /// `</` and `>/`.
    Trim,
    /// A name with letters of any script, or points, that is not quoted.
    UnquotedName,
}

/// Which servers know a part of the language. Releases are Prometheus's (its `CHANGELOG.md`), flags
/// those of `--enable-feature` (its `docs/feature_flags.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Those that are started with this flag.
    Flag(&'static str),
    /// Those from this release on; older ones where they are started with the flag, if there is one.
    Since(&'static str, Option<&'static str>),
    /// No current one; what to write there.
    Gone(&'static str),
}

impl Feature {
    pub(crate) fn known(self) -> Known {
        match self {
            Self::DurationExpression => Known::Since("3.14", Some("promql-duration-expr")),
            Self::OldDurationFunction => Known::Gone("since 3.13 they are `min_of` and `max_of`"),
            Self::ExtendedRangeSelectors => {
                Known::Since("3.16", Some("promql-extended-range-selectors"))
            }
            Self::Fill => Known::Flag("promql-binop-fill-modifiers"),
            Self::Trim => Known::Since("3.11", None),
            Self::UnquotedName => Known::Flag("promql-unquoted-utf8-names"),
        }
    }
}

impl std::fmt::Display for Feature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DurationExpression => "a calculated duration",
            Self::OldDurationFunction => "`min` or `max` of durations",
            Self::ExtendedRangeSelectors => "`anchored` or `smoothed`",
            Self::Fill => "`fill`",
            Self::Trim => "`</` or `>/`",
            Self::UnquotedName => "a name with such characters outside quotes",
        })
    }
}
