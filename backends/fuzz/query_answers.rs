//! libFuzzer's target: any bytes as a Prometheus's answer.

#![no_main]

mod exercise;
mod naive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    exercise::query_answers(bytes, &backends::prometheus::read_answer);
});
