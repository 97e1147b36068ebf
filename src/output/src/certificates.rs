//! The certificates in `hakube certs` and `hakube status`. The fields are a contract.

use super::Table;
use hakube_model::{Certificate, Certificates, Severity, TokenView};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A certificate and its expiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateStatus {
    /// A replica's name, `kubeconfig` or `authority`.
    pub owner: String,
    /// The file's path.
    pub file: String,
    /// Its purpose.
    pub purpose: String,
    /// The CA that signed it.
    pub authority: String,
    /// When it expires, RFC 3339; `None` if the file is missing or isn't a certificate.
    pub expires: Option<String>,
    /// Whole days until it expires, negative if it has expired.
    pub days: Option<i64>,
    /// `ok`, `warning` or `error`.
    pub severity: Severity,
}

/// All certificates of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateList {
    /// The cluster.
    pub cluster: String,
    /// Replica by replica, then the user's kubeconfig, then the CAs.
    pub certificates: Vec<CertificateStatus>,
    /// The tokens that nodes join with.
    pub tokens: Vec<TokenStatus>,
    /// The replicas whose certificates couldn't be read, with the cause.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown: BTreeMap<String, String>,
}

/// A token that nodes join with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenStatus {
    /// Its public half, the token ID.
    pub id: String,
    /// The machine templates that contain it.
    pub templates: Vec<String>,
    /// When it expires, RFC 3339.
    pub expires: Option<String>,
    /// Whether it has expired.
    pub expired: bool,
}

/// The certificates in `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpiryStatus {
    /// The highest severity.
    pub severity: Severity,
    /// The first to expire.
    pub first: Option<CertificateStatus>,
    /// Those with a warning or an error.
    pub expiring: Vec<CertificateStatus>,
    /// The replicas whose certificates couldn't be read, with the cause.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown: BTreeMap<String, String>,
}

impl CertificateStatus {
    fn new(owner: &str, certificate: &Certificate, now: Timestamp) -> Self {
        let life = certificate.life;
        Self {
            owner: owner.to_owned(),
            file: certificate.file.clone(),
            purpose: certificate.purpose.clone(),
            authority: certificate.authority.clone(),
            expires: life.map(|life| life.expires.to_string()),
            days: life.map(|life| life.left(now).as_hours().div_euclid(24)),
            severity: certificate.severity(now),
        }
    }

    fn is_authority(&self) -> bool {
        self.owner == "authority"
    }

    /// Such as `in 42 days`, `3 days ago`.
    fn left(&self) -> String {
        match self.days {
            None => "MISSING".to_owned(),
            Some(days) if days < 0 => format!("EXPIRED {} ago", count(-days)),
            Some(0) => "today".to_owned(),
            Some(days) => format!("in {}", count(days)),
        }
    }

    /// The file's name and owner.
    fn name(&self) -> String {
        let file = self.file.rsplit('/').next().unwrap_or(&self.file);
        format!("{file} ({})", self.owner)
    }
}

fn count(days: i64) -> String {
    match days {
        1 => "1 day".to_owned(),
        _ => format!("{days} days"),
    }
}

impl CertificateList {
    /// Builds the list from the observed certificates and tokens.
    pub fn new(cluster: &str, seen: &Certificates, tokens: &[TokenView]) -> Self {
        let token = |token: &TokenView| TokenStatus {
            id: token.id.clone(),
            templates: token.templates.iter().cloned().collect(),
            expires: token.expires.map(|expires| expires.to_string()),
            expired: token.is_expired(seen.at),
        };
        Self {
            cluster: cluster.to_owned(),
            certificates: all(seen),
            tokens: tokens.iter().map(token).collect(),
            unknown: unknown(seen),
        }
    }

