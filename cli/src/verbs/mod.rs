//! The verbs that talk to a gateway: each makes its requests and hands the answer to the output module.
//!
//! No text for people and no HTTP details here.

mod decide;
mod deploy;
mod deploy_request;
mod done;
mod follow;
mod graph;
mod keys;
mod lists;
mod mapping;
mod orders;
mod release;
mod run;
mod wait;

use crate::api::{self, Client};
use crate::args::{ClientVerb, Global, MappingArgs, MappingVerb, OrdersArgs, OrdersVerb};
use crate::exit::Exit;
use crate::output::Out;
use crate::problem::CliError;

/// What a client verb works with.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) out: &'a Out,
    pub(crate) client: Client,
}

impl<'a> Session<'a> {
    /// A client for the gateway and key of the global options.
    pub(crate) fn open(out: &'a Out, global: &Global) -> Result<Self, CliError> {
        if global.token.is_some() {
            out.warn("--token can be seen by every user of this machine; better use NAVVY_TOKEN or --token-file");
        }
        let token = api::token(global)?;
        Ok(Self { out, client: Client::new(&global.url, token.as_ref())? })
    }
}

/// `navvy orders`. To check a job nobody is asked, so no key is needed.
pub(crate) async fn orders(out: &Out, global: &Global, args: &OrdersArgs) -> Result<Exit, CliError> {
    match &args.verb {
        OrdersVerb::Submit(args) => orders::submit(&Session::open(out, global)?, args).await,
        OrdersVerb::Validate(args) => orders::validate(out, args),
    }
}

/// `navvy mapping`. Nobody is asked, so no key is needed.
pub(crate) fn mapping(out: &Out, args: &MappingArgs) -> Result<Exit, CliError> {
    match &args.verb {
        MappingVerb::Check(args) => mapping::check(out, args),
    }
}

/// Runs a client verb.
pub(crate) async fn run(out: &Out, global: &Global, verb: &ClientVerb) -> Result<Exit, CliError> {
    let session = Session::open(out, global)?;
    match verb {
        ClientVerb::Deploy(args) => deploy::deploy(&session, args).await,
        ClientVerb::Runs(args) => lists::runs(&session, args).await,
        ClientVerb::Run(args) => run::run(&session, args).await,
        ClientVerb::Logs(args) => follow::logs(&session, args).await,
        ClientVerb::Approve(args) => decide::approve(&session, args).await,
        ClientVerb::Reject(args) => decide::reject(&session, args.id).await,
        ClientVerb::Cancel(args) => decide::cancel(&session, args).await,
        ClientVerb::Release(args) => release::release(&session, &args.verb).await,
        ClientVerb::Locks => lists::locks(&session).await,
        ClientVerb::Workers => lists::workers(&session).await,
        ClientVerb::Keys(args) => keys::keys(&session, &args.verb).await,
    }
}
