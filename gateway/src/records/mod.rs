//! Which records of the trail are looked for, and what they come to.

use crate::audit::{Privacy, Veil};

/// The words of a search as they are recorded, and what is wrong where those with a pseudonym are not found.
pub fn veil(privacy: &Privacy) -> (Veil, Option<String>) {
    match Veil::to_search(privacy) {
        Ok(veil) => (veil, None),
        Err(error) => {
            let warning = format!("what is recorded as a pseudonym is not found: {error}");
            (Veil::none(), Some(warning))
        }
    }
}
