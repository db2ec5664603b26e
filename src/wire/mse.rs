//! Message Stream Encryption (MSE, also called PE): the encrypted handshake as a sans-IO state machine per side.
//!
//! ```text
//! initiator                                                    responder
//!   Ya, PadA                                               ->
//!                                                          <-  Yb, PadB
//!   HASH('req1', S), HASH('req2', SKEY) ^ HASH('req3', S),
//!   { VC, crypto_provide, len(PadC), PadC, len(IA), IA }   ->
//!                                                          <-  { VC, crypto_select, len(PadD), PadD }
//! ```
//!
//! `Ya` and `Yb` are public keys and `S` is the shared secret of [`diffie_hellman`], `SKEY` is the info-hash, `VC` are
//! eight zero bytes, and `IA` is the initial payload. `{ }` is encrypted with [`Rc4`] with keys derived from `S` and
//! `SKEY`. `PadA` and `PadB` have up to [`PAD`] bytes, but their length is not announced, so each side searches a
//! bounded number of bytes for the value that must follow. After the handshake the stream is RC4 or plaintext, as
//! negotiated.
//!
//! No crate was found that has this handshake alone: implementations such as that of `torrentdht` are parts of clients and
//! read and write the sockets themselves.

use sha1::{Digest, Sha1};
use thiserror::Error;

use crate::limits;
use crate::wire::message::{Handshake, InfoHash};
use crate::wire::rc4::Rc4;
use diffie_hellman::{KEY, PRIVATE};

pub mod diffie_hellman;

/// Maximum length of each padding in bytes.
pub const PAD: usize = 512;
/// Number of bytes by which a plain BitTorrent handshake is recognized.
pub const PLAIN_PREFIX: usize = 20;
/// Length of a SHA-1 hash in bytes.
const HASH: usize = 20;
/// Length of the verification constant `VC` in bytes.
const VC_LENGTH: usize = 8;
/// Length of `VC`, `crypto_provide` or `crypto_select`, and the padding length, in bytes.
const HEAD: usize = VC_LENGTH + 4 + 2;

/// Encryption of the stream after the handshake.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CryptoMethod {
    Plaintext,
    Rc4,
}

/// A set of encryption methods (`crypto_provide`), as a bit field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CryptoProvide(u32);

impl CryptoProvide {
    /// Encrypts the handshake only.
    pub const PLAINTEXT: CryptoProvide = CryptoProvide(1);
    /// Encrypts the whole connection.
    pub const RC4: CryptoProvide = CryptoProvide(2);
    pub const BOTH: CryptoProvide = CryptoProvide(3);

    /// Selects a method that both sides support, preferring RC4.
    ///
    /// `offered` is the `crypto_provide` of the initiator.
    #[must_use]
    pub const fn select(self, offered: u32) -> Option<CryptoMethod> {
        match self.0 & offered {
            both if both & 2 != 0 => Some(CryptoMethod::Rc4),
            both if both & 1 != 0 => Some(CryptoMethod::Plaintext),
            _ => None,
        }
    }

    /// Validates `crypto_select`: it must be exactly one method of this set.
    const fn selected(self, choice: u32) -> Option<CryptoMethod> {
        match (choice & self.0, choice) {
            (2, 2) => Some(CryptoMethod::Rc4),
            (1, 1) => Some(CryptoMethod::Plaintext),
            _ => None,
        }
    }
}

/// Random input of a handshake, supplied by the caller.
#[derive(Clone, Debug, Default)]
pub struct HandshakeEntropy {
    /// Diffie-Hellman private key; must be unpredictable.
    pub private: [u8; PRIVATE],
    /// `PadA` or `PadB`, sent after the public key; truncated to [`PAD`] bytes.
    pub pad: Vec<u8>,
    /// Length of `PadC` or `PadD` in bytes, which consist of zeros; at most [`PAD`].
    pub inner: usize,
}

