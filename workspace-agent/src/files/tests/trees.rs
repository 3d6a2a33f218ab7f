//! Trees as archives, packed and unpacked.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::process::Command;

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
        let source = source(&root, b"tree", format).unwrap();
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
        // What is wrong is the archive, and not what the caller may reach.
        assert!(matches!(done, Err(FileError::Escaping(_))), "{done:?}");
        let _ = fs::remove_file(home.path("in/l"));
    }
    // A link at a file's own name is replaced, and not written through.
    symlink("../secret", home.path("in/s")).unwrap();
    let archive = entry("s", file, None);
    let _ = tree::unpack(&root, b"in", tree::Format::Tar, archive.as_slice(), &stop).unwrap();
    assert_eq!(fs::read_to_string(home.path("secret")).unwrap(), "secret");
    assert!(!home.path("new").exists());
}

#[test]
fn sparse_files_come_out_of_each_kind_of_tar_archive_with_their_holes() {
    let home = Home::new();
    fs::create_dir(home.path("from")).unwrap();
    let before = home.path("from/sparse");
    let file = fs::File::create(&before).unwrap();
    for (text, at) in [("begin", 1_000_000), ("end", 2_500_000)] {
        file.write_all_at(text.as_bytes(), at).unwrap();
    }
    file.set_len(3_000_000).unwrap();
    fs::write(home.path("from/usual"), "usual").unwrap();
    for (number, how) in [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ]
    .into_iter()
    .enumerate()
    {
        let packed = Command::new("tar")
            .args(how)
            .args(["--sparse", "--create", "--file=-", "--directory"])
            .arg(home.path("from"))
            .arg(".")
            .output()
            .expect("apt-get install tar");
        assert!(packed.status.success());
        assert!(packed.stdout.len() < 1_000_000, "tar found no holes");
        let (to, stop) = (format!("to{number}"), CancellationToken::new());
        let archive = packed.stdout.as_slice();
        let done = tree::unpack(
            &home.free(),
            to.as_bytes(),
            tree::Format::Tar,
            archive,
            &stop,
        );
        let done = done.unwrap();
        assert_eq!((done.entries, done.bytes), (2, 3_000_005), "{how:?}");
        let after = home.path(&format!("{to}/sparse"));
        assert!(
            fs::read(&before).unwrap() == fs::read(&after).unwrap(),
            "{how:?}"
        );
        let space = |path: &Path| fs::metadata(path).unwrap().blocks();
        assert!(space(&after) <= space(&before) + 64, "{how:?}");
        let usual = fs::read_to_string(home.path(&format!("{to}/usual")));
        assert_eq!(usual.unwrap(), "usual");
        let all = fs::read_dir(home.path(&to)).unwrap().count();
        assert_eq!(all, 2, "nothing besides, {how:?}");
    }
}

#[test]
fn a_sparse_file_that_makes_no_sense_is_refused() {
    let home = Home::new();
    let stop = CancellationToken::new();
    for said in [
        &[("size", "9"), ("map", "0,5,3,2")][..],
        &[("size", "3"), ("map", "0,5")],
        &[("size", "9"), ("map", "0")],
        &[("size", "9"), ("map", "0,x")],
        &[("size", "9"), ("map", "0,18446744073709551615")],
        &[("size", "99"), ("map", "0,99")],
        &[("major", "1"), ("minor", "0"), ("realsize", "9")],
        &[("major", "2"), ("minor", "0"), ("realsize", "9")],
    ] {
        let mut archive = tar::Builder::new(Vec::new());
        let names: Vec<String> = said
            .iter()
            .map(|(name, _)| format!("GNU.sparse.{name}"))
            .collect();
        let values = said.iter().map(|(_, value)| value.as_bytes());
        let attributes = names.iter().map(String::as_str).zip(values);
        archive.append_pax_extensions(attributes).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(5);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, "file", &b"12345"[..])
            .unwrap();
        let archive = archive.into_inner().unwrap();
        let done = tree::unpack(&home.free(), b"in", tree::Format::Tar, &archive[..], &stop);
        assert!(
            matches!(done, Err(FileError::Archive(_))),
            "{said:?} {done:?}"
        );
        assert!(!home.path("in/file").exists());
    }
}

#[test]
fn a_folder_that_an_old_archive_marks_by_a_slash_is_one() {
    let home = Home::new();
    let entry = |path: &str, content: &[u8]| {
        let mut header = tar::Header::new_old();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkflag = [0];
        header.set_mode(0o755);
        header.set_size(content.len().try_into().unwrap());
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    };
    let archive = [entry("folder/", b""), entry("folder/file", b"text")].concat();
    let stop = CancellationToken::new();
    let done = tree::unpack(&home.free(), b"in", tree::Format::Tar, &archive[..], &stop);
    assert_eq!(done.unwrap().entries, 2);
    let text = fs::read_to_string(home.path("in/folder/file"));
    assert_eq!(text.unwrap(), "text");
}

