//! A Vault behind a certificate that no system knows. The certificates (100 years, for 127.0.0.1) are made for this test.

use crate::stand_in::{keeper, private};
use credentials::{Access, Cause, Keeper, VaultAccess, VaultLogin};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const ANSWER: &str = r#"{"data":{"data":{"A":"1"}}}"#;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tls").join(name)
}

fn acceptor() -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_file(golden("server.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(golden("server.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).expect("a key for the certificate")))
}

/// One connection, one request, one answer. A client that goes away at the certificate is no failure.
async fn answer(acceptor: TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let text = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{ANSWER}", ANSWER.len());
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

#[tokio::test]
async fn a_vault_with_a_certificate_of_its_own_is_trusted_only_by_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap()).parse::<url::Url>().unwrap();
    let acceptor = acceptor();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(acceptor.clone(), stream));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let access = |ca_file: Option<PathBuf>| {
        let login = VaultLogin::Token { file: private(folder.path(), "token", "hvs.x") };
        Access { vault: Some(VaultAccess { address: address.clone(), login, namespace: None, ca_file }), ..Access::default() }
    };
    let location = "vault:::kv2:secret/app".parse().unwrap();
    assert_eq!(keeper(access(Some(golden("ca.pem")))).fetch(&location).await.unwrap()["A"].expose(), "1");
    let stranger = keeper(access(None)).fetch(&location).await.unwrap_err();
    assert!(matches!(&stranger.cause, Cause::Unreachable(text) if text.contains("certificate")), "{stranger}");
    for unusable in [folder.path().join("absent"), golden("server.key")] {
        assert!(Keeper::new(access(Some(unusable))).is_err());
    }
}
