//! What is mapped before and after each section is found at every moment.

use crate::space::{END, Known, Space, Tree, all_is_well, below, explore, new_space};
use std::sync::Arc;
use vmaple_locks::{AddressSpace, Biased, Cancel, Counted, Fate, Held, ReadScheme, Slab, VmaRef};
use vmaple_sync::model;

/// Borders move and mappings are replaced, but every address is mapped before and after each
/// section: no reader ever finds one that is not.
fn no_holes<S: ReadScheme>() {
    let slab = Slab::new();
    let space = new_space::<S>('a', &slab);
    let mut held = Held::nothing();
    let fill = Known::new('a', 30..40);
    assert!(space.write(&mut held).insert(30..40, fill).is_ok());
    let readers = [0; 2].map(|nr| {
        let space = Arc::clone(&space);
        model::spawn(if nr == 0 { "reader" } else { "walker" }, move || {
            let mut held = Held::nothing();
            let cancel = Cancel::with_wait();
            for _ in 0..4 {
                let addr = below(END);
                let found = if nr == 0 {
                    assert!(!space.lock_vma_under_rcu(&mut held, addr).is_not_mapped());
                    space.vma_start_read_unlocked(&mut held, addr)
                } else {
                    space.lock_next_vma(&mut held, addr, &cancel)
                };
                let found = found.expect("room").expect("mapped throughout");
                assert!(found.range().contains(&addr), "{addr} is mapped throughout");
                found.look('a', &found.range());
            }
        })
    });
    model::i_am("writer");
    for _ in 0..4 {
        move_border(&mut space.write(&mut held));
    }
    for thread in readers {
        thread.join().expect("no anomaly");
    }
    all_is_well(&space);
}

/// The same with one change and one lookup, so that what lies between two steps of the lookup can
/// be the whole change.
fn no_hole<S: ReadScheme>() {
    let slab = Slab::new();
    let mut tree = Tree::<S>::new_in(&slab);
    for range in [0..30, 30..50, 50..END] {
        let known = Known::new('a', range.clone());
        assert!(tree.insert(range, known).is_ok());
    }
    let space: Arc<Space<S>> = Arc::new(AddressSpace::new(tree));
    let reader = {
        let space = Arc::clone(&space);
        model::spawn("reader", move || {
            let mut held = Held::nothing();
            let addr = 20 + below(40);
            let found = if below(2) == 0 {
                space.vma_start_read_unlocked(&mut held, addr)
            } else {
                space.lock_next_vma(&mut held, addr, &Cancel::with_wait())
            };
            let found = found.expect("room").expect("mapped throughout");
            assert!(found.range().contains(&addr), "{addr} is mapped throughout");
            found.look('a', &found.range());
        })
    };
    model::i_am("writer");
    move_border(&mut space.write(&mut Held::nothing()));
    reader.join().expect("no anomaly");
}

#[test]
fn one_change_leaves_no_hole_counted() {
    explore(no_hole::<Counted>);
}

#[test]
fn one_change_leaves_no_hole_biased() {
    explore(no_hole::<Biased>);
}

/// A change after which all is mapped that was.
fn move_border<S: ReadScheme>(tree: &mut Tree<S>) {
    let told = |fate: Fate<'_, Known>| {
        if let Fate::Trimmed(was, is, known) = fate {
            known.is_mine(&was);
            known.range = is;
        }
    };
    let addr = below(END);
    let vma = tree.at(addr).map(VmaRef::range).expect("mapped");
    match below(4) {
        0 if vma.start < addr => {
            if tree.split(addr, Known::new('a', addr..vma.end)).is_ok() {
                tree.write_lock(vma.start).expect("below").range = vma.start..addr;
            }
        }
        1 => {
            let wide = vma.start..(vma.end + below(12)).min(END);
            if let Ok(mut grown) = tree.expand(addr, wide.clone(), told) {
                grown.range = wide;
            }
        }
        2 => {
            let wide = vma.start.saturating_sub(below(12))..vma.end;
            if let Ok(mut grown) = tree.expand(addr, wide.clone(), told) {
                grown.range = wide;
            }
        }
        _ => {
            // Freed and mapped again, in one section.
            assert!(tree.clear(vma.clone(), told).is_ok());
            let again = Known::new('a', vma.clone());
            assert!(tree.insert(vma, again).is_ok(), "just freed");
        }
    }
}

#[test]
fn what_is_mapped_throughout_is_found_counted() {
    explore(no_holes::<Counted>);
}

#[test]
fn what_is_mapped_throughout_is_found_biased() {
    explore(no_holes::<Biased>);
}
