//! A stand-in for Dokploy with one project and one environment. Each deployment is written down as an effect; it is done at
//! the second look. Its shapes are those of the worker's own tests, which hold them against the published ones.

use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::task::JoinHandle;

/// The key that opens it.
pub(crate) const KEY: &str = "crash-dokploy-key-0123456789";

/// Ends when dropped.
#[derive(Debug)]
pub struct Dokploy {
    /// Address of its API.
    pub base: String,
    serving: JoinHandle<()>,
}

/// A compose service.
#[derive(Debug, Default)]
struct Service {
    fields: Map<String, Value>,
    /// Title, and how often it was looked at.
    deployments: Vec<(String, u32)>,
}

#[derive(Debug)]
struct State {
    services: BTreeMap<String, Service>,
    effects: PathBuf,
}

impl Dokploy {
    /// Effects go to the file `effects` of this folder.
    pub(crate) async fn start(dir: &Path) -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(State { services: BTreeMap::new(), effects: dir.join("effects") }));
        let handler = move |request: axum::extract::Request| {
            let state = state.clone();
            async move { answer(&state, request).await }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}/api", listener.local_addr()?);
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, axum::Router::new().fallback(handler)).await;
        });
        Ok(Self { base, serving })
    }
}

impl Drop for Dokploy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(state: &Mutex<State>, request: axum::extract::Request) -> (axum::http::StatusCode, axum::Json<Value>) {
    use axum::http::StatusCode;
    let (parts, body) = request.into_parts();
    let refused = |status| (status, axum::Json(json!({ "message": "no" })));
    if parts.headers.get("x-api-key").is_none_or(|key| key != KEY) {
        return refused(StatusCode::UNAUTHORIZED);
    }
    let Ok(bytes) = axum::body::to_bytes(body, 1 << 20).await else { return refused(StatusCode::BAD_REQUEST) };
    let mut fields: Map<String, Value> = serde_json::from_slice(&bytes).unwrap_or_default();
    if let Some((name, value)) = parts.uri.query().and_then(|query| query.split_once('=')) {
        fields.insert(name.to_owned(), json!(value));
    }
    let operation = parts.uri.path().trim_start_matches("/api/");
    let done = state.lock().unwrap_or_else(PoisonError::into_inner).does(operation, &fields);
    done.map_or_else(|| refused(StatusCode::NOT_FOUND), |value| (StatusCode::OK, axum::Json(value)))
}

impl State {
    fn does(&mut self, operation: &str, fields: &Map<String, Value>) -> Option<Value> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = text("composeId");
        match operation {
            "project.all" => {
                let services: Vec<Value> = self.services.keys().map(|name| json!({ "composeId": name, "name": name })).collect();
                Some(json!([{ "projectId": "p", "name": "platform", "environments":
                    [{ "environmentId": "e", "name": "staging", "compose": services }] }]))
            }
            "compose.create" => {
                let name = text("name");
                self.services.insert(name.clone(), Service { fields: fields.clone(), deployments: Vec::new() });
                Some(json!({ "composeId": name }))
            }
            "compose.one" => {
                let mut fields = self.services.get(&id)?.fields.clone();
                fields.entry("env").or_insert(Value::Null);
                Some(Value::Object(fields))
            }
            "compose.update" => {
                self.services.get_mut(&id)?.fields.extend(fields.clone());
                Some(json!({ "composeId": id }))
            }
            "compose.deploy" => {
                // `Navvy run RUN compose.deploy COMMIT`.
                let title = text("title");
                let commit = title.rsplit(' ').next().unwrap_or_default().to_owned();
                self.services.get_mut(&id)?.deployments.insert(0, (title, 0));
                self.write_down(&id, &commit);
                Some(json!({ "success": true }))
            }
            "deployment.allByCompose" => {
                let deployments = &mut self.services.get_mut(&id)?.deployments;
                let all = deployments.len();
                let shown = deployments.iter_mut().enumerate().map(|(at, (title, looks))| {
                    *looks += 1;
                    let status = if *looks > 1 { "done" } else { "running" };
                    json!({ "deploymentId": format!("d{}", all - at), "title": title, "status": status })
                });
                Some(shown.collect())
            }
            _ => None,
        }
    }

    fn write_down(&self, service: &str, commit: &str) {
        let lines = format!("staging {service} {commit} begin\nstaging {service} {commit} end\n");
        let written =
            OpenOptions::new().append(true).create(true).open(&self.effects).and_then(|mut file| file.write_all(lines.as_bytes()));
        if let Err(error) = written {
            eprintln!("the stand-in for Dokploy cannot write its effects down: {error}");
        }
    }
}
