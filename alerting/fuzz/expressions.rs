//! libFuzzer's target: any text as a rule's expression.

#![no_main]

#[path = "exercise/expressions.rs"]
mod expressions;
#[path = "exercise/places.rs"]
mod places;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| expressions::exercise(&String::from_utf8_lossy(bytes)));
