//! A table of the resources of one type, by key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::resource::Resource;
use crate::base::scope::{Key, Scope};

/// The lifecycle phase of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Being created: visible, but not usable.
    Creating,
    /// Usable.
    Ready,
    /// Being deleted: visible, but not usable.
    Deleting,
}

/// A resource and its phase.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record<R> {
    /// The phase.
    pub phase: Phase,
    /// The resource.
    pub resource: R,
}

/// A table of the resources of one type, by key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Table<R>(BTreeMap<Key, Record<R>>);

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<R: Resource> Table<R> {
    /// The record with this key.
    pub fn get(&self, key: &Key) -> Option<&Record<R>> {
        self.0.get(key)
    }

    /// The resource with this key, mutable.
    pub fn get_mut(&mut self, key: &Key) -> Option<&mut R> {
        self.0.get_mut(key).map(|record| &mut record.resource)
    }

    /// Stores a resource in this phase.
    pub fn put(&mut self, key: Key, phase: Phase, resource: R) {
        self.0.insert(key, Record { phase, resource });
    }

    /// All resources.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &R)> {
        self.0.iter().map(|(key, record)| (key, &record.resource))
    }

    /// Resources that are ready.
    pub fn ready(&self) -> impl Iterator<Item = (&Key, &R)> {
        self.0
            .iter()
            .filter(|(_, record)| record.phase == Phase::Ready)
            .map(|(key, record)| (key, &record.resource))
    }

    /// All resources, mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Key, &mut R)> {
        self.0
            .iter_mut()
            .map(|(key, record)| (key, &mut record.resource))
    }

    /// The resources of one scope of the cloud's own project.
    pub fn within<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = (&'a Key, &'a R)> {
        self.within_project(None, scope)
    }

    /// The resources of one scope of a project; `None` is the cloud's own.
    pub fn within_project<'a>(
        &'a self,
        project: Option<&'a str>,
        scope: &'a Scope,
    ) -> impl Iterator<Item = (&'a Key, &'a R)> {
        // Keys are ordered by project and scope.
        let first = Key::new(scope.clone(), "").of(project);
        let here = self.0.range(first..);
        here.take_while(move |(key, _)| key.project.as_deref() == project && key.scope == *scope)
            .map(|(key, record)| (key, &record.resource))
    }

    /// The number of resources in a project; `None` is the cloud's own.
    pub fn count_in(&self, project: Option<&str>) -> usize {
        let keys = self.0.keys();
        keys.filter(|key| key.project.as_deref() == project).count()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of resources.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Operations on a resource whose type is known only at run time.
pub trait AnyTable {
    /// The phase of a resource; `None` if it doesn't exist.
    fn phase(&self, key: &Key) -> Option<Phase>;
    /// Sets the phase, if the resource exists.
    fn set_phase(&mut self, key: &Key, phase: Phase);
    /// Removes the resource.
    fn remove(&mut self, key: &Key);
    /// The `id` of a resource; `None` if it doesn't exist.
    fn id(&self, key: &Key) -> Option<String>;
}

impl<R: Resource> AnyTable for Table<R> {
    fn phase(&self, key: &Key) -> Option<Phase> {
        self.0.get(key).map(|record| record.phase)
    }

    fn set_phase(&mut self, key: &Key, phase: Phase) {
        if let Some(record) = self.0.get_mut(key) {
            record.phase = phase;
        }
    }

    fn remove(&mut self, key: &Key) {
        self.0.remove(key);
    }

    fn id(&self, key: &Key) -> Option<String> {
        self.0
            .get(key)
            .map(|record| record.resource.meta().id.clone())
    }
}
