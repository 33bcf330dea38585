//! When to stop the tool and how hard: the ladder, as pure state over given times.
//!
//! One interrupt per life of a tool, whoever wants it: terraform takes a second one as an order to drop its state.
//! A tool that is stopped by its group gets one SIGTERM, and no more time than the grace, whoever wanted it.
//! The runner kills by itself only where the spec gives a grace time; everything harder is a person's word.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::spec::{OnOrphan, RunnerSpec, StopBy};
use super::wire::{Control, StopCause};

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// To the tool process alone.
    Signal(Signal, StopCause),
    /// To every process of the tool's group.
    SignalGroup(Signal, StopCause),
    /// SIGKILL to the tool and everything it started.
    KillAll(StopCause),
}

#[derive(Debug)]
pub(super) struct Stop {
    deadline: Option<Instant>,
    grace: Option<Duration>,
    on_orphan: OnOrphan,
    by: StopBy,
    kill_at: Option<Instant>,
    interrupted: bool,
    terminated: bool,
    killed: bool,
    timed_out: bool,
}

impl Stop {
    pub(super) fn new(spec: &RunnerSpec, now: Instant) -> Self {
        Self {
            // A deadline beyond what the clock can hold is none.
            deadline: spec.deadline.and_then(|deadline| now.checked_add(deadline)),
            grace: spec.grace,
            on_orphan: spec.on_orphan,
            by: spec.stop_by,
            kill_at: None,
            interrupted: false,
            terminated: false,
            killed: false,
            timed_out: false,
        }
    }

    pub(super) fn asked(&mut self, control: Control, now: Instant) -> Option<Order> {
        match control {
            Control::Interrupt | Control::Terminate if self.by == StopBy::TerminateGroup => self.begin(StopCause::Asked, now),
            Control::Interrupt if self.interrupted => None,
            Control::Terminate if self.terminated => None,
            Control::Interrupt => {
                self.interrupted = true;
                Some(Order::Signal(Signal::SIGINT, StopCause::Asked))
            }
            Control::Terminate => {
                self.terminated = true;
                Some(Order::Signal(Signal::SIGTERM, StopCause::Asked))
            }
            Control::Kill => {
                self.killed = true;
                Some(Order::KillAll(StopCause::Asked))
            }
        }
    }

    pub(super) fn orphaned(&mut self, now: Instant) -> Option<Order> {
        match self.on_orphan {
            OnOrphan::Finish => None,
            OnOrphan::Interrupt => self.begin(StopCause::Orphaned, now),
        }
    }

    /// What is due at `now`; ask again until there is nothing.
    pub(super) fn due(&mut self, now: Instant) -> Option<Order> {
        if self.kill_at.take_if(|at| *at <= now).is_some() {
            self.killed = true;
            return Some(Order::KillAll(StopCause::GraceOver));
        }
        self.deadline.take_if(|at| *at <= now)?;
        let order = self.begin(StopCause::Deadline, now);
        self.timed_out = order.is_some();
        order
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        [self.deadline, self.kill_at].into_iter().flatten().min()
    }

    /// The deadline was the reason for the interrupt, and not somebody's earlier wish.
    pub(super) fn timed_out(&self) -> bool {
        self.timed_out
    }

    pub(super) fn was_stopped(&self) -> bool {
        self.interrupted || self.terminated || self.killed
    }

