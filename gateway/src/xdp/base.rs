//! The base: one table of bad prefixes per family in the kernel, made anew and switched in one step whenever they change.

use std::net::IpAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::{fs, io};

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::of_maps::ArrayOfMaps;
use aya::maps::{Array, Map, MapData, MapError, MapType};
use gateway_ebpf::abi::{MAX_BAD, MAX_LEFTOVERS, MapShape, RuleValue, map};
use gateway_ebpf::table::build::{self, BuildError, Entry, Made, Rows, build_v4, build_v6};
use gateway_ebpf::table::header::{Header, Shape};
use gateway_ebpf::table::v6::Leftover;
use gateway_ebpf::table::{Line, Lines, Trace, v4, v6};

use super::XdpError;
use super::memory::{self, LINE_BYTES, MMAPABLE};
use super::pins::{self, Pins};
use super::plan::Entries;
use super::table_pin;
use super::tables::{failed, open};

/// The tables of both families, and what the one for IPv6 leaves over.
pub(super) struct Base {
    v4: Table,
    v6: Table,
    leftovers: LpmTrie<MapData, [u8; 20], [u8; 4]>,
    /// Whether new tables are made, or else spare ones filled, which are there already.
    makes_tables: bool,
}

/// The table of one family.
struct Table {
    shape: MapShape,
    holder: ArrayOfMaps<MapData, MapData>,
    /// The one in force.
    data: MapData,
    header: Header,
}

impl Base {
    /// Makes empty tables and pins them, before the program is loaded.
    pub(super) fn create(pins: &Pins) -> Result<(), XdpError> {
        for (shape, smallest) in
            [(map::BAD_V4, Shape::SMALLEST_V4), (map::BAD_V6, Shape::SMALLEST_V6)]
        {
            let seed = seed(shape)?;
            let digest = digest(seed, &[]);
            let made = Made { at_least: smallest, generation: 0, seed, digest };
            let built = match smallest {
                Shape::V4 { .. } => build_v4(&[], &Rows::new(), made),
                Shape::V6 { .. } => build_v6(&[], &Rows::new(), made, 0),
            };
            let table = filled(shape, &built.map_err(too_many(0))?)?;
            let holder = holder(shape, &table)?;
            table_pin::put(pins, shape, &table)?;
            holder.pin(pins.map(shape)).map_err(|error| pin_failed(shape, error))?;
        }
        Ok(())
    }

    /// Opens the pinned tables.
    pub(super) fn open(pins: &Pins) -> Result<Self, XdpError> {
        Ok(Self {
            v4: Table::open(pins, map::BAD_V4)?,
            v6: Table::open(pins, map::BAD_V6)?,
            leftovers: open(pins, map::LEFT_V6)?,
            makes_tables: true,
        })
    }

    /// Fills spare tables from now on, as a process must that cannot make any.
    pub(super) const fn use_spares(&mut self) {
        self.makes_tables = false;
    }

    /// Pins an empty table beside each one in force, for a process that uses them.
    pub(super) fn make_spares(&self, pins: &Pins) -> Result<(), XdpError> {
        for table in [&self.v4, &self.v6] {
            let lines = table.header.shape.lines();
            let spare = memory::create_table(lines).map_err(failed(table.shape))?;
            table_pin::put_beside(pins, table.shape, &spare)?;
        }
        Ok(())
    }

    /// How many prefixes the tables were made from.
    pub(super) fn prefixes(&self) -> usize {
        let prefixes = self.v4.header.prefixes + self.v6.header.prefixes;
        usize::try_from(prefixes).unwrap_or(usize::MAX)
    }

    /// Builds the tables that differ from those in force; nothing changes for the program yet.
    pub(super) fn prepare(&self, bad: &Entries, pins: &Pins) -> Result<Update, XdpError> {
        let spares = (!self.makes_tables).then_some(pins);
        let (v4, v6) = bad.split_at(bad.partition_point(|(prefix, _)| prefix.address().is_ipv4()));
        Ok(Update {
            v4: self.v4.prepare(v4, spares, |rows, made| {
                let entries = rows_of(v4, rows, |address| match address {
                    IpAddr::V4(v4) => Some(v4.to_bits()),
                    IpAddr::V6(_) => None,
                })?;
                build_v4(&entries, rows, made).map_err(too_many(entries.len()))
            })?,
            v6: self.v6.prepare(v6, spares, |rows, made| {
                let entries = rows_of(v6, rows, |address| match address {
                    IpAddr::V4(_) => None,
                    IpAddr::V6(v6) => Some(v6.to_bits()),
                })?;
                build_v6(&entries, rows, made, MAX_LEFTOVERS).map_err(too_many(entries.len()))
            })?,
        })
    }

