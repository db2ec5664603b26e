//! Message stream encryption (MSE, also called PE): the encrypted handshake, each side as a machine that takes bytes in
//! and gives bytes out.
//!
//! ```text
//! caller                                              called
//!   its key, padding                        ->
//!                                           <-         its key, padding
//!   H('req1', S), H('req2', torrent) ^ H('req3', S),
//!   { 0 x 8, methods, padding, length, payload } ->
//!                                           <-         { 0 x 8, method, padding }
//! ```
//!
//! `S` is the secret that the [`exchange`] gives, `{ }` is encrypted with [`Rc4`], under keys made of `S` and the
//! torrent's info-hash. Paddings are of any length up to [`PAD`], so each side looks for the beginning of what it knows
//! must come, and no further than it can be. What follows the handshake is encrypted or plain, as was agreed.

use sha1::{Digest, Sha1};
use thiserror::Error;

use crate::limits;
use crate::wire::message::{Handshake, InfoHash};
use crate::wire::rc4::Rc4;
use exchange::{KEY, PRIVATE};

pub mod exchange;

/// The most bytes of each padding.
pub const PAD: usize = 512;
/// Bytes by which a plain handshake is known.
pub const NAME: usize = 20;
/// Bytes of a SHA-1.
const HASH: usize = 20;
/// Zeros by which the encrypted part is found.
const ZEROS: usize = 8;
/// The encrypted part up to its padding: zeros, methods, the padding's length.
const HEAD: usize = ZEROS + 4 + 2;

/// How what follows an encrypted handshake is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Method {
    /// As it is.
    Plaintext,
    /// Encrypted with RC4.
    Rc4,
}

/// The methods that one side takes, as bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Methods(u32);

impl Methods {
    /// Only the handshake is encrypted.
    pub const PLAINTEXT: Methods = Methods(1);
    /// Everything is.
    pub const RC4: Methods = Methods(2);
    /// Either.
    pub const BOTH: Methods = Methods(3);

    /// The method to speak with somebody who offers `offered`: the encrypted one where both have it.
    #[must_use]
    pub const fn best(self, offered: u32) -> Option<Method> {
        match self.0 & offered {
            both if both & 2 != 0 => Some(Method::Rc4),
            both if both & 1 != 0 => Some(Method::Plaintext),
            _ => None,
        }
    }

    /// The method of a choice, which must be one single of these.
    const fn chosen(self, choice: u32) -> Option<Method> {
        match (choice & self.0, choice) {
            (2, 2) => Some(Method::Rc4),
            (1, 1) => Some(Method::Plaintext),
            _ => None,
        }
    }
}

/// What a handshake needs of chance.
#[derive(Clone, Debug, Default)]
pub struct Chance {
    /// The private key: nobody may foresee it.
    pub private: [u8; PRIVATE],
    /// What follows our public key; cut to [`PAD`] bytes.
    pub pad: Vec<u8>,
    /// The length of the padding inside the encrypted part, which is zeros; cut to [`PAD`].
    pub inner: usize,
}

/// Why bytes are no encrypted handshake of a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MseError {
    /// A public key that gives a secret that everybody knows.
    #[error("the key in its encrypted handshake is worthless")]
    WeakKey,
    /// What must follow the key and its padding does not.
    #[error("it speaks neither the BitTorrent protocol nor encrypts its handshake")]
    Stranger,
    /// It answered an encrypted handshake with a plain one.
    #[error("it does not encrypt")]
    Plain,
    /// It asks for a torrent that is not here.
    #[error("it asked for a torrent that is not here")]
    UnknownTorrent,
    /// It does not know the torrent, or not the secret: the zeros are none.
    #[error("its encrypted handshake cannot be decrypted")]
    WrongKey,
    /// It takes no method that we take, or chose one that was not offered.
    #[error("it takes none of our methods of encryption: {got:#x}")]
    NoMethod {
        /// The bits it sent.
        got: u32,
    },
    /// A padding or a payload longer than any need be.
    #[error("its encrypted handshake announces {got} bytes, at most {max} are taken")]
    TooLong {
        /// The length it announced.
        got: usize,
        /// The most that is taken.
        max: usize,
    },
}

/// Both directions of a connection whose bytes are encrypted.
#[derive(Clone, Debug)]
pub struct Ciphers {
    /// For what comes in.
    pub receive: Rc4,
    /// For what goes out.
    pub send: Rc4,
}

