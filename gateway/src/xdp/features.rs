//! What the filter needs of a kernel: each feature with the first version that has it, and what works without it.

use std::fmt::Write as _;

/// Something that a kernel or a host has or has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// The process may load programs and attach them.
    Rights,
    /// The system call that all of the rest goes through.
    Calls,
    /// A BPF filesystem for the pins.
    Bpffs,
    /// Memory of maps is charged to the control group, not to the limit of locked memory.
    Memory,
    /// Arrays as memory of the daemon, inside a map of maps.
    Tables,
    /// Tries of prefixes.
    Tries,
    /// Counters per processor.
    Counters,
    /// Hash maps that forget the least used.
    Limiter,
    /// Buffers for events, shared by all processors.
    Events,
    /// The clock that goes on while the host sleeps.
    BootClock,
    /// The clock that costs next to nothing.
    CoarseClock,
    /// Links to interfaces, which can be pinned and handed over.
    Links,
    /// The verifier takes the program.
    Program,
    /// The driver runs the program, on each interface.
    Native,
    /// The kernel runs the program behind the driver, on each interface.
    Generic,
    /// No other XDP program on the interface.
    Room,
    /// VLAN tags are in the frames, on each interface.
    Tags,
    /// Whether a driver runs programs can be asked without trying.
    Asking,
    /// Types of the kernel, for a dispatcher of programs.
    Types,
}

/// The least kernel on which the filter runs: the greatest of those below that it cannot do without.
pub const MINIMUM: Version = Version(5, 11);

/// A version of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16);

/// What is known about a feature, whatever the host.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The feature.
    pub feature: Feature,
    /// Its name.
    pub name: &'static str,
    /// The first Linux that has it.
    pub since: Option<Version>,
    /// What it is for.
    pub used_for: &'static str,
    /// What works without it.
    pub without: Without,
    /// What to do where it is missing.
    pub remedy: &'static str,
}

/// What works without a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// No filter; the daemon decides everything.
    NoFilter,
    /// The filter works, and something else does not.
    Less(&'static str),
    /// Nothing is lost that this host uses now.
    Same(&'static str),
}

impl Without {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoFilter => {
                "no kernel filter: the daemon decides everything, with the same answers"
            }
            Self::Less(words) | Self::Same(words) => words,
        }
    }
}

const NEWER_KERNEL: &str = "run Linux 5.11 or later";

