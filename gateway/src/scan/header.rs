//! Splits a header block into fields, whatever state it is in.

/// The header block of a message, up to the empty line that ends it.
#[derive(Clone, Copy, Debug)]
pub struct HeaderBlock<'x> {
    octets: &'x [u8],
}

impl<'x> HeaderBlock<'x> {
    /// The block at the start of `octets`; the empty line and what follows it may be there or not.
    pub const fn new(octets: &'x [u8]) -> Self {
        Self { octets }
    }

    /// The fields, from the top.
    ///
    /// A line that is no field of its own belongs to the field above it, with or without the white space that a folded
    /// line must begin with: what an address is in may be damaged, the address still counts. Lines above the first
    /// field (the `From ` line of an mbox file) are skipped.
    pub const fn fields(self) -> Fields<'x> {
        Fields { rest: self.octets }
    }

    /// The Received fields, from the top.
    pub fn received(self) -> impl Iterator<Item = Field<'x>> {
        self.fields().filter(|field| field.is("Received"))
    }
}

/// One field, folded as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'x> {
    /// The name as written, without the colon.
    pub name: &'x str,
    /// All after the colon, line ends inside it included, the last one not.
    pub value: &'x [u8],
}

impl Field<'_> {
    /// Whether the field is called `name`, in whatever case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The fields of a header block, from the top.
#[derive(Clone, Debug)]
pub struct Fields<'x> {
    rest: &'x [u8],
}

impl<'x> Iterator for Fields<'x> {
    type Item = Field<'x>;

    fn next(&mut self) -> Option<Field<'x>> {
        loop {
            let (line, after) = first_line(self.rest)?;
            let Some((name, _)) = split_name(line) else {
                self.rest = after;
                continue;
            };
            let mut rest = after;
            while let Some((line, after)) = first_line(rest) {
                if split_name(line).is_some() {
                    break;
                }
                rest = after;
            }
            let length = self.rest.len().saturating_sub(rest.len());
            let (_, value) = split_name(self.rest.get(..length)?)?;
            self.rest = rest;
            return Some(Field { name, value: without_line_end(value) });
        }
    }
}

/// The first line with its end, and what follows it; `None` at the end of the block.
fn first_line(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = octets
        .iter()
        .position(|&octet| octet == b'\n')
        .map_or(octets.len(), |newline| newline.saturating_add(1));
    let (line, rest) = octets.split_at_checked(length)?;
    (!without_line_end(line).is_empty()).then_some((line, rest))
}

/// The name before the colon and the value after it; `None` for a line that does not begin a field.
///
/// White space between name and colon is an old fault that some parsers forgive (RFC 5322 section 4.5.8), so this one must.
fn split_name(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon =
        line.iter().position(|&octet| !is_name(octet) && octet != b' ' && octet != b'\t')?;
    let (name, value) = line.split_at_checked(colon)?;
    let value = value.strip_prefix(b":")?;
    let name = name.trim_ascii_end();
    (!name.is_empty() && name.iter().copied().all(is_name))
        .then(|| str::from_utf8(name).ok())
        .flatten()
        .map(|name| (name, value))
}

/// The letters of a field name. RFC 5322 has more, which nobody uses: brackets and parentheses are rather the rest of a
/// field that lost its folding.
fn is_name(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-_.!#$%&'*+/^`|~".contains(&octet)
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(block: &str, expected: &[(&str, &str)]) {
        let fields: Vec<_> = HeaderBlock::new(block.as_bytes())
            .fields()
            .map(|field| (field.name, str::from_utf8(field.value).unwrap()))
            .collect();
        assert_eq!(fields, expected, "{block:?}");
    }

    #[test]
    fn fields_of_blocks_good_and_bad() {
        check("", &[]);
        check("\r\nA: b\r\n", &[]);
        check("A: b\r\nC:d\r\n\r\nE: f\r\n", &[("A", " b"), ("C", "d")]);
        check("A: b", &[("A", " b")]);
        check("A: b\n\tc\n  d\nE:\n", &[("A", " b\n\tc\n  d"), ("E", "")]);
        check("A: b\r\n \r\n c\r\n", &[("A", " b\r\n \r\n c")]);
        check("Received : x\r\nTo\t: y\r\n", &[("Received", " x"), ("To", " y")]);
        check("From a@b Mon Jan 1 00:00:00 2024\nA: b\n", &[("A", " b")]);
        check(" lost\nA: b\n", &[("A", " b")]);
        check("A: b\n>From here\nC: d\n", &[("A", " b\n>From here"), ("C", " d")]);
        check("A: b\n([IPv6:2001:db8::1])\n", &[("A", " b\n([IPv6:2001:db8::1])")]);
        check(": no name\nA: b\n", &[("A", " b")]);
    }

    #[test]
    fn names_match_in_any_case() {
        let block = HeaderBlock::new(b"RECEIVED: a\r\nreceived: b\r\nX-Received: c\r\n");
        assert_eq!(block.received().count(), 2);
    }
}
