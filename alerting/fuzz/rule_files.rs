//! libFuzzer's target: any text as a rule file.

#![no_main]

#[path = "exercise/files.rs"]
mod files;
#[path = "exercise/places.rs"]
mod places;
#[path = "exercise/rule_files.rs"]
mod rule_files;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rule_files::exercise(&String::from_utf8_lossy(bytes)));
