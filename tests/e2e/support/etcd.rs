//! Direct access to etcd.

use super::{Home, eventually};
use etcd_client::{
    AlarmAction, AlarmOptions, AlarmType, Certificate, Client, ConnectOptions, GetOptions,
    Identity, TlsOptions,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A client of one replica's member, with the certificate of that machine's API server.
#[derive(Clone)]
pub struct Etcd {
    client: Client,
}

impl Etcd {
    /// The member of a replica from `status -o json`.
    pub async fn of(home: &Home, replica: &Value) -> Self {
        let keys = Self::keys(home, replica);
        Self::connect(&keys, text(replica, "address"))
            .await
            .unwrap()
    }

    /// The keys of that machine's API server, which work for every member.
    pub fn keys(home: &Home, replica: &Value) -> TlsOptions {
        let pki = home
            .machine_root(text(replica, "zone"), text(replica, "name"))
            .join("etc/kubernetes/pki");
        let read = |file: &str| std::fs::read(pki.join(file)).unwrap();
        TlsOptions::new()
            .ca_certificate(Certificate::from_pem(read("etcd/ca.crt")))
            .identity(Identity::from_pem(
                read("apiserver-etcd-client.crt"),
                read("apiserver-etcd-client.key"),
            ))
    }

    /// The member at this address.
    pub async fn connect(keys: &TlsOptions, address: &str) -> Result<Self, etcd_client::Error> {
        let options = ConnectOptions::new()
            .with_tls(keys.clone())
            .with_timeout(Duration::from_secs(10))
            .with_connect_timeout(Duration::from_secs(5));
        let client = Client::connect([format!("https://{address}:2379")], Some(options)).await?;
        Ok(Self { client })
    }

    /// Each member's role by name, in the terms of `status`.
    pub async fn roles(&self) -> BTreeMap<String, &'static str> {
        let mut client = self.client.clone();
        let leader = client.status().await.unwrap().leader();
        let members = client.member_list().await.unwrap();
        let role = |member: &etcd_client::Member| match member {
            member if member.is_learner() => "learner",
            member if member.id() == leader => "leader",
            _ => "voter",
        };
        members
            .members()
            .iter()
            .map(|member| (member.name().to_owned(), role(member)))
            .collect()
    }

    /// Removes a member manually. Retries until etcd has seen all members connected for long enough.
    pub async fn remove(&self, name: &str) {
        let mut client = self.client.clone();
        let listed = client.member_list().await.unwrap();
        let mut members = listed.members().iter();
        let id = members.find(|member| member.name() == name).unwrap().id();
        eventually("etcd removes a member", async || {
            client.member_remove(id).await.ok()
        })
        .await;
    }

    pub async fn remove_by_id(&self, id: u64) {
        let mut client = self.client.clone();
        client.member_remove(id).await.unwrap();
    }

    /// Writes a large value, of 128 KiB.
    pub async fn put_large(&self, name: &str) -> Result<(), etcd_client::Error> {
        let mut client = self.client.clone();
        let value = vec![b'x'; 1 << 17];
        let put = client.put(format!("/e2e-large/{name}"), value, None);
        put.await.map(drop)
    }

    /// Deletes the large values with these numbers.
    pub async fn delete_large(&self, numbers: std::ops::Range<usize>) {
        let mut client = self.client.clone();
        for number in numbers {
            let deleted = client.delete(format!("/e2e-large/{number}"), None).await;
            assert_eq!(deleted.unwrap().deleted(), 1, "{number}");
        }
    }

    /// Raises an alarm for a member, like etcd itself.
    pub async fn raise(&self, alarm: AlarmType, name: &str) {
        let mut client = self.client.clone();
        let listed = client.member_list().await.unwrap();
        let mut members = listed.members().iter();
        let id = members.find(|member| member.name() == name).unwrap().id();
        let mut about = AlarmOptions::new();
        about.with_member(id);
        let raised = client.alarm(AlarmAction::Activate, alarm, Some(about));
        raised.await.unwrap();
    }

    pub async fn disarm(&self) {
        let mut client = self.client.clone();
        let raised = client.alarm(AlarmAction::Get, AlarmType::None, None);
        for alarm in raised.await.unwrap().alarms() {
            let mut about = AlarmOptions::new();
            about.with_member(alarm.member_id());
            let disarmed = client.alarm(AlarmAction::Deactivate, alarm.alarm(), Some(about));
            disarmed.await.unwrap();
        }
    }

    /// Deletes hakube's own record: a cluster from before records existed.
    pub async fn forget_record(&self) {
        let mut client = self.client.clone();
        client.delete("/hakube/cluster", None).await.unwrap();
    }

    /// Adds a learner, with retries.
    pub async fn add_learner(&self, peer_url: &str) {
        let mut client = self.client.clone();
        eventually("etcd adds a learner", async || {
            let learner = etcd_client::MemberAddOptions::new().with_is_learner();
            client.member_add([peer_url], Some(learner)).await.ok()
        })
        .await;
    }

    pub async fn peer_urls(&self) -> Vec<String> {
        let members = self.client.clone().member_list().await.unwrap();
        let members = members.members().iter();
        members
            .flat_map(|member| member.peer_urls().to_vec())
            .collect()
    }

    pub async fn write(&self, name: &str) -> Result<(), etcd_client::Error> {
        self.put(name).await.map(drop)
    }

    /// Writes a key, and returns its revision.
    pub async fn put(&self, name: &str) -> Result<i64, etcd_client::Error> {
        let mut client = self.client.clone();
        let answer = client.put(format!("/e2e/{name}"), name, None).await?;
        Ok(answer.header().unwrap().revision())
    }

    pub async fn revisions(&self) -> BTreeMap<String, i64> {
        let all = Some(GetOptions::new().with_prefix());
        let answer = self.client.clone().get("/e2e/", all).await.unwrap();
        let pairs = answer.kvs().iter();
        let name = |pair: &etcd_client::KeyValue| pair.value_str().unwrap().to_owned();
        pairs
            .map(|pair| (name(pair), pair.mod_revision()))
            .collect()
    }

    pub async fn written(&self) -> BTreeSet<String> {
        let all = Some(GetOptions::new().with_prefix());
        let answer = self.client.clone().get("/e2e/", all).await.unwrap();
        answer
            .kvs()
            .iter()
            .map(|pair| pair.value_str().unwrap().to_owned())
            .collect()
    }
}

/// A field of a replica from `status -o json`.
pub fn text<'a>(replica: &'a Value, field: &str) -> &'a str {
    replica[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field}: {replica}"))
}
