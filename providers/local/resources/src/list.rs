//! Lists: filters, order, pages, and the aggregated form.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::base::{ApiError, Level, Scope, catalog};
use crate::filter::Filter;

const MAX_PAGE: usize = 500;

/// The query parameters of lists.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListQuery {
    filter: Option<String>,
    max_results: Option<String>,
    page_token: Option<String>,
    order_by: Option<String>,
}

/// One page of a list.
#[derive(Debug)]
pub struct Page {
    items: Vec<(String, Value)>,
    next: Option<String>,
}

/// The position that a page token holds: newest first, then by name; or by name alone.
type Position = (std::cmp::Reverse<String>, String);

/// The page of `items` (each with its key in the list) that the query requests.
pub fn page(mut items: Vec<(String, Value)>, query: &ListQuery) -> Result<Page, ApiError> {
    if let Some(filter) = query.filter.as_deref().filter(|text| !text.is_empty()) {
        let filter: Filter = filter
            .parse()
            .map_err(|why| ApiError::invalid("filter", filter, why))?;
        items.retain(|(_, item)| filter.accepts(item));
    }
    let newest_first = match query.order_by.as_deref() {
        None | Some("" | "name" | "name asc") => false,
        Some("creationTimestamp desc") => true,
        Some(other) => {
            let why = "Must be one of: name, creationTimestamp desc.";
            return Err(ApiError::invalid("orderBy", other, why));
        }
    };
    let position = |key: &str, item: &Value| -> Position {
        let created = item["creationTimestamp"].as_str().filter(|_| newest_first);
        let created = created.unwrap_or_default().to_owned();
        (std::cmp::Reverse(created), key.to_owned())
    };
    items.sort_by_cached_key(|(key, item)| position(key, item));
    if let Some(token) = query.page_token.as_deref().filter(|text| !text.is_empty()) {
        let after = decode(token).ok_or_else(|| {
            ApiError::invalid(
                "pageToken",
                token,
                "The page token is not one of this list.",
            )
        })?;
        items.retain(|(key, item)| position(key, item) > after);
    }
    let size = page_size(query.max_results.as_deref())?;
    let more = items.len() > size;
    items.truncate(size);
    let last = items.last().filter(|_| more);
    let next = last.map(|(key, item)| encode(&position(key, item)));
    Ok(Page { items, next })
}

fn page_size(text: Option<&str>) -> Result<usize, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(MAX_PAGE);
    };
    match text.parse::<usize>() {
        Ok(0) => Ok(MAX_PAGE),
        Ok(size) if size <= MAX_PAGE => Ok(size),
        _ => Err(ApiError::invalid(
            "maxResults",
            text,
            "Must be a whole number from 0 to 500.",
        )),
    }
}

fn encode((created, key): &Position) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}\n{key}", created.0))
}

fn decode(token: &str) -> Option<Position> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (created, key) = text.split_once('\n')?;
    Some((std::cmp::Reverse(created.to_owned()), key.to_owned()))
}

impl Page {
    /// The response of a list in one scope. Empty lists have no `items`, as in the real API.
    pub fn into_answer(self, kind: &str, self_link: Value) -> Value {
        let mut answer = Map::new();
        answer.insert("kind".into(), kind.into());
        answer.insert("id".into(), "list".into());
        if !self.items.is_empty() {
            let items: Vec<Value> = self.items.into_iter().map(|(_, item)| item).collect();
            answer.insert("items".into(), items.into());
        }
        if let Some(next) = self.next {
            answer.insert("nextPageToken".into(), next.into());
        }
        if self_link.is_string() {
            answer.insert("selfLink".into(), self_link);
        }
        answer.into()
    }

    /// The response of listManagedInstances, which has its own shape.
    pub fn into_managed(self) -> Value {
        let items: Vec<Value> = self.items.into_iter().map(|(_, item)| item).collect();
        let mut answer = json!({"managedInstances": items});
        if let Some(next) = self.next {
            answer["nextPageToken"] = next.into();
        }
        answer
    }

