//! Ids on hosts and in containers, as the files of both say.

use super::*;
use crate::error::Explain;

const ALL: &str = "         0          0 4294967295\n";

/// The mapping of user u, or of root, in a namespace with these ids.
fn find_in(map: &str, uid: u32, subuid: &str, subgid: &str) -> Result<Mapping, Error> {
    let tables = Tables {
        subuid,
        subgid,
        uid_map: map,
        gid_map: map,
    };
    let name = if uid == 0 { "root" } else { "u" };
    Mapping::find(uid, uid, name, &tables)
}

fn find(uid: u32, subuid: &str, subgid: &str) -> Result<Mapping, Error> {
    find_in(ALL, uid, subuid, subgid)
}

#[test]
fn root_of_a_container_with_few_ids_is_a_user() {
    // a pod with hostUsers: false; rootless podman
    for map in ["0 1000000 65536\n", "0 1000 1\n1 100000 65536\n"] {
        let mapping = find_in(map, 0, "root:300000:65536", "root:300000:65536").unwrap();
        assert!(!mapping.is_root(), "{map}");
        assert_eq!(mapping.lines().0, "0 0 1\n1 1 65535\n", "{map}");
    }
    // LXC with a large range
    let mapping = find_in("0 1000000 1000000\n", 0, "", "").unwrap();
    assert_eq!(mapping.lines().0, "0 100000 65536\n");
    for (map, found) in [("0 1000 1\n", 0), ("0 1000 1\n1 100000 1000\n", 1000)] {
        let error = find_in(map, 0, "", "").unwrap_err();
        assert!(
            matches!(error, Error::FewIds { found: n } if n == found),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("hostUsers: false"));
    }
}

#[test]
fn subordinate_ids_that_a_container_lacks_are_told() {
    let error = find_in(
        "0 1000000 65536\n",
        1000,
        "u:100000:65536",
        "u:100000:65536",
    );
    let error = error.unwrap_err();
    assert!(
        matches!(error, Error::NoSuchIds { start: 100_000, .. }),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("user 0 of the container"));
}

#[test]
fn a_users_ids_come_by_name_or_number() {
    for table in [
        "u:100000:65536\n",
        "1000:100000:65535\n",
        "v:1:9\nu:5:7\nu:100000:65536\n",
    ] {
        let mapping = find(1000, table, "u:200000:65534").unwrap();
        let (uids, gids) = mapping.lines();
        assert_eq!(uids, "0 1000 1\n1 100000 65535\n", "{table}");
        assert_eq!(gids, "0 1000 1\n1 200000 65534\n");
        assert_eq!(mapping.inner_lines().0, "0 0 1\n1 1 65535\n");
    }
}

#[test]
fn too_few_ids_name_the_command() {
    let error = find(1000, "v:100000:65536\nu:1:1000\n", "").unwrap_err();
    let Error::NoSubordinateIds { found, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*found, 1000);
    assert!(error
        .hint()
        .unwrap()
        .contains("usermod --add-subuids 165536-231071 --add-subgids 165536-231071 u"));
}

#[test]
fn root_gets_ids_that_own_nothing() {
    let mapping = |uids: &str, gids: &str| find(0, uids, gids).unwrap().lines().0;
    assert_eq!(mapping("", ""), "0 2000000000 65536\n");
    assert_eq!(
        mapping("root:300000:65536", "root:300000:65536"),
        "0 300000 65536\n"
    );
    assert_eq!(
        mapping("root:300000:65536", "root:9:65536"),
        "0 2000000000 65536\n"
    );
    assert_eq!(mapping("x:2000000100:5", ""), "0 2000000105 65536\n");
}

#[test]
fn ids_given_away_up_to_the_last_leave_those_below() {
    let mapping = |uids: &str, gids: &str| find(0, uids, gids).unwrap().lines().0;
    let rest = "x:2000000000:2294967295\n";
    assert_eq!(mapping(rest, ""), "0 100000 65536\n");
    assert_eq!(
        mapping("x:4294960000:10\ny:2000000000:2294900000", "z:100000:7"),
        "0 100007 65536\n"
    );
    for odd in [
        "x:0:4294967295",
        "x:4294967295:4294967295",
        "::",
        "x:-1:5\nx:1",
        "x:1:18446744073709551616",
    ] {
        assert!(mapping(odd, odd).ends_with(" 65536\n"), "{odd}");
        assert!(find(1000, odd, "").is_err(), "{odd}");
    }
}
