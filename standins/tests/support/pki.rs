//! The certificates of a cluster.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

pub struct Pki {
    dir: PathBuf,
    ip: IpAddr,
    ca: Issuer<'static, KeyPair>,
}

impl Pki {
    pub fn new(dir: &Path, ip: IpAddr) -> Self {
        let pki = Self {
            dir: dir.to_owned(),
            ip,
            ca: authority(dir, "ca", "kubernetes"),
        };
        pki.client("admin", "kubernetes-admin", &["system:masters"]);
        pki.sign(&pki.ca, "apiserver", "kube-apiserver", &[]);
        let etcd = authority(dir, "etcd-ca", "etcd-ca");
        pki.sign(&etcd, "etcd", "etcd", &[]);
        pki.sign(&etcd, "etcd-client", "kube-apiserver-etcd-client", &[]);
        let other = authority(dir, "other-ca", "kubernetes");
        pki.sign(&other, "intruder", "kubernetes-admin", &["system:masters"]);
        pki
    }

    /// A client certificate from the cluster's CA, and a kubeconfig with it.
    pub fn client(&self, file: &str, name: &str, groups: &[&str]) {
        self.sign(&self.ca, file, name, groups);
        let path = |suffix: &str| {
            self.dir
                .join(format!("{file}.{suffix}"))
                .display()
                .to_string()
        };
        self.kubeconfig(
            file,
            &format!(
                "client-certificate: {}, client-key: {}",
                path("crt"),
                path("key")
            ),
        );
    }

    /// A kubeconfig whose user is `user` (YAML flow entries).
    pub fn kubeconfig(&self, file: &str, user: &str) {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: 'https://{}:6443', certificate-authority: {}}}}}]\n\
             users: [{{name: u, user: {{{user}}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n",
            self.ip,
            self.dir.join("ca.crt").display()
        );
        std::fs::write(self.dir.join(format!("{file}.kubeconfig")), text).unwrap();
    }

    fn sign(&self, issuer: &Issuer<'_, KeyPair>, file: &str, name: &str, groups: &[&str]) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::IpAddress(self.ip));
        params.distinguished_name.push(DnType::CommonName, name);
        for group in groups {
            params
                .distinguished_name
                .push(DnType::OrganizationName, *group);
        }
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, issuer).unwrap();
        std::fs::write(self.dir.join(format!("{file}.crt")), certificate.pem()).unwrap();
        std::fs::write(self.dir.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    }
}

fn authority(dir: &Path, file: &str, name: &str) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let key = KeyPair::generate().unwrap();
    std::fs::write(
        dir.join(format!("{file}.crt")),
        params.self_signed(&key).unwrap().pem(),
    )
    .unwrap();
    Issuer::new(params, key)
}
