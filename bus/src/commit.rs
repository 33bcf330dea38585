//! Group commit. On disk, single commits are stored one after the other (0.4 ms each), while a hundred in one atomic batch
//! cost what ten do (3–5 ms). So: alone, a commit goes alone; when many wait, they go together.
//!
//! One expectation in a batch that does not hold stores nothing of it; then each goes alone and only the wrong one fails.

use crate::batch::Write;
use crate::error::{BusError, Op};
use crate::link::Link;
use std::collections::{HashSet, VecDeque};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Single commits under way at once; with so many more waiting, a batch is cheaper.
const SINGLES: usize = 8;
/// Most commits of a batch.
const BATCH: usize = 100;
/// Most bytes of a batch: the server holds it in memory or in a file until it is complete.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Commits that may wait; more make the callers wait.
const QUEUE: usize = 1024;

type Answer = oneshot::Sender<Result<u64, BusError>>;

#[derive(Debug)]
struct Waiting {
    write: Write,
    answer: Answer,
    /// Was in a batch that stored nothing: do not try a batch again.
    alone: bool,
}

/// Takes commits of all runs; a cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Committer {
    queue: mpsc::Sender<Waiting>,
}

/// What finished.
enum Done {
    Single,
    Batch(Vec<Waiting>),
}

impl Committer {
    /// Starts the task; it ends with the last clone.
    pub(crate) fn start(link: Link) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(Turn { link, pending: VecDeque::new(), under_way: JoinSet::new(), singles: 0, batch: false }.run(waiting));
        Self { queue }
    }

    /// Stores one message if its expectation holds; returns its sequence.
    pub(crate) async fn commit(&self, write: Write) -> Result<u64, BusError> {
        let (answer, answered) = oneshot::channel();
        let subject = write.subject.clone();
        let op = Op("commit", &subject);
        let deadline = tokio::time::Instant::now() + crate::link::PATIENCE;
        let queued = self.queue.send(Waiting { write, answer, alone: false });
        match tokio::time::timeout_at(deadline, queued).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(BusError::unavailable(op)),
        }
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) | Err(_) => Err(BusError::timeout(op)),
        }
    }
}

struct Turn {
    link: Link,
    pending: VecDeque<Waiting>,
    under_way: JoinSet<Done>,
    singles: usize,
    batch: bool,
}

impl Turn {
    async fn run(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut open = true;
        while open || !self.pending.is_empty() || !self.under_way.is_empty() {
            tokio::select! {
                received = waiting.recv(), if open => match received {
                    Some(one) => self.pending.push_back(one),
                    None => open = false,
                },
                Some(done) = self.under_way.join_next(), if !self.under_way.is_empty() => self.finished(done),
            }
            while let Ok(one) = waiting.try_recv() {
                self.pending.push_back(one);
            }
            self.send();
        }
    }

    fn finished(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Single) => self.singles -= 1,
            Ok(Done::Batch(again)) => {
                self.batch = false;
                for one in again.into_iter().rev() {
                    self.pending.push_front(one);
                }
            }
            // A panic in a commit: its callers got no answer, which they take for "unknown".
            Err(error) => {
                tracing::error!(%error, "a commit broke off");
                self.singles = self.singles.saturating_sub(1);
                self.batch = false;
            }
        }
    }

    fn send(&mut self) {
        loop {
            // Whoever stopped waiting was told "unknown" and reads back; sending it now would only surprise.
            while self.pending.front().is_some_and(|one| one.answer.is_closed()) {
                self.pending.pop_front();
            }
            let Some(first) = self.pending.front() else { return };
            if !first.alone && !self.batch && self.pending.len() >= SINGLES && self.singles >= SINGLES {
                let batch = self.take_batch();
                self.batch = true;
                let link = self.link.clone();
                self.under_way.spawn(commit_batch(link, batch));
            } else if self.singles < SINGLES {
                let Some(one) = self.pending.pop_front() else { return };
                self.singles += 1;
                let link = self.link.clone();
                self.under_way.spawn(async move {
                    let done = link.write_one("commit", &one.write).await;
                    let _ = one.answer.send(done);
                    Done::Single
                });
            } else {
                return;
            }
        }
    }

    /// The first waiting ones, at most one of each subject: a second one's expectation could not hold.
    fn take_batch(&mut self) -> Vec<Waiting> {
        let mut subjects = HashSet::new();
        let mut bytes = 0;
        let (mut batch, mut rest) = (Vec::new(), VecDeque::new());
        for one in self.pending.drain(..) {
            let fits = batch.len() < BATCH && bytes + one.write.payload.len() <= BATCH_BYTES && !one.alone;
            if fits && subjects.insert(one.write.subject.clone()) {
                bytes += one.write.payload.len();
                batch.push(one);
            } else {
                rest.push_back(one);
            }
        }
        self.pending = rest;
        batch
    }
}

async fn commit_batch(link: Link, batch: Vec<Waiting>) -> Done {
    let (writes, answers): (Vec<Write>, Vec<Answer>) = batch.into_iter().map(|one| (one.write, one.answer)).unzip();
    match link.write_all("commit", &writes).await {
        Ok(sequences) => {
            for (answer, sequence) in answers.into_iter().zip(sequences) {
                let _ = answer.send(Ok(sequence));
            }
            Done::Batch(Vec::new())
        }
        // Nobody knows, of none of them.
        Err(BusError::Timeout { .. }) => {
            for (answer, write) in answers.into_iter().zip(&writes) {
                let _ = answer.send(Err(BusError::timeout(Op("commit", &write.subject))));
            }
            Done::Batch(Vec::new())
        }
        // Nothing was stored: each alone, so that each gets the answer that is its own.
        Err(error) => {
            tracing::debug!(%error, commits = writes.len(), "a group commit stored nothing; one by one");
            let alone = writes.into_iter().zip(answers).map(|(write, answer)| Waiting { write, answer, alone: true });
            Done::Batch(alone.collect())
        }
    }
}
