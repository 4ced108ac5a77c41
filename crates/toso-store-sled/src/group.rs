//! Group commit: what arrives while the disk is busy rides together on the next flush.
//!
//! There is no thread and no timer. The first caller leads: it takes all waiting requests, its own among them, performs
//! them, and hands out the answers. A caller that comes meanwhile waits, and one of those leads the next group. A lone caller
//! thus never waits for company, and many callers share one flush.

use std::collections::{HashMap, VecDeque};

use parking_lot::{Condvar, Mutex};

/// The most requests in a group: twice the 64 connections that the national load pushes from at once.
const GROUP_REQUESTS_MAX: usize = 128;
/// The most bytes in a group, unless one request alone has more: at disks of 50 MB/s a group of 1 MiB takes 20 ms.
const GROUP_BYTES_MAX: usize = 1024 * 1024;

/// Requests of type `R`, each answered by an `A`.
#[derive(Debug)]
pub(crate) struct GroupCommit<R, A> {
    queue: Mutex<Queue<R, A>>,
    answered: Condvar,
}

#[derive(Debug)]
struct Queue<R, A> {
    waiting: VecDeque<Waiting<R>>,
    answers: HashMap<u64, A>,
    ticket_last: u64,
    /// True while some caller performs a group.
    led: bool,
}

#[derive(Debug)]
struct Waiting<R> {
    ticket: u64,
    bytes: usize,
    request: R,
}

impl<R, A> Default for GroupCommit<R, A> {
    fn default() -> Self {
        let queue = Queue { waiting: VecDeque::new(), answers: HashMap::new(), ticket_last: 0, led: false };
        Self { queue: Mutex::new(queue), answered: Condvar::new() }
    }
}

impl<R, A> GroupCommit<R, A> {
    /// Performs a request, alone or with others, and returns its answer. `perform` gets requests in the order they
    /// came and gives as many answers; it must not panic.
    pub(crate) fn submit(&self, request: R, bytes: usize, perform: impl Fn(Vec<R>) -> Vec<A>) -> A {
        let mut queue = self.queue.lock();
        queue.ticket_last += 1;
        let ticket = queue.ticket_last;
        queue.waiting.push_back(Waiting { ticket, bytes, request });
        loop {
            if let Some(answer) = queue.answers.remove(&ticket) {
                return answer;
            }
            if queue.led {
                self.answered.wait(&mut queue);
                continue;
            }
            queue.led = true;
            let (tickets, requests): (Vec<_>, Vec<_>) = queue.next_group().into_iter().unzip();
            drop(queue);
            let answers = perform(requests);
            queue = self.queue.lock();
            queue.led = false;
            queue.answers.extend(tickets.into_iter().zip(answers));
            self.answered.notify_all();
        }
    }
}

impl<R, A> Queue<R, A> {
    fn next_group(&mut self) -> Vec<(u64, R)> {
        let mut group = Vec::new();
        let mut bytes = 0_usize;
        while let Some(next) = self.waiting.front() {
            bytes = bytes.saturating_add(next.bytes);
            if group.len() == GROUP_REQUESTS_MAX || (bytes > GROUP_BYTES_MAX && !group.is_empty()) {
                break;
            }
            group.extend(self.waiting.pop_front().map(|waiting| (waiting.ticket, waiting.request)));
        }
        group
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn everybody_gets_their_own_answer_and_shares_groups() {
        let commits = GroupCommit::<u32, u32>::default();
        let groups = Mutex::new(Vec::new());
        let start = Barrier::new(16);
        thread::scope(|threads| {
            for number in 0..16 {
                let (commits, groups, start) = (&commits, &groups, &start);
                threads.spawn(move || {
                    start.wait();
                    let answer = commits.submit(number, 1, |requests| {
                        groups.lock().push(requests.len());
                        thread::sleep(Duration::from_millis(30));
                        requests.iter().map(|request| request * 2).collect()
                    });
                    assert_eq!(answer, number * 2);
                });
            }
        });
        let groups = groups.into_inner();
        assert_eq!(groups.iter().sum::<usize>(), 16);
        assert!(groups.len() < 8, "16 callers at once made {} groups", groups.len());
        assert!(commits.queue.into_inner().answers.is_empty());
    }

    #[test]
    fn a_group_ends_at_its_limits() {
        let queue = |sizes: &[usize]| Queue::<usize, usize> {
            waiting: sizes.iter().map(|bytes| Waiting { ticket: 1, bytes: *bytes, request: *bytes }).collect(),
            answers: HashMap::new(),
            ticket_last: 0,
            led: false,
        };
        assert_eq!(queue(&[1; GROUP_REQUESTS_MAX + 1]).next_group().len(), GROUP_REQUESTS_MAX);
        assert_eq!(queue(&[GROUP_BYTES_MAX - 1, 1, 1]).next_group().len(), 2);
        assert_eq!(queue(&[GROUP_BYTES_MAX + 1, 1]).next_group().len(), 1);
        assert_eq!(queue(&[]).next_group().len(), 0);
    }
}
