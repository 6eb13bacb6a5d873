//! Any octets where a PROXY header has to be: bounded, never read beyond, and the same when written again.

use gateway::smtp::{
    MAX_PROXY_HEADER, Proxied, is_proxy_header, proxy_header, proxy_header_v2, read_proxy_header,
};

use super::single_line;

pub(crate) fn run(octets: &[u8]) {
    match read_proxy_header(octets) {
        Ok(Some((proxied, length))) => {
            assert!(length <= octets.len().min(MAX_PROXY_HEADER), "{length}");
            assert!(is_proxy_header(octets));
            // What follows belongs to the session, and changes nothing.
            assert_eq!(read_proxy_header(&octets[..length]), Ok(Some((proxied, length))));
            if let Proxied::Client { client, local } = proxied {
                let line = proxy_header(client, local);
                single_line(line.trim_end_matches("\r\n"));
                for written in [line.into_bytes(), proxy_header_v2(client, local)] {
                    let again = read_proxy_header(&written);
                    assert_eq!(again, Ok(Some((proxied, written.len()))), "{written:?}");
                }
            }
        }
        Ok(None) => assert!(octets.len() < MAX_PROXY_HEADER, "it waits for more without end"),
        Err(fault) => {
            single_line(&fault.to_string());
            // More octets do not make it right.
            assert!(read_proxy_header(&[octets, b"\r\n"].concat()).is_err());
        }
    }
}