    /// Pins the new tables beside those in force, where they are not there already.
    pub(super) fn pin_tables(&self, update: &Update, pins: &Pins) -> Result<(), XdpError> {
        if self.makes_tables { update.pin_tables(pins) } else { Ok(()) }
    }

    /// Writes what the new tables leave over, which no program sees before the tables are switched.
    pub(super) fn write_leftovers(&mut self, update: &Update) -> Result<(), XdpError> {
        let Some(new) = &update.v6 else { return Ok(()) };
        let failed = failed(map::LEFT_V6);
        // Those of the table in force must stay, those of earlier ones need not.
        let current = self.v6.header.generation.to_ne_bytes();
        let keys: Result<Vec<_>, _> = self.leftovers.keys().collect();
        let keys = keys.map_err(&failed)?;
        for key in keys.iter().filter(|key| !key.data().starts_with(&current)) {
            self.leftovers.remove(key).map_err(&failed)?;
        }
        for entry in &new.built.leftovers {
            let key = left_key(new.built.header.generation, entry.address, entry.length);
            self.leftovers.insert(&key, [entry.class, entry.length, 0, 0], 0).map_err(&failed)?;
        }
        Ok(())
    }

    /// Makes sure that the tables are pinned, which those of an earlier version are not.
    pub(super) fn keep_pinned(&self, pins: &Pins) -> Result<(), XdpError> {
        for Table { shape, data: table, .. } in [&self.v4, &self.v6] {
            let pinned = MapData::from_pin(pins.table(*shape)).and_then(|table| table.info());
            let ours = table.info().map_err(failed(*shape))?.id();
            if !pinned.is_ok_and(|pinned| pinned.id() == ours) {
                table_pin::put(pins, *shape, table)?;
            }
        }
        Ok(())
    }

    /// Puts the new tables in the place of the old ones, each in one step. The grace period of the kernel makes this take a
    /// while, so it is not for a thread that has to answer.
    pub(super) fn switch(&mut self, update: Update, pins: &Pins) -> Result<(), XdpError> {
        for (table, new) in [(&mut self.v4, update.v4), (&mut self.v6, update.v6)] {
            let Some(new) = new else { continue };
            match new.holder {
                Some(holder) => {
                    table.holder = ArrayOfMaps::try_from(holder).map_err(failed(table.shape))?;
                }
                None => table.holder.set(0, &new.table, 0).map_err(failed(table.shape))?,
            }
            let former = std::mem::replace(&mut table.data, new.table);
            table.header = new.built.header;
            table_pin::keep(pins, table.shape)?;
            if !self.makes_tables {
                // Nobody reads it any more: the kernel has waited for those who did.
                table_pin::put_beside(pins, table.shape, &former)?;
            }
        }
        Ok(())
    }

    /// The rule of the longest bad prefix that covers `address`, found as the program finds it.
    pub(super) fn covering(&self, address: IpAddr) -> Result<Option<RuleValue>, XdpError> {
        self.walk(address, &mut ())
    }

    /// The same, step by step for whoever listens.
    pub(super) fn walk(
        &self,
        address: IpAddr,
        trace: &mut impl Trace,
    ) -> Result<Option<RuleValue>, XdpError> {
        Ok(match address {
            IpAddr::V4(address) => v4::walk(&self.v4.read()?, address.to_bits(), trace),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                let words = [96, 64, 32, 0].map(|shift| low_word(bits >> shift));
                let leftover = |generation| {
                    let found = self.leftovers.get(&left_key(generation, bits, 128), 0).ok()?;
                    let [class, length, _, _] = found;
                    Some(Leftover { class, length })
                };
                v6::walk(&self.v6.read()?, words, leftover, trace)
            }
        })
    }

    /// The headers of the tables in force.
    pub(super) fn headers(&self) -> [Header; 2] {
        [self.v4.header, self.v6.header]
    }

    /// How many prefixes the tables in force leave over.
    pub(super) fn leftovers(&self) -> Result<usize, XdpError> {
        let current = self.v6.header.generation.to_ne_bytes();
        let mut count = 0;
        for key in self.leftovers.keys() {
            let key = key.map_err(failed(map::LEFT_V6))?;
            count += usize::from(key.data().starts_with(&current));
        }
        Ok(count)
    }

    /// The tables themselves, with the names of the maps that hold them.
    pub(super) fn maps(&self) -> Result<[(MapShape, MapData); 2], XdpError> {
        let table = |table: &Table| {
            let data = table_pin::share(&table.data).map_err(failed(table.shape))?;
            Ok::<_, XdpError>((table.shape, data))
        };
        Ok([table(&self.v4)?, table(&self.v6)?])
    }
}

