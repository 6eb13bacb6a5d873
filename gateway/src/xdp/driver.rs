//! Whether an interface's driver can run the program: asked of the kernel, not tried, since a try can stop the traffic.

use std::io;

use rustix::net::netlink;

use super::interface::{attribute, exchange};

/// Whether the driver runs XDP programs (Linux 6.3; an error before).
pub(super) fn runs_programs(index: u32) -> io::Result<bool> {
    let name = message(CONTROL, GET_FAMILY, FAMILY_NAME, b"netdev\0\0");
    let family = exchange(Some(netlink::GENERIC), &name)?;
    let family = content(&family, FAMILY_ID)?.first_chunk().map(|id| u16::from_ne_bytes(*id));
    let family = family.ok_or(io::ErrorKind::InvalidData)?;
    let device = message(family, GET_DEVICE, DEVICE_INDEX, &index.to_ne_bytes());
    let device = exchange(Some(netlink::GENERIC), &device)?;
    let features = content(&device, DEVICE_FEATURES)?.first_chunk();
    let features = features.map(|features| u64::from_ne_bytes(*features));
    Ok(features.ok_or(io::ErrorKind::InvalidData)? & RUNS_PROGRAMS != 0)
}

/// `struct nlmsghdr`, then `struct genlmsghdr`.
const HEADERS: usize = 16 + 4;
const REQUEST: u16 = 1;
const ERROR: u16 = 2;

// From `linux/genetlink.h`.
const CONTROL: u16 = 16;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

// From `linux/netdev.h`.
const GET_DEVICE: u8 = 1;
const DEVICE_INDEX: u16 = 1;
const DEVICE_FEATURES: u16 = 3;
/// `NETDEV_XDP_ACT_BASIC`: programs that pass, drop, abort or send back.
const RUNS_PROGRAMS: u64 = 1;

/// A request with one attribute, whose content fills whole words.
fn message(family: u16, command: u8, kind: u16, content: &[u8]) -> Vec<u8> {
    let attribute = 4 + u16::try_from(content.len()).unwrap_or(0);
    let mut message = Vec::with_capacity(HEADERS + usize::from(attribute));
    message.extend((16 + 4 + u32::from(attribute)).to_ne_bytes());
    message.extend(family.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([command, 1, 0, 0]);
    message.extend(attribute.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(content);
    message
}

/// The content of an attribute of the answer; an answer that is an error is one here.
fn content(answer: &[u8], kind: u16) -> io::Result<&[u8]> {
    let invalid = io::ErrorKind::InvalidData;
    let answered = answer.get(4..).and_then(|rest| rest.first_chunk()).ok_or(invalid)?;
    if u16::from_ne_bytes(*answered) == ERROR {
        let number = answer.get(16..).and_then(|rest| rest.first_chunk()).ok_or(invalid)?;
        return Err(io::Error::from_raw_os_error(i32::from_ne_bytes(*number).wrapping_neg()));
    }
    let attributes = answer.get(HEADERS..).ok_or(invalid)?;
    attribute(attributes, kind).ok_or_else(|| invalid.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_or_are_errors() {
        let answer = message(20, 1, DEVICE_FEATURES, &3_u64.to_ne_bytes());
        assert_eq!(content(&answer, DEVICE_FEATURES).unwrap(), 3_u64.to_ne_bytes());
        content(&answer, DEVICE_INDEX).unwrap_err();
        for length in 0..answer.len() {
            content(&answer[..length], DEVICE_FEATURES).unwrap_err();
        }
        let mut refusal = message(ERROR, 0, 0, &[]);
        refusal[16..20].copy_from_slice(&(-libc::ENODEV).to_ne_bytes());
        let error = content(&refusal, DEVICE_FEATURES).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn the_loopback_has_no_driver_that_runs_programs() {
        let index = super::super::interface::index("lo").unwrap();
        assert!(!runs_programs(index).unwrap());
        runs_programs(u32::MAX / 2).unwrap_err();
    }
}
