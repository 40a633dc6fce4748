//! How an optimised build for Linux is linked, which is what is deployed: for its start.

use std::env::var;
use std::fmt::Write as _;
use std::fs;
use std::io::Result;
use std::path::Path;

/// What runs until the first event is waited for, as `bench/start_order.py` found it.
const START: &str = include_str!("start-order.txt");

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=start-order.txt");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    // A build for development unwinds, from a test that fails.
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return Ok(());
    }
    let script = Path::new(&var("OUT_DIR").unwrap_or_default()).join("layout.ld");
    fs::write(&script, layout())?;
    // At an address that is given, the loader has nothing to relocate: a third of a megabyte of
    // tables stays as it is in the file. Heap, stacks and libraries are still anywhere.
    for argument in ["-no-pie", &format!("-Wl,-T,{}", script.display())] {
        println!("cargo::rustc-link-arg-bins={argument}");
        // What `make bench` compares with.
        println!("cargo::rustc-link-arg-examples={argument}");
    }
    Ok(())
}

/// What is added to the linker's own layout.
///
/// The functions of the start lie side by side, in a section before all others: the kernel maps code
/// by windows of 64 KB, and of those that lie scattered each brings a window of its own. A name that
/// is not there any more is passed over.
///
/// Nothing unwinds, since a panic ends the process: there are no tables to unwind by.
fn layout() -> String {
    let mut start = String::new();
    for name in START.lines().filter(|line| !line.starts_with('#')) {
        // The compiler keeps those that it takes for rarely called in sections of another name.
        let _ = writeln!(start, "    *(.text.{name} .text.unlikely.{name})");
    }
    format!(
        "SECTIONS\n{{\n  .text.start : {{\n{start}  }}\n}}\nINSERT BEFORE .text;\n\
         SECTIONS\n{{\n  /DISCARD/ : {{ *(.eh_frame) *(.eh_frame_hdr) }}\n}}\nINSERT AFTER .text;\n"
    )
}
