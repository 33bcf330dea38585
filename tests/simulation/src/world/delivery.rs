//! What arrives: messages of the inbox at a scheduler, orders at a worker with a free slot, packets at whoever they are for.

use super::{NodeId, Parcel, Role, World};
use crate::{
    shell::{Shell, asks, inbox},
    store::{ACK_WAIT, Letter},
    worker::Worker,
};
use proto::WorkerId;

impl World {
    pub(super) fn deliver(&mut self) -> bool {
        match self.core.draw(3) {
            0 => self.deliver_packet() || self.deliver_letter() || self.deliver_order(),
            1 => self.deliver_letter() || self.deliver_order() || self.deliver_packet(),
            _ => self.deliver_order() || self.deliver_packet() || self.deliver_letter(),
        }
    }

    fn pick(&self, from: std::ops::Range<usize>, able: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let able: Vec<NodeId> = from.filter(|node| able(*node)).collect();
        (!able.is_empty()).then(|| able[self.core.draw(able.len() as u32) as usize])
    }

    fn pick_scheduler(&self) -> Option<(NodeId, Shell)> {
        let node = self.pick(0..self.schedulers, |node| self.reaches(node))?;
        match &self.roles[node] {
            Some(Role::Scheduler(shell)) => Some((node, shell.clone())),
            Some(Role::Worker(_) | Role::People) | None => None,
        }
    }

    fn deliver_letter(&mut self) -> bool {
        let now = self.core.now.get();
        let ready: Vec<usize> = {
            let store = self.core.store.borrow();
            (0..store.inbox.len()).filter(|at| store.inbox[*at].visible_at <= now).collect()
        };
        if ready.is_empty() {
            return false;
        }
        let Some((_, shell)) = self.pick_scheduler() else { return false };
        let at = ready[self.core.draw(ready.len() as u32) as usize];
        let twice = self.core.chance(self.core.weather.get().duplicate);
        let letter: Letter = {
            let mut store = self.core.store.borrow_mut();
            let letter = &mut store.inbox[at];
            letter.delivered += 1;
            letter.taken = self.core.serial();
            letter.visible_at = if twice { now + 50 } else { now + ACK_WAIT };
            letter.clone()
        };
        let ctx = shell.ctx.clone();
        ctx.spawn(inbox::handle(shell, letter));
        true
    }

    fn deliver_order(&mut self) -> bool {
        let now = self.core.now.get();
        let ready: Vec<usize> = {
            let store = self.core.store.borrow();
            (0..store.work.len()).filter(|at| store.work[*at].visible_at <= now).collect()
        };
        if ready.is_empty() {
            return false;
        }
        let free = |node: NodeId| match &self.roles[node] {
            Some(Role::Worker(worker)) => self.reaches(node) && worker.running.borrow().len() < 2,
            Some(Role::Scheduler(_) | Role::People) | None => false,
        };
        let Some(node) = self.pick(self.schedulers..self.schedulers + self.workers, free) else { return false };
        let Some(Role::Worker(worker)) = &self.roles[node] else { return false };
        let at = ready[self.core.draw(ready.len() as u32) as usize];
        let twice = self.core.chance(self.core.weather.get().duplicate);
        let waiting = {
            let mut store = self.core.store.borrow_mut();
            store.work[at].visible_at = if twice { now + 50 } else { now + ACK_WAIT };
            store.work[at].clone()
        };
        worker.ctx.spawn(worker.clone().take(waiting));
        true
    }

    fn deliver_packet(&mut self) -> bool {
        let now = self.core.now.get();
        let parcel = {
            let mut net = self.core.net.borrow_mut();
            let ready: Vec<usize> = (0..net.len()).filter(|at| net[*at].due <= now).collect();
            if ready.is_empty() {
                return false;
            }
            let at = ready[self.core.draw(ready.len() as u32) as usize];
            net.swap_remove(at).what
        };
        match parcel {
            Parcel::Ask(question) => {
                if let Some((_, shell)) = self.pick_scheduler() {
                    shell.ctx.clone().spawn(async move {
                        let answer = asks::answer(&shell, &question).await;
                        shell.ctx.core.send(Parcel::Answer { question, answer });
                    });
                }
            }
            Parcel::Answer { question, answer } => {
                if self.worker(&question.worker).is_some_and(|(node, _)| self.reaches(node)) {
                    question.slot.answer.replace(Some(answer));
                    question.slot.there.set(true);
                }
            }
            Parcel::Beat { worker, running } => {
                for node in 0..self.schedulers {
                    if self.reaches(node)
                        && let Some(Role::Scheduler(shell)) = &self.roles[node]
                    {
                        shell.memory.ears.borrow_mut().hear(now, worker.clone(), running.clone());
                    }
                }
            }
            Parcel::Stop { worker, signal } => {
                if let Some((node, worker)) = self.worker(&worker)
                    && self.reaches(node)
                {
                    worker.stop(&signal);
                }
            }
            Parcel::Told { reply, outcome } => {
                reply.outcome.replace(Some(outcome));
                reply.there.set(true);
            }
        }
        true
    }

    fn worker(&self, name: &WorkerId) -> Option<(NodeId, &Worker)> {
        self.roles.iter().enumerate().find_map(|(node, role)| match role {
            Some(Role::Worker(worker)) if worker.name == *name => Some((node, worker)),
            Some(Role::Worker(_) | Role::Scheduler(_) | Role::People) | None => None,
        })
    }
}