/// An encrypted handshake that is over.
#[derive(Debug)]
pub struct Secured {
    /// The torrent that it is about.
    pub torrent: InfoHash,
    /// How what follows is sent.
    pub method: Method,
    /// The ciphers of what follows, where it is encrypted. They are past [`Secured::early`].
    pub ciphers: Option<Box<Ciphers>>,
    /// What came after the handshake or with it, decrypted: the first bytes of the peer protocol.
    pub early: Vec<u8>,
}

fn hash(name: &[u8], of: &[u8]) -> [u8; HASH] {
    Sha1::new().chain_update(name).chain_update(of).finalize().into()
}

/// How a caller names a torrent without telling its info-hash.
#[must_use]
pub fn veiled(torrent: &InfoHash) -> [u8; HASH] {
    hash(b"req2", &torrent.0)
}

fn masked(a: [u8; HASH], b: [u8; HASH]) -> [u8; HASH] {
    std::array::from_fn(|n| a[n] ^ b[n])
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |n, &byte| n << 8 | u32::from(byte))
}

/// Bytes that came and are not dealt with yet.
#[derive(Debug, Default)]
struct Heap {
    bytes: Vec<u8>,
    /// No match of what is looked for begins before.
    looked: usize,
}

impl Heap {
    /// The first `n` bytes, once they are here.
    fn take(&mut self, n: usize) -> Option<Vec<u8>> {
        (self.bytes.len() >= n).then(|| {
            let rest = self.bytes.split_off(n);
            std::mem::replace(&mut self.bytes, rest)
        })
    }

    /// Passes over a padding and the mark that follows it; false while the mark may still come.
    fn find(&mut self, mark: &[u8]) -> Result<bool, MseError> {
        let at = self.bytes[self.looked..].windows(mark.len()).position(|w| w == mark).map(|n| n + self.looked);
        match at {
            Some(at) if at <= PAD => {
                self.bytes.drain(..at + mark.len());
                return Ok(true);
            }
            Some(_) => return Err(MseError::Stranger),
            None => self.looked = (self.bytes.len() + 1).saturating_sub(mark.len()),
        }
        if self.looked > PAD { Err(MseError::Stranger) } else { Ok(false) }
    }

    fn key(&mut self) -> Option<[u8; KEY]> {
        <[u8; KEY]>::try_from(self.take(KEY)?).ok()
    }
}

fn opening(chance: &Chance) -> Vec<u8> {
    let mut out = exchange::public(&chance.private).to_vec();
    out.extend(&chance.pad[..chance.pad.len().min(PAD)]);
    out
}

/// A length that was announced, if it is one that we take.
const fn within(got: u32, max: usize) -> Result<usize, MseError> {
    let got = got as usize;
    if got <= max { Ok(got) } else { Err(MseError::TooLong { got, max }) }
}

/// What is left of the handshake once both know the secret.
fn secured(
    torrent: InfoHash,
    method: Method,
    mut ciphers: Box<Ciphers>,
    mut early: Vec<u8>,
    heap: &mut Heap,
) -> Secured {
    let mut rest = std::mem::take(&mut heap.bytes);
    if method == Method::Rc4 {
        ciphers.receive.apply(&mut rest);
    }
    early.extend(rest);
    Secured { torrent, method, ciphers: (method == Method::Rc4).then_some(ciphers), early }
}

// --- the caller -------------------------------------------------------------------------------------

/// The handshake of the side that called.
#[derive(Debug)]
pub struct Caller {
    chance: Chance,
    torrent: InfoHash,
    methods: Methods,
    payload: Vec<u8>,
    heap: Heap,
    stage: CallerStage,
}

#[derive(Debug)]
enum CallerStage {
    Key,
    /// The ciphers, and the zeros as the other side encrypts them.
    Zeros(Box<Ciphers>, [u8; ZEROS]),
    Choice(Box<Ciphers>),
    Pad(Box<Ciphers>, Method, usize),
    Over,
}

impl Caller {
    /// A call for `torrent`, with the bytes to send first. `payload`, at most 65,535 bytes of it, goes out encrypted with
    /// the handshake: the first bytes of the peer protocol.
    #[must_use]
    pub fn new(chance: Chance, torrent: InfoHash, methods: Methods, mut payload: Vec<u8>) -> (Self, Vec<u8>) {
        payload.truncate(usize::from(u16::MAX));
        let out = opening(&chance);
        (Caller { chance, torrent, methods, payload, heap: Heap::default(), stage: CallerStage::Key }, out)
    }

