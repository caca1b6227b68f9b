//! Property test with shrinking: any short sequence of writes leaves a valid tree that equals the
//! naive one.
#![cfg(not(any(loom, shuttle)))]

use maple_tree::{Fan, MapleTree, Tracked};
use proptest::prelude::*;
use vmaple_model::tree::NaiveTree;

#[derive(Debug, Clone)]
enum Write {
    Store(u64, u64),
    Clear(u64, u64),
    Erase(u64),
}

/// Small indices, and their mirror images below `u64::MAX`.
fn index() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..60_u64, 1 => (0..3_u64).prop_map(|i| u64::MAX - i)]
}

fn range() -> impl Strategy<Value = (u64, u64)> {
    (index(), index()).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => range().prop_map(|(first, last)| Write::Store(first, last)),
        4 => (index(), 0..4_u64).prop_map(|(at, len)| Write::Store(at, at.saturating_add(len))),
        1 => range().prop_map(|(first, last)| Write::Clear(first, last)),
        3 => index().prop_map(Write::Erase),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_writes_equal_the_naive_tree(writes in prop::collection::vec(write(), 1..120)) {
        let mut tree = MapleTree::<u32, Fan<Tracked, 3, 3>>::new();
        let mut naive = NaiveTree::default();
        for (value, write) in (0..).zip(writes) {
            match write {
                Write::Store(first, last) => {
                    tree.store(first..=last, value).expect("memory");
                    naive.store(first..=last, value);
                }
                Write::Clear(first, last) => {
                    tree.clear(first..=last).expect("memory");
                    naive.clear(first..=last);
                }
                Write::Erase(index) => {
                    let erased = tree.erase(index).expect("memory");
                    prop_assert_eq!(erased.map(|(span, _)| span.first), naive.erase(index).map(|held| held.0));
                }
            }
            prop_assert_eq!(tree.validate(), Ok(()));
        }
        let held: Vec<_> = tree.iter().map(|(span, value)| (span.first, span.last, value)).collect();
        prop_assert_eq!(held, naive.entries());
    }
}
