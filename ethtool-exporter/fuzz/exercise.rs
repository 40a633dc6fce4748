//! What is done to an input, by the fuzzer and by the test that replays its corpus.

use std::collections::HashSet;

use ethtool_exporter::device;
use ethtool_exporter::ethtool::{MOST_STATISTICS, answer};
use ethtool_exporter::layout::Layout;
use ethtool_exporter::selection::Selection;

/// Reads the bytes as each of the kernel's answers: the first half, the second, and the whole. What
/// is read must keep what the readers promise.
pub(crate) fn answers(bytes: &[u8]) {
    let (names_answer, values_answer) = bytes.split_at(bytes.len() / 2);
    let _ = answer::driver_info(bytes);
    for name in device::listed(bytes) {
        assert!(!name.text().is_empty());
    }
    if let Ok(count) = answer::set_size(bytes) {
        assert!(count <= MOST_STATISTICS);
    }
    let Ok(names) = answer::names(names_answer) else {
        return;
    };
    assert!(names.len() * 32 <= names_answer.len());
    let everything = Selection {
        device_include: None,
        device_exclude: None,
        metrics_include: None,
        metrics_exclude: None,
    };
    let layout = Layout::new(names, &everything);
    assert!(layout.is_of(names));
    let mut seen = HashSet::new();
    for wanted in layout.wanted() {
        assert!(seen.insert(&wanted.name), "twice: {:?}", wanted.name);
        assert!(!wanted.name.is_empty() && !wanted.name.contains('\0'));
    }
    if let Ok(values) = answer::values(values_answer) {
        let read = layout.values(values);
        assert_eq!(read.is_some(), values.len() == names.len());
        if let Some(read) = read {
            assert_eq!(read.len(), layout.wanted().len());
        }
    }
}
