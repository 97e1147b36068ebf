//! Random histories of commands, crashes between and within steps, and machines that stop or vanish. After each
//! of them, the same loop makes the cluster match its intent.

use super::world::World;
use hakube_model::{
    Intent, RemovalRequest, ReplicaIntent, Zones, add_replicas, begin_teardown, choose_removal,
    replace_replica,
};
use hakube_testing::fixtures::{self, ZONES};
use hakube_testing::histories;
use proptest::prelude::*;

/// An event of a history. Numbers choose among existing things.
#[derive(Debug, Clone)]
enum Event {
    /// The loop runs this many steps and crashes, possibly in the middle of the next.
    Run {
        steps: usize,
        half: bool,
        order: u64,
    },
    /// The loop runs to its end.
    Converge {
        order: u64,
    },
    Replicate {
        count: usize,
        zone: Option<usize>,
    },
    /// A replicate failed: the intent is rolled back.
    RollBack,
    Remove {
        replica: usize,
    },
    Replace {
        replica: usize,
    },
    Kill {
        machine: usize,
        gone: bool,
    },
    /// The machine is unreachable until the loop runs to its end.
    Silence {
        machine: usize,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..30_usize, any::<bool>(), any::<u64>())
            .prop_map(|(steps, half, order)| Event::Run { steps, half, order }),
        3 => any::<u64>().prop_map(|order| Event::Converge { order }),
        3 => (1..=2_usize, proptest::option::of(0..ZONES.len()))
            .prop_map(|(count, zone)| Event::Replicate { count, zone }),
        1 => Just(Event::RollBack),
        2 => any::<usize>().prop_map(|replica| Event::Remove { replica }),
        2 => any::<usize>().prop_map(|replica| Event::Replace { replica }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(machine, gone)| Event::Kill { machine, gone }),
        1 => any::<usize>().prop_map(|machine| Event::Silence { machine }),
    ]
}

/// A cluster and its history.
#[derive(Debug, Clone)]
struct Past {
    multizone: bool,
    always_balanced: bool,
    custom_network: bool,
    private: bool,
    /// Whether the replicas hold the endpoint's address themselves.
    on_machines: bool,
    nodes: u32,
    events: Vec<Event>,
}

fn past() -> impl Strategy<Value = Past> {
    let events = proptest::collection::vec(event(), 0..12);
    (any::<[bool; 5]>(), 0..3_u32, events).prop_map(
        |(
            [
                multizone,
                always_balanced,
                custom_network,
                private,
                on_machines,
            ],
            nodes,
            events,
        )| Past {
            multizone,
            always_balanced,
            custom_network,
            private: private && !on_machines,
            on_machines,
            nodes,
            events,
        },
    )
}

impl Past {
    /// The resulting world.
    fn replay(&self) -> World {
        let mut history = History {
            world: World::empty(self.intent()),
            before: None,
            names: 0,
        };
        for event in &self.events {
            history.happen(event);
        }
        history.world
    }

    fn intent(&self) -> Intent {
        let word = |yes: bool| if yes { "true" } else { "false" };
        fixtures::intent(&[
            (
                "KUBERNETES_PROVIDER",
                if self.on_machines { "libvirt" } else { "gce" },
            ),
            ("MULTIZONE", word(self.multizone)),
            ("CREATE_CUSTOM_NETWORK", word(self.custom_network)),
            ("KUBE_GCE_PRIVATE_CLUSTER", word(self.private)),
            (
                "HAKUBE_LOAD_BALANCER",
                if self.always_balanced {
                    "always"
                } else {
                    "auto"
                },
            ),
            ("NUM_NODES", &self.nodes.to_string()),
        ])
    }
}

struct History {
    world: World,
    /// The replicas before the last replicate.
    before: Option<Vec<ReplicaIntent>>,
    names: usize,
}

