//! Parts of the language that a server knows only where it is told to.

/// Such a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    /// A length of time that is calculated: `[5m * 2]`, `offset (1h / 2)`.
    DurationExpression,
    /// `anchored` and `smoothed`.
    ExtendedRangeSelectors,
    /// `fill (0)`.
    Fill,
}

impl Feature {
    /// What it is called in `--enable-feature` (Prometheus's `docs/feature_flags.md`).
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::DurationExpression => "promql-duration-expr",
            Self::ExtendedRangeSelectors => "promql-extended-range-selectors",
            Self::Fill => "promql-binop-fill-modifiers",
        }
    }
}

impl std::fmt::Display for Feature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DurationExpression => "a calculated duration",
            Self::ExtendedRangeSelectors => "`anchored` or `smoothed`",
            Self::Fill => "`fill`",
        })
    }
}
