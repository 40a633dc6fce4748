//! How an optimised build for Linux is linked, which is what is deployed: for its start.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=layout.ld");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    // A build for development unwinds, from a test that fails.
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    let folder = var("CARGO_MANIFEST_DIR").unwrap_or_default();
    // At an address that is given, the loader has nothing to relocate: a third of a megabyte of
    // tables stays as it is in the file. Heap, stacks and libraries are still anywhere.
    for argument in ["-no-pie", &format!("-Wl,-T,{folder}/layout.ld")] {
        println!("cargo::rustc-link-arg-bins={argument}");
        // `bare` and `handshake`, which `make bench` compares with.
        println!("cargo::rustc-link-arg-examples={argument}");
    }
}
