//! A request becomes files.
