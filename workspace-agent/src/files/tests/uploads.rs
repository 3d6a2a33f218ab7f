//! Files that come in pieces.

use super::*;

#[test]
fn an_upload_goes_on_where_it_was_cut_off_and_survives_the_agent() {
    let home = Home::new();
    let (root, names) = (home.confined(), &home.names);
    let ask = Ask {
        path: b"sub/file".to_vec(),
        size: 6,
        sha256: None,
        mode: None,
        parents: true,
    };
    let upload = Uploads::new(home.folder.path())
        .create(&root, &ask)
        .unwrap();
    let id = upload.id;
    let uploads = Uploads::new(home.folder.path());
    let mut piece = uploads.piece(&root, &id, 0).unwrap();
    piece.write(&[Bytes::from_static(b"abc")]).unwrap();
    drop(piece);
    let uploads = Uploads::new(home.folder.path());
    assert_eq!(uploads.show(&root, &id).unwrap().offset, 3);
    let wrong = uploads.piece(&root, &id, 0);
    assert!(matches!(wrong, Err(FileError::WrongOffset { offset: 3 })));
    let early = uploads.complete(&root, names, &id, None, false);
    assert!(matches!(
        early,
        Err(FileError::Incomplete { offset: 3, size: 6 })
    ));
    let mut piece = uploads.piece(&root, &id, 3).unwrap().hashed();
    piece.write(&[Bytes::from_static(b"xyz")]).unwrap();
    assert!(matches!(
        piece.finish(Some([0; 32])),
        Err(FileError::Digest)
    ));
    assert_eq!(uploads.show(&root, &id).unwrap().offset, 3, "taken back");
    let mut piece = uploads.piece(&root, &id, 3).unwrap();
    let more = piece.write(&[Bytes::from_static(b"defg")]);
    assert!(matches!(more, Err(FileError::BeyondSize { size: 6 })));
    piece.write(&[Bytes::from_static(b"def")]).unwrap();
    assert_eq!(piece.finish(None).unwrap().offset, 6);
    // Whoever may not reach the file may not reach its upload.
    fs::create_dir(home.path("other")).unwrap();
    let other = Root::of(home.folder.path(), Some(b"other")).unwrap();
    assert!(is_outside(&uploads.show(&other, &id)));
    assert!(is_outside(&uploads.cancel(&other, &id)));
    let bad = uploads.complete(&root, names, &id, Some([1; 32]), false);
    assert!(matches!(bad, Err(FileError::Digest)));
    let entry = uploads.complete(&root, names, &id, None, true).unwrap();
    assert_eq!(entry.size, 6);
    assert_eq!(
        fs::read_to_string(home.path("in/sub/file")).unwrap(),
        "abcdef"
    );
    assert!(matches!(uploads.show(&root, &id), Err(FileError::NoUpload)));
    for id in ["../../x", "", "0123456789abcdeé"] {
        assert!(matches!(uploads.show(&root, id), Err(FileError::NoUpload)));
    }
}

#[test]
fn an_upload_that_nobody_goes_on_with_is_given_up() {
    let home = Home::new();
    let uploads = Uploads::new(home.folder.path());
    let ask = |path: &str| Ask {
        path: path.into(),
        size: 1,
        sha256: None,
        mode: None,
        parents: false,
    };
    let old = uploads.create(&home.free(), &ask("in/old")).unwrap();
    let new = uploads.create(&home.free(), &ask("in/new")).unwrap();
    let file = home.path(&format!("in/.devgate-{}", old.id));
    let day = std::time::Duration::from_hours(25);
    let past = std::time::SystemTime::now() - day;
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(past)
        .unwrap();
    uploads.expire().unwrap();
    assert!(!file.exists());
    assert!(uploads.show(&home.free(), &old.id).is_err());
    assert!(uploads.show(&home.free(), &new.id).is_ok());
}
