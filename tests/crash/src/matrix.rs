//! Plays the whole table, several lanes at a time.

use crate::{
    lane::{Ground, Lane},
    play::{Played, play},
    points::Scenario,
    report::{Line, Report},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// How to play.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// How often each moment is played.
    pub rounds: usize,
    /// Fleets at a time.
    pub lanes: usize,
    /// Only this row, or moments that hold this text.
    pub only: Option<String>,
}

impl Wanted {
    /// From `CRASH_ROUNDS`, `CRASH_LANES` and `CRASH_ONLY`.
    pub fn from_environment() -> Self {
        let text = |name: &str| std::env::vars().find(|(key, _)| key == name).map(|(_, value)| value);
        let number = |name: &str, otherwise| text(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise);
        Self { rounds: number("CRASH_ROUNDS", 1).max(1), lanes: number("CRASH_LANES", 6).clamp(1, 16), only: text("CRASH_ONLY") }
    }
}

/// What is still to be played, and what came of what was.
#[derive(Debug)]
struct Desk {
    waiting: Mutex<VecDeque<(usize, usize)>>,
    lines: Mutex<Vec<Line>>,
}

/// Plays every scenario.
pub async fn run(scenarios: &[Scenario], wanted: &Wanted) -> anyhow::Result<Report> {
    let began = Instant::now();
    let is_meant = |scenario: &Scenario, only: &str| {
        only == scenario.row || (!only.starts_with('C') && format!("{} {:?}", scenario.moment, scenario.dies).contains(only))
    };
    let chosen: Vec<Scenario> =
        scenarios.iter().filter(|scenario| wanted.only.as_ref().is_none_or(|only| is_meant(scenario, only))).copied().collect();
    let order = (0..wanted.rounds).flat_map(|round| (0..chosen.len()).map(move |index| (index, round)));
    let desk = Arc::new(Desk { waiting: Mutex::new(order.collect()), lines: Mutex::new(chosen.iter().map(Line::new).collect()) });
    let ground = Ground::prepare()?;
    let lanes: Vec<_> =
        (0..wanted.lanes.min(chosen.len())).map(|_| tokio::spawn(work(ground.clone(), chosen.clone(), desk.clone()))).collect();
    for lane in lanes {
        lane.await??;
    }
    let lines = std::mem::take(&mut *desk.lines.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Report { rounds: wanted.rounds, lanes: wanted.lanes, seconds: began.elapsed().as_secs(), lines })
}

async fn work(ground: Arc<Ground>, scenarios: Vec<Scenario>, desk: Arc<Desk>) -> anyhow::Result<()> {
    let mut lane: Option<Lane> = None;
    loop {
        let next = desk.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((index, round)) = next else { return Ok(()) };
        let scenario = &scenarios[index];
        let mut stage = match lane.take() {
            Some(lane) => lane,
            None => Lane::open(&ground).await?,
        };
        let name = format!("{}-{index}-{round}", scenario.row.to_ascii_lowercase());
        let played = play(&mut stage, scenario, &name)
            .await
            .unwrap_or_else(|error| Played { violations: vec![format!("the scenario broke off: {error:#}")], ..Played::default() });
        if played.violations.is_empty() {
            lane = Some(stage);
        } else {
            eprintln!("✗ {} {} (round {round}): {:#?}", scenario.row, scenario.moment, played.violations);
            show_logs(&stage);
        }
        desk.lines.lock().unwrap_or_else(PoisonError::into_inner)[index].add(played);
    }
}

/// What the processes said, when a scenario went wrong. The fleet is not used again.
fn show_logs(lane: &Lane) {
    for name in ["gateway", "scheduler", "w1", "w2"] {
        let text = std::fs::read_to_string(lane.fleet.log_path(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        eprintln!("--- {name} ---\n{}", lines[lines.len().saturating_sub(25)..].join("\n"));
    }
}