#[test]
fn what_cannot_be_read_is_named_before_anything_is_packed_or_left_out() {
    let home = Home::new();
    fs::create_dir_all(home.path("in/shut")).unwrap();
    fs::create_dir_all(home.path("in/names")).unwrap();
    for path in ["in/seen", "in/unseen", "in/shut/file", "in/names/file"] {
        fs::write(home.path(path), "text").unwrap();
        allow(&home.path(path), 0o644);
    }
    for (path, mode) in [
        ("in/unseen", 0o600),
        ("in/shut", 0o700),
        // One may see its names, and nothing more.
        ("in/names", 0o744),
        ("in", 0o755),
        ("", 0o755),
    ] {
        allow(&home.path(path), mode);
    }
    let stop = CancellationToken::new();
    for format in [tree::Format::Tar, tree::Format::TarGz, tree::Format::Zip] {
        let (refused, packed) = as_nobody(|| {
            let root = home.free();
            let refused = source(&root, b"in", format);
            let skip = tree::Unreadable::LeftOut;
            let source = tree::source(&root, b"in", format, skip, &stop).unwrap();
            assert_eq!(source.left_out, 3, "{format:?}");
            let mut packed = Vec::new();
            tree::pack(source, format, &mut packed, &stop).unwrap();
            (refused, packed)
        });
        let Err(FileError::Unreadable(path)) = refused else {
            panic!("{format:?}: {refused:?}");
        };
        assert!(
            ["unseen", "shut", "names"].contains(&path.as_str()),
            "{path}"
        );
        let to = format!("{format:?}");
        let _ = tree::unpack(&home.free(), to.as_bytes(), format, &packed[..], &stop).unwrap();
        let at = |path: &str| home.path(&format!("{to}/{path}"));
        assert_eq!(fs::read_to_string(at("seen")).unwrap(), "text");
        assert!(!at("unseen").exists() && !at("shut/file").exists() && !at("names/file").exists());
    }
}

#[test]
fn a_zip_archive_has_names_and_links_as_they_are_or_is_refused() {
    let home = Home::new();
    let root = home.free();
    let odd = home.path("in").join(OsStr::from_bytes(b"odd-\xff"));
    fs::write(&odd, "").unwrap();
    let refused = |format| matches!(source(&root, b"in", format), Err(FileError::NotText(_)));
    assert!(refused(tree::Format::Zip) && !refused(tree::Format::Tar));
    fs::remove_file(&odd).unwrap();
    symlink(OsStr::from_bytes(b"\xff"), home.path("in/link")).unwrap();
    assert!(refused(tree::Format::Zip) && !refused(tree::Format::Tar));
}

/// Packs a file `text` with gzip.
fn gzipped(home: &Home, text: &str) -> Vec<u8> {
    fs::create_dir_all(home.path("from")).unwrap();
    fs::write(home.path("from/text"), text).unwrap();
    let (mut packed, stop) = (Vec::new(), CancellationToken::new());
    let source = source(&home.free(), b"from", tree::Format::TarGz).unwrap();
    tree::pack(source, tree::Format::TarGz, &mut packed, &stop).unwrap();
    packed
}

#[test]
fn a_compressed_archive_is_refused_unless_it_is_whole_to_its_last_byte() {
    let home = Home::new();
    let stop = CancellationToken::new();
    let whole = gzipped(&home, "what it holds");
    let unpack =
        |archive: &[u8]| tree::unpack(&home.free(), b"to", tree::Format::TarGz, archive, &stop);
    let (head, trailer) = whole.split_at(whole.len() - 8);
    let mut flipped = whole.clone();
    flipped[head.len()] ^= 1;
    for (what, archive) in [
        ("without its length", [head, &trailer[..4]].concat()),
        ("without its checksum", head.to_vec()),
        ("with another checksum", flipped),
        ("with no checksum", [head, &[0; 4], &trailer[4..]].concat()),
        (
            "with another length",
            [head, &trailer[..4], &[9; 4]].concat(),
        ),
        ("with junk behind it", [&whole, &b"junk"[..]].concat()),
        (
            "with zeros and junk",
            [&whole, &[0; 512][..], b"junk"].concat(),
        ),
        ("with half a member", [&whole, head].concat()),
    ] {
        let done = unpack(&archive);
        assert!(
            matches!(done, Err(FileError::Archive(_))),
            "{what}: {done:?}"
        );
    }
    // What GNU tar takes.
    for (what, archive) in [
        ("as it is", whole.clone()),
        (
            "padded with zeros",
            [&whole, &vec![0; 100_000][..]].concat(),
        ),
    ] {
        assert_eq!(unpack(&archive).unwrap().entries, 1, "{what}");
    }
}

#[test]
fn an_archive_may_be_compressed_in_several_members() {
    use std::io::Write as _;
    let home = Home::new();
    let stop = CancellationToken::new();
    fs::create_dir(home.path("from")).unwrap();
    fs::write(home.path("from/text"), vec![b'x'; 100_000]).unwrap();
    let mut packed = Vec::new();
    let source = source(&home.free(), b"from", tree::Format::Tar).unwrap();
    tree::pack(source, tree::Format::Tar, &mut packed, &stop).unwrap();
    let mut archive = Vec::new();
    for part in packed.chunks(30_000) {
        let level = flate2::Compression::default();
        let mut member = flate2::write::GzEncoder::new(&mut archive, level);
        member.write_all(part).unwrap();
        member.finish().unwrap();
    }
    let done = tree::unpack(
        &home.free(),
        b"to",
        tree::Format::TarGz,
        &archive[..],
        &stop,
    );
    assert_eq!(done.unwrap().bytes, 100_000);
}

#[test]
fn a_folder_that_cannot_be_unpacked_into_is_named_as_it_was_given() {
    let home = Home::new();
    let stop = CancellationToken::new();
    for to in ["secret", "secret/below"] {
        let archive = gzipped(&home, "text");
        let (root, format) = (home.free(), tree::Format::TarGz);
        let done = tree::unpack(&root, to.as_bytes(), format, &archive[..], &stop);
        let Err(FileError::System { path, .. }) = done else {
            panic!("{done:?}");
        };
        assert_eq!(path, to);
    }
}
