//! The contract between the XDP program and the daemon, with all of the program's logic that needs no kernel.
#![no_std]

pub mod abi;
