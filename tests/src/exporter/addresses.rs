//! Where it listens: all addresses of both kinds, or one; and on a machine that has no IPv6.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, ensure};

use super::namespace::Namespace;
use super::program::listening;
use crate::parts;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Whether it answers at an address of the namespace.
fn answers(namespace: &Namespace, at: IpAddr, port: u16) -> Result<bool> {
    let Ok(mut connection) = namespace.connect((at, port).into()) else {
        return Ok(false);
    };
    connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(true)
}

async fn check(namespace: &Namespace, listen: &str, expected: [bool; 2]) -> Result<()> {
    let (_folder, _process, port) = listening(namespace, listen, &[]).await?;
    let at = [answers(namespace, V4, port)?, answers(namespace, V6, port)?];
    ensure!(at == expected, "--listen={listen}: IPv4, IPv6: {at:?}");
    Ok(())
}

#[tokio::test]
async fn it_listens_on_the_given_address() -> Result<()> {
    let Some(()) = parts::network_namespaces() else {
        return Ok(());
    };
    let namespace = Namespace::new().await?;
    // A kernel without IPv6 has no such file; the machines of the second half are all there is.
    if std::fs::exists("/proc/net/if_inet6")? {
        for (listen, expected) in [
            ("0.0.0.0:0", [true, true]),
            ("[::]:0", [true, true]),
            (":0", [true, true]),
            ("127.0.0.1:0", [true, false]),
            ("[::1]:0", [false, true]),
        ] {
            check(&namespace, listen, expected).await?;
        }
        let off = "mount -t proc proc /proc && echo 1 | tee /proc/sys/net/ipv6/conf/*/disable_ipv6";
        ensure!(
            namespace
                .command()
                .args(["sh", "-c", off])
                .output()?
                .status
                .success()
        );
    }
    for listen in ["0.0.0.0:0", "[::]:0", ":0", "127.0.0.1:0"] {
        check(&namespace, listen, [true, false]).await?;
    }
    Ok(())
}
