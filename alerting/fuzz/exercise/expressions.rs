//! What is done to a text as an expression, by the fuzzer and by the tests.

use alerting::labels::Labels;
use alerting::promql::{Answers, Expression, Narrowing, Part};

use super::places;

/// Reads it. Errors have their place; an accepted text is accepted again when it is
/// printed, narrowed or made a question.
pub(crate) fn exercise(text: &str) {
    let expression = Expression::parse(text);
    assert_eq!(expression.text(), text);
    if let Some(error) = expression.parse_error() {
        places::check(error.line, error.column, text);
        assert!(!expression.is_understood() && !expression.range_equals_instants());
        assert!(expression.inputs().is_none());
        return;
    }
    let selectors = texts_of(&expression);
    let nothing = Narrowing::none();
    let printed = narrowed(&expression, &nothing);
    assert_eq!(texts_of(&read(&printed)), selectors, "{text} | {printed}");
    assert_eq!(narrowed(&read(&printed), &nothing), printed);
    for range in expression.ranges() {
        assert!(text.contains(range) && range.contains('['));
    }
    if let Some(compared) = expression.compared() {
        read(compared);
    }

    let alert = Labels::from_iter([("node", "a.b"), ("cluster", "\"c\\"), ("le", "0.1")]);
    let narrowing = Narrowing::of([&alert]);
    let narrow = read(&narrowed(&expression, &narrowing));
    assert_eq!(texts_of(&narrow).len(), selectors.len(), "{text}");
    if let Some(compared) = expression.narrowed(Part::Compared, &narrowing) {
        read(&compared);
    }
    if let Some(inputs) = expression.inputs() {
        for narrowing in [&nothing, &narrowing] {
            let questions = inputs.questions(narrowing);
            assert!(questions.len() <= selectors.len() + 1);
            for question in &questions {
                read(question);
            }
            let silent: Answers = questions
                .iter()
                .map(|question| (question.clone(), Vec::new()))
                .collect();
            let _ = inputs.presence(narrowing, &silent).covers(&alert);
        }
    }
}

fn texts_of(expression: &Expression) -> Vec<String> {
    let selectors = expression.selectors().into_iter();
    selectors.map(|(_, text)| text.to_owned()).collect()
}

#[track_caller]
fn narrowed(expression: &Expression, narrowing: &Narrowing) -> String {
    expression
        .narrowed(Part::Whole, narrowing)
        .expect("understood as a whole")
}

/// What was made of an expression that was understood.
#[track_caller]
fn read(text: &str) -> Expression {
    let expression = Expression::parse(text);
    assert_eq!(expression.parse_error(), None, "{text}");
    expression
}
