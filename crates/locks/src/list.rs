//! A list of things on the stacks of waiting threads.
//!
//! # Safety
//!
//! A [`Node`] is linked from [`List::push_back`] to [`List::pop_front`] or [`List::unlink`], and
//! whoever pushed it keeps it in place and alive that long. Links are cells that are touched only
//! through the list, and the list is behind a mutex: one thread at a time.
#![expect(unsafe_code, reason = "follows links between stacks")]

use core::cell::Cell;
use core::ptr;

/// First in, first out.
#[derive(Debug)]
pub(crate) struct List<T> {
    first: *const Node<T>,
    last: *const Node<T>,
}

/// One waiting thread's entry.
#[derive(Debug)]
pub(crate) struct Node<T> {
    pub(crate) item: T,
    prev: Cell<*const Node<T>>,
    next: Cell<*const Node<T>>,
}

// SAFETY: The list reaches nodes of other threads: their links only through itself, which is one
// thread at a time, their items by shared reference.
unsafe impl<T: Sync> Send for List<T> {}

impl<T> Node<T> {
    pub(crate) fn new(item: T) -> Self {
        Self {
            item,
            prev: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
        }
    }
}

impl<T> List<T> {
    pub(crate) const fn new() -> Self {
        Self {
            first: ptr::null(),
            last: ptr::null(),
        }
    }

    /// The item that is first in line.
    pub(crate) fn front(&self) -> Option<&T> {
        // SAFETY: Linked, hence alive while the list is borrowed.
        unsafe { self.first.as_ref() }.map(|node| &node.item)
    }

    /// Puts a node at the end.
    ///
    /// # Safety
    ///
    /// The node is in no list, and stays in place and alive until it has left this one.
    pub(crate) unsafe fn push_back(&mut self, node: &Node<T>) {
        node.prev.set(self.last);
        node.next.set(ptr::null());
        // SAFETY: Linked, hence alive.
        match unsafe { self.last.as_ref() } {
            Some(last) => last.next.set(node),
            None => self.first = node,
        }
        self.last = node;
    }

    /// Takes the first node out and shows its item to `visit`: afterwards its owner may end it.
    pub(crate) fn pop_front<R>(&mut self, visit: impl FnOnce(&T) -> R) -> Option<R> {
        // SAFETY: Linked, hence alive; its owner needs the list to find out that it is not.
        let node = unsafe { self.first.as_ref() }?;
        // SAFETY: The first node of this list is in this list.
        unsafe { self.unlink(node) };
        Some(visit(&node.item))
    }

    /// Takes a node out.
    ///
    /// # Safety
    ///
    /// The node is in this list.
    pub(crate) unsafe fn unlink(&mut self, node: &Node<T>) {
        // SAFETY: Neighbours are linked, hence alive.
        match unsafe { node.prev.get().as_ref() } {
            Some(prev) => prev.next.set(node.next.get()),
            None => self.first = node.next.get(),
        }
        // SAFETY: As above.
        match unsafe { node.next.get().as_ref() } {
            Some(next) => next.prev.set(node.prev.get()),
            None => self.last = node.prev.get(),
        }
    }

    /// Shows every item to `visit`, in order.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&T)) {
        let mut at = self.first;
        // SAFETY: Linked, hence alive while the list is borrowed.
        while let Some(node) = unsafe { at.as_ref() } {
            visit(&node.item);
            at = node.next.get();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn items(list: &List<u32>) -> Vec<u32> {
        let mut items = Vec::new();
        list.for_each(|item| items.push(*item));
        items
    }

    #[test]
    fn nodes_leave_from_anywhere() {
        let nodes = [1, 2, 3, 4].map(Node::new);
        let mut list = List::new();
        for node in &nodes {
            // SAFETY: The nodes outlive the list's use of them.
            unsafe { list.push_back(node) };
        }
        // SAFETY: It is in the list.
        unsafe { list.unlink(&nodes[1]) };
        assert_eq!(items(&list), [1, 3, 4]);
        // SAFETY: It is in the list.
        unsafe { list.unlink(&nodes[3]) };
        assert_eq!(list.pop_front(|item| *item), Some(1));
        assert_eq!(items(&list), [3]);
        assert_eq!(list.pop_front(|item| *item), Some(3));
        assert_eq!(list.front(), None);
    }
}
