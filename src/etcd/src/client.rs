//! The client: etcd-client over mutual TLS.

use super::{Etcd, EtcdError, EtcdResult, Member, MemberStatus};
use async_trait::async_trait;
use etcd_client::{
    AlarmAction, AlarmOptions, AlarmType, Certificate, Client, CompactionOptions, ConnectOptions,
    Error, Identity, MemberAddOptions, ResponseHeader, StatusResponse, TlsOptions,
};
use hakube_channel::Door;
use hakube_model::{Alarm, DatabaseSize};
use hakube_pki::ClientIdentity;
use std::time::Duration;

/// The timeout of one call. A longer one than etcd's own 7 s for a request without quorum has no
/// benefit, and would detect a paused member later.
const CALL: Duration = Duration::from_secs(3);
/// etcd's message for a request that it refuses because of a CORRUPT alarm.
const CORRUPT: &str = "corrupt cluster";
/// etcd's message for a compaction that was already done.
const COMPACTED: &str = "has been compacted";
/// The timeout of connecting.
const CONNECT: Duration = Duration::from_secs(1);

/// A client with the operator's certificate.
pub struct EtcdClient {
    tls: TlsOptions,
}

impl EtcdClient {
    /// A client with this identity that trusts its CA.
    pub fn new(identity: &ClientIdentity) -> Self {
        let tls = TlsOptions::new()
            .ca_certificate(Certificate::from_pem(&identity.ca))
            .identity(Identity::from_pem(
                &identity.certificate,
                identity.key.expose(),
            ));
        Self { tls }
    }

    async fn connect(&self, to: &Door, within: Duration) -> EtcdResult<Client> {
        // The certificate must be that machine's: the address may belong to another one.
        let options = ConnectOptions::new()
            .with_tls(self.tls.clone().domain_name(&to.machine))
            .with_timeout(within)
            .with_connect_timeout(CONNECT);
        Client::connect([format!("https://{}", to.at)], Some(options))
            .await
            .map_err(|error| behind(to, EtcdError::from_client(&error)))
    }

    /// Calls through the first member that responds, even with a refusal.
    async fn through<T, F, C>(&self, via: &[Door], call: C) -> EtcdResult<T>
    where
        C: Fn(Client) -> F,
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        self.through_within(CALL, via, call).await
    }

    /// The same for calls that take longer.
    async fn through_within<T, F, C>(
        &self,
        within: Duration,
        via: &[Door],
        call: C,
    ) -> EtcdResult<T>
    where
        C: Fn(Client) -> F,
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let mut last = EtcdError::Unreachable {
            at: "no address".into(),
            why: "no member is known".into(),
        };
        for door in via {
            let answer = async {
                let client = self.connect(door, within).await?;
                call(client)
                    .await
                    .map_err(|error| EtcdError::from_client(&error))
            };
            // The client's own timeouts don't cover a TLS handshake with a paused process.
            let answer = tokio::time::timeout(within, answer)
                .await
                .unwrap_or_else(|_| {
                    let why = format!("no response within {} s", within.as_secs());
                    Err(EtcdError::Unreachable {
                        at: door.to_string(),
                        why,
                    })
                });
            match answer {
                Err(error @ EtcdError::Unreachable { .. }) => last = behind(door, error),
                answer => return answer,
            }
        }
        Err(last)
    }
}

