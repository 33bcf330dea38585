//! What happens in the middle of a command: words in the file `<run>.<verb>` of the run's folder, else in `<verb>`.
//!
//! | word | what happens |
//! |---|---|
//! | `effect:TEXT` | one more line of effects |
//! | `persist` | the state is written, with the next serial |
//! | `hold` | says that it holds, and goes on when the file `<run>.go` is there |
//! | `sleep:MS` | waits |
//! | `noise:BYTES` | prints so much |
//! | `pad:BYTES` | makes the plan file longer |
//! | `deaf` | from here on it does not listen to signals |
//! | `errored` | writes `errored.tfstate` and says that the state could not be saved |
//! | `exit:CODE`, `signal:NUMBER` | the end |

use crate::world::{Stopped, World};
use nix::{
    sys::signal::{SigSet, Signal, kill},
    unistd::Pid,
};
use std::{
    io::Write as _,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

static ASKED_TO_STOP: AtomicBool = AtomicBool::new(false);

/// No test holds anything for longer.
const LONGEST_HOLD: Duration = Duration::from_mins(4);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Does what is asked for between the beginning and the end of a command. Returns how long a plan is to be padded.
pub(crate) fn run(world: &World, verb: &str, otherwise: &str) -> Result<usize, Stopped> {
    listen()?;
    let asked = [format!("{}.{verb}", world.run), verb.to_owned()];
    let found = asked.iter().find_map(|name| std::fs::read_to_string(world.dir.join(name)).ok());
    let words = found.unwrap_or_else(|| otherwise.to_owned());
    let (mut deaf, mut pad) = (false, 0);
    for word in words.split_whitespace() {
        let (what, value) = word.split_once(':').unwrap_or((word, ""));
        let number = || value.parse::<u64>().map_err(|_| format!("Error: {word} needs a number"));
        match what {
            "effect" => world.effect(value)?,
            "persist" => world.persist()?,
            "hold" => {
                std::fs::write(world.dir.join(format!("{}.holding", world.run)), std::process::id().to_string())?;
                let go = world.dir.join(format!("{}.go", world.run));
                wait(world, LONGEST_HOLD, deaf, Some(&go))?;
            }
            "sleep" => wait(world, Duration::from_millis(number()?), deaf, None)?,
            "noise" => noise(number()?)?,
            "pad" => pad = number()? as usize,
            "deaf" => deaf = true,
            "errored" => {
                std::fs::write("errored.tfstate", format!(r#"{{"version":4,"serial":{}}}"#, world.serial() + 1))?;
                writeln!(std::io::stderr(), "Error: Failed to save state")?;
            }
            "exit" => return Err(Stopped::Exit(number()? as u8)),
            "signal" => die(number()? as i32)?,
            other => return Err(Stopped::Failed(format!("Error: {other} is no step"))),
        }
        stop_if_asked(world, deaf)?;
    }
    Ok(pad)
}

/// Signals are taken by a thread of their own, so that a stop is heard between two steps, as terraform hears it between
/// two resources.
fn listen() -> Result<(), Stopped> {
    let mut heard = SigSet::empty();
    heard.add(Signal::SIGINT);
    heard.add(Signal::SIGTERM);
    heard.thread_block().map_err(std::io::Error::from)?;
    std::thread::spawn(move || {
        while heard.wait().is_ok() {
            ASKED_TO_STOP.store(true, Ordering::SeqCst);
        }
    });
    Ok(())
}

/// Stopped in time, it saves what it has done and says so.
fn stop_if_asked(world: &World, deaf: bool) -> Result<(), Stopped> {
    if deaf || !ASKED_TO_STOP.load(Ordering::SeqCst) {
        return Ok(());
    }
    world.effect("stopped")?;
    world.persist()?;
    world.leave();
    Err("Error: execution halted".into())
}

fn wait(world: &World, longest: Duration, deaf: bool, until: Option<&Path>) -> Result<(), Stopped> {
    let began = Instant::now();
    while began.elapsed() < longest && until.is_none_or(|path| !path.exists()) {
        stop_if_asked(world, deaf)?;
        std::thread::sleep(LOOK_EVERY.min(longest.saturating_sub(began.elapsed())));
    }
    Ok(())
}

fn noise(bytes: u64) -> Result<(), Stopped> {
    let line = [b'.'; 199];
    let mut out = std::io::stdout().lock();
    for _ in 0..bytes / 200 {
        out.write_all(&line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn die(signal: i32) -> Result<(), Stopped> {
    let signal = Signal::try_from(signal).map_err(std::io::Error::from)?;
    // Twice: the language's own handler takes the first SIGSEGV and puts the default back.
    for _ in 0..2 {
        kill(Pid::this(), signal).map_err(std::io::Error::from)?;
    }
    std::thread::sleep(Duration::from_secs(10));
    Err(Stopped::Failed("Error: the signal did not end this process".to_owned()))
}
