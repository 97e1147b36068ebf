//! Letters and digits as Kubernetes' names and bootstrap tokens have them.

use rand::Rng as _;

/// So many of them, at random.
pub fn random(length: usize) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut rng = rand::rng();
    let letters = (0..length).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    letters.collect()
}
