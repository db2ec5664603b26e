//! `ttui demo`: a made-up swarm in one process, shown in the interface: a torrent that is downloaded from a dozen peers of
//! several kinds, one that is seeded, and one that is stuck. It uses only loopback addresses and needs no network.

mod cast;
mod peer;
mod sample;

use std::fs;
use std::io::{self, IsTerminal};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use color_eyre::eyre::{WrapErr, eyre};
use crossbeam_channel::Receiver;

use super::args::{Common, DemoArgs};
use super::engine_run::{on_signal, shutdown};
use super::exit_status::{FAILED, STOPPED};
use super::progress::{ExitReason, OutputMode, ProgressReporter, StopCondition};
use super::sample_data::Scratch;
use super::{output, tui};
use crate::api::{AddTorrent, Command};
use crate::config::{Config, Encryption};
use crate::engine::handle::{Engine, EngineConfig};
use crate::engine::tracker::{Tracker, TrackerConfig};
use crate::ui::state::guide::Guide;
use crate::ui::terminal::event_loop::{Outcome, UiOptions};
use peer::{Script, ScriptedPeer};
use sample::Sample;

/// How much faster everything goes without a terminal.
const HASTE: u32 = 20;

/// Runs the demo until the user quits, or without a terminal until the download is complete.
///
/// # Errors
/// The temporary directory has no space for the data (about 400 MB), or the engine cannot start.
pub(crate) fn run(args: &DemoArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let config = Config::load(common.clone())?;
    let stop = on_signal()?;
    let headless = args.headless || !io::stdout().is_terminal() || !io::stdin().is_terminal();
    loop {
        let swarm = Swarm::start(&config, headless)?;
        if headless {
            return swarm.report(&stop);
        }
        let options = UiOptions { guide: Some(Guide::default()), ..UiOptions::new(&config) };
        let outcome = tui::run_interface(&swarm.engine, options, &stop);
        shutdown(swarm.engine);
        match outcome? {
            Outcome::Again => {}
            outcome => return tui::exit_code(outcome),
        }
    }
}

/// A running demo. Fields are dropped in this order.
struct Swarm {
    engine: Engine,
    peers: Vec<ScriptedPeer>,
    tracker: Tracker,
    /// Holds all data; removed at the end.
    home: Scratch,
}

impl Swarm {
    fn start(config: &Config, headless: bool) -> color_eyre::Result<Swarm> {
        let home = Scratch::new("demo")?;
        output::line(&format!("making up a swarm in {} ..", home.display()));
        let tracker = Tracker::start(&TrackerConfig::loopback()).wrap_err("the demo's tracker cannot start")?;
        let engine = EngineConfig {
            state_dir: home.join("state"),
            // The peers of the demo speak plain text.
            encryption: Encryption::Off,
            max_peers: 50,
            config_file: config.file.clone(),
            ..EngineConfig::loopback(home.join("downloads"))
        };
        let engine = Engine::start(&engine).map_err(|why| eyre!(why))?;
        let no_room = format!("the demo cannot make up its data in {}: it needs about 400 MB there", home.display());
        let mut swarm = Swarm { engine, peers: Vec::new(), tracker, home };
        let haste = if headless { HASTE } else { 1 };
        for (number, (torrent, peers)) in
            [(cast::DOWNLOAD, cast::UPLOADERS), (cast::SEEDED, cast::LEECHERS), (cast::STUCK, cast::INCOMPLETE)]
                .into_iter()
                .enumerate()
        {
            if headless && number > 0 {
                break;
            }
            swarm.add(number as u8, torrent, peers, haste).wrap_err_with(|| no_room.clone())?;
        }
        Ok(swarm)
    }

    /// Makes up a torrent, starts its peers and adds it to the engine.
    fn add(&mut self, number: u8, torrent: (&str, &[(&str, u64)]), scripts: &[Script], haste: u32) -> io::Result<()> {
        let (name, files) = torrent;
        let tracker = self.tracker.http_urls().into_iter().next().unwrap_or_default();
        let sample = Arc::new(Sample::new(name, files, &tracker, number.into())?);
        let path = self.home.join(format!("{name}.torrent"));
        fs::write(&path, &sample.torrent)?;
        let dir = self.home.join("downloads");
        fs::create_dir_all(&dir)?;
        if number == 1 {
            sample.write(&dir.join(name))?;
        }
        let engine = SocketAddr::from((Ipv4Addr::LOCALHOST, self.engine.port().unwrap_or_default()));
        for (place, script) in scripts.iter().enumerate() {
            let peer = ScriptedPeer::start(11 + 20 * number + place as u8, *script, &sample, engine, haste)?;
            // Who comes later dials.
            if script.joins == 0 {
                self.tracker.list_peer(sample.info_hash, peer.id, peer.addr, u64::from(script.have < 100));
            }
            self.peers.push(peer);
        }
        let what = path.to_string_lossy().into_owned();
        self.engine.send(Command::Add(AddTorrent { what, dir: Some(dir), ..AddTorrent::default() }));
        Ok(())
    }

    /// Prints progress until the download is complete.
    fn report(self, stop: &Receiver<()>) -> color_eyre::Result<ExitCode> {
        let until = StopCondition { complete: true, ..StopCondition::default() };
        let end = ProgressReporter::new(&self.engine, 1, OutputMode::Lines, until, stop).run();
        shutdown(self.engine);
        Ok(match end? {
            ExitReason::Done => ExitCode::SUCCESS,
            ExitReason::Failed => ExitCode::from(FAILED),
            ExitReason::Stopped => ExitCode::from(STOPPED),
        })
    }
}
