//! What a flag's value may look like, and Go's words for one that doesn't.

use std::time::Duration;

use ipnet::IpNet;

/// Form of a flag's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true`, `false`, or nothing (true).
    Bool,
    /// Go's `1h2m3.5s`.
    Duration,
    /// One or two (dual-stack) address ranges, comma-separated.
    Cidrs,
    /// An IP address.
    Ip,
    /// A whole number.
    Int,
    /// A file that must be readable at start.
    File,
    /// Any text, including paths that may come into being later.
    Text,
}

impl Kind {
    /// Checks a value; `Err` holds Go's words.
    pub(super) fn check(self, value: &str) -> Result<(), String> {
        match self {
            Self::Bool => parse_bool(value)
                .map(drop)
                .ok_or_else(|| format!("strconv.ParseBool: parsing {value:?}: invalid syntax")),
            Self::Duration => parse_duration(value)
                .map(drop)
                .ok_or_else(|| duration_error(value)),
            Self::Cidrs if value.is_empty() => Ok(()),
            Self::Cidrs => value
                .split(',')
                .find(|part| part.parse::<IpNet>().is_err())
                .map_or(Ok(()), |part| Err(format!("invalid CIDR address: {part}"))),
            // The kubelet takes two, for dual stack.
            Self::Ip if value.is_empty() => Ok(()),
            Self::Ip => value
                .split(',')
                .find(|part| part.parse::<std::net::IpAddr>().is_err())
                .map_or(Ok(()), |part| Err(format!("failed to parse IP: {part:?}"))),
            Self::Int => value
                .parse::<i64>()
                .map(drop)
                .map_err(|_| format!("strconv.ParseInt: parsing {value:?}: invalid syntax")),
            Self::File | Self::Text => Ok(()),
        }
    }
}

/// Go's `strconv.ParseBool`.
pub(super) fn parse_bool(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `time.ParseDuration`, without the negative ones, which no flag here can mean.
pub(super) fn parse_duration(value: &str) -> Option<Duration> {
    if value == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    let mut rest = value;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    (!value.is_empty())
        .then(|| Duration::try_from_secs_f64(seconds).ok())
        .flatten()
}

fn duration_error(value: &str) -> String {
    let unitless = !value.is_empty() && value.chars().all(|c| c.is_ascii_digit() || c == '.');
    let problem = if unitless {
        "missing unit in"
    } else {
        "invalid"
    };
    format!("time: {problem} duration {value:?}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations_read_as_in_go() {
        assert_eq!(
            parse_duration("1h0m2.5s"),
            Some(Duration::from_millis(3_602_500))
        );
        assert_eq!(parse_duration("100ms"), Some(Duration::from_millis(100)));
        assert_eq!(parse_duration("0"), Some(Duration::ZERO));
        for wrong in ["", "5", "s", "1d", "1.2.3s", "-1s"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ranges_may_be_dual_stack() {
        assert!(Kind::Cidrs.check("10.0.0.0/16,fd00::/108").is_ok());
        assert!(Kind::Cidrs.check("10.0.0.0/33").is_err());
    }
}
