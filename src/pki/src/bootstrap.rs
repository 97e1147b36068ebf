//! Bootstrap tokens. They are derived, so that the token in a template can be recreated after
//! Kubernetes deleted it, and needn't be stored.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::authorities::Authorities;
use hakube_secret::Secret;

/// The characters of both halves of a token.
const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// The length of a token's public half, and of its secret half.
/// <https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#token-format>
const PUBLIC: usize = 6;
const SECRET: usize = 16;

impl Authorities {
    /// The public and the secret half of the token in a machine template. Without the CA's key,
    /// which never leaves the store, it is indistinguishable from a random one.
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
        // HMAC accepts keys of any length.
        let Ok(mut mac) =
            Hmac::<Sha256>::new_from_slice(self.now.kubernetes.key.expose().as_bytes())
        else {
            return Zeroizing::new([0; 32]);
        };
        mac.update(label.as_bytes());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

/// Spells the bytes, as one number, in letters: 16 of them encode 82 of its 256 bits.
fn spell(bytes: &[u8; 32], letters: usize) -> String {
    let mut number = Zeroizing::new(*bytes);
    let mut word = String::with_capacity(letters);
    for _ in 0..letters {
        let mut rest: usize = 0;
        for byte in number.iter_mut() {
            let value = rest << 8 | usize::from(*byte);
            // Below 36 * 256, so the quotient fits a byte.
            *byte = u8::try_from(value / LETTERS.len()).unwrap_or_default();
            rest = value % LETTERS.len();
        }
        word.push(LETTERS.get(rest).copied().map_or('0', char::from));
    }
    word
}
