//! Port mapping: codecs for NAT-PMP (RFC 6886) and its successor PCP (RFC 6887).
//!
//! Only the subset that maps one TCP or UDP port and asks for the external address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// UDP port of NAT-PMP and PCP servers.
pub const PORT: u16 = 5351;
/// Maximum size of a response of either protocol in bytes.
pub const ANSWER: usize = 1100;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Tcp,
    Udp,
}

/// A request to create, renew or delete a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MappingRequest {
    pub transport: Transport,
    /// Internal port.
    pub internal: u16,
    /// Suggested external port; 0 for any.
    pub external: u16,
    /// Requested lifetime in seconds; 0 deletes the mapping.
    pub lifetime: u32,
}

/// A mapping that the router created or renewed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MappingResponse {
    /// External port.
    pub external: u16,
    /// External address if the response contains it.
    pub address: Option<IpAddr>,
    /// Lifetime in seconds.
    pub lifetime: u32,
}

/// Reason why a mapping request failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MappingError {
    /// The datagram is not a response to the request.
    #[error("it answers something else")]
    Unrelated,
    /// The router does not support this protocol version.
    #[error("it does not speak this version")]
    Version,
    /// The router refuses mappings (`NOT_AUTHORIZED`).
    #[error("it is not allowed there")]
    NotAuthorized,
    /// The router has no external address (`NETWORK_FAILURE`).
    #[error("the router has no connection itself")]
    NetworkFailure,
    /// The router is out of resources or the quota of this host is used up.
    #[error("the router has no more places")]
    OutOfResources,
    /// Another result code.
    #[error("the router answers with error {0}")]
    Other(u16),
}

/// Encodes a NAT-PMP mapping request.
#[must_use]
pub fn pmp_request(wish: &MappingRequest) -> [u8; 12] {
    let mut out = [0; 12];
    out[1] = pmp_code(wish.transport);
    out[4..6].copy_from_slice(&wish.internal.to_be_bytes());
    out[6..8].copy_from_slice(&wish.external.to_be_bytes());
    out[8..].copy_from_slice(&wish.lifetime.to_be_bytes());
    out
}

/// NAT-PMP request for the external address.
pub const PMP_ADDRESS: [u8; 2] = [0, 0];

const fn pmp_code(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
    }
}

/// Decodes the NAT-PMP response to a mapping request.
///
/// # Errors
/// If the response belongs to another request or reports an error.
pub fn decode_pmp_response(bytes: &[u8], wish: &MappingRequest) -> Result<MappingResponse, MappingError> {
    let Some(head) = bytes.first_chunk::<4>() else { return Err(MappingError::Unrelated) };
    if head[0] != 0 || head[1] != 128 + pmp_code(wish.transport) {
        return Err(MappingError::Unrelated);
    }
    pmp_result(u16::from_be_bytes([head[2], head[3]]))?;
    let Some(all) = bytes.first_chunk::<16>() else { return Err(MappingError::Unrelated) };
    if u16::from_be_bytes([all[8], all[9]]) != wish.internal {
        return Err(MappingError::Unrelated);
    }
    let external = u16::from_be_bytes([all[10], all[11]]);
    Ok(MappingResponse { external, address: None, lifetime: u32::from_be_bytes([all[12], all[13], all[14], all[15]]) })
}

/// Decodes the NAT-PMP response to [`PMP_ADDRESS`].
///
/// # Errors
/// If the response belongs to another request or reports an error.
pub fn pmp_address(bytes: &[u8]) -> Result<Ipv4Addr, MappingError> {
    let Some(all) = bytes.first_chunk::<12>().filter(|all| all[0] == 0 && all[1] == 128) else {
        return Err(MappingError::Unrelated);
    };
    pmp_result(u16::from_be_bytes([all[2], all[3]]))?;
    Ok(Ipv4Addr::new(all[8], all[9], all[10], all[11]))
}

const fn pmp_result(code: u16) -> Result<(), MappingError> {
    match code {
        0 => Ok(()),
        1 => Err(MappingError::Version),
        2 => Err(MappingError::NotAuthorized),
        3 => Err(MappingError::NetworkFailure),
        4 => Err(MappingError::OutOfResources),
        other => Err(MappingError::Other(other)),
    }
}

