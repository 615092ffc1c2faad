//! A file is replaced wholly or not at all.

use std::os::unix::fs::symlink;

use super::*;

const NAME: &str = "playbooks.yaml";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(NAME), "old").unwrap();
    folder
}

/// Every file with its text, sorted.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<(String, String)> = entries
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn pairs(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_old_text_is_kept_beside_the_new_one_and_nothing_else_is_left() {
    let folder = folder();
    replace(folder.path(), NAME, NAME, "new").unwrap();
    assert_eq!(files(folder.path()), pairs(&[(NAME, "new"), ("playbooks.yaml.bak", "old")]));
    replace(folder.path(), NAME, NAME, "newer").unwrap();
    assert_eq!(files(folder.path()), pairs(&[(NAME, "newer"), ("playbooks.yaml.bak", "new")]));
}

#[test]
fn permissions_are_kept_and_a_new_file_has_those_of_its_model() {
    let folder = folder();
    let path = folder.path().join(NAME);
    std::fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
    let before = path.metadata().unwrap();
    replace(folder.path(), NAME, NAME, "new").unwrap();
    let after = path.metadata().unwrap();
    assert_eq!((mode(&path), after.uid(), after.gid()), (0o604, before.uid(), before.gid()));
    assert_eq!(mode(&folder.path().join("playbooks.yaml.bak")), 0o604);
    replace(folder.path(), "correlation.yaml", NAME, "new").unwrap();
    assert_eq!(mode(&folder.path().join("correlation.yaml")), 0o604);
    replace(folder.path(), "other.yaml", "absent", "new").unwrap();
    assert_eq!(mode(&folder.path().join("other.yaml")), 0o640);
}

#[test]
fn links_and_folders_are_refused_and_stay_what_they_are() {
    let folder = folder();
    let path = folder.path().join("correlation.yaml");
    symlink(folder.path().join(NAME), &path).unwrap();
    let error = replace(folder.path(), "correlation.yaml", NAME, "new").unwrap_err();
    assert!(error.is_forbidden());
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert!(path.is_symlink());
    assert_eq!(std::fs::read_to_string(folder.path().join(NAME)).unwrap(), "old");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = replace(folder.path(), "correlation.yaml", NAME, "new").unwrap_err();
    assert!(error.to_string().ends_with("is no regular file"), "{error}");
}

#[test]
fn a_link_that_lies_in_wait_is_not_followed() {
    let folder = folder();
    let victim = folder.path().join("victim");
    std::fs::write(&victim, "untouched").unwrap();
    for name in [".playbooks.yaml.new", ".playbooks.yaml.bak.new", "playbooks.yaml.bak"] {
        symlink(&victim, folder.path().join(name)).unwrap();
    }
    replace(folder.path(), NAME, NAME, "new").unwrap();
    assert_eq!(
        files(folder.path()),
        pairs(&[(NAME, "new"), ("playbooks.yaml.bak", "old"), ("victim", "untouched")])
    );
}

#[test]
fn whoever_dies_between_two_steps_leaves_a_whole_file_and_the_next_one_goes_on() {
    let folder = folder();
    std::fs::write(folder.path().join("playbooks.yaml.bak"), "oldest").unwrap();
    let mut seen = Vec::new();
    replace_by_steps(folder.path(), NAME, NAME, "new", &mut |step| {
        seen.push((step, files(folder.path())));
        Ok(())
    })
    .unwrap();
    let text = |files: &[(String, String)], name: &str| {
        files.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone()).unwrap()
    };
    let whole: Vec<_> = seen.iter().map(|(step, files)| (*step, text(files, NAME))).collect();
    let [old, new] = ["old", "new"].map(str::to_owned);
    assert_eq!(whole, [(Step::Staged, old.clone()), (Step::BackedUp, old), (Step::Moved, new)]);
    for (step, left) in seen {
        let crashed = tempfile::tempdir().unwrap();
        for (name, text) in &left {
            std::fs::write(crashed.path().join(name), text).unwrap();
        }
        replace(crashed.path(), NAME, NAME, "next").unwrap();
        let found = files(crashed.path());
        assert_eq!(found.len(), 2, "{step:?}: {found:?}");
        assert_eq!(found[0].1, "next", "{step:?}");
        assert_eq!(found[1].1, text(&left, NAME), "{step:?}");
    }
}

#[test]
fn a_disk_that_fails_at_any_step_leaves_everything_as_it_was() {
    for broken in [Step::Staged, Step::BackedUp, Step::Moved] {
        let folder = folder();
        std::fs::write(folder.path().join("playbooks.yaml.bak"), "oldest").unwrap();
        let before = files(folder.path());
        let error = replace_by_steps(folder.path(), NAME, NAME, "new", &mut |step| {
            if step == broken { Err(io::Error::from(ErrorKind::StorageFull)) } else { Ok(()) }
        })
        .unwrap_err();
        assert!(!error.is_forbidden());
        assert!(error.to_string().contains("cannot be written"), "{error}");
        assert_eq!(files(folder.path()), before, "{broken:?}");
    }
}

#[test]
fn what_was_replaced_can_be_put_back() {
    let folder = folder();
    std::fs::write(folder.path().join("playbooks.yaml.bak"), "oldest").unwrap();
    let before = files(folder.path());
    replace(folder.path(), NAME, NAME, "new").unwrap().undo().unwrap();
    assert_eq!(files(folder.path()), before);
    replace(folder.path(), "correlation.yaml", NAME, "new").unwrap().undo().unwrap();
    assert_eq!(files(folder.path()), before);
}

#[test]
fn two_writers_do_not_meet() {
    let folder = folder();
    let held = lock(folder.path()).unwrap();
    let error = replace(folder.path(), NAME, NAME, "new").unwrap_err();
    assert!(matches!(error, ReplaceError::Busy(_)), "{error}");
    drop(held);
    replace(folder.path(), NAME, NAME, "new").unwrap();
}

#[test]
fn a_folder_or_a_pipe_that_has_a_name_of_ours_is_told_or_replaced() {
    for name in ["playbooks.yaml.bak", ".playbooks.yaml.new", ".playbooks.yaml.bak.new"] {
        let folder = folder();
        std::fs::create_dir(folder.path().join(name)).unwrap();
        let error = replace(folder.path(), NAME, NAME, "new").unwrap_err();
        assert!(matches!(&error, ReplaceError::InTheWay(path) if path.ends_with(name)), "{name}: {error}");
        assert!(error.is_forbidden() && error.to_string().contains("move it away"), "{error}");
        assert_eq!(std::fs::read_to_string(folder.path().join(NAME)).unwrap(), "old");
    }
    let folder = folder();
    let backup = folder.path().join("playbooks.yaml.bak");
    symlink("/etc/passwd", &backup).unwrap();
    replace(folder.path(), NAME, NAME, "new").unwrap();
    assert_eq!(files(folder.path()), pairs(&[(NAME, "new"), ("playbooks.yaml.bak", "old")]));
    assert!(!backup.is_symlink());
}
