use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// A machine that is a function.
struct Function<T, E>(T, E);

impl<T: FnMut() -> Turn + Send, E: FnMut() + Send> Machine for Function<T, E> {
    fn turn(&mut self) -> Turn {
        (self.0)()
    }

    fn end(mut self: Box<Self>) {
        (self.1)();
    }
}

struct Workers {
    crew: ThreadGroup,
    scheduler: Scheduler,
}

impl Workers {
    fn start(workers: usize) -> Workers {
        let crew = ThreadGroup::default();
        let scheduler = Scheduler::start(&crew, workers).unwrap();
        Workers { crew, scheduler }
    }

    fn run(&self, turn: impl FnMut() -> Turn + Send + 'static) -> Task {
        let task = Task::default();
        self.scheduler.run(&task, Function(turn, || ()), |words| panic!("{words}"));
        task
    }

    /// Ends the workers, which must all end.
    fn stop(self) {
        drop(self.scheduler);
        assert_eq!(self.crew.wait(Instant::now() + PATIENCE), Vec::<String>::new());
    }
}

fn far() -> Turn {
    Turn::Until(Instant::now() + 10 * PATIENCE)
}

/// A machine that takes at most three messages a turn and tells when it has had this many.
fn receiver(mail: Receiver<u64>, expected: u64, done: Sender<u64>) -> impl FnMut() -> Turn + Send {
    let (mut count, mut sum) = (0, 0);
    let running = AtomicBool::new(false);
    move || {
        assert!(!running.swap(true, Ordering::SeqCst), "run by two at once");
        let mut turn = far();
        for n in 0.. {
            if n == 3 {
                turn = Turn::Again;
                break;
            }
            let Ok(message) = mail.try_recv() else { break };
            (count, sum) = (count + 1, sum + message);
        }
        running.store(false, Ordering::SeqCst);
        if count == expected {
            done.send(sum).unwrap();
            return Turn::Ended;
        }
        turn
    }
}

#[test]
fn no_message_is_lost_however_many_send() {
    const MACHINES: usize = 6;
    const SENDERS: u64 = 4;
    const MESSAGES: u64 = 4000;
    for workers in [1, 2, 4] {
        let all = Workers::start(workers);
        let (done, ended) = unbounded();
        let mut ways = Vec::new();
        for _ in 0..MACHINES {
            let (send, mail) = unbounded();
            let task = all.run(receiver(mail, SENDERS * MESSAGES, done.clone()));
            ways.push((send, task));
        }
        std::thread::scope(|scope| {
            for sender in 0..SENDERS {
                let ways = &ways;
                scope.spawn(move || {
                    let mut rng = fastrand::Rng::with_seed(sender);
                    for n in 0..MESSAGES {
                        for (send, task) in ways {
                            send.send(n).unwrap();
                            task.wake();
                        }
                        // At times the machines have nothing to do and the workers sleep.
                        match rng.u32(..400) {
                            0 => std::thread::sleep(Duration::from_millis(1)),
                            1..40 => std::thread::yield_now(),
                            _ => (),
                        }
                    }
                });
            }
        });
        for _ in 0..MACHINES {
            assert_eq!(ended.recv_timeout(PATIENCE), Ok(SENDERS * (MESSAGES - 1) * MESSAGES / 2));
        }
        all.stop();
    }
}

#[test]
fn a_message_before_the_machine_is_there_is_found_by_its_first_turn() {
    let all = Workers::start(1);
    let (send, mail) = unbounded();
    let (done, ended) = unbounded();
    let task = Task::default();
    send.send(7).unwrap();
    task.wake();
    all.scheduler.run(&task, Function(receiver(mail, 1, done), || ()), |words| panic!("{words}"));
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(7));
    all.stop();
}

#[test]
fn machines_that_always_have_work_take_turns() {
    let all = Workers::start(1);
    let log = Arc::new(Mutex::new(Vec::new()));
    let (done, ended) = mpsc::channel();
    // Holds the only worker until all are in the queue.
    let (go, wait) = mpsc::channel::<()>();
    all.run(move || {
        wait.recv().unwrap();
        Turn::Ended
    });
    for name in 0..5 {
        let (log, done) = (Arc::clone(&log), done.clone());
        let mut turns = 0;
        all.run(move || {
            log.lock().unwrap().push(name);
            turns += 1;
            if turns < 100 {
                return Turn::Again;
            }
            done.send(()).unwrap();
            Turn::Ended
        });
    }
    go.send(()).unwrap();
    (0..5).for_each(|_| ended.recv_timeout(PATIENCE).unwrap());
    let order: Vec<i32> = (0..100).flat_map(|_| 0..5).collect();
    assert_eq!(*log.lock().unwrap(), order);
    all.stop();
}

