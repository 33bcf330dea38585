//! Deliveries that are odd on the wire, byte by byte: rows W18 and W19 of the table of hostile inputs. The limits that need a clock or
//! another address than loopback are tried where they are set: `service/src/http/tests.rs`.

use crate::{
    admission::triggers,
    harness::{World, soon, told},
    hooks::{B, SECRET, hex_mark, push, records, send, two_sources, unsigned},
};
use serde_json::json;
use service::settings::Period;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The head of a signed delivery, open at its end.
fn head(body: &str) -> String {
    format!(
        "POST /hooks/platform HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: d1\r\n\
         X-Hub-Signature-256: sha256={}\r\n",
        hex_mark(SECRET, body.as_bytes())
    )
}

async fn connect(world: &World) -> TcpStream {
    soon(TcpStream::connect(world.gateway.address)).await.unwrap()
}

/// What is answered until the gateway closes the connection.
async fn answered(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn talk(world: &World, bytes: &str) -> String {
    let mut stream = connect(world).await;
    // It may be closed before all is written; what was answered still counts.
    let _ = stream.write_all(bytes.as_bytes()).await;
    answered(stream).await
}

async fn nothing_came_of_it_and_the_next_is_served(world: &World) {
    assert_eq!((triggers(&world.store.bus).await, records(&world.store).await), (vec![], vec![]));
    let (status, answer) = told(send(&world.gateway, &push(B, &[]), "d2")).await;
    assert_eq!((status, &answer["status"]), (202, &json!("accepted")), "{answer}");
}

/// Bodies that never come keep nobody out who signs, at any of the addresses that read a body before they know its sender.
#[tokio::test]
async fn strangers_who_send_slowly_keep_nobody_out() {
    let world = World::with(two_sources).await;
    let mut slow = Vec::new();
    for n in 0..120 {
        let path = ["/sync", "/deploy", "/hooks/platform"][n % 3];
        let mut stream = connect(&world).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\nX-Hub-Signature-256: sha256={}\r\n\
             Content-Length: 1000\r\n\r\n{{",
            "0".repeat(64)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let body = json!({"all": true}).to_string().into_bytes();
    let mark = format!("sha256={}", hex_mark(SECRET, &body));
    let asked = unsigned(&world.gateway, "/sync", body, "x").header("x-hub-signature-256", mark);
    assert_eq!(told(asked).await.0, 202);
    assert_eq!(told(send(&world.gateway, &push(B, &[]), "d2")).await.0, 202);
    drop(slow);
}

#[tokio::test]
async fn w18_two_lengths_never_hide_a_second_request() {
    let world = World::with(two_sources).await;
    let body = push(B, &[]).to_string();
    let (head, length) = (head(&body), body.len());
    let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let smuggled = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    for lengths in [
        format!("Content-Length: {length}\r\nContent-Length: {}\r\n", length + 1),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
        "Content-Length: -1\r\n".to_owned(),
    ] {
        let answer = talk(&world, &format!("{head}{lengths}\r\n{chunked}{smuggled}")).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{lengths}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "what comes behind is nobody's request: {answer}");
    }
    nothing_came_of_it_and_the_next_is_served(&world).await;
    // A length beside chunks is passed over, and nothing is read behind them: a proxy that went by the length would have taken what
    // follows for another request, and gets no answer to it (RFC 9112, 6.1).
    for lengths in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", chunked.len()),
    ] {
        let answer = talk(&world, &format!("{head}{lengths}\r\n{chunked}{smuggled}")).await;
        assert!(answer.starts_with("HTTP/1.1 202") && answer.to_lowercase().contains("connection: close"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn w18_a_body_that_stalls_or_trickles_is_given_up() {
    let world = World::with(|settings| {
        two_sources(settings);
        settings.gateway.request_timeout = Period::seconds(1);
    });
    let world = world.await;
    let body = push(B, &[]).to_string();
    let head = format!("{}Connection: close\r\nContent-Length: {}\r\n\r\n", head(&body), body.len());
    // All but one byte, and then nothing.
    let answer = talk(&world, &format!("{head}{}", &body[..body.len() - 1])).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    // A byte now and then, for as long as it is taken.
    let mut stream = connect(&world).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    let trickle = async {
        for byte in body.as_bytes() {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            if tokio::time::timeout(Duration::from_millis(50), stream.read_exact(&mut first)).await.is_ok() {
                break;
            }
        }
    };
    soon(trickle).await;
    assert_eq!(String::from_utf8_lossy(&first), "HTTP/1.1 408");
    nothing_came_of_it_and_the_next_is_served(&world).await;
}

#[tokio::test]
async fn w19_heads_without_measure_and_http2_are_refused() {
    let world = World::with(two_sources).await;
    let body = push(B, &[]).to_string();
    let rest = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    for more in ["X: y\r\n".repeat(101), format!("X: {}\r\n", "y".repeat(40 * 1024))] {
        let answer = talk(&world, &format!("{}{more}{rest}", head(&body))).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    // Nobody can open and reset streams without end where there are none.
    let answer = talk(&world, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0").await;
    assert!(!answer.contains("HTTP/1.1 2"), "{answer}");
    nothing_came_of_it_and_the_next_is_served(&world).await;
}
