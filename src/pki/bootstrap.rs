//! Bootstrap tokens: derived, so that the token in a template can be made again whenever Kubernetes deleted it, and is
//! kept nowhere.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Authorities, Secret};

/// What both halves of a token consist of.
const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// The letters of a token's public half, and of its secret half.
/// <https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#token-format>
const PUBLIC: usize = 6;
const SECRET: usize = 16;

impl Authorities {
    /// The public and the secret half of the token in a template of machines. Whoever hasn't got the authority's key,
    /// which never leaves the store, can't tell it from a random one.
    pub fn bootstrap_token(&self, cluster: &str, template: &str) -> (String, Secret) {
        let derive = |half: &str, letters: usize| {
            let label = format!("hakube bootstrap token\0{cluster}\0{template}\0{half}");
            spell(&self.derived(&label), letters)
        };
        (
            derive("public", PUBLIC),
            Secret::new(derive("secret", SECRET)),
        )
    }

    fn derived(&self, label: &str) -> Zeroizing<[u8; 32]> {
        // Any length of key will do for HMAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.kubernetes.key.expose().as_bytes())
        else {
            return Zeroizing::new([0; 32]);
        };
        mac.update(label.as_bytes());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

/// The bytes as one number, in letters: 16 of them have 82 bits of its 256.
fn spell(bytes: &[u8; 32], letters: usize) -> String {
    let mut number = Zeroizing::new(*bytes);
    let mut word = String::with_capacity(letters);
    for _ in 0..letters {
        let mut rest: usize = 0;
        for byte in number.iter_mut() {
            let value = rest << 8 | usize::from(*byte);
            // Below 36 * 256, so that the quotient is a byte.
            *byte = u8::try_from(value / LETTERS.len()).unwrap_or_default();
            rest = value % LETTERS.len();
        }
        word.push(LETTERS.get(rest).copied().map_or('0', char::from));
    }
    word
}
