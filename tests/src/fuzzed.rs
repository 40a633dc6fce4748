//! What the fuzzers begin with, and what they found, once more: all that reads other people's bytes
//! keeps its word on each input and on its beginnings.
//!
//! The fuzzing itself is `tests/fuzz`.

#[path = "../../alerting/fuzz/exercise/expressions.rs"]
mod expressions;
#[path = "../../alerting/fuzz/exercise/files.rs"]
mod files;
#[path = "../../backends/fuzz/naive.rs"]
mod naive;
#[path = "../../alerting/fuzz/exercise/places.rs"]
mod places;
#[path = "../../backends/fuzz/exercise.rs"]
mod query_answers;
#[path = "../../alerting/fuzz/exercise/routing.rs"]
mod routing;
#[path = "../../alerting/fuzz/exercise/rule_files.rs"]
mod rule_files;
#[path = "../../alerting/fuzz/exercise/templates.rs"]
mod templates;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

pub(crate) use rule_files::exercise as rule_file;
pub(crate) use templates::exercise as template;

/// How many beginnings of an input are tried at most.
const BEGINNINGS: usize = 60;

/// Gives `exercise` each file of a target's corpus, and what it begins with.
fn replay(corpus: &str, exercise: impl Fn(&[u8])) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(corpus);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let bytes = std::fs::read(&path)?;
        eprintln!("{}", path.display());
        exercise(&bytes);
        for end in (0..bytes.len()).step_by(bytes.len().div_ceil(BEGINNINGS).max(1)) {
            exercise(&bytes[..end]);
        }
        inputs += 1;
    }
    ensure!(inputs > 10, "{inputs} inputs in {}", folder.display());
    Ok(())
}

/// The same for what is read as text.
fn replay_texts(corpus: &str, exercise: impl Fn(&str)) -> Result<()> {
    replay(corpus, |bytes| exercise(&String::from_utf8_lossy(bytes)))
}

#[test]
fn rule_files_are_loaded_or_refused() -> Result<()> {
    replay_texts("alerting/fuzz/corpus/rule_files", rule_files::exercise)?;
    for file in crate::ruler::starter_rules(&["allowances.yml", "coredns.yml", "link-local.yml"])? {
        rule_files::exercise(&file.text);
    }
    Ok(())
}

#[test]
fn expressions_are_understood_or_refused() -> Result<()> {
    let listed = [
        include_str!("../data/expressions.txt"),
        include_str!("../data/refused.txt"),
    ];
    for line in listed.into_iter().flat_map(str::lines) {
        expressions::exercise(line);
    }
    replay_texts("alerting/fuzz/corpus/expressions", expressions::exercise)
}

#[test]
fn templates_are_expanded_or_refused() -> Result<()> {
    replay_texts("alerting/fuzz/corpus/templates", templates::exercise)
}

#[test]
fn routing_is_loaded_or_refused() -> Result<()> {
    replay_texts("alerting/fuzz/corpus/routing", routing::exercise)
}

#[test]
fn query_answers_are_read_or_refused() -> Result<()> {
    let read = &backends::prometheus::read_answer;
    replay("backends/fuzz/corpus/query_answers", |bytes| {
        query_answers::query_answers(bytes, read);
    })
}
