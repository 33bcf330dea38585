//! A place in a book: a number that stands for a page, and the way to it.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

/// Pages are never thrown away, so that millions of states can point at them without counting. One book gives each number
/// once, so the number is the page.
pub struct Place<T: 'static> {
    no: u32,
    page: &'static T,
}

impl<T> Place<T> {
    pub fn new(no: u32, page: T) -> Self {
        Self { no, page: Box::leak(Box::new(page)) }
    }

    /// What stands there, for as long as the process lives.
    pub fn page(self) -> &'static T {
        self.page
    }
}

impl<T> Deref for Place<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.page
    }
}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<T> {}

impl<T> PartialEq for Place<T> {
    fn eq(&self, other: &Self) -> bool {
        self.no == other.no
    }
}

impl<T> Eq for Place<T> {}

impl<T> Hash for Place<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.no.hash(state);
    }
}

impl<T> PartialOrd for Place<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Place<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.no.cmp(&other.no)
    }
}

impl<T> fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {}", self.no)
    }
}