/// All features, in the order in which they are probed.
pub const ALL: [Row; 19] = [
    Row {
        feature: Feature::Rights,
        name: "rights",
        since: Some(Version(5, 8)),
        used_for: "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, to load and attach the program",
        without: Without::NoFilter,
        remedy: "run as root, or give the service these three capabilities",
    },
    Row {
        feature: Feature::Calls,
        name: "BPF system call",
        since: Some(Version(3, 18)),
        used_for: "everything",
        without: Without::NoFilter,
        remedy: "a kernel with CONFIG_BPF_SYSCALL, and no sandbox (seccomp, lockdown) that forbids bpf(2)",
    },
    Row {
        feature: Feature::Bpffs,
        name: "BPF filesystem",
        since: Some(Version(4, 4)),
        used_for: "pins: the filter goes on while no daemon runs",
        without: Without::NoFilter,
        remedy: "`mount -t bpf bpf /sys/fs/bpf`, or set `[xdp] pin_dir` to a folder of one",
    },
    Row {
        feature: Feature::Memory,
        name: "memory of maps is no locked memory",
        since: Some(Version(5, 11)),
        used_for: "tables of any size",
        without: Without::NoFilter,
        remedy: "set the limit of locked memory to unlimited (`LimitMEMLOCK=infinity`)",
    },
    Row {
        feature: Feature::Tables,
        name: "memory-mapped arrays in a map of maps",
        since: Some(Version(5, 5)),
        used_for: "the table of bad prefixes: filled as memory, switched by one pointer",
        without: Without::NoFilter,
        remedy: NEWER_KERNEL,
    },
    Row {
        feature: Feature::Tries,
        name: "tries of prefixes",
        since: Some(Version(4, 11)),
        used_for: "good prefixes",
        without: Without::NoFilter,
        remedy: NEWER_KERNEL,
    },
    Row {
        feature: Feature::Counters,
        name: "arrays per processor",
        since: Some(Version(4, 6)),
        used_for: "counters",
        without: Without::NoFilter,
        remedy: NEWER_KERNEL,
    },
    Row {
        feature: Feature::Limiter,
        name: "hash maps that forget",
        since: Some(Version(4, 10)),
        used_for: "the flood limiter",
        without: Without::NoFilter,
        remedy: NEWER_KERNEL,
    },
    Row {
        feature: Feature::Events,
        name: "ring buffer",
        since: Some(Version(5, 8)),
        used_for: "sampled events",
        without: Without::NoFilter,
        remedy: NEWER_KERNEL,
    },
    Row {
        feature: Feature::BootClock,
        name: "boot-time clock (`bpf_ktime_get_boot_ns`)",
        since: Some(Version(5, 8)),
        used_for: "rules that expire by themselves (the kernel can; lists cannot say it yet)",
        without: Without::NoFilter,
        remedy: NEWER_KERNEL,
    },
    Row {
        feature: Feature::CoarseClock,
        name: "coarse clock (`bpf_ktime_get_coarse_ns`)",
        since: Some(Version(5, 11)),
        used_for: "`refuse`: references, and the cap on answers",
        without: Without::NoFilter,
        remedy: NEWER_KERNEL,
    },
    Row {
        feature: Feature::Links,
        name: "links of XDP programs",
        since: Some(Version(5, 9)),
        used_for: "taking over from an earlier daemon without a gap",
        without: Without::NoFilter,
        remedy: NEWER_KERNEL,
    },
    Row {
        feature: Feature::Program,
        name: "the verifier takes the program",
        since: Some(Version(5, 11)),
        used_for: "everything: bounded loops (5.3), calls with numbers (4.16), all helpers above",
        without: Without::NoFilter,
        remedy: NEWER_KERNEL,
    },
    Row {
        feature: Feature::Native,
        name: "native mode",
        since: Some(Version(4, 8)),
        used_for: "line rate: the packet is judged in the driver, before memory is spent on it",
        without: Without::Less(
            "generic mode: the same answers, at several times the cost; no defence against a flood",
        ),
        remedy: "use a driver with XDP; see what it asks for (fewer queues, a smaller MTU, LRO off)",
    },
    Row {
        feature: Feature::Generic,
        name: "generic mode",
        since: Some(Version(4, 12)),
        used_for: "interfaces whose driver has no XDP, the loopback for one",
        without: Without::NoFilter,
        remedy: NEWER_KERNEL,
    },
    Row {
        feature: Feature::Room,
        name: "no other XDP program",
        since: None,
        used_for: "an interface runs one XDP program",
        without: Without::Less(
            "no filter on that interface: the daemon decides what comes over it",
        ),
        remedy: "`ip link set dev IF xdp off`, or the tool that put the other one there",
    },
    Row {
        feature: Feature::Tags,
        name: "VLAN tags in the frames",
        since: None,
        used_for: "answers (`refuse`, `reset`) that leave by the VLAN that they came from",
        without: Without::Less("no answers on that interface: `refuse` and `reset` drop"),
        remedy: "`ethtool -K IF rx-vlan-offload off`",
    },
    Row {
        feature: Feature::Asking,
        name: "what a driver can (`netdev` netlink family)",
        since: Some(Version(6, 3)),
        used_for: "`doctor` knows of native mode before the daemon tries it",
        without: Without::Same("native mode is known when the daemon has tried it"),
        remedy: "nothing: start the daemon and look at `portcullis status`",
    },
    Row {
        feature: Feature::Types,
        name: "types of the kernel (`/sys/kernel/btf/vmlinux`)",
        since: Some(Version(5, 4)),
        used_for: "joining a dispatcher of several XDP programs (with Linux 5.10)",
        without: Without::Same(
            "the filter is the only XDP program of its interface, as it is anyway",
        ),
        remedy: "nothing, or a kernel built with CONFIG_DEBUG_INFO_BTF",
    },
];

impl Feature {
    /// Whether each interface has it or has it not.
    pub const fn is_of_interface(self) -> bool {
        matches!(self, Self::Native | Self::Generic | Self::Room | Self::Tags)
    }
}

