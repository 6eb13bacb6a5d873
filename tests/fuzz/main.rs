//! The entry for libFuzzer: hands each input to the target that `FUZZ_TARGET` names.
#![no_main]
#![expect(clippy::expect_used, reason = "a fuzzer without a target has nothing to do")]

use std::env;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = env::var("FUZZ_TARGET").expect("FUZZ_TARGET, the name of a target");
    fuzz::target(&name).expect("a target of this name").run
});

fuzz_target!(|input: &[u8]| RUN(input));
