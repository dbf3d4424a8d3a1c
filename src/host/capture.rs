//! Frames as they pass an interface of the host.
//!
//! Owns: the packet socket. Never: makes an interface, or sends a frame.

use std::{
    io::IoSliceMut,
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    ifaddrs::getifaddrs,
    libc, setsockopt_impl, sockopt_impl,
    sys::{
        socket::{
            AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, recvmsg, setsockopt, socket,
            sockopt,
        },
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
/// Frames of other interfaces that may wait when the socket is opened.
const MOST_BEFORE: usize = 65_536;
/// What comes in a burst waits here.
const ROOM: usize = 4 << 20;

/// Of what the kernel says of a frame beside it: `struct tpacket_auxdata` is 20 bytes (packet(7)).
const BESIDE: usize = 128;

sockopt_impl!(
    /// The kernel takes the outermost VLAN tag off a frame, and tells it beside the frame where it is asked to.
    Auxdata,
    SetOnly,
    libc::SOL_PACKET,
    libc::PACKET_AUXDATA,
    bool
);

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
        setsockopt(&fd, Auxdata, &true).map_err(no)?;
        // Where more is not allowed, there is what there is.
        let _ = setsockopt(&fd, sockopt::RcvBufForce, &ROOM);
        // What came by another interface before the socket was bound.
        let mut buf = [0u8; 1];
        for _ in 0..MOST_BEFORE {
            if recv(fd.as_raw_fd(), &mut buf, MsgFlags::MSG_DONTWAIT).is_err() {
                break;
            }
        }
        Ok(Socket(fd))
    }
}

impl Frames for Socket {
    fn next(&mut self, wait: Duration) -> Result<Option<Captured>> {
        let no = |e: Errno| Fault::transient("the interface that is listened at is gone").with_source(e);
        let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX).max(1);
        setsockopt(&self.0, sockopt::ReceiveTimeout, &TimeVal::milliseconds(millis)).map_err(no)?;
        let mut bytes = vec![0u8; MOST];
        let (mut into, mut beside) = ([IoSliceMut::new(&mut bytes)], [0u8; BESIDE]);
        let (length, tag) = match recvmsg::<()>(self.0.as_raw_fd(), &mut into, Some(&mut beside), MsgFlags::MSG_TRUNC) {
            Ok(m) => (m.bytes, m.cmsgs().map_err(no)?.find_map(|c| tag_of(&c))),
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(e) => return Err(no(e)),
        };
        bytes.truncate(length);
        Ok(Some(with(tag, length, bytes)))
    }
}

fn tag_of(beside: &ControlMessageOwned) -> Option<[u8; 4]> {
    match beside {
        ControlMessageOwned::Unknown(c)
            if (c.cmsg_header.cmsg_level, c.cmsg_header.cmsg_type) == (libc::SOL_PACKET, libc::PACKET_AUXDATA) =>
        {
            tag(&c.data_bytes)
        }
        _ => None,
    }
}

/// The tag that `struct tpacket_auxdata` tells of, as it was in the frame.
fn tag(aux: &[u8]) -> Option<[u8; 4]> {
    const IS_TAGGED: u32 = 1 << 4;
    const HAS_TYPE: u32 = 1 << 6;
    let short = |at: usize| Some(u16::from_ne_bytes(aux.get(at..at + 2)?.try_into().ok()?));
    let status = u32::from_ne_bytes(aux.get(..4)?.try_into().ok()?);
    let (tci, kind) = (short(16)?, short(18)?);
    let kind = if status & HAS_TYPE == 0 { 0x8100 } else { kind };
    let ([a, b], [c, d]) = (kind.to_be_bytes(), tci.to_be_bytes());
    (status & IS_TAGGED != 0).then_some([a, b, c, d])
}

/// The frame with its tag where it was: behind the addresses.
fn with(tag: Option<[u8; 4]>, length: usize, mut bytes: Vec<u8>) -> Captured {
    const ADDRESSES: usize = 12;
    match tag {
        Some(tag) if bytes.len() >= ADDRESSES => {
            bytes.splice(ADDRESSES..ADDRESSES, tag);
            Captured { length: length + tag.len(), bytes }
        }
        Some(_) | None => Captured { length, bytes },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_is_told_beside_a_frame_is_put_back_into_it() {
        let aux = |status: u32, tci: u16, kind: u16| {
            let words = [status, 64, 64].into_iter().flat_map(u32::to_ne_bytes);
            words.chain([0, 14, tci, kind].into_iter().flat_map(u16::to_ne_bytes)).collect::<Vec<u8>>()
        };
        for (beside, tag_was) in [
            (aux(1, 0, 0), None),
            (aux(1 | 1 << 4 | 1 << 6, 0x6007, 0x88a8), Some([0x88, 0xa8, 0x60, 0x07])),
            (aux(1 | 1 << 4, 0x6007, 0), Some([0x81, 0x00, 0x60, 0x07])),
            (aux(1 | 1 << 4, 0, 0), Some([0x81, 0x00, 0, 0])),
            (vec![0; 4], None),
        ] {
            assert_eq!(tag(&beside), tag_was, "{beside:?}");
        }
        let frame: Vec<u8> = (0..20).collect();
        assert_eq!(with(None, 64, frame.clone()), Captured { length: 64, bytes: frame.clone() });
        let whole = with(Some([0x81, 0, 0, 7]), 64, frame.clone());
        assert_eq!(
            (whole.length, &whole.bytes[..12], &whole.bytes[12..16], &whole.bytes[16..]),
            (68, &frame[..12], &[0x81, 0, 0, 7][..], &frame[12..])
        );
    }
}
