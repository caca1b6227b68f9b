//! What a VMA publishes for those who look at it without a lock.

use crate::published::{Glimpse, Published};
use crate::sequence::{Known, MmSeq};
use crate::slot::TreeId;
use core::num::NonZeroUsize;
use maple_tree::Span;
use std::sync::Arc;
use vmaple_sync::model::{self, Preemptions};

/// A VMA's words, and the number of the address space that it is in.
struct Model {
    seq: MmSeq,
    published: Published,
}

fn tree(name: usize) -> TreeId {
    TreeId(NonZeroUsize::new(name).expect("not 0"))
}

impl Model {
    /// In tree 1, in a section that is over.
    fn new() -> Arc<Self> {
        let model = Model {
            seq: MmSeq::new(),
            published: Published::new(),
        };
        model.published.fill(tree(1), Span::new(1, 1), 1);
        model.published.open(model.seq.begin());
        model.seq.end();
        Arc::new(model)
    }

    /// Says the value three times over: what is seen must be one value.
    fn say(&self, value: u64) {
        self.published.set_span(Span::new(value, value));
        self.published.set_facts(value);
    }

    /// Writes in a section of its own.
    fn write(&self, value: u64) {
        self.published.claim(self.seq.begin());
        self.say(value);
        self.seq.end();
    }

    fn glance(&self, known: &Known) -> Option<u64> {
        glance(&self.published, &self.seq, known, 1)
    }
}

/// Looks at the words as at a VMA of the tree, whose sections `seq` counts.
fn glance(published: &Published, seq: &MmSeq, known: &Known, name: usize) -> Option<u64> {
    let (Glimpse { span, facts }, ()) = published.glance(seq, known, tree(name), || ())?;
    let facts = facts.get();
    assert_eq!((span.first, span.last), (facts, facts), "a mix");
    Some(facts)
}

#[test]
fn a_glimpse_is_no_mix() {
    model::check_with(Preemptions::AtMost(4), || {
        let model = Model::new();
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || {
                let known = Known::default();
                known.read(&model.seq);
                model.glance(&known)
            })
        };
        model::i_am("writer");
        model.write(2);
        model.write(3);
        let seen = reader.join().expect("no anomaly");
        assert!(seen.is_none_or(|value| value <= 3), "{seen:?}");
        let last = model.glance(&Known::default());
        assert_eq!(last, Some(3), "nobody writes");
    });
}

/// The memory of a VMA goes to another address space, whose sections have the same numbers: nothing
/// of it is taken for ours.
#[test]
fn a_glimpse_of_memory_used_again() {
    model::check_with(Preemptions::AtMost(4), || {
        let model = Model::new();
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || {
                let known = Known::default();
                known.read(&model.seq);
                model.glance(&known)
            })
        };
        model::i_am("writer");
        model.published.claim(model.seq.begin());
        model.published.close();
        model.seq.end();
        // Another tree: its numbers begin where the first one's do.
        let other = MmSeq::new();
        model.published.fill(tree(2), Span::new(2, 2), 2);
        model.published.open(other.begin());
        other.end();
        let seen = reader.join().expect("no anomaly");
        assert!(seen.is_none_or(|value| value == 1), "{seen:?}");
        let there = glance(&model.published, &other, &Known::default(), 2);
        assert_eq!(there, Some(2));
    });
}

/// What is read along with the words is of the same moment: a section writes it, too.
#[test]
fn what_is_read_along_belongs_to_the_glimpse() {
    use vmaple_sync::atomic::{AtomicU64, Ordering};
    model::check_with(Preemptions::AtMost(4), || {
        let model = Model::new();
        let along = Arc::new(AtomicU64::new(1));
        let reader = {
            let (model, along) = (Arc::clone(&model), Arc::clone(&along));
            model::spawn("reader", move || {
                let (known, read) = (Known::default(), || along.load(Ordering::Relaxed));
                let seen = model.published.glance(&model.seq, &known, tree(1), read);
                seen.map(|(seen, along)| (seen.facts.get(), along))
            })
        };
        model::i_am("writer");
        model.published.claim(model.seq.begin());
        model.say(2);
        along.store(2, Ordering::Relaxed);
        model.seq.end();
        let seen = reader.join().expect("no anomaly");
        assert!(seen.is_none_or(|(facts, along)| facts == along), "{seen:?}");
    });
}
