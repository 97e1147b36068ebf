//! Operations that begin.

use crate::base::{Key, Meta, Target, Type};
use crate::rules::managed::Seen;
use crate::state::State;
use crate::types::operation::Status;
use crate::types::{Operation, Request};

impl Seen for Operation {}

impl Operation {
    /// A newly accepted operation and its key.
    pub fn pending(state: &State, request: &Request, id: Option<String>) -> (Key, Self) {
        let of = &request.target.key;
        let key = Key::new(of.scope.clone(), fresh_name()).of(of.project.as_deref());
        let mut meta = Meta {
            name: key.name.clone(),
            ..Meta::default()
        };
        let own = Target {
            kind: Type::Operation,
            key: key.clone(),
        };
        meta.stamp(state, &own);
        let table = state.table(request.target.kind);
        let operation = Self {
            operation_type: request.verb.to_owned(),
            target_link: state.link(&request.target),
            target_id: table.id(&request.target.key).unwrap_or_default(),
            status: Status::Pending,
            progress: 0,
            user: "owner@localhost".into(),
            insert_time: meta.creation_timestamp.clone(),
            start_time: None,
            end_time: None,
            client_operation_id: id,
            error: None,
            http_error_status_code: None,
            http_error_message: None,
            meta,
        };
        (key, operation)
    }
}

/// `operation-<ms>-<hex>-<hex>-<hex>`
fn fresh_name() -> String {
    let milliseconds = jiff::Timestamp::now().as_millisecond();
    let [a, b, c]: [u32; 3] = rand::random();
    format!("operation-{milliseconds}-{a:013x}-{b:08x}-{c:08x}")
}
