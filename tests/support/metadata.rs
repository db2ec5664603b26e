//! A peer that gives metadata and nothing else: whatever bytes the test wants peers to send.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use bytes::Bytes;
use sha1::{Digest, Sha1};
use ttui::wire::extension::metadata::MetadataMessage;
use ttui::wire::extension::{self, ours};
use ttui::wire::message::{Frame, Handshake, InfoHash, Message, PeerId, Reserved, decode};

/// Gives metadata to whoever calls, by info-hash. Its threads end with the connections and the test.
pub struct Giver {
    pub addr: SocketAddr,
}

impl Giver {
    /// One that tells the truth.
    pub fn start(infos: impl IntoIterator<Item = Vec<u8>>) -> Giver {
        Giver::start_at(Ipv4Addr::LOCALHOST, infos)
    }

    /// The same at another address.
    pub fn start_at(ip: Ipv4Addr, infos: impl IntoIterator<Item = Vec<u8>>) -> Giver {
        let hashed = infos.into_iter().map(|info| (<[u8; 20]>::from(Sha1::digest(&info)), Bytes::from(info)));
        Giver::serve(ip, hashed.collect())
    }

    /// One that gives these bytes for another torrent's metadata.
    pub fn lying(hash: [u8; 20], info: Vec<u8>) -> Giver {
        Giver::serve(Ipv4Addr::LOCALHOST, BTreeMap::from([(hash, info.into())]))
    }

    fn serve(ip: Ipv4Addr, infos: BTreeMap<[u8; 20], Bytes>) -> Giver {
        let listener = TcpListener::bind((ip, 0)).expect("a loopback address can be bound");
        let addr = listener.local_addr().expect("it has an address");
        let infos = Arc::new(infos);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let infos = Arc::clone(&infos);
                // A connection that breaks is none of our business.
                std::thread::spawn(move || give(socket, &infos).unwrap_or_default());
            }
        });
        Giver { addr }
    }
}

fn give(mut socket: TcpStream, infos: &BTreeMap<[u8; 20], Bytes>) -> std::io::Result<()> {
    let mut theirs = [0; Handshake::LENGTH];
    socket.read_exact(&mut theirs)?;
    let Ok(Handshake { info_hash: InfoHash(hash), .. }) = Handshake::decode(&theirs) else { return Ok(()) };
    let Some(info) = infos.get(&hash) else { return Ok(()) };
    let port = socket.local_addr()?.port().to_be_bytes();
    let mut peer_id = PeerId(*b"-GI0100-metadata----");
    peer_id.0[18..].copy_from_slice(&port);
    let ours_all = Handshake { reserved: Reserved::OURS, info_hash: InfoHash(hash), peer_id };
    socket.write_all(&ours_all.encode())?;
    let hello = extension::Handshake {
        ut_metadata: Some(7),
        metadata_size: Some(info.len() as u32),
        ..extension::Handshake::default()
    };
    let mut out = Vec::new();
    Message::Extended { id: 0, payload: hello.encode().into() }.encode(&mut out);
    socket.write_all(&out)?;
    let mut buffer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let n = socket.read(&mut chunk)?;
        if n == 0 {
            return Ok(());
        }
        buffer.extend_from_slice(&chunk[..n]);
        while let Ok(Frame::Message(message, length)) = decode(&Bytes::copy_from_slice(&buffer), None) {
            buffer.drain(..length);
            let Message::Extended { id: 7, payload } = message else { continue };
            let Ok(MetadataMessage::Request(piece)) = MetadataMessage::decode(&payload) else { continue };
            let begin = (piece as usize * 16_384).min(info.len());
            let data = info.slice(begin..info.len().min(begin + 16_384));
            let answer = MetadataMessage::Data { piece, total: Some(info.len() as u32), data };
            let mut out = Vec::new();
            Message::Extended { id: ours::UT_METADATA, payload: answer.encode() }.encode(&mut out);
            socket.write_all(&out)?;
        }
    }
}
