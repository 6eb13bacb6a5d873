//! Where VLAN tags are taken off before the program sees a frame: an answer would go out without its tag, to others.

use std::{fs, io};

use super::interface;
use super::offloads::takes_tags_off;

/// The VLAN interfaces on `interface`, or on the bond or bridge that it is part of, whose tags the program does not see.
///
/// An answer is the frame that came in, turned round. With `rx-vlan-offload` the card keeps the tag beside the frame, where
/// only programs that are bound to one device can read it (Linux 6.8), so the answer would leave untagged.
pub(super) fn hidden(interface: &str) -> Vec<String> {
    // The file is there when the kernel knows VLANs. `/proc/net` would be that of the process's first thread.
    let config = fs::read_to_string("/proc/thread-self/net/vlan/config").unwrap_or_default();
    let master = interface::index(interface).and_then(interface::master).unwrap_or_default();
    let below: Vec<&str> = [Some(interface), master.as_deref()].into_iter().flatten().collect();
    hidden_by(&config, &below, || takes_tags_off(interface))
}

/// The same from the text of `net/vlan/config`, the interface with what it is part of, and its flag.
fn hidden_by(
    config: &str,
    below: &[&str],
    takes_tags_off: impl FnOnce() -> io::Result<bool>,
) -> Vec<String> {
    let vlans: Vec<String> = below.iter().flat_map(|below| on(config, below)).collect();
    // What cannot be known is taken for the worse of the two: to drop where an answer was possible harms nobody.
    if vlans.is_empty() || !takes_tags_off().unwrap_or(true) {
        return Vec::new();
    }
    vlans
}

/// What it means, and what to do about it.
pub(super) fn remark(interface: &str, vlans: &[String]) -> Option<String> {
    let vlans = (!vlans.is_empty()).then(|| vlans.join(", "))?;
    Some(format!(
        "no answers, `refuse` and `reset` drop: VLAN tags (of {vlans}) are taken off before the filter sees them; \
         `ethtool -K {interface} rx-vlan-offload off` leaves them on"
    ))
}

/// The VLAN interfaces on the interface `below`, from the text of `net/vlan/config`.
fn on<'a>(config: &'a str, below: &'a str) -> impl Iterator<Item = String> + 'a {
    // Two lines of headings: the second begins with `Name-Type:` and has no columns.
    config.lines().skip(2).filter_map(move |line| {
        let mut columns = line.split('|').map(str::trim);
        let (name, _id, device) = (columns.next()?, columns.next()?, columns.next()?);
        (device == below).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
VLAN Dev name    | VLAN ID
Name-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD
eth0.100       | 100  | eth0
mail           | 25  | eth0
exactly15octets| 4094  | bond0
eth0.100.7     | 7  | eth0.100
";

    #[test]
    fn the_vlan_interfaces_on_an_interface_are_found() {
        for (config, below, expected) in [
            (CONFIG, "eth0", vec!["eth0.100", "mail"]),
            (CONFIG, "bond0", vec!["exactly15octets"]),
            (CONFIG, "eth0.100", vec!["eth0.100.7"]),
            (CONFIG, "eth", vec![]),
            (CONFIG, "VLAN ID", vec![]),
            ("", "eth0", vec![]),
            ("a\nb\nc|\n|\nd|1\n| | \n", "eth0", vec![]),
        ] {
            assert_eq!(on(config, below).collect::<Vec<_>>(), expected, "{below}");
        }
    }

    #[test]
    fn tags_are_hidden_where_there_are_vlans_and_the_flag_is_on() {
        let unknown = || Err(io::ErrorKind::PermissionDenied.into());
        assert_eq!(hidden_by(CONFIG, &["eth0"], || Ok(true)), ["eth0.100", "mail"]);
        assert!(hidden_by(CONFIG, &["eth0"], || Ok(false)).is_empty());
        assert_eq!(hidden_by(CONFIG, &["eth0"], unknown), ["eth0.100", "mail"]);
        assert_eq!(hidden_by(CONFIG, &["eth5", "bond0"], || Ok(true)), ["exactly15octets"]);
        assert!(hidden_by(CONFIG, &["eth5"], || panic!("nobody needs to know")).is_empty());
    }

    #[test]
    fn the_remark_says_what_to_do() {
        assert_eq!(remark("eth0", &[]), None);
        let remark = remark("eth0", &["eth0.100".to_owned(), "mail".to_owned()]).unwrap();
        assert!(remark.contains("(of eth0.100, mail)"), "{remark}");
        assert!(remark.contains("`ethtool -K eth0 rx-vlan-offload off`"), "{remark}");
    }
}
