//! The processes that a local AWS runs functions in.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

/// A process that runs a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sandbox {
    pid: u32,
}

impl Sandbox {
    /// The child of `parent` that runs `function` and has the client's end `peer` of a connection
    /// on this machine: None if there is none, or none any more.
    pub(super) fn behind(peer: SocketAddr, parent: u32, function: &str) -> Option<Self> {
        let sockets = fs::read_to_string("/proc/net/tcp").ok()?;
        let sockets = inodes(&sockets, peer.port());
        children(parent)
            .into_iter()
            .filter(|pid| runs(*pid, function))
            .find(|pid| {
                let files = fs::read_dir(format!("/proc/{pid}/fd"));
                files.into_iter().flatten().flatten().any(|file| {
                    fs::read_link(file.path())
                        .is_ok_and(|link| sockets.contains(&*link.to_string_lossy()))
                })
            })
            .map(Self::of)
    }

    /// The process of that id.
    pub(super) fn of(pid: u32) -> Self {
        Self { pid }
    }

    /// Kills it with -9. Whether it was there to be killed.
    pub(super) fn kill(self) -> bool {
        let pid = self.pid.to_string();
        let killed = Command::new("kill").args(["-KILL", &pid]).status();
        killed.is_ok_and(|status| status.success())
    }
}

/// The sockets whose own port is `port`, in the table of proc_pid_net(5), as files are linked to
/// them. Connections to two servers may have the same.
fn inodes(table: &str, port: u16) -> BTreeSet<String> {
    let sockets = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (_, own) = fields.nth(1)?.split_once(':')?;
        let is_it = u16::from_str_radix(own, 16) == Ok(port);
        let inode = fields.nth(7).filter(|inode| is_it && *inode != "0");
        inode.map(|inode| format!("socket:[{inode}]"))
    });
    sockets.collect()
}

fn children(parent: u32) -> Vec<u32> {
    let parent = parent.to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // The name before may hold anything, but for a parenthesis after its own.
            let rest = stat.rsplit_once(") ").map(|(_, rest)| rest);
            rest.and_then(|rest| rest.split(' ').nth(1)) == Some(&parent)
        })
        .collect()
}

fn runs(pid: u32, function: &str) -> bool {
    let named = format!("AWS_LAMBDA_FUNCTION_NAME={function}");
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == named.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::{Child, Stdio};

    use super::*;

    fn start(function: &str, port: u16) -> Child {
        let client = "exec 3<>/dev/tcp/127.0.0.1/$0; exec sleep 600";
        Command::new("bash")
            .args(["-c", client, &port.to_string()])
            .env("AWS_LAMBDA_FUNCTION_NAME", function)
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    #[test]
    fn the_process_behind_a_connection_is_found_and_killed() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let (mut one, mut other) = (start("ruler", port), start("slack", port));
        let found: Vec<Option<Sandbox>> = [(); 2]
            .map(|()| server.accept().unwrap())
            .iter()
            .map(|(_, peer)| Sandbox::behind(*peer, std::process::id(), "ruler"))
            .collect();
        let ruler = Sandbox::of(one.id());
        assert!(found.contains(&Some(ruler)), "{found:?}");
        assert!(found.contains(&None), "{found:?}");
        assert!(ruler.kill());
        assert!(!one.wait().unwrap().success());
        assert_eq!(other.try_wait().unwrap(), None, "it lives");
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
