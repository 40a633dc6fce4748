//! Prometheus's type checks (`checkAST` in `promql/parser/parse.go`), as far as they show a user's
//! mistake. Each error is a sentence without its place.

use super::functions::Function;
use super::tree::{Aggregator, Expr, Group, MatchLabels, Matching, Node, Operator, Type};
use crate::labels::METRIC_NAME;

pub(super) fn binary(
    op: Operator,
    returns_bool: bool,
    matching: Option<&Matching>,
    lhs: Type,
    rhs: Type,
) -> Result<Type, String> {
    let operand = |side: Type| matches!(side, Type::Scalar | Type::Vector);
    if let Some(odd) = [lhs, rhs].into_iter().find(|side| !operand(*side)) {
        return Err(format!("an operator beside a {odd}"));
    }
    let vectors = lhs == Type::Vector && rhs == Type::Vector;
    if returns_bool && op != Operator::Compare {
        return Err("`bool` is for comparisons only".to_owned());
    }
    if op == Operator::Compare && lhs == rhs && !vectors && !returns_bool {
        return Err("a comparison of two scalars needs `bool`".to_owned());
    }
    if op.is_set() && !vectors {
        return Err("`and`, `or` and `unless` need a vector on both sides".to_owned());
    }
    if let Some(matching) = matching {
        let (MatchLabels::On(names) | MatchLabels::Ignoring(names)) = &matching.labels;
        let fills = matching.fills_left || matching.fills_right;
        // Without labels it is passed over.
        if !vectors && (fills || !names.is_empty()) {
            return Err("`on`, `ignoring` and `fill` need a vector on both sides".to_owned());
        }
        if op.is_set() && matching.group.is_some() {
            return Err("`and`, `or` and `unless` do not group".to_owned());
        }
        if op.is_set() && fills {
            return Err("`and`, `or` and `unless` do not fill".to_owned());
        }
        if let (MatchLabels::On(on), Some(Group::Left(included) | Group::Right(included))) =
            (&matching.labels, &matching.group)
            && let Some(twice) = on.intersection(included).next()
        {
            return Err(format!("label `{twice}` stands in `on` and in the group"));
        }
    }
    let scalars = lhs == Type::Scalar && rhs == Type::Scalar;
    Ok(if scalars { Type::Scalar } else { Type::Vector })
}

pub(super) fn call(function: &Function, args: &[Node]) -> Result<(), String> {
    let name = function.name;
    let (least, most) = function.arity();
    if args.len() < least || most.is_some_and(|most| args.len() > most) {
        let wanted = match most {
            Some(most) if most == least => format!("{least}"),
            Some(most) => format!("{least} to {most}"),
            None => format!("{least} or more"),
        };
        let given = args.len();
        return Err(format!("`{name}` takes {wanted} arguments, {given} given"));
    }
    if let ("info", Some(second)) = (name, args.get(1)) {
        // The name among the matchers is one of them.
        let is_matchers = match &second.expr {
            Expr::Instant(selector) => {
                let in_braces = |name| selector.matchers.iter().any(|other| other.name == name);
                selector.name.is_none() || in_braces(METRIC_NAME)
            }
            _ => false,
        };
        if !is_matchers {
            return Err("`info`: the second argument is label matchers only".to_owned());
        }
    }
    for (index, arg) in args.iter().enumerate() {
        expect(&format!("`{name}`"), function.argument(index), arg)?;
    }
    Ok(())
}

pub(super) fn aggregate(op: Aggregator, args: &[Node]) -> Result<(), String> {
    let param = match op {
        Aggregator::Plain => None,
        Aggregator::CountValues => Some(Type::Text),
        Aggregator::Choice | Aggregator::Sample | Aggregator::Quantile => Some(Type::Scalar),
    };
    let wanted = 1 + usize::from(param.is_some());
    if args.len() != wanted {
        let given = args.len();
        return Err(format!(
            "the aggregation takes {wanted} arguments, {given} given"
        ));
    }
    for (arg, wanted) in args.iter().rev().zip([Some(Type::Vector), param]) {
        expect("the aggregation", wanted, arg)?;
    }
    Ok(())
}

fn expect(whose: &str, wanted: Option<Type>, arg: &Node) -> Result<(), String> {
    match wanted {
        Some(wanted) if wanted != arg.gives => {
            Err(format!("{whose}: expected {wanted}, not {}", arg.gives))
        }
        _ => Ok(()),
    }
}
