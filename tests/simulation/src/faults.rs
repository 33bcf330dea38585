//! How unkind the world is. Each seed has a weather of its own: a world in which everything goes wrong all the time
//! gets nowhere, and one in which little goes wrong meets each fault in peace.

use crate::choice::Choices;

/// Rates in thousandths, of what they name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weather {
    /// Store operations that are applied, and whose answer is lost.
    pub ambiguous: u32,
    /// Store operations that are not applied, and whose answer is lost.
    pub lost: u32,
    /// Reads that show an older state.
    pub stale: u32,
    /// Messages delivered twice.
    pub duplicate: u32,
    /// Packets that never arrive.
    pub dropped: u32,
    /// Packets that arrive seconds later.
    pub late: u32,
    /// Steps that are a crash, a pause, a partition or a jump of a clock.
    pub blow: u32,
    /// Steps that are a lie of a worker.
    pub lie: u32,
    /// Tools that take minutes.
    pub slow_tool: u32,
    /// Submitted runs that are runs of orders.
    pub orders: u32,
    /// Submitted runs that are runs of syncs.
    pub syncs: u32,
}

impl Weather {
    /// A weather for a seed.
    pub fn drawn(choices: &mut Choices) -> Self {
        let mut drawn = Self::of_faults(choices);
        match choices.draw(3) {
            0 => drawn.syncs = 600,
            1 => {}
            _ => drawn.orders = 600,
        }
        drawn
    }

    fn of_faults(choices: &mut Choices) -> Self {
        let mut rate = |rates: &[u32]| rates[choices.draw(rates.len() as u32) as usize];
        Self {
            ambiguous: rate(&[0, 5, 20, 50]),
            lost: rate(&[0, 5, 20, 50]),
            stale: rate(&[0, 5, 50]),
            duplicate: rate(&[0, 10, 100]),
            dropped: rate(&[0, 10, 50]),
            late: rate(&[0, 10, 100]),
            blow: rate(&[0, 3, 10, 25]),
            lie: rate(&[0, 0, 6]),
            slow_tool: rate(&[50, 200, 600]),
            orders: 0,
            syncs: 0,
        }
    }

    /// Nothing goes wrong any more.
    pub fn calm() -> Self {
        Self::default()
    }
}
