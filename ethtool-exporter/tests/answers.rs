//! Any bytes as the kernel's answers: the fuzzer's corpus again, and random ones that look right.

use std::path::Path;

use proptest::prelude::*;

#[path = "../fuzz/exercise.rs"]
mod exercise;

#[test]
fn the_corpus_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/kernel_answers");
    let mut inputs = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        exercise::answers(&bytes);
        // Cut anywhere, it is still read or refused.
        for end in 0..bytes.len() {
            exercise::answers(&bytes[..end]);
        }
        inputs += 1;
    }
    assert!(inputs > 3, "{inputs}");
}

proptest! {
    #[test]
    fn any_names_and_values_are_read(
        names in prop::collection::vec(any::<[u8; 32]>(), 0..40),
        notified in 0..50_u32,
        values in prop::collection::vec(any::<u64>(), 0..200),
    ) {
        let mut bytes = [0x1b_u32, 1, notified].map(u32::to_ne_bytes).concat();
        bytes.extend(names.concat());
        let mut second = [0x1d, notified].map(u32::to_ne_bytes).concat();
        second.extend(values.iter().flat_map(|value| value.to_ne_bytes()));
        // The halves are found by the middle.
        let half = bytes.len().max(second.len());
        bytes.resize(half, 0);
        second.resize(half, 0);
        bytes.extend(second);
        exercise::answers(&bytes);
    }
}
