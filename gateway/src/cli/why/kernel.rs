//! Prints what a reference of the kernel says by itself.

use std::net::IpAddr;

use super::{Failure, output};
use crate::why::KernelAnswer;

pub(super) fn show(answer: &KernelAnswer, client: Option<IpAddr>) -> Result<(), Failure> {
    output::headline(format_args!("{}: refused in the kernel", answer.reference))?;
    output::field("decided by", format_args!("{}, {}", answer.decided_by, answer.action))?;
    output::field("host", &answer.host)?;
    output::field("time", format_args!("{}, in the minute that begins then", answer.time))?;
    match &answer.list {
        Some(list) => output::field("list", list)?,
        None => output::field("list", format_args!("number {}, whose name is gone", answer.slot))?,
    }
    match (answer.client, client) {
        (Some(true), Some(client)) => {
            output::field("client", "given to this address")?;
            output::field("next", format_args!("portcullis why {client} --at '{}'", answer.time))
        }
        (Some(false), _) => output::field("client", "given to another address"),
        _ => output::field(
            "next",
            format_args!(
                "portcullis why {} --client IP, with the address of the sender, says whether it was given to that",
                answer.reference
            ),
        ),
    }
}
