//! A stand-in for Dokploy: projects, environments, compose services, deployments. It has the traps of the real one: lists
//! without variables, a `compose.create` that keeps neither variables nor source, deployments that take their time. Whoever
//! asks for it twice gets two of a name.
//!
//! The system stories include this file too (`tests/tests/stories/syncs/dokploy`).

use super::deployment::{Deploying, Deployment};
use super::shapes;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) const KEY: &str = "dokploy-key-c4nary-0123456789";

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is done, and this is answered.
    Status(u16),
    /// It is done, and the answer is lost.
    AnswerLost,
    /// Nothing is done, and the connection ends.
    Hangup,
    /// An answer that is no JSON.
    Garbage,
    /// A list whose parts do not say what they hold.
    CutShort,
    /// Nothing is done, and somebody else deploys at the same time.
    SomebodyElse,
}

/// A compose service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Service {
    pub(crate) fields: Map<String, Value>,
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) domains: Vec<String>,
}

impl Service {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) operation: String,
    pub(crate) method: String,
    /// The body, or the query of a request without one.
    pub(crate) body: String,
}

/// Names of compose services with their ids, by the environment they are in.
type Environments = BTreeMap<String, Vec<(String, String)>>;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) projects: Vec<(String, Environments)>,
    pub(crate) services: BTreeMap<String, Service>,
    /// By operation, or by operation and id of a compose service (`compose.one ID`).
    pub(crate) faults: BTreeMap<String, VecDeque<Option<Fault>>>,
    pub(crate) deploying: Deploying,
    /// What `compose.one` says instead of the stored identity.
    pub(crate) lie: Option<String>,
    /// Whether titles of deployments are kept, as newer ones do.
    pub(crate) titles: bool,
    pub(crate) asked: Vec<Asked>,
    /// Requests that Dokploy would refuse for their shape.
    pub(crate) misshapen: Vec<String>,
}

pub(crate) struct StandIn {
    pub(crate) base: String,
    state: Arc<Mutex<State>>,
}

impl StandIn {
    /// Ends with the test's runtime.
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            projects: Vec::new(),
            services: BTreeMap::new(),
            faults: BTreeMap::new(),
            deploying: Deploying::Done(2),
            lie: None,
            titles: true,
            asked: Vec::new(),
            misshapen: Vec::new(),
        }));
        let kept = Arc::clone(&state);
        let handler = move |request: Request| {
            let kept = Arc::clone(&kept);
            async move { answer(&kept, request).await }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}/api", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        Self { base, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    /// Puts a service there, as somebody else deployed it.
    pub(crate) fn has(&self, project: &str, environment: &str, name: &str, fields: &Value) {
        let mut state = self.state();
        let id = format!("{project}-{environment}-{name}");
        let service = (name.to_owned(), id.clone());
        match state.projects.iter_mut().find(|(other, _)| other == project) {
            Some((_, environments)) => environments.entry(environment.to_owned()).or_default().push(service),
            None => state.projects.push((project.to_owned(), BTreeMap::from([(environment.to_owned(), vec![service])]))),
        }
        let fields = fields.as_object().expect("fields").clone();
        state.services.insert(id, Service { fields, ..Service::default() });
    }

    /// Lets the next requests of an operation go wrong.
    pub(crate) fn fails(&self, operation: &str, faults: &[Fault]) {
        self.fails_after(operation, 0, faults);
    }

    /// The same, after so many that go well.
    pub(crate) fn fails_after(&self, operation: &str, well: usize, faults: &[Fault]) {
        let all = std::iter::repeat_n(None, well).chain(faults.iter().copied().map(Some));
        self.state().faults.insert(operation.to_owned(), all.collect());
    }

    /// The only service there is.
    pub(crate) fn service(&self) -> Service {
        let state = self.state();
        assert_eq!(state.services.len(), 1, "{:?}", state.services.keys());
        state.services.values().next().expect("one").clone()
    }

    /// The operations that were asked since the last time.
    pub(crate) fn operations(&self) -> Vec<String> {
        let mut state = self.state();
        assert_eq!(state.misshapen, [] as [String; 0], "Dokploy would refuse these");
        state.asked.drain(..).map(|asked| asked.operation).collect()
    }
}

async fn answer(state: &Arc<Mutex<State>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let operation = parts.uri.path().trim_start_matches("/api/").to_owned();
    let body = axum::body::to_bytes(body, 1 << 24).await.expect("a body");
    let key = parts.headers.get("x-api-key").and_then(|key| key.to_str().ok());
    let fields = if parts.method == "GET" { query(parts.uri.query()) } else { serde_json::from_slice(&body).expect("JSON") };
    let mut state = state.lock().expect("not poisoned");
    let text = parts.uri.query().map_or_else(|| String::from_utf8_lossy(&body).into_owned(), str::to_owned);
    let about = fields.get("composeId").and_then(Value::as_str).unwrap_or_default();
    state.asked.push(Asked { operation: operation.clone(), method: parts.method.to_string(), body: text });
    if let Some(fault) = shapes::fault(&operation, parts.method.as_str(), &fields) {
        state.misshapen.push(fault.clone());
        return said(400, &json!({ "message": fault, "code": "BAD_REQUEST" }));
    }
    if key != Some(KEY) {
        return said(401, &json!({ "message": "UNAUTHORIZED" }));
    }
    let mut next = |name: &str| state.faults.get_mut(name).and_then(VecDeque::pop_front).flatten();
    match next(&format!("{operation} {about}")).or_else(|| next(&operation)) {
        None => state.does(&operation, &fields).map_or_else(|| said(404, &json!({ "message": "NOT_FOUND" })), |value| said(200, &value)),
        Some(Fault::Status(status)) => said(status, &json!({ "message": "out of order" })),
        Some(Fault::Garbage) => Response::new(Body::from("<html>")),
        Some(Fault::CutShort) => {
            let names = state.projects.iter().map(|(project, _)| json!({ "projectId": project, "name": project }));
            said(200, &names.collect())
        }
        Some(Fault::AnswerLost) => {
            let _ = state.does(&operation, &fields);
            said(504, &Value::Null)
        }
        Some(Fault::SomebodyElse) => {
            let mut by_hand = fields.clone();
            by_hand.insert("title".to_owned(), json!("Manual deployment"));
            let _ = state.does(&operation, &by_hand);
            said(502, &Value::Null)
        }
        Some(Fault::Hangup) => {
            // A body that ends in an error closes the connection.
            let broken = futures_util::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("hung up"))]);
            Response::new(Body::from_stream(broken))
        }
    }
}

