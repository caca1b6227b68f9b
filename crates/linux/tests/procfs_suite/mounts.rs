//! Filesystems whose `stat` does not give what maps prints, and mount options: in a mount
//! namespace of one thread's own.
#![expect(unsafe_code, reason = "mount")]

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libc::{MS_NOEXEC, MS_PRIVATE, MS_REC, PROT_READ, c_ulong};
use vmaple_linux::procfs::files::{DeviceNumber, FileKind};

use crate::area::{Area, PAGE};
use crate::files::{assert_as_mapped, facts_of};

fn mount(kind: &str, target: &Path, flags: c_ulong, options: &str) -> std::io::Result<()> {
    let text = |text: &str| CString::new(text).unwrap();
    let (kind, options) = (text(kind), text(options));
    let target = text(target.to_str().unwrap());
    let (name, data) = (kind.as_ptr(), options.as_ptr().cast());
    // SAFETY: four strings that end with NUL and outlive the call.
    let done = unsafe { libc::mount(name, target.as_ptr(), name, flags, data) };
    if done == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

/// Runs `work` in a thread with its own mounts, on an empty tmpfs; says so if that is not
/// allowed here.
fn with_own_mounts(label: &str, work: impl FnOnce(&Path) + Send + 'static) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.join(format!("mounts-{label}-{}", std::process::id()));
    let thread = std::thread::spawn(move || {
        if let Err(errno) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS) {
            return eprintln!("skipped: no mount namespace here ({errno})");
        }
        mount("none", Path::new("/"), MS_REC | MS_PRIVATE, "").unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        mount("tmpfs", &folder, 0, "").unwrap();
        work(&folder);
    });
    thread.join().unwrap();
}

#[test]
fn overlay_files_are_described_as_maps_prints_them() {
    with_own_mounts("overlay", |folder| {
        for name in ["upper", "work", "merged"] {
            std::fs::create_dir(folder.join(name)).unwrap();
        }
        // On another filesystem than the upper folder: then `stat` gives a device of its own
        // for files of the lower one.
        let lower = folder.with_extension("lower");
        std::fs::create_dir_all(&lower).unwrap();
        std::fs::write(lower.join("file"), [1; PAGE]).unwrap();
        let (shown, lower) = (folder.display(), lower.display());
        let options =
            format!("xino=off,lowerdir={lower},upperdir={shown}/upper,workdir={shown}/work");
        if let Err(error) = mount("overlay", &folder.join("merged"), 0, &options) {
            return eprintln!("skipped: no overlay here ({error})");
        }
        std::fs::write(folder.join("merged/new"), [1; PAGE]).unwrap();
        let mut nr_different = 0;
        for name in ["merged/file", "merged/new"] {
            let file = File::open(folder.join(name)).unwrap();
            let area = Area::private_file(PAGE, PROT_READ, &file);
            let facts = facts_of(file.as_raw_fd());
            assert_eq!(facts.kind, FileKind::Regular);
            assert_as_mapped(&facts, &area);
            let DeviceNumber { major, minor } = facts.device;
            let device = nix::sys::stat::makedev(u64::from(major), u64::from(minor));
            nr_different += usize::from(file.metadata().unwrap().dev() != device);
        }
        assert_ne!(
            nr_different, 0,
            "`stat` agrees with maps: this test shows nothing"
        );
    });
}

#[test]
fn a_noexec_mount_is_seen() {
    with_own_mounts("noexec", |folder| {
        std::fs::write(folder.join("executable"), [1; PAGE]).unwrap();
        let before = File::open(folder.join("executable")).unwrap();
        assert!(!facts_of(before.as_raw_fd()).noexec);
        mount("tmpfs", folder, MS_NOEXEC, "").unwrap();
        std::fs::write(folder.join("file"), [1; PAGE]).unwrap();
        let facts = facts_of(File::open(folder.join("file")).unwrap().as_raw_fd());
        assert!(facts.noexec);
        assert_eq!(facts.kind, FileKind::SharedMemory);
    });
}
