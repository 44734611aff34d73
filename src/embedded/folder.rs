//! Folders that belong to one process at a time: the data folder, and scratch folders, which are
//! removed with their owner or, when it was killed, by a later one.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Instant;

use nix::unistd::{AccessFlags, access, geteuid};

use super::cluster::{evict_orphan, is_alive};
use super::program::Account;
use super::{Error, LEAVING_LIMIT, LOOK_INTERVAL};

/// Scratch folders are named this, the owner's process, `-` and 8 digits. Other names are not ours.
const SCRATCH_PREFIX: &str = "ordercast-pg-";
/// Bytes of a scratch folder's name, at most: a process number has at most 7 digits.
pub(super) const SCRATCH_NAME_BYTES: usize = SCRATCH_PREFIX.len() + 7 + 1 + 8;
/// Abandoned scratch folders that one call removes, and names it looks at, at most.
const SWEEP_LIMIT: usize = 8;
const SWEEP_LOOK_LIMIT: usize = 10_000;

/// Where the cluster is kept unless the settings say otherwise. Root's has root's number in its
/// name and is in no home: the server's account must get there.
pub(super) fn default_dir() -> PathBuf {
    let uid = geteuid();
    if uid.is_root() {
        return PathBuf::from("/var/lib/ordercast-0");
    }
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let home = env::home_dir().filter(|dir| access(dir, AccessFlags::W_OK).is_ok());
    match state.or_else(|| Some(home?.join(".local/state"))) {
        Some(state) => state.join("ordercast/postgres"),
        None => PathBuf::from(format!("/var/tmp/ordercast-{uid}")),
    }
}

/// For `map_err`: an operation on a file or folder that the system refused.
pub(super) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Folder { doing, path, source }
}

/// Removes a folder that may be absent, and that processes which are just ending may write to.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error)
                if error.kind() == io::ErrorKind::DirectoryNotEmpty
                    && began.elapsed() < LEAVING_LIMIT => {}
            done => return done,
        }
        thread::sleep(LOOK_INTERVAL);
    }
}

/// A folder that this process owns: no other gets it until this value is dropped or we are dead.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Removed when dropped.
    scratch: bool,
    /// Locked; closed last.
    _lock: File,
}

impl Folder {
    /// Takes the folder, made when absent. One with contents must have been taken before.
    pub(super) fn open(path: &Path, account: Option<&Account>) -> Result<Folder, Error> {
        fs::create_dir_all(path).map_err(failed("making", path))?;
        let path = path.canonicalize().map_err(failed("finding", path))?;
        let mut entries = fs::read_dir(&path).map_err(failed("listing", &path))?;
        if entries.next().is_some() && !path.join("lock").exists() {
            return Err(Error::NotOurs(path));
        }
        Self::take(path, false, account)
    }

    /// Makes a folder for the time being, in the first temporary folder that has a path of at
    /// most `longest` bytes and that `account` can enter.
    pub(super) fn scratch(longest: usize, account: Option<&Account>) -> Result<Folder, Error> {
        let candidates = [env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
        let usable =
            |dir: &PathBuf| dir.as_os_str().len() <= longest && enterable(dir, account).is_ok();
        let parent = candidates.iter().filter_map(|dir| dir.canonicalize().ok()).find(usable);
        // When none will do, the error to come is about this one.
        let parent = parent.unwrap_or_else(|| PathBuf::from("/tmp"));
        sweep(&parent);
        let random = uuid::Uuid::new_v4().simple().to_string();
        let random = random.get(..8).unwrap_or_default();
        let path = parent.join(format!("{SCRATCH_PREFIX}{}-{random}", process::id()));
        DirBuilder::new().mode(0o700).create(&path).map_err(failed("making", &path))?;
        Self::take(path, true, account)
    }

    fn take(path: PathBuf, scratch: bool, account: Option<&Account>) -> Result<Folder, Error> {
        // The account passes through root's folder but lists nothing in it.
        let mode = if account.is_some() { 0o711 } else { 0o700 };
        fs::set_permissions(&path, Permissions::from_mode(mode))
            .map_err(failed("closing", &path))?;
        enterable(&path, account)?;
        let lock = lock(&path)?;
        Ok(Folder { path, scratch, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.scratch
            && let Err(error) = remove(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "a temporary folder stays behind");
        }
    }
}

/// Locks a folder for this process, until the file is closed.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed("opening", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(source)) => return Err(failed("locking", &path)(source)),
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Empty while the owner is about to write it; then the message does without.
            file.take(16).read_to_string(&mut pid).ok();
            let owner = match pid.trim() {
                "" => "another process".to_owned(),
                pid => format!("process {pid}"),
            };
            return Err(Error::InUse { data_dir: folder.to_path_buf(), owner });
        }
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", process::id()))
        .map_err(failed("writing", &path))?;
    Ok(file)
}