fn query(query: Option<&str>) -> Map<String, Value> {
    let address = reqwest::Url::parse(&format!("http://stand-in/?{}", query.unwrap_or_default())).expect("a query");
    address.query_pairs().map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect()
}

fn said(status: u16, value: &Value) -> Response {
    Response::builder().status(status).body(Body::from(value.to_string())).expect("an answer")
}

impl State {
    fn does(&mut self, operation: &str, fields: &Map<String, Value>) -> Option<Value> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = text("composeId");
        match operation {
            "project.all" => Some(self.list()),
            "project.create" => {
                self.projects.push((text("name"), BTreeMap::from([("production".to_owned(), Vec::new())])));
                Some(
                    json!({ "project": { "projectId": text("name") }, "environment": { "environmentId": format!("{}/production", text("name")) } }),
                )
            }
            "environment.create" => {
                let (_, environments) = self.projects.iter_mut().find(|(name, _)| *name == text("projectId"))?;
                environments.insert(text("name"), Vec::new());
                Some(json!({ "environmentId": format!("{}/{}", text("projectId"), text("name")) }))
            }
            "compose.create" => {
                let environment = text("environmentId");
                let (project, environment) = environment.split_once('/')?;
                let id = format!("{project}-{environment}-{}", text("name"));
                let (_, environments) = self.projects.iter_mut().find(|(name, _)| name == project)?;
                environments.get_mut(environment)?.push((text("name"), id.clone()));
                // Variables, file and source are not kept.
                let fields = json!({ "name": text("name"), "appName": text("appName"), "sourceType": "github", "autoDeploy": true, "composeFile": "" });
                self.services.insert(id.clone(), Service { fields: fields.as_object()?.clone(), ..Service::default() });
                Some(json!({ "composeId": id, "name": text("name") }))
            }
            "compose.one" => self.one(&id),
            "compose.update" => {
                self.services.get_mut(&id)?.fields.extend(fields.clone());
                Some(json!({ "composeId": id }))
            }
            "compose.deploy" | "compose.redeploy" => {
                let (how, titles) = (self.deploying, self.titles);
                if self.services.get(&id)?.fields.get("autoDeploy") != Some(&json!(false)) {
                    self.misshapen.push("it is deployed while others than us may deploy it".to_owned());
                }
                let deployments = &mut self.services.get_mut(&id)?.deployments;
                let title = if titles { text("title") } else { "Manual deployment".to_owned() };
                if how != Deploying::Nothing {
                    let id = format!("deployment-{}", deployments.len());
                    deployments.insert(0, Deployment { id, title, looks: 0, how });
                }
                Some(json!({ "success": true, "message": "Deployment queued", "composeId": id }))
            }
            "deployment.allByCompose" => {
                let deployments = self.services.get_mut(&id)?.deployments.iter_mut();
                Some(deployments.map(Deployment::looked_at).collect())
            }
            "domain.create" => {
                self.services.get_mut(&id)?.domains.push(text("host"));
                Some(json!({ "domainId": "d" }))
            }
            _ => None,
        }
    }

    /// Cut short, as the real one does: names and ids only.
    fn list(&self) -> Value {
        let projects = self.projects.iter().map(|(project, environments)| {
            let environments = environments.iter().map(|(environment, services)| {
                let services = services.iter().map(|(name, id)| json!({ "composeId": id, "name": name, "composeStatus": "done" }));
                json!({ "environmentId": format!("{project}/{environment}"), "name": environment, "isDefault": environment == "production",
                        "compose": services.collect::<Vec<_>>(), "applications": [] })
            });
            json!({ "projectId": project, "name": project, "environments": environments.collect::<Vec<_>>() })
        });
        projects.collect()
    }

    fn one(&self, id: &str) -> Option<Value> {
        let service = self.services.get(id)?;
        let mut fields = service.fields.clone();
        if let Some(lie) = &self.lie {
            let env = service.text("env").lines().map(|line| if line.starts_with("IAC_CONFIG_HASH=") { lie.as_str() } else { line });
            fields.insert("env".to_owned(), Value::String(env.collect::<Vec<_>>().join("\n")));
        }
        fields.insert("composeId".to_owned(), json!(id));
        fields.insert("domains".to_owned(), service.domains.iter().map(|host| json!({ "host": host })).collect());
        Some(Value::Object(fields))
    }
}
