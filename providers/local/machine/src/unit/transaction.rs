//! Which units start together and in which order; pure functions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::types::{Kind, Unit};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub unit: String,
    /// Jobs of the same transaction that must finish first; they come earlier in the list.
    pub after: Vec<String>,
    /// Those of `after` that must succeed.
    pub requires: Vec<String>,
}

/// Jobs, each after the ones that it waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    pub jobs: Vec<Job>,
    /// Ordering cycles that were broken.
    pub remarks: Vec<String>,
}

/// The units that a start of `roots` starts, in order: the roots and all that they want or require,
/// recursively, ordered by `After=` and `Before=`. A wanted unit that `load` doesn't find is omitted; a
/// missing root or required unit is kept, to fail under its own name.
pub fn start_order<U: AsRef<Unit>>(
    roots: &[String],
    mut load: impl FnMut(&str) -> Option<U>,
) -> Transaction {
    let mut units: BTreeMap<String, Option<U>> = BTreeMap::new();
    let mut queue: VecDeque<(String, bool)> =
        roots.iter().map(|root| (root.clone(), true)).collect();
    while let Some((name, needed)) = queue.pop_front() {
        if units.contains_key(&name) {
            continue;
        }
        let unit = load(&name);
        if let Some(unit) = &unit {
            let unit = unit.as_ref();
            queue.extend(unit.requires.iter().map(|name| (name.clone(), true)));
            queue.extend(unit.wants.iter().map(|name| (name.clone(), false)));
        } else if !needed {
            continue;
        }
        units.insert(name, unit);
    }
    let known: BTreeMap<&str, &Unit> = units
        .iter()
        .filter_map(|(name, unit)| Some((name.as_str(), unit.as_ref()?.as_ref())))
        .collect();
    let mut waits = waits(&known);
    for name in units.keys() {
        waits.entry(name.clone()).or_default();
    }
    let (order, remarks) = topological(waits.clone());
    let place: BTreeMap<&str, usize> = order
        .iter()
        .enumerate()
        .map(|(at, name)| (name.as_str(), at))
        .collect();
    let jobs = order.iter().map(|name| {
        let here = place.get(name.as_str());
        let after: Vec<String> = waits
            .get(name)
            .into_iter()
            .flatten()
            .filter(|other| place.get(other.as_str()) < here)
            .cloned()
            .collect();
        let required = known
            .get(name.as_str())
            .map_or(&[][..], |unit| &unit.requires);
        let requires = after
            .iter()
            .filter(|other| required.contains(other))
            .cloned()
            .collect();
        Job {
            unit: name.clone(),
            after,
            requires,
        }
    });
    Transaction {
        jobs: jobs.collect(),
        remarks,
    }
}

/// For every unit, the units that must stop before it: the start order, reversed.
pub fn stop_order(units: &BTreeMap<&str, &Unit>) -> Vec<(String, Vec<String>)> {
    let mut reversed: BTreeMap<String, BTreeSet<String>> = units
        .keys()
        .map(|name| ((*name).to_owned(), BTreeSet::new()))
        .collect();
    for (name, first) in waits(units) {
        for other in first {
            reversed.entry(other).or_default().insert(name.clone());
        }
    }
    let (order, _) = topological(reversed.clone());
    let place: BTreeMap<&str, usize> = order
        .iter()
        .enumerate()
        .map(|(at, name)| (name.as_str(), at))
        .collect();
    let stop_first = |name: &String| {
        let waits = reversed.get(name).into_iter().flatten();
        waits
            .filter(|other| place.get(other.as_str()) < place.get(name.as_str()))
            .cloned()
            .collect()
    };
    order
        .iter()
        .map(|name| (name.clone(), stop_first(name)))
        .collect()
}

/// The order among these units. A target waits for the units that it wants, as with systemd's default
/// dependencies.
fn waits(units: &BTreeMap<&str, &Unit>) -> BTreeMap<String, BTreeSet<String>> {
    let mut waits: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut wait = |who: &str, whom: &str| {
        if who != whom && units.contains_key(who) && units.contains_key(whom) {
            waits
                .entry(who.to_owned())
                .or_default()
                .insert(whom.to_owned());
        }
    };
    for (name, unit) in units {
        for other in &unit.after {
            wait(name, other);
        }
        for other in &unit.before {
            wait(other, name);
        }
        if matches!(unit.kind, Kind::Target) {
            for other in unit.wants.iter().chain(&unit.requires) {
                // Unless the unit is ordered after the target.
                if !units
                    .get(other.as_str())
                    .is_some_and(|wanted| wanted.after.iter().any(|after| after == name))
                {
                    wait(name, other);
                }
            }
        }
    }
    waits
}

