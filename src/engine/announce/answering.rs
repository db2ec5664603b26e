//! Merges the responses to one announce that is made over IPv4 and IPv6 (BEP 7). The first response is delivered at
//! once; of a second response only the peers are used.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::job::{Callback, LatePeersCallback};
use crate::wire::tracker::{AnnounceError, AnnounceEvent, AnnounceResponse};

/// The pending result of one announce, shared by its attempts over IPv4 and IPv6.
pub(crate) struct PendingAnnounce(Mutex<State>);

struct State {
    /// The number of unfinished attempts.
    open: usize,
    /// Wait for every attempt: a `stopped` announce must reach the tracker over both address families.
    last: bool,
    done: Option<Callback<AnnounceResponse, AnnounceError>>,
    more: Option<LatePeersCallback>,
    reply: Option<AnnounceResponse>,
    error: Option<AnnounceError>,
}

impl PendingAnnounce {
    /// Creates the result of an announce with one attempt.
    pub(crate) fn new(
        event: AnnounceEvent,
        done: Callback<AnnounceResponse, AnnounceError>,
        more: LatePeersCallback,
    ) -> Arc<Self> {
        Arc::new(PendingAnnounce(Mutex::new(State {
            open: 1,
            last: event == AnnounceEvent::Stopped,
            done: Some(done),
            more: Some(more),
            reply: None,
            error: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an attempt.
    pub(crate) fn add_attempt(&self) {
        self.lock().open += 1;
    }

    /// Drops the callbacks without calling them: no result is reported.
    pub(crate) fn mute(&self) {
        let mut state = self.lock();
        let dropped = (state.done.take(), state.more.take());
        drop(state);
        drop(dropped);
    }

    /// Fails all remaining attempts with this error.
    pub(crate) fn fail(&self, error: AnnounceError) {
        self.lock().open = 1;
        self.answer(Err(error));
    }

    /// Ends one attempt with this result.
    pub(crate) fn answer(&self, result: Result<AnnounceResponse, AnnounceError>) {
        let mut state = self.lock();
        state.open = state.open.saturating_sub(1);
        if state.done.is_none() {
            let more = state.more.take_if(|_| result.is_ok());
            drop(state);
            if let (Some(more), Ok(reply)) = (more, result) {
                more(reply.peers);
            }
            return;
        }
        match result {
            Ok(reply) => state.reply = Some(reply),
            // If all attempts fail, the first error is reported.
            Err(error) => _ = state.error.get_or_insert(error),
        }
        if state.open > 0 && (state.last || state.reply.is_none()) {
            return;
        }
        let result = match (state.reply.take(), state.error.take()) {
            (Some(reply), _) => Ok(reply),
            (None, error) => Err(error.unwrap_or_else(|| AnnounceError::new("no answer"))),
        };
        let done = state.done.take();
        drop(state);
        if let Some(done) = done {
            done(result);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::mpsc;

    use super::*;

    #[derive(PartialEq, Debug)]
    enum Heard {
        Done(Result<usize, String>),
        More(usize),
    }

    fn answering(event: AnnounceEvent, attempts: usize) -> (Arc<PendingAnnounce>, mpsc::Receiver<Heard>) {
        let (tell, told) = mpsc::channel();
        let also = tell.clone();
        let done = move |result: Result<AnnounceResponse, AnnounceError>| {
            tell.send(Heard::Done(result.map(|reply| reply.peers.len()).map_err(|error| error.why))).unwrap();
        };
        let more = move |peers: Vec<SocketAddr>| also.send(Heard::More(peers.len())).unwrap();
        let it = PendingAnnounce::new(event, Box::new(done), Box::new(more));
        (1..attempts).for_each(|_| it.add_attempt());
        (it, told)
    }

    fn reply(peers: u16) -> Result<AnnounceResponse, AnnounceError> {
        let peers = (1..=peers).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect();
        Ok(AnnounceResponse { peers, ..AnnounceResponse::default() })
    }

    fn all(told: &mpsc::Receiver<Heard>) -> Vec<Heard> {
        told.try_iter().collect()
    }

    #[test]
    fn the_first_answer_counts_at_once_and_the_second_adds_addresses() {
        let (it, told) = answering(AnnounceEvent::Started, 2);
        it.answer(reply(3));
        assert_eq!(all(&told), [Heard::Done(Ok(3))]);
        it.answer(reply(2));
        assert_eq!(all(&told), [Heard::More(2)]);
        // If one attempt fails, the other one's response is the result.
        for replies in [[Err(AnnounceError::new("black hole")), reply(1)], [reply(1), Err(AnnounceError::new("late"))]]
        {
            let (it, told) = answering(AnnounceEvent::None, 2);
            replies.into_iter().for_each(|result| it.answer(result));
            assert_eq!(all(&told), [Heard::Done(Ok(1))]);
        }
        let (it, told) = answering(AnnounceEvent::None, 2);
        it.answer(Err(AnnounceError::new("one")));
        assert_eq!(all(&told), []);
        it.answer(Err(AnnounceError::new("two")));
        assert_eq!(all(&told), [Heard::Done(Err("one".into()))]);
    }

    #[test]
    fn a_last_word_is_said_over_both_families_and_a_muted_one_is_heard_by_nobody() {
        let (it, told) = answering(AnnounceEvent::Stopped, 2);
        it.answer(reply(0));
        assert_eq!(all(&told), []);
        it.answer(Err(AnnounceError::new("no route")));
        assert_eq!(all(&told), [Heard::Done(Ok(0))]);
        let (it, told) = answering(AnnounceEvent::Started, 2);
        it.mute();
        it.answer(reply(1));
        it.answer(Err(AnnounceError::new("late")));
        assert_eq!(all(&told), []);
    }
}
