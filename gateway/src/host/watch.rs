//! Says when interfaces or addresses of this host may have changed: the kernel's netlink notices, unread.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with, sockopt,
};

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR` from `linux/rtnetlink.h`. Routes are not among them: a host
/// with the routes of the whole Internet would never hear the end of it.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;

/// More notices than this are left for the next look, so that one look ends even while an interface never rests.
const NOTICES_PER_LOOK: usize = 4096;

/// How much the kernel keeps for us between two looks; what is too much for it is a change like any other.
const BUFFER: usize = 64 * 1024;

/// The kernel's notices about the network namespace that it was opened in.
///
/// What a notice says does not matter: whoever hears of a change looks at the host itself, and so cannot be misled by a
/// notice that is lost, late or about something else.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// Listens from now on.
    pub fn open() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            // `NETLINK_ROUTE` is protocol 0.
            None,
        )?;
        sockopt::set_socket_recv_buffer_size(&socket, BUFFER)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self(socket))
    }

    /// Whether anything may have changed since the last call. However many notices there are, they are one change.
    pub fn has_changed(&self) -> bool {
        (0..NOTICES_PER_LOOK).take_while(|_| self.next_notice()).count() > 0
    }

    /// Takes one notice away; false when there is none.
    fn next_notice(&self) -> bool {
        // A notice that does not fit is cut.
        let mut start = [0; 16];
        match recv(&self.0, &mut start, RecvFlags::DONTWAIT) {
            Ok(_) | Err(Errno::INTR) => true,
            // The kernel had to leave some out, and goes on with the next.
            Err(Errno::NOBUFS) => true,
            Err(_) => false,
        }
    }
}
