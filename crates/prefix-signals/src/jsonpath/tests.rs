//! What a path finds, what none is, and that no path costs more than is allowed.

use serde_json::{Value, json};

use super::*;

fn parse(text: &str) -> Result<JsonPath, PathError> {
    JsonPath::parse(text, &mut ExpressionBudget::default())
}

fn found(path: &str, node: &Value) -> Vec<Value> {
    let steps = Steps::default();
    let path = parse(path).unwrap();
    path.all(node, usize::MAX, &steps).into_iter().cloned().collect()
}

#[test]
fn a_path_finds_what_rfc_9535_says() {
    let node = json!({
        "alerts": [
            {"ip": "203.0.113.1", "level": 3, "tags": ["udp", "dns"]},
            {"ip": "203.0.113.2", "level": 7.0, "tags": []},
            {"ip": null, "level": "7"},
        ],
        "a b": {"it's": 1}, "limit": 5,
    });
    for (path, expected) in [
        ("$.alerts[0].ip", json!(["203.0.113.1"])),
        ("$.alerts[-1].level", json!(["7"])),
        ("$['a b']['it\\'s']", json!([1])),
        ("$[\"a b\"]['it\\u0027s']", json!([1])),
        ("$.alerts[*].level", json!([3, 7.0, "7"])),
        ("$..ip", json!(["203.0.113.1", "203.0.113.2", null])),
        ("$.alerts[1:].level", json!([7.0, "7"])),
        ("$.alerts[::-2].level", json!(["7", 3])),
        ("$.alerts[0,0].level", json!([3, 3])),
        ("$.alerts[?@.level > 3].ip", json!(["203.0.113.2"])),
        ("$.alerts[?@.level == 7].ip", json!(["203.0.113.2"])),
        ("$.alerts[?@.level > $.limit].ip", json!(["203.0.113.2"])),
        ("$.alerts[?@.tags && !@.tags[0]].ip", json!(["203.0.113.2"])),
        ("$.alerts[?!(@.level < 5 || @.ip == null)].ip", json!(["203.0.113.2"])),
        ("$.alerts[?@.none == @.nothing].level", json!([3, 7.0, "7"])),
        ("$.alerts[?count(@.tags[*]) == 2].level", json!([3])),
        ("$.alerts[?length(@.ip) >= 11].level", json!([3, 7.0])),
        ("$.alerts[?value(@..tags[1]) == 'dns'].level", json!([3])),
        ("$.alerts[?match(@.ip, '203.*')].level", json!([3, 7.0])),
        ("$.alerts[?match(@.ip, '203')].level", json!([])),
        ("$.alerts[?search(@.ip, '[.]2$')].level", json!([7.0])),
        ("$.none[*]..x", json!([])),
    ] {
        assert_eq!(Value::from(found(path, &node)), expected, "{path}");
    }
    let steps = Steps::default();
    assert_eq!(parse("$.alerts[2].ip").unwrap().first(&node, &steps), None, "null is none");
}

#[test]
fn what_is_no_path_is_refused_with_its_place() {
    for (text, part, at) in [
        ("", "expected \"$\"", 1),
        ("alerts", "expected \"$\"", 1),
        ("$.", "expected a name or \"*\"", 3),
        ("$.é[", "expected a name in quotes, an index", 5),
        ("$ ", "or the end", 2),
        ("$['x", "closing quote", 3),
        ("$['\\x']", "unknown escape", 5),
        ("$['\\ud800']", "expected \"\\\\u\"", 10),
        ("$[01]", "without leading zero", 3),
        ("$[9007199254740992]", "2^53", 3),
        ("$[?@.a == @.*]", "several values", 11),
        ("$[?length(@.a)]", "no condition", 4),
        ("$[?match(@.a, 'x') == true]", "a condition cannot be compared", 4),
        ("$[?match(@.a, @.b)]", "none is taken from a payload", 15),
        ("$[?match(@.a, '(')]", "no regular expression", 15),
        ("$[?sum(@.a) == 1]", "length, count, value, match and search", 4),
        ("$[?@.a == ]", "expected a path, a literal or a function", 11),
        ("$[?1]", "no condition", 4),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(part) && error.ends_with(&format!("at character {at}")), "{error}");
    }
}

#[test]
fn length_nesting_segments_and_their_sum_are_bounded() {
    let parentheses = |count: usize| format!("$[?{}@{}]", "(".repeat(count), ")".repeat(count));
    assert!(parse(&parentheses(DEEPEST_NESTING - 1)).is_ok());
    assert!(parse(&parentheses(DEEPEST_NESTING)).unwrap_err().to_string().contains("nested deeper than 6"));
    let filters = |count: usize| format!("$[{}{}", "?@[".repeat(count), "]".repeat(count + 1));
    assert!(parse(&filters(60)).unwrap_err().to_string().contains("nested deeper than 6"));
    let negations = format!("$[?{}@]", "!(".repeat(200));
    assert!(parse(&negations).unwrap_err().to_string().contains("nested deeper than 6"));
    assert_eq!(parse(&parentheses(1000)).unwrap_err(), PathError::TooLong(2005));
    assert!(
        parse(&format!("${}", ".a".repeat(33))).unwrap_err().to_string().contains("more than 32 segments")
    );

    let mut budget = ExpressionBudget::default();
    let long = format!("$['{}']", "x".repeat(500));
    let accepted = (0..10_000).take_while(|_| JsonPath::parse(&long, &mut budget).is_ok()).count();
    assert_eq!(accepted, ExpressionBudget::MOST_PATH_OCTETS / long.len());
}

#[test]
fn paths_that_explode_end_at_their_steps() {
    let wide: Value = vec![0; 100_000].into();
    let mut deep = wide.clone();
    for _ in 0..120 {
        deep = json!([deep]);
    }
    let nested = format!("$..{}", "[?@..".repeat(DEEPEST_NESTING) + "x" + &"]".repeat(DEEPEST_NESTING));
    for text in [
        &nested as &str,
        &format!("${}", "[0,0,0,0]".repeat(30)),
        &format!("${}", "..*".repeat(30)),
        "$[?value($..x) == @]",
        "$..[?count($..*) > 0]",
        "$[::1,::1,::1,::1][::1]..*",
    ] {
        let path = &parse(text).unwrap();
        for document in [&wide, &deep] {
            std::thread::scope(|scope| {
                // the stack of a worker of the API
                let worker = std::thread::Builder::new().stack_size(2 << 20);
                let looking = worker.spawn_scoped(scope, move || {
                    let steps = Steps::new(200_000);
                    path.all(document, usize::MAX, &steps).len()
                });
                assert!(looking.unwrap().join().unwrap() <= 200_000, "{text}");
            });
        }
    }
    let steps = Steps::new(1000);
    assert_eq!(parse("$..*").unwrap().first(&wide, &steps), Some(&json!(0)), "the first one is soon found");
    assert!(!steps.are_used_up());
    assert_eq!(parse("$..x").unwrap().first(&wide, &steps), None);
    assert!(steps.are_used_up());
    assert_eq!(parse("$").unwrap().first(&wide, &steps), None, "and from then on nothing is");
}
