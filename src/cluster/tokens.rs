//! Bootstrap tokens: what machines of node groups join with, for as long as a group may make one.

use super::{Intent, Observed};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How long a token admits nodes from when it is made or extended: kubeadm's own default.
pub const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// With less than this left it is extended.
const DUE: SignedDuration = SignedDuration::from_hours(12);

/// A bootstrap token of hakube's, as the cluster knows it. Its secret half isn't looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// Its public half.
    pub id: String,
    /// The machine templates that it is in; none in one that an older version made.
    pub templates: BTreeSet<String>,
    /// After this it admits nobody; `None` when that can't be read.
    pub expires: Option<Timestamp>,
}

impl TokenView {
    /// Whether it admits nobody any more.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| expires <= now)
    }

    /// Whether it is to be extended, if it is in use.
    fn is_due(&self, now: Timestamp) -> bool {
        self.expires
            .is_none_or(|expires| expires.duration_since(now) < DUE)
    }

    fn is_in(&self, template: &str) -> bool {
        self.templates.is_empty() || self.templates.contains(template)
    }
}

impl Observed {
    /// The tokens by which nodes may join: those in the template of a group. A hollow node knows itself by its token for as
    /// long as it lives, so that with such nodes none is forgotten. One that isn't in use any more lapses.
    fn tokens_in_use(&self, intent: &Intent) -> impl Iterator<Item = &TokenView> {
        let groups = &self.inventory.node_groups;
        let is_hollow = intent.spec.programs.pods.is_none();
        self.tokens.iter().flatten().filter(move |token| {
            let mut templates = groups.iter().map(|group| group.template.as_str());
            !groups.is_empty() && (is_hollow || templates.any(|name| token.is_in(name)))
        })
    }

    /// The tokens in use that are to be extended.
    pub fn tokens_due(&self, intent: &Intent) -> Vec<String> {
        let now = self.certificates.at;
        let due = self.tokens_in_use(intent).filter(|token| token.is_due(now));
        due.map(|token| token.id.clone()).collect()
    }

    /// Whether a token in use has expired: machines that groups make anew can't join.
    pub fn has_expired_token(&self, intent: &Intent) -> bool {
        let now = self.certificates.at;
        self.tokens_in_use(intent)
            .any(|token| token.is_expired(now))
    }

    /// The templates of groups whose token is gone. Hosts are given one when they are leased, and are never made anew.
    pub fn templates_without_token(&self, intent: &Intent) -> Vec<String> {
        let (Some(tokens), None) = (&self.tokens, &intent.spec.hosts) else {
            return Vec::new();
        };
        let groups = self.inventory.node_groups.iter();
        let names = &intent.spec.names;
        let templates = groups
            .map(|group| &group.template)
            .filter(|template| names.node_template_number(template).is_some());
        let lost: BTreeSet<&String> = templates
            .filter(|template| !tokens.iter().any(|token| token.is_in(template)))
            .collect();
        lost.into_iter().cloned().collect()
    }
}
