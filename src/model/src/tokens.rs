//! Bootstrap tokens, with which machines of node groups join.

use super::{Intent, Observed};
use hakube_provider::NodeGroup;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How long a token is valid after it is created or extended: kubeadm's default.
pub const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// A token with less time left is extended.
const DUE: SignedDuration = SignedDuration::from_hours(12);

/// One of hakube's bootstrap tokens, as the API server has it. Its secret half isn't read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// Its public half.
    pub id: String,
    /// The machine templates that contain it; empty if an older version created it.
    pub templates: BTreeSet<String>,
    /// When it expires; `None` if that can't be read.
    pub expires: Option<Timestamp>,
}

impl TokenView {
    /// Whether it has expired.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| expires <= now)
    }

    /// Whether to extend it, if it is in use.
    fn is_due(&self, now: Timestamp) -> bool {
        self.expires
            .is_none_or(|expires| expires.duration_since(now) < DUE)
    }

    fn is_in(&self, template: &str) -> bool {
        self.templates.is_empty() || self.templates.contains(template)
    }
}

impl Observed {
    /// The tokens in the template of a group. A hollow node identifies itself by its token for as long as it
    /// lives, so with such nodes all tokens are in use. Unused tokens expire.
    fn tokens_in_use(&self, intent: &Intent) -> impl Iterator<Item = &TokenView> {
        let groups = &self.inventory.node_groups;
        let is_hollow = intent.spec.programs.pods.is_none();
        self.tokens.iter().flatten().filter(move |token| {
            let mut templates = groups.iter().map(|group| group.template.as_str());
            !groups.is_empty() && (is_hollow || templates.any(|name| token.is_in(name)))
        })
    }

    /// The tokens in use that should be extended.
    pub fn tokens_due(&self, intent: &Intent) -> Vec<String> {
        let now = self.certificates.at;
        let due = self.tokens_in_use(intent).filter(|token| token.is_due(now));
        due.map(|token| token.id.clone()).collect()
    }

    /// Whether a token in use has expired, so machines that groups recreate can't join.
    pub fn has_expired_token(&self, intent: &Intent) -> bool {
        let now = self.certificates.at;
        self.tokens_in_use(intent)
            .any(|token| token.is_expired(now))
    }

    /// The templates whose token is missing, although a machine may need it: any that a group recreates, or a host that
    /// hasn't joined yet.
    pub fn templates_without_token(&self, intent: &Intent) -> Vec<String> {
        let Some(tokens) = &self.tokens else {
            return Vec::new();
        };
        let names = &intent.spec.names;
        let has_joined = |name: &String| self.nodes.iter().flatten().any(|node| node.name == *name);
        let may_join = |group: &&NodeGroup| {
            intent.spec.hosts.is_none() || !group.machines.iter().all(has_joined)
        };
        let groups = self.inventory.node_groups.iter().filter(may_join);
        let templates = groups
            .map(|group| &group.template)
            .filter(|template| names.node_template_number(template).is_some());
        let lost: BTreeSet<&String> = templates
            .filter(|template| !tokens.iter().any(|token| token.is_in(template)))
            .collect();
        lost.into_iter().cloned().collect()
    }
}
