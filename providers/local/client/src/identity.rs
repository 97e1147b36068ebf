//! How a cloud proves its identity to a client before the client sends the token.
//!
//! `daemon.json` outlives a killed daemon, and another user of the host may listen at its address. So a
//! client first sends a challenge. The response has the cloud's ID and an HMAC over both, keyed with the
//! token, which only the cloud and its owner have. The token itself follows on the same connection.

use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The path, below the admin API's root.
pub const PATH: &str = "/identity";

/// The response to a challenge.
#[derive(Debug, Serialize, Deserialize)]
pub struct Proof {
    /// The cloud's ID.
    pub id: String,
    /// The HMAC-SHA256, in hexadecimal digits.
    pub proof: String,
}

impl Proof {
    /// The response of the cloud with this ID and token.
    pub fn of(token: &str, id: &str, challenge: &str) -> Self {
        Self {
            id: id.to_owned(),
            proof: spell(&mac(token, id, challenge)),
        }
    }

    /// Whether the responder has the token.
    pub fn holds(&self, token: &str, challenge: &str) -> bool {
        use subtle::ConstantTimeEq as _;
        let expected = spell(&mac(token, &self.id, challenge));
        bool::from(expected.as_bytes().ct_eq(self.proof.as_bytes()))
    }
}

fn mac(token: &str, id: &str, challenge: &str) -> [u8; 32] {
    // HMAC takes keys of any length. Without one nothing is proven, and nothing is sent.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(token.as_bytes()) else {
        return [0; 32];
    };
    mac.update(format!("hakube local cloud\0{id}\0{challenge}").as_bytes());
    mac.finalize().into_bytes().into()
}

fn spell(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_the_token_answers_a_challenge() {
        let answer = |token: &str| Proof::of(token, "k7m2q9x4ab", "one");
        assert!(answer("secret").holds("secret", "one"));
        assert!(!answer("guessed").holds("secret", "one"));
        assert!(!answer("secret").holds("secret", "two"));
        let renamed = Proof {
            id: "another".to_owned(),
            ..answer("secret")
        };
        assert!(!renamed.holds("secret", "one"));
    }
}