/// Reason why an encrypted handshake failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MseError {
    /// The peer's public key leads to a trivial shared secret.
    #[error("the key in its encrypted handshake is worthless")]
    WeakKey,
    /// The value that must follow the public key and its padding was not found.
    #[error("not a BitTorrent handshake, plain or encrypted")]
    NotMse,
    /// The responder answered with a plain BitTorrent handshake.
    #[error("peer does not support encryption")]
    Plain,
    /// The initiator asked for a torrent that the responder does not have.
    #[error("peer asked for an unknown torrent")]
    UnknownTorrent,
    /// Decryption of `VC` did not give zeros: the peer has another info-hash or secret.
    #[error("encrypted handshake cannot be decrypted")]
    WrongKey,
    /// No common method in `crypto_provide`, or an invalid `crypto_select`.
    #[error("no common encryption method: {got:#x}")]
    NoMethod {
        /// The received bit field.
        got: u32,
    },
    /// A padding or an initial payload exceeds its limit.
    #[error("encrypted handshake announces {got} bytes, at most {max} allowed")]
    TooLong { got: usize, max: usize },
}

/// RC4 ciphers of both directions of an encrypted connection.
#[derive(Clone, Debug)]
pub struct Ciphers {
    pub receive: Rc4,
    pub send: Rc4,
}

/// Result of a completed handshake.
#[derive(Debug)]
pub struct Established {
    pub torrent: InfoHash,
    /// Encryption of the stream that follows.
    pub method: CryptoMethod,
    /// Ciphers of the stream that follows; `None` if it is plaintext.
    ///
    /// The keystream position of `receive` is after [`Established::early_data`].
    pub ciphers: Option<Box<Ciphers>>,
    /// Decrypted bytes that were received with or after the handshake: the start of the peer protocol.
    pub early_data: Vec<u8>,
}

fn hash(name: &[u8], of: &[u8]) -> [u8; HASH] {
    Sha1::new().chain_update(name).chain_update(of).finalize().into()
}

/// Returns `HASH('req2', SKEY)`, which identifies a torrent without revealing its info-hash.
#[must_use]
pub fn req2_hash(torrent: &InfoHash) -> [u8; HASH] {
    hash(b"req2", &torrent.0)
}

fn masked(a: [u8; HASH], b: [u8; HASH]) -> [u8; HASH] {
    std::array::from_fn(|n| a[n] ^ b[n])
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |n, &byte| n << 8 | u32::from(byte))
}

/// Receive buffer of bytes that have not been processed yet.
#[derive(Debug, Default)]
struct ReceiveBuffer {
    bytes: Vec<u8>,
    /// Offset before which no match of the searched value starts.
    looked: usize,
}

impl ReceiveBuffer {
    /// Removes and returns the first `n` bytes; `None` until they have been received.
    fn take(&mut self, n: usize) -> Option<Vec<u8>> {
        (self.bytes.len() >= n).then(|| {
            let rest = self.bytes.split_off(n);
            std::mem::replace(&mut self.bytes, rest)
        })
    }

    /// Discards a padding and the `mark` after it; returns `false` while more bytes are needed.
    fn find(&mut self, mark: &[u8]) -> Result<bool, MseError> {
        let at = self.bytes[self.looked..].windows(mark.len()).position(|w| w == mark).map(|n| n + self.looked);
        match at {
            Some(at) if at <= PAD => {
                self.bytes.drain(..at + mark.len());
                return Ok(true);
            }
            Some(_) => return Err(MseError::NotMse),
            None => self.looked = (self.bytes.len() + 1).saturating_sub(mark.len()),
        }
        if self.looked > PAD { Err(MseError::NotMse) } else { Ok(false) }
    }

    fn key(&mut self) -> Option<[u8; KEY]> {
        <[u8; KEY]>::try_from(self.take(KEY)?).ok()
    }
}

