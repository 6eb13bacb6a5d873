//! What nobody gets below: a lookup in a hash map, and the way of one packet to a neighbour and back.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::meter::{Meter, Spent, times};
use crate::site::Clients;

/// As many octets as a question to a zone has.
const QUESTION: [u8; 60] = [7; 60];
/// What ends the answers.
const END: [u8; 1] = [0];

/// Measures both in `runs` runs.
pub(crate) fn measure(runs: usize) -> Result<[Value; 2]> {
    Ok([hash_map(runs), round_trip(runs)?])
}

/// A hundred thousand addresses, each of which is looked up.
fn hash_map(runs: usize) -> Value {
    let addresses: Vec<IpAddr> = Clients::new(100_000).clean.into_iter().map(IpAddr::V4).collect();
    let map: HashMap<IpAddr, u32> = addresses.iter().copied().zip(0..).collect();
    let mut meter = Meter::default();
    for _ in 0..runs {
        let mut spent = Spent::default();
        spent.during(|| {
            for address in &addresses {
                black_box(map.get(address));
            }
        });
        meter.add(addresses.len(), spent);
        meter.add_times(&times(&addresses, |address| {
            black_box(map.get(address));
        }));
    }
    meter.row("floor", "HashMap of 100000 addresses")
}

/// One packet after the other, to a thread that sends each one back.
fn round_trip(runs: usize) -> Result<Value> {
    let (client, server) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    client.connect(server.local_addr()?)?;
    client.set_read_timeout(Some(Duration::from_secs(1)))?;
    let echo = thread::spawn(move || -> Result<()> {
        let mut buffer = [0; 512];
        loop {
            let (length, from) = server.recv_from(&mut buffer)?;
            let packet = buffer.get(..length).unwrap_or_default();
            if packet == END {
                return Ok(());
            }
            server.send_to(packet, from)?;
        }
    });
    let mut meter = Meter::default();
    for _ in 0..runs {
        let (mut spent, mut fault) = (Spent::default(), None);
        let mut buffer = [0; 512];
        let times = spent.during(|| {
            times(0..10_000, |_| {
                let done = client.send(&QUESTION).and_then(|_length| client.recv(&mut buffer));
                if let Err(error) = done {
                    fault = Some(error);
                }
            })
        });
        fault.map_or(Ok(()), Err).context("a round trip")?;
        meter.add(times.len(), spent);
        meter.add_times(&times);
    }
    client.send(&END)?;
    echo.join().ok().context("the echo died")??;
    Ok(meter.row("floor", "UDP to another thread and back"))
}
