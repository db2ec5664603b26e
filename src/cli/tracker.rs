//! `ttui tracker`: a small HTTP and UDP tracker, until it is stopped.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::{WrapErr, eyre};
use crossbeam_channel::RecvTimeoutError;

use crate::cli::{Common, STOPPED, TrackerArgs, out};
use crate::config::Config;
use crate::engine::tracker::{PORT, Tracker, TrackerConfig};

/// How often a line tells of the state.
const LINE: Duration = Duration::from_secs(60);

/// Prints where it can be reached, then a line a minute. The log tells of each announce with `-v`.
///
/// # Errors
/// When it cannot listen.
pub fn run(args: &TrackerArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let config = Config::load(common.clone()).map_err(|why| eyre!(why))?;
    super::log::start(&config, false)?;
    // Before anything is announced: whoever reads the line may stop us at once.
    let (tell, stop) = crossbeam_channel::bounded(1);
    ctrlc::set_handler(move || {
        let _ = tell.try_send(());
    })
    .wrap_err("signals cannot be caught")?;
    let mut listen = args.listen.clone();
    let named = !listen.is_empty();
    if !named {
        listen = match config.bind {
            Some(ip) => vec![(ip, PORT).into()],
            None => vec![(Ipv4Addr::UNSPECIFIED, PORT).into(), (Ipv6Addr::UNSPECIFIED, PORT).into()],
        };
    }
    let interval = Duration::from_secs(args.interval.into());
    let tracker = Tracker::start(&TrackerConfig { listen, interval })
        .wrap_err("the tracker cannot start; --listen names another address or port")?;
    // Without a wish of the user's a machine that has no IPv6 lacks nothing.
    for why in tracker.missing().iter().filter(|_| named) {
        out::warn(&format!("ttui: {why}"));
    }
    let urls = tracker.http_urls().into_iter().zip(tracker.udp_urls()).flat_map(|(http, udp)| [http, udp]);
    out::line(&format!("tracker {}", urls.collect::<Vec<_>>().join(" ")));
    while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(LINE) {
        let s = tracker.stats();
        out::line(&format!(
            "stats torrents={} peers={} seeds={} announces={} scrapes={} refused={}",
            s.torrents, s.peers, s.seeds, s.announces, s.scrapes, s.refused
        ));
    }
    drop(tracker);
    Ok(ExitCode::from(STOPPED))
}
