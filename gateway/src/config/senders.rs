//! The tables `[greylist]` and `[promotion]`: what is remembered of senders, and what comes of it.

use std::time::Duration;

use gateway_ebpf::abi::KernelAction;

use super::PromotionConfig;
use super::lists::{kernel_action, no_more_than_counted};
use super::reader::Reader;
use super::values::{Wrong, duration, integer, long_duration, time_in};
use crate::sender::{Greylist, MOST_REFUSALS, PromotionSettings};

/// Reads `[greylist]`.
pub(super) fn greylist(mut reader: Reader<'_>) -> Greylist {
    let default = Greylist::default();
    let wait = reader.or("wait", default.wait, duration);
    let range = Duration::from_secs(1)..=Duration::from_hours(30 * 24);
    let within = time_in(range, "like \"12h\" or \"1d\", from 1s to 30d");
    let retry_within = reader.optional("retry_within", within);
    let greylist = Greylist {
        wait,
        retry_within: retry_within.as_ref().map_or(default.retry_within, |at| at.value),
        pass_for: reader.or("pass_for", default.pass_for, long_duration),
        network_v4: reader.or("network_v4", default.network_v4, integer(8..=32)),
        network_v6: reader.or("network_v6", default.network_v6, integer(16..=128)),
        most: reader.or("most", default.most, integer(1_000..=10_000_000)),
    };
    if greylist.retry_within <= wait {
        let found = format!("{:?} with wait = {wait:?}", greylist.retry_within);
        let place = retry_within.map_or_else(|| reader.place().clone(), |at| at.place);
        let wrong = Wrong::expected(&found, "more than the wait, else nobody ever passes");
        reader.wrong("retry_within", place, wrong);
    }
    reader.finish();
    greylist
}

/// Reads `[promotion]`. In a dry run of everything the kernel does no more than count.
pub(super) fn promotion(mut reader: Reader<'_>, enforce: bool) -> PromotionConfig {
    let default = PromotionSettings::default();
    let settings = PromotionSettings {
        refusals: reader.or("refusals", default.refusals, integer(0..=MOST_REFUSALS)),
        window: reader.or("window", default.window, duration),
        duration: reader.or("duration", default.duration, long_duration),
        most: reader.or("most", default.most, integer(1..=100_000)),
    };
    let kernel = kernel_action(&mut reader, "kernel");
    reader.finish();
    let kernel = kernel.map_or(KernelAction::Refuse, |kernel| kernel.value);
    PromotionConfig { settings, kernel: no_more_than_counted(kernel, enforce) }
}
