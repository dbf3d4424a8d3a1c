//! libvirt's domain events: the one place with `unsafe` in this crate, because the `virt` bindings
//! have no event API; and the one call they miss, which pins an I/O thread.
//!
//! Owns the process-wide event loop and the callbacks libvirt calls from it. A callback reads its
//! arguments, posts a [`Seen`] and returns: it never waits, never calls libvirt over the wire, and
//! never unwinds into C.
#![allow(unsafe_code)]

use std::{
    ffi::CStr,
    os::raw::{c_char, c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use uuid::Uuid;
use virt::{domain::Domain, error::Error, sys};

use super::conn::Conn;
use crate::model::id::VnfcId;

/// What libvirt said, still in its own numbers; `map` makes sense of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Lifecycle {
        id: VnfcId,
        event: u32,
        detail: u32,
    },
    Reboot {
        id: VnfcId,
    },
    Watchdog {
        id: VnfcId,
    },
    IoError {
        id: VnfcId,
        path: String,
        reason: String,
    },
    AgentUp {
        id: VnfcId,
    },
    /// The connection ended, by libvirt's word for why.
    Closed {
        reason: u32,
    },
}

/// `virDomainPinIOThread`: as `Domain::pin_emulator`, for an I/O thread by its number.
pub fn pin_io_thread(dom: &Domain, number: u32, cpumap: &[u8], flags: u32) -> Result<(), Error> {
    // libvirt takes the length of a map as an int; one of a host's CPUs is far below that.
    let len = c_int::try_from(cpumap.len()).unwrap_or(c_int::MAX);
    // SAFETY: the domain is borrowed, so its handle lives through the call; libvirt reads `len` bytes of the map, which
    // is at least so long, and writes none though its type says so.
    let rc = unsafe { sys::virDomainPinIOThread(dom.as_ptr(), number, cpumap.as_ptr().cast_mut(), len, flags) };
    if rc < 0 { Err(Error::last_error()) } else { Ok(()) }
}

/// Takes what is seen; it must not block.
pub type Post = Box<dyn Fn(Seen) + Send + Sync>;

/// Registers libvirt's own event loop and runs it on a thread for as long as the process lives.
/// Must come before the first connection is opened.
pub fn start_loop() -> Result<(), Error> {
    static STARTED: OnceLock<Result<(), Error>> = OnceLock::new();
    STARTED
        .get_or_init(|| {
            // Errors come back as values; libvirt's habit of printing them too would spoil the log.
            virt::error::clear_error_callback();
            virt::event::event_register_default_impl()?;
            let spawned = thread::Builder::new().name("libvirt-events".into()).spawn(|| {
                loop {
                    if virt::event::event_run_default_impl().is_err() {
                        // Nothing to do but to go on; the pause keeps a broken loop from burning a core.
                        thread::sleep(Duration::from_millis(200));
                    }
                }
            });
            if let Err(e) = spawned {
                tracing::error!(error = %e, "no thread for libvirt's events");
            }
            Ok(())
        })
        .clone()
}

/// Our subscriptions on one connection; gone when dropped.
pub struct Subscription {
    conn: Arc<Conn>,
    ids: Vec<c_int>,
    close: bool,
}

