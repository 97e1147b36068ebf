//! libvirt's failures, in the vocabulary of [`hakube_provider`].

use hakube_provider::{ErrorKind, Failure};
use std::borrow::Cow;
use virt::error::{Error, ErrorDomain, ErrorNumber};

/// A failure, as libvirt tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What it means.
    pub(crate) kind: ErrorKind,
    /// libvirt's words, with its code.
    pub(crate) message: String,
    /// Whether the connection is of no more use.
    pub(crate) disconnected: bool,
}

/// What a hypervisor answers.
pub(crate) type Answer<T> = Result<T, Fault>;

impl Fault {
    /// A failure of ours to reach libvirt or to read what it says.
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
                "see that libvirtd runs there: `virsh --connect URI list` says the same"
            }
            ErrorKind::Denied if self.message.contains("Cannot access storage file") => {
                "QEMU runs there as a user of its own: let it into the pool's directory, and into all above that"
            }
            ErrorKind::Denied => {
                "whoever runs hakube must be in the group `libvirt` there, or root; over ssh a key must open it without a password"
            }
            ErrorKind::NoCapacity => {
                "make room there, ask for smaller machines, or use another zone"
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

/// What a code means, and whether the connection is lost. Some codes are for anything at all; then the words
/// decide.
///
/// Source: <https://libvirt.org/html/libvirt-virterror.html>
fn meaning(code: ErrorNumber, domain: ErrorDomain, words: &str) -> (ErrorKind, bool) {
    use ErrorNumber as Code;
    let later = ErrorKind::Transient { retry_after: None };
    let says = |part: &str| words.contains(part);
    let kind = match code {
        Code::AuthFailed
        | Code::AuthCancelled
        | Code::AuthUnavailable
        | Code::AccessDenied
        | Code::OperationDenied => ErrorKind::Denied,
        _ if says("Permission denied") || says("authentication unavailable") => ErrorKind::Denied,
        Code::NoMemory => ErrorKind::NoCapacity,
        _ if says("Not enough free space")
            || says("No space left")
            || says("Cannot allocate memory")
            || says("cannot set up guest memory") =>
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
        _ if says("Failed to connect socket")
            || says("client socket is closed")
            || says("Cannot recv data")
            || says("Cannot write data")
            || says("End of file while reading data") =>
        {
            return (later, true);
        }
        Code::SystemError if domain == ErrorDomain::Rpc => return (later, true),
        Code::OperationTimeout | Code::ResourceBusy | Code::AgentUnresponsive => later,
        _ if says("asynchronous jobs running") => later,
        Code::DomExist
        | Code::NetworkExist
        | Code::StorageVolExist
        | Code::OperationInvalid
        | Code::NetworkPortExists => ErrorKind::Conflict,
        _ if says("already exists") || says("already in use") => ErrorKind::Conflict,
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
    fn whom_a_pool_does_not_let_in_is_told() {
        let hint = |words: &str| Fault::new(ErrorKind::Denied, words).hint().unwrap();
        let words =
            "Cannot access storage file '/pool/x' (as uid:64055, gid:64055): Permission denied";
        assert!(hint(words).contains("the pool's directory"));
        assert!(hint("authentication failed").contains("group `libvirt`"));
    }

    #[test]
    fn codes_and_words_mean_what_the_caller_can_act_on() {
        let later = ErrorKind::Transient { retry_after: None };
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
