//! The verbs of an operator that need no gateway: `config check`, `admin migrate`, `completions`.

use bus::{BusError, Role, Users};
use clap::CommandFactory as _;
use proto::PoolName;
use serde_json::json;
use service::settings::{Problem, Settings, SettingsError};

use crate::args::{AdminArgs, AdminVerb, Cli, CompletionsArgs, ConfigArgs, ConfigVerb, MigrateArgs, UsersArgs};
use crate::exit::Exit;
use crate::output::{self, Out};
use crate::problem::CliError;
use crate::roles;

/// `navvy config`.
pub(crate) fn config(out: &Out, args: &ConfigArgs) -> Result<Exit, CliError> {
    let ConfigVerb::Check(settings) = &args.verb;
    let loaded = match settings.layers().load() {
        Ok(loaded) => loaded,
        Err(SettingsError::Refused(problems)) if out.is_json() => {
            out.json(&output::settings::json(&[], &problems))?;
            return Ok(Exit::Configuration);
        }
        Err(error) => return Err(error.into()),
    };
    let problems: Vec<Problem> = loaded.settings.check().err().unwrap_or_default();
    if out.is_json() {
        out.json(&output::settings::json(&loaded.rows(), &problems))?;
        return Ok(if problems.is_empty() { Exit::Ok } else { Exit::Configuration });
    }
    out.line(&output::settings::text(&loaded.rows(), out.style()))?;
    if problems.is_empty() {
        out.hint("the configuration is accepted");
        return Ok(Exit::Ok);
    }
    Err(SettingsError::Refused(problems).into())
}

/// `navvy admin`.
pub(crate) async fn admin(out: &Out, args: &AdminArgs) -> Result<Exit, CliError> {
    match &args.verb {
        AdminVerb::Migrate(args) => migrate(out, args).await,
        AdminVerb::Users(args) => users(out, args),
    }
}

/// The users of NATS, from the table that everything else about them comes from.
fn users(out: &Out, args: &UsersArgs) -> Result<Exit, CliError> {
    let (mut pools, workers) = (args.pool.clone(), args.worker.clone());
    if pools.is_empty() && workers.is_empty() {
        pools.push(PoolName::default());
    }
    let users = Users { pools, workers };
    if out.is_json() {
        let named: Vec<_> = users
            .all()
            .iter()
            .map(|user| {
                let subjects = |groups: &[(&str, Vec<String>)]| groups.iter().flat_map(|(_, some)| some.clone()).collect::<Vec<_>>();
                let permissions = &user.permissions;
                json!({ "user": user.name, "publish": subjects(&permissions.publish), "subscribe": subjects(&permissions.subscribe) })
            })
            .collect();
        out.json(&json!({ "users": named }))?;
        return Ok(Exit::Ok);
    }
    out.line(users.configuration().trim_end())?;
    let variables: Vec<String> = users.all().iter().map(bus::User::password_variable).collect();
    out.hint(&format!("nats-server takes the passwords from its environment: {}", variables.join(", ")));
    Ok(Exit::Ok)
}

async fn migrate(out: &Out, args: &MigrateArgs) -> Result<Exit, CliError> {
    let settings = roles::load(args.settings.layers())?;
    out.waiting("connecting to NATS");
    let bus = roles::connect(&settings, "navvy-admin", Role::Admin).await?;
    let layout = layout(args, &settings);
    if args.check {
        out.waiting("comparing streams and buckets");
        return match bus.check_layout(&layout).await {
            Ok(()) => tell(out, "problems", &[], "everything is as it should be"),
            Err(BusError::Layout { problems }) => {
                tell(out, "problems", &problems, "")?;
                Ok(Exit::RunFailed)
            }
            Err(error) => Err(roles::nats_failed("check streams and buckets")(error)),
        };
    }
    out.waiting("creating and updating streams and buckets");
    let done = bus.migrate(&layout).await.map_err(roles::nats_failed("create or update streams and buckets"))?;
    tell(out, "done", &done, "nothing to do: everything is as it should be")
}

/// `navvy completions`.
pub(crate) fn completions(out: &Out, args: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "navvy", &mut script);
    let script = String::from_utf8_lossy(&script);
    if out.is_json() {
        out.json(&json!({ "shell": args.shell.to_string(), "script": script }))?;
    } else {
        out.line(script.trim_end())?;
    }
    Ok(Exit::Ok)
}

fn layout(args: &MigrateArgs, settings: &Settings) -> bus::Layout {
    let mut layout = roles::layout(settings);
    if !args.pool.is_empty() {
        layout.pools.clone_from(&args.pool);
    }
    layout
}

/// Lines, or as JSON a list under `name`.
fn tell(out: &Out, name: &str, lines: &[String], none: &str) -> Result<Exit, CliError> {
    out.done_waiting();
    if out.is_json() {
        out.json(&json!({ name: lines }))?;
    } else if lines.is_empty() {
        out.line(none)?;
    } else {
        out.line(&lines.join("\n"))?;
    }
    Ok(Exit::Ok)
}
