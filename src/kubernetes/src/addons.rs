//! Addons of a running cluster: their states, applying and removing them.
//!
//! An addon's objects are identified by a label. Their kinds are recorded in a ConfigMap for each
//! addon, because the API can't list all objects with a label.

use super::call::Problem;
use super::compare::{first_difference, not_ready};
use super::objects::{Kind, Objects, kind_of};
use futures::future::join_all;
use hakube_addons::{Addon, LABEL, MANAGER, Object, SYSTEM};
use hakube_error::{Error, Result};
use hakube_model::AddonState;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// The label of records.
const RECORD: &str = "hakube.io/addon-record";
/// How long the API server may take to serve a newly defined kind.
const ESTABLISHED: Duration = Duration::from_secs(30);

/// The kinds that an addon has or had.
type Records = BTreeMap<String, BTreeSet<Kind>>;

/// The states of the wanted addons, and of existing ones that aren't wanted.
pub(super) async fn states(
    objects: &Objects,
    wanted: &[Addon],
) -> Result<BTreeMap<String, AddonState>, Problem> {
    let records = records(objects).await?;
    let own = wanted.iter().flat_map(|addon| &addon.objects);
    let mut kinds: BTreeSet<Kind> = own.map(|object| kind_of(&object.content)).collect();
    kinds.extend(records.values().flatten().cloned());
    let live = live(objects, &kinds, LABEL).await?;
    let mut states = BTreeMap::new();
    let unwanted = records
        .keys()
        .filter(|name| wanted.iter().all(|addon| addon.name != **name));
    for name in unwanted {
        states.insert(name.clone(), AddonState::Ready);
    }
    let looked = wanted.iter().map(|addon| {
        let live: Vec<&Value> = live
            .iter()
            .filter(|object| is_of(object, &addon.name))
            .collect();
        let recorded = records.contains_key(&addon.name);
        async move {
            (
                addon.name.clone(),
                state(objects, addon, &live, recorded).await,
            )
        }
    });
    let looked = join_all(looked).await;
    states.extend(looked);
    Ok(states)
}

async fn state(objects: &Objects, addon: &Addon, live: &[&Value], recorded: bool) -> AddonState {
    let mut differences: Vec<String> = Vec::new();
    let mut late: Vec<String> = Vec::new();
    let mut missing = 0;
    let looked = addon.objects.iter().map(|object| async move {
        match live
            .iter()
            .copied()
            .find(|live| is_same(live, &object.content))
        {
            Some(found) => (
                object,
                Some((found, objects.applied(&object.content).await)),
            ),
            None => (object, None),
        }
    });
    let looked = join_all(looked).await;
    for (object, found) in looked {
        let what = object.describe();
        match found {
            None | Some((_, Err(Problem::Missing(_)))) => {
                missing += 1;
                differences.push(format!("{what} is missing"));
            }
            Some((_, Err(Problem::Refused(why)))) => {
                differences.push(format!(
                    "{what} was changed, and the API server refuses to revert it: {why}"
                ));
            }
            Some((_, Err(Problem::Passing(why)))) => return AddonState::Unknown { why },
            Some((found, Ok(would_be))) => {
                if is_going(found) {
                    differences.push(format!("{what} is being deleted"));
                } else if let Some(field) =
                    lasting_difference(objects, object, found, would_be).await
                {
                    differences.push(format!("{what} was changed: {field}"));
                }
                late.extend(not_ready(found).map(|why| format!("{what} {why}")));
            }
        }
    }
    for extra in extra(addon, live).filter(|extra| !is_going(extra)) {
        differences.push(format!("{} isn't wanted", describe(extra)));
    }
    if missing == addon.objects.len() {
        AddonState::Missing
    } else if !differences.is_empty() {
        AddonState::Differs { what: differences }
    } else if !recorded {
        AddonState::Differs {
            what: vec![format!(
                "ConfigMap {SYSTEM}/{} is missing",
                record_name(&addon.name)
            )],
        }
    } else if late.is_empty() {
        AddonState::Ready
    } else {
        AddonState::NotReady {
            why: late.join("; "),
        }
    }
}