    /// Takes bytes in; what is to be sent goes to the end of `out`. `Some` when the handshake is over: nothing may be
    /// fed after that.
    ///
    /// # Errors
    /// When the other side is none, or not one that speaks MSE.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Option<Secured>, MseError> {
        self.heap.bytes.extend_from_slice(bytes);
        loop {
            match std::mem::replace(&mut self.stage, CallerStage::Over) {
                CallerStage::Key => {
                    if self.heap.bytes.len() >= NAME && Handshake::begins(&self.heap.bytes) {
                        return Err(MseError::Plain);
                    }
                    let Some(theirs) = self.heap.key() else {
                        self.stage = CallerStage::Key;
                        return Ok(None);
                    };
                    let secret = exchange::secret(&self.chance.private, &theirs).ok_or(MseError::WeakKey)?;
                    self.stage = self.ask(&secret, out);
                }
                CallerStage::Zeros(ciphers, zeros) => {
                    if !self.heap.find(&zeros)? {
                        self.stage = CallerStage::Zeros(ciphers, zeros);
                        return Ok(None);
                    }
                    self.stage = CallerStage::Choice(ciphers);
                }
                CallerStage::Choice(mut ciphers) => {
                    let Some(mut head) = self.heap.take(HEAD - ZEROS) else {
                        self.stage = CallerStage::Choice(ciphers);
                        return Ok(None);
                    };
                    ciphers.receive.apply(&mut head);
                    let got = number(&head[..4]);
                    let method = self.methods.chosen(got).ok_or(MseError::NoMethod { got })?;
                    let pad = within(number(&head[4..]), PAD)?;
                    self.stage = CallerStage::Pad(ciphers, method, pad);
                }
                CallerStage::Pad(mut ciphers, method, pad) => {
                    let Some(mut pad) = self.heap.take(pad) else {
                        self.stage = CallerStage::Pad(ciphers, method, pad);
                        return Ok(None);
                    };
                    ciphers.receive.apply(&mut pad);
                    return Ok(Some(secured(self.torrent, method, ciphers, Vec::new(), &mut self.heap)));
                }
                CallerStage::Over => return Ok(None),
            }
        }
    }

    /// Says which torrent and which methods, and sends the payload.
    fn ask(&mut self, secret: &[u8; KEY], out: &mut Vec<u8>) -> CallerStage {
        let mut send = Rc4::of(b"keyA", secret, &self.torrent.0);
        let mut receive = Rc4::of(b"keyB", secret, &self.torrent.0);
        out.extend(hash(b"req1", secret));
        out.extend(masked(veiled(&self.torrent), hash(b"req3", secret)));
        let at = out.len();
        let pad = self.chance.inner.min(PAD);
        out.extend([0; ZEROS]);
        out.extend(self.methods.0.to_be_bytes());
        out.extend((pad as u16).to_be_bytes());
        out.resize(out.len() + pad, 0);
        out.extend((self.payload.len() as u16).to_be_bytes());
        out.append(&mut self.payload);
        send.apply(&mut out[at..]);
        let mut zeros = [0; ZEROS];
        receive.apply(&mut zeros);
        CallerStage::Zeros(Box::new(Ciphers { receive, send }), zeros)
    }
}

// --- the called -------------------------------------------------------------------------------------

/// The handshake of the side that was called.
#[derive(Debug)]
pub struct Called {
    chance: Chance,
    methods: Methods,
    heap: Heap,
    stage: CalledStage,
}

#[derive(Debug)]
enum CalledStage {
    Key,
    /// What must follow the padding, and the secret.
    Mark([u8; HASH], Box<[u8; KEY]>),
    Torrent(Box<[u8; KEY]>),
    Offer(InfoHash, Box<Ciphers>),
    /// The padding of this length, and the length of the payload.
    Pad(InfoHash, Box<Ciphers>, Method, usize),
    Payload(InfoHash, Box<Ciphers>, Method, usize),
    Over,
}

impl Called {
    /// A caller is there that does not begin as the peer protocol does.
    #[must_use]
    pub fn new(chance: Chance, methods: Methods) -> Self {
        Called { chance, methods, heap: Heap::default(), stage: CalledStage::Key }
    }

