//! The form in which a client wants objects: whole, or as the rows of a table that kubectl prints.

use hyper::{HeaderMap, header};
use serde_json::{Value, json};

use super::request::Query;
use super::resources::Resource;
use super::table;

/// What the client asked for. Forms that aren't offered (protobuf, partial metadata, aggregated
/// discovery) get whole JSON objects: all clients read those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON, as stored.
    Whole,
    /// `as=Table`.
    Table(Include),
}

/// How much of each object goes with its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    Nothing,
    /// `PartialObjectMetadata`.
    Metadata,
    /// All of it.
    Object,
}

impl Form {
    /// Of a request: the first form in `Accept` that is offered.
    pub fn of(headers: &HeaderMap, query: &Query) -> Self {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let include = match query.get("includeObject").map(String::as_str) {
            Some("None") => Include::Nothing,
            Some("Object") => Include::Object,
            _ => Include::Metadata,
        };
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            if !matches!(
                parts.next(),
                Some("application/json" | "application/*" | "*/*")
            ) {
                continue;
            }
            let parameters: Vec<&str> = parts.collect();
            match parameters
                .iter()
                .find_map(|parameter| parameter.strip_prefix("as="))
            {
                None => return Self::Whole,
                // v1beta1 went with Kubernetes 1.22; kubectl asks for both.
                Some("Table") if parameters.contains(&"v=v1") => return Self::Table(include),
                Some(_) => {}
            }
        }
        Self::Whole
    }

    /// One object.
    pub fn one(self, resource: &Resource, object: Value) -> Value {
        match self {
            Self::Whole => object,
            Self::Table(include) => {
                let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                self.table(
                    resource,
                    metadata,
                    vec![row(resource, object, include)],
                    true,
                )
            }
        }
    }

    /// A list object.
    pub fn list(self, resource: &Resource, mut list: Value) -> Value {
        match self {
            Self::Whole => list,
            Self::Table(include) => {
                let items = match list["items"].take() {
                    Value::Array(items) => items,
                    _ => Vec::new(),
                };
                let rows = items
                    .into_iter()
                    .map(|object| row(resource, object, include))
                    .collect();
                self.table(resource, list["metadata"].take(), rows, true)
            }
        }
    }

    /// The object of a watch event; `first` of its watch.
    pub fn event(self, resource: &Resource, object: Value, first: bool) -> Value {
        match self {
            Self::Whole => object,
            Self::Table(include) => {
                let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                self.table(
                    resource,
                    metadata,
                    vec![row(resource, object, include)],
                    first,
                )
            }
        }
    }

    fn table(
        self,
        resource: &Resource,
        metadata: Value,
        rows: Vec<Value>,
        with_columns: bool,
    ) -> Value {
        json!({
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "columnDefinitions": if with_columns { table::columns(resource) } else { Vec::new() },
            "rows": rows,
        })
    }
}

fn row(resource: &Resource, object: Value, include: Include) -> Value {
    let cells = table::cells(resource, &object, jiff::Timestamp::now());
    match include {
        Include::Nothing => json!({"cells": cells}),
        Include::Object => json!({"cells": cells, "object": object}),
        Include::Metadata => json!({"cells": cells, "object": {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": object["metadata"],
        }}),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn form(accept: &str) -> Form {
        let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
        Form::of(&headers, &Query::new())
    }

    #[test]
    fn kubectl_gets_tables_and_everybody_else_json() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(form(kubectl), Form::Table(Include::Metadata));
        for other in [
            "",
            "*/*",
            "application/json",
            "application/vnd.kubernetes.protobuf,application/json",
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
        ] {
            assert_eq!(form(other), Form::Whole, "{other}");
        }
    }
}
