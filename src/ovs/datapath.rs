//! Which datapath the box can run.
//!
//! Owns: the question to the kernel whether it has Open vSwitch's datapath. Never: loads a module
//! by name. The `datapath_types` column is no answer: ovs-vswitchd lists `system` on kernels that
//! have none.

use nix::{
    errno::Errno,
    sys::{
        socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket, sockopt},
        time::{TimeVal, TimeValLike},
    },
};
use std::os::fd::AsRawFd;

const GENL_ID_CTRL: u16 = 0x10;
const NLM_F_REQUEST: u16 = 1;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const FAMILY: &[u8; 13] = b"ovs_datapath\0";

/// The kernel has the generic netlink family `ovs_datapath`, or loaded its module because of this
/// very question (the family's module alias). Any failure to ask counts as no.
pub(super) fn kernel_has_it() -> bool {
    ask().unwrap_or(false)
}

fn ask() -> Result<bool, Errno> {
    let s = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkGeneric)?;
    setsockopt(&s, sockopt::ReceiveTimeout, &TimeVal::seconds(2))?;
    sendto(s.as_raw_fd(), &question(), &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut buf = [0u8; 4096];
    let n = recv(s.as_raw_fd(), &mut buf, MsgFlags::empty())?;
    // nlmsghdr: length u32, type u16, ...; a family's description comes back with the type of the
    // controller, an unknown family as NLMSG_ERROR.
    Ok(buf.get(4..6).filter(|_| n >= 16) == Some(&GENL_ID_CTRL.to_ne_bytes()[..]))
}

fn question() -> Vec<u8> {
    let attribute = 4 + FAMILY.len();
    let padded = attribute.next_multiple_of(4);
    let total = 16 + 4 + padded;
    let mut m = Vec::with_capacity(total);
    m.extend_from_slice(&(total as u32).to_ne_bytes());
    m.extend_from_slice(&GENL_ID_CTRL.to_ne_bytes());
    m.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    m.extend_from_slice(&[0; 8]); // sequence, port
    m.extend_from_slice(&[CTRL_CMD_GETFAMILY, 1, 0, 0]);
    m.extend_from_slice(&(attribute as u16).to_ne_bytes());
    m.extend_from_slice(&CTRL_ATTR_FAMILY_NAME.to_ne_bytes());
    m.extend_from_slice(FAMILY);
    m.resize(total, 0);
    m
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_is_believed_only_when_its_module_or_built_in_is_there() {
        // /sys/module shows a loaded module after the question, never before a load on demand.
        let said = super::kernel_has_it();
        assert_eq!(said, std::path::Path::new("/sys/module/openvswitch").exists());
    }
}
