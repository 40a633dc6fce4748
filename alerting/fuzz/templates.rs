//! libFuzzer's target: any text as the template of an annotation, and of a message.

#![no_main]

#[path = "exercise/places.rs"]
mod places;
#[path = "exercise/templates.rs"]
mod templates;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| templates::exercise(&String::from_utf8_lossy(bytes)));
