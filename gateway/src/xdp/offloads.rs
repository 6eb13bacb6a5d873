//! What a card does with frames before the filter sees them, by the old ethtool calls, which each kernel has.
#![expect(unsafe_code, reason = "ethtool's flags are asked for by an ioctl with a pointer in it")]

use std::os::fd::AsRawFd as _;
use std::{io, ptr};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

// Commands and flags from `linux/ethtool.h`.
const GET_DRIVER: u32 = 0x03;
const GET_FLAGS: u32 = 0x25;
const GET_GRO: u32 = 0x2b;
const RX_VLAN: u32 = 1 << 8;
const LRO: u32 = 1 << 15;

/// `struct ethtool_drvinfo` in words: the name of the driver is the eight words after the command.
const DRIVER_WORDS: usize = 49;

/// Whether `rx-vlan-offload` is on, whatever the driver: the kernel itself keeps the flag.
pub(super) fn takes_tags_off(interface: &str) -> io::Result<bool> {
    let [_command, flags] = ask(interface, GET_FLAGS)?;
    Ok(flags & RX_VLAN != 0)
}

/// Whether the card makes one frame of several (`large-receive-offload`).
pub(super) fn lro(interface: &str) -> io::Result<bool> {
    let [_command, flags] = ask(interface, GET_FLAGS)?;
    Ok(flags & LRO != 0)
}

/// Whether the kernel does (`generic-receive-offload`).
pub(super) fn gro(interface: &str) -> io::Result<bool> {
    let [_command, is_on] = ask(interface, GET_GRO)?;
    Ok(is_on != 0)
}

/// The name of the driver.
pub(super) fn driver(interface: &str) -> io::Result<String> {
    let info: [u32; DRIVER_WORDS] = ask(interface, GET_DRIVER)?;
    let name = info.iter().skip(1).take(8).flat_map(|word| word.to_ne_bytes());
    let name: Vec<u8> = name.take_while(u8::is_ascii_graphic).collect();
    Ok(String::from_utf8_lossy(&name).into_owned())
}

/// Has the kernel fill the words after a command.
fn ask<const WORDS: usize>(interface: &str, command: u32) -> io::Result<[u32; WORDS]> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut value = [0; WORDS];
    if let Some(first) = value.first_mut() {
        *first = command;
    }
    let mut name = [0; libc::IFNAMSIZ];
    let long = || io::Error::from(io::ErrorKind::InvalidInput);
    // The last byte stays the zero that ends it.
    let places = name.get_mut(..interface.len()).filter(|places| places.len() < libc::IFNAMSIZ);
    for (place, byte) in places.ok_or_else(long)?.iter_mut().zip(interface.bytes()) {
        *place = libc::c_char::from_ne_bytes([byte]);
    }
    let data = libc::__c_anonymous_ifr_ifru { ifru_data: ptr::from_mut(&mut value).cast() };
    let mut request = libc::ifreq { ifr_name: name, ifr_ifru: data };
    // SAFETY: the kernel reads the request, and reads and writes the words that it points to, of which there are as many as the
    // command has; both live until it is done.
    let result =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, ptr::from_mut(&mut request)) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_asked_for() {
        assert!(!takes_tags_off("lo").unwrap(), "no card, no offload");
        assert!(!lro("lo").unwrap());
        gro("lo").unwrap();
        for (name, expected) in [
            ("no-such-if", io::ErrorKind::NotFound),
            ("a-name-of-sixteen", io::ErrorKind::InvalidInput),
            ("exactly16-octets", io::ErrorKind::InvalidInput),
        ] {
            let errors = [takes_tags_off(name).err(), gro(name).err(), driver(name).err()];
            for error in errors.map(Option::unwrap) {
                let is_expected =
                    error.kind() == expected || error.raw_os_error() == Some(libc::ENODEV);
                assert!(is_expected, "{name}: {error}");
            }
        }
    }
}
