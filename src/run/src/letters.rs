//! Random letters and digits, as in names of Kubernetes objects and bootstrap tokens.

use rand::Rng as _;

pub fn random(length: usize) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut rng = rand::rng();
    let letters = (0..length).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    letters.collect()
}
