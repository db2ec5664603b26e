//! Extension protocol (BEP 10): the extended handshake and the ids of extended messages.

pub mod holepunch;
pub mod metadata;
pub mod pex;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::limits;
use crate::wire::bencode::{BencodeError, OwnedValue, Value};
use crate::wire::sanitize::sanitize_bytes;

/// Client name and version sent in the `v` field of the extended handshake.
pub const CLIENT: &str = concat!("ttui ", env!("CARGO_PKG_VERSION"));

/// Extended message ids that we announce in the `m` dictionary.
///
/// The peer announces ids of its own, which we must use in messages to that peer.
pub mod ours {
    /// Peer exchange ([`super::pex`], BEP 11).
    pub const UT_PEX: u8 = 1;
    /// Metadata exchange ([`super::metadata`], BEP 9).
    pub const UT_METADATA: u8 = 2;
    /// A peer no longer has a piece (BEP 54).
    pub const LT_DONTHAVE: u8 = 3;
    /// Hole punching ([`super::holepunch`], BEP 55).
    pub const UT_HOLEPUNCH: u8 = 4;
}

/// The extended handshake, extended message 0 (BEP 10). Absent or invalid fields are `None`.
///
/// A later handshake of the same peer updates only the fields that it contains.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Handshake {
    /// Client name and version (`v`), sanitized, at most [`limits::CLIENT_NAME`] columns.
    pub client: Option<String>,
    /// Maximum number of outstanding requests that the sender accepts (`reqq`).
    ///
    /// Decoded values are clamped to 1..=[`limits::REQUESTS_OUT`].
    pub reqq: Option<u32>,
    /// Whether the sender only uploads (BEP 21).
    pub upload_only: Option<bool>,
    /// TCP listen port (`p`); never 0 when decoded.
    pub port: Option<u16>,
    /// The sender's id for metadata messages (BEP 9); 0 disables the extension.
    pub ut_metadata: Option<u8>,
    /// The sender's id for PEX messages (BEP 11); 0 disables the extension.
    pub ut_pex: Option<u8>,
    /// The sender's id for `lt_donthave` messages (BEP 54); 0 disables the extension.
    pub lt_donthave: Option<u8>,
    /// The sender's id for hole punch messages (BEP 55); 0 disables the extension.
    pub ut_holepunch: Option<u8>,
    /// Size of the `info` dictionary in bytes (BEP 9): 1 to [`limits::METADATA`] when decoded.
    pub metadata_size: Option<u32>,
    /// External address of the receiver as the sender sees it (`yourip`).
    pub your_ip: Option<IpAddr>,
}

/// Error of decoding an extended handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ExtensionError {
    /// Longer than [`limits::EXTENDED_HANDSHAKE`].
    #[error("its extended handshake is {got} bytes long, at most {max} are taken")]
    TooLong { got: usize, max: usize },
    /// Invalid bencode.
    #[error("its extended handshake is damaged: {0}")]
    Damaged(#[from] BencodeError),
    #[error("its extended handshake is no dictionary")]
    NoDictionary,
}

impl Handshake {
    /// Returns the handshake that `ttui` sends. `port` is the listen port, 0 if it does not listen.
    ///
    /// `ut_pex` and `ut_holepunch` are `None`.
    #[must_use]
    pub fn ours(port: u16, upload_only: bool) -> Self {
        Handshake {
            client: Some(CLIENT.to_owned()),
            reqq: Some(limits::REQUESTS_IN as u32),
            upload_only: Some(upload_only),
            lt_donthave: Some(ours::LT_DONTHAVE),
            port: (port != 0).then_some(port),
            ut_metadata: Some(ours::UT_METADATA),
            ..Handshake::default()
        }
    }

