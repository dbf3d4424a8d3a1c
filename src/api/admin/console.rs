//! A guest's console over the API: after an upgrade to `bothy-console` the connection carries the
//! console's bytes, both ways.

use axum::{
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONNECTION, UPGRADE},
    },
    response::{IntoResponse as _, Response},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::guest::{find, pick, which};
use crate::{
    api::{
        Ctx, Services,
        extract::{Id, query},
        problem::{Answer, Problem},
    },
    model::{
        error::{Fault, Result},
        id::{VnfId, VnfcId},
    },
    nfvo::Nfvo,
};

const PROTOCOL: HeaderValue = HeaderValue::from_static("bothy-console");

#[derive(Clone, Copy)]
enum Device {
    Serial,
    Vnc,
}

pub async fn open(State(s): Ctx, Id(id): Id<VnfId>, request: Request) -> Answer<Response> {
    let (vdu, device) = which(request.uri(), Some("device"))?;
    upgraded(&s, request, device, move |n| Ok(pick(&find(n, id)?, vdu.as_deref())?.id)).await
}

/// The same of a guest that no record names.
pub async fn of_stray(State(s): Ctx, Id(id): Id<VnfcId>, request: Request) -> Answer<Response> {
    let device = query(request.uri(), &["device"])?.pop().map(|(_, v)| v);
    upgraded(&s, request, device, move |n| Ok(n.vnfm().stray(id)?.id)).await
}

async fn upgraded(
    s: &Services,
    mut request: Request,
    device: Option<String>,
    guest: impl FnOnce(&Nfvo) -> Result<VnfcId> + Send + 'static,
) -> Answer<Response> {
    let device = match device.as_deref() {
        None | Some("serial") => Device::Serial,
        Some("vnc") => Device::Vnc,
        Some(other) => return Err(Box::new(Problem::malformed(format!("device: '{other}' is neither serial nor vnc")))),
    };
    let asked = request.headers().get(UPGRADE).is_some_and(|u| u.as_bytes().eq_ignore_ascii_case(PROTOCOL.as_bytes()));
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().filter(|_| asked);
    let Some(upgrade) = upgrade else {
        let p = Problem::new(StatusCode::UPGRADE_REQUIRED, "a console needs Upgrade: bothy-console, over HTTP/1.1");
        return Err(Box::new(p.header(UPGRADE, PROTOCOL).header(CONNECTION, HeaderValue::from_static("upgrade"))));
    };
    let (id, stream) = s
        .domain(move |n| {
            let id = guest(n)?;
            Ok((id, connect(n, id, device)?))
        })
        .await?;
    let bad = |e: std::io::Error| Fault::transient(format!("the console cannot be taken over: {e}")).with_source(e);
    stream.set_nonblocking(true).map_err(bad)?;
    let guest = UnixStream::from_std(stream).map_err(bad)?;
    tokio::spawn(carry(upgrade, guest, id));
    let head = [(UPGRADE, PROTOCOL), (CONNECTION, HeaderValue::from_static("upgrade"))];
    Ok((StatusCode::SWITCHING_PROTOCOLS, head).into_response())
}

fn connect(nfvo: &Nfvo, id: VnfcId, device: Device) -> Result<std::os::unix::net::UnixStream> {
    let hypervisor = nfvo.vnfm().hypervisor();
    match device {
        Device::Serial => hypervisor.console(id),
        Device::Vnc => {
            let path = hypervisor.vnc(id)?.ok_or_else(|| Fault::not_found(format!("guest {id} has no VNC console")))?;
            std::os::unix::net::UnixStream::connect(&path)
                .map_err(|e| Fault::transient(format!("the VNC console of guest {id} does not answer: {e}")).with_source(e))
        }
    }
}

/// Bytes both ways until one side ends.
async fn carry(upgrade: OnUpgrade, mut guest: UnixStream, id: VnfcId) {
    match upgrade.await {
        Ok(client) => {
            tracing::info!(guest = %id, "console opened");
            let mut client = TokioIo::new(client);
            match tokio::io::copy_bidirectional(&mut client, &mut guest).await {
                Ok((sent, received)) => tracing::info!(guest = %id, sent, received, "console closed"),
                Err(e) => tracing::info!(guest = %id, error = %e, "console closed"),
            }
        }
        Err(e) => tracing::debug!(guest = %id, error = %e, "the client left before its console was open"),
    }
}