impl Version {
    /// The version in a text such as `6.1.0-18-amd64`.
    pub fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some(Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The page of the documents about kernels, in Markdown.
pub fn page() -> String {
    let mut page = format!(
        "{INTRODUCTION}\nThe filter runs on Linux {MINIMUM} or later. Below, each feature stands with the first version that has it:\n\n\
         | feature | Linux | used for | without it | what to do |\n|---|---|---|---|---|\n"
    );
    for row in &ALL {
        let Row { name, since, used_for, without, remedy, .. } = row;
        let without = without.words();
        let since = since.map_or_else(|| "any".to_owned(), |since| since.to_string());
        // Writing to a string cannot fail.
        writeln!(page, "| {name} | {since} | {used_for} | {without} | {remedy} |")
            .unwrap_or_default();
    }
    page.push_str(REST);
    page
}

const INTRODUCTION: &str = "\
# Kernels

What the kernel filter needs of a host. `portcullis doctor` tries each of these on the host that it runs on, changes nothing,
and says what is missing and what to do about it; `--json` says the same to a program. Exit code 0: all is there; 1: something
is missing. A daemon that cannot open its filter tries the same, names what is missing in the alarm `xdp`, and decides
everything itself.

This page is generated from the source; a test keeps it so.
";

const REST: &str = "
The versions are those of the mainline kernel; distributions carry some features back, so the probes decide, not the version.

Where VLAN interfaces lie on a filtered interface and its card takes the tags off (`rx-vlan-offload`, which most cards have
switched on), the program cannot see the tag, and an answer would go out untagged. Such an interface is told in `status`, in
the log, as an alarm and by `doctor`; `ethtool -K IF rx-vlan-offload off` leaves the tags in the frames.

## Beside other XDP programs

An interface runs one XDP program. Where another runs already the filter leaves it alone, and `status`, the log, an alarm and
`doctor` name it; the daemon decides what comes over that interface.

libxdp puts a dispatcher in that place, which calls several programs in turn (Linux 5.10). The filter does not join it. The
loader of libxdp reads the object files of libbpf, and libbpf 1.0 and later takes no maps but those that BTF describes; aya
0.14 describes most of ours in the older way and cannot ask for a pin by BTF, so the tables that the daemon fills could not be
shared. Joining without that loader means to follow libxdp's protocol: a new dispatcher for each change, its configuration
among its constants, all programs attached to it anew (`BPF_PROG_TYPE_EXT`), then one replacement on the interface. What would
join is the half of the program that drops; answers belong to a program that sees the packet last.

What works today: the filter on the interface, and the others behind it in `tc`, where they see what the filter passes.

## What was tried

Everything is tested on Linux 6.18, x86-64, with veth interfaces (native and generic) and the loopback (generic). A kernel
that gives no links, and one that gives no BPF at all, are simulated there, by a filter on the system call. Not tried: other
kernels, other architectures, network cards, VLAN interfaces with tag offload (the test kernel has no VLANs; the reader of
their list is tested by text, the flag by `ethtool -K` on a veth interface), programs of type EXT (the test host refuses them
with EPERM), so no dispatcher with programs in it. That `xdp-loader` 1.3 refuses our object was tried: EOPNOTSUPP.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_up_to_date() {
        crate::assert_page("kernels.md", &page());
    }

    #[test]
    fn each_feature_has_one_row_and_the_minimum_is_the_greatest_needed() {
        for row in ALL {
            assert_eq!(ALL.iter().filter(|other| other.feature == row.feature).count(), 1);
        }
        let needed = ALL.iter().filter(|row| row.without == Without::NoFilter);
        assert_eq!(needed.filter_map(|row| row.since).max(), Some(MINIMUM));
        assert!(NEWER_KERNEL.contains(&MINIMUM.to_string()));
    }

    #[test]
    fn versions_are_read_as_the_kernel_writes_them() {
        for (release, expected) in [
            ("6.18.44", Some(Version(6, 18))),
            ("5.11.0-rc1+", Some(Version(5, 11))),
            ("6.1-amd64", Some(Version(6, 1))),
            ("5.10.0-28-cloud-amd64", Some(Version(5, 10))),
            ("6", None),
            ("", None),
            ("linux", None),
            ("99999999.1", None),
        ] {
            assert_eq!(Version::parse(release), expected, "{release}");
        }
        assert!(Version(5, 9) < Version(5, 11) && Version(5, 19) < Version(6, 0));
    }
}
