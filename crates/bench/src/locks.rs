//! The rows of the address space's locks: `mmap_lock`, one VMA's lock, whole lookups, one thread
//! and two; both ways for readers to say that they read, and the standard library's lock.

use crate::behind;
use crate::meter::{Meter, Sample};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::{Barrier, RwLock};
use std::thread;
use vmaple_locks::{AddressSpace, Biased, Counted, Held, Host, MmapLock, ReadScheme, VmaTree};

const PAGE: u64 = 0x1000;

/// The rows, and the sides that take part in each.
pub(crate) fn rows() -> Vec<(String, Vec<&'static str>)> {
    let row = |name: &str, sides: &[&'static str]| (name.to_owned(), sides.to_vec());
    let schemes = ["biased", "counted"];
    let with_peer = ["biased", "counted", "RwLock<BTreeMap>"];
    vec![
        row("locks:mmap_read", &["vmaple-locks", "RwLock"]),
        row("locks:mmap_write", &["vmaple-locks", "RwLock"]),
        row("locks:vma_read", &schemes),
        row("locks:lookup/1000", &with_peer),
        row("locks:lookup/65000", &with_peer),
        row("locks:lookup_one/1 thread", &with_peer),
        row("locks:lookup_one/2 threads", &with_peer),
        row("locks:lookup_apart/2 threads", &with_peer),
        row("locks:write_after_reads/1", &schemes),
        row("locks:write_after_reads/1000", &schemes),
        row(behind::ROW, &behind::SIDES),
    ]
}

/// Measures a row for a side; None: there is no such row.
pub(crate) fn run(side: &str, row: &str, is_short: bool) -> Option<Sample> {
    if row == behind::ROW {
        return behind::run(side, is_short);
    }
    let ops = if is_short { 20_000 } else { 10_000_000 };
    let kind = row.strip_prefix("locks:")?;
    let mut meter = Meter::new();
    let ops = match side {
        "vmaple-locks" | "RwLock" => mmap_lock(side, kind, &mut meter, ops)?,
        "RwLock<BTreeMap>" => map_rows(kind, &mut meter, ops)?,
        "biased" => vma_rows::<Biased>(kind, &mut meter, ops)?,
        "counted" => vma_rows::<Counted>(kind, &mut meter, ops)?,
        _ => return None,
    };
    Some(meter.sample(row, ops, 0, String::new()))
}

fn mmap_lock(side: &str, kind: &str, meter: &mut Meter, ops: u64) -> Option<u64> {
    let ours: MmapLock<VmaTree<u64>> = MmapLock::new(VmaTree::new());
    let theirs = RwLock::new(0_u64);
    let mut held = Held::nothing();
    meter.run(|| {
        for _ in 0..ops {
            match (side, kind) {
                ("vmaple-locks", "mmap_read") => drop(black_box(ours.read(&mut held))),
                ("vmaple-locks", "mmap_write") => drop(black_box(ours.write(&mut held))),
                ("RwLock", "mmap_read") => drop(black_box(theirs.read())),
                ("RwLock", "mmap_write") => drop(black_box(theirs.write())),
                _ => return None,
            }
        }
        Some(ops)
    })
}

/// The addresses of lookups, in an order that a processor cannot foresee.
struct Addresses(u64, u64);

impl Addresses {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % self.1) * 2 * PAGE + 8
    }
}

type Space<S> = AddressSpace<VmaTree<u64, Host<S>>>;

/// VMAs of a page each, with a free page after each.
fn space_of<S: ReadScheme>(nr: u64) -> Space<S> {
    let mut tree = VmaTree::new();
    for i in 0..nr {
        let range = i * 2 * PAGE..(i * 2 + 1) * PAGE;
        tree.insert(range, i).expect("free");
    }
    AddressSpace::new(tree)
}