fn opening(chance: &HandshakeEntropy) -> Vec<u8> {
    let mut out = diffie_hellman::public(&chance.private).to_vec();
    out.extend(&chance.pad[..chance.pad.len().min(PAD)]);
    out
}

/// Validates a length that the peer announced.
const fn within(got: u32, max: usize) -> Result<usize, MseError> {
    let got = got as usize;
    if got <= max { Ok(got) } else { Err(MseError::TooLong { got, max }) }
}

/// Completes the handshake; the rest of the receive buffer belongs to the stream that follows.
fn establish(
    torrent: InfoHash,
    method: CryptoMethod,
    mut ciphers: Box<Ciphers>,
    mut early: Vec<u8>,
    heap: &mut ReceiveBuffer,
) -> Established {
    let mut rest = std::mem::take(&mut heap.bytes);
    if method == CryptoMethod::Rc4 {
        ciphers.receive.apply(&mut rest);
    }
    early.extend(rest);
    Established { torrent, method, ciphers: (method == CryptoMethod::Rc4).then_some(ciphers), early_data: early }
}

// --- Initiator --------------------------------------------------------------------------------------

/// Handshake of the side that opened the connection.
#[derive(Debug)]
pub struct Initiator {
    chance: HandshakeEntropy,
    torrent: InfoHash,
    methods: CryptoProvide,
    payload: Vec<u8>,
    heap: ReceiveBuffer,
    stage: InitiatorState,
}

#[derive(Debug)]
enum InitiatorState {
    Key,
    /// Waits for the encrypted `VC` of the responder, which is the second field.
    Zeros(Box<Ciphers>, [u8; VC_LENGTH]),
    Choice(Box<Ciphers>),
    Pad(Box<Ciphers>, CryptoMethod, usize),
    Over,
}

impl Initiator {
    /// Returns the state machine and the bytes to send first.
    ///
    /// `payload` is the initial payload `IA`, the start of the peer protocol; truncated to 65,535 bytes.
    #[must_use]
    pub fn new(
        chance: HandshakeEntropy,
        torrent: InfoHash,
        methods: CryptoProvide,
        mut payload: Vec<u8>,
    ) -> (Self, Vec<u8>) {
        payload.truncate(usize::from(u16::MAX));
        let out = opening(&chance);
        (
            Initiator { chance, torrent, methods, payload, heap: ReceiveBuffer::default(), stage: InitiatorState::Key },
            out,
        )
    }

    /// Processes received bytes and appends the bytes to send to `out`.
    ///
    /// Returns `Some` when the handshake is complete; must not be called after that.
    ///
    /// # Errors
    /// If the handshake violates the protocol or the peer does not support MSE.
    pub fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Option<Established>, MseError> {
        self.heap.bytes.extend_from_slice(bytes);
        loop {
            match std::mem::replace(&mut self.stage, InitiatorState::Over) {
                InitiatorState::Key => {
                    if self.heap.bytes.len() >= PLAIN_PREFIX && Handshake::is_handshake_prefix(&self.heap.bytes) {
                        return Err(MseError::Plain);
                    }
                    let Some(theirs) = self.heap.key() else {
                        self.stage = InitiatorState::Key;
                        return Ok(None);
                    };
                    let secret = diffie_hellman::secret(&self.chance.private, &theirs).ok_or(MseError::WeakKey)?;
                    self.stage = self.ask(&secret, out);
                }
                InitiatorState::Zeros(ciphers, zeros) => {
                    if !self.heap.find(&zeros)? {
                        self.stage = InitiatorState::Zeros(ciphers, zeros);
                        return Ok(None);
                    }
                    self.stage = InitiatorState::Choice(ciphers);
                }
                InitiatorState::Choice(mut ciphers) => {
                    let Some(mut head) = self.heap.take(HEAD - VC_LENGTH) else {
                        self.stage = InitiatorState::Choice(ciphers);
                        return Ok(None);
                    };
                    ciphers.receive.apply(&mut head);
                    let got = number(&head[..4]);
                    let method = self.methods.selected(got).ok_or(MseError::NoMethod { got })?;
                    let pad = within(number(&head[4..]), PAD)?;
                    self.stage = InitiatorState::Pad(ciphers, method, pad);
                }
                InitiatorState::Pad(mut ciphers, method, pad) => {
                    let Some(mut pad) = self.heap.take(pad) else {
                        self.stage = InitiatorState::Pad(ciphers, method, pad);
                        return Ok(None);
                    };
                    ciphers.receive.apply(&mut pad);
                    return Ok(Some(establish(self.torrent, method, ciphers, Vec::new(), &mut self.heap)));
                }
                InitiatorState::Over => return Ok(None),
            }
        }
    }

