//! What of a URL may be told: those who give one put keys into it.
//!
//! Never: where it leads.

/// Whether it is a whole http or https URL without credentials; if not, why, in words that repeat nothing of it.
pub fn check(url: &str) -> Result<(), &'static str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).ok_or("begins with neither")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must not carry credentials");
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err("names no host");
    }
    if !url.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("has characters that are not of a URL");
    }
    Ok(())
}

/// As everybody may see it: without user, query and fragment.
pub fn shown(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = plain.split_once("://") else { return plain.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_url_is_refused_or_not_shown() {
        for (url, fault, seen) in [
            ("https://a/b?key=1#c", None, "https://a/b"),
            ("http://a:80", None, "http://a:80"),
            ("https://u:p@a/b@c?k", Some("must not carry credentials"), "https://a/b@c"),
            ("https://u@x:p@a", Some("must not carry credentials"), "https://a"),
            ("https://?k", Some("names no host"), "https://"),
            ("https://a b", Some("has characters that are not of a URL"), "https://a b"),
            ("file:///etc", Some("begins with neither"), "file:///etc"),
            ("u:p", Some("begins with neither"), "u:p"),
        ] {
            assert_eq!((check(url).err(), shown(url).as_str()), (fault, seen), "{url}");
        }
    }
}
