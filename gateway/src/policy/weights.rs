//! How much each fact about a client adds to its score, where no list and no zone says so.

/// The weights of evidence, each -1000 to 1000; 0 is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceWeights {
    /// `ptr:missing`: it has no reverse name.
    pub ptr_missing: i32,
    /// `ptr:unconfirmed`: it has one whose addresses do not hold its own.
    pub ptr_unconfirmed: i32,
    /// `ptr:generic`: its reverse name is made of its address, or says that it is dynamic.
    pub ptr_generic: i32,
    /// `helo:invalid`: its HELO is neither a name nor its own address.
    pub helo_invalid: i32,
    /// `helo:forged`: its HELO is one of ours, or the address of another.
    pub helo_forged: i32,
    /// `history:early-talking`: it spoke before it was greeted.
    pub early_talking: i32,
}

impl Default for EvidenceWeights {
    /// What the client itself says is free; reverse names cost a question, so that they are off.
    fn default() -> Self {
        Self {
            ptr_missing: 0,
            ptr_unconfirmed: 0,
            ptr_generic: 0,
            helo_invalid: 50,
            helo_forged: 150,
            early_talking: 200,
        }
    }
}

impl EvidenceWeights {
    /// Whether any of them needs the reverse name of a client.
    pub const fn needs_ptr(&self) -> bool {
        self.ptr_missing != 0 || self.ptr_unconfirmed != 0 || self.ptr_generic != 0
    }
}
