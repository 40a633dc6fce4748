//! libFuzzer's target: any bytes as the kernel's answers.

#![no_main]

mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exercise::answers(bytes));
