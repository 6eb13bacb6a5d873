//! Which list counts in which slot of the kernel; a list keeps its slot over restarts and reloads.

use std::sync::Arc;

use gateway_ebpf::abi::{MAX_LIST_NAME, MAX_LISTS};

use super::XdpError;

/// A name as the kernel keeps it: its length in one byte, then its bytes.
pub(super) type NameBytes = [u8; 1 + MAX_LIST_NAME];

/// The names in the slots.
///
/// The slot of a list that was taken out keeps its name, and so its counters, until another list needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slots(Vec<Option<Arc<str>>>);

/// The slots of the lists of one set of rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The slot of each list.
    pub(super) slots: Vec<u16>,
    /// The slots whose names are new.
    pub(super) named: Vec<u16>,
    /// Those of them in which another list counted before.
    pub(super) reused: Vec<u16>,
}

impl Slots {
    /// From what the kernel keeps; a name that cannot be one is none.
    pub(super) fn from_kernel(names: impl IntoIterator<Item = NameBytes>) -> Self {
        let mut slots: Vec<Option<Arc<str>>> = Vec::with_capacity(MAX_LISTS);
        for name in names.into_iter().take(MAX_LISTS) {
            let name = decode(&name).filter(|name| !slots.iter().flatten().any(|n| **n == **name));
            slots.push(name.map(Arc::from));
        }
        slots.resize(MAX_LISTS, None);
        Self(slots)
    }

    /// Gives each of `lists` its slot: the one it has, else one never used, else one of a list that is gone.
    pub(super) fn assign(&mut self, lists: &[Arc<str>]) -> Result<Assignment, XdpError> {
        if lists.len() > MAX_LISTS {
            return Err(XdpError::DoesNotFit {
                what: "lists",
                found: lists.len(),
                most: MAX_LISTS,
            });
        }
        let mut assignment = Assignment::default();
        for list in lists {
            encode(list)?;
            let of_this = |slot: &Option<Arc<str>>| slot.as_ref() == Some(list);
            let of_none_left =
                |slot: &Option<Arc<str>>| slot.as_ref().is_some_and(|name| !lists.contains(name));
            let Some(slot) = self
                .0
                .iter()
                .position(of_this)
                .or_else(|| self.0.iter().position(Option::is_none))
                .or_else(|| self.0.iter().position(of_none_left))
            else {
                continue;
            };
            let number = u16::try_from(slot).unwrap_or(u16::MAX);
            assignment.slots.push(number);
            let Some(name) = self.0.get_mut(slot).filter(|name| !of_this(name)) else {
                continue;
            };
            assignment.named.push(number);
            if name.replace(Arc::clone(list)).is_some() {
                assignment.reused.push(number);
            }
        }
        Ok(assignment)
    }

    /// The name of the list in `slot`.
    pub(super) fn name(&self, slot: u16) -> Option<&Arc<str>> {
        self.0.get(usize::from(slot))?.as_ref()
    }

    /// All slots that have a name.
    pub(super) fn named(&self) -> impl Iterator<Item = (u16, &Arc<str>)> {
        (0..).zip(&self.0).filter_map(|(slot, name)| Some((slot, name.as_ref()?)))
    }
}

/// A name as the kernel keeps it.
pub(super) fn encode(name: &str) -> Result<NameBytes, XdpError> {
    let mut bytes = [0; 1 + MAX_LIST_NAME];
    let length = u8::try_from(name.len()).ok().filter(|length| *length > 0);
    let (head, tail) = bytes.split_at_mut(1);
    match (head, tail.get_mut(..name.len()), length) {
        ([head], Some(tail), Some(length)) => {
            *head = length;
            tail.copy_from_slice(name.as_bytes());
            Ok(bytes)
        }
        _ => Err(XdpError::ListName { name: name.to_owned(), most: MAX_LIST_NAME }),
    }
}

/// The name that the kernel keeps; `None` when there is none.
pub(super) fn decode([length, name @ ..]: &NameBytes) -> Option<&str> {
    let name = name.get(..usize::from(*length))?;
    str::from_utf8(name).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    fn through_the_kernel(slots: &Slots) -> Slots {
        Slots::from_kernel(
            slots.0.iter().map(|name| {
                name.as_ref().map_or([0; 1 + MAX_LIST_NAME], |name| encode(name).unwrap())
            }),
        )
    }

    #[test]
    fn a_list_keeps_its_slot() {
        let mut slots = Slots::from_kernel([]);
        let first = slots.assign(&lists(&["a", "b", "c"])).unwrap();
        assert_eq!(first.slots, [0, 1, 2]);
        assert_eq!((first.named, first.reused), (vec![0, 1, 2], vec![]));

        // Another order, one gone, one new, and a restart in between.
        let mut slots = through_the_kernel(&slots);
        let second = slots.assign(&lists(&["d", "c", "a"])).unwrap();
        assert_eq!(second.slots, [3, 2, 0]);
        assert_eq!((second.named, second.reused), (vec![3], vec![]));
        assert_eq!(slots.name(1).map(|name| &**name), Some("b"));
    }

    #[test]
    fn a_slot_is_reused_only_when_all_are_taken() {
        let mut slots = Slots::from_kernel([]);
        let names: Vec<String> = (0..MAX_LISTS).map(|n| format!("list-{n}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        slots.assign(&lists(&all)).unwrap();

        let assignment = slots.assign(&lists(&["list-0", "new"])).unwrap();
        assert_eq!(assignment.slots, [0, 1]);
        assert_eq!((assignment.named, assignment.reused), (vec![1], vec![1]));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let mut slots = Slots::from_kernel([]);
        let names: Vec<Arc<str>> = (0..=MAX_LISTS).map(|n| format!("{n}").into()).collect();
        let too_long = "x".repeat(MAX_LIST_NAME + 1);
        for (lists, expected) in [
            (names, "257 lists do not fit, expected at most 256"),
            (lists(&[""]), "list name `` has 0 bytes, expected 1 to 127"),
            (lists(&[&too_long]), "has 128 bytes, expected 1 to 127"),
        ] {
            let error = slots.assign(&lists).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
    }

    #[test]
    fn what_is_no_name_is_an_empty_slot() {
        let mut garbage = [0xff; 1 + MAX_LIST_NAME];
        garbage[0] = 4;
        let mut too_long = garbage;
        too_long[0] = 200;
        let twice = encode("twice").unwrap();
        let slots = Slots::from_kernel([garbage, too_long, twice, twice]);
        assert_eq!(slots.0.len(), MAX_LISTS);
        assert_eq!(slots.named().map(|(slot, _)| slot).collect::<Vec<_>>(), [2]);
    }
}
