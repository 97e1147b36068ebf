//! The authorities that a cluster's programs trust, and the progress of their rotation.

use super::{Intent, Observed};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A rotation of the cluster's authorities in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The phase to reach.
    pub phase: RotationPhase,
    /// Machine templates from before this phase. Machines created from them trust other authorities.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stale_templates: BTreeSet<String>,
}

impl Rotation {
    /// A rotation that starts this phase in the observed cluster.
    pub fn starting(phase: RotationPhase, intent: &Intent, observed: &Observed) -> Self {
        let groups = &observed.inventory.node_groups;
        // Leased hosts aren't created from a template. At first, nodes that hakube can log in on get the new
        // authorities in addition, and need no other template.
        let is_followed = match phase {
            RotationPhase::Trust => intent.spec.logs_in_on_nodes(),
            RotationPhase::Sign | RotationPhase::Drop => intent.spec.hosts.is_some(),
        };
        let templates = groups
            .iter()
            .flat_map(|group| group.origins.values().chain([&group.template]))
            .filter(|_| !is_followed)
            .cloned();
        Self {
            phase,
            stale_templates: templates.collect(),
        }
    }
}

/// A phase of a rotation. All machines must follow before the next one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationPhase {
    /// The old authorities sign; the new ones are trusted too.
    Trust,
    /// The new ones sign; the old ones are still trusted.
    Sign,
    /// Only the new ones are trusted.
    Drop,
}

impl fmt::Display for RotationPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trust => "1 of 3: the new authorities are trusted in addition to the old ones",
            Self::Sign => "2 of 3: the new authorities sign all certificates",
            Self::Drop => "3 of 3: the old authorities are no longer trusted",
        })
    }
}

/// The authorities observed in force on machines. Each set of authorities has a mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// The mark of the current authorities.
    pub wanted: String,
    /// Those of each running replica's control plane, by the replica's name.
    pub replicas: BTreeMap<String, MarkView>,
    /// Those of replicas' kubelets and, during a rotation, of nodes' kubelets.
    pub kubelets: BTreeMap<String, MarkView>,
}

/// What is in force on a machine, of something that hakube can change there: authorities, or a release of programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkView {
    /// That with this mark.
    InForce(String),
    /// The machine doesn't say: a version of hakube created it that couldn't change this.
    Fixed,
    /// It couldn't be read.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Trust {
    /// Whether a machine has other authorities in force than the current ones.
    pub fn is_late(&self, view: Option<&MarkView>) -> bool {
        matches!(view, Some(MarkView::InForce(mark)) if *mark != self.wanted)
    }
}

/// What follows an observation during a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextPhase {
    /// Wait for these, for the given reasons.
    Wait(Vec<(String, String)>),
    /// Start this phase.
    Begin(RotationPhase),
    /// The rotation is done.
    Done,
}

/// The next phase, which starts when all machines have finished the current one.
pub fn next_phase(rotation: &Rotation, intent: &Intent, observed: &Observed) -> NextPhase {
    let behind = behind(rotation, intent, observed, Late::HoldsUp);
    if !behind.is_empty() {
        return NextPhase::Wait(behind);
    }
    match rotation.phase {
        RotationPhase::Trust => NextPhase::Begin(RotationPhase::Sign),
        RotationPhase::Sign => NextPhase::Begin(RotationPhase::Drop),
        RotationPhase::Drop => NextPhase::Done,
    }
}

/// Whether a machine that has other authorities in force, but can be notified, counts as behind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Late {
    /// It does.
    HoldsUp,
    /// It doesn't, since it will be notified.
    IsFine,
}

/// The machines that haven't finished a phase, with the reason.
fn behind(
    rotation: &Rotation,
    intent: &Intent,
    observed: &Observed,
    late: Late,
) -> Vec<(String, String)> {
    let trust = &observed.trust;
    let why = |view: Option<&MarkView>| match view {
        Some(MarkView::InForce(mark)) if *mark == trust.wanted => None,
        Some(MarkView::InForce(_)) if late == Late::IsFine => None,
        Some(MarkView::InForce(_)) => {
            Some("it still uses the authorities of the previous phase".to_owned())
        }
        Some(MarkView::Fixed) => Some("its authorities can't be changed".to_owned()),
        Some(MarkView::Unknown { why }) => Some(why.clone()),
        None => Some("its machine isn't running".to_owned()),
    };
    let replicas = intent.replicas.iter();
    let replicas = replicas.filter_map(|replica| {
        let why = why(trust.replicas.get(&replica.name))?;
        Some((replica.name.clone(), why))
    });
    let unready = intent.replicas.iter().filter(|replica| {
        let member = observed.etcd.member(&replica.name);
        !(member.is_some_and(|member| member.healthy) && observed.api_ready(&replica.name))
    });
    let unready = unready.map(|replica| (replica.name.clone(), "it isn't healthy".to_owned()));
    let kubelets = trust.kubelets.iter();
    let kubelets = kubelets.filter_map(|(name, view)| {
        let why = why(Some(view))?;
        Some((format!("the kubelet of {name}"), why))
    });
    let groups = observed.inventory.node_groups.iter();
    let groups = groups.filter(|group| rotation.stale_templates.contains(&group.template));
    let groups = groups.map(|group| {
        let why = "its machines boot with the authorities of a previous phase";
        (group.name.clone(), why.to_owned())
    });
    let created = observed.inventory.node_groups.iter().flat_map(|group| {
        let machines = group.machines.iter();
        machines.filter(|name| intent.is_outdated(group, name, None))
    });
    let created = created.map(|name| {
        let why = "it was created with the authorities of a previous phase";
        (name.clone(), why.to_owned())
    });
    let hidden = observed.hidden_zone(intent);
    let hidden = hidden.map(|(place, why)| (place, format!("it is unreachable: {why}")));
    let all = replicas
        .chain(unready)
        .chain(kubelets)
        .chain(groups)
        .chain(created);
    let mut seen = BTreeSet::new();
    all.chain(hidden)
        .filter(|(name, _)| seen.insert(name.clone()))
        .collect()
}

/// The machines that couldn't follow a rotation, with the reason.
pub fn obstacles(intent: &Intent, observed: &Observed) -> Vec<(String, String)> {
    let now = Rotation {
        phase: RotationPhase::Trust,
        stale_templates: BTreeSet::new(),
    };
    behind(&now, intent, observed, Late::IsFine)
}
