//! The same trees as another parser's.

use promql_parser::parser as peer;

use super::expressions;
use crate::promql::parse::parse;
use crate::promql::tree::{Expr, Group, Grouping, MatchLabels, Matching, Node, Operator};

/// A tree's shape, written the same way for both parsers.
fn shape(text: &str, node: &Node) -> String {
    let children: Vec<String> = node.children().iter().map(|one| shape(text, one)).collect();
    let name = match &node.expr {
        Expr::Paren(_) => return children.concat(),
        Expr::Negated(inner) if matches!(inner.expr, Expr::Number) => "number",
        Expr::Negated(_) if text[node.span.start..].starts_with('+') => return children.concat(),
        Expr::Negated(_) => "-",
        Expr::Number => "number",
        Expr::Text(_) => "text",
        Expr::Instant(_) => "instant",
        Expr::Range(_) => "range",
        Expr::Subquery { .. } => "subquery",
        Expr::Call { function, .. } => function.name,
        Expr::Aggregate { grouping, .. } => &format!("{grouping:?}"),
        Expr::Binary { op, matching, .. } => &format!("{op:?} {matching:?}"),
    };
    let children = if name == "number" {
        Vec::new()
    } else {
        children
    };
    format!("({name} {})", children.join(" "))
}

fn peer_shape(expr: &peer::Expr) -> String {
    let names = |labels: &promql_parser::label::Labels| labels.labels.iter().cloned().collect();
    let (name, children): (String, Vec<&peer::Expr>) = match expr {
        peer::Expr::Paren(paren) => return peer_shape(&paren.expr),
        peer::Expr::Unary(unary) => ("-".to_owned(), vec![&unary.expr]),
        peer::Expr::NumberLiteral(_) => ("number".to_owned(), vec![]),
        peer::Expr::StringLiteral(_) => ("text".to_owned(), vec![]),
        peer::Expr::VectorSelector(_) => ("instant".to_owned(), vec![]),
        peer::Expr::MatrixSelector(_) => ("range".to_owned(), vec![]),
        peer::Expr::Subquery(subquery) => ("subquery".to_owned(), vec![&subquery.expr]),
        peer::Expr::Call(call) => {
            let args = call.args.args.iter().map(AsRef::as_ref);
            (call.func.name.to_owned(), args.collect())
        }
        peer::Expr::Aggregate(aggregate) => {
            let grouping = match &aggregate.modifier {
                None => Grouping::By([].into()),
                Some(peer::LabelModifier::Include(labels)) => Grouping::By(names(labels)),
                Some(peer::LabelModifier::Exclude(labels)) => Grouping::Without(names(labels)),
            };
            let param = aggregate.param.iter().map(AsRef::as_ref);
            let children = param.chain([aggregate.expr.as_ref()]).collect();
            (format!("{grouping:?}"), children)
        }
        peer::Expr::Binary(binary) => {
            let op = Operator::named(&binary.op.to_string()).expect("an operator");
            let mut matching = Matching::default();
            if let Some(modifier) = &binary.modifier {
                matching.labels = match &modifier.matching {
                    Some(peer::LabelModifier::Include(labels)) => MatchLabels::On(names(labels)),
                    Some(peer::LabelModifier::Exclude(labels)) => {
                        MatchLabels::Ignoring(names(labels))
                    }
                    None => MatchLabels::default(),
                };
                matching.group = match &modifier.card {
                    peer::VectorMatchCardinality::ManyToOne(labels) => {
                        Some(Group::Left(names(labels)))
                    }
                    peer::VectorMatchCardinality::OneToMany(labels) => {
                        Some(Group::Right(names(labels)))
                    }
                    _ => None,
                };
            }
            (
                format!("{op:?} {matching:?}"),
                vec![&binary.lhs, &binary.rhs],
            )
        }
        peer::Expr::Extension(_) => ("extension".to_owned(), vec![]),
    };
    let children: Vec<String> = children.into_iter().map(peer_shape).collect();
    format!("({name} {})", children.join(" "))
}

#[test]
fn trees_are_those_of_another_parser() {
    let mut compared = 0;
    for expr in expressions() {
        let node = parse(expr)
            .unwrap_or_else(|why| panic!("{expr}: {why}"))
            .node;
        let peer = peer::parse(expr).unwrap_or_else(|why| panic!("{expr}: {why}"));
        assert_eq!(shape(expr, &node), peer_shape(&peer), "{expr}");
        compared += 1;
    }
    assert!(compared > 200, "only {compared} expressions were read");
}
