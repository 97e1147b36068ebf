//! The real thing: etcd-client over mutual TLS.

use super::{Etcd, EtcdError, EtcdResult, Member, MemberStatus};
use crate::channel::Door;
use crate::cluster::Alarm;
use crate::pki::ClientIdentity;
use async_trait::async_trait;
use etcd_client::{
    AlarmAction, AlarmType, Certificate, Client, ConnectOptions, Error, Identity, MemberAddOptions,
    TlsOptions,
};
use std::time::Duration;

/// How long one call may take: above etcd's own 7 s for a request without quorum nothing is gained,
/// and a paused member is found out sooner.
const CALL: Duration = Duration::from_secs(3);
/// etcd's words for a request that it refuses because the alarm CORRUPT is raised.
const CORRUPT: &str = "corrupt cluster";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);

/// A client with the operator's own certificate.
pub struct EtcdClient {
    tls: TlsOptions,
}

impl EtcdClient {
    /// A client that presents this identity and trusts its CA.
    pub fn new(identity: &ClientIdentity) -> Self {
        let tls = TlsOptions::new()
            .ca_certificate(Certificate::from_pem(&identity.ca))
            .identity(Identity::from_pem(
                &identity.certificate,
                identity.key.expose(),
            ));
        Self { tls }
    }

    async fn connect(&self, to: &Door) -> EtcdResult<Client> {
        // The certificate must be that machine's: what answers at an address may be another's.
        let options = ConnectOptions::new()
            .with_tls(self.tls.clone().domain_name(&to.machine))
            .with_timeout(CALL)
            .with_connect_timeout(CONNECT);
        Client::connect([format!("https://{}", to.at)], Some(options))
            .await
            .map_err(|error| behind(to, EtcdError::from_client(&error)))
    }

    /// Calls through the first member that answers. A refusal is an answer.
    async fn through<T, F, C>(&self, via: &[Door], call: C) -> EtcdResult<T>
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
                let client = self.connect(door).await?;
                call(client)
                    .await
                    .map_err(|error| EtcdError::from_client(&error))
            };
            // The client's own timeouts don't cover a TLS handshake with a process that is paused.
            let answer = tokio::time::timeout(CALL, answer)
                .await
                .unwrap_or_else(|_| {
                    let why = format!("no answer within {} s", CALL.as_secs());
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

    async fn status(&self, at: &Door, learner: bool) -> EtcdResult<MemberStatus> {
        let status = self
            .through(std::slice::from_ref(at), |mut client| async move {
                if !learner {
                    match client.get("health", None).await {
                        // While CORRUPT is raised, reads are refused; but only once they could be answered.
                        Err(Error::GRpcStatus(status)) if status.message().contains(CORRUPT) => {}
                        read => drop(read?),
                    }
                }
                client.status().await
            })
            .await?;
        Ok(MemberStatus {
            id: status
                .header()
                .map(|header| header.member_id())
                .unwrap_or_default(),
            leader: status.leader(),
            version: status.version().to_owned(),
        })
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

    async fn add_learner(&self, via: &[Door], peer_url: &str) -> EtcdResult<u64> {
        let added = self
            .through(via, |mut client| async move {
                let learner = MemberAddOptions::new().with_is_learner();
                client.member_add([peer_url], Some(learner)).await
            })
            .await?;
        added
            .member()
            .map(etcd_client::Member::id)
            .ok_or_else(|| EtcdError::Other("etcd added a member without saying which".to_owned()))
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

    async fn move_leader(&self, leader: &Door, to: u64) -> EtcdResult<()> {
        self.through(std::slice::from_ref(leader), |mut client| async move {
            client.move_leader(to).await
        })
        .await
        .map(drop)
    }
}