    fn begin(&mut self, cause: StopCause, now: Instant) -> Option<Order> {
        let kill_at = self.grace.and_then(|grace| now.checked_add(grace));
        self.kill_at = [self.kill_at, kill_at].into_iter().flatten().min();
        if self.was_stopped() {
            return None;
        }
        Some(match self.by {
            StopBy::InterruptTool => {
                self.interrupted = true;
                Order::Signal(Signal::SIGINT, cause)
            }
            StopBy::TerminateGroup => {
                self.terminated = true;
                Order::SignalGroup(Signal::SIGTERM, cause)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn stop(change: impl FnOnce(&mut RunnerSpec), now: Instant) -> Stop {
        let mut spec = RunnerSpec::new("/bin/true", "/", "/tmp/x");
        change(&mut spec);
        Stop::new(&spec, now)
    }

    #[test]
    fn an_interrupt_goes_out_once_however_often_it_is_wanted() {
        let now = Instant::now();
        let mut stop = stop(|spec| spec.deadline = Some(SECOND), now);
        assert_eq!(stop.asked(Control::Interrupt, now), Some(Order::Signal(Signal::SIGINT, StopCause::Asked)));
        assert_eq!(stop.asked(Control::Interrupt, now), None);
        assert_eq!(stop.due(now + SECOND), None, "the deadline adds no second one");
        assert!(!stop.timed_out(), "it was cancelled before the time was over");
        assert_eq!(stop.asked(Control::Terminate, now), Some(Order::Signal(Signal::SIGTERM, StopCause::Asked)));
        assert_eq!(stop.asked(Control::Terminate, now), None);
        assert_eq!(stop.asked(Control::Kill, now), Some(Order::KillAll(StopCause::Asked)));
        assert_eq!(stop.asked(Control::Kill, now), Some(Order::KillAll(StopCause::Asked)), "killing again is harmless");
    }

    #[test]
    fn the_deadline_interrupts_and_kills_only_after_a_given_grace() {
        let now = Instant::now();
        let mut patient = stop(|spec| spec.deadline = Some(SECOND), now);
        assert_eq!((patient.due(now), patient.next_due()), (None, Some(now + SECOND)));
        assert_eq!(patient.due(now + SECOND), Some(Order::Signal(Signal::SIGINT, StopCause::Deadline)));
        assert!(patient.timed_out());
        assert_eq!((patient.due(now + 1000 * SECOND), patient.next_due()), (None, None));

        let mut strict = stop(|spec| (spec.deadline, spec.grace) = (Some(SECOND), Some(SECOND)), now);
        assert!(strict.due(now + SECOND).is_some());
        assert_eq!(strict.due(now + SECOND), None);
        assert_eq!(strict.due(now + 2 * SECOND), Some(Order::KillAll(StopCause::GraceOver)));
        assert_eq!(strict.due(now + 9 * SECOND), None);
    }

    #[test]
    fn an_orphan_finishes_or_is_interrupted_as_the_spec_says() {
        let now = Instant::now();
        let mut apply = stop(|_| {}, now);
        assert_eq!((apply.orphaned(now), apply.next_due()), (None, None));
        let mut plan = stop(|spec| (spec.on_orphan, spec.grace) = (OnOrphan::Interrupt, Some(SECOND)), now);
        assert_eq!(plan.orphaned(now), Some(Order::Signal(Signal::SIGINT, StopCause::Orphaned)));
        assert_eq!(plan.due(now + SECOND), Some(Order::KillAll(StopCause::GraceOver)));
    }

    #[test]
    fn an_orphan_that_was_interrupted_before_only_gets_its_grace() {
        let now = Instant::now();
        let mut plan = stop(|spec| (spec.on_orphan, spec.grace) = (OnOrphan::Interrupt, Some(SECOND)), now);
        assert!(plan.asked(Control::Interrupt, now).is_some());
        assert_eq!((plan.orphaned(now), plan.next_due()), (None, Some(now + SECOND)));
    }

    #[test]
    fn a_group_is_terminated_once_and_killed_after_its_grace_whoever_wants_it() {
        let now = Instant::now();
        let order = |spec: &mut RunnerSpec| {
            (spec.stop_by, spec.deadline, spec.grace) = (StopBy::TerminateGroup, Some(5 * SECOND), Some(SECOND));
        };
        let mut asked = stop(order, now);
        assert_eq!(asked.asked(Control::Interrupt, now), Some(Order::SignalGroup(Signal::SIGTERM, StopCause::Asked)));
        assert_eq!(asked.asked(Control::Terminate, now), None);
        assert_eq!(asked.due(now + SECOND), Some(Order::KillAll(StopCause::GraceOver)));
        assert!(!asked.timed_out() && asked.was_stopped());
        let mut late = stop(order, now);
        assert_eq!(late.due(now + 5 * SECOND), Some(Order::SignalGroup(Signal::SIGTERM, StopCause::Deadline)));
        assert_eq!(late.asked(Control::Kill, now), Some(Order::KillAll(StopCause::Asked)));
        assert!(late.timed_out());
    }
}
