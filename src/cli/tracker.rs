//! `ttui tracker`: runs a small HTTP and UDP tracker until stopped.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::WrapErr;
use crossbeam_channel::RecvTimeoutError;

use super::args::{Common, TrackerArgs};
use super::exit_status::STOPPED;
use super::output;
use crate::config::Config;
use crate::engine::tracker::{PORT, Tracker, TrackerConfig};

/// Interval between status lines.
const LINE: Duration = Duration::from_secs(60);

/// Prints the announce URLs, then one status line a minute. With `-v` each announce is logged.
///
/// # Errors
/// The tracker cannot listen.
pub(crate) fn run(args: &TrackerArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let config = Config::load(common.clone())?;
    super::log::start(&config, false)?;
    // Installed before the URLs are printed: a script that reads them may stop the tracker immediately.
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
    // Without `--listen`, a machine without IPv6 is no reason for a warning.
    for why in tracker.missing().iter().filter(|_| named) {
        output::warn(&format!("ttui: {why}"));
    }
    let urls = tracker.http_urls().into_iter().zip(tracker.udp_urls()).flat_map(|(http, udp)| [http, udp]);
    output::line(&format!("tracker {}", urls.collect::<Vec<_>>().join(" ")));
    while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(LINE) {
        let s = tracker.stats();
        output::line(&format!(
            "stats torrents={} peers={} seeds={} announces={} scrapes={} refused={}",
            s.torrents, s.peers, s.seeds, s.announces, s.scrapes, s.refused
        ));
    }
    drop(tracker);
    Ok(ExitCode::from(STOPPED))
}