/// The first field in which an object differs from what applying it would give. Others may write to
/// it concurrently, for example a controller that records a Deployment's revision: then the
/// comparison is repeated.
async fn lasting_difference(
    objects: &Objects,
    object: &Object,
    found: &Value,
    mut would_be: Value,
) -> Option<String> {
    const ATTEMPTS: usize = 3;
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let mut found = found.clone();
    let mut field = first_difference(&found, &would_be);
    for _ in 0..ATTEMPTS {
        if field.is_none() || version(&found) == version(&would_be) {
            break;
        }
        // If it can't be read again, it isn't known to differ.
        found = objects.get(&object.content).await.ok()?;
        would_be = objects.applied(&object.content).await.ok()?;
        field = first_difference(&found, &would_be);
    }
    field
}

/// Reports everything in the addon that the API server would refuse. Objects that depend on others
/// that don't exist yet can't be checked.
pub(super) async fn check(objects: &Objects, addon: &Addon) -> Result<()> {
    let tried = addon.objects.iter().map(|object| async move {
        let problem = objects.applied(&object.content).await.err()?;
        let is_hopeless = match &problem {
            Problem::Refused(_) => true,
            Problem::Missing(why) => why.contains("doesn't know kind") && !defines(addon, object),
            Problem::Passing(_) => false,
        };
        is_hopeless.then(|| format!("{}: {}", object.describe(), problem.why()))
    });
    let refused: Vec<String> = join_all(tried).await.into_iter().flatten().collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(
        Error::bad_input("the API server refuses the manifests, and nothing was changed")
            .because(refused.join("\n"))
            .hint("fix them, then run the same command"),
    )
}

/// Applies all of the addon's objects, and deletes others.
pub(super) async fn apply(objects: &Objects, addon: &Addon) -> Result<()> {
    let failed =
        |problem: Problem| problem.into_error(format!("could not apply addon {}", addon.name));
    let mut known = records(objects).await.map_err(failed)?;
    let mut kinds = known.remove(&addon.name).unwrap_or_default();
    kinds.extend(addon.objects.iter().map(|object| kind_of(&object.content)));
    objects
        .apply(&record(&addon.name, &kinds))
        .await
        .map_err(failed)?;
    let mut ranks: BTreeMap<u8, Vec<&Object>> = BTreeMap::new();
    for object in &addon.objects {
        ranks.entry(object.rank()).or_default().push(object);
    }
    for of_a_rank in ranks.values() {
        let applied = of_a_rank.iter().map(|object| async move {
            let applied = objects.apply(&object.content).await;
            applied.map_err(|problem| refusal(addon, object, problem))
        });
        let applied = join_all(applied).await;
        // Permanent refusals take precedence over transient errors.
        let mut errors: Vec<Error> = applied.into_iter().filter_map(Result::err).collect();
        errors.sort_by_key(|error| error.transient);
        if let Some(error) = errors.into_iter().next() {
            return Err(error);
        }
        established(objects, of_a_rank).await?;
    }
    let live = live(objects, &kinds, &selector(&addon.name))
        .await
        .map_err(failed)?;
    let live: Vec<&Value> = live.iter().collect();
    for object in extra(addon, &live).filter(|object| !is_going(object)) {
        objects.delete(object).await.map_err(|problem| {
            problem.into_error(format!(
                "could not delete {}, which is no longer part of addon {}",
                describe(object),
                addon.name
            ))
        })?;
    }
    Ok(())
}

fn refusal(addon: &Addon, object: &Object, problem: Problem) -> Error {
    // Kubernetes' own namespaces are created shortly after the API server is ready.
    let namespace = object.namespace().unwrap_or("default");
    let is_soon = namespace.starts_with("kube-") || namespace == "default";
    let problem = match problem {
        Problem::Missing(why) if is_soon && why.contains("namespaces") => Problem::Passing(why),
        Problem::Missing(why) if defines(addon, object) => Problem::Passing(why),
        problem => problem,
    };
    let error = problem.into_error(format!(
        "could not apply {} of addon {}",
        object.describe(),
        addon.name
    ));
    match object.origin {
        Some(_) if !error.transient => error.hint(
            "fix the file, then: hakube up --manifests FILE, with all files that the cluster should have",
        ),
        _ => error,
    }
}

/// Whether the addon itself defines the object's kind.
fn defines(addon: &Addon, object: &Object) -> bool {
    let mut definitions = addon.objects.iter();
    definitions.any(|definition| {
        definition.kind() == "CustomResourceDefinition"
            && definition.content["spec"]["names"]["kind"] == object.kind()
    })
}

