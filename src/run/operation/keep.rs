//! `state encrypt` and `state decrypt`: how the cluster's keys are kept.

use super::{Operation, conduct};
use crate::error::{Error, Result};
use crate::output::Event;
use crate::pki::AuthorityDocuments;
use crate::run::Session;

/// How keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Encrypted as the settings say.
    Encrypted,
    /// As they are.
    InTheClear,
}

/// Writes the cluster's keys again, to be kept like this.
///
/// # Errors
/// There is no such cluster, or it has no keys; what opens them isn't here; the settings name nothing to
/// encrypt them to.
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
            "nothing says what the keys of cluster {cluster} are to be encrypted to"
        ))
        .hint("a public key, and the file of its private one: --state-recipient age1... --state-identity FILE")
        .hint("or a passphrase: HAKUBE_STATE_PASSPHRASE_FILE"));
    }
    // Whether they are good is found out before the only copy of them is replaced.
    session.existing_authorities().await?;
    let keys: Option<AuthorityDocuments> = session.store.read(cluster).await?;
    let (Some(keys), Some(lock)) = (keys, &operation.lock) else {
        return Ok(());
    };
    let (done, note) = match keeping {
        Keeping::Encrypted => (lock.write(&keys).await, "encrypted"),
        Keeping::InTheClear => (lock.write_in_the_clear(&keys).await, "in the clear"),
    };
    done?;
    session.reporter.event(&Event::note(format!(
        "the keys of cluster {cluster} are {note}; copies that were made of them before are as they were"
    )));
    Ok(())
}
