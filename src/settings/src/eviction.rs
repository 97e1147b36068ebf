//! kube-up's EVICTION_HARD: the kubelet's hard eviction thresholds.

use super::parse::{Malformed, Parsed};
use std::collections::BTreeMap;

/// The kubelet's eviction signals. Source: k8s.io/kubernetes/pkg/kubelet/eviction/api.
const SIGNALS: &[&str] = &[
    "memory.available",
    "allocatableMemory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "containerfs.available",
    "containerfs.inodesFree",
    "pid.available",
];

const SUFFIXES: &[&str] = &[
    "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "m", "k", "M", "G", "T", "P", "E",
];

/// Parses `signal<quantity,signal<percentage%`, the syntax of the kubelet's flag --eviction-hard. Signals
/// that aren't listed have no threshold: once any is set, the kubelet doesn't use its defaults.
pub fn thresholds(text: &str) -> Parsed<BTreeMap<String, String>> {
    let mut thresholds = BTreeMap::new();
    for item in text.split(',').map(str::trim) {
        let (signal, value) = item
            .split_once('<')
            .ok_or_else(|| Malformed(format!("{item:?} isn't signal<quantity")))?;
        if !SIGNALS.contains(&signal) {
            let signals = SIGNALS.join(", ");
            return Err(Malformed(format!(
                "{signal:?} isn't an eviction signal of the kubelet: these are {signals}"
            )));
        }
        if !is_percentage(value) && !is_quantity(value) {
            return Err(Malformed(format!(
                "{value:?} is neither a quantity such as 250Mi nor a percentage up to 100%"
            )));
        }
        let former = thresholds.insert(signal.to_owned(), value.to_owned());
        if former.is_some() {
            return Err(Malformed(format!("it has two thresholds for {signal}")));
        }
    }
    Ok(thresholds)
}

fn is_percentage(value: &str) -> bool {
    let number = value.strip_suffix('%').and_then(decimal);
    number.is_some_and(|number| number <= 100.0)
}

/// The kubelet refuses quantities that aren't positive.
fn is_quantity(value: &str) -> bool {
    let numbers = SUFFIXES
        .iter()
        .filter_map(|suffix| value.strip_suffix(suffix));
    numbers.filter_map(decimal).any(|number| number > 0.0)
}

/// Digits, optionally with a decimal point.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn kube_ups_thresholds_are_parsed() {
        let read = thresholds("memory.available<250Mi,nodefs.available<10%,nodefs.inodesFree<5%");
        let pairs: Vec<(String, String)> = read.unwrap().into_iter().collect();
        let expected = [
            ("memory.available", "250Mi"),
            ("nodefs.available", "10%"),
            ("nodefs.inodesFree", "5%"),
        ];
        assert_eq!(
            pairs,
            expected.map(|(signal, value)| (signal.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn thresholds_that_the_kubelet_refuses_are_refused() {
        for (text, problem) in [
            ("memory.available", "isn't signal<quantity"),
            ("memory.free<1Gi", "isn't an eviction signal"),
            ("memory.available<1GiB", "neither a quantity"),
            ("memory.available<0", "neither a quantity"),
            ("memory.available<-1Mi", "neither a quantity"),
            ("memory.available<101%", "neither a quantity"),
            ("memory.available<", "neither a quantity"),
            ("pid.available<5%,pid.available<1", "two thresholds"),
            ("pid.available<5%,", "isn't signal<quantity"),
        ] {
            let said = thresholds(text).unwrap_err().0;
            assert!(said.contains(problem), "{text}: {said}");
        }
        assert!(thresholds("memory.available<0%,nodefs.available<1.5Gi").is_ok());
    }
}