    /// Takes bytes in, from the connection's first on; what is to be sent goes to the end of `out`. `find` tells which
    /// of our torrents has this [`veiled`] name. `Some` when the handshake is over: nothing may be fed after that.
    ///
    /// # Errors
    /// When the caller is none, or asks for what is not here.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        find: impl Fn(&[u8; HASH]) -> Option<InfoHash>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Secured>, MseError> {
        self.heap.bytes.extend_from_slice(bytes);
        while let Some(next) = self.step(&find, out)? {
            if let CalledStage::Payload(torrent, mut ciphers, method, length) = next {
                let Some(mut early) = self.heap.take(length) else {
                    self.stage = CalledStage::Payload(torrent, ciphers, method, length);
                    return Ok(None);
                };
                ciphers.receive.apply(&mut early);
                self.answer(method, &mut ciphers, out);
                return Ok(Some(secured(torrent, method, ciphers, early, &mut self.heap)));
            }
            self.stage = next;
        }
        Ok(None)
    }

    /// Deals with the next part, if it is here; returns the stage that follows.
    fn step(
        &mut self,
        find: impl Fn(&[u8; HASH]) -> Option<InfoHash>,
        out: &mut Vec<u8>,
    ) -> Result<Option<CalledStage>, MseError> {
        let stage = std::mem::replace(&mut self.stage, CalledStage::Over);
        let next = match stage {
            CalledStage::Key => {
                let Some(theirs) = self.heap.key() else { return self.wait(CalledStage::Key) };
                let secret = exchange::secret(&self.chance.private, &theirs).ok_or(MseError::WeakKey)?;
                out.extend(opening(&self.chance));
                CalledStage::Mark(hash(b"req1", &secret), Box::new(secret))
            }
            CalledStage::Mark(mark, secret) => {
                if !self.heap.find(&mark)? {
                    return self.wait(CalledStage::Mark(mark, secret));
                }
                CalledStage::Torrent(secret)
            }
            CalledStage::Torrent(secret) => {
                let Some(asked) = self.heap.take(HASH) else { return self.wait(CalledStage::Torrent(secret)) };
                let mask = hash(b"req3", &secret[..]);
                let asked: [u8; HASH] = std::array::from_fn(|n| asked[n] ^ mask[n]);
                let torrent = find(&asked).ok_or(MseError::UnknownTorrent)?;
                let receive = Rc4::of(b"keyA", &secret[..], &torrent.0);
                let send = Rc4::of(b"keyB", &secret[..], &torrent.0);
                CalledStage::Offer(torrent, Box::new(Ciphers { receive, send }))
            }
            CalledStage::Offer(torrent, mut ciphers) => {
                let Some(mut head) = self.heap.take(HEAD) else {
                    return self.wait(CalledStage::Offer(torrent, ciphers));
                };
                ciphers.receive.apply(&mut head);
                if head[..ZEROS] != [0; ZEROS] {
                    return Err(MseError::WrongKey);
                }
                let got = number(&head[ZEROS..ZEROS + 4]);
                let method = self.methods.best(got).ok_or(MseError::NoMethod { got })?;
                CalledStage::Pad(torrent, ciphers, method, within(number(&head[ZEROS + 4..]), PAD)?)
            }
            CalledStage::Pad(torrent, mut ciphers, method, pad) => {
                let Some(mut rest) = self.heap.take(pad + 2) else {
                    return self.wait(CalledStage::Pad(torrent, ciphers, method, pad));
                };
                ciphers.receive.apply(&mut rest);
                let length = within(number(&rest[pad..]), limits::MSE_PAYLOAD)?;
                CalledStage::Payload(torrent, ciphers, method, length)
            }
            stage @ CalledStage::Payload(..) => stage,
            CalledStage::Over => return Ok(None),
        };
        Ok(Some(next))
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is what `step` returns while bytes are missing")]
    fn wait(&mut self, stage: CalledStage) -> Result<Option<CalledStage>, MseError> {
        self.stage = stage;
        Ok(None)
    }

    /// Says which method it is.
    fn answer(&self, method: Method, ciphers: &mut Ciphers, out: &mut Vec<u8>) {
        let at = out.len();
        let pad = self.chance.inner.min(PAD);
        out.extend([0; ZEROS]);
        out.extend(match method {
            Method::Rc4 => Methods::RC4.0.to_be_bytes(),
            Method::Plaintext => Methods::PLAINTEXT.0.to_be_bytes(),
        });
        out.extend((pad as u16).to_be_bytes());
        out.resize(out.len() + pad, 0);
        ciphers.send.apply(&mut out[at..]);
    }
}
