//! One order: its limits of time, its commands, its environment, its place.

use super::{
    Rules,
    given::{Given, Texts, Variables},
    job::{JobFields, MOST_SECONDS},
    names::Names,
    problems::{Problems, Report, Told, shown},
    request::OrderRequest,
    source::{JobGit, code_source},
    target::target,
};
use proto::{
    Secret,
    environment::{EnvRefused, MAX_VARIABLES, check_env},
    orders::{Location, OrderBundle, OrderNode},
};
use std::collections::BTreeMap;

/// What the short target of the replaced engine allowed, in seconds.
const SHORT_SECONDS: u32 = 600;

/// An order that is valid for itself. Who it waits for comes later.
pub(super) struct ValidOrder {
    pub(super) node: OrderNode,
    pub(super) bundle: OrderBundle,
}

/// Checks one order; every problem is told.
pub(super) fn check(
    order: &OrderRequest,
    index: usize,
    names: &Names,
    job: &JobFields,
    rules: &Rules,
    problems: &mut Problems,
) -> Result<ValidOrder, Told> {
    let report = &mut problems.of_order(index, &names.label);
    let cmds = commands(&order.cmds, report);
    let timeout = timeout(order, report);
    let target = target(order, &rules.pools, report);
    if let Ok(seconds) = timeout {
        check_timeout(seconds, job, target.as_ref().is_ok_and(super::target::Target::is_short), report);
    }
    let source = code_source(order, &job.git, names_no_code(order, &job.git), &rules.git, report);
    let env_vars = variables(&order.env_vars, report);
    let ssm_paths = locations("ssm_paths", &order.ssm_paths, "", report);
    let secret_manager_paths = locations("secret_manager_paths", &order.secret_manager_paths, "aws:::secretd:", report);
    let sops_key = recipient(order, report);
    let must_succeed = report.boolean("must_succeed", &order.must_succeed);
    let node = OrderNode {
        name: names.order_name.clone(),
        needs: Vec::new(),
        optional: must_succeed? == Some(false),
        timeout_s: timeout?,
        pool: target?.into_pool(),
    };
    let bundle = OrderBundle {
        run_key: job.run_key.clone(),
        cmds: cmds?.to_vec(),
        env_vars: env_vars?,
        source: source?,
        ssm_paths: ssm_paths?,
        secret_manager_paths: secret_manager_paths?,
        sops_key: sops_key?,
    };
    Ok(ValidOrder { node, bundle })
}

/// Whether neither the job nor the order says a word about code: then none is missing.
fn names_no_code(order: &OrderRequest, git: &JobGit) -> bool {
    let job = matches!((&git.repository, &git.token, &git.ssh_key), (Ok(None), Ok(None), Ok(None)));
    job && [&order.git_repo, &order.git_folder, &order.commit_hash].into_iter().all(|given| matches!(given, Given::Absent))
}

fn commands<'g>(given: &'g Given<Texts>, report: &mut Report<'_>) -> Result<&'g [String], Told> {
    let cmds = report.texts("cmds", given)?;
    if cmds.is_empty() {
        return Err(report.add("cmds", "cmds is empty or missing"));
    }
    match cmds.iter().position(|cmd| cmd.contains('\0')) {
        Some(at) => Err(report.add("cmds", format!("cmds[{at}] holds a NUL byte"))),
        None => Ok(cmds),
    }
}

/// The sentence is the replaced engine's; what it did not know is added.
fn timeout(order: &OrderRequest, report: &mut Report<'_>) -> Result<u32, Told> {
    const INVALID: &str = "timeout is missing or invalid";
    let seconds = match order.timeout {
        Given::Value(seconds) if seconds > 0 => u32::try_from(seconds).ok().filter(|seconds| *seconds <= MOST_SECONDS),
        Given::Value(_) | Given::Absent => return Err(report.add("timeout", INVALID)),
        Given::Wrong(_) => None,
    };
    seconds.ok_or_else(|| {
        report.add("timeout", format!("{INVALID}: it must be a whole number of seconds from 1 to {MOST_SECONDS}, without quotes"))
    })
}

fn check_timeout(seconds: u32, job: &JobFields, short: bool, report: &mut Report<'_>) {
    if short && seconds > SHORT_SECONDS {
        let message = format!("timeout ({seconds} s) is longer than the {SHORT_SECONDS} s of the target lambda: use codebuild");
        report.add("timeout", message);
    }
    if let Ok(most) = job.job_timeout_s
        && seconds > most
    {
        let message = format!("timeout ({seconds} s) is longer than job_timeout ({most} s): raise job_timeout or shorten the order");
        report.add("timeout", message);
    }
}

fn variables(given: &Given<Variables>, report: &mut Report<'_>) -> Result<BTreeMap<String, Secret>, Told> {
    const FIELD: &str = "env_vars";
    let variables = match given {
        Given::Absent => return Ok(BTreeMap::new()),
        Given::Wrong(kind) => return Err(report.add(FIELD, format!("env_vars must be an object of texts, not {kind}"))),
        Given::Value(variables) => variables,
    };
    if variables.values.len() > MAX_VARIABLES {
        return Err(report.add(FIELD, format!("env_vars: {}", EnvRefused::TooMany)));
    }
    let mut told = None;
    if let Some(name) = &variables.twice {
        told = Some(report.add(FIELD, format!("env_vars.{} is there twice", shown(name))));
    }
    for (name, kind) in &variables.wrong {
        told = Some(report.add(FIELD, format!("env_vars.{} must be a text, not {kind}", shown(name))));
    }
    for (name, value) in &variables.values {
        if let Err(error) = check_env(name, value.expose()) {
            told = Some(report.add(FIELD, format!("env_vars: {error}")));
        }
    }
    told.map_or_else(|| Ok(variables.values.clone()), Err)
}

/// Credential locations. `bare` stands before those that name no provider: a bare path means the provider that the list is
/// for, as it did in the replaced engine.
fn locations(field: &str, given: &Given<Texts>, bare: &str, report: &mut Report<'_>) -> Result<Vec<Location>, Told> {
    let mut told = None;
    let mut locations = Vec::new();
    for (index, text) in report.texts(field, given)?.iter().enumerate() {
        let full = if text.contains(":::") || text.is_empty() { text.clone() } else { format!("{bare}{text}") };
        match full.parse() {
            Ok(location) => locations.push(location),
            Err(error) => told = Some(report.add(field, format!("{field}[{index}]: {error}"))),
        }
    }
    told.map_or(Ok(locations), Err)
}

/// An age recipient. Whoever gives the private key by mistake must not find it in an answer.
fn recipient(order: &OrderRequest, report: &mut Report<'_>) -> Result<Option<String>, Told> {
    let Some(text) = report.text("sops_key", &order.sops_key)? else { return Ok(None) };
    let legal = text.starts_with("age1")
        && (62..=4096).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if legal {
        return Ok(Some(text.to_owned()));
    }
    Err(report.add("sops_key", "sops_key must be an age recipient (age1…, the public half of a key)"))
}
