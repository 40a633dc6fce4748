//! Where to listen.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 64;

/// An address and a port; one that stands for all addresses does so for both families, as in
/// Prometheus and its exporters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(SocketAddr);

/// Why a text is no [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write it as ADDRESS:PORT with an IP address: 0.0.0.0:9417, [::1]:9417, :9417")]
pub struct NotAnAddress;

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let address = match text.strip_prefix(':') {
            Some(port) => port
                .parse()
                .map(|port| (Ipv4Addr::UNSPECIFIED, port).into())
                .ok(),
            None => text.parse().ok(),
        };
        address.map(Self).ok_or(NotAnAddress)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Address {
    /// Listens there. Where all addresses are meant and the machine has no IPv6, on those of IPv4.
    ///
    /// # Errors
    /// Where the port is taken, or the address is not this machine's.
    pub fn listen(self) -> io::Result<TcpListener> {
        let Self(address) = self;
        let everywhere = |ip: IpAddr| SocketAddr::from((ip, address.port()));
        if !address.ip().is_unspecified() {
            return bind(address);
        }
        let both = bind(everywhere(Ipv6Addr::UNSPECIFIED.into()));
        match both {
            Err(error) if has_no_ipv6(&error) => bind(everywhere(Ipv4Addr::UNSPECIFIED.into())),
            both => both,
        }
    }
}

fn has_no_ipv6(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)
    )
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restart need not wait for the connections of the one before.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, expected) in [
            ("0.0.0.0:9417", Some("0.0.0.0:9417")),
            (":9417", Some("0.0.0.0:9417")),
            ("[::1]:80", Some("[::1]:80")),
            ("10.0.1.11:0", Some("10.0.1.11:0")),
            ("localhost:9417", None),
            ("9417", None),
            ("::1:9417", None),
            (":", None),
            ("0.0.0.0:65536", None),
        ] {
            let address = text.parse::<Address>().map(|it| it.to_string());
            assert_eq!(address.ok().as_deref(), expected, "{text}");
        }
    }
}
