//! libvirt's errors and states in Bothy's words.
//!
//! Owns which failures are worth another try and what a field engineer should look at. Never: calls.

use virt::{
    domain::{Domain, DomainPausedReason, DomainShutoffReason, DomainState, DomainStateReason},
    enumutil::Enum,
    error::{Error, ErrorDomain, ErrorNumber},
    sys,
};

use crate::{
    model::error::{Fault, Kind, Result},
    vim::port::GuestState,
};

const LOST: &str = "the connection to libvirt is gone; see whether libvirtd runs (systemctl status libvirtd, journalctl -u libvirtd)";

/// What a libvirt error is to the caller.
pub fn fault(e: Error) -> Fault {
    let code = e.code().unwrap_or(ErrorNumber::InternalError);
    let domain = e.domain().unwrap_or(ErrorDomain::None);
    let (kind, hint) = classify(code, domain);
    let said = e.message().trim().to_string();
    let text = match hint {
        Some(hint) => format!("{hint} (libvirt says: {said})"),
        None => format!("libvirt says: {said}"),
    };
    Fault::new(kind, text).with_source(e)
}

fn classify(code: ErrorNumber, domain: ErrorDomain) -> (Kind, Option<&'static str>) {
    use ErrorNumber as N;
    match code {
        N::NoDomain => (Kind::NotFound, Some("there is no such guest")),
        N::Rpc | N::NoConnect | N::InvalidConn | N::GnutlsError => (Kind::Transient, Some(LOST)),
        // A broken pipe or a missing socket of libvirtd itself.
        N::SystemError if matches!(domain, ErrorDomain::Rpc | ErrorDomain::Remote) => (Kind::Transient, Some(LOST)),
        N::AuthFailed | N::AuthCancelled | N::AuthUnavailable | N::AccessDenied | N::OperationDenied => {
            (Kind::Forbidden, Some("libvirt refuses us; run bothy as root, or see libvirtd's access control (polkit, auth_unix_rw)"))
        }
        N::NoMemory => (Kind::Capacity, Some("the host is out of memory")),
        N::OperationInvalid | N::DomExist => (Kind::Conflict, None),
        N::XmlError | N::XmlDetail | N::XmlInvalidSchema => (Kind::Bug, Some("libvirt does not take the domain XML Bothy wrote")),
        N::ConfigUnsupported | N::NoSupport | N::ArgumentUnsupported | N::OperationUnsupported | N::CpuIncompatible => {
            (Kind::Invalid, Some("this host's QEMU or libvirt cannot do that"))
        }
        N::OperationTimeout | N::ResourceBusy => (Kind::Transient, Some("the guest is busy with another operation")),
        N::AgentUnresponsive | N::AgentUnsynced | N::AgentCommandTimeout | N::AgentCommandFailed => {
            (Kind::Transient, Some("the guest agent does not answer; see whether qemu-guest-agent runs in the guest"))
        }
        // A start that QEMU gave up: its last words are in the message.
        _ => (Kind::Transient, None),
    }
}

/// The error says that there is no such domain.
pub fn is_absent(e: &Error) -> bool {
    e.code().is(ErrorNumber::NoDomain)
}

/// The error says that the domain is not in a state for this, such as *already running*.
pub fn is_wrong_state(e: &Error) -> bool {
    e.code().is(ErrorNumber::OperationInvalid)
}

/// The guest has no agent that answers, which is an answer too.
pub fn is_silent_agent(e: &Error) -> bool {
    e.code().is_any(vec![
        ErrorNumber::AgentUnresponsive,
        ErrorNumber::AgentUnsynced,
        ErrorNumber::AgentCommandTimeout,
        ErrorNumber::OperationInvalid,
        ErrorNumber::OperationTimeout,
        ErrorNumber::ArgumentUnsupported,
        ErrorNumber::ConfigUnsupported,
    ])
}

/// The agent answered that it does not do it; the message has its words.
pub fn is_refused_by_agent(e: &Error) -> bool {
    e.code().is_any(vec![ErrorNumber::InternalError, ErrorNumber::AgentCommandFailed])
}

/// A guest's state, finer than the port's: a start under way is to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    Is(GuestState),
    /// Paused only until its start is done.
    Starting,
    /// Sleeping by its own wish (ACPI S3).
    Asleep,
}

impl Now {
    pub fn guest(self) -> GuestState {
        match self {
            Now::Is(s) => s,
            Now::Starting | Now::Asleep => GuestState::Paused,
        }
    }
}

/// What a domain is doing, by libvirt's word of this moment.
pub fn now(dom: &Domain) -> std::result::Result<Now, Error> {
    let (state, reason) = dom.state()?;
    // The binding does not pass on a failure of this call: it gives a state that does not exist.
    let state = state.known().ok_or_else(Error::last_error)?;
    Ok(match state {
        DomainState::NoState | DomainState::Running | DomainState::Blocked => Now::Is(GuestState::Running),
        DomainState::Paused => match reason {
            Enum::Known(DomainStateReason::Paused(r)) if r.is(DomainPausedReason::StartingUp) => Now::Starting,
            Enum::Known(DomainStateReason::Paused(r)) if r.is(DomainPausedReason::IOError) => Now::Is(GuestState::PausedIo),
            Enum::Known(DomainStateReason::Paused(r)) if r.is(DomainPausedReason::Crashed) => Now::Is(GuestState::Crashed),
            _ => Now::Is(GuestState::Paused),
        },
        DomainState::PMSuspended => Now::Asleep,
        DomainState::Shutdown => Now::Is(GuestState::Stopping),
        DomainState::Shutoff => match reason {
            Enum::Known(DomainStateReason::Shutoff(r)) if r.is(DomainShutoffReason::Crashed) => Now::Is(GuestState::Crashed),
            _ => Now::Is(GuestState::Off),
        },
        DomainState::Crashed => Now::Is(GuestState::Crashed),
    })
}