/// etcd uses a signed type, but never counts below 0.
fn bytes(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

fn member_status(status: &StatusResponse) -> MemberStatus {
    let header = status.header();
    MemberStatus {
        id: header.map(ResponseHeader::member_id).unwrap_or_default(),
        leader: status.leader(),
        version: status.version().to_owned(),
        database: DatabaseSize {
            bytes: bytes(status.db_size()),
            in_use: bytes(status.raft_used_db_size()),
            // Before 3.6, members don't report it.
            quota: Some(bytes(status.db_size_quota())).filter(|quota| *quota > 0),
        },
        revision: header.map(ResponseHeader::revision).unwrap_or_default(),
    }
}

fn behind(door: &Door, error: EtcdError) -> EtcdError {
    match error {
        EtcdError::Unreachable { why, .. } => EtcdError::Unreachable {
            at: door.to_string(),
            why,
        },
        other => other,
    }
}

#[async_trait]
impl Etcd for EtcdClient {
    async fn members(&self, via: &[Door]) -> EtcdResult<Vec<Member>> {
        let list = self
            .through(via, |mut client| async move { client.member_list().await })
            .await?;
        Ok(list
            .members()
            .iter()
            .map(|member| Member {
                id: member.id(),
                name: member.name().to_owned(),
                peer_urls: member.peer_urls().to_vec(),
                learner: member.is_learner(),
            })
            .collect())
    }

    async fn status(&self, at: &Door) -> EtcdResult<MemberStatus> {
        let status = self.through(std::slice::from_ref(at), |mut client| async move {
            match client.get("health", None).await {
                // With a CORRUPT alarm, reads are refused, but only once they could be served.
                Err(Error::GRpcStatus(status)) if status.message().contains(CORRUPT) => {}
                read => drop(read?),
            }
            client.status().await
        });
        status.await.map(|status| member_status(&status))
    }

    async fn learner_status(&self, at: &Door) -> EtcdResult<MemberStatus> {
        let at = std::slice::from_ref(at);
        let status = self.through(at, |mut client| async move { client.status().await });
        status.await.map(|status| member_status(&status))
    }

    async fn alarms(&self, via: &[Door]) -> EtcdResult<Vec<(u64, Alarm)>> {
        let raised = self
            .through(via, |mut client| async move {
                client.alarm(AlarmAction::Get, AlarmType::None, None).await
            })
            .await?;
        let known = raised.alarms().iter().filter_map(|raised| {
            let alarm = match raised.alarm() {
                AlarmType::Nospace => Alarm::NoSpace,
                AlarmType::Corrupt => Alarm::Corrupt,
                AlarmType::None => return None,
            };
            Some((raised.member_id(), alarm))
        });
        Ok(known.collect())
    }

    async fn get(&self, via: &[Door], key: &str) -> EtcdResult<Option<Vec<u8>>> {
        let found = self
            .through(via, |mut client| async move { client.get(key, None).await })
            .await?;
        Ok(found.kvs().first().map(|found| found.value().to_vec()))
    }

    async fn put(&self, via: &[Door], key: &str, value: Vec<u8>) -> EtcdResult<()> {
        let put = |mut client: Client| {
            let value = value.clone();
            async move { client.put(key, value, None).await }
        };
        self.through(via, put).await.map(drop)
    }

    async fn add_learner(&self, via: &[Door], peer_url: &str) -> EtcdResult<u64> {
        let added = self
            .through(via, |mut client| async move {
                let learner = MemberAddOptions::new().with_is_learner();
                client.member_add([peer_url], Some(learner)).await
            })
            .await?;
        added.member().map(etcd_client::Member::id).ok_or_else(|| {
            EtcdError::Other("etcd added a member but didn't return its ID".to_owned())
        })
    }

    async fn promote(&self, via: &[Door], member: u64) -> EtcdResult<()> {
        self.through(via, |mut client| async move {
            client.member_promote(member).await
        })
        .await
        .map(drop)
    }

    async fn remove(&self, via: &[Door], member: u64) -> EtcdResult<()> {
        match self
            .through(via, |mut client| async move {
                client.member_remove(member).await
            })
            .await
        {
            Ok(_) | Err(EtcdError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn compact(&self, via: &[Door], within: Duration) -> EtcdResult<()> {
        let compacted = self.through_within(within, via, |mut client| async move {
            let read = client.get("health", None).await?;
            let revision = read.header().map_or(0, |header| header.revision());
            let whole = CompactionOptions::new().with_physical();
            match client.compact(revision, Some(whole)).await {
                Err(Error::GRpcStatus(status)) if status.message().contains(COMPACTED) => Ok(()),
                compacted => compacted.map(drop),
            }
        });
        compacted.await
    }

    async fn defragment(&self, at: &Door, within: Duration) -> EtcdResult<()> {
        let door = std::slice::from_ref(at);
        self.through_within(within, door, |mut client| async move {
            client.defragment().await
        })
        .await
        .map(drop)
    }

    async fn disarm(&self, via: &[Door], alarm: Alarm) -> EtcdResult<()> {
        let kind = match alarm {
            Alarm::NoSpace => AlarmType::Nospace,
            Alarm::Corrupt => AlarmType::Corrupt,
        };
        let raised = self.alarms(via).await?;
        for (member, _) in raised.into_iter().filter(|(_, raised)| *raised == alarm) {
            self.through(via, |mut client| async move {
                let mut about = AlarmOptions::new();
                about.with_member(member);
                client
                    .alarm(AlarmAction::Deactivate, kind, Some(about))
                    .await
            })
            .await?;
        }
        Ok(())
    }

    async fn snapshot(&self, at: &Door, within: Duration) -> EtcdResult<Vec<u8>> {
        let at = std::slice::from_ref(at);
        let read = |mut client: Client| async move {
            let mut stream = client.snapshot().await?;
            let mut snapshot = Vec::new();
            while let Some(part) = stream.message().await? {
                snapshot.extend_from_slice(part.blob());
            }
            Ok(snapshot)
        };
        self.through_within(within, at, read).await
    }

    async fn move_leader(&self, leader: &Door, to: u64) -> EtcdResult<()> {
        self.through(std::slice::from_ref(leader), |mut client| async move {
            client.move_leader(to).await
        })
        .await
        .map(drop)
    }
}
