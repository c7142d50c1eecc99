//! What holds for every disk layout, and for every set of elements: each test
//! tries some hundreds, and cuts one that fails down to the smallest that does.

mod layout;
mod resolver;

use proptest::test_runner::Config;

/// Failures are told, not kept in a file beside the sources.
fn cases(count: u32) -> Config {
    Config {
        cases: count,
        failure_persistence: None,
        ..Config::default()
    }
}
