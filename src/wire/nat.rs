//! Asking a router for a port: NAT-PMP (RFC 6886) and its successor PCP (RFC 6887), as far as a mapping of one TCP or
//! UDP port needs them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// The UDP port that routers listen on.
pub const PORT: u16 = 5351;
/// The largest answer of either protocol.
pub const ANSWER: usize = 1100;

/// What is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A mapping that is wished for, or renewed; with a lifetime of 0 it is taken away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// What is mapped.
    pub transport: Transport,
    /// Our port.
    pub internal: u16,
    /// The port outside that would be best, 0 for any.
    pub external: u16,
    /// How long, in seconds.
    pub lifetime: u32,
}

/// A mapping that was granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Granted {
    /// The port outside.
    pub external: u16,
    /// The address outside, where the answer tells it.
    pub address: Option<IpAddr>,
    /// How long, in seconds.
    pub lifetime: u32,
}

/// Why there is no mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NatError {
    /// Not an answer to what was asked.
    #[error("it answers something else")]
    Unrelated,
    /// It speaks the other protocol only.
    #[error("it does not speak this version")]
    Version,
    /// It is not allowed to.
    #[error("it is not allowed there")]
    Refused,
    /// It has no address outside itself.
    #[error("the router has no connection itself")]
    NoNetwork,
    /// It has no place for more.
    #[error("the router has no more places")]
    Full,
    /// Another code.
    #[error("the router answers with error {0}")]
    Other(u16),
}

/// A request of NAT-PMP.
#[must_use]
pub fn pmp_request(wish: &Wish) -> [u8; 12] {
    let mut out = [0; 12];
    out[1] = pmp_code(wish.transport);
    out[4..6].copy_from_slice(&wish.internal.to_be_bytes());
    out[6..8].copy_from_slice(&wish.external.to_be_bytes());
    out[8..].copy_from_slice(&wish.lifetime.to_be_bytes());
    out
}

/// The request of NAT-PMP for the address outside.
pub const PMP_ADDRESS: [u8; 2] = [0, 0];

const fn pmp_code(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
    }
}

/// Reads the answer of NAT-PMP to a wish.
///
/// # Errors
/// Why there is no mapping.
pub fn pmp_answer(bytes: &[u8], wish: &Wish) -> Result<Granted, NatError> {
    let Some(head) = bytes.first_chunk::<4>() else { return Err(NatError::Unrelated) };
    if head[0] != 0 || head[1] != 128 + pmp_code(wish.transport) {
        return Err(NatError::Unrelated);
    }
    pmp_result(u16::from_be_bytes([head[2], head[3]]))?;
    let Some(all) = bytes.first_chunk::<16>() else { return Err(NatError::Unrelated) };
    if u16::from_be_bytes([all[8], all[9]]) != wish.internal {
        return Err(NatError::Unrelated);
    }
    let external = u16::from_be_bytes([all[10], all[11]]);
    Ok(Granted { external, address: None, lifetime: u32::from_be_bytes([all[12], all[13], all[14], all[15]]) })
}

/// Reads the answer to [`PMP_ADDRESS`].
///
/// # Errors
/// Why there is no address.
pub fn pmp_address(bytes: &[u8]) -> Result<Ipv4Addr, NatError> {
    let Some(all) = bytes.first_chunk::<12>().filter(|all| all[0] == 0 && all[1] == 128) else {
        return Err(NatError::Unrelated);
    };
    pmp_result(u16::from_be_bytes([all[2], all[3]]))?;
    Ok(Ipv4Addr::new(all[8], all[9], all[10], all[11]))
}

const fn pmp_result(code: u16) -> Result<(), NatError> {
    match code {
        0 => Ok(()),
        1 => Err(NatError::Version),
        2 => Err(NatError::Refused),
        3 => Err(NatError::NoNetwork),
        4 => Err(NatError::Full),
        other => Err(NatError::Other(other)),
    }
}

/// A request of PCP from `client`, our address as the router sees it. `nonce` is ours alone and the same for each
/// renewal and for the end of the mapping.
#[must_use]
pub fn pcp_request(wish: &Wish, client: IpAddr, nonce: [u8; 12]) -> [u8; 60] {
    let mut out = [0; 60];
    (out[0], out[1]) = (2, 1);
    out[4..8].copy_from_slice(&wish.lifetime.to_be_bytes());
    out[8..24].copy_from_slice(&six(client).octets());
    out[24..36].copy_from_slice(&nonce);
    out[36] = pcp_protocol(wish.transport);
    out[40..42].copy_from_slice(&wish.internal.to_be_bytes());
    out[42..44].copy_from_slice(&wish.external.to_be_bytes());
    // Any address outside, of the family of our own.
    let any = if client.is_ipv4() { six(Ipv4Addr::UNSPECIFIED.into()) } else { Ipv6Addr::UNSPECIFIED };
    out[44..].copy_from_slice(&any.octets());
    out
}

const fn pcp_protocol(transport: Transport) -> u8 {
    match transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    }
}