/// Why what is pinned as a table is none.
pub(super) fn fault(pins: &Pins, shape: MapShape) -> Option<String> {
    match held(pins, shape) {
        Ok(table) => verify(&table).err(),
        Err(error) => Some(error.to_string()),
    }
}

/// The table in force.
fn held(pins: &Pins, shape: MapShape) -> Result<MapData, XdpError> {
    let holder = MapData::from_pin(pins.map(shape)).map_err(failed(shape))?;
    table_pin::open(pins, shape, &holder)
}

impl Table {
    fn open(pins: &Pins, shape: MapShape) -> Result<Self, XdpError> {
        let holder: ArrayOfMaps<MapData, MapData> = open(pins, shape)?;
        let data = held(pins, shape)?;
        let header = verify(&data).map_err(|reason| XdpError::Table { map: shape.name, reason })?;
        Ok(Self { shape, holder, data, header })
    }

    fn prepare(
        &self,
        bad: &[(crate::net::Prefix, RuleValue)],
        spares: Option<&Pins>,
        build: impl FnOnce(&mut Rows, Made) -> Result<build::Table, XdpError>,
    ) -> Result<Option<New>, XdpError> {
        if digest(self.header.seed, bad) == self.header.digest {
            return Ok(None);
        }
        let seed = seed(self.shape)?;
        let made = Made {
            at_least: self.header.shape,
            generation: self.header.generation.wrapping_add(1),
            seed,
            digest: digest(seed, bad),
        };
        let built = build(&mut Rows::new(), made)?;
        let table = match spares {
            None => filled(self.shape, &built)?,
            Some(pins) => {
                let lines = built.header.shape.lines();
                let table = table_pin::spare(pins, self.shape, &self.data, lines)?;
                memory::fill(&table, &built.lines).map_err(failed(self.shape))?;
                table
            }
        };
        let grown = built.header.shape != self.header.shape;
        let holder = grown.then(|| holder(self.shape, &table)).transpose()?;
        Ok(Some(New { shape: self.shape, built, table, holder }))
    }

    fn read(&self) -> Result<Read, XdpError> {
        let table = table_pin::share(&self.data);
        let table = table.and_then(Map::from_map_data).and_then(Array::try_from);
        table.map(Read).map_err(failed(self.shape))
    }
}

/// New tables, filled and ready; `None` for a family that has not changed.
#[derive(Default)]
pub(super) struct Update {
    v4: Option<New>,
    v6: Option<New>,
}

struct New {
    shape: MapShape,
    built: build::Table,
    table: MapData,
    /// A table of another size needs a holder of its own, and so a program that knows it.
    holder: Option<Map>,
}

impl Update {
    /// The tables that the program must be loaded anew for.
    fn grown(&self) -> impl Iterator<Item = (MapShape, &Map)> {
        let both = [&self.v4, &self.v6].into_iter().flatten();
        both.filter_map(|new| Some((new.shape, new.holder.as_ref()?)))
    }

    /// Whether the tables in force are those wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.v4.is_none() && self.v6.is_none()
    }

    /// Whether the program must be loaded anew.
    pub(super) fn needs_program(&self) -> bool {
        self.grown().next().is_some()
    }

    /// Pins the new tables beside those in force.
    fn pin_tables(&self, pins: &Pins) -> Result<(), XdpError> {
        let mut both = [&self.v4, &self.v6].into_iter().flatten();
        both.try_for_each(|new| table_pin::put_beside(pins, new.shape, &new.table))
    }

    /// Pins the holders of tables of another size beside those in force.
    pub(super) fn pin(&self, pins: &Pins) -> Result<(), XdpError> {
        for (shape, holder) in self.grown() {
            pins::remove(&pins.new_map(shape))?;
            holder.pin(pins.new_map(shape)).map_err(|error| pin_failed(shape, error))?;
        }
        Ok(())
    }

    /// Where the program that is loaded now finds a map.
    pub(super) fn path(&self, pins: &Pins, shape: MapShape) -> PathBuf {
        if self.grown().any(|(grown, _)| grown == shape) {
            pins.new_map(shape)
        } else {
            pins.map(shape)
        }
    }

    /// Puts the pins of tables of another size in the place of the old ones.
    pub(super) fn keep_pins(&self, pins: &Pins) -> Result<(), XdpError> {
        for (shape, _) in self.grown() {
            let new = pins.new_map(shape);
            fs::rename(&new, pins.map(shape)).map_err(|error| XdpError::path(&new, error))?;
        }
        Ok(())
    }

    /// Removes the pins of tables of another size, when the program could not be loaded with them.
    pub(super) fn drop_pins(&self, pins: &Pins) {
        for (shape, _) in self.grown() {
            for path in [pins.new_map(shape), pins.new_table(shape)] {
                if let Err(error) = pins::remove(&path) {
                    tracing::warn!("{error}");
                }
            }
        }
    }
}

