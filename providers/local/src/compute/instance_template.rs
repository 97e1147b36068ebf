//! Instance templates: what a group manager's instances are made of.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::ApiError;
use super::instance::Instance;
use super::instance_group_manager::InstanceGroupManager;
use super::link;
use super::resource::{Managed, Meta, resource};
use super::scope::Key;
use crate::store::State;

/// Properties of instances, without name and zone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceTemplate {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// The body of an instance's insert, except that machine and disk types are bare names.
    properties: Map<String, Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

resource!(InstanceTemplate, instance_templates);

impl InstanceTemplate {
    /// An instance of it. Machine and disk types are looked up where the instance is made.
    pub fn instance(&self) -> Result<Instance, ApiError> {
        serde_json::from_value(Value::Object(self.properties.clone())).map_err(|error| {
            ApiError::refused(format!(
                "Invalid value for field 'resource.properties': {error}"
            ))
        })
    }
}

impl Managed for InstanceTemplate {
    fn prepare(&mut self, _: &mut State, _: &Key) -> Result<(), ApiError> {
        let machine_type = self.instance()?.machine_type;
        if super::catalog::machine_type(&machine_type).is_none() {
            let why = "Must be the name of a machine type, without its zone.";
            return Err(ApiError::invalid(
                "resource.properties.machineType",
                machine_type,
                why,
            ));
        }
        Ok(())
    }

    fn user(&self, state: &State, key: &Key) -> Option<String> {
        state
            .instance_group_managers
            .iter()
            .find(|(_, manager)| link::key_of(&manager.instance_template).as_ref() == Some(key))
            .map(|(manager, _)| state.path_of::<InstanceGroupManager>(manager))
    }
}
