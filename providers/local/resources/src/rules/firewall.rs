//! Firewall rules.

use ipnet::{IpNet, Ipv4Net};
use serde_json::Map;

use crate::base::{ApiError, Key, Meta, PortRange, Scope, limits};
use crate::rules::managed::{Managed, Seen};
use crate::rules::patch::Patchable;
use crate::rules::shared_vpc;
use crate::state::State;
use crate::types::firewall::{Traffic, ingress};
use crate::types::{Firewall, Network};

/// The most source or target service accounts of a rule.
const MOST_ACCOUNTS: usize = 10;

/// The priority of the default network's rules: any other rule precedes them.
const LOWEST_PRIORITY: u16 = 65534;

impl Seen for Firewall {}

impl Managed for Firewall {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        if self.network.is_empty() {
            let default = Key::new(Scope::Global, "default");
            self.network = state.link_of::<Network>(&default.of(key.project.as_deref()));
        }
        let network = shared_vpc::own_network(state, &self.network, key)?;
        self.network = state.link_of::<Network>(&network);
        self.recheck(state, key)
    }

    fn user(&self, _: &State, _: &Key) -> Option<String> {
        None
    }
}

impl Patchable for Firewall {
    fn recheck(&mut self, _: &State, _: &Key) -> Result<(), ApiError> {
        match self.direction.as_str() {
            "INGRESS" => {}
            "EGRESS" => return Err(ApiError::not_emulated("egress firewall rules")),
            other => {
                let why = "Must be one of INGRESS, EGRESS.";
                return Err(ApiError::invalid("resource.direction", other, why));
            }
        }
        if !self.denied.is_empty() {
            return Err(ApiError::not_emulated("firewall rules that deny"));
        }
        if self.allowed.is_empty() {
            let why = "A rule must have at least one of allowed and denied.";
            return Err(ApiError::invalid("resource.allowed", "", why));
        }
        for traffic in &self.allowed {
            if !traffic.ports.is_empty()
                && !matches!(
                    traffic.protocol.as_str(),
                    "tcp" | "udp" | "sctp" | "6" | "17"
                )
            {
                let why = "Ports may be specified only for protocols that have them.";
                return Err(ApiError::invalid(
                    "resource.allowed.IPProtocol",
                    &traffic.protocol,
                    why,
                ));
            }
        }
        for tag in self.source_tags.iter().chain(&self.target_tags) {
            limits::name("resource.targetTags", tag)?;
        }
        self.check_accounts()?;
        if self.source_ranges.is_empty()
            && self.source_tags.is_empty()
            && self.source_service_accounts.is_empty()
        {
            self.source_ranges = vec![IpNet::V4(Ipv4Net::default())];
        }
        Ok(())
    }
}

/// The rules that a project's `default` network has from the beginning. `internal` is the range of the
/// machines' addresses.
pub fn of_default_network(internal: Ipv4Net) -> impl Iterator<Item = Firewall> {
    let all = Ipv4Net::default();
    let traffic = |protocol: &str, ports: Option<PortRange>| Traffic {
        protocol: protocol.to_owned(),
        ports: ports.into_iter().collect(),
    };
    let every = Some(PortRange::ALL);
    let one = |port| vec![traffic("tcp", Some(PortRange::one(port)))];
    let between_machines = vec![
        traffic("tcp", every),
        traffic("udp", every),
        traffic("icmp", None),
    ];
    let icmp = vec![traffic("icmp", None)];
    [
        ("icmp", "Allow ICMP from anywhere", all, icmp),
        (
            "internal",
            "Allow internal traffic on the default network",
            internal,
            between_machines,
        ),
        ("rdp", "Allow RDP from anywhere", all, one(3389)),
        ("ssh", "Allow SSH from anywhere", all, one(22)),
    ]
    .into_iter()
    .map(|(name, description, from, allowed)| Firewall {
        meta: Meta {
            name: format!("default-allow-{name}"),
            description: Some(description.to_owned()),
            ..Meta::default()
        },
        network: String::new(),
        direction: ingress(),
        priority: LOWEST_PRIORITY,
        disabled: false,
        allowed,
        denied: Vec::new(),
        source_ranges: vec![from.into()],
        source_tags: Vec::new(),
        target_tags: Vec::new(),
        source_service_accounts: Vec::new(),
        target_service_accounts: Vec::new(),
        rest: Map::new(),
    })
}

impl Firewall {
    /// Rejects combinations of service accounts that Compute Engine rejects.
    fn check_accounts(&self) -> Result<(), ApiError> {
        let (sources, targets) = (&self.source_service_accounts, &self.target_service_accounts);
        let has_tags = !self.source_tags.is_empty() || !self.target_tags.is_empty();
        if has_tags && !(sources.is_empty() && targets.is_empty()) {
            return Err(ApiError::refused(
                "Source tags and target tags can't be used together with source service accounts and target \
                 service accounts.",
            ));
        }
        for (field, accounts) in [
            ("resource.sourceServiceAccounts", sources),
            ("resource.targetServiceAccounts", targets),
        ] {
            if accounts.len() > MOST_ACCOUNTS {
                let why = format!("At most {MOST_ACCOUNTS} service accounts are allowed.");
                return Err(ApiError::invalid(field, accounts.len(), why));
            }
            if let Some(bad) = accounts.iter().find(|account| !account.contains('@')) {
                let why = "It must be the email address of a service account.";
                return Err(ApiError::invalid(field, bad, why));
            }
        }
        Ok(())
    }
}