    /// Encodes the payload of extended message 0.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let ids = [
            ("ut_metadata", self.ut_metadata),
            ("ut_pex", self.ut_pex),
            ("lt_donthave", self.lt_donthave),
            ("ut_holepunch", self.ut_holepunch),
        ];
        let ids = ids.into_iter().filter_map(|(name, id)| Some((name, OwnedValue::from(i64::from(id?)))));
        let mut entries = vec![("m", OwnedValue::dictionary(ids))];
        let mut number = |key, n: Option<i64>| entries.extend(n.map(|n| (key, OwnedValue::from(n))));
        number("reqq", self.reqq.map(i64::from));
        number("upload_only", self.upload_only.map(i64::from));
        number("p", self.port.map(i64::from));
        number("metadata_size", self.metadata_size.map(i64::from));
        entries.extend(self.client.as_deref().map(|v| ("v", OwnedValue::from(v))));
        entries.extend(self.your_ip.map(|ip| {
            let bytes = match ip {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            ("yourip", OwnedValue::from(bytes))
        }));
        OwnedValue::dictionary(entries).encode()
    }

    /// Decodes the payload of extended message 0. Ignores values of the wrong type or out of range.
    ///
    /// # Errors
    /// If the payload is too long, invalid bencode or not a dictionary.
    pub fn decode(payload: &[u8]) -> Result<Self, ExtensionError> {
        if payload.len() > limits::EXTENDED_HANDSHAKE {
            return Err(ExtensionError::TooLong { got: payload.len(), max: limits::EXTENDED_HANDSHAKE });
        }
        // Some clients pad their handshake: bytes after the dictionary are ignored.
        let (value, _) = Value::parse_prefix(payload)?;
        let mut it = Handshake::default();
        for (key, value) in value.dictionary().ok_or(ExtensionError::NoDictionary)? {
            let number = value.as_integer();
            match key {
                b"m" => it.read_ids(value),
                b"v" => {
                    let name = sanitize_bytes(value.as_bytes().unwrap_or_default(), limits::CLIENT_NAME);
                    let name = name.trim();
                    it.client = (!name.is_empty()).then(|| name.to_owned());
                }
                b"reqq" => it.reqq = number.map(|n| n.clamp(1, limits::REQUESTS_OUT as i64) as u32),
                b"upload_only" => it.upload_only = number.map(|n| n != 0),
                b"p" => it.port = number.and_then(|n| u16::try_from(n).ok()).filter(|p| *p != 0),
                b"metadata_size" => {
                    it.metadata_size = number
                        .and_then(|n| u32::try_from(n).ok())
                        .filter(|n| (1..=limits::METADATA).contains(&(*n as usize)));
                }
                b"yourip" => it.your_ip = value.as_bytes().and_then(address),
                _ => {}
            }
        }
        Ok(it)
    }

    fn read_ids(&mut self, ids: Value<'_>) {
        for (name, id) in ids.dictionary().into_iter().flatten() {
            let id = id.as_integer().and_then(|n| u8::try_from(n).ok());
            match name {
                b"ut_metadata" => self.ut_metadata = id,
                b"ut_pex" => self.ut_pex = id,
                b"lt_donthave" => self.lt_donthave = id,
                b"ut_holepunch" => self.ut_holepunch = id,
                _ => {}
            }
        }
    }
}

/// Parses an IP address of 4 or 16 bytes; IPv4-mapped IPv6 addresses become IPv4.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(v4).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| Ipv6Addr::from(v6).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshake_round_trip() {
        let ours = Handshake { your_ip: Some([127, 0, 0, 9].into()), ut_pex: Some(1), ..Handshake::ours(6881, true) };
        assert_eq!(Handshake::decode(&ours.encode()), Ok(ours));
        let plain = Handshake::ours(0, false);
        assert_eq!(
            plain.encode(),
            format!(
                "d1:md11:lt_donthavei3e11:ut_metadatai2ee4:reqqi2000e11:upload_onlyi0e1:v{}:{CLIENT}e",
                CLIENT.len()
            )
            .as_bytes()
        );
    }

    #[test]
    fn nonsense_is_passed_over() {
        let raw = b"d1:md11:ut_metadatai999e6:ut_pexi-1ee13:metadata_sizei4611686018427387904e1:pi0e4:reqqi-5e\
            11:upload_only3:yes1:v6:\x1b[2Jab6:yourip3:abce junk";
        let it = Handshake::decode(raw).unwrap();
        assert_eq!(it, Handshake { client: Some("\u{fffd}[2Jab".into()), reqq: Some(1), ..Handshake::default() });
        let long = OwnedValue::dictionary([("v", OwnedValue::from(vec![b'x'; 50_000]))]).encode();
        assert_eq!(Handshake::decode(&long).unwrap().client.unwrap().chars().count(), limits::CLIENT_NAME);
        assert_eq!(Handshake::decode(b"le"), Err(ExtensionError::NoDictionary));
        assert!(matches!(Handshake::decode(b"d1:m"), Err(ExtensionError::Damaged(_))));
        assert!(matches!(Handshake::decode(&vec![b'l'; 70_000]), Err(ExtensionError::TooLong { .. })));
        assert!(matches!(Handshake::decode(&vec![b'l'; 60_000]), Err(ExtensionError::Damaged(_))));
    }
}
