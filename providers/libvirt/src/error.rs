//! Maps libvirt's errors to [`hakube_provider`]'s.

use hakube_provider::{ErrorKind, Failure};
use std::borrow::Cow;
use virt::error::{Error, ErrorDomain, ErrorNumber};

/// An error from libvirt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    /// libvirt's message, with its code.
    pub(crate) message: String,
    /// Whether the connection is lost.
    pub(crate) disconnected: bool,
}

/// The result of a call to a hypervisor.
pub(crate) type Answer<T> = Result<T, Fault>;

impl Fault {
    /// An error of hakube's own, in reaching libvirt or reading its output.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            disconnected: false,
        }
    }
}

impl Failure for Fault {
    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn words(&self) -> String {
        self.message.clone()
    }

    fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self.kind {
            ErrorKind::Transient { .. } if self.disconnected => {
                "check that libvirtd runs there: `virsh --connect URI list`"
            }
            ErrorKind::Denied if self.message.contains("Cannot access storage file") => {
                "QEMU runs there as its own user: give that user access to the pool's directory and all its parents"
            }
            ErrorKind::Denied => {
                "the user that hakube connects as must be in the group `libvirt` there, or root; over ssh, login with a key must work without a password"
            }
            ErrorKind::NoCapacity => {
                "free some space there, use smaller machines, or use another zone"
            }
            _ => return None,
        };
        Some(Cow::Borrowed(hint))
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let (kind, disconnected) = meaning(error.code(), error.domain(), error.message());
        Self {
            kind,
            message: format!("{} ({:?})", error.message(), error.code()),
            disconnected,
        }
    }
}

/// A code's meaning, and whether the connection is lost. Some codes are generic; then the message decides.
///
/// Source: <https://libvirt.org/html/libvirt-virterror.html>
fn meaning(code: ErrorNumber, domain: ErrorDomain, words: &str) -> (ErrorKind, bool) {
    use ErrorNumber as Code;
    let later = ErrorKind::TRANSIENT;
    let has = |part: &str| words.contains(part);
    let kind = match code {
        Code::AuthFailed
        | Code::AuthCancelled
        | Code::AuthUnavailable
        | Code::AccessDenied
        | Code::OperationDenied => ErrorKind::Denied,
        _ if has("Permission denied") || has("authentication unavailable") => ErrorKind::Denied,
        Code::NoMemory => ErrorKind::NoCapacity,
        _ if has("Not enough free space")
            || has("No space left")
            || has("Cannot allocate memory")
            || has("cannot set up guest memory") =>
        {
            ErrorKind::NoCapacity
        }
        Code::NoConnect
        | Code::InvalidConn
        | Code::Rpc
        | Code::UnknownHost
        | Code::Ssh
        | Code::Libssh
        | Code::NoServer => return (later, true),
        _ if has("Failed to connect socket")
            || has("client socket is closed")
            || has("Cannot recv data")
            || has("Cannot write data")
            || has("End of file while reading data") =>
        {
            return (later, true);
        }
        Code::SystemError if domain == ErrorDomain::Rpc => return (later, true),
        Code::OperationTimeout | Code::ResourceBusy | Code::AgentUnresponsive => later,
        _ if has("asynchronous jobs running") => later,
        Code::DomExist
        | Code::NetworkExist
        | Code::StorageVolExist
        | Code::OperationInvalid
        | Code::NetworkPortExists => ErrorKind::Conflict,
        _ if has("already exists") || has("already in use") => ErrorKind::Conflict,
        Code::XmlError
        | Code::XmlDetail
        | Code::XmlInvalidSchema
        | Code::InvalidArg
        | Code::ConfigUnsupported
        | Code::ArgumentUnsupported
        | Code::NoStoragePool
        | Code::NoNetwork
        | Code::NoOs
        | Code::OsType
        | Code::CpuIncompatible
        | Code::InvalidMac => ErrorKind::Invalid,
        _ => ErrorKind::Fatal,
    };
    (kind, false)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn denied_access_to_a_pool_has_its_own_hint() {
        let hint = |words: &str| Fault::new(ErrorKind::Denied, words).hint().unwrap();
        let words =
            "Cannot access storage file '/pool/x' (as uid:64055, gid:64055): Permission denied";
        assert!(hint(words).contains("the pool's directory"));
        assert!(hint("authentication failed").contains("group `libvirt`"));
    }

    #[test]
    fn codes_and_messages_map_to_kinds() {
        let later = ErrorKind::TRANSIENT;
        let table = [
            (
                ErrorNumber::SystemError,
                ErrorDomain::Rpc,
                "Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory",
                (later, true),
            ),
            (
                ErrorNumber::InternalError,
                ErrorDomain::Rpc,
                "client socket is closed",
                (later, true),
            ),
            (
                ErrorNumber::SystemError,
                ErrorDomain::Rpc,
                "Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied",
                (ErrorKind::Denied, false),
            ),
            (
                ErrorNumber::SystemError,
                ErrorDomain::Storage,
                "cannot extend file '/pool/x': No space left on device",
                (ErrorKind::NoCapacity, false),
            ),
            (
                ErrorNumber::InternalError,
                ErrorDomain::Storage,
                "pool 'default' has asynchronous jobs running.",
                (later, false),
            ),
            (
                ErrorNumber::OperationFailed,
                ErrorDomain::Domain,
                "domain 'a' already exists with uuid 0",
                (ErrorKind::Conflict, false),
            ),
            (
                ErrorNumber::SystemError,
                ErrorDomain::Qemu,
                "unable to create tap device",
                (ErrorKind::Fatal, false),
            ),
        ];
        for (code, domain, words, expected) in table {
            assert_eq!(meaning(code, domain, words), expected, "{words}");
        }
    }
}
