use super::*;

/// A folder of its own for a test, removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sluice-quic-secret-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_secret_is_made_once_for_the_owner_alone_and_stays() {
    let folder = Folder::new("made");
    let first = ResetSecret::of_folder(&folder.0).expect("the folder is made");
    let mode = fs::metadata(folder.file())
        .expect("the file is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, OWNER_ONLY);
    let names = fs::read_dir(&folder.0).expect("the folder is there").count();
    assert_eq!(names, 1, "nothing unfinished is left");
    let second = ResetSecret::of_folder(&folder.0).expect("the file is read");
    assert_eq!(first.0, second.0);
    assert_ne!(first.0, [0; SECRET_BYTES]);
}

#[test]
fn each_use_has_a_key_of_its_own() {
    let secret = ResetSecret([7; SECRET_BYTES]);
    let tag = |key: &hmac::Key| hmac::sign(key, b"x").as_ref().to_vec();
    assert_ne!(tag(&secret.reset_key()), tag(&secret.id_key()));
    assert_eq!(tag(&secret.id_key()), tag(&ResetSecret([7; SECRET_BYTES]).id_key()));
}

#[test]
fn a_damaged_file_is_left_alone_and_named() {
    let folder = Folder::new("damaged");
    fs::create_dir_all(&folder.0).expect("a folder");
    fs::write(folder.file(), b"short").expect("a file");
    let error = ResetSecret::of_folder(&folder.0).expect_err("five bytes are no key");
    let text = error.to_string();
    assert!(text.contains("quic-reset.key"), "{text}");
    assert!(text.contains("holds 5"), "{text}");
    assert_eq!(fs::read(folder.file()).expect("it is still there"), b"short");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = Folder::new("blocked");
    fs::create_dir_all(&folder.0).expect("a folder");
    let file = folder.0.join("file");
    fs::write(&file, b"").expect("a file");
    // Reading below a file fails in another way than a missing file does.
    let error = ResetSecret::of_folder(&file).expect_err("a file is no folder");
    assert!(error.to_string().contains("quic-reset.key"), "{error}");
}

#[test]
fn a_file_that_others_may_read_is_used_and_noticed() {
    let folder = Folder::new("open");
    let made = ResetSecret::of_folder(&folder.0).expect("the folder is made");
    let file = File::open(folder.file()).expect("it is there");
    assert!(!is_open_to_others(&file).expect("it has a mode"));
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o644)).expect("it is ours");
    assert!(is_open_to_others(&file).expect("it has a mode"));
    let read = ResetSecret::of_folder(&folder.0).expect("the file is read");
    assert_eq!(made.0, read.0);
}
