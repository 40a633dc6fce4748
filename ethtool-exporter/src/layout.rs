//! Where in a driver's answer the wanted statistics stand.

use std::collections::HashSet;

use crate::ethtool::answer;
use crate::selection::Selection;

/// The names of a device's statistics, and which of them are exported.
///
/// It is made when the names are first seen and when they change, not at each scrape: the filters
/// cost more than the driver.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    names: Box<[[u8; 32]]>,
    wanted: Box<[Wanted]>,
    repeated: usize,
}

/// An exported statistic.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The driver's name for it.
    pub name: Box<str>,
    position: u32,
}

impl Layout {
    /// The layout of such names. Where several have one name, the first counts; what has none
    /// cannot be distinguished from others and is left out.
    pub fn new(names: &[[u8; 32]], selection: &Selection) -> Self {
        let mut seen = HashSet::new();
        let mut wanted = Vec::new();
        let mut repeated = 0;
        for (position, bytes) in (0..).zip(names) {
            let name = answer::text(bytes);
            if name.is_empty() || !selection.wants_statistic(&name) {
                continue;
            }
            let name: Box<str> = name.into();
            match seen.insert(name.clone()) {
                true => wanted.push(Wanted { name, position }),
                false => repeated += 1,
            }
        }
        Self {
            names: names.into(),
            wanted: wanted.into(),
            repeated,
        }
    }

    /// Whether it is that of these names.
    pub fn is_of(&self, names: &[[u8; 32]]) -> bool {
        *self.names == *names
    }

    /// How many statistics there are, exported or not.
    pub fn all(&self) -> usize {
        self.names.len()
    }

    /// The exported statistics, in the driver's order.
    pub fn wanted(&self) -> &[Wanted] {
        &self.wanted
    }

    /// How many wanted statistics are left out since another has their name.
    pub fn repeated(&self) -> usize {
        self.repeated
    }

    /// The values of the [wanted](Self::wanted) ones; `None` where there are more or fewer values
    /// than names, so that values cannot be matched to names.
    pub fn values(&self, all: &[[u8; 8]]) -> Option<Vec<u64>> {
        if all.len() != self.names.len() {
            return None;
        }
        let value = |wanted: &Wanted| {
            let position = usize::try_from(wanted.position).ok()?;
            all.get(position).copied().map(u64::from_ne_bytes)
        };
        self.wanted.iter().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &[u8]) -> [u8; 32] {
        let mut name = [0; 32];
        name[..text.len()].copy_from_slice(text);
        name
    }

    fn everything() -> Selection {
        Selection {
            device_include: None,
            device_exclude: None,
            metrics_include: None,
            metrics_exclude: None,
        }
    }

    #[test]
    fn odd_names_are_kept_apart_and_the_first_of_a_name_counts() {
        let names = [
            name(b"     err"),
            name(b""),
            name(b"port.VF_admin_queue_requests"),
            name(b"err\0of an older name"),
            name(b"0123456789abcdef0123456789abcdef"),
            name(b"q\xff\n\"\\"),
            name(b" \t "),
        ];
        let layout = Layout::new(&names, &everything());
        let values: Vec<[u8; 8]> = (0..7_u64).map(u64::to_ne_bytes).collect();
        let values = layout.values(&values).unwrap();
        let seen: Vec<(&str, u64)> = layout
            .wanted()
            .iter()
            .map(|it| &*it.name)
            .zip(values)
            .collect();
        assert_eq!(
            seen,
            [
                ("err", 0),
                ("port.VF_admin_queue_requests", 2),
                ("0123456789abcdef0123456789abcdef", 4),
                ("q\u{fffd}\n\"\\", 5),
            ]
        );
        assert_eq!(layout.repeated(), 1);
    }

    #[test]
    fn rejects_values_when_the_name_count_differs() {
        let layout = Layout::new(&[name(b"a"), name(b"b")], &everything());
        for count in [0, 1, 3] {
            assert_eq!(layout.values(&vec![[0; 8]; count]), None);
        }
        assert!(!layout.is_of(&[name(b"a"), name(b"c")]));
    }

    #[test]
    fn only_what_is_wanted_is_kept() {
        let selection = Selection {
            metrics_include: Some("queue_.*".parse().unwrap()),
            metrics_exclude: Some(".*_rx_.*".parse().unwrap()),
            ..everything()
        };
        let names = [b"queue_0_rx_cnt", b"queue_0_tx_cnt", b"totals_resets_"].map(|it| name(it));
        let layout = Layout::new(&names, &selection);
        let kept: Vec<&str> = layout.wanted().iter().map(|it| &*it.name).collect();
        assert_eq!(kept, ["queue_0_tx_cnt"]);
    }
}
