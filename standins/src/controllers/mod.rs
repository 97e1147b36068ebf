//! Stand-ins for kube-controller-manager and kube-scheduler: they hold their leases and serve /healthz.

mod node_lifecycle;

use hyper::{Response, StatusCode};

use crate::client::ApiClient;
use crate::error::Result;
use crate::flags::Flags;
use crate::leader_election::Election;
use crate::serve::{self, Body, full};
use crate::tls;

/// Leads, if elected, and marks silent nodes; that is all.
pub async fn controller_manager(flags: &Flags) -> Result<()> {
    let client = client(flags)?;
    let lifecycle = node_lifecycle::run(
        client.clone(),
        flags.duration("node-monitor-period"),
        flags.duration("node-monitor-grace-period"),
    );
    run(flags, client, lifecycle).await
}

/// Leads, if elected, and has nothing to schedule.
pub async fn scheduler(flags: &Flags) -> Result<()> {
    run(flags, client(flags)?, std::future::pending()).await
}

fn client(flags: &Flags) -> Result<ApiClient> {
    flags.required("kubeconfig")?;
    ApiClient::from_kubeconfig("kubeconfig", &flags.path("kubeconfig").unwrap_or_default())
}

/// Serves health, and does `work` while leading.
async fn run(flags: &Flags, client: ApiClient, work: impl Future<Output = ()>) -> Result<()> {
    serve_health(flags).await?;
    if !flags.bool("leader-elect") {
        work.await;
        return Ok(());
    }
    let mut election = Election::new(flags, client)?;
    election.acquire().await;
    tokio::select! {
        lost = election.renew() => Err(lost),
        () = work => Ok(()),
    }
}

/// /healthz, /livez and /readyz over TLS, with the certificate that the flags name or one of its own.
async fn serve_health(flags: &Flags) -> Result<()> {
    if flags.text("secure-port") == Some("0") {
        return Ok(());
    }
    let (chain, key) = match flags.text("tls-cert-file") {
        Some(_) => (
            tls::certificates(&flags.read("tls-cert-file")?)
                .map_err(|why| flags.bad_content("tls-cert-file", why))?,
            tls::private_key(&flags.read("tls-private-key-file")?)
                .map_err(|why| flags.bad_content("tls-private-key-file", why))?,
        ),
        None => tls::self_signed(vec![
            "localhost".to_owned(),
            flags.required("bind-address")?.to_owned(),
        ])?,
    };
    let config = tls::server(chain, key)?;
    let address = flags.listen_address()?;
    let listener = serve::listen(&address).await?;
    tracing::info!(%address, "serving health");
    tokio::spawn(serve::serve(listener, config, |request, _| {
        let known = matches!(request.uri().path(), "/healthz" | "/livez" | "/readyz");
        async move {
            if known {
                plain(StatusCode::OK, "ok")
            } else {
                plain(StatusCode::NOT_FOUND, "404 page not found\n")
            }
        }
    }));
    Ok(())
}

fn plain(code: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = code;
    response
}
