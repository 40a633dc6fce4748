//! `html`, `js` and `urlquery`, and reading the parts of addresses.

use std::net::{IpAddr, Ipv6Addr};

use super::quote::{Piece, pieces};
use super::unicode::is_print;

/// `template.HTMLEscape`.
pub(super) fn html(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            0 => escaped.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => escaped.extend_from_slice(b"&#34;"),
            b'\'' => escaped.extend_from_slice(b"&#39;"),
            b'&' => escaped.extend_from_slice(b"&amp;"),
            b'<' => escaped.extend_from_slice(b"&lt;"),
            b'>' => escaped.extend_from_slice(b"&gt;"),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

/// `template.JSEscape`.
pub(super) fn js(text: &[u8]) -> Vec<u8> {
    let mut escaped = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Char('\\') => escaped.push_str("\\\\"),
            Piece::Char('\'') => escaped.push_str("\\'"),
            Piece::Char('"') => escaped.push_str("\\\""),
            Piece::Char(c @ ('<' | '>' | '&' | '=')) => {
                escaped.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            Piece::Char(c) if c < ' ' => escaped.push_str(&format!("\\u{:04X}", u32::from(c))),
            Piece::Char(c) if c.is_ascii() || is_print(c) => escaped.push(c),
            Piece::Char(c) => escaped.push_str(&format!("\\u{:04X}", u32::from(c))),
            Piece::Byte(_) => escaped.push_str("\\uFFFD"),
        }
    }
    escaped.into_bytes()
}

/// `url.QueryEscape`.
pub(super) fn url_query(text: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(*byte));
            }
            b' ' => escaped.push('+'),
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// `net.SplitHostPort`: `None` where the text is no host with a port.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let colon = text.rfind(':')?;
    let port = text.get(colon + 1..)?;
    let host = text.get(..colon)?;
    let host = match host.strip_prefix('[') {
        Some(inside) => {
            let inside = inside.strip_suffix(']')?;
            if inside.contains(']') {
                return None;
            }
            inside
        }
        None if host.contains(':') => return None,
        None => host,
    };
    if host.contains(['[', ']']) && !text.starts_with('[') || port.contains(['[', ']']) {
        return None;
    }
    if text.starts_with('[') && host.contains('[') {
        return None;
    }
    Some((host, port))
}

/// `stripPort`.
pub(super) fn strip_port(text: &str) -> &str {
    split_host_port(text).map_or(text, |(host, _)| host)
}

/// `stripDomain`: an address stays whole, a name loses what follows its first dot.
pub(super) fn strip_domain(text: &str) -> String {
    let (host, port) = split_host_port(text).unwrap_or((text, ""));
    if is_address(host) {
        return text.to_owned();
    }
    let host = host.split('.').next().unwrap_or("");
    if port.is_empty() {
        host.to_owned()
    } else if host.contains(':') || host.contains('%') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Whether Go's `netip.ParseAddr` reads it: an address of IPv4 or IPv6, the latter perhaps with a
/// zone (`fe80::1%eth0.100`).
fn is_address(host: &str) -> bool {
    match host.split_once('%') {
        None => host.parse::<IpAddr>().is_ok(),
        Some((address, zone)) => !zone.is_empty() && address.parse::<Ipv6Addr>().is_ok(),
    }
}

/// The path of a URL, decoded.
pub(super) fn url_path(url: &str) -> Vec<u8> {
    let rest = url.split(['?', '#']).next().unwrap_or("");
    let path = match rest.split_once("://") {
        Some((_, after)) => after.find('/').and_then(|at| after.get(at..)).unwrap_or(""),
        None => rest,
    };
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        if byte == b'%'
            && let (Some(high), Some(low)) = (digit(ahead.next()), digit(ahead.next()))
            && let Ok(value) = u8::try_from(high * 16 + low)
        {
            decoded.push(value);
            bytes = ahead;
        } else {
            decoded.push(byte);
        }
    }
    decoded
}
