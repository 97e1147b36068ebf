//! The payload: chunks of 64 KiB, each with a nonce from a counter and a flag for the last chunk.

use crate::header::FileKey;
use crate::{Error, Result, random};
use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce};
use zeroize::Zeroizing;

const PIECE: usize = 64 << 10;
const TAG: usize = 16;
const NONCE: usize = 16;

pub(crate) fn encrypt(key: &FileKey, plain: &[u8], file: &mut Vec<u8>) -> Result<()> {
    let nonce: [u8; NONCE] = random()?;
    file.extend(nonce);
    let cipher = cipher(key, &nonce)?;
    // An empty payload is a single empty chunk.
    let count = plain.len().div_ceil(PIECE).max(1);
    for number in 0..count {
        let begin = number * PIECE;
        let end = plain.len().min(begin + PIECE);
        let piece = plain.get(begin..end).unwrap_or_default();
        let sealed = cipher.encrypt(&counted(number, number + 1 == count), piece);
        file.extend(sealed.map_err(|_| Error::Encrypt("the cipher failed"))?);
    }
    Ok(())
}

pub(crate) fn decrypt(key: &FileKey, payload: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    const CUT: Error = Error::Damaged("its end is missing");
    let (nonce, sealed) = payload.split_at_checked(NONCE).ok_or(CUT)?;
    let cipher = cipher(key, nonce)?;
    let count = sealed.len().div_ceil(PIECE + TAG);
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    for (number, piece) in sealed.chunks(PIECE + TAG).enumerate() {
        let is_last = number + 1 == count;
        // Only the single chunk of an empty payload may be empty.
        if piece.len() <= TAG && number > 0 {
            return Err(CUT);
        }
        let opened = cipher
            .decrypt(&counted(number, is_last), piece)
            .map(Zeroizing::new);
        plain.extend_from_slice(&opened.map_err(|_| Error::Damaged("its content"))?);
    }
    if count == 0 {
        return Err(CUT);
    }
    Ok(plain)
}

fn cipher(key: &FileKey, nonce: &[u8]) -> Result<ChaCha20Poly1305> {
    let key = key.derive(nonce, "payload")?;
    ChaCha20Poly1305::new_from_slice(key.as_slice())
        .map_err(|_| Error::Encrypt("invalid key for the cipher"))
}

/// A nonce of an eleven-byte counter and a flag byte for the last chunk.
fn counted(number: usize, is_last: bool) -> Nonce {
    let mut nonce = [0; 12];
    let (counter, last) = nonce.split_at_mut(11);
    let number = (number as u64).to_be_bytes();
    if let (Some(end), Some(last)) = (counter.get_mut(3..), last.first_mut()) {
        end.copy_from_slice(&number);
        *last = u8::from(is_last);
    }
    Nonce::from(nonce)
}
