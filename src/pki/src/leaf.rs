//! Leaf certificates, with their usages and names.

use std::net::IpAddr;

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use rustls::pki_types::DnsName;

use super::{PkiError, Result};
use hakube_secret::Secret;

/// A certificate to sign.
pub(super) struct Leaf<'a> {
    /// CN: Kubernetes' user name.
    pub common_name: &'a str,
    /// O: Kubernetes' group.
    pub organization: Option<&'a str>,
    pub usage: Usage,
    /// The names of the server.
    pub names: Vec<SanType>,
}

/// Extended key usages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    Client,
    Server,
    /// etcd's members connect to each other, and the gateway to its own member, with their serving
    /// certificate.
    Both,
}

impl<'a> Leaf<'a> {
    pub fn client(common_name: &'a str) -> Self {
        Self {
            common_name,
            organization: None,
            usage: Usage::Client,
            names: Vec::new(),
        }
    }

    pub fn client_in_group(common_name: &'a str, organization: &'a str) -> Self {
        Self {
            organization: Some(organization),
            ..Self::client(common_name)
        }
    }

    pub(super) fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(organization) = self.organization {
            params
                .distinguished_name
                .push(DnType::OrganizationName, organization);
        }
        params
            .distinguished_name
            .push(DnType::CommonName, self.common_name);
        params.subject_alt_names.clone_from(&self.names);
        // Explicit: writes the subject key identifier, and states that it can't sign.
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match self.usage {
            Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Usage::Both => vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
        };
        params
    }
}

/// A signed certificate with its key.
#[derive(Debug)]
pub(super) struct Issued {
    /// PEM.
    pub certificate: String,
    /// PKCS #8, PEM.
    pub key: Secret,
}

/// Subject alternative names, without duplicates, in the given order.
#[derive(Default)]
pub(super) struct Names(Vec<SanType>);

impl Names {
    pub fn ip(mut self, address: IpAddr) -> Self {
        self.push(SanType::IpAddress(address));
        self
    }

    pub fn ips(mut self, addresses: &[IpAddr]) -> Self {
        for address in addresses {
            self.push(SanType::IpAddress(*address));
        }
        self
    }

    pub fn dns(mut self, name: &str) -> Result<Self> {
        let invalid = || PkiError::InvalidName { value: name.into() };
        // A wildcard is valid in a certificate, but not as a host name.
        DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).map_err(|_| invalid())?;
        let name = Ia5String::try_from(name).map_err(|_| invalid())?;
        self.push(SanType::DnsName(name));
        Ok(self)
    }

    /// An address if it parses as one, otherwise a DNS name.
    pub fn either(self, value: &str) -> Result<Self> {
        match value.parse() {
            Ok(address) => Ok(self.ip(address)),
            Err(_) => self.dns(value),
        }
    }

    pub fn into_vec(self) -> Vec<SanType> {
        self.0
    }

    fn push(&mut self, name: SanType) {
        if !self.0.contains(&name) {
            self.0.push(name);
        }
    }
}
