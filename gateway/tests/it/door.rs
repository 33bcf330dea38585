//! What every request passes: headers, origins, paths, methods, health, metrics, the API's document.

use crate::harness::{World, json, soon, told, until};
use reqwest::{Method, header};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let world = World::start().await;
    for request in [
        world.gateway.get("/v1/runs"),
        world.gateway.bare(Method::GET, "/v1/runs"),
        world.gateway.get("/nothing"),
        world.gateway.bare(Method::GET, "/health"),
    ] {
        let answer = soon(request.send()).await.unwrap();
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.headers()[name], value);
        }
    }
}

#[tokio::test]
async fn only_listed_origins_may_call_from_a_browser() {
    let world = World::with(|settings| settings.gateway.allowed_origins = vec!["https://ui.example".into()]).await;
    let preflight = |origin: &str| {
        let request = world.gateway.bare(Method::OPTIONS, "/deploy").header(header::ORIGIN, origin);
        request.header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
    };
    let answer = soon(preflight("https://ui.example").send()).await.unwrap();
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://ui.example");
    assert_eq!(answer.headers()["vary"], "Origin");
    assert!(answer.headers()["access-control-allow-headers"].to_str().unwrap().contains("idempotency-key"));
    for stranger in ["https://evil.example", "null"] {
        let answer = soon(preflight(stranger).send()).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().get("access-control-allow-origin")), (204, None));
        let (status, refused) = told(world.gateway.post("/v1/probes").header(header::ORIGIN, stranger)).await;
        assert_eq!((status, refused["code"].as_str()), (403, Some("origin_not_allowed")));
    }
    let read = soon(world.gateway.get("/v1/runs").header(header::ORIGIN, "https://ui.example").send()).await.unwrap();
    assert_eq!((read.status().as_u16(), read.headers()["access-control-allow-origin"].to_str().unwrap()), (200, "https://ui.example"));
}

#[tokio::test]
async fn odd_paths_and_methods_lead_nowhere() {
    let world = World::start().await;
    let raw = async |head: &str| {
        let mut stream = TcpStream::connect(world.gateway.address).await.unwrap();
        stream.write_all(format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    for (head, status) in [
        ("GET //health", "404"),
        ("GET /v1/%2e%2e/health", "404"),
        ("GET /v1/../health", "404"),
        ("GET /health;x", "404"),
        ("GET /Health", "404"),
        ("GET /health/", "404"),
        ("GET /nothing", "404"),
        ("TRACE /health", "405"),
        ("PUT /deploy", "405"),
        ("POST /health", "405"),
        ("GET /health", "200"),
        ("HEAD /health", "200"),
        ("OPTIONS /deploy", "204"),
        ("OPTIONS /nothing", "404"),
    ] {
        assert_eq!(raw(head).await, status, "{head}");
    }
    let refused = soon(world.gateway.request(Method::PUT, "/deploy").header("x-http-method-override", "POST").send()).await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["allow"].to_str().unwrap()), (405, "POST"));
    assert_eq!(json(refused).await["code"].as_str(), Some("method_not_allowed"));
}

#[tokio::test]
async fn a_parameter_that_a_route_does_not_read_is_refused_by_name() {
    let world = World::start().await;
    for path in ["/v1/locks", "/v1/workers", "/v1/queues", "/v1/whoami", "/v1/keys", "/v1/runs", "/deploy/x/status"] {
        let (status, answer) = told(world.gateway.get(&format!("{path}?pol=x"))).await;
        assert_eq!((status, answer["field"].as_str()), (400, Some("pol")), "{path}");
        assert_eq!(told(world.gateway.bare(Method::GET, &format!("{path}?pol=x"))).await.0, 401, "{path}");
    }
    let (status, answer) = told(world.gateway.post("/deploy?dry_run=1").json(&json!({}))).await;
    assert_eq!((status, answer["field"].as_str()), (400, Some("dry_run")));
    assert_eq!(told(world.gateway.bare(Method::GET, "/health?from=a-balancer")).await.0, 200);
}

#[tokio::test]
async fn health_and_readiness_ask_the_store() {
    let mut world = World::start().await;
    let health = async |world: &World, path: &str| told(world.gateway.bare(Method::GET, path)).await;
    let (status, answer) = health(&world, "/health").await;
    assert_eq!(
        (status, answer),
        (200, json!({ "status": "healthy", "checks": { "http": true, "nats": true, "runs": true, "accepting": true } }))
    );
    assert_eq!(health(&world, "/readyz").await.0, 200);
    world.store.kill().await;
    until(async || health(&world, "/health").await.0 == 503).await;
    let (_, answer) = health(&world, "/health").await;
    assert_eq!((&answer["status"], &answer["checks"]["nats"]), (&json!("degraded"), &json!(false)));
    assert_eq!(health(&world, "/readyz").await.0, 503);
    assert_eq!(world.gateway.bare(Method::GET, "/livez").send().await.unwrap().text().await.unwrap(), "ok\n");
}

#[tokio::test]
async fn metrics_and_the_document_are_open_on_loopback_only() {
    let world = World::start().await;
    let open = world.store.gateway(|settings| settings.gateway.listen = "0.0.0.0:0".parse().unwrap()).await;
    for path in ["/metrics", "/openapi.json"] {
        assert_eq!(world.gateway.bare(Method::GET, path).send().await.unwrap().status(), 200, "{path}");
        assert_eq!(open.bare(Method::GET, path).send().await.unwrap().status(), 401, "{path}");
        assert_eq!(open.get(path).send().await.unwrap().status(), 200, "{path}");
    }
    told(world.gateway.get("/v1/runs/0192f0c1-7e3a-7abc-8def-0123456789ab")).await;
    let metrics = world.gateway.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("navvy_http_request_seconds_count{method=\"GET\",route=\"/v1/runs/{id}\",status=\"4xx\"} 1"), "{metrics}");
    assert!(!metrics.contains("0192f0c1"));
    let (_, document) = told(world.gateway.get("/openapi.json")).await;
    assert_eq!(document["openapi"], json!("3.1.0"));
    assert!(document["paths"]["/deploy"]["post"]["responses"]["202"].is_object());
}
