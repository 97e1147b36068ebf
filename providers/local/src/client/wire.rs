//! One request to the admin API.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use super::{ClientError, LocalCloud};

impl LocalCloud {
    /// A request whose answer is JSON.
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

    /// A request; `path` is below the admin API's root.
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
        let request = Request::builder()
            .method(method)
            .uri(format!("/local/v1{path}"))
            .header(header::HOST, address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Full::new(body))
            .map_err(|error| broken(error.to_string()))?;
        let (status, content) = exchange(stream, request)
            .await
            .map_err(|error| broken(error.to_string()))?;
        if status.is_success() {
            return Ok(content);
        }
        Err(ClientError::Refused {
            status: status.as_u16(),
            message: message(&content),
        })
    }
}

async fn exchange(
    stream: TcpStream,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let content = answer.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((status, content))
}

/// The message of an error in Compute Engine's shape, or whatever came instead.
fn message(content: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(content).ok();
    json.as_ref()
        .and_then(|json| json["error"]["message"].as_str())
        .map_or_else(
            || String::from_utf8_lossy(content).into_owned(),
            str::to_owned,
        )
}

/// Percent-encoding for a path segment or a query value.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
