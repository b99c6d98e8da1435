use super::*;

fn failure(extended_code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(extended_code), None)
}

#[test]
fn an_io_error_while_syncing_is_the_end_and_one_before_is_not() {
    for code in [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR] {
        assert!(matches!(
            StoreError::of(Stage::Sync, &failure(code)),
            StoreError::Failed(_)
        ));
    }
    let before = |code| StoreError::of(Stage::Change, &failure(code));
    assert!(matches!(before(ffi::SQLITE_IOERR_READ), StoreError::Unavailable(_)));
    assert!(matches!(before(ffi::SQLITE_IOERR_FSYNC), StoreError::Failed(_)));
    assert!(matches!(before(ffi::SQLITE_IOERR_DIR_FSYNC), StoreError::Failed(_)));
    assert!(matches!(before(ffi::SQLITE_CORRUPT), StoreError::Failed(_)));
}

#[test]
fn a_full_disk_is_never_the_end() {
    for stage in [Stage::Change, Stage::Sync] {
        let error = StoreError::of(stage, &failure(ffi::SQLITE_FULL));
        assert!(matches!(error, StoreError::Full(_)));
        assert!(error.read_only().is_some() && error.may_be_of_one());
    }
}

#[test]
fn somebody_elses_lock_holds_up_the_whole_group() {
    let error = StoreError::of(Stage::Change, &failure(ffi::SQLITE_BUSY));
    assert!(error.read_only().is_some() && !error.may_be_of_one());
}
