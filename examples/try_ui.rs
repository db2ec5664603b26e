#[path = "../tests/support/snapshots.rs"]
#[allow(dead_code)]
mod snapshots;
use std::sync::Arc;
use std::time::Duration;
use ttui::api::*;
fn main() -> color_eyre::Result<()> {
    color_eyre::install()?;
    let (stop_tx, stop) = crossbeam_channel::bounded(1);
    ctrlc::set_handler(move || {
        let _ = stop_tx.try_send(());
    })?;
    let (tx, rx) = crossbeam_channel::unbounded();
    let (ctx, crx) = crossbeam_channel::unbounded::<Command>();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        let mut snap = snapshots::busy();
        let mut n = snapshots::Numbers::new(9);
        let mut t = 0u64;
        loop {
            while let Ok(c) = crx.try_recv() {
                use std::io::Write;
                let mut f = std::fs::OpenOptions::new().append(true).create(true).open("/tmp/ui.log").unwrap();
                writeln!(f, "{c:?}").unwrap();
                match c {
                    Command::Add(a) if a.what.contains("bad") => {
                        tx.send(Event::Refused {
                            what: a.what.clone(),
                            why: format!("{} is no torrent: byte 17 is not bencode; get the file again", a.what),
                        })
                        .ok();
                    }
                    Command::Add(a) => {
                        let id = TorrentId(100 + t as u32);
                        snap.torrents.push((id, snapshots::other(&a.what, State::Downloading, 3)));
                        tx.send(Event::Added { id, what: a.what }).ok();
                    }
                    Command::Pause(id) => {
                        for (i, v) in &mut snap.torrents {
                            if *i == id {
                                v.state = State::Paused;
                                v.down = 0;
                            }
                        }
                    }
                    Command::Resume(id) => {
                        for (i, v) in &mut snap.torrents {
                            if *i == id {
                                v.state = State::Downloading;
                            }
                        }
                    }
                    Command::Remove { id, .. } => snap.torrents.retain(|(i, _)| *i != id),
                    Command::Wish(_, Wish::Announce) => {
                        std::thread::spawn(|| panic!("other thread"));
                    }
                    _ => {}
                }
            }
            t += 1;
            let (mut down, mut up) = (0, 0);
            for (_, v) in &mut snap.torrents {
                if v.state == State::Downloading {
                    v.down = 3_000_000 + n.below(6_000_000);
                    v.have = (v.have + 1).min(v.pieces);
                }
                down += v.down;
                up += v.up;
                if let Some(d) = &mut v.detail {
                    for p in &mut d.peers {
                        if p.down > 0 {
                            p.down = p.down / 2 + n.below(400_000);
                        }
                    }
                    let at = n.below(1996) as usize;
                    d.cells[at].have = 1;
                }
            }
            snap.down = down;
            snap.up = up;
            if tx.send(Event::Snapshot(Arc::new(snap.clone()))).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    });
    let options = ttui::ui::run::UiOptions::from_env();
    let out = ttui::ui::run::run(
        |c| {
            if matches!(c, Command::Wish(_, Wish::Verify)) {
                panic!("boom in ui");
            }
            let _ = ctx.send(c);
        },
        &rx,
        options,
        &stop,
    )?;
    println!("{out:?}");
    Ok(())
}