/// Kahn's algorithm, with ties broken by name. In a cycle, the first unit starts without waiting, with a
/// remark.
fn topological(mut waits: BTreeMap<String, BTreeSet<String>>) -> (Vec<String>, Vec<String>) {
    let mut order = Vec::with_capacity(waits.len());
    let mut remarks = Vec::new();
    while let Some((first, _)) = waits.first_key_value() {
        let free = waits
            .iter()
            .find(|(_, on)| on.is_empty())
            .map(|(name, _)| name.clone());
        let next = free.unwrap_or_else(|| {
            remarks.push(format!(
                "Found ordering cycle at {first}: it starts without waiting"
            ));
            first.clone()
        });
        waits.remove(&next);
        for on in waits.values_mut() {
            on.remove(&next);
        }
        order.push(next);
    }
    (order, remarks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name: after X, wants Y, requires Z, before W`
    fn unit(name: &str, after: &[&str], wants: &[&str], requires: &[&str]) -> Unit {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Unit {
            after: owned(after),
            wants: owned(wants),
            requires: owned(requires),
            ..Unit::target(name)
        }
    }

    impl AsRef<Unit> for Unit {
        fn as_ref(&self) -> &Unit {
            self
        }
    }

    fn order(units: &[Unit], root: &str) -> Transaction {
        start_order(&[root.to_owned()], |name| {
            units.iter().find(|unit| unit.name == name).cloned()
        })
    }

    fn names(transaction: &Transaction) -> Vec<&str> {
        transaction
            .jobs
            .iter()
            .map(|job| job.unit.as_str())
            .collect()
    }

    #[test]
    fn starts_what_is_wanted_in_order_and_leaves_out_what_is_missing() {
        let units = [
            unit(
                "api.service",
                &["etcd.service"],
                &["missing.service"],
                &["etcd.service"],
            ),
            unit("etcd.service", &["elsewhere.service"], &[], &[]),
            unit(
                "multi-user.target",
                &[],
                &["api.service", "late.service"],
                &[],
            ),
            unit("late.service", &["multi-user.target"], &[], &[]),
        ];
        let transaction = order(&units, "multi-user.target");
        assert_eq!(
            names(&transaction),
            [
                "etcd.service",
                "api.service",
                "multi-user.target",
                "late.service"
            ]
        );
        assert_eq!(transaction.jobs[1].requires, ["etcd.service"]);
        assert_eq!(transaction.remarks, [""; 0]);
    }

    #[test]
    fn an_unknown_requirement_stays_to_fail_under_its_own_name() {
        let units = [unit("a.service", &["b.service"], &[], &["b.service"])];
        assert_eq!(
            names(&order(&units, "a.service")),
            ["a.service", "b.service"]
        );
        assert_eq!(names(&order(&[], "ghost.service")), ["ghost.service"]);
    }

    #[test]
    fn breaks_a_cycle_and_says_so() {
        let units = [
            unit("a.service", &["b.service"], &["b.service"], &[]),
            unit("b.service", &["a.service"], &[], &[]),
        ];
        let transaction = order(&units, "a.service");
        assert_eq!(names(&transaction), ["a.service", "b.service"]);
        assert_eq!(transaction.jobs[0].after, [""; 0]);
        assert_eq!(transaction.remarks.len(), 1);
    }

    #[test]
    fn stops_in_reverse() {
        let units = [
            unit("api.service", &["etcd.service"], &[], &[]),
            unit("etcd.service", &[], &[], &[]),
        ];
        let by_name = units
            .iter()
            .map(|unit| (unit.name.as_str(), unit))
            .collect();
        assert_eq!(
            stop_order(&by_name),
            [
                ("api.service".to_owned(), vec![]),
                ("etcd.service".to_owned(), vec!["api.service".to_owned()])
            ]
        );
    }
}
