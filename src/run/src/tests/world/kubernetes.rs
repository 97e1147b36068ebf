//! API servers, and the endpoint.

use super::api::Process;
use super::{Moves::Nothing, USERS_BALANCER, World};
use async_trait::async_trait;
use hakube_addons::Addon;
use hakube_channel::Door;
use hakube_error::{Error, Result};
use hakube_kubernetes::{
    BootstrapToken, Cordon, DeadWebhook, DeprecatedApi, Evicted, Eviction, Kubernetes, PodOnNode,
    ServingRequest,
};
use hakube_model::{AddonState, ApiView, NodeView, TokenView};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

impl World {
    fn answers_at(&self, at: IpAddr) -> bool {
        let endpoint = self.cloud.address.as_ref();
        if endpoint.is_some_and(|endpoint| endpoint.address == at) {
            return self.endpoint_answers();
        }
        if at == USERS_BALANCER {
            let backends = self.users_backends.iter();
            return backends.clone().any(|name| self.api_ready(name));
        }
        let mut machines = self
            .cloud
            .machines
            .iter()
            .filter(|(_, machine)| machine.address == at);
        machines.any(|(name, _)| self.api_ready(name))
    }

    fn nodes(&self) -> Vec<NodeView> {
        let groups = self.cloud.node_groups.values();
        let names = groups.flat_map(|group| group.machines.iter().map(|name| (&group.zone, name)));
        let node = |(number, (zone, name)): (usize, (&String, &String))| {
            let kubelet = self.cloud.kubelets.get(name).cloned();
            let broken = kubelet.is_some() && kubelet == self.cloud.broken_kubelet;
            NodeView {
                name: name.clone(),
                zone: zone.clone(),
                ready: number >= self.unready_nodes && !broken,
                control_plane: false,
                cordoned: self.cordoned.contains(name),
                kubelet,
                ..NodeView::default()
            }
        };
        let replicas = self.replica_nodes.iter().map(|name| NodeView {
            name: name.clone(),
            zone: String::new(),
            ready: true,
            control_plane: true,
            cordoned: self.cordoned.contains(name),
            ..NodeView::default()
        });
        names.enumerate().map(node).chain(replicas).collect()
    }
}

#[async_trait]
impl Kubernetes for Process {
    async fn probe(&self, at: &Door) -> ApiView {
        let ready = self.is_ready(at.at).await;
        ApiView {
            ready,
            stand_in: ready.then_some(true),
            version: None,
        }
    }

    async fn is_ready(&self, at: SocketAddr) -> bool {
        self.look(|world| world.answers_at(at.ip())).await
    }

    async fn date(&self, at: &Door) -> Option<Timestamp> {
        self.look(|world| {
            let skew = world.clocks.get(&at.machine).copied().unwrap_or_default();
            let answers = world.answers_at(at.at.ip());
            answers.then(|| Timestamp::now() + world.ahead + skew)
        })
        .await
    }

    async fn nodes(&self, endpoint: SocketAddr) -> Result<Vec<NodeView>> {
        self.look(|world| answer(world, endpoint).map(|()| world.nodes()))
            .await
    }

    async fn forget_node(&self, endpoint: SocketAddr, name: &str) -> Result<()> {
        self.call(&format!("forget node {name}"), Nothing, |world| {
            world.replica_nodes.remove(name);
            world.cordoned.remove(name);
            answer(world, endpoint)
        })
        .await
    }

    async fn label_replica(&self, endpoint: SocketAddr, name: &str) -> Result<bool> {
        self.call(&format!("label {name}"), Nothing, |world| {
            answer(world, endpoint)?;
            let registers = world.api_ready(name);
            if registers {
                world.replica_nodes.insert(name.to_owned());
            }
            Ok(registers)
        })
        .await
    }

    async fn cordon(&self, endpoint: SocketAddr, node: &str, cordon: Cordon) -> Result<()> {
        let cordoned = cordon == Cordon::Closed;
        self.call(&format!("cordon {node}: {cordoned}"), Nothing, |world| {
            answer(world, endpoint)?;
            if cordoned {
                world.cordoned.insert(node.to_owned());
            } else {
                world.cordoned.remove(node);
            }
            Ok(())
        })
        .await
    }

    async fn admit_nodes(&self, endpoint: SocketAddr, token: &BootstrapToken) -> Result<()> {
        self.call("admit nodes", Nothing, |world| {
            answer(world, endpoint)?;
            world.tokens.retain(|found| found.id != token.id);
            world.tokens.push(TokenView {
                id: token.id.clone(),
                templates: BTreeSet::from([token.template.clone()]),
                expires: Some(token.expires),
            });
            Ok(())
        })
        .await
    }

    async fn pods_to_move(&self, endpoint: SocketAddr, node: &str) -> Result<Vec<PodOnNode>> {
        self.look(|world| {
            answer(world, endpoint)?;
            let pods = world.pods.iter().filter(|pod| pod.on.node == node);
            Ok(pods.map(|pod| pod.on.clone()).collect())
        })
        .await
    }

