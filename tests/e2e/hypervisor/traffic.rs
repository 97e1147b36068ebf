//! Continuous clients, and the endpoint's address as they see it.

use super::guests::Guests;
use super::lab::{Lab, PATIENCE};
use crate::support::{Api, Home, Writer, eventually_within};
use std::time::{Duration, Instant};

/// Emulated processors encrypt slowly. At a higher rate, a guest has no time for its health checks.
const PACE: Duration = Duration::from_millis(250);

/// A writer and a reader through the endpoint.
pub struct Traffic {
    api: Api,
    writer: Writer,
    reader: Writer,
}

impl Traffic {
    pub async fn start(home: &Home) -> Self {
        let api = Api::of(home).await;
        api.write("read").await.unwrap();
        let writer = Writer::start_every(PACE, {
            let api = api.clone();
            move |name| {
                let api = api.clone();
                async move { api.write(&name).await }
            }
        });
        let reader = Writer::start_every(PACE, {
            let api = api.clone();
            move |_| {
                let api = api.clone();
                async move { api.has("read").await.map(|there| assert!(there)) }
            }
        });
        Self {
            api,
            writer,
            reader,
        }
    }

    /// Waits until both have a response to a request that was sent after this call.
    pub async fn goes_on(&self) {
        self.writer.goes_on().await;
        self.reader.goes_on().await;
    }

    /// Does something that takes the address from its holder, waits until another guest has it and clients
    /// get responses, and prints how long that took.
    pub async fn moves(
        &self,
        lab: &Lab,
        guests: &Guests<'_>,
        why: &str,
        cause: impl AsyncFnOnce(&str),
    ) {
        let from = guests.holder().await;
        let refused = || (self.writer.refused(), self.reader.refused());
        let before = refused();
        let card = lab.card_of_endpoint();
        let started = Instant::now();
        cause(&from).await;
        eventually_within(PATIENCE, "the address moves", async || {
            lab.card_of_endpoint()
                .filter(|now| Some(now) != card.as_ref())
        })
        .await;
        let held = started.elapsed();
        eventually_within(PATIENCE, "the endpoint responds", async || {
            lab.endpoint_answers().await.then_some(())
        })
        .await;
        let answered = started.elapsed();
        assert_ne!(guests.holder().await, from);
        self.goes_on().await;
        let after = refused();
        eprintln!(
            "vm: {why}: another guest had the address after {:.1} s and answered after {:.1} s; \
             {} writes and {} reads failed",
            held.as_secs_f64(),
            answered.as_secs_f64(),
            after.0 - before.0,
            after.1 - before.1,
        );
    }

    /// Stops. Asserts that every acknowledged write exists, and that the endpoint is unchanged.
    pub async fn finish(self, home: &Home) {
        let server = Api::of(home).await.server;
        assert_eq!(server, self.api.server, "the endpoint moved");
        let (written, read) = (self.writer.finish().await, self.reader.finish().await);
        eprintln!(
            "vm: in all {} writes acknowledged, {} failed; {} reads answered, {} failed",
            written.acknowledged.len(),
            written.refused.len(),
            read.acknowledged.len(),
            read.refused.len(),
        );
        let there = self.api.written().await;
        for name in &written.acknowledged {
            assert!(there.contains(name), "{name} was acknowledged and is lost");
        }
    }
}
