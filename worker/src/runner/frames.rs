//! Frames on the pipes between worker, runner and launcher: four bytes of length (little endian), then bincode.
//!
//! Readers work on their own buffer, so a reader that is dropped in the middle of a frame (a cancelled `select!`
//! branch) loses nothing. Lengths are checked before memory is taken.

use std::io::{self, Read, Write};

use bincode::{Decode, Encode, config};

/// Longest frame in bytes. Captured output is cut into far smaller pieces; a spec holds at most an environment.
pub(super) const LONGEST_FRAME: usize = 16 * 1024 * 1024;

const HEADER: usize = 4;

pub(super) fn encode<T: Encode>(message: &T) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; HEADER];
    bincode::encode_into_std_write(message, &mut frame, config::standard()).map_err(io::Error::other)?;
    let length = frame.len() - HEADER;
    if length > LONGEST_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a frame of {length} bytes is too long")));
    }
    frame[..HEADER].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(frame)
}

/// The first message in `buffer` and the bytes it took; `None` while it is not complete.
pub(super) fn decode<T: Decode<()>>(buffer: &[u8]) -> io::Result<Option<(T, usize)>> {
    let Some((header, rest)) = buffer.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*header) as usize;
    if length > LONGEST_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame claims {length} bytes")));
    }
    let Some(body) = rest.get(..length) else {
        return Ok(None);
    };
    let (message, read) = bincode::decode_from_slice(body, config::standard()).map_err(io::Error::other)?;
    if read != length {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame holds more than its message"));
    }
    Ok(Some((message, HEADER + length)))
}

pub(super) fn write<T: Encode>(to: &mut impl Write, message: &T) -> io::Result<()> {
    to.write_all(&encode(message)?)?;
    to.flush()
}

/// Reads one message; `None` at a clean end of the stream.
pub(super) fn read<T: Decode<()>>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut frame = Vec::new();
    match from.by_ref().take(HEADER as u64).read_to_end(&mut frame)? {
        0 => return Ok(None),
        HEADER => {}
        _ => return Err(io::ErrorKind::UnexpectedEof.into()),
    }
    let length = u32::from_le_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    if length <= LONGEST_FRAME {
        from.by_ref().take(length as u64).read_to_end(&mut frame)?;
    }
    match decode(&frame)? {
        Some((message, _)) => Ok(Some(message)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::Control;

    #[test]
    fn a_message_survives_any_cut() {
        let frame = encode(&(7_u32, "text".to_owned())).expect("encodes");
        for cut in 0..frame.len() {
            assert!(decode::<(u32, String)>(&frame[..cut]).expect("not wrong yet").is_none());
        }
        let (message, used) = decode::<(u32, String)>(&frame).expect("decodes").expect("complete");
        assert_eq!((message, used), ((7, "text".to_owned()), frame.len()));
        assert_eq!(read::<(u32, String)>(&mut frame.as_slice()).expect("reads"), Some((7, "text".to_owned())));
    }

    #[test]
    fn an_end_between_frames_is_clean_and_inside_one_is_not() {
        assert_eq!(read::<Control>(&mut [].as_slice()).expect("clean"), None);
        let frame = encode(&Control::Kill).expect("encodes");
        for cut in 1..frame.len() {
            assert!(read::<Control>(&mut &frame[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn nonsense_is_refused_before_memory_is_taken() {
        assert!(decode::<Control>(&[0xff; 64]).is_err());
        assert!(read::<Control>(&mut [0xff; 64].as_slice()).is_err());
        assert!(decode::<Control>(&[2, 0, 0, 0, 0, 0]).is_err(), "one byte too many");
    }
}
