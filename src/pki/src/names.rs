//! The names that a certificate is valid for.

use super::{PkiError, Result};
use std::net::IpAddr;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

/// The addresses in the first certificate in `pem`.
///
/// # Errors
/// There is no certificate.
pub fn addresses(pem: &str) -> Result<Vec<IpAddr>> {
    let malformed = |reason: String| PkiError::Malformed {
        name: "certificate".into(),
        expected: "a PEM certificate",
        reason,
    };
    let block = Pem::iter_from_buffer(pem.as_bytes())
        .next()
        .ok_or_else(|| malformed("it has no certificate".into()))?
        .map_err(|error| malformed(error.to_string()))?;
    let certificate = block
        .parse_x509()
        .map_err(|error| malformed(error.to_string()))?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| malformed(error.to_string()))?;
    let names = names.map(|extension| extension.value.general_names.as_slice());
    let names = names.unwrap_or_default().iter();
    Ok(names.filter_map(address).collect())
}

fn address(name: &GeneralName<'_>) -> Option<IpAddr> {
    let GeneralName::IPAddress(bytes) = name else {
        return None;
    };
    let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
    v4.or_else(|_| v6()).ok()
}
