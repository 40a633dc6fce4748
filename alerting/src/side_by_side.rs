//! Two maps with the same kind of key, walked through together: cheaper than looking each key of one
//! up in the other.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Each key that one of the maps has, in their order, and what both have of it.
pub(crate) fn side_by_side<'a, K: Ord, L, R>(
    left: &'a BTreeMap<K, L>,
    right: &'a BTreeMap<K, R>,
) -> impl Iterator<Item = (&'a K, Option<&'a L>, Option<&'a R>)> {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (left.peek(), right.peek()) {
            (Some((left, _)), Some((right, _))) => left.cmp(right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        let left = left.next_if(|_| order.is_le());
        let right = right.next_if(|_| order.is_ge());
        let key = left.map(|(key, _)| key).or(right.map(|(key, _)| key))?;
        Some((
            key,
            left.map(|(_, left)| left),
            right.map(|(_, right)| right),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_comes_once_with_what_both_have_of_it() {
        let left = BTreeMap::from([(1, "a"), (2, "b"), (4, "d")]);
        let right = BTreeMap::from([(0, 'z'), (2, 'y'), (5, 'x')]);
        let all: Vec<_> = side_by_side(&left, &right).collect();
        let expected = [
            (&0, None, Some(&'z')),
            (&1, Some(&"a"), None),
            (&2, Some(&"b"), Some(&'y')),
            (&4, Some(&"d"), None),
            (&5, None, Some(&'x')),
        ];
        assert_eq!(all, expected);
    }
}
