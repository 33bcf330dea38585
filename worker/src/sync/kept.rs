//! What is kept beside a deployed service, wherever it runs: its variables, among them what identifies it.
//!
//! Two variables say what is deployed. [`services::hash::VARIABLE`] is written before a deployment, because what is stored is
//! what gets deployed; [`DEPLOYED`] after the deployment was seen to be effective. One that fails in between, or whose worker
//! dies, leaves them unequal, so that the next sync deploys instead of believing the first.

use super::{
    env_text::{self, Lines, NotWritable},
    floor::{Floor, failed},
    made::Made,
};
use proto::message::AttemptOutcome;
use services::hash::{Changed, Gate, Hashes, Scheme, VARIABLE, compare};

/// The variable with the identity that was seen to be deployed.
pub const DEPLOYED: &str = "NAVVY_DEPLOYED_HASH";

/// Credentials that a service has from whoever set it up: they are nowhere else, and survive.
const APP_ROLE: [&str; 2] = ["VAULT_ROLE_ID", "VAULT_SECRET_ID"];

/// Reads what is kept; what is secret in it is masked from here on.
pub(super) fn read(floor: &mut impl Floor, text: &str) -> Lines {
    let lines = Lines::parse(text);
    for name in APP_ROLE {
        if let Some(value) = lines.value(name) {
            floor.learn(name, value);
        }
    }
    lines
}

/// The text of the variables. `deployed`: the identity is known to be effective.
///
/// # Errors
/// Names the variable that cannot be written.
pub(super) fn variables(made: &Made, before: &Lines, commit: &str, identity: &str, deployed: bool) -> Result<String, NotWritable> {
    let own = made.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let last = [("IAC_DEPLOY_REF", commit), (VARIABLE, identity)];
    let deployed = deployed.then_some((DEPLOYED, identity));
    let mut lines: Vec<String> =
        own.chain(last).chain(deployed).map(|(name, value)| env_text::line(name, value)).collect::<Result<_, _>>()?;
    let kept: Vec<&str> = APP_ROLE.into_iter().filter(|name| !made.env.contains_key(*name)).collect();
    lines.extend(before.lines_of(&kept).map(str::to_owned));
    lines.push(String::new());
    Ok(lines.join("\n"))
}

/// Whether what is deployed is what would be deployed. An identity of ours is believed once its deployment was seen.
pub(super) fn gate(before: &Lines, local: &Hashes) -> Gate {
    match compare(before.value(VARIABLE), local) {
        Gate::Unchanged { by: Scheme::V2 } if before.value(DEPLOYED) != Some(&local.v2) => Gate::Changed(Changed::Differs),
        gate @ (Gate::Unchanged { .. } | Gate::Changed(_) | Gate::Absent) => gate,
    }
}

/// Why a service is deployed, for people.
pub(super) fn reason(gate: &Gate, force: bool) -> String {
    match gate {
        Gate::Unchanged { .. } => "nothing has changed, but it was forced".to_owned(),
        Gate::Changed(why) if force => format!("{why}; it was forced besides"),
        Gate::Changed(why) => why.to_string(),
        Gate::Absent => "nothing that says what it is was deployed before".to_owned(),
    }
}

/// Refuses a service with AppRole that lacks what it logs in with: one that cannot log in must not be deployed over one that
/// can.
pub(super) fn can_log_in(floor: &impl Floor, made: &Made, before: &Lines) -> Result<(), AttemptOutcome> {
    let missing = missing_app_role(made, before);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(", ");
    let message = format!("the service logs in to Vault with AppRole, but {names} is not set for it; nothing was touched");
    let next_action =
        "Set VAULT_ROLE_ID and VAULT_SECRET_ID where the service runs (in Dokploy: its environment), and VAULT_ADDR on the worker.";
    Err(failed(floor, "missing_environment", &message, next_action))
}

fn missing_app_role(made: &Made, before: &Lines) -> Vec<&'static str> {
    if !APP_ROLE.iter().any(|name| made.compose.contains(name)) {
        return Vec::new();
    }
    let there = |name: &str| made.env.get(name).is_some_and(|value| !value.is_empty());
    let mut missing: Vec<&str> = APP_ROLE.into_iter().filter(|name| !there(name) && before.value(name).is_none()).collect();
    missing.extend(Some("VAULT_ADDR").filter(|name| !there(name)));
    missing
}