/// Encodes a PCP MAP request. `client` is our address as the router sees it.
///
/// `nonce` identifies the mapping: renewal and deletion must use the same value, and other hosts must not know it.
#[must_use]
pub fn pcp_request(wish: &MappingRequest, client: IpAddr, nonce: [u8; 12]) -> [u8; 60] {
    let mut out = [0; 60];
    (out[0], out[1]) = (2, 1);
    out[4..8].copy_from_slice(&wish.lifetime.to_be_bytes());
    out[8..24].copy_from_slice(&six(client).octets());
    out[24..36].copy_from_slice(&nonce);
    out[36] = pcp_protocol(wish.transport);
    out[40..42].copy_from_slice(&wish.internal.to_be_bytes());
    out[42..44].copy_from_slice(&wish.external.to_be_bytes());
    // Suggested external address: any address of the same family.
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

/// Converts an address to the 128-bit form of PCP: IPv4 becomes IPv4-mapped IPv6.
const fn six(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// Decodes the PCP response to a MAP request.
///
/// # Errors
/// If the response belongs to another request or reports an error; [`MappingError::Version`] if the router supports only
/// NAT-PMP.
pub fn decode_pcp_response(
    bytes: &[u8],
    wish: &MappingRequest,
    nonce: [u8; 12],
) -> Result<MappingResponse, MappingError> {
    match bytes {
        [0, ..] => return Err(MappingError::Version),
        [2, 129, ..] => {}
        _ => return Err(MappingError::Unrelated),
    }
    match bytes.get(3).copied().ok_or(MappingError::Unrelated)? {
        0 => {}
        1 => return Err(MappingError::Version),
        2 => return Err(MappingError::NotAuthorized),
        7 => return Err(MappingError::NetworkFailure),
        8 | 10 => return Err(MappingError::OutOfResources),
        other => return Err(MappingError::Other(other.into())),
    }
    let Some(all) = bytes.first_chunk::<60>() else { return Err(MappingError::Unrelated) };
    let same = all[24..36] == nonce && all[36] == pcp_protocol(wish.transport);
    if !same || u16::from_be_bytes([all[40], all[41]]) != wish.internal {
        return Err(MappingError::Unrelated);
    }
    let mut octets = [0; 16];
    octets.copy_from_slice(&all[44..]);
    let address = Ipv6Addr::from(octets).to_canonical();
    Ok(MappingResponse {
        external: u16::from_be_bytes([all[42], all[43]]),
        address: (!address.is_unspecified()).then_some(address),
        lifetime: u32::from_be_bytes([all[4], all[5], all[6], all[7]]),
    })
}

/// Returns the gateway of the default route with the smallest metric.
///
/// `table` is the IPv4 routing table of Linux as in `/proc/net/route`.
#[must_use]
pub fn default_router(table: &str) -> Option<Ipv4Addr> {
    let router = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hex = |at: usize| fields.get(at).and_then(|text| u32::from_str_radix(text, 16).ok());
        let (to, router, flags, mask) = (hex(1)?, hex(2)?, hex(3)?, hex(7)?);
        let metric: u32 = fields.get(6)?.parse().ok()?;
        // Flags RTF_UP and RTF_GATEWAY.
        let fits = to == 0 && mask == 0 && flags & 3 == 3 && router != 0;
        fits.then(|| (metric, Ipv4Addr::from(router.to_le_bytes())))
    };
    table.lines().skip(1).filter_map(router).min_by_key(|(metric, _)| *metric).map(|(_, router)| router)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WISH: MappingRequest =
        MappingRequest { transport: Transport::Tcp, internal: 6881, external: 6882, lifetime: 7200 };

    #[test]
    fn nat_pmp_asks_and_reads() {
        assert_eq!(pmp_request(&WISH), [0, 2, 0, 0, 0x1a, 0xe1, 0x1a, 0xe2, 0, 0, 0x1c, 0x20]);
        let answer = [0, 130, 0, 0, 0, 0, 0, 9, 0x1a, 0xe1, 0x1a, 0xe3, 0, 0, 0x0e, 0x10];
        let granted = MappingResponse { external: 6883, address: None, lifetime: 3600 };
        assert_eq!(decode_pmp_response(&answer, &WISH), Ok(granted));
        for n in 0..answer.len() {
            assert_eq!(decode_pmp_response(&answer[..n], &WISH), Err(MappingError::Unrelated), "{n}");
        }
        assert_eq!(
            decode_pmp_response(&answer, &MappingRequest { transport: Transport::Udp, ..WISH }),
            Err(MappingError::Unrelated)
        );
        assert_eq!(decode_pmp_response(&answer, &MappingRequest { internal: 1, ..WISH }), Err(MappingError::Unrelated));
        assert_eq!(decode_pmp_response(&[0, 130, 0, 2, 0, 0, 0, 9], &WISH), Err(MappingError::NotAuthorized));
        assert_eq!(pmp_address(&[0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 7]), Ok(Ipv4Addr::new(203, 0, 113, 7)));
        assert_eq!(pmp_address(&[0, 128, 0, 3, 0, 0, 0, 9, 0, 0, 0, 0]), Err(MappingError::NetworkFailure));
    }

    #[test]
    fn pcp_asks_and_reads() {
        let (client, nonce) = ("192.168.1.2".parse().unwrap(), [7; 12]);
        let mut bytes = pcp_request(&WISH, client, nonce);
        assert_eq!((bytes[0], bytes[1], bytes[36]), (2, 1, 6));
        assert_eq!(bytes[8..24], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 168, 1, 2]);
        assert_eq!(decode_pcp_response(&bytes, &WISH, nonce), Err(MappingError::Unrelated), "a request is no answer");
        bytes[1] = 129;
        bytes[42..44].copy_from_slice(&7000_u16.to_be_bytes());
        bytes[44..].copy_from_slice(&Ipv4Addr::new(203, 0, 113, 7).to_ipv6_mapped().octets());
        let address = Some("203.0.113.7".parse().unwrap());
        assert_eq!(
            decode_pcp_response(&bytes, &WISH, nonce),
            Ok(MappingResponse { external: 7000, address, lifetime: 7200 })
        );
        assert_eq!(decode_pcp_response(&bytes, &WISH, [8; 12]), Err(MappingError::Unrelated));
        for n in 1..bytes.len() {
            assert!(decode_pcp_response(&bytes[..n], &WISH, nonce).is_err(), "{n}");
        }
        bytes[3] = 8;
        assert_eq!(decode_pcp_response(&bytes, &WISH, nonce), Err(MappingError::OutOfResources));
        assert_eq!(decode_pcp_response(&[0, 129, 0, 1], &WISH, nonce), Err(MappingError::Version), "an older router");
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
