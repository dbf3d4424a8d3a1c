//! Frames as they pass an interface of the host.
//!
//! Owns: the packet socket. Never: makes an interface, or sends a frame.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    ifaddrs::getifaddrs,
    sys::{
        socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, setsockopt, socket, sockopt},
        time::{TimeVal, TimeValLike},
    },
};

use crate::{
    model::{
        error::{Fault, Result},
        id::IfName,
    },
    vim::port::{Captured, Frames},
};

/// As much of a frame as is given; a jumbo frame fits.
const MOST: usize = 9216;
/// What comes in a burst waits here.
const ROOM: usize = 4 << 20;

pub struct Socket(OwnedFd);

impl Socket {
    pub fn open(at: &IfName) -> Result<Socket> {
        let no = |e: Errno| Fault::transient(format!("interface {at} cannot be listened at")).with_source(e);
        // The kernel's own word for the interface: its number is in it.
        let address =
            getifaddrs().map_err(no)?.filter(|i| i.interface_name == at.as_str()).find_map(|i| i.address?.as_link_addr().copied());
        let address = address.ok_or_else(|| Fault::transient(format!("interface {at} is not there: the switch has not made it")))?;
        let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll).map_err(no)?;
        bind(fd.as_raw_fd(), &address).map_err(no)?;
        // Where more is not allowed, there is what there is.
        let _ = setsockopt(&fd, sockopt::RcvBufForce, &ROOM);
        // What came by another interface before the socket was bound.
        let mut buf = [0u8; 1];
        while recv(fd.as_raw_fd(), &mut buf, MsgFlags::MSG_DONTWAIT).is_ok() {}
        Ok(Socket(fd))
    }
}

impl Frames for Socket {
    fn next(&mut self, wait: Duration) -> Result<Option<Captured>> {
        let no = |e: Errno| Fault::transient("the interface that is listened at is gone").with_source(e);
        let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX).max(1);
        setsockopt(&self.0, sockopt::ReceiveTimeout, &TimeVal::milliseconds(millis)).map_err(no)?;
        let mut bytes = vec![0u8; MOST];
        match recv(self.0.as_raw_fd(), &mut bytes, MsgFlags::MSG_TRUNC) {
            Ok(length) => {
                bytes.truncate(length);
                Ok(Some(Captured { length, bytes }))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(e) => Err(no(e)),
        }
    }
}
