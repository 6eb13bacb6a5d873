//! The formats of lists.
