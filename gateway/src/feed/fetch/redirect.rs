//! Where a redirect leads, and whether we follow it there.

use super::error::{FetchError, RedirectFault};
use crate::list::FeedUrl;

/// The target of the redirect that the server of `from` gave as `location`. Which address it leads to is asked when it is
/// connected to.
pub(super) fn target(from: &FeedUrl, location: Option<&str>) -> Result<FeedUrl, FetchError> {
    let nowhere = |why: String| FetchError::Redirect {
        to: "nowhere".to_owned(),
        fault: RedirectFault::NoUrl(why),
    };
    let location = location.ok_or_else(|| nowhere("no Location".to_owned()))?;
    let target = from.as_url().join(location).map_err(|error| nowhere(error.to_string()))?;
    let target = FeedUrl::try_from(target).map_err(|fault| nowhere(fault.to_string()))?;
    if from.as_url().scheme() == "https" && target.as_url().scheme() != "https" {
        return Err(RedirectFault::Downgrade.at(target));
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_redirects_lead() {
        for (from, location, expected) in [
            ("https://a.example/x/y", "z", "https://a.example/x/z"),
            ("https://a.example/x/y", "/z?key=1", "https://a.example/z?…"),
            ("http://a.example/x", "https://b.example/", "https://b.example/"),
            ("http://a.example/x", "http://b.example/", "http://b.example/"),
            ("https://a.example/x", "//b.example/", "https://b.example/"),
            (
                "https://a.example/x",
                "http://joe:s3cret@b.example/?s3cret",
                "redirect to http://b.example/?…: from https to http, expected https",
            ),
            (
                "https://a.example/x",
                "ftp://joe:s3cret@b.example/",
                "redirect to nowhere: \"ftp:\", expected a URL that begins with",
            ),
            (
                "https://a.example/x",
                "file:///etc/passwd",
                "redirect to nowhere: \"file:\", expected",
            ),
            (
                "https://a.example/x",
                "https://[",
                "redirect to nowhere: invalid IPv6 address, expected",
            ),
        ] {
            let found = target(&FeedUrl::parse(from).unwrap(), Some(location));
            let found = found.map_or_else(|error| error.to_string(), |url| url.to_string());
            assert!(found.starts_with(expected), "{from} {location}: {found}");
        }
        let error = target(&FeedUrl::parse("http://a.example/").unwrap(), None).unwrap_err();
        assert_eq!(error.to_string(), "redirect to nowhere: no Location, expected a URL");
    }
}
