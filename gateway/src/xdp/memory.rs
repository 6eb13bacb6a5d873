//! What aya has no call for: maps that hold maps of any size, and a table's lines as memory.
#![expect(
    unsafe_code,
    reason = "the kernel is spoken to by numbers and addresses here, and nowhere else"
)]

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::{self, NonNull};

use aya::maps::{MapData, MapError};
use aya_obj::generated::{bpf_cmd, bpf_map_type};
use gateway_ebpf::table::Line;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// `BPF_F_MMAPABLE` (Linux 5.5).
pub(super) const MMAPABLE: u32 = 1 << 10;

/// The size of a line.
pub(super) const LINE_BYTES: u32 = 64;
const _: () = assert!(size_of::<Line>() == 64 && size_of::<MapCreate>() == 24);

/// Makes a map for a table of `lines` lines, all zero.
pub(super) fn create_table(lines: u32) -> Result<MapData, MapError> {
    let kind = bpf_map_type::BPF_MAP_TYPE_ARRAY as u32;
    let shape = aya_obj::Map::new_from_params(kind, 4, LINE_BYTES, lines, MMAPABLE);
    MapData::create(shape, "table", None)
}

/// The start of `union bpf_attr` as `BPF_MAP_CREATE` reads it; the kernel takes the rest as zero.
#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
}

const MAP_CREATE_BYTES: libc::c_long = 24;

/// Makes a map that holds one map of the shape of `table` (Linux 4.12).
///
/// The loader would take that shape from the object file, where only one size can be; a map that is pinned before the
/// program is loaded keeps its own.
pub(super) fn create_holder(table: &MapData) -> Result<MapData, MapError> {
    let attributes = MapCreate {
        map_type: bpf_map_type::BPF_MAP_TYPE_ARRAY_OF_MAPS as u32,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        map_flags: 0,
        inner_map_fd: table.fd().as_fd().as_raw_fd().cast_unsigned(),
    };
    let command = bpf_cmd::BPF_MAP_CREATE as libc::c_long;
    // SAFETY: the kernel reads as many bytes from the address as it is told there are, and writes none.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command, ptr::from_ref(&attributes), MAP_CREATE_BYTES)
    };
    let Some(fd) = i32::try_from(result).ok().filter(|fd| *fd >= 0) else {
        return Err(io::Error::last_os_error().into());
    };
    // SAFETY: the kernel has just opened it for us, and nobody else knows of it.
    MapData::from_fd(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The start of `union bpf_attr` as `BPF_MAP_LOOKUP_ELEM` reads it.
#[repr(C)]
struct MapLookup {
    map_fd: u32,
    gap: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The number of the map that `holder`, made by [`create_holder`], holds; who has no right to open it by that may still know it.
pub(super) fn held(holder: &MapData) -> Result<u32, MapError> {
    let (key, mut value) = (0_u32, 0_u32);
    let attributes = MapLookup {
        map_fd: holder.fd().as_fd().as_raw_fd().cast_unsigned(),
        gap: 0,
        key: ptr::from_ref(&key).expose_provenance() as u64,
        value: ptr::from_mut(&mut value).expose_provenance() as u64,
        flags: 0,
    };
    if holder.info()?.value_size() != 4 || holder.info()?.key_size() != 4 {
        return Err(io::Error::from(io::ErrorKind::InvalidData).into());
    }
    let command = bpf_cmd::BPF_MAP_LOOKUP_ELEM as libc::c_long;
    let bytes = size_of::<MapLookup>();
    // SAFETY: the kernel reads the attributes and a key of four bytes, and writes a value of four bytes, as was checked.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, ptr::from_ref(&attributes), bytes) };
    if result < 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(value)
}

/// Writes `lines` into a table that nobody reads yet.
pub(super) fn fill(table: &MapData, lines: &[Line]) -> Result<(), MapError> {
    let memory = Memory::new(table, lines.len())?;
    // SAFETY: the mapping is as long as `lines`, lies elsewhere, and no reference to it exists.
    unsafe { ptr::copy_nonoverlapping(lines.as_ptr(), memory.start.as_ptr(), lines.len()) };
    Ok(())
}

/// A copy of the first `lines` lines of a table. Somebody may write there meanwhile: what comes out may then be of no use.
pub(super) fn read(table: &MapData, lines: usize) -> Result<Vec<Line>, MapError> {
    let memory = Memory::new(table, lines)?;
    let mut copy = vec![[0; 8]; lines];
    // SAFETY: the mapping is as long as `copy`, lies elsewhere, and no reference to it exists; any bytes are a line.
    unsafe { ptr::copy_nonoverlapping(memory.start.as_ptr(), copy.as_mut_ptr(), lines) };
    Ok(copy)
}

/// A table's memory in our address space.
struct Memory {
    start: NonNull<Line>,
    bytes: usize,
}

impl Memory {
    /// The kernel refuses to map more than the table has.
    fn new(table: &MapData, lines: usize) -> Result<Self, MapError> {
        let bytes = lines * size_of::<Line>();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the address, so nothing of ours is there.
        let start =
            unsafe { mmap(ptr::null_mut(), bytes, access, MapFlags::SHARED, table.fd(), 0) };
        let start = start.map_err(io::Error::from)?;
        let start = NonNull::new(start.cast())
            .ok_or(io::ErrorKind::OutOfMemory)
            .map_err(io::Error::from)?;
        Ok(Self { start, bytes })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: this is what was mapped, and nothing points into it any more.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
        if let Err(error) = unmapped {
            tracing::warn!("munmap: {error}");
        }
    }
}
