//! An interface as the filter meets it: driver, mode, size of frames, offloads, queues.

use std::thread::available_parallelism;

use super::Daemon;
use super::check::Check;
use crate::xdp::{self, Device, Running};

const AREA: &str = "interface";

/// The largest packet for which drivers commonly run a program that knows nothing of frames in pieces: a page, less what stands
/// round the frame in it.
const LARGEST: u32 = 3498;

/// What there is to say of `interface`.
pub(super) fn checks(interface: &str, running: &[Running], daemon: &Daemon) -> Vec<Check> {
    let device = match xdp::device(interface) {
        Ok(device) => device,
        Err(error) => {
            let remedy = "`ip link` names those that there are; correct `[xdp] interfaces`";
            return vec![Check::bad(AREA, "device", error, remedy)];
        }
    };
    let is_native =
        running.iter().any(|it| it.interface == interface && it.running && it.mode == "native");
    let mut checks = vec![mode(interface, running, daemon)];
    checks.extend(of_device(interface, &device, is_native, processors()));
    checks
}

/// Where the filter runs, and why there.
fn mode(interface: &str, running: &[Running], daemon: &Daemon) -> Check {
    const NAME: &str = "filter";
    if let Some((mode, reason)) = daemon.attachment(interface) {
        let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        return match mode.as_str() {
            "native" => Check::ok(AREA, NAME, format_args!("native{why}")),
            "generic" => {
                let remedy =
                    "a card and a driver that run XDP programs; kernels.md says which kernel";
                Check::doubtful(AREA, NAME, format_args!("generic{why}"), remedy)
            }
            _ => {
                let remedy = "portcullis status; its alarms say what is in the way";
                Check::bad(AREA, NAME, format_args!("off{why}"), remedy)
            }
        };
    }
    match running.iter().find(|it| it.interface == interface) {
        Some(found) if found.running => {
            Check::ok(AREA, NAME, format_args!("{}, without a daemon", found.mode))
        }
        _ => {
            let remedy = "start the daemon with `portcullis run`, or the filter alone with `portcullis xdp attach`";
            Check::doubtful(AREA, NAME, "no filter of ours is seen there now", remedy)
        }
    }
}

/// The same for what the kernel says of the device.
fn of_device(interface: &str, device: &Device, is_native: bool, processors: u32) -> Vec<Check> {
    let Device { driver, mtu, rx_queues, tx_queues, gro, lro } = device;
    let shown = |number: &Option<u32>| number.map_or_else(|| "?".to_owned(), |it| it.to_string());
    let on = |flag: &Option<bool>| match flag {
        Some(true) => "on",
        Some(false) => "off",
        None => "?",
    };
    let name = driver.as_deref().unwrap_or("the kernel does not say");
    let mtu = match mtu {
        Some(mtu) if *mtu > LARGEST && !is_native => Check::doubtful(
            AREA,
            "MTU",
            format_args!("{mtu}, for which many drivers run no program"),
            format_args!("ip link set dev {interface} mtu 1500"),
        ),
        mtu => Check::ok(AREA, "MTU", shown(mtu)),
    };
    let offloads =
        format!("generic-receive-offload {}, large-receive-offload {}", on(gro), on(lro));
    let offloads = if *lro == Some(true) {
        let remedy = format!("ethtool -K {interface} lro off");
        Check::doubtful(
            AREA,
            "offloads",
            format_args!("{offloads}: XDP needs the frames apart"),
            remedy,
        )
    } else {
        Check::ok(AREA, "offloads", offloads)
    };
    let queues = format!(
        "{} for what comes in, {} for what goes out, {processors} processors",
        shown(rx_queues),
        shown(tx_queues)
    );
    let queues = if *rx_queues == Some(1) && processors > 1 {
        let remedy = format!(
            "ethtool -L {interface} combined {processors}, where the card has more of them"
        );
        Check::doubtful(
            AREA,
            "queues",
            format_args!("{queues}: one processor takes all packets"),
            remedy,
        )
    } else {
        Check::ok(AREA, "queues", queues)
    };
    vec![Check::ok(AREA, "driver", name), mtu, offloads, queues]
}

fn processors() -> u32 {
    available_parallelism().map_or(1, |number| u32::try_from(number.get()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn what_is_odd_about_a_device_is_doubtful_with_a_remedy() {
        let device = |mtu, rx_queues, lro| Device {
            driver: Some("veth".to_owned()),
            mtu: Some(mtu),
            rx_queues: Some(rx_queues),
            tx_queues: Some(rx_queues),
            gro: Some(true),
            lro,
        };
        let well = [State::Ok; 4];
        for (device, is_native, expected, remedy) in [
            (device(1500, 4, Some(false)), false, well, ""),
            (Device::default(), false, well, ""),
            (device(9000, 4, None), true, well, ""),
            (
                device(9000, 4, None),
                false,
                [State::Ok, State::Doubtful, State::Ok, State::Ok],
                "ip link set dev eth0 mtu 1500",
            ),
            (
                device(1500, 4, Some(true)),
                false,
                [State::Ok, State::Ok, State::Doubtful, State::Ok],
                "ethtool -K eth0 lro off",
            ),
            (
                device(1500, 1, None),
                false,
                [State::Ok, State::Ok, State::Ok, State::Doubtful],
                "ethtool -L eth0 combined 4, where the card has more of them",
            ),
        ] {
            let checks = of_device("eth0", &device, is_native, 4);
            let states: Vec<_> = checks.iter().map(|check| check.state).collect();
            assert_eq!(states, expected, "{device:?}");
            let found = checks.into_iter().find_map(|check| check.remedy);
            assert_eq!(found.unwrap_or_default(), remedy, "{device:?}");
        }
    }
}
