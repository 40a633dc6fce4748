//! Matchers that no alert can meet, so that a silence or a route that is one by mistake is found
//! before it is needed.

use std::collections::BTreeSet;

use super::{MatchOp, Matcher, Matchers};

/// How many values of a regular expression are tried.
const MAX_VALUES: usize = 1000;

impl Matchers {
    /// Why no alert can meet all of them, where that is certain: a label has to have one of a few
    /// values, and other matchers leave none of them.
    pub fn contradiction(&self) -> Option<String> {
        let names: BTreeSet<&str> = self.0.iter().map(Matcher::name).collect();
        names
            .into_iter()
            .find_map(|name| self.contradiction_of(name))
    }

    fn contradiction_of(&self, name: &str) -> Option<String> {
        let of_name: Vec<&Matcher> = self.0.iter().filter(|it| it.name == name).collect();
        let (values, by) = of_name
            .iter()
            .find_map(|matcher| Some((matcher.values()?, *matcher)))?;
        if values
            .iter()
            .any(|value| of_name.iter().all(|matcher| matcher.matches(value)))
        {
            return None;
        }
        // The one that leaves nothing by itself says most.
        let against = of_name
            .iter()
            .find(|matcher| !values.iter().any(|value| matcher.matches(value)));
        Some(match against {
            Some(against) => format!("no value of `{name}` meets both {by} and {against}"),
            None => {
                let all: Vec<String> = of_name.iter().map(ToString::to_string).collect();
                format!("no value of `{name}` meets all of {}", all.join(", "))
            }
        })
    }
}

impl Matcher {
    /// The values that meet it, where they are few and known: `=`, and `=~` of plain words.
    fn values(&self) -> Option<Vec<String>> {
        match self.op {
            MatchOp::Equal => Some(vec![self.value.clone()]),
            MatchOp::Regexp => {
                let words = self.value.split('|');
                let is_plain = |word: &str| !word.contains(|c: char| r"\.+*?()[]{}^$".contains(c));
                let words: Vec<&str> = words.take(MAX_VALUES + 1).collect();
                (words.len() <= MAX_VALUES && words.iter().all(|word| is_plain(word)))
                    .then(|| words.into_iter().map(str::to_owned).collect())
            }
            MatchOp::NotEqual | MatchOp::NotRegexp => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let matchers = Matchers::parse(text).expect("matchers");
        assert_eq!(matchers.contradiction().as_deref(), expected, "{text}");
    }

    #[test]
    fn what_can_never_match_is_found() {
        check(
            "a=b,a=c",
            Some(r#"no value of `a` meets both a="b" and a="c""#),
        );
        check(
            "a=b,x=y,a!=b",
            Some(r#"no value of `a` meets both a="b" and a!="b""#),
        );
        check(
            "a=~\"b|c\",a!~\"[bc]\"",
            Some(r#"no value of `a` meets both a=~"b|c" and a!~"[bc]""#),
        );
        check(
            "a=~\"b|c\",a!=b,a!=c",
            Some(r#"no value of `a` meets all of a!="b", a=~"b|c", a!="c""#),
        );
        check(
            r#"a="",a=~".+""#,
            Some(r#"no value of `a` meets both a="" and a=~".+""#),
        );
    }

    #[test]
    fn what_may_match_is_left_alone() {
        for text in [
            "",
            "a=b",
            "a=b,a=b",
            "a=b,c=d",
            "a=~\"b|c\",a!=b",
            "a!=b,a!=c",
            "a=~\"b.*\",a!=bb",
            "a=b,a=~\"b|c\"",
            r#"a="",b!="""#,
            r#"a=~"b|",a=~"c|""#,
            r#"a!~".*""#,
        ] {
            check(text, None);
        }
    }
}