/// Whether the account gets into the folder, through every folder above it.
fn enterable(folder: &Path, account: Option<&Account>) -> Result<(), Error> {
    let Some(account) = account else { return Ok(()) };
    let folder = folder.canonicalize().map_err(failed("finding", folder))?;
    for part in folder.ancestors() {
        let part_of = fs::metadata(part).map_err(failed("looking at", part))?;
        // Programs run without further groups, so these three cases are all there are.
        let search = match () {
            () if part_of.uid() == account.uid => 0o100,
            () if part_of.gid() == account.gid => 0o010,
            () => 0o001,
        };
        if part_of.mode() & search == 0 {
            return Err(Error::Unsearchable {
                folder: part.to_path_buf(),
                account: account.name.clone(),
            });
        }
    }
    Ok(())
}

/// Removes scratch folders of our user whose owners are gone. What cannot be removed stays.
fn sweep(parent: &Path) {
    let listed = fs::read_dir(parent).into_iter().flatten().take(SWEEP_LOOK_LIMIT).flatten();
    let abandoned = listed.filter(|entry| {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(SCRATCH_PREFIX)?.split_once('-'));
        owner.and_then(|(pid, _)| pid.parse().ok()).is_some_and(|pid| !is_alive(pid))
            // Not followed when it is a link: in a folder for everyone, others can make one.
            && entry.path().symlink_metadata().is_ok_and(|it| it.is_dir() && it.uid() == geteuid().as_raw())
    });
    for entry in abandoned.take(SWEEP_LIMIT) {
        let path = entry.path();
        // The lock also guards against an owner whose number means nothing here (containers).
        if let Ok(_lock) = lock(&path)
            && evict_orphan(&path.join("data")).is_ok()
            && let Err(error) = remove(&path)
        {
            tracing::debug!(%error, path = %path.display(), "an abandoned folder stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_other_things_in_it_is_left_alone() {
        let holder = Folder::scratch(usize::MAX, None).unwrap();
        let path = holder.path().join("photos");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("cat.jpg"), "").unwrap();
        assert!(matches!(Folder::open(&path, None), Err(Error::NotOurs(_))));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }

    #[test]
    fn scratch_folders_of_dead_processes_are_swept() {
        let holder = Folder::scratch(usize::MAX, None).unwrap();
        let mut owner = process::Command::new("true").spawn().unwrap();
        owner.wait().unwrap();
        let dead = holder.path().join(format!("{SCRATCH_PREFIX}{}-0", owner.id()));
        let alive = holder.path().join(format!("{SCRATCH_PREFIX}{}-0", process::id()));
        let foreign = holder.path().join("ordercast-1-0");
        let linked = holder.path().join(format!("{SCRATCH_PREFIX}{}-1", owner.id()));
        for dir in [&dead, &alive, &foreign] {
            fs::create_dir_all(dir.join("data/base")).unwrap();
        }
        std::os::unix::fs::symlink(&foreign, &linked).unwrap();
        sweep(holder.path());
        assert!(!dead.exists());
        assert!(alive.join("data/base").exists());
        assert!(foreign.join("data/base").exists());
    }

    #[test]
    fn a_closed_folder_on_the_way_is_named() {
        let holder = Folder::scratch(usize::MAX, None).unwrap();
        let inner = holder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let stranger = Account { name: "stranger".to_owned(), uid: 999_999, gid: 999_999 };
        match enterable(&inner, Some(&stranger)) {
            Err(Error::Unsearchable { folder, .. }) => {
                assert_eq!(folder, holder.path().canonicalize().unwrap());
            }
            other => panic!("{other:?}"),
        }
    }
}