    async fn evict(&self, endpoint: SocketAddr, pod: &PodOnNode, how: Eviction) -> Result<Evicted> {
        let allowed = |world: &World| {
            answer(world, endpoint)?;
            let kept = |found: &Pod| found.on == *pod && found.kept;
            Ok(match how {
                Eviction::Check | Eviction::Evict if world.pods.iter().any(kept) => {
                    let why = "the budget needs 1 and has 1".to_owned();
                    Evicted::Blocked { why }
                }
                _ => Evicted::Leaves,
            })
        };
        if how == Eviction::Check {
            return self.look(|world| allowed(world)).await;
        }
        self.call(&format!("evict {}", pod.name), Nothing, |world| {
            let evicted = allowed(world)?;
            if evicted == Evicted::Leaves {
                world.pods.retain(|found| found.on != *pod);
            }
            Ok(evicted)
        })
        .await
    }

    async fn label_node(
        &self,
        endpoint: SocketAddr,
        name: &str,
        _: &BTreeMap<String, String>,
    ) -> Result<bool> {
        self.look(|world| {
            answer(world, endpoint)?;
            Ok(world.nodes().iter().any(|node| node.name == name))
        })
        .await
    }

    async fn tokens(&self, endpoint: SocketAddr) -> Result<Vec<TokenView>> {
        self.look(|world| answer(world, endpoint).map(|()| world.tokens.clone()))
            .await
    }

    async fn extend_token(&self, endpoint: SocketAddr, id: &str, until: Timestamp) -> Result<()> {
        self.call("extend token", Nothing, |world| {
            answer(world, endpoint)?;
            let tokens = world.tokens.iter_mut().filter(|token| token.id == id);
            for token in tokens {
                token.expires = Some(until);
            }
            Ok(())
        })
        .await
    }

    async fn addons(
        &self,
        endpoint: SocketAddr,
        wanted: &[Addon],
    ) -> Result<BTreeMap<String, AddonState>> {
        self.look(|world| {
            answer(world, endpoint)?;
            let unwanted = world
                .addons
                .keys()
                .map(|name| (name.clone(), AddonState::Ready));
            let mut states: BTreeMap<String, AddonState> = unwanted.collect();
            for addon in wanted {
                let state = match world.addons.get(&addon.name) {
                    None => AddonState::Missing,
                    Some(found) if *found == addon.objects => AddonState::Ready,
                    Some(_) => AddonState::Differs {
                        what: vec![format!("an object of {} was changed", addon.name)],
                    },
                };
                states.insert(addon.name.clone(), state);
            }
            Ok(states)
        })
        .await
    }

    async fn check_addon(&self, endpoint: SocketAddr, _: &Addon) -> Result<()> {
        self.look(|world| answer(world, endpoint)).await
    }

    async fn apply_addon(&self, endpoint: SocketAddr, addon: &Addon) -> Result<()> {
        self.call(&format!("apply addon {}", addon.name), Nothing, |world| {
            answer(world, endpoint)?;
            world
                .addons
                .insert(addon.name.clone(), addon.objects.clone());
            Ok(())
        })
        .await
    }

    async fn remove_addon(&self, endpoint: SocketAddr, name: &str) -> Result<()> {
        self.call(&format!("remove addon {name}"), Nothing, |world| {
            answer(world, endpoint)?;
            world.addons.remove(name);
            Ok(())
        })
        .await
    }

    async fn serving_requests(&self, endpoint: SocketAddr) -> Result<Vec<ServingRequest>> {
        self.look(|world| answer(world, endpoint).map(|()| Vec::new()))
            .await
    }

    async fn deprecated_apis(&self, _: &Door) -> Result<Vec<DeprecatedApi>> {
        self.look(|world| Ok(world.deprecated_apis.clone())).await
    }

    async fn dead_webhooks(&self, endpoint: SocketAddr) -> Result<Vec<DeadWebhook>> {
        self.look(|world| answer(world, endpoint).map(|()| world.dead_webhooks.clone()))
            .await
    }

    async fn approve_serving(&self, endpoint: SocketAddr, _: &ServingRequest) -> Result<()> {
        self.call("approve", Nothing, |world| answer(world, endpoint))
            .await
    }
}

/// A pod in the world.
#[derive(Debug, Clone)]
pub struct Pod {
    /// The pod, as hakube sees it.
    pub on: PodOnNode,
    /// Whether a PodDisruptionBudget protects it.
    pub kept: bool,
}

fn answer(world: &World, endpoint: SocketAddr) -> Result<()> {
    let answers = world.answers_at(endpoint.ip());
    answers
        .then_some(())
        .ok_or_else(|| Error::failed(format!("{endpoint} doesn't respond")).transient())
}