    /// Sends the torrent, `crypto_provide` and the initial payload.
    fn ask(&mut self, secret: &[u8; KEY], out: &mut Vec<u8>) -> InitiatorState {
        let mut send = Rc4::with_key(b"keyA", secret, &self.torrent.0);
        let mut receive = Rc4::with_key(b"keyB", secret, &self.torrent.0);
        out.extend(hash(b"req1", secret));
        out.extend(masked(req2_hash(&self.torrent), hash(b"req3", secret)));
        let at = out.len();
        let pad = self.chance.inner.min(PAD);
        out.extend([0; VC_LENGTH]);
        out.extend(self.methods.0.to_be_bytes());
        out.extend((pad as u16).to_be_bytes());
        out.resize(out.len() + pad, 0);
        out.extend((self.payload.len() as u16).to_be_bytes());
        out.append(&mut self.payload);
        send.apply(&mut out[at..]);
        let mut zeros = [0; VC_LENGTH];
        receive.apply(&mut zeros);
        InitiatorState::Zeros(Box::new(Ciphers { receive, send }), zeros)
    }
}

// --- Responder --------------------------------------------------------------------------------------

/// Handshake of the side that accepted the connection.
#[derive(Debug)]
pub struct Responder {
    chance: HandshakeEntropy,
    methods: CryptoProvide,
    heap: ReceiveBuffer,
    stage: ResponderState,
}

#[derive(Debug)]
enum ResponderState {
    Key,
    /// Waits for `HASH('req1', S)` after `PadA`; the second field is `S`.
    Mark([u8; HASH], Box<[u8; KEY]>),
    Torrent(Box<[u8; KEY]>),
    Offer(InfoHash, Box<Ciphers>),
    /// Waits for `PadC` of this length and for `len(IA)`.
    Pad(InfoHash, Box<Ciphers>, CryptoMethod, usize),
    Payload(InfoHash, Box<Ciphers>, CryptoMethod, usize),
    Over,
}

impl Responder {
    /// Creates the responder for an incoming connection that does not start with a plain handshake.
    #[must_use]
    pub fn new(chance: HandshakeEntropy, methods: CryptoProvide) -> Self {
        Responder { chance, methods, heap: ReceiveBuffer::default(), stage: ResponderState::Key }
    }

