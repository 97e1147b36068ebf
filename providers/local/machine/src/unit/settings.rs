//! Values of settings: time spans, booleans, signals, limits.

use std::time::Duration;

use rustix::process::Signal;

/// A time span after systemd.time(7): `90`, `5s`, `1min 30s`, `100ms`; a plain number is in seconds.
/// `infinity` is [`Duration::MAX`]; an invalid value is `None`.
pub fn time_span(value: &str) -> Option<Duration> {
    let value = value.trim();
    if value == "infinity" {
        return Some(Duration::MAX);
    }
    let mut total = 0.0;
    let mut rest = value;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        total += number.parse::<f64>().ok()? * seconds_of(unit)?;
        rest = after.trim_start();
    }
    if value.is_empty() {
        None
    } else {
        Duration::try_from_secs_f64(total).ok()
    }
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "us" | "usec" | "µs" => 1e-6,
        "ms" | "msec" => 1e-3,
        "" | "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    })
}

/// systemd's booleans.
pub fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

/// The usual signals for stopping services, and their names without `SIG`.
const SIGNALS: [(&str, Signal); 14] = [
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("ILL", Signal::ILL),
    ("TRAP", Signal::TRAP),
    ("ABRT", Signal::ABORT),
    ("BUS", Signal::BUS),
    ("FPE", Signal::FPE),
    ("KILL", Signal::KILL),
    ("USR1", Signal::USR1),
    ("SEGV", Signal::SEGV),
    ("USR2", Signal::USR2),
    ("PIPE", Signal::PIPE),
    ("TERM", Signal::TERM),
];

/// A signal by name (`SIGTERM`, `TERM`) or number.
pub fn signal(value: &str) -> Option<Signal> {
    let name = value.strip_prefix("SIG").unwrap_or(value);
    let number = value.parse::<i32>().ok();
    SIGNALS
        .iter()
        .find(|(known, signal)| *known == name || number == Some(signal.as_raw()))
        .map(|(_, signal)| *signal)
}

/// A signal's name without `SIG`, for messages.
pub fn signal_name(number: i32) -> String {
    let known = SIGNALS.iter().find(|(_, signal)| signal.as_raw() == number);
    known.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

/// The soft half of a resource limit: `65536`, `1024:65536`, `infinity`.
pub fn soft_limit(value: &str) -> Option<u64> {
    let soft = value.split(':').next().unwrap_or(value);
    if soft == "infinity" {
        Some(u64::MAX)
    } else {
        soft.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_time_spans() {
        let seconds = |value: &str| time_span(value).map(|span| span.as_secs_f64());
        assert_eq!(seconds("2"), Some(2.0));
        assert_eq!(seconds("100ms"), Some(0.1));
        assert_eq!(seconds("1min 30s"), Some(90.0));
        assert_eq!(seconds("2min200ms"), Some(120.2));
        assert_eq!(seconds("1.5h"), Some(5400.0));
        assert_eq!(time_span("infinity"), Some(Duration::MAX));
        for bad in ["", "soon", "5 parsecs", "s", "-1"] {
            assert_eq!(time_span(bad), None, "{bad}");
        }
    }

    #[test]
    fn reads_signals_and_limits() {
        assert_eq!(signal("SIGINT"), Some(Signal::INT));
        assert_eq!(signal("9"), Some(Signal::KILL));
        assert_eq!(signal("SIGNAL"), None);
        assert_eq!(signal_name(15), "TERM");
        assert_eq!(soft_limit("1024:65536"), Some(1024));
        assert_eq!(soft_limit("many"), None);
    }
}