fn vma_rows<S: ReadScheme>(kind: &str, meter: &mut Meter, ops: u64) -> Option<u64> {
    if let Some(size) = kind.strip_prefix("lookup/") {
        let nr: u64 = size.parse().ok()?;
        let space = space_of::<S>(nr);
        let mut addresses = Addresses(88_172_645_463_325_252, nr);
        look(&space, 1000 * nr.min(1000), || addresses.next());
        meter.run(|| look(&space, ops, || addresses.next()));
        return Some(ops);
    }
    if let Some(nr_reads) = kind.strip_prefix("write_after_reads/") {
        return writes(&space_of::<S>(1), nr_reads.parse().ok()?, meter, ops);
    }
    match kind {
        "vma_read" => {
            let space = space_of::<S>(1);
            look(&space, 1000, || 8);
            let mut held = Held::nothing();
            let mut state = space.read(&mut held);
            let (tree, held) = state.parts();
            meter.run(|| {
                for _ in 0..ops {
                    let vma = tree.start_read_locked(held, 8);
                    drop(black_box(vma));
                }
            });
        }
        "lookup_one/1 thread" => {
            let space = space_of::<S>(1);
            look(&space, 1000, || 8);
            meter.run(|| look(&space, ops, || 8));
        }
        "lookup_one/2 threads" => together(meter, &space_of::<S>(1), ops, [8, 8]),
        "lookup_apart/2 threads" => {
            together(meter, &space_of::<S>(2), ops, [8, 2 * PAGE + 8]);
        }
        _ => return None,
    }
    Some(ops)
}

fn look<S: ReadScheme>(space: &Space<S>, ops: u64, mut addr: impl FnMut() -> u64) {
    let mut held = Held::nothing();
    for _ in 0..ops {
        let vma = space.lock_vma_under_rcu(&mut held, addr()).locked();
        black_box(*vma.expect("mapped, and nobody writes"));
    }
}

/// A write lock of a VMA that was read some times since the last: what the scheme costs the writer.
fn writes<S: ReadScheme>(
    space: &Space<S>,
    nr_reads: u64,
    meter: &mut Meter,
    ops: u64,
) -> Option<u64> {
    let ops = ops / 10 / nr_reads.max(10);
    let mut held = Held::nothing();
    for _ in 0..ops {
        look(space, nr_reads, || 8);
        meter.run(|| space.write(&mut held).write_lock(8).is_some());
    }
    Some(ops)
}

/// Two threads at once, each `ops` lookups of its own address: the time of both together.
fn together<S: ReadScheme>(meter: &mut Meter, space: &Space<S>, ops: u64, addresses: [u64; 2]) {
    let at_once = Barrier::new(3);
    thread::scope(|scope| {
        let threads = addresses.map(|addr| {
            let at_once = &at_once;
            scope.spawn(move || {
                look(space, 1000, || addr);
                at_once.wait();
                look(space, ops, || addr);
            })
        });
        at_once.wait();
        meter.run(|| {
            for thread in threads {
                thread.join().expect("reads");
            }
        });
    });
}

fn map_rows(kind: &str, meter: &mut Meter, ops: u64) -> Option<u64> {
    let nr = match kind.strip_prefix("lookup/") {
        Some(size) => size.parse().ok()?,
        None => 2,
    };
    let map: BTreeMap<u64, (u64, u64)> = (0..nr)
        .map(|i| (i * 2 * PAGE, ((i * 2 + 1) * PAGE, i)))
        .collect();
    let map = RwLock::new(map);
    let find = |ops: u64, addr: &mut dyn FnMut() -> u64| {
        for _ in 0..ops {
            let addr = addr();
            let map = map.read().expect("not poisoned");
            let (_, (end, value)) = map.range(..=addr).next_back().expect("mapped");
            assert!(addr < *end);
            black_box(*value);
        }
    };
    let mut addresses = Addresses(88_172_645_463_325_252, nr);
    match kind {
        "lookup_one/1 thread" => meter.run(|| find(ops, &mut || 8)),
        "lookup_one/2 threads" | "lookup_apart/2 threads" => thread::scope(|scope| {
            let step = if kind.contains("apart") { 2 * PAGE } else { 0 };
            let threads = [8, 8 + step];
            meter.run(|| {
                for thread in threads.map(|addr| scope.spawn(move || find(ops, &mut || addr))) {
                    thread.join().expect("reads");
                }
            });
        }),
        _ => meter.run(|| find(ops, &mut || addresses.next())),
    }
    Some(ops)
}
