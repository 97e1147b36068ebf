//! Faults of a call, and the expected results.

use hakube_local_client::{Act, Moment};

use crate::calls::{Call, Kind};

/// A fault, and the expected result of a command that meets it.
#[derive(Debug, Clone)]
pub struct Fault {
    pub name: &'static str,
    pub act: Act,
    /// How many times in a row.
    pub times: u64,
    pub expected: Expected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It succeeds as if there were no fault.
    Tolerated,
    /// It fails with these words. `replicate` is rolled back; other commands finish when they are run again.
    RolledBack { words: &'static str },
    /// A step fails within its timeout. Then the command fails, and after the fault is over another run finishes
    /// it; or the command finds that the call took effect.
    GivenUp { words: &'static str },
}

/// All faults of that kind of call.
pub fn faults(call: &Call) -> Vec<Fault> {
    let mut faults = anywhere();
    if call.kind != Kind::Read {
        faults.extend(of_changes());
    }
    if call.kind == Kind::Insert {
        faults.push(once(
            "409 from an earlier attempt",
            Act::refuse_after(409, "alreadyExists"),
        ));
    }
    if call.kind == Kind::Update {
        faults.push(once("412 fingerprint", Act::refuse(412, "conditionNotMet")));
    }
    faults
}

fn once(name: &'static str, act: Act) -> Fault {
    Fault {
        name,
        act,
        times: 1,
        expected: Expected::Tolerated,
    }
}

fn anywhere() -> Vec<Fault> {
    let answer = |status, content_type: &str, body: &str| Act::Answer {
        status,
        content_type: content_type.to_owned(),
        body: body.to_owned(),
    };
    let truncated = answer(200, "application/json", "{\"name\": \"kuber");
    vec![
        once(
            "403 rateLimitExceeded",
            Act::refuse(403, "rateLimitExceeded"),
        ),
        once("429", Act::refuse(429, "rateLimitExceeded")),
        once("500", Act::refuse(500, "internalError")),
        once("503", Act::refuse(503, "backendError")),
        once(
            "502 in HTML",
            answer(502, "text/html", "<html>Bad Gateway</html>"),
        ),
        once("connection lost before", Act::drop(Moment::Before)),
        once("connection lost after", Act::drop(Moment::After)),
        once("connection reset before", Act::reset(Moment::Before)),
        once("connection reset after", Act::reset(Moment::After)),
        once("no answer before", Act::no_answer(Moment::Before)),
        once("no answer after", Act::no_answer(Moment::After)),
        once("truncated JSON", truncated),
    ]
}

fn of_changes() -> Vec<Fault> {
    let rolled_back = |name, act, words| Fault {
        expected: Expected::RolledBack { words },
        ..once(name, act)
    };
    let slow = Act::OperationStuck {
        milliseconds: Some(3000),
    };
    vec![
        once("operation RUNNING for 3 s", slow),
        once(
            "operation INTERNAL_ERROR",
            Act::operation_error("INTERNAL_ERROR"),
        ),
        Fault {
            times: 3,
            ..once(
                "resourceNotReady three times",
                Act::refuse(400, "resourceNotReady"),
            )
        },
        rolled_back(
            "operation ZONE_RESOURCE_POOL_EXHAUSTED",
            Act::operation_error("ZONE_RESOURCE_POOL_EXHAUSTED"),
            "ZONE_RESOURCE_POOL_EXHAUSTED",
        ),
        rolled_back(
            "operation QUOTA_EXCEEDED",
            Act::operation_error("QUOTA_EXCEEDED"),
            "QUOTA_EXCEEDED",
        ),
        rolled_back(
            "403 quotaExceeded",
            Act::refuse(403, "quotaExceeded"),
            "Injected fault: quotaExceeded.",
        ),
        rolled_back(
            "403 forbidden",
            Act::refuse(403, "forbidden"),
            "Injected fault: forbidden.",
        ),
        Fault {
            expected: Expected::GivenUp {
                words: "isn't done after",
            },
            ..once("operation stays RUNNING", Act::operation_stuck())
        },
    ]
}