    /// Processes received bytes and appends the bytes to send to `out`.
    ///
    /// The first call must start with the first byte of the connection. `find` looks up a torrent by its
    /// [`req2_hash`]. Returns `Some` when the handshake is complete; must not be called after that.
    ///
    /// # Errors
    /// If the handshake violates the protocol or asks for an unknown torrent.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        find: impl Fn(&[u8; HASH]) -> Option<InfoHash>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Established>, MseError> {
        self.heap.bytes.extend_from_slice(bytes);
        while let Some(next) = self.step(&find, out)? {
            if let ResponderState::Payload(torrent, mut ciphers, method, length) = next {
                let Some(mut early) = self.heap.take(length) else {
                    self.stage = ResponderState::Payload(torrent, ciphers, method, length);
                    return Ok(None);
                };
                ciphers.receive.apply(&mut early);
                self.answer(method, &mut ciphers, out);
                return Ok(Some(establish(torrent, method, ciphers, early, &mut self.heap)));
            }
            self.stage = next;
        }
        Ok(None)
    }

    /// Processes the next part of the handshake and returns the next state; `None` while bytes are missing.
    fn step(
        &mut self,
        find: impl Fn(&[u8; HASH]) -> Option<InfoHash>,
        out: &mut Vec<u8>,
    ) -> Result<Option<ResponderState>, MseError> {
        let stage = std::mem::replace(&mut self.stage, ResponderState::Over);
        let next = match stage {
            ResponderState::Key => {
                let Some(theirs) = self.heap.key() else { return self.wait(ResponderState::Key) };
                let secret = diffie_hellman::secret(&self.chance.private, &theirs).ok_or(MseError::WeakKey)?;
                out.extend(opening(&self.chance));
                ResponderState::Mark(hash(b"req1", &secret), Box::new(secret))
            }
            ResponderState::Mark(mark, secret) => {
                if !self.heap.find(&mark)? {
                    return self.wait(ResponderState::Mark(mark, secret));
                }
                ResponderState::Torrent(secret)
            }
            ResponderState::Torrent(secret) => {
                let Some(asked) = self.heap.take(HASH) else { return self.wait(ResponderState::Torrent(secret)) };
                let mask = hash(b"req3", &secret[..]);
                let asked: [u8; HASH] = std::array::from_fn(|n| asked[n] ^ mask[n]);
                let torrent = find(&asked).ok_or(MseError::UnknownTorrent)?;
                let receive = Rc4::with_key(b"keyA", &secret[..], &torrent.0);
                let send = Rc4::with_key(b"keyB", &secret[..], &torrent.0);
                ResponderState::Offer(torrent, Box::new(Ciphers { receive, send }))
            }
            ResponderState::Offer(torrent, mut ciphers) => {
                let Some(mut head) = self.heap.take(HEAD) else {
                    return self.wait(ResponderState::Offer(torrent, ciphers));
                };
                ciphers.receive.apply(&mut head);
                if head[..VC_LENGTH] != [0; VC_LENGTH] {
                    return Err(MseError::WrongKey);
                }
                let got = number(&head[VC_LENGTH..VC_LENGTH + 4]);
                let method = self.methods.select(got).ok_or(MseError::NoMethod { got })?;
                ResponderState::Pad(torrent, ciphers, method, within(number(&head[VC_LENGTH + 4..]), PAD)?)
            }
            ResponderState::Pad(torrent, mut ciphers, method, pad) => {
                let Some(mut rest) = self.heap.take(pad + 2) else {
                    return self.wait(ResponderState::Pad(torrent, ciphers, method, pad));
                };
                ciphers.receive.apply(&mut rest);
                let length = within(number(&rest[pad..]), limits::MSE_PAYLOAD)?;
                ResponderState::Payload(torrent, ciphers, method, length)
            }
            stage @ ResponderState::Payload(..) => stage,
            ResponderState::Over => return Ok(None),
        };
        Ok(Some(next))
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is what `step` returns while bytes are missing")]
    fn wait(&mut self, stage: ResponderState) -> Result<Option<ResponderState>, MseError> {
        self.stage = stage;
        Ok(None)
    }

    /// Sends `crypto_select` and `PadD`.
    fn answer(&self, method: CryptoMethod, ciphers: &mut Ciphers, out: &mut Vec<u8>) {
        let at = out.len();
        let pad = self.chance.inner.min(PAD);
        out.extend([0; VC_LENGTH]);
        out.extend(match method {
            CryptoMethod::Rc4 => CryptoProvide::RC4.0.to_be_bytes(),
            CryptoMethod::Plaintext => CryptoProvide::PLAINTEXT.0.to_be_bytes(),
        });
        out.extend((pad as u16).to_be_bytes());
        out.resize(out.len() + pad, 0);
        ciphers.send.apply(&mut out[at..]);
    }
}
