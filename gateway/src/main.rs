//! The entry point; what it starts is in the library.

fn main() {}
