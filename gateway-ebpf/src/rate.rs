//! How many answers one processor may still give.

/// What a processor has answered lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Answers {
    /// The number of the second in which it answered last.
    pub second: u64,
    /// How many answers it was asked for in that second.
    pub count: u64,
}

impl Answers {
    /// Counts one more at `now`, in nanoseconds; whether it is among the `most` of its second. 0 is no limit.
    ///
    /// A second has 2^30 nanoseconds here: a shift costs less than a division, and nobody counts so exactly.
    #[inline(always)]
    pub const fn allow(&mut self, now: u64, most: u32) -> bool {
        let second = now >> 30;
        if second != self.second {
            *self = Self { second, count: 0 };
        }
        self.count += 1;
        most == 0 || self.count <= most as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_share() {
        let mut answers = Answers::default();
        let second = 1 << 30;
        let allowed = |answers: &mut Answers, now, most| {
            (0..100).filter(|_| answers.allow(now, most)).count()
        };
        for (now, most, expected) in [
            (0, 10, 10),
            (second - 1, 10, 0),
            (second, 10, 10),
            (second, 0, 100),
            (second, 250, 50),
            (u64::MAX, 10, 10),
            // The clock never goes back, and if it did, answers would go on.
            (0, 10, 10),
        ] {
            assert_eq!(allowed(&mut answers, now, most), expected, "{now} {most}");
        }
    }
}
