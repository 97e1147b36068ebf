//! Parsers, one for each kind of value.
//!
//! The caller adds the setting, its value and the valid form. A message here only states the
//! problem: "it has bits set beyond its prefix".

pub use hakube_model::{Malformed, name};
use hakube_model::{Taint, TaintEffect, is_name_character};
use ipnet::IpNet;
use jiff::SignedDuration;
use semver::Version;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A parsed value, or the problem with the text.
pub type Parsed<T> = Result<T, Malformed>;

fn require<T>(holds: bool, value: T, problem: &str) -> Parsed<T> {
    if holds {
        Ok(value)
    } else {
        Err(Malformed::new(problem))
    }
}

/// `true` or `false`, case-insensitive. Deliberately not `1`, `yes` or `on`: kube-up compares with
/// `true`, so these are false there.
pub fn boolean(text: &str) -> Parsed<bool> {
    text.to_ascii_lowercase()
        .parse()
        .map_err(|_| Malformed::new("it is neither true nor false"))
}

/// A whole number within inclusive bounds.
pub fn integer(text: &str, min: u64, max: u64) -> Parsed<u64> {
    let number: u64 = text.parse().map_err(|_| {
        Malformed::new(if text.parse::<i128>().is_ok() {
            "it is out of range"
        } else {
            "it isn't a whole number"
        })
    })?;
    require((min..=max).contains(&number), number, "it is out of range")
}

/// A finite, non-negative number.
pub fn factor(text: &str) -> Parsed<f64> {
    let number: f64 = text
        .parse()
        .map_err(|_| Malformed::new("it isn't a number"))?;
    require(
        number.is_finite() && number >= 0.0,
        number,
        "it is negative or infinite",
    )
}

/// A size in GB, with or without the unit.
pub fn size_gb(text: &str, min: u64, max: u64) -> Parsed<u64> {
    integer(text.strip_suffix("GB").unwrap_or(text), min, max)
}

/// A duration with units: `90s`, `10m`, `1h30m`.
pub fn duration(text: &str) -> Parsed<Duration> {
    let span: SignedDuration = text.parse().map_err(|_| {
        Malformed::new(if text.parse::<f64>().is_ok() {
            "it has no unit"
        } else {
            "it isn't a duration"
        })
    })?;
    Duration::try_from(span)
        .ok()
        .filter(|span| !span.is_zero())
        .ok_or_else(|| Malformed::new("it must be longer than zero"))
}

/// A CPU platform such as `Intel Ice Lake`; the provider knows which exist.
pub fn cpu_platform(text: &str) -> Parsed<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '-');
    if text.chars().all(plain) && text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        Ok(text.to_owned())
    } else {
        Err(Malformed::new("it isn't a CPU platform's name"))
    }
}

/// age public keys.
pub fn recipients(text: &str) -> Parsed<Vec<String>> {
    let parse = |recipient: &str| match recipient.parse::<hakube_age::Recipient>() {
        Ok(_) => Ok(recipient.to_owned()),
        // The text isn't shown: it may be a private key by mistake.
        Err(reason) => Err(Malformed(format!(
            "a part of it isn't a public key: {reason}"
        ))),
    };
    text.split(',').map(str::trim).map(parse).collect()
}

/// Any text without white space.
pub fn word(text: &str) -> Parsed<String> {
    require(
        !text.contains(char::is_whitespace),
        text.to_owned(),
        "it contains white space",
    )
}

/// The maximum length of a cluster's name: with its ID it must fit a label value of 63 characters.
const CLUSTER_NAME: usize = 63 - "_k7m2q9x4ab".len();

/// A cluster's name.
pub fn cluster_name(text: &str) -> Parsed<String> {
    let name = name(text)?;
    require(
        name.len() <= CLUSTER_NAME,
        name,
        "it is longer than 52 characters",
    )
}

/// A Google Cloud project ID, including old ones with a domain (`example.com:project`).
pub fn project(text: &str) -> Parsed<String> {
    let id = text.rsplit_once(':').map_or(text, |(_, id)| id);
    require(
        (6..=30).contains(&id.len()) && name(id).is_ok(),
        text.to_owned(),
        "it isn't a project ID (the project's name or number doesn't work)",
    )
}

/// Several address ranges, or `none`.
pub fn ranges(text: &str) -> Parsed<Vec<IpNet>> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let items = text.split(',').map(str::trim);
    items.map(range).collect()
}

/// An address range. Compute Engine refuses bits beyond the prefix.
pub fn range(text: &str) -> Parsed<IpNet> {
    let range: IpNet = text
        .parse()
        .map_err(|_| Malformed::new("it isn't an address range"))?;
    require(
        range == range.trunc(),
        range,
        &format!(
            "it has bits set beyond its prefix; the containing range is {}",
            range.trunc()
        ),
    )
}

/// An IP address.
pub fn address(text: &str) -> Parsed<IpAddr> {
    text.parse()
        .map_err(|_| Malformed::new("it isn't an IP address"))
}

