//! The threads that feed the runner's queue: the tool's outputs, the worker's wishes, the end of children (and in
//! `contain` the looks at what the tool uses).
//!
//! Each does one blocking thing and ends with its source. None signals, reaps or writes: that is the loop's (`running`).

use std::io::{ErrorKind, Read};
use std::sync::mpsc::{Receiver, SyncSender};

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, waitid};

use super::bounds::OverLimit;
use super::frames;
use super::wire::Control;

/// Most bytes of one message.
const PIECE: usize = 64 * 1024;

/// What can happen to a runner.
pub(super) enum Message {
    Asked(Control),
    /// The worker's end of the control pipe is closed.
    Orphaned,
    Output(Vec<u8>),
    Captured(Vec<u8>),
    StreamEnded,
    /// The family uses too much.
    Over(OverLimit),
    /// A child can be reaped; its watcher waits until that is done.
    ChildEnded,
}

/// A thread that turns an output into messages.
pub(super) fn pump(mut from: impl Read + Send + 'static, as_message: fn(Vec<u8>) -> Message, to: SyncSender<Message>) {
    std::thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        loop {
            match from.read(&mut piece) {
                Ok(0) => break,
                Ok(length) if to.send(as_message(piece[..length].to_vec())).is_err() => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let _ = to.send(Message::StreamEnded);
    });
}

/// A thread that hears the worker.
pub(super) fn listen(to: SyncSender<Message>) {
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        // An unreadable message cannot come from a healthy worker of the same build.
        while let Ok(Some(control)) = frames::read::<Control>(&mut stdin) {
            if to.send(Message::Asked(control)).is_err() {
                return;
            }
        }
        let _ = to.send(Message::Orphaned);
    });
}

/// A thread that waits for dead children without reaping them, until there are none of any kind.
pub(super) fn watch_children(to: SyncSender<Message>, may_look: Receiver<()>) {
    std::thread::spawn(move || {
        loop {
            match waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
                Err(Errno::EINTR) => {}
                Ok(_) => {
                    if to.send(Message::ChildEnded).is_err() || may_look.recv().is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    });
}
