//! Any header block: fields that add up to it, and addresses that really stand in it, each once for a hop.

use std::collections::HashSet;
use std::sync::Arc;

use gateway::net::{Hop, fold};
use gateway::scan::{HeaderBlock, count_received, sightings};
use gateway::smtp::{Limits, fields, header_end, header_fault};

use super::single_line;

pub(crate) fn run(octets: &[u8]) {
    let end = header_end(octets, 0);
    assert!(end.is_none_or(|end| octets[..end].ends_with(b"\r\n")), "{end:?}");
    // It does not matter how far somebody looked before.
    let before = end.unwrap_or(octets.len());
    for searched in [before / 3, before / 2, before.saturating_sub(1)] {
        assert_eq!(header_end(octets, searched), end, "searched {searched}");
    }
    let block = &octets[..end.unwrap_or(octets.len())];
    assert_eq!(fields(block).collect::<Vec<_>>().concat(), block);
    if let Some(reply) = header_fault(block, &Limits { received: 2, ..Limits::default() }) {
        single_line(&reply.to_string());
    }

    let count = HeaderBlock::new(octets).received().count();
    assert_eq!(count_received(octets), count);
    for field in HeaderBlock::new(octets).fields() {
        assert!(!field.name.is_empty() && field.name.is_ascii(), "{field:?}");
        let from = field.value.as_ptr_range();
        let all = octets.as_ptr_range();
        assert!(all.start <= from.start && from.end <= all.end, "a value from elsewhere");
    }

    let extra: [Arc<str>; 1] = ["X-Originating-IP".into()];
    let found = sightings(octets, &extra);
    let mut seen = HashSet::new();
    for sighting in &found {
        assert_eq!(sighting.address, fold(sighting.address), "IPv4 in disguise");
        assert!(seen.insert((sighting.address, sighting.hop.clone())), "{sighting:?} twice");
        match &sighting.hop {
            Hop::Received(index) => assert!(usize::from(*index) < count, "{sighting:?}"),
            hop => assert_eq!(*hop, Hop::Header(Arc::clone(&extra[0])), "{sighting:?}"),
        }
    }
    // A hostile field on top moves the others down, and hides none of them.
    let fixed = b"Received: from a ([192.0.2.77]) by b with ESMTP; Mon\r\n";
    let below = sightings(&[octets, b"\r\n".as_slice(), fixed].concat(), &[]);
    let first = sightings(&[fixed.as_slice(), octets].concat(), &[]);
    let ours = |one: &gateway::scan::Sighting| one.address.to_string() == "192.0.2.77" && one.peer;
    assert!(first.iter().any(|one| ours(one) && one.hop == Hop::Received(0)), "{first:?}");
    if !ends_early(octets) {
        assert!(below.iter().any(ours), "{below:?}");
    }
}

/// Whether an empty line ends the block before the end of its octets.
fn ends_early(octets: &[u8]) -> bool {
    let with_end = [octets, b"\r\n".as_slice()].concat();
    with_end
        .split_inclusive(|octet| *octet == b'\n')
        .any(|line| line.iter().all(|octet| matches!(octet, b'\r' | b'\n')))
}
