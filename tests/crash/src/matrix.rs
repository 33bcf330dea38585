//! Plays the whole table, several lanes at a time.

use crate::{
    lane::{Ground, Lane},
    orders::{self, points::OrdersScenario},
    play::{self, Played},
    points::{self, Dies, Scenario},
    report::{Line, Report},
    syncs::{self, points::SyncsScenario},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// A moment of any kind of run.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    Terraform(Scenario),
    Orders(OrdersScenario),
    Syncs(SyncsScenario),
}

/// Every moment, in the order of the matrix.
pub fn all() -> Vec<Moment> {
    let orders = orders::points::ALL.iter().copied().map(Moment::Orders);
    let syncs = syncs::points::all().into_iter().map(Moment::Syncs);
    points::all().into_iter().map(Moment::Terraform).chain(orders).chain(syncs).collect()
}

impl Moment {
    pub fn row(&self) -> &'static str {
        match self {
            Self::Terraform(scenario) => scenario.row,
            Self::Orders(scenario) => scenario.row,
            Self::Syncs(scenario) => scenario.row,
        }
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Terraform(scenario) => scenario.moment,
            Self::Orders(scenario) => scenario.moment,
            Self::Syncs(scenario) => scenario.moment,
        }
    }

    /// Every death in it.
    pub fn dies(&self) -> &[Dies] {
        match self {
            Self::Terraform(scenario) => std::slice::from_ref(&scenario.dies),
            Self::Orders(scenario) => std::slice::from_ref(&scenario.dies),
            Self::Syncs(scenario) => scenario.deaths,
        }
    }

    /// How often it is played in so many rounds. Moments of orders and syncs are many, and each is several jobs long: one round
    /// of three is theirs.
    fn rounds(&self, wanted: usize) -> usize {
        match self {
            Self::Terraform(_) => wanted,
            Self::Orders(_) | Self::Syncs(_) => wanted.div_ceil(3),
        }
    }

    async fn play(&self, lane: &mut Lane, name: &str) -> anyhow::Result<Played> {
        match self {
            Self::Terraform(scenario) => play::play(lane, scenario, name).await,
            Self::Orders(scenario) => orders::play::play(lane, scenario, name).await,
            Self::Syncs(scenario) => syncs::play::play(lane, scenario, name).await,
        }
    }
}

/// How to play.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// How often each moment is played.
    pub rounds: usize,
    /// Fleets at a time.
    pub lanes: usize,
    /// Only these rows, or moments that hold these texts; several with commas between them.
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

/// Plays every moment.
pub async fn run(moments: &[Moment], wanted: &Wanted) -> anyhow::Result<Report> {
    let began = Instant::now();
    let is_meant = |moment: &Moment, only: &str| {
        only == moment.row() || (!only.starts_with('C') && format!("{} {:?}", moment.name(), moment.dies()).contains(only))
    };
    let chosen: Vec<Moment> = moments
        .iter()
        .filter(|moment| wanted.only.as_ref().is_none_or(|only| only.split(',').any(|only| is_meant(moment, only))))
        .copied()
        .collect();
    let rounds: Vec<usize> = chosen.iter().map(|moment| moment.rounds(wanted.rounds)).collect();
    let each = |round| rounds.iter().enumerate().filter(move |(_, rounds)| round < **rounds).map(move |(index, _)| (index, round));
    let order = (0..wanted.rounds).flat_map(each);
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

async fn work(ground: Arc<Ground>, moments: Vec<Moment>, desk: Arc<Desk>) -> anyhow::Result<()> {
    let mut lane: Option<Lane> = None;
    loop {
        let next = desk.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((index, round)) = next else { return Ok(()) };
        let moment = &moments[index];
        let mut stage = match lane.take() {
            Some(lane) => lane,
            None => Lane::open(&ground).await?,
        };
        let name = format!("{}-{index}-{round}", moment.row().to_ascii_lowercase());
        let played = moment
            .play(&mut stage, &name)
            .await
            .unwrap_or_else(|error| Played { violations: vec![format!("the scenario broke off: {error:#}")], ..Played::default() });
        if played.violations.is_empty() {
            lane = Some(stage);
        } else {
            eprintln!("✗ {} {} (round {round}): {:#?}", moment.row(), moment.name(), played.violations);
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
