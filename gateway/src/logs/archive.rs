//! Reads an archived log: chunk after chunk, each a JSON header line and then its bytes.
//!
//! The object may be large, so it is read in pieces and never held whole.

use bytes::Bytes;
use proto::log::{ArchivedChunk, CHUNK_BYTES};
use std::pin::Pin;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// Longest header line: a phase and two numbers.
const MAX_HEADER_BYTES: u64 = 4096;

/// Why an archive cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// The store failed on the way; the archive may be good.
    #[error("read the archived log")]
    Read(#[source] std::io::Error),
    /// What was read is no archive.
    #[error("the archived log is damaged: {0}")]
    Damaged(&'static str),
}

/// Part of an archived log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Offset of the first byte in the attempt's log.
    pub(crate) offset: u64,
    /// The phase that wrote it.
    pub(crate) phase: String,
    /// At most [`CHUNK_BYTES`].
    pub(crate) bytes: Bytes,
}

/// An archived log, read from its beginning.
pub(crate) struct Archive {
    object: BufReader<Pin<Box<dyn AsyncRead + Send>>>,
    /// The chunk that is being read: its next byte's offset, its phase, and how many bytes are left of it.
    offset: u64,
    phase: String,
    left: usize,
    /// A piece that was handed back.
    held: Option<Piece>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("offset", &self.offset).field("left", &self.left).finish_non_exhaustive()
    }
}

impl Archive {
    /// Reads from an object's beginning.
    pub(crate) fn new(object: impl AsyncRead + Send + 'static) -> Self {
        Self { object: BufReader::with_capacity(CHUNK_BYTES, Box::pin(object)), offset: 0, phase: String::new(), left: 0, held: None }
    }

    /// The first piece that reaches beyond `offset`; `None` at the end.
    pub(crate) async fn next_from(&mut self, offset: u64) -> Result<Option<Piece>, ArchiveError> {
        loop {
            match self.next().await? {
                Some(piece) if piece.offset + piece.bytes.len() as u64 <= offset => {}
                found => return Ok(found),
            }
        }
    }

    /// How far what was read reaches in the attempt's log.
    pub(crate) fn reach(&self) -> u64 {
        self.offset
    }

    /// Hands a piece back: it will be the next one.
    pub(crate) fn put_back(&mut self, piece: Piece) {
        self.held = Some(piece);
    }

    /// The next piece; `None` at the end.
    async fn next(&mut self) -> Result<Option<Piece>, ArchiveError> {
        if let Some(piece) = self.held.take() {
            return Ok(Some(piece));
        }
        while self.left == 0 {
            let Some(chunk) = self.header().await? else { return Ok(None) };
            self.offset = chunk.offset;
            self.phase = chunk.phase;
            self.left = chunk.bytes as usize;
        }
        let mut bytes = vec![0; self.left.min(CHUNK_BYTES)];
        self.object.read_exact(&mut bytes).await.map_err(failed)?;
        let piece = Piece { offset: self.offset, phase: self.phase.clone(), bytes: Bytes::from(bytes) };
        self.left -= piece.bytes.len();
        self.offset += piece.bytes.len() as u64;
        Ok(Some(piece))
    }

    async fn header(&mut self) -> Result<Option<ArchivedChunk>, ArchiveError> {
        let mut line = Vec::new();
        (&mut self.object).take(MAX_HEADER_BYTES).read_until(b'\n', &mut line).await.map_err(failed)?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.pop() != Some(b'\n') {
            return Err(ArchiveError::Damaged("a header line has no end"));
        }
        serde_json::from_slice(&line).map(Some).map_err(|_| ArchiveError::Damaged("a header line cannot be read"))
    }
}

/// What a failed read says about the archive: that it is damaged, or nothing.
fn failed(error: std::io::Error) -> ArchiveError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => ArchiveError::Damaged("it ends within a chunk"),
        std::io::ErrorKind::InvalidData => ArchiveError::Damaged("it is not what was stored"),
        _ => ArchiveError::Read(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(chunks: &[(u64, &str, &[u8])]) -> Vec<u8> {
        let mut object = Vec::new();
        for (offset, phase, bytes) in chunks {
            let header = ArchivedChunk { offset: *offset, phase: (*phase).to_owned(), bytes: u32::try_from(bytes.len()).unwrap() };
            object.extend(serde_json::to_vec(&header).unwrap());
            object.push(b'\n');
            object.extend_from_slice(bytes);
        }
        object
    }

    async fn read(object: Vec<u8>) -> Result<Vec<Piece>, String> {
        let mut archive = Archive::new(std::io::Cursor::new(object));
        let mut pieces = Vec::new();
        while let Some(piece) = archive.next().await.map_err(|error| error.to_string())? {
            pieces.push(piece);
        }
        Ok(pieces)
    }

    #[tokio::test]
    async fn chunks_come_back_with_offset_and_phase_and_large_ones_in_pieces() {
        let large = vec![b'x'; CHUNK_BYTES + 5];
        let pieces = read(archive(&[(0, "init", b"a\n{}\n"), (5, "plan", b""), (5, "plan", &large)])).await.unwrap();
        let shape: Vec<_> = pieces.iter().map(|piece| (piece.offset, piece.phase.as_str(), piece.bytes.len())).collect();
        assert_eq!(shape, [(0, "init", 5), (5, "plan", CHUNK_BYTES), (5 + CHUNK_BYTES as u64, "plan", 5)]);
    }

    #[tokio::test]
    async fn what_was_seen_is_skipped_and_a_piece_handed_back_comes_again() {
        let mut archive = Archive::new(std::io::Cursor::new(archive(&[(0, "init", b"ab"), (2, "plan", b"cd"), (4, "plan", b"ef")])));
        let piece = archive.next_from(3).await.unwrap().unwrap();
        assert_eq!((piece.offset, &piece.bytes[..]), (2, &b"cd"[..]));
        archive.put_back(piece.clone());
        assert_eq!(archive.next_from(0).await.unwrap(), Some(piece));
        assert_eq!(archive.next_from(0).await.unwrap().unwrap().offset, 4);
        assert_eq!(archive.next_from(0).await.unwrap(), None);
    }

    #[tokio::test]
    async fn damage_is_told_and_never_read_as_output() {
        let whole = archive(&[(0, "init", b"abc")]);
        for (object, told) in [
            (whole[..whole.len() - 1].to_vec(), "ends within a chunk"),
            (whole[..5].to_vec(), "has no end"),
            (b"nonsense\n".to_vec(), "cannot be read"),
            (vec![b'{'; 10_000], "has no end"),
        ] {
            let error = read(object).await.unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        assert_eq!(read(Vec::new()).await, Ok(Vec::new()));
    }
}
