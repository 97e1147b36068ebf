//! Whether the endpoint responds after a plan, and the wait for it.

use super::id::{StepId, Verb};
use super::step::{Action, Draft};
use hakube_model::Observed;

/// Whether the endpoint responds after this plan.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It responds all the time, or from the step [`Verb::AwaitEndpoint`] on.
    Promised,
    /// A later plan takes care of it.
    Open,
}

/// Adds the check that the endpoint responds, if the plan changes it or it doesn't respond now.
pub(super) fn await_answer(observed: &Observed, draft: &mut Draft) -> Answer {
    let moves = moves(draft);
    if draft.has(&Verb::PointEndpoint.into()) || !moves.is_empty() || !observed.endpoint_ready {
        let mut needs = draft.all(Verb::ControlPlane);
        needs.extend([Verb::Balancer.into(), Verb::PointEndpoint.into()]);
        needs.extend(moves);
        draft.add(
            Verb::AwaitEndpoint,
            "wait until the endpoint responds",
            Action::AwaitEndpoint,
            &needs,
        );
    }
    Answer::Promised
}

/// The keys of the steps that may move the address, or change who shares it.
pub(super) fn moves(draft: &Draft) -> Vec<StepId> {
    let mut moves = draft.all(Verb::ReleaseAddress);
    moves.extend(draft.all(Verb::ShareAddress));
    moves
}