/// Waits until newly defined kinds are served.
async fn established(objects: &Objects, defined: &[&Object]) -> Result<()> {
    let started = Instant::now();
    for object in defined
        .iter()
        .filter(|object| object.kind() == "CustomResourceDefinition")
    {
        loop {
            let why = match objects.get(&object.content).await {
                Ok(found) => match not_ready(&found) {
                    None => break,
                    Some(why) => why,
                },
                Err(problem) => problem.why().to_owned(),
            };
            if started.elapsed() > ESTABLISHED {
                return Err(
                    Error::failed(format!("{} isn't established", object.describe()))
                        .because(why)
                        .transient(),
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

/// Deletes all of the addon's objects.
pub(super) async fn remove(objects: &Objects, name: &str) -> Result<()> {
    let failed = |problem: Problem| problem.into_error(format!("could not remove addon {name}"));
    let mut known = records(objects).await.map_err(failed)?;
    let kinds = known.remove(name).unwrap_or_default();
    let mut live = live(objects, &kinds, &selector(name))
        .await
        .map_err(failed)?;
    let rank = |content: &Value| {
        let (content, origin) = (content.clone(), None);
        Object { content, origin }.rank()
    };
    // In reverse order of creation.
    live.sort_by_key(|object| std::cmp::Reverse(rank(object)));
    for object in live.iter().filter(|object| !is_going(object)) {
        objects.delete(object).await.map_err(|problem| {
            problem.into_error(format!(
                "could not delete {} of addon {name}",
                describe(object)
            ))
        })?;
    }
    objects.delete(&record(name, &kinds)).await.map_err(failed)
}

fn selector(addon: &str) -> String {
    format!("{LABEL}={addon}")
}

/// All objects of these kinds with the label.
async fn live(
    objects: &Objects,
    kinds: &BTreeSet<Kind>,
    selector: &str,
) -> Result<Vec<Value>, Problem> {
    let lists = join_all(kinds.iter().map(|kind| objects.labelled(kind, selector))).await;
    let lists: Vec<Vec<Value>> = lists.into_iter().collect::<Result<_, _>>()?;
    Ok(lists.concat())
}

fn record_name(addon: &str) -> String {
    format!("hakube-addon-{addon}")
}

fn record(addon: &str, kinds: &BTreeSet<Kind>) -> Value {
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(api_version, kind)| format!("{api_version} {kind}"))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": record_name(addon),
            "namespace": SYSTEM,
            "labels": {"app.kubernetes.io/managed-by": MANAGER, RECORD: addon},
        },
        "data": {"kinds": kinds.join("\n")},
    })
}

async fn records(objects: &Objects) -> Result<Records, Problem> {
    let kind = ("v1".to_owned(), "ConfigMap".to_owned());
    let records = objects.labelled(&kind, RECORD).await?;
    let records = records
        .iter()
        .filter(|record| record["metadata"]["namespace"] == SYSTEM);
    let read = records.filter_map(|record| {
        let addon = record["metadata"]["labels"][RECORD].as_str()?;
        let lines = record["data"]["kinds"].as_str().unwrap_or_default().lines();
        let kinds = lines.filter_map(|line| line.split_once(' '));
        let kinds = kinds.map(|(api_version, kind)| (api_version.to_owned(), kind.to_owned()));
        Some((addon.to_owned(), kinds.collect()))
    });
    Ok(read.collect())
}

fn is_of(object: &Value, addon: &str) -> bool {
    object["metadata"]["labels"][LABEL] == addon
}

fn is_going(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// Whether both are the same object: one without a namespace is in `default`.
fn is_same(live: &Value, wanted: &Value) -> bool {
    let group = |object: &Value| {
        let (api_version, _) = kind_of(object);
        let group = api_version
            .rsplit_once('/')
            .map(|(group, _)| group.to_owned());
        group.unwrap_or_default()
    };
    let (has, wants) = (&live["metadata"], &wanted["metadata"]);
    let is_there = match wants["namespace"].as_str() {
        Some(namespace) => has["namespace"].is_null() || has["namespace"] == namespace,
        None => has["namespace"].is_null() || has["namespace"] == "default",
    };
    is_there
        && has["name"] == wants["name"]
        && live["kind"] == wanted["kind"]
        && group(live) == group(wanted)
}

fn extra<'a>(addon: &'a Addon, live: &'a [&'a Value]) -> impl Iterator<Item = &'a Value> {
    live.iter().copied().filter(|live| {
        let mut wanted = addon.objects.iter();
        wanted.all(|object| !is_same(live, &object.content))
    })
}

fn describe(object: &Value) -> String {
    let (content, origin) = (object.clone(), None);
    Object { content, origin }.describe()
}