#[test]
fn one_that_is_woken_without_end_does_not_starve_the_others() {
    let all = Workers::start(1);
    let (turns, asked) = (Arc::new(AtomicU64::new(0)), mpsc::channel());
    let own = Arc::new(OnceLock::<Task>::new());
    let (me, count) = (Arc::clone(&own), Arc::clone(&turns));
    let hot = all.run(move || {
        count.fetch_add(1, Ordering::SeqCst);
        // As if a message arrived during each of its turns.
        me.get().inspect(|task| task.wake());
        far()
    });
    own.set(hot.clone()).ok().unwrap();
    hot.wake();
    for _ in 0..20 {
        let asked = asked.0.clone();
        all.run(move || {
            asked.send(()).unwrap();
            Turn::Ended
        });
    }
    (0..20).for_each(|_| asked.1.recv_timeout(PATIENCE).unwrap());
    let deadline = Instant::now() + PATIENCE;
    let before = turns.load(Ordering::SeqCst);
    while turns.load(Ordering::SeqCst) == before {
        assert!(Instant::now() < deadline, "it goes on itself");
        std::thread::yield_now();
    }
    drop(all.scheduler);
    assert!(all.crew.wait(Instant::now() + PATIENCE).is_empty(), "and does not keep the worker from ending");
}

#[test]
fn deadlines_come_in_their_order_and_not_too_early() {
    let all = Workers::start(2);
    let (tell, told) = mpsc::channel();
    let began = Instant::now();
    // The last one moves its deadline away and nearer again, as torrents do.
    for (name, waits) in [(0, vec![60]), (1, vec![20]), (2, vec![40]), (3, vec![1000, 10, 90])] {
        let tell = tell.clone();
        let mut steps = waits.into_iter().map(move |ms| began + Duration::from_millis(ms)).peekable();
        let mut due = None;
        let task = Task::default();
        let own = task.clone();
        let turn = move || {
            if let Some(due) = due
                && Instant::now() >= due
                && steps.peek().is_none()
            {
                tell.send(name).unwrap();
                return Turn::Ended;
            }
            due = steps.next().or(due);
            if steps.peek().is_some() {
                own.wake();
            }
            due.map_or_else(far, Turn::Until)
        };
        all.scheduler.run(&task, Function(turn, || ()), |words| panic!("{words}"));
    }
    let order: Vec<i32> = (0..4).map(|_| told.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!(order, [1, 2, 0, 3]);
    assert!(began.elapsed() >= Duration::from_millis(90));
    all.stop();
}

#[test]
fn many_deadlines_all_come() {
    let all = Workers::start(3);
    let (tell, told) = mpsc::channel();
    for n in 0..2000 {
        let tell = tell.clone();
        let mut left = 3;
        all.run(move || {
            left -= 1;
            if left == 0 {
                tell.send(n).unwrap();
                return Turn::Ended;
            }
            Turn::Until(Instant::now() + Duration::from_millis(n % 30))
        });
    }
    let mut ended: Vec<u64> = (0..2000).map(|_| told.recv_timeout(PATIENCE).unwrap()).collect();
    ended.sort_unstable();
    assert!(ended.into_iter().eq(0..2000));
    all.stop();
}

#[test]
fn a_panic_ends_one_machine_and_is_told() {
    let all = Workers::start(1);
    let (tell, told) = mpsc::channel();
    let count = all.scheduler.count();
    for (n, at_its_end) in [(1, false), (2, true)] {
        let tell = tell.clone();
        let turn = move || {
            assert!(at_its_end, "in turn {n}");
            Turn::Ended
        };
        let task = Task::default();
        all.scheduler.run(&task, Function(turn, move || panic!("at end {n}")), move |words| tell.send(words).unwrap());
        let words = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(words, if at_its_end { "at end 2" } else { "in turn 1" });
        task.wake();
    }
    let (send, mail) = unbounded();
    let (done, ended) = unbounded();
    let other = all.run(receiver(mail, 1, done));
    send.send(3).unwrap();
    other.wake();
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(3), "the worker goes on");
    all.stop();
    assert_eq!(count.get(), 0);
}

#[test]
fn workers_end_with_the_scheduler_and_what_has_not_ended_is_counted() {
    let all = Workers::start(4);
    let count = all.scheduler.count();
    let (tell, told) = mpsc::channel();
    for _ in 0..3 {
        let tell = tell.clone();
        all.run(move || {
            tell.send(()).unwrap();
            far()
        });
    }
    (0..3).for_each(|_| told.recv_timeout(PATIENCE).unwrap());
    let ends = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&ends);
    let task = Task::default();
    all.scheduler.run(&task, Function(|| Turn::Ended, move || ended.store(true, Ordering::SeqCst)), |_| ());
    let deadline = Instant::now() + PATIENCE;
    while count.get() > 3 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    assert!(ends.load(Ordering::SeqCst));
    all.stop();
    assert_eq!(count.get(), 3);
}
