//! The gateway's listening socket. It is opened before anything else, so that a port in use is told at once, and so that
//! the real port is known when the system chose it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use service::settings::Settings;
use tokio::net::TcpListener;

use super::nats::role_failed;
use crate::problem::CliError;

/// A bound socket.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    address: SocketAddr,
}

/// Binds `gateway.listen`.
pub(crate) async fn listen(settings: &Settings) -> Result<Door, CliError> {
    let wanted = settings.gateway.listen;
    let failed = || {
        role_failed::<std::io::Error>(
            format!("cannot listen on {wanted} (gateway.listen)"),
            "is another process listening there? choose another port with --listen, or 0 for any free one",
        )
    };
    let listener = TcpListener::bind(*wanted).await.map_err(failed())?;
    let address = listener.local_addr().map_err(failed())?;
    Ok(Door { listener, address })
}

impl Door {
    /// Where a client on this machine reaches it.
    pub(crate) fn url(&self) -> String {
        reachable(self.address)
    }
}

fn reachable(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_shown_can_be_reached_from_here() {
        for (listen, shown) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::]:8080", "http://[::1]:8080"),
            ("192.0.2.7:80", "http://192.0.2.7:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), shown);
        }
    }
}
