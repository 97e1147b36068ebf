//! Stored documents of CAs.

use super::*;
use base64::Engine as _;

#[test]
fn incomplete_or_mixed_up_documents_are_refused() {
    let documents = authorities().to_documents().0;
    let refused = |edit: &dyn Fn(&mut BTreeMap<String, Secret>)| {
        let mut documents = documents.clone();
        edit(&mut documents);
        Authorities::from_documents(&AuthorityDocuments(documents)).unwrap_err()
    };

    let optional = "ssh-login.key";
    for name in documents.keys().filter(|name| *name != optional) {
        let error = refused(&|d| drop(d.remove(name)));
        assert!(
            matches!(&error, PkiError::Missing { name: n } if n == name),
            "{error}"
        );
    }
    let swapped = refused(&|d| {
        let etcd = d["etcd-ca.key"].clone();
        d.insert("kubernetes-ca.key".into(), etcd);
    });
    assert!(
        matches!(&swapped, PkiError::Mismatch { name } if name == "kubernetes-ca"),
        "{swapped}"
    );
    let garbage = refused(&|d| drop(d.insert("etcd-ca.crt".into(), Secret::new("hm".into()))));
    assert!(
        matches!(&garbage, PkiError::Malformed { name, .. } if name == "etcd-ca.crt"),
        "{garbage}"
    );
}

#[test]
fn an_authority_with_a_flipped_bit_is_refused() {
    let documents = authorities().to_documents();
    let pem = documents.0["kubernetes-ca.crt"].expose().to_owned();
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let whole = block.contents.len();
    // In the validity, name, key, extensions or signature.
    for at in (4..whole).step_by(7) {
        let mut bytes = block.contents.clone();
        bytes[at] ^= 4;
        let encoded = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let lines: Vec<&str> = encoded
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let damaged = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            lines.join("\n")
        );
        let mut copy = documents.clone();
        copy.0
            .insert("kubernetes-ca.crt".into(), Secret::new(damaged));
        assert!(
            Authorities::from_documents(&copy).is_err(),
            "byte {at} of {whole}"
        );
    }
}

#[test]
fn debug_output_shows_no_key() {
    let authorities = authorities();
    let shown = format!(
        "{authorities:?} {:?} {:?} {:?}",
        authorities.to_documents(),
        files(&authorities),
        admin(&authorities, Lifetimes::default(), now()).unwrap()
    );
    assert!(!shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn the_login_key_is_kept_and_optional_in_older_documents() {
    let authorities = authorities();
    let mut documents = authorities.to_documents();
    let again = Authorities::from_documents(&documents).unwrap();
    assert_eq!(
        again.login().unwrap().public,
        authorities.login().unwrap().public
    );
    documents.0.remove("ssh-login.key");
    let older = Authorities::from_documents(&documents).unwrap();
    assert!(older.login().is_none());
}

/// Another implementation parses both halves, and accepts them as a pair.
#[test]
fn the_login_key_is_a_valid_ssh_key() {
    let login = authorities().login().unwrap().clone();
    let private = russh::keys::decode_secret_key(login.private.expose(), None).unwrap();
    assert_eq!(private.public_key().to_openssh().unwrap(), login.public);
}

#[test]
fn a_templates_token_is_stable_and_unique() {
    let authorities = authorities();
    let (id, secret) = authorities.bootstrap_token("kubernetes", "template-0");
    let is_plain = |text: &str| {
        let mut letters = text.chars();
        letters.all(|c| c.is_ascii_digit() || c.is_ascii_lowercase())
    };
    assert!(id.len() == 6 && is_plain(&id), "{id}");
    assert!(secret.expose().len() == 16 && is_plain(secret.expose()));

    let restored = Authorities::from_documents(&authorities.to_documents()).unwrap();
    let again = restored.bootstrap_token("kubernetes", "template-0");
    assert_eq!((&again.0, again.1.expose()), (&id, secret.expose()));

    let others = [
        authorities.bootstrap_token("kubernetes", "template-1"),
        authorities.bootstrap_token("other", "template-0"),
        super::authorities().bootstrap_token("kubernetes", "template-0"),
    ];
    for (other, other_secret) in others {
        assert_ne!(other, id);
        assert_ne!(other_secret.expose(), secret.expose());
    }
}

/// A rotation of the CAs doesn't change it: etcd's data is still encrypted with it.
#[test]
fn the_encryption_key_is_stored_delivered_and_survives_a_rotation() {
    let plain = authorities();
    let key = |authorities: &Authorities| {
        let documents = authorities.to_documents();
        let key = documents.0.get("encryption.key");
        key.map(|key| key.expose().to_owned())
    };
    assert_eq!(key(&plain), None);
    let encrypting = plain.with_encryption().unwrap();
    let encoded = key(&encrypting).unwrap();
    assert_eq!(encoded.len(), 44, "32 bytes in base64");
    assert_ne!(
        key(&authorities().with_encryption().unwrap()),
        Some(encoded.clone())
    );

    let again = Authorities::from_documents(&encrypting.to_documents()).unwrap();
    let rotated = again.with_next(Lifetimes::default(), now()).unwrap();
    let rotated = rotated.signing_with_next().without_previous();
    assert_eq!(key(&rotated), Some(encoded.clone()));
    assert!(!format!("{rotated:?}").contains(&encoded));

    let files = replica_files(&rotated, &identity(), Lifetimes::default(), now()).unwrap();
    let path = "/etc/kubernetes/pki/encryption.yaml";
    let file = files.iter().find(|file| file.path == path).unwrap();
    assert_eq!(file.mode, 0o600);
    let content: serde_json::Value = serde_saphyr::from_str(file.content.expose()).unwrap();
    let providers = &content["resources"][0]["providers"];
    assert_eq!(
        providers[0]["secretbox"]["keys"][0]["secret"],
        encoded.as_str()
    );
    assert_eq!(
        providers[1],
        serde_json::json!({"identity": {}}),
        "reads what was written before"
    );
}
