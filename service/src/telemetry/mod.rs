//! Logs and traces of the process.
//!
//! Log lines go to stderr (stdout belongs to commands). Spans always get W3C trace ids, exported or not, so that one id
//! follows a run through NATS into the environment of its tool (`traceparent`). No metrics here: see `crate::metrics`.

mod export;
mod traceparent;

use std::io;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterFn, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, layer::SubscriberExt};

use crate::settings::{LogFormat, Settings};

pub use traceparent::{current_traceparent, extract, inject, is_traceparent, set_parent};

/// How long the last spans may take to leave.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// What to write where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Shape of the lines.
    pub format: LogFormat,
    /// `EnvFilter` directives; they decide about lines, not about spans.
    pub level: String,
    /// Colour in text lines: the caller knows whether stderr is a terminal and what `NO_COLOR` says.
    pub color: bool,
    /// Base URL of an OTLP/HTTP collector.
    pub otlp_endpoint: Option<String>,
    /// `service.name` of the exported spans.
    pub service_name: String,
    /// `service.version` of the exported spans.
    pub version: String,
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log.level` is no list of directives.
    #[error("log.level {level:?} cannot be read; write a level such as info, or info,gateway=debug")]
    Level {
        /// What was written.
        level: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The exporter refused its endpoint.
    #[error("cannot export traces to ops.otlp_endpoint {endpoint:?}; write http://host:4318")]
    Exporter {
        /// The endpoint.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Spans are sent on the async runtime, and there is none here.
    #[error("traces can only be exported from within the async runtime; start telemetry there")]
    NoRuntime,
    /// Telemetry was started twice.
    #[error("telemetry was already started in this process")]
    Twice,
}

/// Keeps the exporter. Call [`Telemetry::shutdown`] as the last thing, or the last spans are lost.
#[derive(Debug)]
#[must_use = "the last spans are only sent by shutdown()"]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

impl Options {
    /// The options that the settings ask for, without colour.
    pub fn of(settings: &Settings, version: &str) -> Self {
        Self {
            format: settings.log.format,
            level: settings.log.level.clone(),
            color: false,
            otlp_endpoint: settings.ops.otlp_endpoint.clone(),
            service_name: settings.ops.service_name.clone(),
            version: version.to_owned(),
        }
    }
}

/// Starts logging to stderr and tracing, for the whole process. Panics are logged from now on like everything else.
///
/// # Errors
/// The level or the endpoint is wrong, there is no runtime to export on, or telemetry was started before.
pub fn start(options: &Options) -> Result<Telemetry, TelemetryError> {
    let (subscriber, telemetry) = build(options, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::Twice)?;
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let location = panic.location().map(ToString::to_string);
        tracing::error!(message, location, "panic");
    }));
    Ok(telemetry)
}

impl Telemetry {
    /// Sends what is left, for at most 5 s. Spans that end later go nowhere.
    pub async fn shutdown(self) {
        let provider = self.provider;
        // It waits on a thread of its own that in turn waits for this runtime, so it must not block a runtime thread.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "some spans were not exported");
        }
    }
}

/// The subscriber, not yet installed.
fn build<W>(options: &Options, writer: W) -> Result<(impl Subscriber + Send + Sync, Telemetry), TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = EnvFilter::try_new(&options.level).map_err(|source| TelemetryError::Level { level: options.level.clone(), source })?;
    let provider = provider(options)?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("navvy"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(traced(options.otlp_endpoint.is_some()));
    let lines = lines(options, writer).with_filter(level);
    Ok((Registry::default().with(lines).with(spans), Telemetry { provider }))
}

fn lines<S, W>(options: &Options, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match options.format {
        LogFormat::Text => lines.with_ansi(options.color).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

/// Which spans are traced. Not those of the HTTP client, or every export would make spans to export.
fn traced(exported: bool) -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    const PLUMBING: [&str; 7] = ["hyper", "reqwest", "opentelemetry", "rustls", "h2", "tower", "async_nats"];
    filter_fn(move |metadata| {
        let plumbing = PLUMBING.iter().any(|target| metadata.target().starts_with(target));
        *metadata.level() <= Level::INFO && !plumbing && (exported || metadata.is_span())
    })
}

fn provider(options: &Options) -> Result<SdkTracerProvider, TelemetryError> {
    let resource = Resource::builder()
        .with_service_name(options.service_name.clone())
        .with_attribute(opentelemetry::KeyValue::new("service.version", options.version.clone()))
        .build();
    // Sampled even without an exporter here: another process of the fleet may have one, and it obeys this flag.
    let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
    let builder = SdkTracerProvider::builder().with_resource(resource).with_sampler(sampler);
    match &options.otlp_endpoint {
        None => Ok(builder.build()),
        Some(endpoint) => Ok(builder.with_batch_exporter(export::exporter(endpoint)?).build()),
    }
}

#[cfg(test)]
mod tests;
