//! The program as a user has it: the binary that `tests/run` builds first.

use std::path::PathBuf;
use std::process::{Command, Output};

/// A call of `dnswatch`, without anything of this machine's environment that could steer it.
pub(crate) fn dnswatch() -> Command {
    let mut command = Command::new(binary("dnswatch"));
    command.env_remove("DNSWATCH_URL").env_remove("RUST_LOG");
    command
}

/// A program of this workspace: beside the folder that this test's own binary is in.
pub(crate) fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its binary");
    let folder = test.ancestors().nth(2).expect("it is in target/debug/deps");
    let binary = folder.join(name);
    assert!(
        binary.is_file(),
        "{} is missing: cargo build --bin {name}",
        binary.display()
    );
    binary
}

/// Runs a call to its end.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// What a call printed, standard output and standard error, one after the other.
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}