impl Subscription {
    /// All events of all domains go to `post`, and the end of the connection too where the driver
    /// tells (it does not when QEMU's driver runs in this process).
    pub fn new(conn: Arc<Conn>, post: Post) -> Result<Self, Error> {
        let post = Arc::new(post);
        let mut sub = Subscription { conn, ids: Vec::new(), close: false };
        let raw = sub.raw();
        type Lifecycle = unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, c_int, c_int, *mut c_void) -> c_int;
        type Agent = unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, c_int, c_int, *mut c_void);
        type Watchdog = unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, c_int, *mut c_void);
        type Io =
            unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *const c_char, *const c_char, c_int, *const c_char, *mut c_void);
        // SAFETY: each function has exactly the type libvirt documents for the event id beside it and
        // is called only with that id's arguments; VIR_DOMAIN_EVENT_CALLBACK() is this same cast in C.
        let callbacks: [(sys::virDomainEventID, Generic); 5] = unsafe {
            [
                (sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE, std::mem::transmute::<Lifecycle, Generic>(on_lifecycle)),
                (sys::VIR_DOMAIN_EVENT_ID_REBOOT, on_reboot),
                (sys::VIR_DOMAIN_EVENT_ID_WATCHDOG, std::mem::transmute::<Watchdog, Generic>(on_watchdog)),
                (sys::VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, std::mem::transmute::<Io, Generic>(on_io_error)),
                (sys::VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, std::mem::transmute::<Agent, Generic>(on_agent)),
            ]
        };
        for (event, callback) in callbacks {
            let opaque = lend(&post);
            // SAFETY: `raw` is alive, `sub.conn` holds it; a null domain means all of them; `opaque`
            // is a counted reference which `release` gives back once libvirt is done with it.
            let id = unsafe {
                sys::virConnectDomainEventRegisterAny(raw, std::ptr::null_mut(), event as c_int, Some(callback), opaque, Some(release))
            };
            if id < 0 {
                let e = Error::last_error();
                // SAFETY: libvirt did not take the reference, so it is still ours.
                unsafe { release(opaque) };
                return Err(e);
            }
            sub.ids.push(id);
        }
        let opaque = lend(&post);
        // SAFETY: as above, for the one callback of the connection itself.
        let rc = unsafe { sys::virConnectRegisterCloseCallback(raw, Some(on_close), opaque, Some(release)) };
        sub.close = rc == 0;
        if !sub.close {
            // SAFETY: libvirt did not take the reference, so it is still ours.
            unsafe { release(opaque) };
        }
        Ok(sub)
    }

    fn raw(&self) -> sys::virConnectPtr {
        // SAFETY: the pointer is used only while `self.conn` keeps the connection alive.
        unsafe { self.conn.get().as_ptr() }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let raw = self.raw();
        for id in &self.ids {
            // SAFETY: the connection is alive and the id came from it. On a dead connection the call
            // fails after it has forgotten the callback on our side, which is what matters.
            unsafe { sys::virConnectDomainEventDeregisterAny(raw, *id) };
        }
        if self.close {
            // SAFETY: registered above on this connection, with this function.
            unsafe { sys::virConnectUnregisterCloseCallback(raw, Some(on_close)) };
        }
    }
}

type Generic = unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *mut c_void);

/// One counted reference for libvirt to hold.
fn lend(post: &Arc<Post>) -> *mut c_void {
    Arc::into_raw(Arc::clone(post)).cast::<c_void>().cast_mut()
}

/// Gives back what [`lend`] lent.
///
/// # Safety
/// `opaque` came from `lend`, and is used no more.
unsafe extern "C" fn release(opaque: *mut c_void) {
    // SAFETY: by the contract above this is the one reference that `lend` counted.
    let post = unsafe { Arc::from_raw(opaque.cast_const().cast::<Post>()) };
    // What the closure drops is ours and may panic; that must not reach C.
    let _ = catch_unwind(AssertUnwindSafe(move || drop(post)));
}

/// Posts what `see` makes of a callback's arguments, if anything.
///
/// # Safety
/// `opaque` came from `lend` and has not been released: libvirt calls `release` only after the last
/// callback has returned.
unsafe fn post(opaque: *mut c_void, see: impl FnOnce() -> Option<Seen>) {
    // SAFETY: by the contract above the Arc is alive; it is borrowed, not taken.
    let post = unsafe { &*opaque.cast_const().cast::<Post>() };
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if let Some(seen) = see() {
            post(seen);
        }
    }));
}

