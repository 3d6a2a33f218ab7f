//! Trees as archives, packed and unpacked.

use super::*;

#[test]
fn a_tree_comes_out_of_each_archive_as_it_went_in() {
    let home = Home::new();
    let (root, stop) = (home.free(), CancellationToken::new());
    let at = |path: &str| home.path(path);
    let long = format!("tree/{}", "long/".repeat(40));
    fs::create_dir_all(at(&long)).unwrap();
    fs::write(at(&format!("{long}file")), "deep").unwrap();
    fs::write(at("tree/large"), vec![7; 3_000_000]).unwrap();
    fs::write(at("tree/run"), "#!").unwrap();
    fs::set_permissions(at("tree/run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("run", at("tree/link")).unwrap();
    for (format, to) in [
        (tree::Format::Tar, "a"),
        (tree::Format::TarGz, "b"),
        (tree::Format::Zip, "c"),
    ] {
        let mut packed = Vec::new();
        let source = tree::source(&root, b"tree").unwrap();
        tree::pack(source, format, &mut packed, &stop).unwrap();
        let unpacked = tree::unpack(&root, to.as_bytes(), format, packed.as_slice(), &stop);
        let unpacked = unpacked.unwrap();
        assert_eq!(unpacked.entries, 44, "{format:?}");
        assert_eq!(unpacked.bytes, 3_000_006, "{format:?}");
        let path = |below: &str| at(&format!("{to}/{below}"));
        let deep = long.strip_prefix("tree/").unwrap();
        assert_eq!(
            fs::read_to_string(path(&format!("{deep}file"))).unwrap(),
            "deep"
        );
        assert_eq!(fs::read(path("large")).unwrap(), vec![7; 3_000_000]);
        assert_eq!(fs::read_link(path("link")).unwrap(), Path::new("run"));
        let mode = fs::metadata(path("run")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        // Once more over what is there.
        let _ = tree::unpack(&root, to.as_bytes(), format, packed.as_slice(), &stop).unwrap();
        let half = packed.split_at(packed.len() / 2).0;
        let cut = tree::unpack(&root, b"half", format, half, &stop);
        assert!(
            matches!(cut, Err(FileError::Archive(_))),
            "{format:?} {cut:?}"
        );
    }
}

#[test]
fn no_entry_of_an_archive_leads_out_of_its_folder() {
    let home = Home::new();
    let (root, stop) = (home.free(), CancellationToken::new());
    let entry = |path: &str, kind: tar::EntryType, target: Option<&str>| {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(u64::from(kind.is_file()));
        if let Some(target) = target {
            header.set_link_name_literal(target).unwrap();
        }
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        if kind.is_file() {
            bytes.extend([b'x'; 512]);
        }
        bytes
    };
    let (file, link) = (tar::EntryType::Regular, tar::EntryType::Symlink);
    let secret = home.path("secret").display().to_string();
    for archive in [
        entry("../new", file, None),
        entry("a/../../new", file, None),
        entry("/tmp/devgate-new", file, None),
        entry("..", file, None),
        [entry("l", link, Some("..")), entry("l/new", file, None)].concat(),
        [
            entry("l", link, Some("/tmp")),
            entry("l/devgate-new", file, None),
        ]
        .concat(),
        entry("h", tar::EntryType::Link, Some("../secret")),
        entry("h", tar::EntryType::Link, Some(&secret)),
    ] {
        let done = tree::unpack(&root, b"in", tree::Format::Tar, archive.as_slice(), &stop);
        assert!(is_outside(&done), "{done:?}");
        let _ = fs::remove_file(home.path("in/l"));
    }
    // A link at a file's own name is replaced, and not written through.
    symlink("../secret", home.path("in/s")).unwrap();
    let archive = entry("s", file, None);
    let _ = tree::unpack(&root, b"in", tree::Format::Tar, archive.as_slice(), &stop).unwrap();
    assert_eq!(fs::read_to_string(home.path("secret")).unwrap(), "secret");
    assert!(!home.path("new").exists());
}