/// An IP address and a port that clients can connect to.
pub fn socket(text: &str) -> Parsed<SocketAddr> {
    let socket: SocketAddr = text
        .parse()
        .map_err(|_| Malformed::new("it isn't an IP address and a port"))?;
    let unusable = socket.ip().is_unspecified() || socket.ip().is_multicast();
    require(!unusable, socket, "no client can connect to that address")?;
    require(socket.port() != 0, socket, "its port is 0")
}

/// A DNS name in lower case.
pub fn domain(text: &str) -> Parsed<String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(is_name_character)
    };
    require(
        text.len() <= 253 && text.split('.').all(label),
        text.to_owned(),
        "it isn't a DNS name",
    )
}

/// Names and addresses for a certificate; a leading `*.` is allowed.
pub fn certificate_names(text: &str) -> Parsed<Vec<String>> {
    items(text)
        .map(|item| {
            let bare = item.strip_prefix("*.").unwrap_or(item);
            require(
                item.parse::<IpAddr>().is_ok() || domain(bare).is_ok(),
                item.to_owned(),
                &format!("{item:?} is neither a DNS name nor an IP address"),
            )
        })
        .collect()
}

/// A release's version, with or without the tag's `v`.
pub fn version(text: &str) -> Parsed<Version> {
    Version::parse(text.strip_prefix('v').unwrap_or(text))
        .map_err(|error| Malformed(format!("it isn't a full version ({error})")))
}

/// A token issuer: an https URL, as OpenID discovery requires.
pub fn issuer(text: &str) -> Parsed<String> {
    let rest = text.strip_prefix("https://").unwrap_or_default();
    require(
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains([' ', '?', '#']),
        text.to_owned(),
        "it isn't an https URL without query and fragment",
    )
}

/// The URL of a directory, without a trailing slash.
pub fn release_url(text: &str) -> Parsed<String> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or_default();
    require(
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains([' ', '?', '#', '@']),
        text.trim_end_matches('/').to_owned(),
        "it isn't an http or https URL without user, query and fragment",
    )
}

/// Command-line arguments, split at white space. Quotes are refused rather than misinterpreted.
pub fn arguments(text: &str) -> Parsed<Vec<String>> {
    text.split_whitespace()
        .map(|argument| {
            let problem = if argument.contains(['"', '\'', '`', '$']) {
                "has a quote or a `$`, which aren't interpreted"
            } else if !argument.starts_with("--") {
                "doesn't start with --; use --flag=value"
            } else {
                return Ok(argument.to_owned());
            };
            Err(Malformed(format!("{argument:?} {problem}")))
        })
        .collect()
}

/// `Name=true,Name=false`.
pub fn feature_gates(text: &str) -> Parsed<BTreeMap<String, bool>> {
    switches(text, "")
}

/// `group/version=true,group/version=false`; without a value it is enabled, as in the API server.
pub fn runtime_config(text: &str) -> Parsed<BTreeMap<String, bool>> {
    switches(text, "true")
}

fn switches(text: &str, value_of_bare: &str) -> Parsed<BTreeMap<String, bool>> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/'))
    };
    items(text)
        .map(|item| {
            let (name, on) = item.split_once('=').unwrap_or((item, value_of_bare));
            match boolean(on) {
                Ok(on) if is_name(name) => Ok((name.to_owned(), on)),
                _ => Err(Malformed(format!("{item:?} isn't name=true or name=false"))),
            }
        })
        .collect()
}

/// `key=value,key=value` in Kubernetes' label syntax.
pub fn labels(text: &str) -> Parsed<BTreeMap<String, String>> {
    items(text)
        .map(|item| match item.split_once('=') {
            Some((key, value)) if is_label_key(key) && is_label_value(value) => {
                Ok((key.to_owned(), value.to_owned()))
            }
            _ => Err(Malformed(format!("{item:?} isn't a label"))),
        })
        .collect()
}

/// `key=value:Effect,key:Effect`.
pub fn taints(text: &str) -> Parsed<Vec<Taint>> {
    items(text)
        .map(|item| taint(item).ok_or_else(|| Malformed(format!("{item:?} isn't a taint"))))
        .collect()
}

fn taint(item: &str) -> Option<Taint> {
    let (what, effect) = item.rsplit_once(':')?;
    let (key, value) = what
        .split_once('=')
        .map_or((what, None), |(key, value)| (key, Some(value)));
    let effect = match effect {
        "NoSchedule" => TaintEffect::NoSchedule,
        "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
        "NoExecute" => TaintEffect::NoExecute,
        _ => return None,
    };
    (is_label_key(key) && value.is_none_or(is_label_value)).then(|| Taint {
        key: key.to_owned(),
        value: value.filter(|value| !value.is_empty()).map(str::to_owned),
        effect,
    })
}

/// Whether this is a label key in Kubernetes' syntax: a name of up to 63 characters, with an
/// optional domain and `/` before it.
pub fn is_label_key(key: &str) -> bool {
    let (prefix, name) = key
        .split_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(|prefix| domain(prefix).is_ok())
}

/// Whether this is a label value in Kubernetes' syntax, which may be empty.
pub fn is_label_value(value: &str) -> bool {
    value.len() <= 63
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !value.starts_with(['-', '_', '.'])
        && !value.ends_with(['-', '_', '.'])
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}
