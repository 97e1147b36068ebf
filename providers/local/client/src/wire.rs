//! One request to the admin API.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cloud::LocalCloud;
use crate::error::ClientError;
use crate::identity::{PATH, Proof};

/// How long the daemon may take to respond. It waits only for the disk and its own machines.
const ANSWER: Duration = Duration::from_secs(20);
/// How long the identity check and `/status` may take.
const SIGN: Duration = Duration::from_secs(5);

impl LocalCloud {
    /// Sends a request with a JSON response.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let answer = self.send(method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|error| ClientError::Connection {
            url: path.to_owned(),
            why: error.to_string(),
        })
    }

    /// Sends a request; `path` is below the admin API's root.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, ClientError> {
        let not_running = || ClientError::NotRunning {
            home: self.home.directory().to_owned(),
        };
        let daemon = self.home.daemon()?.ok_or_else(not_running)?;
        let token = self.home.read_token()?.ok_or_else(not_running)?;
        let broken = |why: String| ClientError::Connection {
            url: daemon.url.clone(),
            why,
        };
        let address: SocketAddr = daemon
            .url
            .trim_start_matches("http://")
            .parse()
            .map_err(|_| broken("its address isn't one".into()))?;
        // daemon.json outlives a killed daemon.
        let stream = TcpStream::connect(address)
            .await
            .map_err(|_| not_running())?;
        let request = |method: Method, path: &str| {
            Request::builder()
                .method(method)
                .uri(format!("/local/v1{path}"))
                .header(header::HOST, address.to_string())
        };
        let mut connection = Connection::over(stream)
            .await
            .map_err(|error| broken(error.to_string()))?;
        // Another user's program may listen where a killed daemon did. It must not get the token.
        let challenge = format!("{:032x}", rand::random::<u128>());
        let ask = request(Method::GET, &format!("{PATH}?challenge={challenge}"));
        let ask = ask.body(Full::default());
        let ask = ask.map_err(|error| broken(error.to_string()))?;
        let answer = timeout(SIGN, connection.exchange(ask)).await;
        let proof = match &answer {
            Ok(Ok((_, content))) => serde_json::from_slice::<Proof>(content).ok(),
            _ => None,
        };
        if !proof.is_some_and(|proof| proof.holds(&token, &challenge)) {
            return Err(match (self.home.lock()?, answer) {
                (Some(_), _) => not_running(),
                (None, Err(_)) => ClientError::Silent {
                    pid: daemon.pid,
                    seconds: SIGN.as_secs(),
                },
                // A daemon that is being killed hangs up before its lock is released.
                (None, Ok(Err(error))) => broken(error.to_string()),
                (None, Ok(Ok(_))) => ClientError::Unproven { url: daemon.url },
            });
        }
        let request = request(method, path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| broken(error.to_string()))?;
        let limit = if path == "/status" { SIGN } else { ANSWER };
        let answer = timeout(limit, connection.exchange(request)).await;
        let answer = answer.map_err(|_| ClientError::Silent {
            pid: daemon.pid,
            seconds: limit.as_secs(),
        })?;
        let (status, content) = answer.map_err(|error| broken(error.to_string()))?;
        if status.is_success() {
            return Ok(content);
        }
        Err(ClientError::Refused {
            status: status.as_u16(),
            message: message(&content),
        })
    }
}

/// One connection for several requests. Once the peer has proven to be the cloud, the next request goes to
/// the same peer.
struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    task: tokio::task::JoinHandle<Result<(), hyper::Error>>,
}

impl Connection {
    async fn over(stream: TcpStream) -> Result<Self, hyper::Error> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let task = tokio::spawn(connection);
        Ok(Self { sender, task })
    }

    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), hyper::Error> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let content = answer.into_body().collect().await?.to_bytes();
        Ok((status, content))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The message of an error in Compute Engine's format, or the raw content.
fn message(content: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(content).ok();
    json.as_ref()
        .and_then(|json| json["error"]["message"].as_str())
        .map_or_else(
            || String::from_utf8_lossy(content).into_owned(),
            str::to_owned,
        )
}

/// Every character that RFC 3986 may reserve.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Percent-encoding for a path segment or a query value.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
