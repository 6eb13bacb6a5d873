//! An interface as the filter meets it: driver, size of frames, queues, offloads.

use std::io;

use super::interface::{self, LinkFacts};
use super::offloads;

/// What is known of an interface; `None` where the kernel does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The name of its driver.
    pub driver: Option<String>,
    /// The octets of the largest packet.
    pub mtu: Option<u32>,
    /// Its queues for packets that come in.
    pub rx_queues: Option<u32>,
    /// Its queues for packets that go out.
    pub tx_queues: Option<u32>,
    /// Whether the kernel makes one packet of several.
    pub gro: Option<bool>,
    /// Whether the card does.
    pub lro: Option<bool>,
}

/// Asks the kernel about the interface `name` of this network namespace.
pub fn device(name: &str) -> io::Result<Device> {
    let LinkFacts { mtu, rx_queues, tx_queues } = interface::facts(interface::index(name)?)?;
    Ok(Device {
        driver: offloads::driver(name).ok().filter(|driver| !driver.is_empty()),
        mtu,
        rx_queues,
        tx_queues,
        gro: offloads::gro(name).ok(),
        lro: offloads::lro(name).ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_known() {
        let device = device("lo").unwrap();
        assert!(device.mtu.is_some_and(|mtu| mtu >= 1500), "{device:?}");
        assert_eq!((device.rx_queues, device.tx_queues), (Some(1), Some(1)));
        assert!(super::device("no-such-if").is_err());
    }
}