impl History {
    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Run { steps, half, order } => {
                let plan = self.world.plan();
                self.world.run(&plan, order, steps, half);
            }
            Event::Converge { order } => self.world.converge(order),
            Event::Replicate { count, zone } => self.replicate(count, zone),
            Event::RollBack => {
                if let Some(before) = self.before.take() {
                    self.world.intent.replicas = before;
                }
            }
            Event::Remove { replica } => self.remove(replica),
            Event::Replace { replica } => self.replace(replica),
            Event::Kill { machine, gone } => self.kill(machine, gone),
            Event::Silence { machine } => self.silence(machine),
        }
    }

    fn replicate(&mut self, count: usize, zone: Option<usize>) {
        let zones = Zones {
            asked: zone.map(|zone| ZONES[zone].to_owned()),
            up: ZONES.map(str::to_owned).to_vec(),
            free: None,
        };
        let names = &mut self.names;
        let suffix = || {
            *names += 1;
            format!("r{names:02}")
        };
        // A refused zone is a no-op.
        if let Ok(intent) = add_replicas(&self.world.intent, &zones, count, suffix)
            && intent.replicas.len() <= 5
        {
            self.before = Some(self.world.intent.replicas.clone());
            self.world.intent = intent;
        }
    }

    /// Whether an operation is unfinished, so that commands that reduce redundancy are refused.
    fn unfinished(&self) -> bool {
        let intent = &self.world.intent;
        !intent.formed || self.before.is_some() && !self.world.plan().is_empty()
    }

    fn name_of(&self, replica: usize) -> String {
        let replicas = &self.world.intent.replicas;
        replicas[replica % replicas.len()].name.clone()
    }

    fn replace(&mut self, replica: usize) {
        let name = self.name_of(replica);
        let World {
            intent, observed, ..
        } = &self.world;
        let names = &mut self.names;
        let suffix = || {
            *names += 1;
            format!("r{names:02}")
        };
        let replaced = replace_replica(intent, observed, &name, None, suffix);
        if !self.unfinished()
            && let Ok(intent) = replaced
        {
            self.world.intent = intent;
            self.before = None;
        }
    }

    /// As the command does: only if nothing is unfinished, and the rules allow it.
    fn remove(&mut self, replica: usize) {
        let World {
            intent, observed, ..
        } = &self.world;
        let unfinished = self.unfinished();
        let name = self.name_of(replica);
        let request = RemovalRequest {
            name: Some(name),
            zone: None,
            force: true,
        };
        if !unfinished && let Ok(removal) = choose_removal(intent, observed, &request) {
            self.world.intent = removal.intent;
            self.before = None;
        }
    }

    fn silence(&mut self, machine: usize) {
        let machines = &self.world.observed.inventory.machines;
        if let Some(silent) = machines.get(machine % machines.len().max(1)) {
            let name = silent.name.clone();
            self.world.silence(&name);
        }
    }

    /// Doesn't exceed the failures that etcd survives: for those, see `blocked`.
    fn kill(&mut self, machine: usize, gone: bool) {
        let machines = &self.world.observed.inventory.machines;
        if machines.len() < 2 {
            return;
        }
        let name = machines[machine % machines.len()].name.clone();
        if self.world.survives_without(&name) {
            self.world.kill(&name, gone);
        }
    }
}

/// The same command twice does nothing the second time, after any history.
#[test]
fn every_history_converges() {
    let past = (past(), any::<u64>());
    histories::hold("plan histories: converge", 256, &past, |(past, order)| {
        past.replay().converge(order);
        Ok(())
    });
}

/// After a crash between or within any steps, the loop finishes the rest.
#[test]
fn a_crash_anywhere_is_finished_by_the_next_run() {
    let past = (past(), any::<u64>(), any::<bool>());
    let name = "plan histories: a crash anywhere";
    histories::hold(name, 256, &past, |(past, order, half)| {
        let world = past.replay();
        let plan = world.plan();
        for steps in 0..=plan.steps.len() {
            let mut crashed = world.clone();
            crashed.run(&plan, order, steps, half);
            crashed.converge(order);
        }
        Ok(())
    });
}

/// Deletion leaves no resources, from any state and after any crash, and the address is deleted last of what
/// clients use.
#[test]
fn every_history_ends_with_nothing_left() {
    let past = (past(), any::<u64>());
    let name = "plan histories: deleted, with crashes";
    histories::hold(name, 256, &past, |(past, order)| {
        let world = past.replay();
        let intent = begin_teardown(&world.intent);
        let world = world.with_intent(intent);
        let plan = world.plan();
        for steps in 0..=plan.steps.len() {
            let mut crashed = world.clone();
            crashed.run(&plan, order, steps, false);
            crashed.converge(order);
        }
        Ok(())
    });
}
