//! Serial console sessions.
//!
//! Owns who is on a guest's console: QEMU serves one at a time and lets the next wait in silence, so
//! a newcomer takes over from whoever was there. Never: the log, which is written in any case.

use std::{
    collections::HashMap,
    io,
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::model::{
    error::{Fault, Result},
    id::VnfcId,
};

/// Longest path a UNIX socket can have, without the final NUL (`sun_path`).
const SOCKET_PATH: usize = 107;
/// Who does not read for this long is cut off: a full pipe would hold up the guest's own output.
const STALLED: Duration = Duration::from_secs(5);

/// Where a guest's console listens.
pub fn socket(run_dir: &Utf8Path, id: VnfcId) -> Result<Utf8PathBuf> {
    let path = run_dir.join(format!("{}.con", id.domain_name()));
    if path.as_str().len() > SOCKET_PATH {
        return Err(Fault::invalid(format!(
            "{path} is {} bytes long, and a UNIX socket may have {SOCKET_PATH}: choose a shorter run directory",
            path.as_str().len()
        )));
    }
    Ok(path)
}

#[derive(Default, Clone)]
pub struct Sessions {
    /// QEMU's end of each session, with the session's number.
    open: Arc<Mutex<HashMap<VnfcId, (u64, UnixStream)>>>,
    count: Arc<AtomicU64>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<VnfcId, (u64, UnixStream)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The console of a running guest; whoever has it now is cut off. The session ends when the
    /// stream is closed, when the guest ends, or when somebody else takes it.
    pub fn take(&self, id: VnfcId, path: &Utf8Path) -> Result<UnixStream> {
        self.open(id, path).map_err(|e| {
            Fault::transient(format!("the serial console of {id} cannot be opened at {path}; see whether the guest runs")).with_source(e)
        })
    }

    fn open(&self, id: VnfcId, path: &Utf8Path) -> io::Result<UnixStream> {
        self.end(id);
        let qemu = UnixStream::connect(path)?;
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(STALLED))?;
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(id, (number, qemu.try_clone()?));
        let (sessions, from, to) = (self.clone(), qemu.try_clone()?, ours.try_clone()?);
        thread::Builder::new().name("console-out".into()).spawn(move || {
            pump(&from, &to);
            let mut open = sessions.lock();
            if open.get(&id).is_some_and(|(n, _)| *n == number) {
                open.remove(&id);
            }
        })?;
        thread::Builder::new().name("console-in".into()).spawn(move || pump(&ours, &qemu))?;
        Ok(theirs)
    }

    /// Ends a session, as when its guest is gone.
    pub fn end(&self, id: VnfcId) {
        if let Some((_, s)) = self.lock().remove(&id) {
            // It may have ended by itself.
            let _ = s.shutdown(Shutdown::Both);
        }
    }
}

/// Copies until either side ends, and then ends both: that stops the other direction too.
fn pump(mut from: &UnixStream, mut to: &UnixStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        os::unix::net::UnixListener,
        time::Instant,
    };
    use uuid::Uuid;

    fn id() -> VnfcId {
        VnfcId(Uuid::from_u128(5))
    }

    #[test]
    fn bytes_go_both_ways_and_a_newcomer_takes_over() {
        let dir = tempfile::tempdir().expect("dir");
        let path = socket(Utf8Path::from_path(dir.path()).expect("utf-8"), id()).expect("short");
        let listener = UnixListener::bind(&path).expect("bound");
        let sessions = Sessions::default();
        let mut first = sessions.take(id(), &path).expect("first");
        let (mut qemu, _) = listener.accept().expect("accepted");
        let mut buf = [0; 5];
        first.write_all(b"hello").expect("written");
        qemu.read_exact(&mut buf).expect("read");
        assert_eq!(&buf, b"hello");
        qemu.write_all(b"login").expect("written");
        first.read_exact(&mut buf).expect("read");
        assert_eq!(&buf, b"login");

        let mut second = sessions.take(id(), &path).expect("second");
        assert_eq!(first.read(&mut buf).expect("ended"), 0);
        sessions.end(id());
        assert_eq!(second.read(&mut buf).expect("ended"), 0);
    }

    #[test]
    fn closing_the_stream_frees_the_console() {
        let dir = tempfile::tempdir().expect("dir");
        let path = socket(Utf8Path::from_path(dir.path()).expect("utf-8"), id()).expect("short");
        let listener = UnixListener::bind(&path).expect("bound");
        let sessions = Sessions::default();
        let stream = sessions.take(id(), &path).expect("session");
        let (mut qemu, _) = listener.accept().expect("accepted");
        drop(stream);
        assert_eq!(qemu.read(&mut [0; 1]).expect("hung up"), 0);
        let until = Instant::now() + Duration::from_secs(2);
        while !sessions.lock().is_empty() {
            assert!(Instant::now() < until, "the session is not forgotten");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_long_run_directory_is_refused_with_the_reason() {
        let room = SOCKET_PATH - id().domain_name().len() - ".con".len() - 2;
        assert!(socket(Utf8Path::new(&format!("/{}", "x".repeat(room))), id()).is_ok());
        let e = socket(Utf8Path::new(&format!("/{}", "x".repeat(room + 1))), id()).expect_err("too long");
        assert!(e.text().contains("shorter run directory"), "{e}");
    }

    #[test]
    fn no_guest_no_console() {
        let e = Sessions::default().take(id(), Utf8Path::new("/nonexistent/x.con")).expect_err("none");
        assert!(e.is_transient());
    }
}
