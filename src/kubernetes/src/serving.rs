//! Kubelets' requests for serving certificates. Kubernetes doesn't approve them, since it can't
//! verify the addresses of machines. hakube can.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509CertificationRequest};

/// The signer of kubelets' serving certificates.
pub const SIGNER: &str = "kubernetes.io/kubelet-serving";
const NODES: &str = "system:nodes";

/// A pending request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServingRequest {
    /// Its name.
    pub name: String,
    /// Its UID, which distinguishes it from a later one with the same name.
    pub uid: String,
    /// Its version: only the version that was checked is approved.
    pub version: String,
    /// The requested signer.
    pub signer: String,
    /// The requester.
    pub username: String,
    /// The requester's groups.
    pub groups: Vec<String>,
    /// The requested usages.
    pub usages: Vec<String>,
    /// The request itself, in PEM.
    pub pem: Vec<u8>,
}

impl ServingRequest {
    /// The requesting node, if it is one.
    pub fn node(&self) -> Option<&str> {
        self.username.strip_prefix("system:node:")
    }
}

/// The addresses of a cluster's machines, by name.
pub type Machines = BTreeMap<String, BTreeSet<IpAddr>>;

/// Decides whether a request may be approved: a kubelet requests a certificate for only the name
/// and addresses of its own machine, which belongs to the cluster.
///
/// # Errors
/// The reason that it may not.
pub fn decide(request: &ServingRequest, machines: &Machines) -> Result<(), String> {
    if request.signer != SIGNER {
        return Err(format!("it is for the signer {}", request.signer));
    }
    let node = request
        .node()
        .filter(|_| request.groups.iter().any(|group| group == NODES))
        .ok_or_else(|| format!("{} isn't a node", request.username))?;
    let addresses = machines
        .get(node)
        .ok_or_else(|| format!("{node} isn't a machine of the cluster"))?;
    check_usages(&request.usages)?;
    let (_, pem) =
        x509_parser::pem::parse_x509_pem(&request.pem).map_err(|_| "it isn't in PEM".to_owned())?;
    let (rest, parsed) = X509CertificationRequest::from_der(&pem.contents)
        .map_err(|_| "it isn't a certificate signing request".to_owned())?;
    if !rest.is_empty() {
        return Err("there is data after the request".to_owned());
    }
    check_subject(&parsed, &request.username)?;
    check_names(&parsed, node, addresses)
}

fn check_usages(usages: &[String]) -> Result<(), String> {
    let mut usages: Vec<&str> = usages.iter().map(String::as_str).collect();
    usages.sort_unstable();
    match usages.as_slice() {
        ["digital signature", "server auth"]
        | ["digital signature", "key encipherment", "server auth"] => Ok(()),
        others => Err(format!(
            "its usages are {}, but a serving certificate needs digital signature and server auth",
            others.join(", ")
        )),
    }
}

fn check_subject(request: &X509CertificationRequest<'_>, username: &str) -> Result<(), String> {
    let subject = &request.certification_request_info.subject;
    let text = |entry: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        entry.as_str().unwrap_or_default().to_owned()
    };
    let names: Vec<String> = subject.iter_common_name().map(text).collect();
    let organizations: Vec<String> = subject.iter_organization().map(text).collect();
    if names != [username] || organizations != [NODES] || subject.iter_attributes().count() != 2 {
        return Err(format!(
            "its subject is {subject}, not O={NODES}, CN={username}"
        ));
    }
    Ok(())
}

