//! A terraform that only says so: it answers what a worker asks, and writes down every effect before anything can be
//! done about it. What it does on the way stands in files that a test writes (see `steps`).

mod steps;
mod world;

use std::{io::Write as _, process::ExitCode};
use world::{Stopped, World};

/// Every plan makes one thing.
const PLAN: &str = r#"{"format_version":"1.2","resource_changes":[{"address":"fake.one","change":{"actions":["create"],"before":null,"after":{"input":"x"},"after_unknown":{}}}],"output_changes":{}}"#;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let verb = args.first().map_or("", String::as_str);
    match verb {
        "version" => return say(r#"{"terraform_version":"1.9.9"}"#),
        "show" => return say(PLAN),
        "output" => return say(r#"{"done":{"sensitive":false,"type":"string","value":"yes"}}"#),
        _ => {}
    }
    let world = match World::find() {
        Ok(world) => world,
        Err(error) => return fail(&format!("Error: {error}")),
    };
    let done = match verb {
        "init" => init(&world),
        "workspace" => Ok(()),
        "plan" => plan(&world, &args),
        "apply" => apply(&world, args.last().map_or("", String::as_str)),
        other => Err(Stopped::Failed(format!("Error: {other} is nothing that this program knows"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stopped::Exit(code)) => ExitCode::from(code),
        Err(Stopped::Failed(why)) => fail(&why),
    }
}

fn init(world: &World) -> Result<(), Stopped> {
    steps::run(world, "init", "")?;
    // What the tool leaves behind when the state is somewhere else than in the checkout.
    std::fs::create_dir_all(".terraform")?;
    Ok(std::fs::write(".terraform/terraform.tfstate", r#"{"backend":{"type":"http"}}"#)?)
}

fn plan(world: &World, args: &[String]) -> Result<(), Stopped> {
    let pad = steps::run(world, "plan", "")?;
    let out = args.iter().find_map(|arg| arg.strip_prefix("-out=")).ok_or("Error: no -out")?;
    world.write_plan(out, pad)
}

/// The effects: the first line is written before anything is looked at, so that nothing that was started is overlooked.
fn apply(world: &World, plan: &str) -> Result<(), Stopped> {
    world.effect("begin")?;
    world.enter()?;
    if World::serial_of(plan)? != world.serial() {
        world.effect("stale")?;
        return Err("Error: Saved plan is stale".into());
    }
    steps::run(world, "apply", "persist")?;
    world.effect("end")?;
    world.leave();
    let _ = say("Apply complete! Resources: 1 added, 0 changed, 0 destroyed.");
    Ok(())
}

fn say(text: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(1)
}
