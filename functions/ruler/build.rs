//! Hands `layout.ld` to the linker of an optimised build for Linux.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=layout.ld");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    // A build for development unwinds when a test panics, and that needs the tables which the
    // layout leaves out.
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let folder = var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{folder}/layout.ld");
    }
}