fn check_names(
    request: &X509CertificationRequest<'_>,
    node: &str,
    addresses: &BTreeSet<IpAddr>,
) -> Result<(), String> {
    let extensions = request.requested_extensions().into_iter().flatten();
    let mut count = 0;
    for extension in extensions {
        let ParsedExtension::SubjectAlternativeName(names) = extension else {
            continue;
        };
        for name in &names.general_names {
            count += 1;
            match name {
                GeneralName::DNSName(name) if *name == node => {}
                GeneralName::DNSName(name) => {
                    return Err(format!("{name} isn't the machine's name"));
                }
                GeneralName::IPAddress(bytes) => {
                    let address = ip(bytes).ok_or("it has an invalid address")?;
                    if !addresses.contains(&address) {
                        return Err(format!("{address} isn't an address of {node}"));
                    }
                }
                other => {
                    return Err(format!(
                        "it is for {other}, which is neither a name nor an address"
                    ));
                }
            }
        }
    }
    if count == 0 {
        return Err("it has no name and no address".to_owned());
    }
    Ok(())
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    const NODE: &str = "node-1";
    const OWN: [u8; 4] = [10, 40, 0, 7];

    fn pem(names: &[(DnType, &str)], sans: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), *name);
        }
        params.subject_alt_names = sans;
        let key = KeyPair::generate().unwrap();
        let request = params.serialize_request(&key).unwrap();
        request.pem().unwrap().into_bytes()
    }

    fn subject(node: &str) -> Vec<(DnType, String)> {
        vec![
            (DnType::OrganizationName, NODES.to_owned()),
            (DnType::CommonName, format!("system:node:{node}")),
        ]
    }

    fn with(node: &str, sans: Vec<SanType>) -> Vec<u8> {
        let subject = subject(node);
        let names: Vec<(DnType, &str)> = subject
            .iter()
            .map(|(kind, name)| (kind.clone(), name.as_str()))
            .collect();
        pem(&names, sans)
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().unwrap())
    }

    fn address(bytes: [u8; 4]) -> SanType {
        SanType::IpAddress(IpAddr::from(bytes))
    }

    fn request() -> ServingRequest {
        ServingRequest {
            name: "csr-1".to_owned(),
            signer: SIGNER.to_owned(),
            username: format!("system:node:{NODE}"),
            groups: vec![NODES.to_owned(), "system:authenticated".to_owned()],
            usages: vec!["digital signature".to_owned(), "server auth".to_owned()],
            pem: with(NODE, vec![dns(NODE), address(OWN)]),
            ..ServingRequest::default()
        }
    }

    fn machines() -> Machines {
        BTreeMap::from([
            (NODE.to_owned(), BTreeSet::from([IpAddr::from(OWN)])),
            (
                "node-2".to_owned(),
                BTreeSet::from([IpAddr::from([10, 40, 0, 8])]),
            ),
        ])
    }

    #[test]
    fn a_kubelets_own_names_and_addresses_are_approved() {
        let mut fine = request();
        assert_eq!(decide(&fine, &machines()), Ok(()));
        fine.usages.push("key encipherment".to_owned());
        assert_eq!(decide(&fine, &machines()), Ok(()));
        // A name alone or an address alone is fine too.
        fine.pem = with(NODE, vec![address(OWN)]);
        assert_eq!(decide(&fine, &machines()), Ok(()));
    }

    #[test]
    fn other_requests_are_left_to_the_administrator() {
        type Change = fn(&mut ServingRequest);
        let cases: [(&str, Change); 16] = [
            ("signer", |r| {
                r.signer = "kubernetes.io/kube-apiserver-client".to_owned()
            }),
            ("isn't a node", |r| r.username = "alice".to_owned()),
            ("isn't a node", |r| {
                r.groups = vec!["system:authenticated".to_owned()]
            }),
            ("isn't a machine of the cluster", |r| {
                r.username = "system:node:unknown".to_owned()
            }),
            ("its subject", |r| {
                r.username = "system:node:node-2".to_owned()
            }),
            ("its usages", |r| r.usages.push("client auth".to_owned())),
            ("its usages", |r| r.usages = vec!["server auth".to_owned()]),
            ("isn't in PEM", |r| r.pem = b"hello".to_vec()),
            ("its subject", |r| r.pem = with("node-2", vec![dns(NODE)])),
            ("its subject", |r| {
                r.pem = pem(
                    &[(DnType::CommonName, "system:node:node-1")],
                    vec![dns(NODE)],
                )
            }),
            ("isn't the machine's name", |r| {
                r.pem = with(NODE, vec![dns(NODE), dns("kubernetes")])
            }),
            ("isn't the machine's name", |r| {
                r.pem = with(NODE, vec![dns("*.node-1")])
            }),
            ("isn't an address of node-1", |r| {
                r.pem = with(NODE, vec![dns(NODE), address([10, 40, 0, 8])])
            }),
            ("isn't an address of node-1", |r| {
                r.pem = with(NODE, vec![address([127, 0, 0, 1])])
            }),
            ("neither a name nor an address", |r| {
                r.pem = with(
                    NODE,
                    vec![dns(NODE), SanType::URI("spiffe://x/y".try_into().unwrap())],
                );
            }),
            ("has no name", |r| r.pem = with(NODE, vec![])),
        ];
        for (expected, change) in cases {
            let mut asked = request();
            change(&mut asked);
            let refusal = decide(&asked, &machines()).unwrap_err();
            assert!(refusal.contains(expected), "{expected}: {refusal}");
        }
        let more = [
            (DnType::OrganizationName, NODES),
            (DnType::CommonName, "system:node:node-1"),
            (DnType::CountryName, "XX"),
        ];
        let mut asked = request();
        asked.pem = pem(&more, vec![dns(NODE)]);
        assert!(
            decide(&asked, &machines())
                .unwrap_err()
                .contains("its subject")
        );
    }
}
