//! `state encrypt` and `state decrypt`: whether the stored keys are encrypted.

use super::{Operation, conduct};
use crate::Session;
use hakube_error::{Error, Result};
use hakube_output::Event;
use hakube_pki::AuthorityDocuments;

/// How keys are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Encrypted, as the settings specify.
    Encrypted,
    /// Unencrypted.
    InTheClear,
}

/// Rewrites the cluster's keys in this form.
///
/// # Errors
/// There is no such cluster, or it has no keys; the key to decrypt them is missing; the settings have no recipient or
/// passphrase.
pub async fn keep(session: &Session, keeping: Keeping) -> Result<()> {
    let name = match keeping {
        Keeping::Encrypted => "state encrypt",
        Keeping::InTheClear => "state decrypt",
    };
    conduct(session, name, async |operation| {
        rewrite(session, operation, keeping).await
    })
    .await
}

async fn rewrite(session: &Session, operation: &Operation<'_>, keeping: Keeping) -> Result<()> {
    let cluster = session.cluster();
    session.existing().await?;
    if keeping == Keeping::Encrypted && !session.resolved.settings.seal.is_set() {
        return Err(Error::bad_input(format!(
            "no recipient or passphrase is set to encrypt the keys of cluster {cluster} with"
        ))
        .hint("set a public key and its private key's file: --state-recipient age1... --state-identity FILE")
        .hint("or set a passphrase: HAKUBE_STATE_PASSPHRASE_FILE"));
    }
    // Checks that the keys are valid before their only copy is replaced.
    session.existing_authorities().await?;
    let keys: Option<AuthorityDocuments> = session.store.read(cluster).await?;
    let (Some(keys), Some(lock)) = (keys, &operation.lock) else {
        return Ok(());
    };
    let (done, note) = match keeping {
        Keeping::Encrypted => (lock.write(&keys).await.map(drop), "encrypted"),
        Keeping::InTheClear => (
            lock.write_in_the_clear(&keys).await.map(drop),
            "unencrypted",
        ),
    };
    done?;
    session.reporter.event(&Event::note(format!(
        "the keys of cluster {cluster} are now {note}; earlier copies are unchanged"
    )));
    Ok(())
}
