//! The endpoint's address: what holds it, and how it is moved.

mod alias;
mod swap;

pub(crate) use swap::{Call, NicChange, calls};

use crate::Gce;
use crate::address::reservation;
use crate::link::name_in;
use crate::machine::{access_config, alias_address, alias_range, aliases};
use crate::mark::{GROUP_LABEL, ours};
use crate::operation::{change, look, request};
use google_cloud_compute_v1::model;
use google_cloud_compute_v1::model::forwarding_rule::{IPProtocol, LoadBalancingScheme};
use google_cloud_compute_v1::model::instance::Status;
use hakube_provider::{
    Attempt, EndpointSpec, EndpointTarget, ErrorKind, ExternalAddress, MachineRef, ProviderError,
    Reach, ResourceKind, Result, mark_description,
};
use std::net::IpAddr;
use swap::{AccessConfig, ConfigAddress, FIRST_INTERFACE, HeldAs, Nic, Situation};

impl Gce {
    /// See [`hakube_provider::Provider::point_endpoint`].
    ///
    /// If the new holder permanently fails to get the address, it is returned to the old one: an
    /// endpoint in the old place is better than none.
    pub(crate) async fn endpoint_at(
        &self,
        spec: &EndpointSpec,
        target: &EndpointTarget,
    ) -> Result<()> {
        let (situation, released, ()) = futures::try_join!(
            self.situation(spec),
            self.released(&spec.released),
            self.balancer_is_there(spec, target)
        )?;
        self.machine_is_there(&situation, target)?;
        let swap = situation.swap(target, released);
        let address = situation.address;
        for call in &swap.before {
            self.call(spec, address, call).await?;
        }
        if let Some(release) = &swap.release {
            self.call(spec, address, release).await?;
        }
        if let Some(hold) = &swap.hold
            && let Err(error) = self.call(spec, address, hold).await
        {
            let undo = swap.release.and_then(|release| release.undo(address));
            return Err(match undo {
                Some(undo) if !error.is_transient() => {
                    self.put_back(spec, address, &undo, error).await
                }
                _ => error,
            });
        }
        for call in &swap.after {
            self.call(spec, address, call).await?;
        }
        Ok(())
    }

    async fn put_back(
        &self,
        spec: &EndpointSpec,
        address: IpAddr,
        undo: &Call,
        mut error: ProviderError,
    ) -> ProviderError {
        match self.call(spec, address, undo).await {
            Ok(()) => error.message.push_str("; the address was put back"),
            Err(second) => {
                let message = format!("; putting the address back failed too: {second}");
                error.message.push_str(&message);
            }
        }
        error
    }

    async fn situation(&self, spec: &EndpointSpec) -> Result<Situation> {
        let (reserved, rule, instances) = futures::try_join!(
            self.address(&spec.address),
            self.forwarding_rule(spec),
            self.marked_instances(&spec.cluster)
        )?;
        let attempt = self.regional_attempt("point", ResourceKind::Address, &spec.address);
        let Some(reserved) = reserved else {
            return Err(attempt.error(ErrorKind::Invalid, "it isn't reserved"));
        };
        let reserved = ours(&attempt, &spec.cluster, reserved)?;
        let situation = Situation {
            address: reservation(&attempt, &reserved)?.address,
            held_as: HeldAs::of(&spec.reach),
            rule,
            machines: instances.iter().filter_map(nic).collect(),
        };
        if let Some(user) = reserved.users.first()
            && !situation.is_held()
        {
            return Err(held_by(&attempt, spec, &situation, name_in(user)));
        }
        Ok(situation)
    }

    /// The forwarding rule's address; `None` without a rule.
    async fn forwarding_rule(&self, spec: &EndpointSpec) -> Result<Option<IpAddr>> {
        let attempt = self.regional_attempt("read", ResourceKind::ForwardingRule, &spec.rule);
        let get = request!(self.forwarding_rules.get in region).set_forwarding_rule(&spec.rule);
        let Some(found) = look(&attempt, get.send()).await? else {
            return Ok(None);
        };
        let found = ours(&attempt, &spec.cluster, found)?;
        let address = found.ip_address.and_then(|address| address.parse().ok());
        address
            .map(Some)
            .ok_or_else(|| attempt.error(ErrorKind::TRANSIENT, "it has no address yet"))
    }

    async fn released(&self, external: &ExternalAddress) -> Result<Option<ConfigAddress>> {
        Ok(match external {
            ExternalAddress::None => None,
            ExternalAddress::Ephemeral => Some(ConfigAddress::Ephemeral),
            ExternalAddress::Reserved(name) => {
                Some(ConfigAddress::This(self.reserved(name).await?.address))
            }
        })
    }

    /// Finds, before the first call of the swap, what would make the second one fail.
    async fn balancer_is_there(&self, spec: &EndpointSpec, target: &EndpointTarget) -> Result<()> {
        if *target != EndpointTarget::Balancer {
            return Ok(());
        }
        let kind = ResourceKind::BackendService;
        let attempt = self.regional_attempt("use", kind, &spec.balancer);
        match self.backend_service(&attempt, &spec.balancer).await? {
            Some(found) => ours(&attempt, &spec.cluster, found).map(drop),
            None => Err(attempt.error(ErrorKind::Invalid, "the backend service doesn't exist")),
        }
    }

