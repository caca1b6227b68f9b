//! What a write puts over its range.

use super::build::{Item, Items};
use crate::span::Span;
use core::ptr::{self, NonNull};

/// One word for the whole range, or one for its first part and one for the rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill {
    /// Where the first part ends, and its word.
    first_part: Option<(u64, *mut ())>,
    /// The word of the rest.
    raw: *mut (),
}

impl Fill {
    /// Nothing: the range is emptied.
    pub(crate) const fn nothing() -> Self {
        Self {
            first_part: None,
            raw: ptr::null_mut(),
        }
    }

    /// The entry of this word.
    pub(crate) fn entry(raw: NonNull<()>) -> Self {
        Self {
            first_part: None,
            raw: raw.as_ptr(),
        }
    }

    /// `below`, or nothing, up to `last`, and the entry of `raw` above.
    ///
    /// The range must begin inside an entry, and end with it: then what is put there and what is
    /// left make three items at most, and no two of them are empty.
    pub(crate) fn two_parts(last: u64, below: Option<NonNull<()>>, raw: NonNull<()>) -> Self {
        Self {
            first_part: Some((last, below.map_or(ptr::null_mut(), NonNull::as_ptr))),
            raw: raw.as_ptr(),
        }
    }

    /// Whether the range is emptied.
    #[inline]
    pub(super) fn is_erasure(self) -> bool {
        self.raw.is_null()
    }

    /// Its longest empty part, if it covers `span`.
    #[inline]
    pub(super) fn widest_empty(self, span: Span) -> u64 {
        if self.raw.is_null() {
            return span.len_less_one().wrapping_add(1);
        }
        match self.first_part {
            Some((last, raw)) if raw.is_null() => last - span.first + 1,
            _ => 0,
        }
    }

    /// How many slots it takes.
    #[inline]
    pub(super) fn nr_slots(self) -> usize {
        1 + usize::from(self.first_part.is_some())
    }

    /// Puts it behind `items`, for a range that ends with `last`.
    #[inline]
    pub(super) fn put(self, items: &mut Items, last: u64) {
        if let Some((last, raw)) = self.first_part {
            items.push(Item::slot(raw, last));
        }
        items.push(Item::slot(self.raw, last));
    }
}
