//! Rule files and templates that were written well and then damaged keep what the fuzzers' inputs do
//! ([`fuzzed`](crate::fuzzed)). A seed a case, so that each is received again.
//!
//! `DNSWATCH_MUTATED=1000000` has it continue for longer.

use alerting::config::Settings;
use alerting::rules::SourceFile;
use alerting::template::Template;
use anyhow::{Result, ensure};
use fastrand::Rng;

/// How many of each, where nothing else is said.
const CASES: u64 = 4_000;

/// What Go was asked of: templates of every kind.
const TEMPLATES: &str = include_str!("../../alerting/src/template/tests/go.json");

/// What may break a reader where it stands in the wrong place.
const WORDS: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    "|",
    "(",
    ")",
    "\"",
    "`",
    "'",
    "$",
    ".",
    "range ",
    "end",
    "else",
    "define \"x\"",
    "template \"x\" .",
    "block \"x\" .",
    "printf \"%999999d\" ",
    "1e309",
    "0x",
    "-",
    "\n",
    "\t",
    "- ",
    ": ",
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "? ",
    "---\n",
    "[",
    "{",
    "]",
    "}",
    "#",
    "|-\n",
    ">\n",
    "~",
    "groups:",
    "\u{feff}",
    "é",
    "\u{0}",
    "99999999999999999999d",
];

fn cases() -> Result<u64> {
    match std::env::var("DNSWATCH_MUTATED") {
        Ok(text) if !text.is_empty() => Ok(text.parse()?),
        _ => Ok(CASES),
    }
}

/// A text with a few things done to it, some of them with a piece of another.
fn damage(rng: &mut Rng, text: &str, other: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let other: Vec<char> = other.chars().collect();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(0..=chars.len());
        let until = (at + rng.usize(0..20)).min(chars.len());
        match rng.u8(0..6) {
            0 => drop(chars.drain(at..until)),
            1 => {
                let again: Vec<char> = chars[at..until].to_vec();
                chars.splice(at..at, again);
            }
            2 => {
                let from = rng.usize(0..=other.len());
                let piece = &other[from..(from + rng.usize(0..60)).min(other.len())];
                chars.splice(at..at, piece.iter().copied());
            }
            3 => chars.truncate(at),
            _ => {
                let word = WORDS[rng.usize(..WORDS.len())];
                chars.splice(at..at, word.chars());
            }
        }
    }
    chars.into_iter().collect()
}

#[test]
fn damaged_templates_do_no_harm() -> Result<()> {
    let cases: Vec<serde_json::Value> = serde_json::from_str(TEMPLATES)?;
    let templates: Vec<&str> = cases
        .iter()
        .filter_map(|case| case["template"].as_str())
        .collect();
    let mut read = 0;
    for seed in 0..self::cases()? {
        let rng = &mut Rng::with_seed(seed);
        let pick = |rng: &mut Rng| templates[rng.usize(..templates.len())];
        let (one, other) = (pick(rng), pick(rng));
        let text = damage(rng, one, other);
        eprintln!("seed {seed}");
        crate::fuzzed::template(&text);
        read += u32::from(Template::parse(&text).is_ok());
    }
    ensure!(read > 500, "only {read} were read");
    Ok(())
}

#[test]
fn damaged_rule_files_are_refused_with_their_place() -> Result<()> {
    let folder = crate::ruler::starter_rules_folder();
    let mut texts = vec![
        include_str!("../data/nasty.yml").to_owned(),
        include_str!("../data/failing.yml").to_owned(),
    ];
    // By name: a seed's case must not depend on how a disk lists them.
    for path in crate::catalogue::files_of(&folder, "yml")? {
        texts.push(std::fs::read_to_string(path)?);
    }
    let (mut loaded, mut refused) = (0, 0);
    for seed in 0..cases()? / 8 {
        let rng = &mut Rng::with_seed(seed);
        let other = texts[rng.usize(..texts.len())].clone();
        let one = texts[rng.usize(..texts.len())].clone();
        let text = damage(rng, &one, &other);
        eprintln!("seed {seed}");
        crate::fuzzed::rule_file(&text);
        let name = "damaged.yml".to_owned();
        match Settings::default().load(&vec![SourceFile { name, text }].into()) {
            Ok(_) => loaded += 1,
            Err(_) => refused += 1,
        }
    }
    ensure!(
        loaded > 20 && refused > 100,
        "{loaded} loaded, {refused} refused"
    );
    Ok(())
}