/// IPv4 addresses travel in IPv6 clothes.
const fn six(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// Reads the answer of PCP to a wish; one of a router that only speaks NAT-PMP says [`NatError::Version`].
///
/// # Errors
/// Why there is no mapping.
pub fn pcp_answer(bytes: &[u8], wish: &Wish, nonce: [u8; 12]) -> Result<Granted, NatError> {
    match bytes {
        [0, ..] => return Err(NatError::Version),
        [2, 129, ..] => {}
        _ => return Err(NatError::Unrelated),
    }
    match bytes.get(3).copied().ok_or(NatError::Unrelated)? {
        0 => {}
        1 => return Err(NatError::Version),
        2 => return Err(NatError::Refused),
        7 => return Err(NatError::NoNetwork),
        8 | 10 => return Err(NatError::Full),
        other => return Err(NatError::Other(other.into())),
    }
    let Some(all) = bytes.first_chunk::<60>() else { return Err(NatError::Unrelated) };
    let same = all[24..36] == nonce && all[36] == pcp_protocol(wish.transport);
    if !same || u16::from_be_bytes([all[40], all[41]]) != wish.internal {
        return Err(NatError::Unrelated);
    }
    let mut octets = [0; 16];
    octets.copy_from_slice(&all[44..]);
    let address = Ipv6Addr::from(octets).to_canonical();
    Ok(Granted {
        external: u16::from_be_bytes([all[42], all[43]]),
        address: (!address.is_unspecified()).then_some(address),
        lifetime: u32::from_be_bytes([all[4], all[5], all[6], all[7]]),
    })
}

/// The router of the default route in Linux's table of IPv4 routes (`/proc/net/route`), with the smallest metric.
#[must_use]
pub fn default_router(table: &str) -> Option<Ipv4Addr> {
    let router = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hex = |at: usize| fields.get(at).and_then(|text| u32::from_str_radix(text, 16).ok());
        let (to, router, flags, mask) = (hex(1)?, hex(2)?, hex(3)?, hex(7)?);
        let metric: u32 = fields.get(6)?.parse().ok()?;
        // Up, and by a gateway.
        let fits = to == 0 && mask == 0 && flags & 3 == 3 && router != 0;
        fits.then(|| (metric, Ipv4Addr::from(router.to_le_bytes())))
    };
    table.lines().skip(1).filter_map(router).min_by_key(|(metric, _)| *metric).map(|(_, router)| router)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WISH: Wish = Wish { transport: Transport::Tcp, internal: 6881, external: 6882, lifetime: 7200 };

    #[test]
    fn nat_pmp_asks_and_reads() {
        assert_eq!(pmp_request(&WISH), [0, 2, 0, 0, 0x1a, 0xe1, 0x1a, 0xe2, 0, 0, 0x1c, 0x20]);
        let answer = [0, 130, 0, 0, 0, 0, 0, 9, 0x1a, 0xe1, 0x1a, 0xe3, 0, 0, 0x0e, 0x10];
        let granted = Granted { external: 6883, address: None, lifetime: 3600 };
        assert_eq!(pmp_answer(&answer, &WISH), Ok(granted));
        for n in 0..answer.len() {
            assert_eq!(pmp_answer(&answer[..n], &WISH), Err(NatError::Unrelated), "{n}");
        }
        assert_eq!(pmp_answer(&answer, &Wish { transport: Transport::Udp, ..WISH }), Err(NatError::Unrelated));
        assert_eq!(pmp_answer(&answer, &Wish { internal: 1, ..WISH }), Err(NatError::Unrelated));
        assert_eq!(pmp_answer(&[0, 130, 0, 2, 0, 0, 0, 9], &WISH), Err(NatError::Refused));
        assert_eq!(pmp_address(&[0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 7]), Ok(Ipv4Addr::new(203, 0, 113, 7)));
        assert_eq!(pmp_address(&[0, 128, 0, 3, 0, 0, 0, 9, 0, 0, 0, 0]), Err(NatError::NoNetwork));
    }

    #[test]
    fn pcp_asks_and_reads() {
        let (client, nonce) = ("192.168.1.2".parse().unwrap(), [7; 12]);
        let mut bytes = pcp_request(&WISH, client, nonce);
        assert_eq!((bytes[0], bytes[1], bytes[36]), (2, 1, 6));
        assert_eq!(bytes[8..24], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 168, 1, 2]);
        assert_eq!(pcp_answer(&bytes, &WISH, nonce), Err(NatError::Unrelated), "a request is no answer");
        bytes[1] = 129;
        bytes[42..44].copy_from_slice(&7000_u16.to_be_bytes());
        bytes[44..].copy_from_slice(&Ipv4Addr::new(203, 0, 113, 7).to_ipv6_mapped().octets());
        let address = Some("203.0.113.7".parse().unwrap());
        assert_eq!(pcp_answer(&bytes, &WISH, nonce), Ok(Granted { external: 7000, address, lifetime: 7200 }));
        assert_eq!(pcp_answer(&bytes, &WISH, [8; 12]), Err(NatError::Unrelated));
        for n in 1..bytes.len() {
            assert!(pcp_answer(&bytes[..n], &WISH, nonce).is_err(), "{n}");
        }
        bytes[3] = 8;
        assert_eq!(pcp_answer(&bytes, &WISH, nonce), Err(NatError::Full));
        assert_eq!(pcp_answer(&[0, 129, 0, 1], &WISH, nonce), Err(NatError::Version), "an older router");
    }

    #[test]
    fn the_default_router_is_found_in_the_table() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
            tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\nbroken\n";
        assert_eq!(default_router(table), Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(default_router(""), None);
    }
}
