//! Metadata that are not in memory but can be read from disk.

use super::*;
use crate::swarm::job::{DiskDone, DiskJob};
use crate::wire::extension::metadata::MetadataMessage;
use crate::wire::extension::{Handshake, ours};

#[test]
fn kept_metadata_are_read_once_for_all_who_ask_and_dropped_when_nobody_does() {
    let (mut it, now) = torrent(1 << 20);
    let info: Bytes = (0..20_000_u32).map(|n| n as u8).collect::<Vec<_>>().into();
    it.config.kept_info = info.len();
    let hello = Handshake { ut_metadata: Some(9), ..Handshake::default() };
    let hello = Message::Extended { id: 0, payload: hello.encode().into() };
    let ask = |piece| Message::Extended { id: ours::UT_METADATA, payload: MetadataMessage::Request(piece).encode() };
    let heard = |out: &[Effect]| -> Vec<MetadataMessage> {
        extended(out, 9).iter().map(|payload| MetadataMessage::decode(payload).unwrap()).collect()
    };
    let reads = |out: &[Effect]| out.iter().filter(|e| matches!(e, Effect::Disk(DiskJob::ReadInfo))).count();
    let data = |piece: u32, data| MetadataMessage::Data { piece, total: Some(20_000), data };
    let pieces = [info.slice(..16384), info.slice(16384..)];

    let mut out = meets(&mut it, now, 1, vec![hello.clone(), ask(1), ask(2)]);
    assert_eq!((it.info_length(), reads(&out)), (20_000, 1));
    assert_eq!(heard(&out), [MetadataMessage::Reject(2)], "there is no such piece");
    out = meets(&mut it, now, 3, vec![hello, ask(0)]);
    assert_eq!((reads(&out), heard(&out)), (0, vec![]), "it is being read already");
    out.clear();
    it.handle(now, Input::Disk(DiskDone::Info(Some(info.clone()))), &mut out);
    let told: Vec<u32> =
        heard(&out).iter().map(|m| if let MetadataMessage::Data { piece, .. } = m { *piece } else { 99 }).collect();
    assert_eq!(told, [1, 0]);
    assert!(heard(&out) == [data(1, pieces[1].clone()), data(0, pieces[0].clone())]);

    // Used again within the time that it stays.
    let soon = now + Duration::from_secs(50);
    out.clear();
    says(&mut it, soon, 1, vec![ask(0)], &mut out);
    assert!(reads(&out) == 0 && heard(&out) == [data(0, pieces[0].clone())]);
    let late = now + Duration::from_secs(109);
    it.handle(late, Input::Tick, &mut out);
    assert!(it.config.info.is_some());
    assert!(it.deadline(late) <= soon + Duration::from_secs(60));
    it.handle(soon + Duration::from_secs(60), Input::Tick, &mut out);
    assert!(it.config.info.is_none());

    // What cannot be read is refused.
    out.clear();
    let later = soon + Duration::from_secs(60);
    says(&mut it, later, 3, vec![ask(0)], &mut out);
    assert_eq!(reads(&out), 1);
    out.clear();
    it.handle(later, Input::Disk(DiskDone::Info(None)), &mut out);
    assert_eq!(heard(&out), [MetadataMessage::Reject(0)]);
}