    /// Renders text for people.
    pub fn render(&self) -> String {
        let mut table = Table::new(&["OWNER", "FILE", "PURPOSE", "EXPIRES", "", "AUTHORITY"]);
        for certificate in &self.certificates {
            let expires = certificate.expires.as_deref();
            table.row([
                certificate.owner.clone(),
                certificate.file.clone(),
                certificate.purpose.clone(),
                expires.map_or_else(|| "-".to_owned(), |text| text.chars().take(10).collect()),
                certificate.left(),
                certificate.authority.clone(),
            ]);
        }
        let mut text = table.render();
        if !self.tokens.is_empty() {
            let mut tokens = Table::new(&["TOKEN", "TEMPLATES", "EXPIRES"]);
            for token in &self.tokens {
                let expires = token.expires.clone().unwrap_or_else(|| "-".to_owned());
                tokens.row([
                    token.id.clone(),
                    token.templates.join(", "),
                    match token.expired {
                        true => format!("{expires} EXPIRED"),
                        false => expires,
                    },
                ]);
            }
            let _ = write!(text, "\n{}", tokens.render());
        }
        for (replica, why) in &self.unknown {
            let _ = writeln!(text, "certificates of {replica}: UNKNOWN: {why}");
        }
        text
    }
}

impl ExpiryStatus {
    /// Summarizes the observed certificates.
    pub fn new(seen: &Certificates) -> Self {
        let mut all = all(seen);
        // Those without an expiry are missing, and come first.
        all.sort_by_key(|certificate| certificate.days);
        let severity = all.iter().map(|certificate| certificate.severity).max();
        Self {
            severity: severity.unwrap_or(Severity::Ok),
            first: all.first().cloned(),
            expiring: all
                .into_iter()
                .filter(|certificate| certificate.severity > Severity::Ok)
                .collect(),
            unknown: unknown(seen),
        }
    }

    /// Renders a line for people, or several if there are problems.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let Some(first) = &self.first else {
            return text;
        };
        let (authorities, leaves): (Vec<_>, Vec<_>) = self
            .expiring
            .iter()
            .partition(|certificate| certificate.is_authority());
        if self.expiring.is_empty() {
            let _ = writeln!(
                text,
                "certificates: ok, {} expires first, {}",
                first.name(),
                first.left()
            );
        }
        for (certificates, help) in [
            (leaves, "to renew them: hakube repair"),
            (authorities, "see docs/reliability.md"),
        ] {
            let Some(first) = certificates.first() else {
                continue;
            };
            let _ = writeln!(
                text,
                "certificates: {}: {} of them {}; first {}, {}; {help}",
                match self.severity {
                    Severity::Error => "ERROR",
                    Severity::Warning | Severity::Ok => "WARNING",
                },
                certificates.len(),
                if certificates.len() == 1 {
                    "expires"
                } else {
                    "expire"
                },
                first.name(),
                first.left(),
            );
        }
        for (replica, why) in &self.unknown {
            let _ = writeln!(text, "certificates of {replica}: UNKNOWN: {why}");
        }
        text
    }
}

fn all(seen: &Certificates) -> Vec<CertificateStatus> {
    seen.all()
        .map(|(owner, certificate)| CertificateStatus::new(owner, certificate, seen.at))
        .collect()
}

fn unknown(seen: &Certificates) -> BTreeMap<String, String> {
    seen.unknown()
        .map(|(replica, why)| (replica.to_owned(), why.to_owned()))
        .collect()
}

/// A replica's clock skew relative to this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClockStatus {
    /// The replica.
    pub replica: String,
    /// The seconds by which its clock is ahead; negative if it is behind.
    pub ahead_seconds: i64,
    /// `warning` or `error`.
    pub severity: Severity,
}

impl ClockStatus {
    /// Renders a line for people.
    pub fn render(&self) -> String {
        let span = SignedDuration::from_secs(self.ahead_seconds.abs());
        let way = if self.ahead_seconds < 0 {
            "behind"
        } else {
            "ahead of"
        };
        format!(
            "{}: the clock of {} is {span:#} {way} this host's, which affects certificates and tokens: check NTP on both\n",
            match self.severity {
                Severity::Error => "ERROR",
                Severity::Warning | Severity::Ok => "WARNING",
            },
            self.replica,
        )
    }
}
