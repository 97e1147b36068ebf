//! Projects: their quotas, and the metadata shared by all instances of the cloud's own project.

use serde_json::{Map, Value};

use crate::base::{Meta, Phase, Scope, Target, catalog, fresh_fingerprint};
use crate::rules::managed::Seen;
use crate::rules::quota;
use crate::state::{State, Stored};
use crate::types::{Metadata, Project};

impl Seen for Project {
    fn complete(&self, state: &State, view: &mut Map<String, Value>) {
        view.insert("defaultNetworkTier".into(), "PREMIUM".into());
        let account = catalog::DEFAULT_SERVICE_ACCOUNT;
        view.insert("defaultServiceAccount".into(), account.into());
        let quotas = match &self.meta.name {
            own if *own == state.project => quota::view(state, &Scope::Global),
            other => quota::view_of_other(state, other),
        };
        view.insert("quotas".into(), quotas);
    }
}

/// The project's metadata; `None` before it is added to a new state.
pub fn metadata(state: &State) -> Option<&Metadata> {
    let project = state.projects.get(&state.project_key(None))?;
    Some(&project.resource.common_instance_metadata)
}

/// Adds a project to the state if it is missing; `None` is the cloud's own.
pub fn put(state: &mut State, project: Option<&str>) {
    let key = state.project_key(project);
    if state.projects.get(&key).is_some() {
        return;
    }
    let mut meta = Meta {
        name: key.name.clone(),
        ..Meta::default()
    };
    meta.stamp(state, &Target::of::<Project>(&key));
    meta.id = catalog::id_of(&key.name);
    let project = Project {
        meta,
        common_instance_metadata: Metadata {
            fingerprint: fresh_fingerprint(),
            items: Vec::new(),
        },
        xpn_project_status: None,
    };
    Project::table_mut(state).put(key, Phase::Ready, project);
}
