//! Brings an archive to the worker, counting as it comes. Redirects are never followed: where they lead was not checked.

use super::{Means, SourceError, place::Place, reach, store::StoreError};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use reqwest::{StatusCode, redirect::Policy};
use std::{fs::File, io::Write as _, path::Path, pin::pin, time::Duration};
use url::Url;

/// How long a connection may take to be made, and how long it may then be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Downloads to `to`, which must not be there yet; gives the file, open for reading.
pub(super) async fn fetch(place: &Place, means: &Means<'_>, to: &Path) -> Result<File, SourceError> {
    let limit = means.limits.fetch_time;
    let too_slow = |_| SourceError::TooSlow { place: place.shown(), seconds: limit.as_secs() };
    tokio::time::timeout(limit, within_limit(place, means, to)).await.map_err(too_slow)??;
    File::open(to).map_err(SourceError::disk("read", to))
}

async fn within_limit(place: &Place, means: &Means<'_>, to: &Path) -> Result<(), SourceError> {
    let limit = means.limits.archive_bytes;
    match place {
        Place::Address(url) => {
            let response = request(place, url, means).await?;
            if response.content_length().is_some_and(|announced| announced > limit) {
                return Err(SourceError::ArchiveTooLarge { place: place.shown(), limit });
            }
            let pieces = response.bytes_stream().map(|piece| piece.map_err(|error| failed(place, error)));
            save(pieces, place, limit, to).await
        }
        Place::Object { bucket, key } => {
            let store = means.store.ok_or(SourceError::NoStore)?;
            let refused = |why: StoreError| SourceError::Store { place: place.shown(), why };
            let pieces = store.get(bucket, key).await.map_err(refused)?;
            save(pieces.map(|piece| piece.map_err(refused)), place, limit, to).await
        }
        // It is there already.
        Place::File(_) => Ok(()),
    }
}

/// The answer, if it is the archive.
async fn request(place: &Place, url: &Url, means: &Means<'_>) -> Result<reqwest::Response, SourceError> {
    let endpoint = reach::check(url, means.allowed).await?;
    // A proxy would resolve the name again, by itself.
    let builder = reqwest::Client::builder().no_proxy().redirect(Policy::none()).connect_timeout(PATIENCE).read_timeout(PATIENCE);
    let builder = match &endpoint.name {
        Some(name) => builder.resolve_to_addrs(name, &endpoint.addresses),
        None => builder,
    };
    let client = builder.build().map_err(|error| failed(place, error))?;
    let response = client.get(url.clone()).send().await.map_err(|error| failed(place, error))?;
    match response.status() {
        StatusCode::OK => Ok(response),
        status if status.is_redirection() => Err(SourceError::Redirected { place: place.shown() }),
        status => Err(SourceError::Answered { place: place.shown(), status: status.as_u16() }),
    }
}

async fn save(pieces: impl Stream<Item = Result<Bytes, SourceError>>, place: &Place, limit: u64, to: &Path) -> Result<(), SourceError> {
    let mut file = File::create_new(to).map_err(SourceError::disk("write", to))?;
    let (mut pieces, mut total) = (pin!(pieces), 0_u64);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        total += piece.len() as u64;
        if total > limit {
            return Err(SourceError::ArchiveTooLarge { place: place.shown(), limit });
        }
        file.write_all(&piece).map_err(SourceError::disk("write", to))?;
    }
    Ok(())
}

/// An error and what it came from, without the address: its query may be a signature.
fn failed(place: &Place, error: reqwest::Error) -> SourceError {
    let error = error.without_url();
    let mut why = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(one) = source {
        why = format!("{why}: {one}");
        source = one.source();
    }
    SourceError::Unreachable { place: place.shown(), why }
}
