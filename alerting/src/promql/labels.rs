//! Which labels the series of a result can have at all, whatever is stored.

use super::carried::Carried;
use super::expression::Expression;
use super::rewriting;
use super::tree::{Aggregator, Expr, Group, MatchLabels, Matching, Names, Node, Operator, Type};

impl Expression {
    /// Whether a series of the result can have this label. Where that is not known it can.
    pub fn may_have(&self, label: &str) -> bool {
        self.root().is_none_or(|root| possible(root).has(label))
    }
}

fn only(label: &str) -> Carried {
    Carried::Only(Names::from([label.to_owned()]))
}

fn possible(node: &Node) -> Carried {
    match &node.expr {
        Expr::Number | Expr::Text(_) => Carried::none(),
        Expr::Instant(selector) | Expr::Range(selector) => {
            let empty = selector.equals.iter().filter(|(_, value)| {
                // What is equal to the empty text is not there.
                value.as_deref() == Some("")
            });
            Carried::any().without(&empty.map(|(name, _)| name.clone()).collect())
        }
        Expr::Subquery { inner, .. } | Expr::Negated(inner) | Expr::Paren(inner) => possible(inner),
        Expr::Call { function, args } => call(function.name, args),
        Expr::Aggregate {
            op,
            grouping,
            param,
            inner,
        } => {
            let below = possible(inner);
            match op {
                Aggregator::Choice | Aggregator::Sample => below,
                Aggregator::CountValues => match param.as_deref().and_then(rewriting::text) {
                    Some(label) => below.grouped(grouping).or(&only(&label)),
                    None => Carried::any(),
                },
                Aggregator::Quantile | Aggregator::Plain => below.grouped(grouping),
            }
        }
        Expr::Binary {
            op,
            matching,
            lhs,
            rhs,
            ..
        } => match (lhs.gives, rhs.gives) {
            (Type::Vector, Type::Vector) => between(*op, matching, &possible(lhs), &possible(rhs)),
            (Type::Vector, _) => possible(lhs),
            (_, Type::Vector) => possible(rhs),
            _ => Carried::none(),
        },
    }
}

/// As `resultMetric` in Prometheus's `promql/engine.go` has it.
fn between(op: Operator, matching: &Matching, lhs: &Carried, rhs: &Carried) -> Carried {
    let matched = |side: &Carried| match &matching.labels {
        MatchLabels::On(names) => side.within(names),
        MatchLabels::Ignoring(names) => side.without(names),
    };
    match (op, &matching.group) {
        (Operator::Or, _) => lhs.or(rhs),
        (Operator::And | Operator::Unless, _) => lhs.clone(),
        (_, None) if matching.fills_left || matching.fills_right => matched(lhs).or(&matched(rhs)),
        (_, None) => matched(lhs),
        (_, Some(_)) if matching.fills_left || matching.fills_right => Carried::any(),
        (_, Some(Group::Left(included))) => lhs.or(&rhs.within(included)),
        (_, Some(Group::Right(included))) => rhs.or(&lhs.within(included)),
    }
}

fn call(name: &str, args: &[Node]) -> Carried {
    let vector = args
        .iter()
        .find(|arg| matches!(arg.gives, Type::Vector | Type::Matrix));
    let Some(vector) = vector else {
        return Carried::none();
    };
    match name {
        "vector" | "scalar" => Carried::none(),
        "info" | "histogram_quantiles" => Carried::any(),
        "absent" | "absent_over_time" => match &vector.bare().expr {
            Expr::Instant(selector) | Expr::Range(selector) => {
                let names = selector.equals.iter().map(|(name, _)| name.clone());
                Carried::Only(names.collect())
            }
            _ => Carried::none(),
        },
        "label_replace" | "label_join" => match args.get(1).and_then(rewriting::text) {
            Some(label) => possible(vector).or(&only(&label)),
            None => Carried::any(),
        },
        "histogram_quantile" | "histogram_fraction" => possible(vector).without_label("le"),
        _ => possible(vector),
    }
}

#[cfg(test)]
mod tests {
    use super::Expression;

    #[track_caller]
    fn check(expr: &str, has: &str, has_not: &str) {
        let expression = Expression::parse(expr);
        assert!(expression.is_understood(), "{:?}", expression.parse_error());
        for (labels, expected) in [(has, true), (has_not, false)] {
            for label in labels.split_whitespace() {
                assert_eq!(expression.may_have(label), expected, "{label} of {expr}");
            }
        }
    }

    #[test]
    fn a_result_can_have_what_its_operations_leave() {
        check("up == 0", "job any", "");
        check(r#"up{a="", b="1"} == 0"#, "b", "a");
        check("sum by (a, b) (x) > 1", "a b", "c");
        check("sum(x) > 1", "", "a");
        check("sum without (a) (x) > 1", "b", "a");
        check("topk by (a) (1, x)", "a b", "");
        check(r#"count_values("v", x) > 1"#, "v", "a");
        check("x / on (a) y > 1", "a", "b");
        check("x / ignoring (a) y > 1", "b", "a");
        check("sum by (a) (x) * on (a) group_left (c) y > 1", "a c", "b");
        check("sum by (a) (x) and on () y", "a", "b");
        check("sum by (a) (x) or sum by (b) (y)", "a b", "c");
        check(r#"absent(x{a="1", b=~"2"})"#, "a", "b c");
        check(r#"label_replace(sum(x), "d", "$1", "e", "(.*)")"#, "d", "e");
        check(
            "histogram_quantile(0.9, sum by (le, a) (x)) > 1",
            "a",
            "le b",
        );
        check("vector(1)", "", "a");
        check("max_over_time(sum by (a) (x)[5m:]) > time()", "a", "b");
    }
}