/// The guest a domain is, if it is one of ours by name. No call over the wire.
///
/// # Safety
/// `dom` is valid for the duration of the call.
unsafe fn guest(dom: sys::virDomainPtr) -> Option<VnfcId> {
    let mut uuid = [0u8; 16];
    // SAFETY: `dom` is valid, and libvirt writes VIR_UUID_BUFLEN = 16 bytes.
    if unsafe { sys::virDomainGetUUID(dom, uuid.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: `dom` is valid; the name belongs to it and is only read here.
    let name = unsafe { text(sys::virDomainGetName(dom)) };
    let id = VnfcId(Uuid::from_bytes(uuid));
    (name == id.domain_name()).then_some(id)
}

/// # Safety
/// `s` is null or a NUL-terminated string that lives through the call.
unsafe fn text(s: *const c_char) -> String {
    if s.is_null() {
        return String::new();
    }
    // SAFETY: not null, and terminated by the contract above.
    unsafe { CStr::from_ptr(s) }.to_string_lossy().into_owned()
}

unsafe extern "C" fn on_lifecycle(
    _: sys::virConnectPtr,
    dom: sys::virDomainPtr,
    event: c_int,
    detail: c_int,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: libvirt hands in a valid domain and the opaque of this registration.
    unsafe { post(opaque, || guest(dom).map(|id| Seen::Lifecycle { id, event: event as u32, detail: detail as u32 })) };
    0
}

unsafe extern "C" fn on_reboot(_: sys::virConnectPtr, dom: sys::virDomainPtr, opaque: *mut c_void) {
    // SAFETY: libvirt hands in a valid domain and the opaque of this registration.
    unsafe { post(opaque, || guest(dom).map(|id| Seen::Reboot { id })) };
}

unsafe extern "C" fn on_watchdog(_: sys::virConnectPtr, dom: sys::virDomainPtr, _action: c_int, opaque: *mut c_void) {
    // SAFETY: libvirt hands in a valid domain and the opaque of this registration.
    unsafe { post(opaque, || guest(dom).map(|id| Seen::Watchdog { id })) };
}

unsafe extern "C" fn on_io_error(
    _: sys::virConnectPtr,
    dom: sys::virDomainPtr,
    path: *const c_char,
    _alias: *const c_char,
    _action: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt hands in a valid domain, terminated strings and the opaque of this registration.
    unsafe { post(opaque, || guest(dom).map(|id| Seen::IoError { id, path: text(path), reason: text(reason) })) };
}

unsafe extern "C" fn on_agent(_: sys::virConnectPtr, dom: sys::virDomainPtr, state: c_int, _reason: c_int, opaque: *mut c_void) {
    if state as u32 != sys::VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED {
        return;
    }
    // SAFETY: libvirt hands in a valid domain and the opaque of this registration.
    unsafe { post(opaque, || guest(dom).map(|id| Seen::AgentUp { id })) };
}

unsafe extern "C" fn on_close(_: sys::virConnectPtr, reason: c_int, opaque: *mut c_void) {
    // SAFETY: the opaque is that of this registration.
    unsafe { post(opaque, || Some(Seen::Closed { reason: reason as u32 })) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_panicking_listener_does_not_unwind_and_its_memory_comes_back() {
        let held = Arc::new(());
        let inner = Arc::clone(&held);
        let listener: Arc<Post> = Arc::new(Box::new(move |_| {
            let _keep = &inner;
            panic!("a listener's fault");
        }));
        let opaque = lend(&listener);
        // SAFETY: `opaque` was lent above; on_close does not look at the connection.
        unsafe { on_close(std::ptr::null_mut(), 1, opaque) };
        assert_eq!(Arc::strong_count(&listener), 2);
        // SAFETY: lent above, used no more.
        unsafe { release(opaque) };
        assert_eq!(Arc::strong_count(&listener), 1);
        drop(listener);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn a_close_arrives_as_a_value() {
        let (tx, rx) = mpsc::channel();
        let listener: Arc<Post> = Arc::new(Box::new(move |seen| tx.send(seen).expect("open")));
        let opaque = lend(&listener);
        // SAFETY: as above.
        unsafe { on_close(std::ptr::null_mut(), 2, opaque) };
        assert_eq!(rx.try_recv(), Ok(Seen::Closed { reason: 2 }));
        // SAFETY: as above.
        unsafe { release(opaque) };
    }
}