/// A table read line by line through system calls.
struct Read(Array<MapData, Line>);

struct Copied(Line);

impl Deref for Copied {
    type Target = Line;

    fn deref(&self) -> &Line {
        &self.0
    }
}

impl Lines for Read {
    type Line<'a> = Copied;

    fn line(&self, index: u32) -> Option<Copied> {
        self.0.get(&index, 0).ok().map(Copied)
    }
}

/// Checks the map and all that is in it: a table from another time, of another make or half written is not used.
fn verify(table: &MapData) -> Result<Header, String> {
    let info = table.info().map_err(|error| error.to_string())?;
    if info.map_type().ok() != Some(MapType::Array)
        || info.key_size() != 4
        || info.value_size() != LINE_BYTES
        || info.map_flags() != MMAPABLE
        || info.max_entries() > Shape::MOST_LINES
    {
        return Err("its table is no map of lines".to_owned());
    }
    let lines = usize::try_from(info.max_entries()).unwrap_or(0);
    let lines = memory::read(table, lines).map_err(|error| error.to_string())?;
    Header::verify(&lines).map_err(|fault| fault.name().to_owned())
}

/// A map with a table in it, read by nobody yet.
fn filled(shape: MapShape, built: &build::Table) -> Result<MapData, XdpError> {
    let lines = built.header.shape.lines();
    let table = memory::create_table(lines).map_err(failed(shape))?;
    memory::fill(&table, &built.lines).map_err(failed(shape))?;
    Ok(table)
}

/// A map that holds `table`.
fn holder(shape: MapShape, table: &MapData) -> Result<Map, XdpError> {
    let holder = memory::create_holder(table).and_then(Map::from_map_data);
    let mut holder = holder.map_err(failed(shape))?;
    ArrayOfMaps::<_, MapData>::try_from(&mut holder)
        .and_then(|mut maps| maps.set(0, table, 0))
        .map_err(failed(shape))?;
    Ok(holder)
}

/// Rules as entries of a table, each combination of list and action as a class.
fn rows_of<A>(
    bad: &[(crate::net::Prefix, RuleValue)],
    rows: &mut Rows,
    number: impl Fn(IpAddr) -> Option<A>,
) -> Result<Vec<Entry<A>>, XdpError> {
    if bad.len() > MAX_BAD {
        return Err(XdpError::DoesNotFit { what: "bad rules", found: bad.len(), most: MAX_BAD });
    }
    let mut entries = Vec::with_capacity(bad.len());
    for (prefix, rule) in bad {
        let class = rows.class(*rule).ok_or(XdpError::TooManyCombinations)?;
        let (address, length) = (number(prefix.address()), prefix.length());
        entries.extend(address.map(|address| Entry { address, length, class }));
    }
    Ok(entries)
}

/// A digest of all that decides what is in a table.
fn digest(seed: u64, bad: &[(crate::net::Prefix, RuleValue)]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let add = |digest: u64, word: u64| (digest ^ word).wrapping_mul(ODD).rotate_left(29);
    bad.iter().fold(add(seed, 1), |digest, (prefix, rule)| {
        let rule = u64::from(u32::from_ne_bytes(rule.to_bytes())) << 8 | u64::from(prefix.length());
        let (high, low) = match prefix.address() {
            IpAddr::V4(v4) => (u64::from(v4.to_bits()), 0),
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                (high_half(bits), high_half(bits << 64))
            }
        };
        add(add(add(digest, rule), high), low)
    })
}

fn high_half(bits: u128) -> u64 {
    u64::try_from(bits >> 64).unwrap_or(0)
}

fn low_word(bits: u128) -> u32 {
    u32::try_from(bits & 0xffff_ffff).unwrap_or(0)
}

fn left_key(generation: u32, address: u128, length: u8) -> Key<[u8; 20]> {
    let mut data = [0; 20];
    let (first, rest) = data.split_at_mut(4);
    first.copy_from_slice(&generation.to_ne_bytes());
    rest.copy_from_slice(&address.to_be_bytes());
    Key::new(32 + u32::from(length), data)
}

/// Nobody outside can know it, or addresses could be chosen that all fall into one bucket.
fn seed(shape: MapShape) -> Result<u64, XdpError> {
    getrandom::u64().map_err(|error| failed(shape)(io::Error::other(error).into()))
}

fn too_many(found: usize) -> impl Fn(BuildError) -> XdpError {
    move |BuildError::TooMany| XdpError::DoesNotFit { what: "bad rules", found, most: MAX_BAD }
}

/// What could not be pinned.
pub(super) fn pin_failed(shape: MapShape, error: aya::pin::PinError) -> XdpError {
    failed(shape)(MapError::PinError { name: Some(shape.name.to_owned()), error })
}
