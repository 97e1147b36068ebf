#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn accepts(filter: &str) -> bool {
    let item = json!({
        "name": "main-replica-0",
        "description": "made by \"hakube\" for main",
        "labels": {"hakube-cluster": "main"},
        "sizeGb": "10",
        "progress": 40,
        "autoDelete": true,
        "creationTimestamp": "2026-05-01T12:00:00.000+00:00",
        "tags": {"items": ["http", "ssh"]},
        "networkInterfaces": [{"networkIP": "10.0.0.2"}],
    });
    filter.parse::<Filter>().unwrap().accepts(&item)
}

#[test]
fn comparisons_see_nested_fields_and_absent_ones() {
    assert!(accepts(r#"labels.hakube-cluster="main""#));
    assert!(accepts("labels.hakube-cluster = main"));
    assert!(!accepts("labels.hakube-cluster=other"));
    assert!(accepts("labels.other != x"));
    assert!(!accepts("labels.other = x"));
    assert!(accepts("autoDelete = true"));
    assert!(accepts(r#"description = "made by \"hakube\" for main""#));
}

#[test]
fn terms_join_by_and_with_or_without_parentheses() {
    assert!(accepts("name = main-replica-0 AND sizeGb = 10"));
    assert!(accepts("(name = main-replica-0) (sizeGb = 10)"));
    assert!(accepts("((name = main-replica-0) AND (sizeGb != 11))"));
    assert!(!accepts("(name = main-replica-0) AND (sizeGb = 11)"));
}

#[test]
fn or_binds_more_tightly_than_and() {
    assert!(accepts("name = a OR name = main-replica-0"));
    assert!(!accepts("name = a OR name = b"));
    // With AND first, this would hold for anything of size 10.
    assert!(!accepts("sizeGb = 10 OR name = a AND name = b"));
    assert!(accepts("sizeGb = 10 OR (name = a AND name = b)"));
    assert!(accepts("sizeGb = 11 OR sizeGb = 10 name = main-replica-0"));
}

#[test]
fn not_turns_around_what_follows_it() {
    assert!(accepts("NOT name = a"));
    assert!(!accepts("NOT name = main-replica-0"));
    assert!(accepts("NOT (name = main-replica-0 AND sizeGb = 11)"));
    assert!(accepts("-name = a"));
    assert!(accepts("sizeGb = 10 -name = a"));
    assert!(!accepts("sizeGb = 10 AND NOT sizeGb = 10 OR sizeGb = 11"));
}

#[test]
fn has_finds_parts_of_texts_keys_and_elements() {
    assert!(accepts("name:replica"));
    assert!(!accepts("name:node"));
    assert!(accepts("labels.hakube-cluster:*"));
    assert!(!accepts("labels.other:*"));
    assert!(accepts("labels:hakube-cluster"));
    assert!(accepts("tags.items:ssh"));
    assert!(accepts("progress:40"));
    assert!(!accepts("progress:4"), "only texts have parts");
}

#[test]
fn lists_hold_when_an_element_does() {
    assert!(accepts("tags.items = ssh"));
    assert!(!accepts("tags.items = rdp"));
    assert!(accepts("tags.items != rdp"));
    assert!(!accepts("tags.items != ssh"));
    assert!(accepts("networkInterfaces.networkIP = 10.0.0.2"));
}

#[test]
fn numbers_and_times_are_compared_as_what_they_are() {
    assert!(accepts("sizeGb > 9"), "as texts it would be smaller");
    assert!(accepts("sizeGb >= 10 AND sizeGb <= 10"));
    assert!(!accepts("sizeGb<10"));
    assert!(accepts("progress < 40.5"));
    assert!(accepts("creationTimestamp > 2026-05-01T12:30:00+01:00"));
    assert!(accepts(r#"creationTimestamp < "2026-05-01T12:00:01Z""#));
    assert!(accepts("name > main"));
    assert!(!accepts("absent < 5"));
    assert!(accepts("progress > -1"));
}

#[test]
fn eq_and_ne_match_the_whole_field() {
    assert!(accepts("name eq main-replica-.*"));
    assert!(accepts("name eq (main|other)-replica-0"));
    assert!(!accepts("name eq main"));
    assert!(accepts("name ne main"));
    assert!(accepts(r#"name eq "main-replica-\d""#));
    assert!(accepts("name eq '.*replica.*'"));
    assert!(accepts("(name eq main.*) (sizeGb eq 1[0-9])"));
    assert!(!accepts("(name eq main.*) (sizeGb eq 2[0-9])"));
    // As gcloud writes three expressions.
    assert!(accepts(
        r#"((name eq ".*\bmain\b.*")(sizeGb eq 10))(name ne a)"#
    ));
}

#[test]
fn a_quoted_expression_keeps_its_backslashes() {
    for good in [
        r#"name eq ".*\bmain\b.*""#,
        r#"name eq ".*\bmain\-replica\-0\b.*""#,
        r#"name eq ".*(\breplica-[[:digit:]]$).*""#,
        r#"name eq "\w+-\w+-\d""#,
        r#"name eq "\Qmain-\E.*""#,
        r#"name eq "\x6dain\W[^\W]*-\pN\z""#,
        r#"description eq "made by \"hakube\" for\ main""#,
        r#"description eq '.*"hakube".*'"#,
        "creationTimestamp eq 2026-05-01T12:00:00.000+00:00",
        "creationTimestamp eq 2026-05-01T14:00:00+02:00",
        "autoDelete eq true",
    ] {
        assert!(accepts(good), "{good}");
    }
    for other in [
        r#"name eq ".*\bmai\b.*""#,
        r#"name eq "\\bmain.*""#,
        r#"name eq "\Qmain-.*\E""#,
        r#"name ne ".*\bmain\b.*""#,
        "creationTimestamp eq 2026-05-01T12:00:01.000+00:00",
    ] {
        assert!(!accepts(other), "{other}");
    }
}

#[test]
fn eq_and_ne_are_not_mixed_with_anything() {
    for bad in [
        "name eq a OR name eq main.*",
        "name eq main.* AND sizeGb eq 10",
        "(name eq main.*) AND (sizeGb eq 10)",
        "(name eq main.* OR name eq a)",
        "NOT name eq a",
        "-(name eq a)",
        "(NOT name eq a)",
        "name eq main.* sizeGb eq 10",
        "(name eq main.*) sizeGb eq 10",
        "(name eq main.*) (sizeGb = 10)",
        "(sizeGb = 10) (name eq main.*)",
        "sizeGb = 10 AND name ne a",
    ] {
        let why = bad.parse::<Filter>().unwrap_err();
        assert!(why.contains("eq or ne"), "{bad}: {why}");
    }
    // A field with the name of an operator.
    assert!(!accepts("eq = a"));
}

#[test]
fn a_field_that_no_resource_has_is_absent() {
    assert!(!accepts("nmae = main-replica-0"));
    assert!(accepts("nmae != main-replica-0"));
    assert!(accepts("nmae ne main.*"));
}

#[test]
fn what_is_not_understood_is_refused() {
    for bad in [
        "",
        "name",
        "name =",
        "= name",
        "name ~ main",
        "name = main*",
        "name = *",
        "name > *",
        "a = b OR",
        "OR a = b",
        "NOT",
        "a = b AND AND c = d",
        "(a = b",
        "a = b)",
        "()",
        "name eq [",
        "name eq ",
        "name like main",
        "name == main",
        "name = a,b",
        "name:(a b)",
        r#"name = "open"#,
        "size(name) > 1",
        "a.b* = c",
    ] {
        assert!(bad.parse::<Filter>().is_err(), "{bad}");
    }
    let deep = format!("{}a = b{}", "(".repeat(5000), ")".repeat(5000));
    assert!(deep.parse::<Filter>().is_err());
}
