//! Discards pending terminal input when the UI ends: the shell would otherwise read mouse reports in transit as typed
//! text.

use std::io::Write;

/// Discards terminal input up to the reply to a cursor position query, or for 200 ms if the terminal does not reply.
/// Requires raw mode and no other reader.
#[cfg(unix)]
pub(super) fn discard(mut terminal: impl Write) {
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::stdio::stdin;
    use rustix::termios::{QueueSelector, tcflush};

    // Terminals reply in order: everything before the report (`ESC [ row ; column R`) was sent before the query.
    if terminal.write_all(b"\x1b[6n").and_then(|()| terminal.flush()).is_err() {
        return;
    }
    let deadline = Instant::now() + Duration::from_millis(200);
    let mut answer = Answer::default();
    let mut bytes = [0; 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(timeout) = left.try_into() else { break };
        let stdin = stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        let ready = poll(&mut fds, Some(&timeout)).is_ok_and(|n| n > 0) && fds[0].revents().contains(PollFlags::IN);
        if left.is_zero() || !ready {
            break;
        }
        match rustix::io::read(stdin, &mut bytes) {
            Ok(n) if n > 0 => {
                if bytes[..n].iter().any(|byte| answer.ends_with(*byte)) {
                    break;
                }
            }
            _ => break,
        }
    }
    let _ = tcflush(stdin(), QueueSelector::IFlush);
}

/// Discards pending events.
#[cfg(not(unix))]
pub(super) fn discard(_terminal: impl Write) {
    use std::time::Duration;

    // A Windows console has no reports in transit once mouse capture is off.
    for _ in 0..1024 {
        if !matches!(crossterm::event::poll(Duration::ZERO), Ok(true)) || crossterm::event::read().is_err() {
            return;
        }
    }
}

/// Recognizes a cursor position report, `ESC [ row ; column R`, byte by byte.
#[cfg(unix)]
#[derive(Default)]
struct Answer {
    /// Number of parts seen so far: ESC, `[`, row, `;`, column.
    parts: u8,
}

#[cfg(unix)]
impl Answer {
    /// Feeds one byte; returns whether the byte completes the report.
    fn ends_with(&mut self, byte: u8) -> bool {
        self.parts = match (self.parts, byte) {
            (5, b'R') => return true,
            (_, 0x1b) => 1,
            (1, b'[') => 2,
            (2 | 3, b'0'..=b'9') => 3,
            (3, b';') => 4,
            (4 | 5, b'0'..=b'9') => 5,
            _ => 0,
        };
        false
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_cursor_position_report_is_the_answer() {
        let end = |bytes: &[u8]| {
            let mut answer = Answer::default();
            bytes.iter().position(|byte| answer.ends_with(*byte))
        };
        assert_eq!(end(b"\x1b[24;80R"), Some(7));
        assert_eq!(end(b"\x1b[<35;10;10M\x1b[<0;1;1m\x1b[1;1Rls"), Some(26));
        assert_eq!(end(b"\x1b[\x1b[2;3R"), Some(7));
        for none in [&b"\x1b[R"[..], b"\x1b[;5R", b"\x1b[5;R", b"24;80R", b"\x1b[1;2;3R", b"\x1b[M !!R"] {
            assert_eq!(end(none), None, "{none:?}");
        }
    }
}