    /// The response of a list over all scopes: one entry per zone or region, empty ones with a warning.
    pub fn into_aggregated(
        self,
        noun: &str,
        collection: &str,
        level: Level,
        self_link: String,
    ) -> Value {
        let mut scopes: Map<String, Value> = scopes(level)
            .map(|scope| (scope.to_string(), no_results(&scope)))
            .collect();
        for (key, item) in self.items {
            let scope = key
                .rsplit_once('/')
                .map_or(key.as_str(), |(scope, _)| scope);
            let entry = scopes.entry(scope).or_insert_with(|| json!({}));
            match entry.get_mut(collection).and_then(Value::as_array_mut) {
                Some(items) => items.push(item),
                None => *entry = json!({ collection: [item] }),
            }
        }
        let mut answer = Map::new();
        answer.insert(
            "kind".into(),
            format!("compute#{noun}AggregatedList").into(),
        );
        answer.insert("id".into(), "aggregated".into());
        answer.insert("items".into(), scopes.into());
        if let Some(next) = self.next {
            answer.insert("nextPageToken".into(), next.into());
        }
        answer.insert("selfLink".into(), self_link.into());
        answer.into()
    }
}

/// The scopes of a level.
pub fn scopes(level: Level) -> Box<dyn Iterator<Item = Scope>> {
    let regions = || catalog::regions().map(|region| Scope::Region(region.to_owned()));
    let zones = || catalog::zones().map(|zone| Scope::Zone(zone.to_owned()));
    match level {
        Level::Global => Box::new(std::iter::once(Scope::Global)),
        Level::Region | Level::GlobalOrRegion => {
            Box::new(std::iter::once(Scope::Global).chain(regions()))
        }
        Level::Zone => Box::new(zones()),
        Level::Any => Box::new(
            std::iter::once(Scope::Global)
                .chain(regions())
                .chain(zones()),
        ),
    }
}

fn no_results(scope: &Scope) -> Value {
    json!({
        "warning": {
            "code": "NO_RESULTS_ON_PAGE",
            "message": format!("There are no results for scope '{scope}' on this page."),
            "data": [{"key": "scope", "value": scope.to_string()}],
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn items(n: usize) -> Vec<(String, Value)> {
        (0..n)
            .map(|i| {
                let name = format!("n{i}");
                let item =
                    json!({"name": name, "creationTimestamp": format!("2026-01-0{}", 9 - i)});
                (name, item)
            })
            .collect()
    }

    fn names(page: &Page) -> Vec<&str> {
        page.items.iter().map(|(key, _)| key.as_str()).collect()
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repeat() {
        let mut query = ListQuery {
            max_results: Some("2".into()),
            ..ListQuery::default()
        };
        let mut seen = Vec::new();
        loop {
            let page = page(items(5), &query).unwrap();
            seen.extend(names(&page).into_iter().map(str::to_owned));
            query.page_token = page.next;
            if query.page_token.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["n0", "n1", "n2", "n3", "n4"]);
    }

    #[test]
    fn the_newest_come_first_when_asked() {
        let query = ListQuery {
            order_by: Some("creationTimestamp desc".into()),
            max_results: Some("1".into()),
            ..ListQuery::default()
        };
        let first = page(items(2), &query).unwrap();
        assert_eq!(names(&first), ["n0"]);
        let query = ListQuery {
            page_token: first.next,
            ..query
        };
        assert_eq!(names(&page(items(2), &query).unwrap()), ["n1"]);
    }

    #[test]
    fn bad_parameters_are_refused() {
        let with = |change: fn(&mut ListQuery)| {
            let mut query = ListQuery::default();
            change(&mut query);
            page(items(1), &query).unwrap_err().status
        };
        assert_eq!(with(|q| q.max_results = Some("501".into())), 400);
        assert_eq!(with(|q| q.page_token = Some("?".into())), 400);
        assert_eq!(with(|q| q.order_by = Some("size".into())), 400);
        assert_eq!(with(|q| q.filter = Some("name ~ x".into())), 400);
    }
}
