//! What keeps hooks from downloading, as far as it can be told: they reach what
//! this host reaches, but no service of its loopback.

use std::net::IpAddr;

use crate::request::BuildRequest;

/// What apt, debootstrap, curl, wget, dnf, git and pip print of a network or a
/// mirror that does not answer, or not with what was asked for.
const TOLD: [&str; 14] = [
    "Could not resolve",
    "Could not connect",
    "Connection refused",
    "Connection timed out",
    "Couldn't download",
    "Couldn't resolve host",
    "Failed getting release file",
    "Failed to connect",
    "Failed to fetch",
    "Name or service not known",
    "Network is unreachable",
    "Temporary failure in name resolution",
    "Temporary failure resolving",
    "Unable to connect",
];

/// A variable of the hooks' environment that names a service of this host's loopback.
struct Unreachable {
    name: String,
    url: String,
}

/// Of the variables that elements take addresses from: proxies, those of
/// diskimage-builder, and pip's.
fn unreachable(request: &BuildRequest) -> Vec<Unreachable> {
    let is_address = |name: &str| {
        let lower = name.to_ascii_lowercase();
        lower.ends_with("_proxy") || name.starts_with("DIB_") || name.starts_with("PIP_")
    };
    let variables = request.environment.clone().into_iter();
    variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, value)| is_address(name) && names_loopback(value))
        .map(|(name, url)| Unreachable { name, url })
        .collect()
}

/// Whether a URL has a host that is the reader's own.
fn names_loopback(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    };
    let local =
        host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    let address = host.parse::<IpAddr>();
    local || address.is_ok_and(|address| address.is_loopback())
}

/// What hooks of a build with a network will not find.
pub(super) fn warnings(request: &BuildRequest) -> Vec<String> {
    let told = |Unreachable { name, url }: &Unreachable| {
        format!(
            "{name} is {}, which is this host's loopback: hooks do not reach it",
            without_password(url)
        )
    };
    match request.no_network {
        true => Vec::new(),
        false => unreachable(request).iter().map(told).collect(),
    }
}

/// A URL that may be shown.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => match rest.split_once('@') {
            Some((_, host)) if !host.is_empty() => format!("{scheme}://...@{host}"),
            _ => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

/// What a failed hook that prints this may lack, and what to change.
pub(super) fn explain(text: &str, request: &BuildRequest) -> Option<(String, String)> {
    if !TOLD.iter().any(|told| text.contains(told)) {
        return None;
    }
    let what = "its output tells of a download that failed";
    if request.no_network {
        let hint = "leave out --no-network, or build once with a network: --offline then takes \
                    what is in the image cache";
        return Some((
            format!("{what}; hooks have no network (--no-network)"),
            hint.into(),
        ));
    }
    let lost = unreachable(request);
    if let Some(Unreachable { name, .. }) = lost.first() {
        let hint = format!(
            "have that service listen on another address of this host, and name that in {name}"
        );
        return Some((
            format!("{what}, and {name} names this host's loopback, which hooks do not reach"),
            hint,
        ));
    }
    let hint = "look whether the mirror (DIB_DISTRIBUTION_MIRROR) and the proxy (http_proxy, \
                https_proxy) that hooks are given answer from this host, and have what was asked for";
    Some((what.into(), hint.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_recognised_in_urls() {
        for url in [
            "http://localhost:3128",
            "http://LOCALHOST/debian",
            "http://127.0.0.1:9999/debian?x#y",
            "https://user:pass@127.1.2.3/",
            "http://[::1]:80/",
            "http://mirror.localhost",
        ] {
            assert!(names_loopback(url), "{url}");
        }
        for url in [
            "localhost:3128",
            "http://192.0.2.1/localhost",
            "http://localhost.example/",
            "http://127.0.0.1@192.0.2.1/",
            "http://",
            "file:///var/cache",
            "",
        ] {
            assert!(!names_loopback(url), "{url}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let shown = without_password("http://me:secret@127.0.0.1:3128/");
        assert_eq!(shown, "http://...@127.0.0.1:3128/");
        assert_eq!(without_password("http://[::1]/"), "http://[::1]/");
    }
}
