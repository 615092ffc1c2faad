//! Files of the configuration folder that are pipes, links, folders or bombs, and messages that must not tell secrets.

use serde_json::{Value, json};

use super::program::{Daemon, PLAYBOOKS, check, ends, fifo, folder, prefixd, signal};

#[test]
fn a_pipe_or_a_device_in_place_of_a_file_hangs_neither_check_nor_start_nor_reload() {
    let folder = folder("");
    let daemon = Daemon::start(&mut prefixd(folder.path()));
    let playbooks = folder.path().join("playbooks.yaml");
    let devices = ["/dev/zero", "/dev/tty", "pipe"];
    for device in devices {
        std::fs::remove_file(&playbooks).unwrap();
        if device == "pipe" {
            fifo(&playbooks);
        } else {
            std::os::unix::fs::symlink(device, &playbooks).unwrap();
        }
        let (code, said) = check(folder.path());
        assert!(
            code == Some(1)
                && said.contains("playbooks.yaml: the file cannot be read: it is no regular file"),
            "{said}"
        );
        let (code, said) = ends(prefixd(folder.path()).args(["--listen", "127.0.0.1:0"]));
        assert!(code == Some(1) && said.contains("no regular file"), "{said}");
        let (status, said) = daemon.asked("POST", "/v1/config/reload", &Value::Null);
        assert!(status == 422 || status == 400, "{status} {said}");
        // nobody has to restart anything: what follows is refused for a reason of its own, or done
        signal(daemon.pid(), "HUP");
        daemon.logged("reload refused");
        let document = json!({"playbooks": [{"name": "two", "match": {"vector": "udp_flood"}, "steps": [{"action": "discard", "ttl_seconds": 120}]}]});
        let (status, said) = daemon.asked("PUT", "/v1/config/playbooks", &document);
        assert!(status == 422 && said.contains("not-allowed"), "{status} {said}");
    }
    std::fs::remove_file(&playbooks).unwrap();
    std::fs::write(&playbooks, PLAYBOOKS).unwrap();
    assert_eq!(daemon.asked("POST", "/v1/config/reload", &Value::Null).0, 200);
    daemon.stops();
}

#[test]
fn a_folder_with_the_name_of_the_backup_is_told_and_nothing_is_changed() {
    let folder = folder("");
    let daemon = Daemon::start(&mut prefixd(folder.path()));
    std::fs::create_dir(folder.path().join("playbooks.yaml.bak")).unwrap();
    let document = json!({"playbooks": [{"name": "two", "match": {"vector": "udp_flood"}, "steps": [{"action": "discard", "ttl_seconds": 120}]}]});
    let (status, said) = daemon.asked("PUT", "/v1/config/playbooks", &document);
    assert_eq!(status, 422, "{said}");
    assert!(
        said.contains("playbooks.yaml.bak is a folder") && said.contains("nothing was changed"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(folder.path().join("playbooks.yaml")).unwrap(), PLAYBOOKS);
    std::fs::remove_dir(folder.path().join("playbooks.yaml.bak")).unwrap();
    assert_eq!(daemon.asked("PUT", "/v1/config/playbooks", &document).0, 200);
    daemon.stops();
}

#[test]
fn yaml_that_explodes_is_refused_within_a_moment() {
    let nine =
        |(one, next): (char, char)| format!("{next}: &{next} [{}]\n", vec![format!("*{one}"); 9].join(", "));
    let first = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    let billion: String = std::iter::once(first).chain(('a'..'m').zip('b'..='m').map(nine)).collect();
    let quadratic = format!("a: &a [{}]\nplaybooks: [{}]\n", "x,".repeat(50_000), "*a,".repeat(50_000));
    let deep = format!("playbooks: {}{}\n", "[".repeat(200_000), "]".repeat(200_000));
    let maps = format!("playbooks: {}1{}\n", "{a: ".repeat(100_000), "}".repeat(100_000));
    let anchors = format!("playbooks: {}x\n", "- ".repeat(100_000));
    // too deep for the stack of a thread, and not for the limit of the parser on brackets
    let sixty = format!("playbooks: {}1{}\n", "{a: ".repeat(60), "}".repeat(60));
    for (what, bomb) in [
        ("aliases", &billion),
        ("one alias", &quadratic),
        ("lists", &deep),
        ("maps", &maps),
        ("sixty maps", &sixty),
        ("dashes", &anchors),
    ] {
        let folder = folder("");
        std::fs::write(folder.path().join("playbooks.yaml"), bomb).unwrap();
        let (code, said) = check(folder.path());
        assert_eq!(code, Some(1), "{what}: {said}");
        assert!(said.starts_with("error ") && said.len() < 5_000, "{what}: {} {:.500}", said.len(), said);
    }
}

#[test]
fn check_tells_no_secret_that_the_environment_put_into_a_file() {
    let secret = "hunter2-s3cr3t/+";
    let folder = folder(
        "mode: ${SECRET}\nstorage: {url: \"mysql://u:${SECRET}@h/d\", max_connections: \"${SECRET}\"}\ntimers: {default_ttl_seconds: \"${SECRET}\"}\n",
    );
    let playbooks =
        PLAYBOOKS.replace("name: all", "name: \"${SECRET}${SECRET}\"").replace("police", "\"${SECRET}\"");
    std::fs::write(folder.path().join("playbooks.yaml"), playbooks).unwrap();
    let (code, said) = ends(prefixd(folder.path()).arg("--check").env("SECRET", secret));
    assert_eq!(code, Some(1), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    for place in ["prefixd.yaml:4", "prefixd.yaml:5", "prefixd.yaml:6", "playbooks.yaml:5"] {
        assert!(said.contains(place), "{place} is not told:\n{said}");
    }
    assert!(said.contains("${SECRET}"), "the variable is named:\n{said}");
    // nor does the log of a start
    let (_, said) = ends(prefixd(folder.path()).env("SECRET", secret));
    assert!(!said.contains("hunter2"), "{said}");
}