/// What a lifecycle event makes of a guest; nothing when it tells of its definition only.
pub fn lifecycle(event: u32, detail: u32) -> Option<GuestState> {
    match event {
        sys::VIR_DOMAIN_EVENT_STARTED | sys::VIR_DOMAIN_EVENT_RESUMED => Some(GuestState::Running),
        sys::VIR_DOMAIN_EVENT_SUSPENDED => Some(match detail {
            sys::VIR_DOMAIN_EVENT_SUSPENDED_IOERROR => GuestState::PausedIo,
            // The guest is off; libvirt pauses it for the moment until QEMU ends.
            sys::VIR_DOMAIN_EVENT_SUSPENDED_GUEST_SHUTDOWN => GuestState::Stopping,
            _ => GuestState::Paused,
        }),
        sys::VIR_DOMAIN_EVENT_PMSUSPENDED => Some(GuestState::Paused),
        sys::VIR_DOMAIN_EVENT_SHUTDOWN => Some(GuestState::Stopping),
        sys::VIR_DOMAIN_EVENT_STOPPED => Some(match detail {
            sys::VIR_DOMAIN_EVENT_STOPPED_CRASHED | sys::VIR_DOMAIN_EVENT_STOPPED_FAILED => GuestState::Crashed,
            _ => GuestState::Off,
        }),
        sys::VIR_DOMAIN_EVENT_CRASHED => Some(GuestState::Crashed),
        _ => None,
    }
}

/// `Ok(None)` for a domain that is not there.
pub fn absent_is_none<T>(r: std::result::Result<T, Error>) -> Result<Option<T>> {
    match r {
        Ok(v) => Ok(Some(v)),
        Err(e) if is_absent(&e) => Ok(None),
        Err(e) => Err(fault(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_worth_what_they_are_worth() {
        use ErrorDomain as D;
        use ErrorNumber as N;
        for (code, domain, kind) in [
            (N::NoDomain, D::Qemu, Kind::NotFound),
            (N::Rpc, D::Rpc, Kind::Transient),
            (N::SystemError, D::Rpc, Kind::Transient),
            (N::SystemError, D::Qemu, Kind::Transient),
            (N::AuthFailed, D::Remote, Kind::Forbidden),
            (N::OperationInvalid, D::Qemu, Kind::Conflict),
            (N::ConfigUnsupported, D::Qemu, Kind::Invalid),
            (N::NoMemory, D::None, Kind::Capacity),
            (N::XmlError, D::Domain, Kind::Bug),
            (N::AgentUnresponsive, D::Qemu, Kind::Transient),
            (N::InternalError, D::Qemu, Kind::Transient),
        ] {
            assert_eq!(classify(code, domain).0, kind, "{code:?}");
        }
        for (code, domain) in [(N::Rpc, D::Rpc), (N::SystemError, D::Rpc), (N::NoConnect, D::Remote)] {
            assert!(classify(code, domain).1.is_some_and(|h| h.contains("systemctl status libvirtd")));
        }
    }

    #[test]
    fn events_become_states() {
        use GuestState as G;
        for (event, detail, want) in [
            (sys::VIR_DOMAIN_EVENT_DEFINED, 0, None),
            (sys::VIR_DOMAIN_EVENT_UNDEFINED, 0, None),
            (sys::VIR_DOMAIN_EVENT_STARTED, 0, Some(G::Running)),
            (sys::VIR_DOMAIN_EVENT_SUSPENDED, sys::VIR_DOMAIN_EVENT_SUSPENDED_PAUSED, Some(G::Paused)),
            (sys::VIR_DOMAIN_EVENT_SUSPENDED, sys::VIR_DOMAIN_EVENT_SUSPENDED_IOERROR, Some(G::PausedIo)),
            (sys::VIR_DOMAIN_EVENT_RESUMED, 0, Some(G::Running)),
            (sys::VIR_DOMAIN_EVENT_SHUTDOWN, 0, Some(G::Stopping)),
            (sys::VIR_DOMAIN_EVENT_STOPPED, sys::VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN, Some(G::Off)),
            (sys::VIR_DOMAIN_EVENT_STOPPED, sys::VIR_DOMAIN_EVENT_STOPPED_DESTROYED, Some(G::Off)),
            (sys::VIR_DOMAIN_EVENT_STOPPED, sys::VIR_DOMAIN_EVENT_STOPPED_FAILED, Some(G::Crashed)),
            (sys::VIR_DOMAIN_EVENT_CRASHED, 0, Some(G::Crashed)),
            (999, 0, None),
        ] {
            assert_eq!(lifecycle(event, detail), want, "{event}/{detail}");
        }
    }
}
