//! Takes a large body to disk: streamed, measured and digested while it is written, synced at the
//! end. What is not kept is removed.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode},
};
use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    Services,
    extract::{check_length, linger, next_piece, require_type, too_large},
    fetch,
    problem::{Answer, Problem},
    who,
};
use crate::{
    config::Config,
    model::{
        error::{Fault, Kind, Result},
        size,
    },
    nfvo::Nfvo,
    vnfm::package,
};

/// A body on disk, complete and synced. Removed when dropped, unless kept.
#[derive(Debug)]
pub struct Upload {
    path: Utf8PathBuf,
    pub size: size::Bytes,
    pub sha256: [u8; 32],
    kept: bool,
}

impl Upload {
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }
    /// As the domain takes it over.
    pub fn as_domain(&self) -> package::Upload {
        package::Upload { path: self.path.clone(), sha256: self.sha256, size: self.size }
    }
    /// The file is somebody else's from here on.
    pub fn keep(mut self) -> Utf8PathBuf {
        self.kept = true;
        std::mem::take(&mut self.path)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What becomes of the record whose content a body is.
pub struct Content {
    pub begin: fn(&Nfvo, Uuid) -> Result<()>,
    pub abort: fn(&Nfvo, Uuid) -> Result<()>,
    pub uploaded: fn(&Arc<Nfvo>, Uuid, package::Upload) -> Result<()>,
    /// A VNF package's may have artefacts elsewhere, which are fetched before it is read.
    pub may_lack: bool,
}

/// Takes the archive of a package or a descriptor (SOL005 5.4.4.3.3, 9.4.5.3.3).
pub async fn content(s: Arc<Services>, to: &'static Content, id: Uuid, headers: HeaderMap, mut body: Body) -> Answer<StatusCode> {
    // On its own task from the beginning on: it has an end also when the client hangs up in the middle.
    who::through(async move {
        let begun = match require_type(&headers, is_archive, "application/zip") {
            Ok(()) => s.domain(move |n| (to.begin)(n, id)).await,
            Err(p) => Err(p),
        };
        if let Err(p) = begun {
            linger(&mut body).await;
            return Err(p);
        }
        let got = match receive(&s, &headers, body).await {
            Ok(got) => got,
            Err(p) => {
                s.conclude(move |n| (to.abort)(n, id)).await?;
                return Err(p);
            }
        };
        if to.may_lack {
            let (got, lacks) = match fetch::lacking(&s, id, got).await {
                Ok(both) => both,
                Err(p) => {
                    s.conclude(move |n| (to.abort)(n, id)).await?;
                    return Err(p);
                }
            };
            if !lacks.is_empty() {
                // It may take long, and whoever sent the archive has done his part.
                who::spawn(fetch::see_through(s.clone(), id, Some(got), lacks));
                return Ok(());
            }
            return s.conclude(move |n| (to.uploaded)(n, id, got.as_domain())).await;
        }
        s.conclude(move |n| (to.uploaded)(n, id, got.as_domain())).await
    })
    .await?;
    Ok(StatusCode::ACCEPTED)
}

pub fn folder(config: &Config) -> Utf8PathBuf {
    config.data_dir.join("uploads")
}

/// Types under which clients send packages and archives.
pub fn is_archive(media_type: &str) -> bool {
    matches!(media_type, "application/zip" | "application/x-zip-compressed" | "application/octet-stream")
}

/// Makes the folder, and empties it of what a dead daemon left.
pub fn prepare(config: &Config) -> std::io::Result<()> {
    let dir = folder(config);
    std::fs::create_dir_all(&dir)?;
    for entry in dir.read_dir_utf8()? {
        std::fs::remove_file(entry?.path())?;
    }
    Ok(())
}

/// How often free space is looked at.
pub(super) const LOOK_EVERY: u64 = 16 << 20;

struct Limits {
    upload: u64,
    idle: Duration,
    /// The least pace: in each such span 1 MiB has to come in, all in all.
    pace: Duration,
}

/// Of a body that was asked for.
const MINUTE: Duration = Duration::from_secs(60);
const LEAST: u64 = 1 << 20;

/// Whoever sends may take one span to begin.
fn too_slow(size: u64, took: Duration, pace: Duration) -> bool {
    let spans = took.as_millis() / pace.as_millis().max(1);
    u128::from(size) < spans * u128::from(LEAST)
}

/// Whether so many more bytes may be written.
type Room = Arc<dyn Fn(u64) -> Result<()> + Send + Sync>;

/// Streams `body` to a file in the uploads folder.
pub async fn receive(s: &Services, headers: &HeaderMap, mut body: Body) -> Answer<Upload> {
    let config = s.config.now();
    let limits = Limits {
        upload: config.limits.upload_mib << 20,
        idle: Duration::from_secs(config.limits.idle_timeout_s),
        pace: Duration::from_secs(config.limits.body_timeout_s),
    };
    let got = take(&folder(&config), headers, &mut body, &limits, room(s)).await;
    if got.is_err() {
        linger(&mut body).await;
    }
    got
}

fn room(s: &Services) -> Room {
    let nfvo = s.nfvo.clone();
    Arc::new(move |wanted| nfvo.vnfm().room_for("for the upload", size::Bytes(wanted)))
}

/// The same of a body that somebody else sends because he was asked to: nobody waits to read why it was refused, and one that
/// comes in drops is. `idle`: how long nothing may come, where that is not for the configuration to say.
pub async fn fetched(s: &Services, headers: &HeaderMap, mut body: Body, idle: Option<Duration>) -> Answer<Upload> {
    let config = s.config.now();
    let idle = idle.unwrap_or(Duration::from_secs(config.limits.idle_timeout_s));
    let limits = Limits { upload: config.limits.upload_mib << 20, idle, pace: MINUTE };
    take(&folder(&config), headers, &mut body, &limits, room(s)).await
}

async fn take(dir: &Utf8Path, headers: &HeaderMap, body: &mut Body, limits: &Limits, room: Room) -> Answer<Upload> {
    let length = check_length(headers, limits.upload)?;
    let first = room.clone();
    tokio::task::spawn_blocking(move || first(length.unwrap_or(0))).await.map_err(|_| broken())?.map_err(no_room)?;
    let path = dir.join(format!("upload-{}", Uuid::new_v4().simple()));
    // Dropped with its file on every way out but the last.
    let mut upload = Upload { path: path.clone(), size: size::Bytes(0), sha256: [0; 32], kept: false };
    // Two pieces in flight: the network waits for the disk.
    let (to_disk, pieces) = mpsc::channel::<Bytes>(2);
    let writer = tokio::task::spawn_blocking(move || write(&path, &room, pieces));
    let fed = feed(body, &to_disk, limits).await;
    drop(to_disk);
    let written = writer.await.map_err(|_| broken())?;
    // A disk that failed is the reason why feeding ended early.
    upload.sha256 = written?;
    upload.size = size::Bytes(fed?);
    Ok(upload)
}

fn broken() -> Box<Problem> {
    Fault::bug("writing the upload failed").into()
}

/// 503: an upload of this size is right on a day with more room.
pub(super) fn no_room(fault: Fault) -> Box<Problem> {
    match fault.kind() {
        Kind::Capacity => Box::new(Problem::busy(fault.detail(), 60)),
        Kind::Invalid | Kind::NotFound | Kind::Conflict | Kind::Forbidden | Kind::Transient | Kind::Bug | Kind::Stale => fault.into(),
    }
}

async fn feed(body: &mut Body, to_disk: &mpsc::Sender<Bytes>, limits: &Limits) -> Answer<u64> {
    let (mut size, began) = (0u64, Instant::now());
    while let Some(piece) = next_piece(body, limits.idle).await? {
        size += piece.len() as u64;
        if size > limits.upload {
            return Err(too_large(limits.upload));
        }
        if too_slow(size, began.elapsed(), limits.pace) {
            let (so_much, took, pace) = (size::Bytes(size), began.elapsed().as_secs(), limits.pace.as_secs());
            let detail = format!("only {so_much} came in {took} s: 1 MiB each {pace} s is the least");
            return Err(Box::new(Problem::new(StatusCode::REQUEST_TIMEOUT, detail)));
        }
        if to_disk.send(piece).await.is_err() {
            break;
        }
    }
    Ok(size)
}

fn write(path: &Utf8Path, room: &Room, mut pieces: mpsc::Receiver<Bytes>) -> Answer<[u8; 32]> {
    let bad = |e: std::io::Error| {
        tracing::warn!(%path, error = %e, "an upload cannot be written");
        Box::new(Problem::busy(format!("the upload cannot be stored: {}", e.kind()), 60))
    };
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(bad)?;
    let (mut digest, mut unlooked) = (Sha256::new(), 0);
    while let Some(piece) = pieces.blocking_recv() {
        unlooked += piece.len() as u64;
        if unlooked >= LOOK_EVERY {
            room(unlooked).map_err(no_room)?;
            unlooked = 0;
        }
        digest.update(&piece);
        file.write_all(&piece).map_err(bad)?;
    }
    file.sync_all().map_err(bad)?;
    Ok(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use axum::http::header::CONTENT_LENGTH;

    use super::*;

    fn limits(upload: u64) -> Limits {
        Limits { upload, idle: Duration::from_millis(50), pace: MINUTE }
    }

    fn room(free: u64) -> Room {
        Arc::new(move |wanted| if wanted <= free { Ok(()) } else { Err(Fault::capacity("no room")) })
    }

    async fn run(dir: &Utf8Path, text: &str, headers: &HeaderMap, upload: u64) -> Result<Upload, u16> {
        take(dir, headers, &mut Body::from(text.to_owned()), &limits(upload), room(u64::MAX)).await.map_err(|p| p.status.as_u16())
    }

    #[tokio::test]
    async fn a_body_is_on_disk_with_its_digest_or_leaves_nothing() {
        let temp = tempfile::tempdir().expect("dir");
        let dir = Utf8Path::from_path(temp.path()).expect("utf-8");
        let left = || dir.read_dir_utf8().expect("dir").count();
        let none = HeaderMap::new();

        let up = run(dir, "abc", &none, 3).await.expect("fits exactly");
        assert_eq!((up.size.0, up.sha256.to_vec()), (3, Sha256::digest("abc").to_vec()));
        assert_eq!(std::fs::read_to_string(up.path()).expect("file"), "abc");
        drop(up);
        assert_eq!(left(), 0, "an upload nobody kept");

        assert_eq!(run(dir, "abcd", &none, 3).await.expect_err("over"), 413);
        let said = HeaderMap::from_iter([(CONTENT_LENGTH, "4".parse().expect("header"))]);
        assert_eq!(run(dir, "abcd", &said, 3).await.expect_err("said over"), 413);
        // By the length that it says, and by what came where it said none.
        let piece = "x".repeat(LOOK_EVERY as usize);
        for (headers, text) in [(&HeaderMap::from_iter([(CONTENT_LENGTH, "3".parse().expect("header"))]), "abc"), (&none, piece.as_str())] {
            let refused = take(dir, headers, &mut Body::from(text.to_owned()), &limits(u64::MAX), room(2)).await.expect_err("no room");
            assert_eq!((refused.status.as_u16(), refused.detail.as_str()), (503, "no room"));
        }
        let mut stalled = Body::new(Never);
        assert_eq!(take(dir, &none, &mut stalled, &limits(3), room(u64::MAX)).await.expect_err("slow").status.as_u16(), 408);
        assert_eq!(left(), 0);

        let kept = run(dir, "abc", &none, 3).await.expect("fits").keep();
        assert!(kept.exists());
    }

    #[test]
    fn what_comes_in_drops_is_too_slow_after_a_minute() {
        for (size, seconds, is) in [(0, 59, false), (0, 60, true), (1 << 20, 60, false), ((1 << 20) - 1, 119, true), (1 << 20, 120, true)] {
            assert_eq!(too_slow(size, Duration::from_secs(seconds), MINUTE), is, "{size} bytes in {seconds} s");
        }
        assert!(!too_slow(64 << 30, Duration::from_secs(3600), MINUTE));
        assert!(too_slow(LEAST, Duration::from_secs(2), Duration::from_secs(1)));
    }

    struct Never;
    impl hyper::body::Body for Never {
        type Data = Bytes;
        type Error = std::io::Error;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<std::result::Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
            std::task::Poll::Pending
        }
    }
}
