//! libFuzzer's target: any text as `alertmanager.yml`.

#![no_main]

#[path = "exercise/files.rs"]
mod files;
#[path = "exercise/places.rs"]
mod places;
#[path = "exercise/routing.rs"]
mod routing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| routing::exercise(&String::from_utf8_lossy(bytes)));
