//! Rotation of CAs.

use super::*;
use crate::Stage;

fn generate() -> Authorities {
    Authorities::generate(Lifetimes::default(), Timestamp::now()).unwrap()
}

fn stored(authorities: Authorities) -> Authorities {
    let documents = authorities.to_documents();
    let again = Authorities::from_documents(&documents).unwrap();
    assert_eq!(again.to_documents(), documents);
    assert_eq!(again.mark(), authorities.mark());
    again
}

#[test]
fn rotation_changes_signing_and_trust_step_by_step() {
    let old = generate();
    let (first, old_mark) = (old.certificate_of(Signer::Etcd).to_owned(), old.mark());
    assert_eq!(
        (old.stage(), old.etcd_ca()),
        (Stage::Settled, first.as_str())
    );
    assert_eq!(old.service_account_keys().matches("BEGIN").count(), 1);

    let trusting = stored(
        old.with_next(Lifetimes::default(), Timestamp::now())
            .unwrap(),
    );
    assert_eq!(trusting.stage(), Stage::Trusting);
    assert_eq!(
        trusting.certificate_of(Signer::Etcd),
        first,
        "the old one signs"
    );
    assert_eq!(trusting.etcd_ca().matches("BEGIN").count(), 2);
    assert_eq!(trusting.client_ca_bundle().matches("BEGIN").count(), 4);
    let trusting_mark = trusting.mark();
    // Dropping it restores the earlier state.
    assert_eq!(stored(trusting).without_next().mark(), old_mark);

    let trusting = generate()
        .with_next(Lifetimes::default(), Timestamp::now())
        .unwrap();
    let first = trusting.certificate_of(Signer::Etcd).to_owned();
    let signing = stored(trusting.signing_with_next());
    assert_eq!(signing.stage(), Stage::Signing);
    let second = signing.certificate_of(Signer::Etcd).to_owned();
    assert_ne!(first, second, "the new one signs");
    assert_eq!(signing.etcd_ca(), format!("{second}{first}"));
    let signing_mark = signing.mark();

    let settled = stored(signing.without_previous());
    assert_eq!(
        (settled.stage(), settled.etcd_ca()),
        (Stage::Settled, second.as_str())
    );
    // Earlier tokens are valid until the next rotation.
    assert_eq!(settled.service_account_keys().matches("BEGIN").count(), 2);
    let marks = [old_mark, trusting_mark, signing_mark, settled.mark()];
    let distinct: std::collections::BTreeSet<&String> = marks.iter().collect();
    assert_eq!(distinct.len(), marks.len());
    let next = settled
        .with_next(Lifetimes::default(), Timestamp::now())
        .unwrap();
    assert_eq!(next.service_account_keys().matches("BEGIN").count(), 3);
    let next = next.signing_with_next().without_previous();
    assert_eq!(next.service_account_keys().matches("BEGIN").count(), 2);
}
