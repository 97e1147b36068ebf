//! Instance templates, which group managers create instances from.

use serde_json::Value;

use crate::base::{ApiError, Key, catalog};
use crate::rules::managed::{Managed, Seen};
use crate::state::State;
use crate::types::{Instance, InstanceGroupManager, InstanceTemplate};

impl Seen for InstanceTemplate {}

impl InstanceTemplate {
    /// Creates an instance from it. Machine and disk types are resolved in the instance's zone.
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
        if catalog::machine_type(&machine_type).is_none() {
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
        state.path_where::<InstanceGroupManager>(|manager| manager.uses(key))
    }
}
