//! Operations: what a change answers with, and the work behind it.

mod resource;
mod routes;
mod run;
mod work;

pub use resource::{Operation, Status};
pub use routes::routes;
pub use run::{RequestId, carry_on};
pub use work::{Job, Request, Work};