    fn machine_is_there(&self, situation: &Situation, target: &EndpointTarget) -> Result<()> {
        match target {
            EndpointTarget::Machine(machine) if !situation.has(machine) => {
                let message = "the cluster has no machine of that name";
                Err(machine.attempt("use").error(ErrorKind::Invalid, message))
            }
            _ => Ok(()),
        }
    }

    async fn call(&self, spec: &EndpointSpec, address: IpAddr, call: &Call) -> Result<()> {
        match call {
            Call::InsertRule => self.insert_rule(spec, address).await,
            Call::DeleteRule => self.delete_rule(spec).await,
            Call::On {
                machine,
                interface,
                change,
            } => self.change_nic(machine, interface, change).await,
        }
    }

    async fn change_nic(
        &self,
        machine: &MachineRef,
        interface: &str,
        change: &NicChange,
    ) -> Result<()> {
        let give = machine.attempt("give an address to");
        match change {
            NicChange::RemoveConfig(name) => {
                let delete = request!(self.instances.delete_access_config in &machine.zone)
                    .set_instance(&machine.name)
                    .set_network_interface(interface)
                    .set_access_config(name);
                let attempt = machine.attempt("release the address of");
                self.run(&attempt, change!(delete)).await
            }
            NicChange::AddConfig(address) => {
                let address = match address {
                    ConfigAddress::Ephemeral => None,
                    ConfigAddress::This(address) => Some(*address),
                };
                let add = request!(self.instances.add_access_config in &machine.zone)
                    .set_instance(&machine.name)
                    .set_network_interface(interface)
                    .set_body(access_config(address));
                self.run(&give, change!(add)).await
            }
            NicChange::RemoveAlias(address) => {
                let attempt = machine.attempt("take an address from");
                let without = |all: &mut Vec<model::AliasIpRange>| {
                    all.retain(|range| alias_address(range) != Some(*address));
                };
                self.change_aliases(&attempt, machine, interface, without)
                    .await
            }
            NicChange::AddAlias(address) => {
                let with = |all: &mut Vec<model::AliasIpRange>| all.push(alias_range(*address));
                self.change_aliases(&give, machine, interface, with).await
            }
        }
    }

    async fn insert_rule(&self, spec: &EndpointSpec, address: IpAddr) -> Result<()> {
        let attempt = self.regional_attempt("create", ResourceKind::ForwardingRule, &spec.rule);
        let rule = model::ForwardingRule::new()
            .set_name(&spec.rule)
            .set_description(mark_description(&spec.cluster))
            .set_ip_address(address.to_string())
            .set_ip_protocol(IPProtocol::Tcp)
            .set_ports([spec.port.to_string()])
            .set_backend_service(self.regional_link("backendServices", &spec.balancer));
        let rule = match &spec.reach {
            Reach::Anywhere => rule.set_load_balancing_scheme(LoadBalancingScheme::External),
            Reach::Within {
                network,
                subnetwork,
            } => rule
                .set_load_balancing_scheme(LoadBalancingScheme::Internal)
                .set_network(self.network_link(network))
                .set_subnetwork(self.subnetwork_link(subnetwork))
                // Also from the network's other regions, as with a machine.
                .set_allow_global_access(true),
        };
        let insert = request!(self.forwarding_rules.insert in region).set_body(rule);
        self.insert(&attempt, change!(insert)).await
    }

    async fn delete_rule(&self, spec: &EndpointSpec) -> Result<()> {
        let attempt = self.regional_attempt("delete", ResourceKind::ForwardingRule, &spec.rule);
        let delete =
            request!(self.forwarding_rules.delete in region).set_forwarding_rule(&spec.rule);
        self.remove(&attempt, change!(delete)).await
    }
}

/// The error if the address is in use, but no part of the cluster reports that it holds it. Either
/// a part has just released it, or something else uses it.
fn held_by(
    attempt: &Attempt,
    spec: &EndpointSpec,
    situation: &Situation,
    user: &str,
) -> ProviderError {
    let own = user == spec.rule
        || situation
            .machines
            .iter()
            .any(|nic| nic.machine.name == user);
    if own {
        let kind = ErrorKind::TRANSIENT;
        return attempt.error(kind, format!("{user} is still releasing it"));
    }
    attempt
        .error(
            ErrorKind::Conflict,
            format!("it is in use by {user}, which isn't the cluster's"),
        )
        .with_hint("release the address there, then run the command again")
}

/// A machine's interface that may hold the endpoint's address; `None` for a node.
fn nic(instance: &model::Instance) -> Option<Nic> {
    if instance.labels.contains_key(GROUP_LABEL) {
        return None;
    }
    let interface = instance.network_interfaces.first()?;
    let config = interface.access_configs.first().map(|config| AccessConfig {
        name: config.name.clone().unwrap_or_default(),
        address: config
            .nat_ip
            .as_ref()
            .and_then(|address| address.parse().ok()),
    });
    Some(Nic {
        machine: MachineRef {
            name: instance.name.clone()?,
            zone: name_in(instance.zone.as_deref()?).to_owned(),
        },
        interface: interface
            .name
            .clone()
            .unwrap_or_else(|| FIRST_INTERFACE.to_owned()),
        config,
        aliases: aliases(interface),
        leaving: instance.status == Some(Status::Stopping),
    })
}
