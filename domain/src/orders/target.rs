//! Which workers run an order: the words of both generations of the replaced engine, or a pool of this fleet.

use super::{
    given::{Given, Values},
    problems::{Report, Told, shown},
    request::{OrderRequest, SsmTargets},
};
use proto::PoolName;
use std::collections::BTreeSet;

const LAMBDA: &str = "lambda";
const CODEBUILD: &str = "codebuild";
const SSM: &str = "ssm";

/// Which pools stand for the words, and which others there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pools {
    /// For `lambda`: orders of at most ten minutes.
    pub short: PoolName,
    /// For `codebuild`, and where nothing is said.
    pub long: PoolName,
    /// Pools that may be named.
    pub known: BTreeSet<PoolName>,
}

/// Where an order goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Short(PoolName),
    Long(PoolName),
    /// The pool of one machine, or of machines with one tag.
    Machine(PoolName),
    Named(PoolName),
}

impl Target {
    pub(super) fn is_short(&self) -> bool {
        matches!(self, Self::Short(_))
    }

    pub(super) fn into_pool(self) -> PoolName {
        match self {
            Self::Short(pool) | Self::Long(pool) | Self::Machine(pool) | Self::Named(pool) => pool,
        }
    }
}

/// Whether an order is one for machines, right or wrong.
pub(super) fn is_ssm(order: &OrderRequest) -> bool {
    matches!(&order.execution_target, Given::Value(target) if target == SSM)
}

/// The target of one order.
pub(super) fn target(order: &OrderRequest, pools: &Pools, report: &mut Report<'_>) -> Result<Target, Told> {
    let use_lambda = report.boolean("use_lambda", &order.use_lambda);
    let word = report.text("execution_target", &order.execution_target)?;
    let use_lambda = use_lambda?;
    let conflict = word.is_some_and(|word| use_lambda.is_some_and(|wanted| if wanted { word != LAMBDA } else { word == LAMBDA }));
    if conflict {
        let (wanted, word) = (use_lambda == Some(true), word.map(shown).unwrap_or_default());
        let message = format!("use_lambda is {wanted}, but execution_target is '{word}': give only one of them");
        return Err(report.add("execution_target", message));
    }
    match word {
        Some(LAMBDA) => Ok(Target::Short(pools.short.clone())),
        None if use_lambda == Some(true) => Ok(Target::Short(pools.short.clone())),
        Some(CODEBUILD) | None => Ok(Target::Long(pools.long.clone())),
        Some(SSM) => machine(&order.ssm_targets, report).map(Target::Machine),
        Some(other) => match other.parse::<PoolName>().ok().filter(|pool| pools.known.contains(pool)) {
            Some(pool) => Ok(Target::Named(pool)),
            None => Err(report.add("execution_target", invalid(other, pools))),
        },
    }
}

fn invalid(word: &str, pools: &Pools) -> String {
    /// A fleet may have a pool for each machine; whoever reads this wants to see the others.
    const MOST_LISTED: usize = 20;
    let words = [LAMBDA, CODEBUILD, SSM].into_iter();
    let listed: Vec<_> = words.chain(pools.known.iter().map(PoolName::as_str).take(MOST_LISTED)).map(|word| format!("'{word}'")).collect();
    format!("invalid execution_target '{}' (must be one of [{}])", shown(word), listed.join(", "))
}

/// The one pool that an order for machines leads to.
fn machine(given: &Given<SsmTargets>, report: &mut Report<'_>) -> Result<PoolName, Told> {
    const FIELD: &str = "ssm_targets";
    let targets = match given {
        Given::Value(targets) => targets,
        Given::Absent => return Err(report.add(FIELD, "ssm_targets is required for execution_target 'ssm'")),
        Given::Wrong(kind) => return Err(report.add(FIELD, format!("ssm_targets must be an object, not {kind}"))),
    };
    let mut pools: Vec<String> = Vec::new();
    for id in report.texts("ssm_targets.instance_ids", &targets.instance_ids)? {
        pools.push(format!("node-{id}"));
    }
    match &targets.tags {
        Given::Absent => {}
        Given::Wrong(kind) => return Err(report.add(FIELD, format!("ssm_targets.tags must be an object, not {kind}"))),
        Given::Value(tags) => {
            for (key, values) in &tags.0 {
                match values {
                    Given::Value(Values(values)) if values.wrong.is_none() => {
                        pools.extend(values.items.iter().map(|value| format!("{key}-{value}")));
                    }
                    Given::Value(_) | Given::Absent | Given::Wrong(_) => {
                        let message = format!("ssm_targets.tags.{} must be a text or a list of texts", shown(key));
                        return Err(report.add(FIELD, message));
                    }
                }
            }
        }
    }
    match pools.as_slice() {
        [] => Err(report.add(FIELD, "ssm_targets must contain 'instance_ids' or 'tags'")),
        [one] => one.to_ascii_lowercase().parse().map_err(|error| report.add(FIELD, format!("ssm_targets leads to no pool: {error}"))),
        [_, ..] => {
            let message = format!("ssm_targets leads to {} pools: an order runs in one; name one instance or one tag", pools.len());
            Err(report.add(FIELD, message))
        }
    }
}
