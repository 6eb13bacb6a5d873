//! Any message in any pieces (BDAT): the same content however it is cut, with no end inside that another mailer could see.

use gateway::smtp::{DataDecoder, DataEncoder, DataFault};

use crate::input::Input;

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let (kind, size) = (input.octet(), usize::from(input.octet() % 16) + 1);
    let (sent, normalise) = (input.rest(), kind & 1 != 0);
    let (content, fault) = decoded(sent, sent.len().max(1), normalise);
    assert_eq!((content.clone(), fault), decoded(sent, size, normalise), "pieces of {size}");
    assert!(!content.contains(&0), "a NUL");
    if fault.is_none() && !normalise {
        assert_eq!(content, sent, "what is right passes as it is");
    }

    let mut encoder = DataEncoder::default();
    let mut wire = Vec::new();
    for piece in content.chunks(size) {
        encoder.encode(piece, &mut wire);
    }
    encoder.finish(&mut wire);
    let body = wire.strip_suffix(b".\r\n").expect("an end");
    let mut lenient = body.split(|octet| *octet == b'\r' || *octet == b'\n');
    assert!(lenient.all(|line| line != b"."), "a second end");
}

fn decoded(sent: &[u8], size: usize, normalise: bool) -> (Vec<u8>, Option<DataFault>) {
    let mut decoder = DataDecoder::in_pieces(normalise, 64);
    let mut content = Vec::new();
    for piece in sent.chunks(size) {
        let fed = decoder.feed(piece, &mut content);
        assert!(fed.consumed == piece.len() && !fed.end, "pieces have no end of their own");
    }
    decoder.finish(&mut content);
    (content, decoder.fault())
}
